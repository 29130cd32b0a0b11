"""Pictures: one module for each, named after its function; matplotlib loads with the first.

``from meta.plots.forest import forest`` draws, ``from meta.plots import save`` writes the files.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_WHERE = {
    "Direction": "directions",
    "Group": "forest",
    "Row": "forest",
    "StudyDirections": "directions",
    "cumulative_forest": "refits",
    "describe": "forest",
    "influence_panel": "influence",
    "leave_one_out_forest": "refits",
    "Picture": "style",
    "save": "style",
}

__all__ = [
    "Direction",
    "Group",
    "Picture",
    "Row",
    "StudyDirections",
    "cumulative_forest",
    "describe",
    "influence_panel",
    "leave_one_out_forest",
    "save",
]


def __getattr__(name: str) -> Any:
    """Load matplotlib when a picture is wanted, not when the statistics are."""
    if name in _WHERE:
        return getattr(import_module(f"meta.plots.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
