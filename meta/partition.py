"""Where heterogeneity comes from: which studies, which groups, and how few make most of it.

All of it is found after seeing the results. A study that stands out is a reason to read its paper
again, not to leave it out (Cochrane Handbook, ch. 10).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.errors import InputError, UnknownName
from meta.fitting import check, fit, subset
from meta.influence import leave_one_out
from meta.pooling import pool
from meta.present import Presented
from meta.results import Effects, PooledEffect, show, show_p
from meta.subgroups import groups_of
from meta.tau2 import DEFAULT_TAU2

Array = NDArray[np.float64]
Index = NDArray[np.intp]
POST_HOC = "found after seeing the results: a question to the papers, not a reason to exclude"


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Contributions(Presented):
    """What each study adds to the heterogeneity, one entry per study."""

    study: tuple[str, ...]
    q: float  # of all studies
    tau2: float
    i2: float  # 0 to 1
    tau2_method: str
    q_part: Array  # w (y - mean)^2 about the common-effect mean; sums to q
    q_share: Array  # of q; NaN where q is zero
    q_fall: Array  # how much q falls without the study
    tau2_without: Array
    tau2_fall: Array
    i2_without: Array
    i2_fall: Array
    notes: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each study, the largest part of Q first."""
        names = ("q_part", "q_share", "q_fall", "tau2_without", "tau2_fall", "i2_without")
        return [
            {
                "study": self.study[i],
                **{name: float(getattr(self, name)[i]) for name in (*names, "i2_fall")},
            }
            for i in np.argsort(-self.q_part, kind="stable").tolist()
        ]


def contributions(effects: Effects, *, tau2: str = DEFAULT_TAU2) -> Contributions:
    """Each study's part of Q, and how far Q, tau2 and I2 fall without it.

    Parameters
    ----------
    tau2 : str
        Estimator, a key of ``meta.tau2.TAU2``; I2 is then that of ``meta.pooling.pool``, from tau2.

    Returns
    -------
    Contributions
        A negative fall is a rise: without that study the others agree less. ``q_fall`` is
        ``q_part`` over one minus the study's share of the weight.

    Raises
    ------
    InputError
        If there are fewer than three studies.

    References
    ----------
    Baujat, Mahé, Pignon and Hill (2002), Stat Med 21:2641-2652 (the part of Q); Higgins and
    Thompson (2002), Stat Med 21:1539-1558 (I2); Viechtbauer and Cheung (2010), Res Synth Methods
    1:112-125 (refits without a study).
    """
    check(effects, least=3)
    whole = fit(effects.yi, effects.vi, tau2=tau2)
    common = fit(effects.yi, effects.vi, tau2="EE")
    part = common.resid**2 / effects.vi
    weight = common.w / common.w.sum()
    without = leave_one_out(effects, tau2=tau2, ci="Wald")
    with np.errstate(invalid="ignore"):
        share = part / common.q if common.q > 0 else np.full(effects.k, math.nan)
    return Contributions(
        effects.study,
        common.q,
        whole.tau2.value,
        whole.i2,
        tau2,
        part,
        share,
        common.q - without.q if (1 - weight).min() < 1e-8 else part / (1 - weight),
        without.tau2,
        whole.tau2.value - without.tau2,
        without.i2,
        whole.i2 - without.i2,
        (POST_HOC,),
    )


@dataclass(frozen=True, slots=True)
class QPart:
    """One line of an analysis of Q."""

    name: str
    k: int
    q: float
    df: int
    p: float
    i2: float  # 0 to 1, (Q - df)/Q held at zero


