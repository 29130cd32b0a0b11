"""Sampling covariance of effects that share people, from correlations that are known or assumed.

Effects of different outcomes, times or comparisons in one study are measured in the same people, so
that their sampling errors covary. Reports seldom give the correlations; a value is assumed, and
varied (Gleser and Olkin 2009, in The Handbook of Research Synthesis, ch. 19; Hedges, Tipton and
Johnson 2010, Res Synth Methods 1:39-65).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.dependent.blocks import BlockCovariance
from meta.errors import InputError, UnknownName
from meta.frames import fitted_to, is_absent
from meta.results import Effects

Array = NDArray[np.float64]


def covariance(
    effects: Effects,
    *,
    cluster: Any = None,
    subgroup: Any = None,
    obs: Any = None,
    type: Any = None,
    time1: Any = None,
    time2: Any = None,
    grp1: Any = None,
    grp2: Any = None,
    w1: Any = None,
    w2: Any = None,
    rho: Any = None,
    phi: float | None = None,
    data: Mapping[str, Any] | None = None,
    nearest: bool = False,
) -> BlockCovariance:
    """The sampling covariance of k effects, block by block.

    Each column is an array of shape (k,), or its name in ``data``.

    Parameters
    ----------
    cluster
        Effects of different clusters are independent; ``effects.cluster`` if left out.
    subgroup
        Separate samples of people within a cluster, which are independent too.
    obs
        Different measurements of the same kind: correlated ``rho`` if they differ.
    type
        Different constructs: correlated ``rho`` if they differ. With ``obs`` too, ``rho`` is a
        pair: first within a construct, then between constructs.
    time1, time2
        Times of measurement: correlated ``phi ** |difference|``. ``time2`` where an effect is a
        change or a contrast between two times.
    grp1, grp2, w1, w2
        The two groups that an effect compares and their sizes (or precisions; equal if left out).
        Effects that share a group covary: with a shared control of the same size by one half.
        Without ``grp2`` all effects of a cluster have the same comparator.
    rho : float, pair, or mapping of pairs of levels to float
        Assumed correlation. A mapping such as ``{("recall", "recognition"): 0.4}`` gives each pair
        its own.
    phi : float
        Correlation of measurements one unit of time apart.
    nearest : bool
        Replace correlations that contradict each other by the nearest possible ones, by cutting
        eigenvalues off at zero and rescaling; refused otherwise. Noted in the result.

    Raises
    ------
    InputError
        If a correlation is needed and absent or out of range, or correlations contradict each
        other; names the cluster.
    """
    k = effects.k
    take = _taker(effects, data)
    clusters = take("cluster", cluster, required=True) or list(effects.cluster)
    columns = {
        "subgroup": take("subgroup", subgroup),
        "obs": take("obs", obs),
        "type": take("type", type),
        "grp1": take("grp1", grp1),
        "grp2": take("grp2", grp2),
    }
    times = {name: take(name, c) for name, c in (("time1", time1), ("time2", time2))}
    weights = {name: take(name, c) for name, c in (("w1", w1), ("w2", w2))}
    _together(columns, times, weights)
    correlate = _correlation(columns, rho)
    decay = _decay(times, phi, effects.study)
    sizes = {name: _positive(name, c, effects.study) for name, c in weights.items() if c}
    where: dict[str, list[int]] = {}
    for i in range(k):
        key = str(clusters[i])
        if columns["subgroup"]:
            key += f" / {columns['subgroup'][i]}"
        where.setdefault(key, []).append(i)
    rows, values, mended = [], [], []
    for key, at in where.items():
        n = len(at)
        r = np.eye(n)
        for a in range(n):
            for b in range(a):
                i, j = at[a], at[b]
                r[a, b] = r[b, a] = correlate(i, j) * _shared(i, j, columns, decay, sizes)
        if n > 1:
            low = float(np.linalg.eigvalsh(r).min())
            if low < -1e-10 or (low < 1e-12 and nearest):
                if not nearest:
                    raise InputError(
                        "the assumed correlations contradict each other",
                        [f"{key}: {', '.join(effects.study[i] for i in at)}"],
                        remedy="lower them, or ask for the nearest possible ones with nearest=True",
                    )
                r = _nearest(r)
                mended.append(key)
        sd = np.sqrt(effects.vi[at])
        rows.append(np.array(at))
        values.append(r * np.outer(sd, sd))
    notes = []
    if rho is not None:
        notes.append(f"sampling correlation assumed: rho = {rho}")
    if phi is not None:
        notes.append(f"autocorrelation assumed: phi = {phi}")
    if mended:
        notes.append(f"correlations replaced by the nearest possible ones in {', '.join(mended)}")
    return BlockCovariance(k, tuple(rows), tuple(values), tuple(notes))


def _taker(effects: Effects, data: Mapping[str, Any] | None) -> Callable[..., list[Any]]:
    def take(name: str, column: Any, *, required: bool = False) -> list[Any]:
        if column is None:
            return []
        if isinstance(column, str):
            if data is None or column not in data:
                raise UnknownName("column in the data", column, map(str, data or ()))
            column = data[column]
        values = list(fitted_to(column, effects.k, effects.dropped))
        if len(values) != effects.k:
            raise InputError(f"{name} has {len(values)} values for {effects.k} effects")
        missing = [effects.study[i] for i, v in enumerate(values) if is_absent(v)]
        if missing:
            raise InputError(
                f"{name} is missing", missing, remedy="complete it, or leave these effects out"
            )
        return values

    return take


def _together(
    columns: Mapping[str, list[Any]],
    times: Mapping[str, list[Any]],
    weights: Mapping[str, list[Any]],
) -> None:
    """Refuse what has no meaning alone."""
    if columns["grp2"] and not columns["grp1"]:
        raise InputError("grp2 needs grp1", remedy="give both groups of each effect")
    if times["time2"] and not (times["time1"] and columns["grp1"]):
        raise InputError("time2 needs time1, and grp1 that says what is compared")
    if bool(weights["w1"]) != bool(weights["w2"]):
        raise InputError("w1 and w2 go together", remedy="give the sizes of both groups")
    if weights["w1"] and not columns["grp1"]:
        raise InputError("w1 and w2 need grp1")


def _correlation(columns: Mapping[str, list[Any]], rho: Any) -> Callable[[int, int], float]:
    """The correlation that obs and type give a pair of effects."""
    obs, kind = columns["obs"], columns["type"]
    if not obs and not kind:
        if rho is not None:
            raise InputError(
                "rho is the correlation of effects of different obs or type",
                remedy="say with obs or type which effects differ",
            )
        return lambda i, j: 1.0
    if rho is None:
        raise InputError(
            "no correlation is given", remedy="give rho, such as 0.6, and vary it afterwards"
        )
    pairs: dict[frozenset[str], float] = {}
    within = between = math.nan
    if isinstance(rho, Mapping):
        pairs = {frozenset(map(str, key)): float(value) for key, value in rho.items()}
    elif obs and kind:
        both = np.atleast_1d(np.asarray(rho, dtype=float))
        if both.shape != (2,):
            raise InputError(
                "with obs and type, rho is a pair: within a type, between types",
                [f"rho = {rho}"],
            )
        within, between = float(both[0]), float(both[1])
    else:
        within = between = float(rho)
    for value in [*pairs.values(), *(v for v in (within, between) if not math.isnan(v))]:
        if not -1 <= value <= 1:
            raise InputError(f"rho = {value} is not between -1 and 1")

    def of_pair(one: Any, two: Any) -> float:
        key = frozenset((str(one), str(two)))
        if key not in pairs:
            raise InputError(f"no correlation is given for {one} and {two}")
        return pairs[key]

    def correlate(i: int, j: int) -> float:
        if kind and kind[i] != kind[j]:
            return of_pair(kind[i], kind[j]) if pairs else between
        if obs and obs[i] != obs[j]:
            return of_pair(obs[i], obs[j]) if pairs else within
        return 1.0

    return correlate


def _decay(
    times: Mapping[str, list[Any]], phi: float | None, study: Sequence[str]
) -> Callable[[int, int, int, int], float]:
    """Correlation of two measurements by their distance in time."""
    if not times["time1"]:
        if phi is not None:
            raise InputError("phi needs time1")
        return lambda i, one, j, two: 1.0
    if phi is None:
        raise InputError("times need phi, the correlation one unit of time apart")
    if not 0 <= phi <= 1:
        raise InputError(f"phi = {phi} is not between 0 and 1")
    numbers = []
    for name in ("time1", "time2"):
        column = times[name] or times["time1"]
        try:
            numbers.append(np.array([float(v) for v in column]))
        except (TypeError, ValueError):
            raise InputError(f"{name} must be numbers") from None
    if not all(np.isfinite(n).all() for n in numbers):
        raise InputError("times must be finite", [study[i] for i in range(len(study))])

    def decay(i: int, one: int, j: int, two: int) -> float:
        return float(phi ** abs(numbers[one][i] - numbers[two][j]))

    return decay


def _positive(name: str, column: list[Any], study: Sequence[str]) -> Array:
    out = np.array([float(v) for v in column])
    bad = np.flatnonzero(~(np.isfinite(out) & (out > 0)))
    if len(bad):
        raise InputError(f"{name} must be positive", [f"{study[int(i)]}: {out[i]}" for i in bad])
    return out


def _shared(
    i: int,
    j: int,
    columns: Mapping[str, list[Any]],
    decay: Callable[[int, int, int, int], float],
    sizes: Mapping[str, Array],
) -> float:
    """The part of the correlation that shared groups and times give.

    An effect is the first group's quantity less the second's, with variances 1/w; quantities of one
    group at two times correlate by ``decay`` (Gleser and Olkin 2009, sec. 19.3).
    """
    one = columns["grp1"]
    if not one:
        return decay(i, 0, j, 0)
    two = columns["grp2"] or [""] * len(one)

    def w(which: int, row: int) -> float:
        column = sizes.get(f"w{which + 1}")
        return 1.0 if column is None else float(column[row])

    groups = (one, two)
    total = 0.0
    for a in (0, 1):
        for b in (0, 1):
            if groups[a][i] == groups[b][j]:
                sign = 1.0 if a == b else -1.0
                total += sign * decay(i, a, j, b) / math.sqrt(w(a, i) * w(b, j))
    size = math.sqrt((1 / w(0, i) + 1 / w(1, i)) * (1 / w(0, j) + 1 / w(1, j)))
    return total / size


def _nearest(r: Array) -> Array:
    """A correlation matrix near one that is not: eigenvalues cut off, diagonal back to one."""
    values, vectors = np.linalg.eigh(r)
    cut = (vectors * np.maximum(values, 1e-8 * values.max())) @ vectors.T
    sd = np.sqrt(cut.diagonal())
    return np.asarray(cut / np.outer(sd, sd))
