"""Statistics of meta-analysis: numbers in, pooled effects and pictures out.

The package knows nothing about papers, files or networks. ``from meta import effects, pool`` is
enough for a first analysis; nothing is loaded before it is asked for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_WHERE = {
    "aggregate": "meta.dependent.aggregation",
    "arcsine_test": "meta.bias_counts",
    "baujat": "meta.influence",
    "binomial_interval": "meta.direction",
    "bootstrap": "meta.resampling",
    "bootstrap_regression": "meta.resampling",
    "combine_p": "meta.direction",
    "compare": "meta.regression",
    "compare_nested": "meta.dependent.profiles",
    "component_interval": "meta.dependent.profiles",
    "confounding": "meta.unmeasured",
    "contributions": "meta.partition",
    "correlated_effects": "meta.dependent.working_models",
    "covariance": "meta.dependent.covariance",
    "cumulative": "meta.influence",
    "deeks": "meta.bias_counts",
    "e_value": "meta.unmeasured",
    "e_value_of": "meta.unmeasured",
    "effects": "meta.measures",
    "egger": "meta.bias",
    "excess_significance": "meta.excess",
    "fail_safe_n": "meta.excess",
    "given": "meta.measures",
    "glmm": "meta.glmm",
    "gosh": "meta.gosh",
    "gosh_clusters": "meta.gosh",
    "harbord": "meta.bias_counts",
    "henmi_copas": "meta.adjusted",
    "hierarchical_effects": "meta.dependent.working_models",
    "influence": "meta.influence",
    "least_removal": "meta.partition",
    "leave_cluster_out": "meta.dependent.leave_cluster",
    "leave_one_out": "meta.influence",
    "location_scale": "meta.location_scale",
    "macaskill": "meta.bias_counts",
    "mantel_haenszel": "meta.binary",
    "MEASURES": "meta.measures",
    "multilevel": "meta.dependent.multilevel",
    "omnibus": "meta.regression",
    "partition_q": "meta.partition",
    "permutation_test": "meta.resampling",
    "pet_peese": "meta.bias",
    "peters": "meta.bias_counts",
    "peto": "meta.binary",
    "pool": "meta.pooling",
    "power_of_heterogeneity": "meta.power",
    "power_of_moderators": "meta.power",
    "power_of_pool": "meta.power",
    "power_of_random_effects": "meta.power",
    "power_of_studies": "meta.power",
    "predict": "meta.regression",
    "predict_new": "meta.dependent.predictions",
    "pustejovsky_rodgers": "meta.bias",
    "Random": "meta.dependent.random_terms",
    "rank_test": "meta.bias",
    "regress": "meta.regression",
    "regression_test": "meta.bias",
    "rho_sensitivity": "meta.dependent.working_models",
    "robust": "meta.dependent.robust",
    "schwarzer": "meta.bias_counts",
    "shrink": "meta.influence",
    "sign_test": "meta.direction",
    "subgroups": "meta.subgroups",
    "TAU2": "meta.tau2",
    "tau2_interval": "meta.heterogeneity",
    "thompson_sharp": "meta.bias",
    "trim_and_fill": "meta.adjusted",
    "variance_inflation": "meta.regression",
    "wald": "meta.dependent.robust",
}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])


class _Package(ModuleType):
    """Keeps ``meta.gosh`` the function: importing the module of that name would take its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _WHERE and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
