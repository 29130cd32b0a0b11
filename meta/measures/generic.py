"""Effects that come ready-made, as published or from a model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from meta.measures.registry import measure

Array = NDArray[np.float64]


@measure("GEN", label="Effect", scale="identity", needs=("yi", "vi"))
def ready_made(yi: Array, vi: Array) -> tuple[Array, Array]:
    """Effects and sampling variances as they are given, on their scale of analysis."""
    return yi, vi
