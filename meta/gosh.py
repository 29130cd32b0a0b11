"""Graphical display of study heterogeneity: the pooled effect of every subset of studies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.batch import fits, in_chunks, scaled
from meta.batch_rows import Subsets, all_subsets, chunks
from meta.errors import InputError
from meta.fitting import check, method_of
from meta.present import Presented, Table, table_of
from meta.results import DASH, Effects, show
from meta.tau2 import DEFAULT_TAU2

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

ALL_UP_TO = 20  # studies: 1,048,575 subsets
SAMPLED = 1_000_000  # subsets above that
MIXTURE_POINTS = 20_000  # subsets from which clusters are learnt
APART = 2.0  # Ashman's D from which two clusters are clearly apart
LEAST_SHARE = 0.05  # of the subsets; a smaller cluster is a tail
MIXTURE_FLOOR = 0.01  # least variance of a cluster, in units of the whole cloud's
MIXTURE_ROUNDS = 200


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class GoshResult(Presented):
    """Pooled effects of n subsets of k studies; effects on the analysis scale."""

    effects: Effects
    model: str  # "random" or "common"
    tau2_method: str  # "" for the common-effect model
    every: bool  # all subsets, or a sample
    included: Flags  # (n, k) who is in
    size: NDArray[np.int_]  # (n,)
    estimate: Array  # (n,)
    se: Array  # (n,) Wald
    tau2: Array  # (n,) zero under the common-effect model
    q: Array  # (n,)
    i2: Array  # (n,) 0 to 1
    h2: Array  # (n,) for EE and DL Q/(k - 1); otherwise 1 + tau2/typical variance

    @property
    def n(self) -> int:
        return len(self.estimate)

    def without(self, study: str) -> Flags:
        """Which subsets lack a study."""
        return ~self.included[:, self.effects.study.index(study)]

    def summary(self) -> str:
        """One line: how far the pooled effect and I² move over the subsets."""
        natural = self.effects.measure.natural
        low, mid, high = natural(np.quantile(self.estimate, (0.025, 0.5, 0.975)))
        least, most = self.i2.min(), self.i2.max()
        which = "all" if self.every else "sampled"
        return (
            f"GOSH, {self.effects.k} studies, {self.n:,} subsets ({which}): "
            f"{self.effects.measure.label} median {show(mid)} (middle 95% {show(low)} to "
            f"{show(high)}), I² {least:.0%} to {most:.0%}"
        )

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each subset."""
        names = self.effects.study
        return [
            {
                "studies": "; ".join(itertools.compress(names, self.included[i])),
                "k": int(self.size[i]),
                "estimate": float(self.estimate[i]),
                "se": float(self.se[i]),
                "tau2": float(self.tau2[i]),
                "q": float(self.q[i]),
                "i2": float(self.i2[i]),
            }
            for i in range(self.n)
        ]

    def _tables(self) -> tuple[Table, ...]:
        """Quantiles over the subsets: there may be a million rows."""
        shares = (0.0, 0.025, 0.25, 0.5, 0.75, 0.975, 1.0)
        columns = ("estimate", "tau2", "i2")
        found = np.array([np.quantile(getattr(self, name), shares) for name in columns]).T
        rows = [
            {"quantile": f"{share:.1%}", **dict(zip(columns, row, strict=True))}
            for share, row in zip(shares, found.tolist(), strict=True)
        ]
        return (table_of(self.summary(), rows),)

    def __str__(self) -> str:
        return self.summary()


