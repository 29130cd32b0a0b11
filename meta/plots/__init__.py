"""Pictures: one module for each, named after its function; matplotlib loads with the first.

``from meta.plots.forest import forest`` draws, ``from meta.plots import save`` writes the files.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_WHERE = {
    "Group": "forest",
    "Row": "forest",
    "describe": "forest",
    "Picture": "style",
    "save": "style",
}

__all__ = ["Group", "Picture", "Row", "describe", "save"]


def __getattr__(name: str) -> Any:
    """Load matplotlib when a picture is wanted, not when the statistics are."""
    if name in _WHERE:
        return getattr(import_module(f"meta.plots.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