@dataclass(frozen=True, slots=True)
class QPartition(Presented):
    """Q of all studies, split into what lies between groups and within each."""

    total: QPart
    between: QPart
    within: QPart  # all groups together
    groups: tuple[QPart, ...]
    notes: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each group, then within, between and total."""
        return [
            {"part": part.name, "k": part.k, "q": part.q, "df": part.df, "p": part.p, "i2": part.i2}
            for part in (*self.groups, self.within, self.between, self.total)
        ]

    def summary(self) -> str:
        """A line for each group, then what lies within, between and in all."""
        return "\n".join(
            f"{part.name}: Q = {show(part.q)} (df = {part.df}), {show_p(part.p)}, I² {part.i2:.0%}"
            for part in (*self.groups, self.within, self.between, self.total)
        )


def partition_q(effects: Effects, groups: Sequence[Any]) -> QPartition:
    """Split Q into parts between and within groups of studies, as in analysis of variance.

    Under the common-effect model, where the parts sum exactly. For random effects within groups
    see ``meta.subgroups.subgroups``.

    Parameters
    ----------
    groups : sequence, shape (k,)
        The group of each study; groups keep the order in which they first appear.

    Returns
    -------
    QPartition
        The test between groups takes each group as homogeneous: where Q within is large it rejects
        too often, and that of ``subgroups`` is the one to report.

    References
    ----------
    Hedges (1982), Psychol Bull 92:490-499; Hedges and Olkin (1985), Statistical Methods for
    Meta-Analysis, ch. 7.
    """
    check(effects)
    labels, names = groups_of(effects, groups)

    def part(name: str, k: int, q: float, df: int) -> QPart:
        p = float(special.chdtrc(df, q)) if df else 1.0
        return QPart(name, k, q, df, p, max(0.0, 1 - df / q) if q > 0 else 0.0)

    def q_of(keep: Any) -> float:
        return fit(effects.yi[keep], effects.vi[keep], tau2="EE").q

    inside = [
        part(name, int(own.sum()), q_of(own), int(own.sum()) - 1)
        for name in names
        for own in [labels == name]
    ]
    k, m = effects.k, len(names)
    within = math.fsum(one.q for one in inside)
    # Between from the groups' own means: a difference of two large numbers would lose its digits.
    means = [
        fit(effects.yi[labels == name], effects.vi[labels == name], tau2="EE") for name in names
    ]
    y = np.array([float(one.beta[0]) for one in means])
    v = np.array([float(one.vb[0, 0]) for one in means])
    between = fit(y, v, tau2="EE").q
    return QPartition(
        part("total", k, within + between, k - 1),
        part("between groups", m, between, m - 1),
        part("within groups", k, within, k - m),
        tuple(inside),
    )


@dataclass(frozen=True, slots=True, eq=False)  # holds results with arrays
class Removal(Presented):
    """The fewest studies without which I2 is below a threshold."""

    algorithm: str  # "sequential" or "combinatorial"
    aim: str  # "lowest" or "highest" I2 among those below
    threshold: float  # 0 to 1
    left_out: tuple[str, ...]
    i2: tuple[float, ...]  # (Q - df)/Q at first and after each study that is left out
    others: int  # further sets of the same size that also reach it
    before: PooledEffect
    after: PooledEffect
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """Three lines: what is left out, and the pool before and after."""
        if not self.left_out:
            what = f"I² = (Q − df)/Q is {self.i2[0]:.0%} with all studies"
        else:
            what = (
                f"I² = (Q − df)/Q falls from {self.i2[0]:.0%} to {self.i2[-1]:.0%} without "
                f"{', '.join(self.left_out)} ({self.algorithm})"
            )
            if self.others:
                sets = "set" if self.others == 1 else "sets"
                what += f"; {self.others} other {sets} of {len(self.left_out)} would do"
        return "\n".join(
            (what, f"all: {self.before.summary()}", f"rest: {self.after.summary()}", *self.notes)
        )

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each study left out, in order."""
        names = ("", *self.left_out) if len(self.i2) > 1 else ("",)
        return [
            {"left_out": name, "i2": value} for name, value in zip(names, self.i2, strict=False)
        ]


ALGORITHMS = ("sequential", "combinatorial")
AIMS = ("lowest", "highest")
MOST_SETS = 20_000_000  # sets of one size that are tried; some seconds
CHUNK = 200_000


def least_removal(
    effects: Effects,
    threshold: float = 0.5,
    *,
    algorithm: str = "combinatorial",
    aim: str = "lowest",
    tau2: str = DEFAULT_TAU2,
    ci: str = "auto",
) -> Removal:
    """The smallest set of studies without which I2 is below a threshold.

    Parameters
    ----------
    threshold : float
        I2 = (Q - df)/Q to fall below, 0 to 1; 0.5 and 0.25 by custom.
    algorithm : {"combinatorial", "sequential"}
        All sets of one study, of two, and so on, until one suffices; or one study after another,
        always the one whose loss lowers I2 most, which is quick at any k but may need more.
    aim : {"lowest", "highest"}
        Among sets of that size, the one that leaves the lowest I2, or the highest below the
        threshold. Sequential removal has the choice at its last step.
    tau2, ci
        As for ``meta.pooling.pool``, for the results before and after.

    Raises
    ------
    InputError
        If there are fewer than three studies, or too many sets to try them all.

    References
    ----------
    Patsopoulos, Evangelou and Ioannidis (2008), Int J Epidemiol 37:1148-1157.
    """
    check(effects, least=3)
    if not 0 < threshold <= 1:
        raise InputError(f"threshold = {threshold} is not between 0 and 1", remedy="use 0.5")
    for value, known, what in ((algorithm, ALGORITHMS, "algorithm"), (aim, AIMS, "aim")):
        if value not in known:
            raise UnknownName(what, value, known)
    sums = _Sums(effects)
    start = sums.i2(np.empty((1, 0), dtype=np.intp))
    others = 0
    if start[0] < threshold:
        out: list[int] = []
        path = [float(start[0])]
    elif algorithm == "sequential":
        out, path = _one_after_another(sums, float(start[0]), threshold, aim)
    else:
        out, others = _all_sets(sums, threshold, aim)
        # The order of largest falls, for reading only: the set is what was found.
        out, path = _ordered(sums, out, float(start[0]))
    keep = np.setdiff1d(np.arange(effects.k), out)
    before = pool(effects, tau2=tau2, ci=ci)
    return Removal(
        algorithm,
        aim,
        threshold,
        tuple(effects.study[i] for i in out),
        tuple(path),
        others,
        before,
        pool(subset(effects, keep), tau2=tau2, ci=ci) if out else before,
        (POST_HOC,) if out else (),
    )