def gosh(
    effects: Effects,
    *,
    model: str = "random",
    tau2: str = DEFAULT_TAU2,
    subsets: int | None = None,
    least: int = 1,
    rng: np.random.Generator | int | None = None,
    workers: int = 1,
) -> GoshResult:
    """Pool every subset of the studies, or a random sample of the subsets.

    Parameters
    ----------
    effects : Effects
        k studies.
    tau2 : str
        Estimator; "REML" and "DL" (and the common-effect model) take about a microsecond a
        subset, others a tenth of a millisecond.
    subsets : int, optional
        How many subsets to draw. By default all of them up to k = 20 and a million above.
    least : int
        Smallest subset; a study alone counts as a subset of heterogeneity zero.
    rng : numpy.random.Generator or int, optional
        Source of randomness, or a seed for one, needed where subsets are drawn (each subset of at
        least ``least`` studies is equally likely).
    workers : int
        Threads; the result does not depend on them.

    Raises
    ------
    InputError
        If effects are unusable, or subsets are to be drawn without ``rng``.

    References
    ----------
    Olkin, Dahabreh and Trikalinos (2012), Res Synth Methods 3:214-223.
    """
    check(effects)
    method = method_of(model, tau2)
    k = effects.k
    if not 1 <= least <= k:
        raise InputError(f"least = {least} is not between 1 and the {k} studies")
    if subsets is not None and subsets < 1:
        raise InputError(f"subsets = {subsets} is not positive")
    every = subsets is None and k <= ALL_UP_TO
    y, v, centre, unit = scaled(effects.yi, effects.vi)
    whole = every and least == 1
    if every:
        included = _members(k)
        if not whole:
            included = included[included.sum(1) >= least]
    else:
        if rng is None:
            raise InputError(
                f"{k} studies have too many subsets to take all"
                if subsets is None
                else "a sample of subsets needs a source of randomness",
                remedy="pass a seed, rng=1",
            )
        source = np.random.default_rng(rng)
        included = _drawn_subsets(k, least, SAMPLED if subsets is None else subsets, source)
    n = len(included)
    parts = all_subsets(y, v) if whole else _parts(y, v, included)
    size = np.empty(n, dtype=int)
    estimate, se, t, q, i2, h2 = np.empty((6, n))

    def pool_part(part: tuple[slice, Subsets]) -> None:
        at, rows = part
        found = fits(rows, method)
        size[at] = rows.n
        np.multiply(found.beta[:, 0], unit, out=estimate[at])
        estimate[at] += centre
        np.sqrt(found.covariance[:, 0, 0], out=se[at])
        se[at] *= unit
        np.multiply(found.tau2, unit**2, out=t[at])
        q[at] = found.q
        i2[at], h2[at] = _heterogeneity(method, rows.n, found.q, found.tau2, found.typical_v)

    in_chunks(pool_part, parts, workers)
    columns: tuple[NDArray[Any], ...] = included, size, estimate, se, t, q, i2, h2
    if whole:  # the first is the empty set
        columns = tuple(column[1:] for column in columns)
    return GoshResult(effects, model, "" if method == "EE" else method, every, *columns)


def _members(k: int) -> Flags:
    """Row c has the studies whose bits are in c; each half repeats the half before."""
    included = np.zeros((2**k, k), dtype=bool)
    for j in range(k):
        half = 2**j
        included[half : 2 * half, :j] = included[:half, :j]
        included[half : 2 * half, j] = True
    return included


def _parts(y: Array, v: Array, included: Flags) -> Iterator[tuple[slice, Subsets]]:
    for at in chunks(*included.shape):
        yield at, Subsets(y, v, included[at].T.astype(float))


def _drawn_subsets(k: int, least: int, n: int, rng: np.random.Generator) -> Flags:
    """Subsets of at least ``least`` studies, each equally likely: first its size, then who."""
    sizes = np.arange(least, k + 1)
    logs = np.array(
        [math.lgamma(k + 1) - math.lgamma(m + 1) - math.lgamma(k - m + 1) for m in sizes]
    )
    share = np.exp(logs - logs.max())
    size = rng.choice(sizes, size=n, p=share / share.sum())
    included = np.empty((n, k), dtype=bool)
    for at in chunks(n, k):
        rank = rng.random((at.stop - at.start, k)).argsort(1).argsort(1)
        included[at] = rank < size[at, None]
    return included


