"""Faults that a user can mend: what is wrong, every place where it was found, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class ToolkitError(Exception):
    """A fault that a user can mend.

    Parameters
    ----------
    problem : str
        One line in the reader's words.
    places : sequence of str
        Every place where it was found, such as ``extracted/x/effects.csv:9  sd_1 = -3 is not
        positive``.
    remedy : str
        What to do next; empty when the problem says it all.
    """

    def __init__(self, problem: str, places: Sequence[str] = (), *, remedy: str = "") -> None:
        self.problem = problem
        self.places = tuple(places)
        self.remedy = remedy
        super().__init__(problem)

    def __str__(self) -> str:
        lines = [self.problem, *(f"  {place}" for place in self.places)]
        if self.remedy:
            lines.append(f"try: {self.remedy}")
        return "\n".join(lines)


class InputError(ToolkitError):
    """Numbers that a formula cannot use."""


class NotConverged(ToolkitError):
    """An iteration that ended without an answer."""


class UnknownName(ToolkitError):
    """A name that is not among the known ones; lists them and the nearest."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        super().__init__(
            f"there is no {kind} {name!r}",
            [f"known: {', '.join(names) or 'none'}"],
            remedy=f"did you mean {near[0]!r}?" if near else "",
        )
