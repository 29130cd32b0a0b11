"""From an extracted row to its effect and variance: one registered route per kind of report.

The statistics are those of ``meta``; a route picks the row's columns and says in words, with the
row's own numbers, what was done to them.
"""

from evidence.routes import correlations, one_arm, two_arms  # register themselves
from evidence.routes.registry import (
    CHANGE,
    NONE,
    RAW,
    ROUTES,
    Effect,
    Route,
    Unusable,
    as_sd,
    estimate,
    route,
    route_named,
)

__all__ = [
    "CHANGE",
    "NONE",
    "RAW",
    "ROUTES",
    "Effect",
    "Route",
    "Unusable",
    "as_sd",
    "estimate",
    "route",
    "route_named",
]

_MODULES = (two_arms, one_arm, correlations)

ROUTES["direction"] = Route(
    "direction", "Only the direction or the significance", (), NONE, False, 2, None
)
