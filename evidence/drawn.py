"""Which pictures are drawn already: the same content, day and software need no second drawing."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

import meta.plots
from evidence import files
from evidence.figures import Picture
from meta.plots.style import save


class Drawn:
    """A memory of finished pictures in one file below ``var/``; deleted, all are drawn again."""

    def __init__(self, memory: Path, *, site: Path) -> None:
        self._memory, self._site = memory, site
        self._known: dict[str, dict[str, str]] = _read(memory)

    def draw(self, picture: Picture, stem: Path, *, on: dt.date) -> tuple[Path, ...]:
        """The picture as SVG, PDF and PNG at ``stem``, drawn only where that would change it."""
        key, paths = fingerprint(picture, on), _paths(stem)
        name = stem.relative_to(self._site).as_posix()
        entry = {"picture": key} | {p.suffix: _digest(p) for p in paths}
        if self._known.get(name) == entry:
            return paths
        drawn = save(picture.draw(), stem, date=on)
        self._known[name] = {"picture": key} | {p.suffix: _digest(p) for p in drawn}
        return drawn

    def remember(self) -> None:
        """Write the memory down; pictures that are gone are forgotten."""
        kept = {
            name: entry
            for name, entry in self._known.items()
            if all(p.is_file() for p in _paths(self._site / name))
        }
        files.write_text(self._memory, json.dumps(kept, indent=1, sort_keys=True) + "\n")


def fingerprint(picture: Picture, on: dt.date) -> str:
    """A digest of all that decides a picture's bytes: content, day and drawing software."""
    content = json.dumps(_plain(picture), sort_keys=True, default=repr)
    parts = (content, on.isoformat(), mpl.__version__, np.__version__, _software())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Nouns and arrays as JSON can take them; floats keep every digit."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if callable(value):
        return getattr(value, "__qualname__", "")
    return value


@lru_cache(maxsize=1)
def _software() -> str:
    """A digest of the modules that draw, so that a change to them redraws everything."""
    folder = Path(meta.plots.__path__[0])
    code = b"".join(p.read_bytes() for p in sorted(folder.glob("*.py")))
    return hashlib.sha256(code).hexdigest()


def _paths(stem: Path) -> tuple[Path, ...]:
    return tuple(stem.with_name(f"{stem.name}.{kind}") for kind in ("svg", "pdf", "png"))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _read(memory: Path) -> dict[str, dict[str, str]]:
    """What was remembered; an unreadable memory is an empty one, for it is only a cache."""
    if not memory.is_file():
        return {}
    try:
        known = json.loads(files.read_text(memory))
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}
