"""Statistics of meta-analysis: numbers in, pooled effects and pictures out.

The package knows nothing about papers, files or networks. ``from meta import effects, pool`` is
enough for a first analysis; nothing is loaded before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_WHERE = {
    "MEASURES": "meta.measures",
    "TAU2": "meta.tau2",
    "bootstrap": "meta.resampling",
    "combine_p": "meta.direction",
    "cumulative": "meta.influence",
    "effects": "meta.measures",
    "egger": "meta.bias",
    "glmm": "meta.glmm",
    "gosh": "meta.gosh",
    "given": "meta.measures",
    "influence": "meta.influence",
    "leave_one_out": "meta.influence",
    "location_scale": "meta.location_scale",
    "mantel_haenszel": "meta.binary",
    "permutation_test": "meta.resampling",
    "peto": "meta.binary",
    "pool": "meta.pooling",
    "regress": "meta.regression",
    "sign_test": "meta.direction",
    "subgroups": "meta.subgroups",
    "tau2_interval": "meta.heterogeneity",
    "trim_and_fill": "meta.adjusted",
}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