def _heterogeneity(
    method: str, size: Array, q: Array, t: Array, typical: Array
) -> tuple[Array, Array]:
    free = size - 1
    alone = free == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        if method in ("EE", "DL"):  # the same as below where tau2 > 0
            h2 = np.where(alone, 1.0, q / free)
            return np.where(alone, 0.0, np.maximum(1 - 1 / h2, 0.0)), h2
        h2 = np.where(alone, 1.0, 1 + t / typical)
    return 1 - 1 / h2, h2


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class GoshClusters(Presented):
    """Clusters of a GOSH cloud, and which studies make them."""

    label: NDArray[np.int_]  # (n,) cluster of each subset, by rising estimate
    centre: Array  # (m, 2) mean estimate and I² of each cluster
    share: Array  # (m, k) how many of its subsets hold each study, 0 to 1
    separation: float  # least Ashman's D between two clusters; NaN for one cluster
    outliers: tuple[str, ...]  # studies that decide into which cluster a subset falls
    difference: float  # of shares from which a study counts as an outlier

    @property
    def m(self) -> int:
        return len(self.centre)

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each cluster."""
        return [
            {
                "cluster": j + 1,
                "subsets": int((self.label == j).sum()),
                "estimate": float(self.centre[j, 0]),
                "i2": float(self.centre[j, 1]),
            }
            for j in range(self.m)
        ]

    def summary(self) -> str:
        """One line: how many clusters, how far apart, and the studies behind them."""
        if self.m == 1:
            return "The GOSH cloud is one cluster"
        names = ", ".join(self.outliers) or DASH
        return (
            f"The GOSH cloud has {self.m} clusters (separation D = {show(self.separation, 1)}); "
            f"they differ by: {names}"
        )

    def __str__(self) -> str:
        return self.summary()


def gosh_clusters(
    result: GoshResult, *, most: int = 3, difference: float = 0.8, least: int = 2
) -> GoshClusters:
    """Find clusters in the plane of pooled effect and I², and the studies that make them.

    A mixture of normal distributions is fitted to the standardised cloud by the EM algorithm. The
    largest number of clusters (up to ``most``) counts of which every pair is apart by Ashman's
    D >= 2 (below, a mixture of two normals has one mode) and none holds less than a twentieth. A
    study is named if its share of the subsets differs between clusters by ``difference`` or more:
    it nearly decides by itself where a subset falls. Without clusters the share is one half.

    A hint for a closer look, no test: clouds of few studies fall apart by chance, and one very
    precise study splits a cloud as an outlier does.

    Parameters
    ----------
    least : int
        Smaller subsets are left out of the fit: a study alone has no heterogeneity.

    References
    ----------
    Ashman, Bird and Zepf (1994), Astron J 108:2348-2361; Olkin, Dahabreh and Trikalinos
    (2012) for reading a GOSH plot by colouring the subsets that hold a study.
    """
    if most < 1:
        raise InputError(f"most = {most} is not positive")
    points = np.stack((result.estimate, result.i2), axis=1)
    spread = points.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    cloud = (points - points.mean(0)) / spread
    fit_on = np.flatnonzero(result.size >= least)
    if len(fit_on) > MIXTURE_POINTS:
        at = np.linspace(0, len(fit_on) - 1, MIXTURE_POINTS).round().astype(int)
        fit_on = fit_on[at]
    label = np.zeros(result.n, dtype=int)
    separation = math.nan
    for m in range(2, most + 1):
        if len(fit_on) < 10 * m:
            break
        means, covariances, shares = _mixture(cloud[fit_on], result.included[fit_on], m)
        apart = _least_separation(means, covariances)
        if not (apart >= APART and shares.min() >= LEAST_SHARE):
            continue
        order = np.argsort(means[:, 0])
        logs = _log_densities(cloud, means[order], covariances[order], shares[order])
        label, separation = logs.argmax(0), apart
    groups = range(int(label.max()) + 1)
    share = np.array([_mean(result.included[label == g]) for g in groups])
    centre = np.array([_mean(points[label == g]) for g in groups])
    differs = share.max(0) - share.min(0) >= difference
    outliers = tuple(itertools.compress(result.effects.study, differs)) if len(share) > 1 else ()
    return GoshClusters(label, centre, share, separation, outliers, difference)


def _mean(rows: NDArray[Any]) -> Array:
    return np.asarray(rows.mean(0)) if len(rows) else np.full(rows.shape[1], math.nan)


def _mixture(cloud: Array, included: Flags, m: int) -> tuple[Array, Array, Array]:
    """Best of three EM fits: started along the main axis, and from who moves the cloud most."""
    axis = np.linalg.eigh(np.cov(cloud.T) + 1e-12 * np.eye(2))[1][:, -1]
    starts = [_quantile_groups(cloud @ axis, m), _quantile_groups(cloud[:, 0], m)]
    inside = included.sum(0)
    moves = np.zeros(included.shape[1])
    for j in np.flatnonzero((inside > 0) & (inside < len(included))):
        with_j = included[:, j]
        moves[j] = np.abs(cloud[with_j].mean(0) - cloud[~with_j].mean(0)).max()
    starts.append(included[:, np.argsort(-moves)[: m - 1]].sum(1))
    best: tuple[float, tuple[Array, Array, Array]] | None = None
    for groups in starts:
        if np.bincount(groups, minlength=m).min() < 3:
            continue
        height, parts = _em(cloud, groups, m)
        if best is None or height > best[0]:
            best = height, parts
    assert best is not None  # quantile groups are never empty
    return best[1]


def _quantile_groups(x: Array, m: int) -> NDArray[np.int_]:
    return np.asarray(x.argsort().argsort() * m // len(x))


def _em(cloud: Array, groups: NDArray[np.int_], m: int) -> tuple[float, tuple[Array, Array, Array]]:
    weight = (groups == np.arange(m)[:, None]).astype(float)
    height = -math.inf
    for _ in range(MIXTURE_ROUNDS):
        total = weight.sum(1) + 1e-9
        shares = total / total.sum()
        means = weight @ cloud / total[:, None]
        away = cloud - means[:, None]
        covariances = np.swapaxes(away * weight[:, :, None], 1, 2) @ away / total[:, None, None]
        covariances += MIXTURE_FLOOR * np.eye(2)
        logs = _log_densities(cloud, means, covariances, shares)
        top = logs.max(0)
        weight = np.exp(logs - top)
        sums = weight.sum(0)
        weight /= sums
        before, height = height, float((top + np.log(sums)).sum())
        if height - before <= 1e-6 * len(cloud):
            break
    return height, (means, covariances, shares)


def _log_densities(cloud: Array, means: Array, covariances: Array, shares: Array) -> Array:
    """(m, n) log density of each point in each cluster, but for a constant."""
    rows = []
    for mean, covariance, share in zip(means, covariances, shares, strict=True):
        z = np.linalg.solve(np.linalg.cholesky(covariance), (cloud - mean).T)
        rows.append(np.log(share) - 0.5 * np.linalg.slogdet(covariance)[1] - 0.5 * (z * z).sum(0))
    return np.array(rows)


def _least_separation(means: Array, covariances: Array) -> float:
    """Least Ashman's D = sqrt(2) |m1 - m2| / sqrt(s1^2 + s2^2) along the line between centres."""
    least = math.inf
    for i, j in itertools.combinations(range(len(means)), 2):
        line = means[i] - means[j]
        away = float(line @ line)
        spread = float(line @ (covariances[i] + covariances[j]) @ line)
        least = min(least, math.sqrt(2) * away / math.sqrt(spread) if away > 0 else 0.0)
    return least
