"""Everything that refits many times beside metafor and PyMARE: GOSH, bootstrap, permutation, LOO.

CPU time of one thread, median of several repetitions; ours with its whole result. metafor is timed
on fewer subsets, resamples or permutations of the same studies and its time per fit multiplied:
the column "timed" says how many. It has no bootstrap of its own: ``rma`` is called in a plain loop,
which is the least that any bootstrap of it takes. PyMARE fits parallel data sets in one call.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.meta import _peers
from benchmarks.meta._peers import Run, cpu, figure, metafor, show, studies
from meta import given
from meta.gosh import gosh
from meta.influence import cumulative, influence, leave_one_out
from meta.resampling import bootstrap, permutation_test

Array = NDArray[np.float64]
SUBSETS = {"DL": 20_000, "REML": 600}  # that metafor fits, or all where there are fewer
REFITS = 150  # of a bootstrap in R
PERMUTED = 500  # permutations in R
DRAWS = 10_000
GRID = 60  # points of a search for every root of a subset's score
CLOSE = 1e-12  # relative width at which a bisection ends
CELLS = 2_000_000  # studies times subsets of one bisection


class Task(NamedTuple):
    """A task of ours, the same for metafor, and how many fits each makes."""

    name: str
    fits: int
    ours: Run
    y: Array
    v: Array
    call: str  # R code; its first number is how many fits it made
    peer: Callable[[], Run] | None = None


def run() -> None:
    """Print the tables."""
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the peers
        version = _peers.r_version()
        print(f"   {version}" if version else "   R with metafor is absent and left out")
        has_pymare = _has_pymare()
        rows = [_row(task, bool(version), has_pymare) for task in _tasks()]
        print(
            "\n   CPU milliseconds of the whole task, fits per second, and how many times as fast"
        )
        heads = ["task", "fits", "ours ms", "fits/s", "metafor ms", "timed", "ratio"]
        show([*heads, "PyMARE ms", "ratio"] if has_pymare else heads, rows)
        print("\n   GOSH by REML against a bisection of each subset's score to 1e-12")
        show(["k", "subsets", "tau2 > 0", "largest difference", "relative"], _right())


def _tasks() -> Iterator[Task]:
    for k in (12, 14, 18):
        y, v = studies(k)
        for method in ("DL", "REML"):
            yield Task(
                f"GOSH {method}, k={k}",
                2**k - 1,
                partial(gosh, given(y, v), tau2=method),
                y,
                v,
                f'found <- gosh(rma(yi, vi, data=data, method="{method}"), '
                f"subsets={SUBSETS[method]}, progbar=FALSE); nrow(found$res)",
            )
    for k in (20, 100):
        y, v = studies(k)
        for method in ("DL", "REML"):
            yield Task(
                f"bootstrap {method}, k={k}",
                DRAWS,
                partial(bootstrap, given(y, v), tau2=method, draws=DRAWS, rng=1),
                y,
                v,
                f'own <- rma(yi, vi, data=data, method="{method}"); '
                f"for (i in 1:{REFITS}) {{ drawn <- rnorm({k}, own$beta[1], "
                f"sqrt(data$vi + own$tau2)); "
                f'try(rma(drawn, data$vi, method="{method}"), silent=TRUE) }}; {REFITS}',
                partial(_pymare, y, v) if method == "REML" else None,
            )
    y, v = studies(13)
    for method in ("DL", "REML"):
        yield Task(
            f"permutation {method}, 2^13",
            2**13,
            partial(permutation_test, given(y, v), tau2=method),
            y,
            v,
            f'permutest(rma(yi, vi, data=data, method="{method}"), exact=FALSE, '
            f"iter={PERMUTED}, progbar=FALSE); {PERMUTED}",
        )
    for k in (13, 50):
        y, v = studies(k)
        effects = given(y, v)
        refits: tuple[tuple[str, Callable[..., Any], str], ...] = (
            ("leave one out", leave_one_out, "leave1out"),
            ("cumulative", cumulative, "cumul"),
            ("influence", influence, "influence"),
        )
        for name, ours, call in refits:
            yield Task(
                f"{name} REML, k={k}",
                k,
                partial(ours, effects),
                y,
                v,
                f"{call}(rma(yi, vi, data=data)); {k}",
            )


def _row(task: Task, has_r: bool, has_pymare: bool) -> list[str]:
    ours = cpu(task.ours)
    theirs, timed = None, "–"
    if has_r:
        found = metafor(task.call, {"yi": task.y, "vi": task.v}, repeats=3, least=0.2)
        if found:
            seconds, (fits, *_) = found
            theirs, timed = seconds / fits * task.fits, f"{fits:,.0f}"
    row = [
        task.name,
        f"{task.fits:,}",
        figure(1000 * ours),
        figure(task.fits / ours),
        figure(theirs and 1000 * theirs),
        timed,
        figure(theirs and theirs / ours),
    ]
    if not has_pymare:
        return row
    peer = cpu(task.peer(), repeats=3) if task.peer else None
    return [*row, figure(peer and 1000 * peer), figure(peer and peer / ours)]


def _has_pymare() -> bool:
    try:
        import pymare  # noqa: F401
    except ImportError:
        print("   PyMARE is not installed and left out")
        return False
    return True


def _pymare(y: Array, v: Array) -> Run:
    """As many data sets as a bootstrap has, in parallel; drawing them is not counted."""
    from pymare import Dataset
    from pymare.estimators import VarianceBasedLikelihoodEstimator

    drawn = np.random.default_rng(1).normal(y.mean(), np.sqrt(v + 0.1)[:, None], (len(y), DRAWS))
    data = Dataset(drawn, np.repeat(v[:, None], DRAWS, axis=1))
    return lambda: VarianceBasedLikelihoodEstimator(method="REML").fit_dataset(data).summary()


def _right() -> Iterator[list[str]]:
    for k in (12, 14, 18):
        y, v = studies(k)
        found = gosh(given(y, v), least=2)
        size = CELLS // k
        far = away = 0.0
        for first in range(0, found.n, size):
            at = slice(first, first + size)
            want = bisected(y, v, found.included[at])
            gap = np.abs(found.tau2[at] - want)
            far, away = max(far, float(gap.max())), max(away, float((gap / (want + v.min())).max()))
        yield [
            str(k),
            f"{found.n:,}",
            f"{(found.tau2 > 0).mean():.0%}",
            f"{far:.1e}",
            f"{away:.1e}",
        ]


def bisected(y: Array, v: Array, included: NDArray[np.bool_]) -> Array:
    """REML estimates of tau2 for subsets (n, k) in the plainest way.

    The score y'PPy - tr P (Harville 1977) is evaluated on a grid from zero to where it surely is
    negative, each of its changes from plus to minus is bisected, and of several such roots, and of
    zero where the score is negative there, the one of highest likelihood counts.
    """
    y = y - y.mean()
    top = np.ptp(y) ** 2 + v.max()
    grid = np.concatenate(([0.0], np.geomspace(v.min() / 100, top, GRID)))
    n = len(included)
    scores = np.array([_score(y, v, included, np.full(n, t)) for t in grid])
    falls = (scores[:-1] > 0) & (scores[1:] <= 0)
    best = np.zeros(n)
    height = np.where(scores[0] <= 0, _height(y, v, included, best), -np.inf)
    for j in np.flatnonzero(falls.any(1)):
        rows = np.flatnonzero(falls[j])
        low, high = np.full(len(rows), grid[j]), np.full(len(rows), grid[j + 1])
        while np.any(high - low > CLOSE * (high + v.min())):
            middle = (low + high) / 2
            above = _score(y, v, included[rows], middle) > 0
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        root = (low + high) / 2
        there = _height(y, v, included[rows], root)
        higher = there > height[rows]
        best[rows[higher]], height[rows[higher]] = root[higher], there[higher]
    return best


def _weights(v: Array, included: NDArray[np.bool_], t: Array) -> Array:
    return np.where(included, 1 / (v + t[:, None]), 0.0)


def _score(y: Array, v: Array, included: NDArray[np.bool_], t: Array) -> Array:
    w = _weights(v, included, t)
    total = w.sum(1)
    u = w * (y - ((w @ y) / total)[:, None])
    return np.asarray((u * u).sum(1) - total + (w * w).sum(1) / total)


def _height(y: Array, v: Array, included: NDArray[np.bool_], t: Array) -> Array:
    w = _weights(v, included, t)
    total = w.sum(1)
    e = y - ((w @ y) / total)[:, None]
    logs = np.log(np.where(included, v + t[:, None], 1.0)).sum(1)
    return np.asarray(-0.5 * (logs + np.log(total) + (w * e * e).sum(1)))
