"""Random effects as a reviewer writes them, and as the stacks that a likelihood needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.dependent.blocks import Index, Layout
from meta.dependent.structures import STRUCTURES, Structure, correlations, pairs
from meta.errors import InputError, UnknownName

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)  # may hold arrays
class Random:
    """Random effects of one grouping.

    Parameters
    ----------
    text : str
        ``"district"`` or ``"district/school"``: an intercept for each district, and for each school
        within its district; ``"outcome | study"``: an effect for each outcome, which covary within
        a study by ``structure``. A leading ``~`` and ``1 |`` are allowed, as metafor writes them.
    structure : str
        Key of ``meta.dependent.structures.STRUCTURES``; of no consequence for plain intercepts.
    variance : float or sequence of float, optional
        Known variances: of each level of a path, or of the inner levels (one for all where the
        structure has one). None, or None within the sequence, is to be estimated.
    rho : float or sequence of float, optional
        Known correlation, or those of all pairs of an unstructured covariance in the order
        (2,1), (3,1), ..., (3,2), ...
    correlation : array (J, J) with ``levels``, optional
        Known correlations of the intercepts, such as of a phylogeny.
    levels : sequence of str
        What the rows of ``correlation`` are.
    """

    text: str
    structure: str = "CS"
    variance: Any = None
    rho: Any = None
    correlation: Any = None
    levels: Sequence[Any] = ()


@dataclass(slots=True)
class Term:
    """One random term in place: which rows share an effect, and how its parameters enter."""

    name: str
    codes: Index  # (k,) groups; rows of different groups share nothing
    structure: Structure
    levels: tuple[str, ...]  # inner levels; one nameless level for intercepts
    at: Any  # their positions on the axis of time; 0, 1, ... without one
    inner: Index  # (k,)
    groups: tuple[str, ...]  # names by code
    known: list[float | None]  # internal parameters that are given
    share: Array | None = None  # (k, k) known correlations of plain intercepts
    together: NDArray[np.bool_] | None = None  # pairs of inner levels that some group has both of
    masks: list[Array] = field(default_factory=list)
    index: list[Index] = field(default_factory=list)

    @property
    def n_groups(self) -> int:
        return len(self.groups)

    @property
    def size(self) -> int:
        return len(self.levels)

    @property
    def plain(self) -> bool:
        """Intercepts: one variance and nothing else."""
        return self.levels == ("",)

    def place(self, layout: Layout) -> None:
        """Make the stacks of a layout."""
        self.masks, self.index = [], []
        for at, real in zip(layout.groups, layout.real(), strict=True):
            rows = np.where(real, at, 0)
            codes = np.where(real, self.codes[rows], -1)
            mask = (codes[:, :, None] == codes[:, None, :]) & real[:, :, None]
            weight = mask.astype(float)
            if self.share is not None:
                weight *= self.share[rows[:, :, None], rows[:, None, :]]
            self.masks.append(weight)
            self.index.append(self.inner[rows])

    def spread(self, g: Array, group: int) -> Array:
        """G at the rows of each block: (m, n, n)."""
        mask = self.masks[group]
        if self.plain:
            return np.asarray(g[0, 0] * mask)
        i = self.index[group]
        return np.asarray(g[i[:, :, None], i[:, None, :]] * mask)

    def reported(self, theta: Array) -> tuple[Array, Array]:
        """Variances and correlations of the inner levels, as people read them."""
        g = self.structure.matrix(theta, self.at)
        variances = g.diagonal()[: self.structure.variances or None].copy()
        if self.structure.correlations == 0 or self.size == 1:
            return variances, np.zeros(0)
        if self.structure.correlations == 1:
            return variances, np.array([theta[-1]])
        r = correlations(g)
        assert self.together is not None
        return variances, np.array(
            [r[i, j] if self.together[i, j] else math.nan for i, j in pairs(self.levels)]
        )

    def labels(self) -> tuple[list[str], list[str]]:
        """Names of the variances and correlations."""
        if self.plain:
            return [self.name], []
        one = self.structure.variances == 1
        first = [self.name] if one else [f"{self.name}: {level}" for level in self.levels]
        if self.structure.correlations == 0 or self.size == 1:
            return first, []
        if self.structure.correlations == 1:
            return first, [self.name]
        return first, [
            f"{self.name}: {self.levels[j]}, {self.levels[i]}" for i, j in pairs(self.levels)
        ]


def terms_of(random: Any, columns: Mapping[str, Sequence[Any]], study: Sequence[str]) -> list[Term]:
    """The terms of a model from what the reviewer wrote.

    Parameters
    ----------
    random : str, Random, or a sequence of them
    columns : mapping of name to (k,) values
        What the names stand for.
    study : sequence of str
        Names for complaints.
    """
    wanted = [random] if isinstance(random, (str, Random)) else list(random)
    terms: list[Term] = []
    for item in wanted:
        terms += _terms(item if isinstance(item, Random) else Random(item), columns, study)
    names = [term.name for term in terms]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"the random effect {name!r} is there twice", remedy="name each grouping once"
            )
    return terms


def _terms(item: Random, columns: Mapping[str, Sequence[Any]], study: Sequence[str]) -> list[Term]:
    text = item.text.strip().removeprefix("~").strip()
    inner, bar, outer = (part.strip() for part in text.partition("|"))
    if not bar or inner == "1":
        path = [name.strip() for name in (outer if bar else inner).split("/")]
        return _intercepts(item, path, columns, study)
    if "/" in inner or "/" in outer or "|" in outer:
        raise InputError(
            f"random effects {item.text!r} cannot be read",
            remedy='write "district/school" or "outcome | study"',
        )
    return [_within(item, inner, outer, columns, study)]


def _intercepts(
    item: Random, path: list[str], columns: Mapping[str, Sequence[Any]], study: Sequence[str]
) -> list[Term]:
    known = _known(item.variance, len(path), f"variances of {item.text!r}")
    if item.rho is not None:
        raise InputError(f"{item.text!r} has no correlation to give")
    if item.correlation is not None and len(path) > 1:
        raise InputError(
            f"{item.text!r} has several levels, so that it is unclear whose the correlations are",
            remedy="give that grouping as a random effect of its own",
        )
    out = []
    names = [""] * len(study)
    for depth, name in enumerate(path):
        values = _labels(name, columns, study)
        names = [f"{one}/{two}" if depth else two for one, two in zip(names, values, strict=True)]
        groups, codes = _coded(names)
        term = Term(
            "/".join(path[: depth + 1]),
            codes,
            STRUCTURES["ID"],
            ("",),
            np.zeros(1),
            np.zeros(len(study), dtype=np.intp),
            groups,
            [known[depth]],
        )
        if item.correlation is not None:
            term.share = _shared(item, values, study)
            term.codes = np.zeros(len(study), dtype=np.intp)
        out.append(term)
    return out


def _shared(item: Random, values: Sequence[str], study: Sequence[str]) -> Array:
    """Known correlations of the levels, at the rows."""
    levels = [str(level) for level in item.levels]
    r = np.asarray(item.correlation, dtype=float)
    if r.shape != (len(levels), len(levels)):
        raise InputError(
            f"correlations of shape {r.shape} for {len(levels)} levels of {item.text!r}"
        )
    unknown = sorted({v for v in values if v not in levels})
    if unknown:
        raise InputError(f"levels of {item.text!r} without correlations", unknown)
    if not np.isfinite(r).all() or not np.allclose(r, r.T) or not np.allclose(r.diagonal(), 1):
        raise InputError(
            f"the correlations of {item.text!r} are not symmetric with ones on the diagonal"
        )
    at = np.array([levels.index(v) for v in values])
    return np.asarray(r[np.ix_(at, at)])


def _within(
    item: Random,
    inner: str,
    outer: str,
    columns: Mapping[str, Sequence[Any]],
    study: Sequence[str],
) -> Term:
    if item.structure not in STRUCTURES:
        raise UnknownName("covariance structure", item.structure, STRUCTURES)
    structure = STRUCTURES[item.structure]
    groups, codes = _coded(_labels(outer, columns, study))
    raw = list(columns[inner]) if inner in columns else None
    values = _labels(inner, columns, study)
    assert raw is not None
    timed = structure.key in ("AR", "HAR", "CAR")
    if structure.key == "CAR" or (timed and all(_numeric(v) for v in raw)):
        if not all(_numeric(v) for v in raw):
            raise InputError(f"{inner!r} must be times, which are numbers, for {structure.key}")
        times = np.array([float(v) for v in raw])
        at, place = np.unique(times, return_inverse=True)
        levels = tuple(f"{t:g}" for t in at)
        if structure.key != "CAR":
            at = np.arange(len(levels), dtype=float)
    else:
        levels, place = _coded(values, ordered=True)
        at = np.arange(len(levels), dtype=float)
    if structure.key == "UN" and len(levels) == 2:
        structure = replace(STRUCTURES["HCS"], key="UN")  # the same, with its bounds in plain view
    place = place.reshape(-1).astype(np.intp)
    present = np.zeros((len(groups), len(levels)), dtype=bool)
    present[codes, place] = True
    count = present.astype(float)
    together = (count.T @ count) > 0
    term = Term(
        f"{inner} | {outer}",
        codes,
        structure,
        levels,
        at,
        place,
        groups,
        [],
        together=together,
    )
    term.known = _known_within(item, term)
    return term


def _coded(values: Sequence[str], *, ordered: bool = False) -> tuple[tuple[str, ...], Index]:
    """Levels and the code of each row: as they first appear, or in order (numbers as numbers)."""
    levels = list(dict.fromkeys(values))
    if ordered:
        try:
            levels.sort(key=float)
        except ValueError:
            levels.sort()
    place = {level: i for i, level in enumerate(levels)}
    return tuple(levels), np.array([place[v] for v in values], dtype=np.intp)


def _numeric(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and math.isfinite(float(value))


def _labels(name: str, columns: Mapping[str, Sequence[Any]], study: Sequence[str]) -> list[str]:
    if name not in columns:
        raise UnknownName("grouping", name, columns)
    values = list(columns[name])
    if len(values) != len(study):
        raise InputError(f"{name!r} has {len(values)} values for {len(study)} effects")
    missing = [
        study[i]
        for i, v in enumerate(values)
        if v is None or v == "" or (isinstance(v, (float, np.floating)) and math.isnan(v))
    ]
    if missing:
        raise InputError(
            f"{name!r} is missing",
            missing,
            remedy="say which group these effects belong to, or leave them out by name",
        )
    return [str(v) for v in values]


def _known(values: Any, count: int, what: str) -> list[float | None]:
    if values is None:
        return [None] * count
    if isinstance(values, (int, float, np.number)):
        listed: list[Any] = [values] * count
    else:
        listed = list(values)
    if len(listed) != count:
        raise InputError(f"{len(listed)} {what}, which has {count}")
    out: list[float | None] = []
    for v in listed:
        if v is None or (isinstance(v, (float, np.floating)) and math.isnan(v)):
            out.append(None)
        elif not (math.isfinite(float(v)) and float(v) >= 0):
            raise InputError(f"{what}: {v} is not a variance", remedy="give a number of at least 0")
        else:
            out.append(float(v))
    return out


def _known_within(item: Random, term: Term) -> list[float | None]:
    """Known variances and correlations in the parameters that the structure has inside."""
    structure, j = term.structure, term.size
    n = len(structure.power(j))
    if item.variance is None and item.rho is None:
        return [None] * n
    first, second = term.labels()
    variances = _known(item.variance, len(first), f"variances of {item.text!r}")
    given = [] if item.rho is None else np.atleast_1d(np.asarray(item.rho, dtype=float)).tolist()
    if given and len(given) != len(second):
        raise InputError(f"{len(given)} correlations of {item.text!r}, which has {len(second)}")
    for value in given:
        if not -1 <= value <= 1:
            raise InputError(f"rho = {value} is not between -1 and 1")
    if structure.correlations == 2:
        if len(given) != len(second) or None in variances:
            raise InputError(
                f"an unstructured covariance of {item.text!r} is known whole or not at all",
                remedy="give every variance and every correlation, or choose HCS",
            )
        r = np.eye(j)
        for value, (a, b) in zip(given, pairs(term.levels), strict=True):
            r[a, b] = r[b, a] = value
        sd = np.sqrt(np.array(variances, dtype=float))
        lowest = float(np.linalg.eigvalsh(r).min())
        if lowest < -1e-10:
            raise InputError(f"the correlations of {item.text!r} contradict each other")
        root = np.linalg.cholesky(r + max(0.0, 1e-14 - lowest) * np.eye(j)) * sd[:, None]
        return [float(v) for v in root[np.tril_indices(j)]]
    out: list[float | None] = list(variances)
    if structure.power(j)[0] == 1:
        out = [None if v is None else math.sqrt(v) for v in variances]
    if structure.correlations == 1:
        low, high = structure.bounds(j)[-1]
        if given and not low <= given[0] <= high:
            raise InputError(f"rho = {given[0]} is not between {low:g} and {high:g}")
        out.append(given[0] if given else None)
    return out