class _Sums:
    """Q of all but some studies from three sums; effects are centred, so that digits remain."""

    def __init__(self, effects: Effects) -> None:
        self.k = effects.k
        unit = float(np.median(effects.vi))
        y = (effects.yi - np.median(effects.yi)) / math.sqrt(unit)
        w = unit / effects.vi
        self.y, self.w = y, w
        self.columns = np.stack((w, w * y, w * y * y))  # (3, k)
        self.total = self.columns.sum(1)

    def i2(self, out: Index) -> Array:
        """I2 of the rest, for each row of positions that are left out."""
        w, wy, wyy = self.total[:, None] - self.columns[:, out].sum(-1)
        df = self.k - out.shape[1] - 1
        with np.errstate(all="ignore"):
            q = wyy - wy * wy / w
            return np.where(q > 0, np.maximum(0.0, 1 - df / q), 0.0)

    def exact(self, out: Sequence[int]) -> float:
        """The same for one set, about its own mean."""
        keep = np.setdiff1d(np.arange(self.k), out)
        y, w = self.y[keep], self.w[keep]
        q = float(w @ (y - (w @ y) / w.sum()) ** 2)
        return max(0.0, 1 - (len(keep) - 1) / q) if q > 0 else 0.0


def _one_after_another(
    sums: _Sums, start: float, threshold: float, aim: str
) -> tuple[list[int], list[float]]:
    out: list[int] = []
    path = [start]
    while path[-1] >= threshold:
        rest = [i for i in range(sums.k) if i not in out]
        left = np.array([sums.exact([*out, i]) for i in rest])
        at = int(np.argmin(left))
        if left[at] < threshold:
            at = _choice(left, threshold, aim)
        out.append(rest[at])
        path.append(float(left[at]))
    return out, path


def _choice(left: Array, threshold: float, aim: str) -> int:
    """The lowest I2, or the highest that is below the threshold."""
    if aim == "lowest":
        return int(np.argmin(left))
    return int(np.argmax(np.where(left < threshold, left, -1.0)))


def _all_sets(sums: _Sums, threshold: float, aim: str) -> tuple[list[int], int]:
    for size in range(1, sums.k):
        if math.comb(sums.k, size) > MOST_SETS:
            raise InputError(
                f"leaving out {size - 1} of {sums.k} studies is not enough, and there are "
                f"{math.comb(sums.k, size):,} ways to leave out {size}",
                remedy='use algorithm="sequential"',
            )
        reached: list[tuple[float, list[int]]] = []
        count = 0
        for sets in _sets(sums.k, size):
            left = sums.i2(sets)
            below = left < threshold
            count += int(below.sum())
            if below.any():
                at = _choice(left, threshold, aim)
                reached.append((float(left[at]), sets[at].tolist()))
        if reached:
            values = np.array([value for value, _ in reached])
            return reached[_choice(values, threshold, aim)][1], count - 1
    raise AssertionError("one study alone has no heterogeneity")


def _sets(k: int, size: int) -> Iterator[Index]:
    """All sets of positions of one size, in chunks of (n, size)."""
    every = itertools.combinations(range(k), size)
    while chunk := list(itertools.islice(every, CHUNK)):
        yield np.array(chunk, dtype=np.intp)


def _ordered(sums: _Sums, out: list[int], start: float) -> tuple[list[int], list[float]]:
    done: list[int] = []
    path = [start]
    left = list(out)
    while left:
        values = [sums.exact([*done, i]) for i in left]
        at = int(np.argmin(values))
        path.append(values[at])
        done.append(left.pop(at))
    return done, path
