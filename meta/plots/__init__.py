"""Pictures: a function for each kind; matplotlib loads with the first.

``from meta.plots import forest, save`` is enough: ``forest(pool(effects))`` draws,
``save(picture, path, date=...)`` writes the files. ``docs/plots.md`` shows every kind.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meta.plots.albatross_plot import albatross
    from meta.plots.baujat_plot import baujat
    from meta.plots.bubble_plot import bubble
    from meta.plots.direction_plot import Direction, StudyDirections, directions
    from meta.plots.forest_plot import forest
    from meta.plots.funnel_plot import funnel
    from meta.plots.gosh_plot import gosh
    from meta.plots.groups import Group, Row, describe
    from meta.plots.influence_plot import influence_panel
    from meta.plots.labbe_plot import labbe
    from meta.plots.orchard_plot import orchard
    from meta.plots.radial_plot import radial
    from meta.plots.refits import cumulative_forest, leave_one_out_forest
    from meta.plots.style import Picture, save

_WHERE = {
    "Direction": "direction_plot",
    "Group": "groups",
    "Picture": "style",
    "Row": "groups",
    "StudyDirections": "direction_plot",
    "albatross": "albatross_plot",
    "baujat": "baujat_plot",
    "bubble": "bubble_plot",
    "cumulative_forest": "refits",
    "describe": "groups",
    "directions": "direction_plot",
    "forest": "forest_plot",
    "funnel": "funnel_plot",
    "gosh": "gosh_plot",
    "influence_panel": "influence_plot",
    "labbe": "labbe_plot",
    "leave_one_out_forest": "refits",
    "orchard": "orchard_plot",
    "radial": "radial_plot",
    "save": "style",
}

__all__ = [
    "Direction",
    "Group",
    "Picture",
    "Row",
    "StudyDirections",
    "albatross",
    "baujat",
    "bubble",
    "cumulative_forest",
    "describe",
    "directions",
    "forest",
    "funnel",
    "gosh",
    "influence_panel",
    "labbe",
    "leave_one_out_forest",
    "orchard",
    "radial",
    "save",
]


def __getattr__(name: str) -> Any:
    """Load matplotlib when a picture is wanted, not when the statistics are."""
    if name in _WHERE:
        return getattr(import_module(f"meta.plots.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
