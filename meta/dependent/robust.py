"""Standard errors, tests and intervals that hold where the covariance of the effects is guessed.

Effects that share people are dependent in ways that papers seldom report. Cluster-robust inference
takes the fitted model as a working guess and lets the residuals of whole clusters speak; with few
clusters the guess still serves to remove the bias and to count the degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.dependent.sandwich import Moments, expected, sandwich, total_variance
from meta.dependent.working import Working, working_of
from meta.errors import InputError, UnknownName
from meta.fitting import check_level
from meta.moderators import INTERCEPT
from meta.present import Presented, Table, counted, show, show_p, table_of
from meta.results import Effects

Array = NDArray[np.float64]
Index = NDArray[np.intp]
NAN = math.nan

KINDS = ("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3")
DF = ("Satterthwaite", "m-p", "m-1", "normal")
HTZ = "approximate Hotelling T²"
MISSING = {"", "nan", "NaN", "None", "<NA>", "NaT"}  # how absent labels look once they are text
SINGULAR = 1e-12  # reciprocal condition of a correlation matrix that cannot be inverted
FEW = 4  # degrees of freedom; below, type I error is not controlled (Tipton 2015)


@dataclass(frozen=True, slots=True)
class JointTest(Presented):
    """A test that several combinations of coefficients all have given values."""

    coefficients: tuple[str, ...]
    statistic: float  # F, or chi-squared where df_2 is None
    df_1: int
    df_2: float | None
    p: float
    method: str

    def summary(self) -> str:
        """One line: ``F = 4.78 (df = 1, 9.9), p = 0.054``."""
        df = f"{self.df_1}" if self.df_2 is None else f"{self.df_1}, {show(self.df_2, 1)}"
        kind = "χ²" if self.df_2 is None else "F"
        return f"{kind} = {show(self.statistic)} (df = {df}), {show_p(self.p)}"

    def __str__(self) -> str:
        return self.summary()


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class RobustResult(Presented):
    """Coefficients of a model with cluster-robust inference; NaN where it is undefined."""

    effects: Effects
    names: tuple[str, ...]  # (p,)
    beta: Array  # (p,)
    se: Array  # (p,)
    statistic: Array  # (p,)
    df: Array  # (p,) of t; infinite for normal
    p: Array  # (p,)
    ci: Array  # (p, 2)
    covariance: Array  # (p, p)
    n_clusters: int
    cluster_sizes: NDArray[np.int_]  # (m,) in the order in which clusters first appear
    kind: str  # "CR0" to "CR3"
    df_method: str  # "Satterthwaite", "m-p", "m-1", "normal"
    omnibus: JointTest  # of all coefficients but the intercept
    level: float
    notes: tuple[str, ...] = ()
    moments: Moments = field(kw_only=True, repr=False)  # what ``wald`` needs for other tests

    @property
    def method(self) -> str:
        """The choices made, in words."""
        how = {
            "Satterthwaite": "Satterthwaite degrees of freedom",
            "m-p": "degrees of freedom clusters minus coefficients",
            "m-1": "degrees of freedom clusters minus one",
            "normal": "normal approximation",
        }
        return f"{self.kind}, {how[self.df_method]}"

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each coefficient."""
        return [
            {
                "coefficient": name,
                "estimate": float(self.beta[i]),
                "se": float(self.se[i]),
                "statistic": float(self.statistic[i]),
                "df": float(self.df[i]),
                "p": float(self.p[i]),
                "ci_low": float(self.ci[i, 0]),
                "ci_high": float(self.ci[i, 1]),
            }
            for i, name in enumerate(self.names)
        ]

    def summary(self) -> str:
        """A block to paste: one line a coefficient, the joint test, what it rests on."""
        lines = []
        width = max(len(name) for name in self.names)
        to = self.effects.measure.natural
        alone = self.names == (INTERCEPT,)
        for i, name in enumerate(self.names):
            low, high = self.ci[i]
            mid = float(self.beta[i])
            if alone:  # a mean effect, on the scale that people read
                text = (
                    f"{self.effects.measure.label} {show(to(mid))} ({self.level:.0%} CI "
                    f"{show(to(low))} to {show(to(high))})"
                )
            else:
                text = (
                    f"{name:<{width}}  {show(mid, 3)} ({self.level:.0%} CI {show(low, 3)} to "
                    f"{show(high, 3)})"
                )
            df = f", df {show(float(self.df[i]), 1)}" if self.df_method != "normal" else ""
            lines.append(f"{text}{df}, {show_p(float(self.p[i]))}")
        return "\n".join([*lines, *self._told()])

    def _told(self) -> list[str]:
        """What stands under the coefficients."""
        lines = []
        if self.names != (INTERCEPT,):
            lines.append(f"Test of moderators: {self.omnibus.summary()}")
        least, most = self.cluster_sizes.min(), self.cluster_sizes.max()
        sizes = f"{least}" if least == most else f"{least} to {most}"
        lines.append(
            f"Cluster-robust ({self.method}): {counted(self.effects.k, 'effect')} in "
            f"{counted(self.n_clusters, 'cluster')} of {sizes}"
        )
        return [*lines, *self.notes]

    def _tables(self) -> tuple[Table, ...]:
        caption = f"{self.effects.measure.label}, cluster-robust"
        return (table_of(caption, self.rows(), level=self.level, notes=self._told()),)

    def __str__(self) -> str:
        return self.summary()


def robust(
    result: Any,
    cluster: Any = None,
    *,
    kind: str = "CR2",
    df: str = "Satterthwaite",
    level: float = 0.95,
) -> RobustResult:
    """Cluster-robust inference for a fitted model.

    Parameters
    ----------
    result : PooledEffect, RegressionResult, a multilevel result, or Working
        Its coefficients stay as they are; its covariance of the effects is the working model.
    cluster : sequence, shape (k,), optional
        What each row belongs to; ``result.effects.cluster`` where not given. Rows of different
        clusters must be independent under the working model.
    kind : {"CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3"}
        CR2 has no bias if the working model holds. CR0 has no correction; CR1, CR1p and CR1S
        multiply it by m/(m - 1), m/(m - p) and m(k - 1)/((m - 1)(k - p)); CR3 is near to leaving
        clusters out one by one.
    df : {"Satterthwaite", "m-p", "m-1", "normal"}
        Degrees of freedom of the t tests. ``kind="CR1p", df="m-p"`` is what metafor's ``robust``
        does by default, ``kind="CR0", df="m-p"`` what it does with ``adjust=FALSE``.

    Returns
    -------
    RobustResult
        With the joint test of all coefficients but the intercept: for Satterthwaite the approximate
        Hotelling T² test (HTZ), otherwise Wald's, as F or chi-squared. A coefficient that one
        cluster alone carries has no residual to judge it by: its standard error is NaN, and a note
        names the cluster.

    Raises
    ------
    InputError
        If labels are missing, or a block of the working model straddles clusters (all are named).
    UnknownName
        If a choice is not known.

    References
    ----------
    Hedges, Tipton and Johnson (2010), Res Synth Methods 1:39-65; Bell and McCaffrey (2002), Surv
    Methodol 28:169-181; Tipton (2015), Psychol Methods 20:375-393; Tipton and Pustejovsky (2015),
    J Educ Behav Stat 40:604-634; Pustejovsky and Tipton (2018), J Bus Econ Stat 36:672-683.
    """
    if kind not in KINDS:
        raise UnknownName("kind of robust covariance", kind, KINDS)
    if df not in DF:
        raise UnknownName("degrees of freedom", df, DF)
    check_level(level)
    working = working_of(result)
    codes, labels = cluster_codes(working.effects, cluster)
    _check_blocks(working, codes, labels)
    m, k, p = len(labels), working.k, len(working.names)
    basic = "CR0" if kind.startswith("CR1") else kind
    moments = sandwich(working, codes, m, kind=basic)
    covariance = moments.covariance * _factor(kind, m, k, p)
    blind = moments.blind
    notes = list(working.notes)
    if m == 1:
        covariance = np.full((p, p), NAN)
        notes.append(
            f"all rows are in one cluster ({labels[0]}): nothing tells how clusters differ"
        )
    elif blind.any():
        covariance = covariance.copy()
        covariance[blind], covariance[:, blind] = NAN, NAN
        notes += [
            f"{working.names[i]} rests on one cluster ({labels[moments.carrier[i]]}): it has no "
            "robust standard error"
            for i in np.flatnonzero(blind)
        ]
    se = np.sqrt(np.diag(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = working.beta / se
    free = _df(df, moments, m, p, se)
    if df == "Satterthwaite" and (free < FEW).any():
        few = ", ".join(working.names[i] for i in np.flatnonzero(free < FEW))
        notes.append(f"fewer than {FEW} degrees of freedom ({few}): p-values may be too small")
    half = _quantile(level, free) * se
    return RobustResult(
        effects=working.effects,
        names=working.names,
        beta=working.beta,
        se=se,
        statistic=statistic,
        df=free,
        p=_two_sided(statistic, free),
        ci=np.stack((working.beta - half, working.beta + half), axis=1),
        covariance=covariance,
        n_clusters=m,
        cluster_sizes=np.bincount(codes),
        kind=kind,
        df_method=df,
        omnibus=_joint(
            working.beta,
            covariance,
            np.eye(p)[list(working.tested)],
            moments,
            df,
            m,
            tuple(working.names[i] for i in working.tested),
        ),
        level=level,
        notes=tuple(notes),
        moments=moments,
    )


def wald(result: RobustResult, constraint: Any, *, value: Any = 0.0) -> JointTest:
    """Test coefficients, or combinations of them, jointly.

    Parameters
    ----------
    constraint : names, positions, or array of float, shape (q, p)
        Coefficients of which all are tested, or combinations in the rows of a matrix.
    value : float or array, shape (q,)
        What they are under the hypothesis.

    Returns
    -------
    JointTest
        By the same covariance and kind of degrees of freedom as ``result``; for Satterthwaite with
        the approximate Hotelling T² test of Tipton and Pustejovsky (2015), undefined where fewer
        degrees of freedom are left than combinations are tested.
    """
    matrix, names = _constraint(result.names, constraint)
    target = np.broadcast_to(np.asarray(value, dtype=float), (len(matrix),))
    return _joint(
        result.beta,
        result.covariance,
        matrix,
        result.moments,
        result.df_method,
        result.n_clusters,
        names,
        target,
    )


def _constraint(names: tuple[str, ...], constraint: Any) -> tuple[Array, tuple[str, ...]]:
    if isinstance(constraint, str):
        constraint = (constraint,)
    items = list(constraint)
    p = len(names)
    if items and all(isinstance(item, str) for item in items):
        for item in items:
            if item not in names:
                raise UnknownName("coefficient", item, names)
        at = [names.index(item) for item in items]
        return np.eye(p)[at], tuple(items)
    array = np.asarray(items)
    if array.ndim == 1 and array.size and np.issubdtype(array.dtype, np.integer):
        if not ((array >= 0) & (array < p)).all():
            raise InputError(f"positions of coefficients must be from 0 to {p - 1}")
        return np.eye(p)[array], tuple(names[i] for i in array)
    matrix = np.asarray(items, dtype=float)
    if matrix.ndim != 2 or matrix.shape[1] != p or not matrix.size:
        raise InputError(
            f"a constraint of shape {matrix.shape} for {p} coefficients",
            remedy=f"give names, or rows of {p} numbers for {', '.join(names)}",
        )
    return matrix, tuple(_said(row, names) for row in matrix)


def _said(row: Array, names: Sequence[str]) -> str:
    """A combination in words: ``1·dose − 1·age``."""
    terms = [
        f"{show(a, 3).rstrip('0').rstrip('.')}·{n}" for a, n in zip(row, names, strict=True) if a
    ]
    return " + ".join(terms).replace("+ −", "− ") or "0"


def cluster_codes(effects: Effects, cluster: Any = None) -> tuple[Index, list[str]]:
    """Clusters as integers in order of appearance, with their labels.

    Raises
    ------
    InputError
        If there is not one label per row, or some are missing (every row is named).
    """
    study, k = effects.study, effects.k
    given = list(effects.cluster if cluster is None else cluster)
    if isinstance(cluster, str) or len(given) != k:
        count = "one name" if isinstance(cluster, str) else f"{len(given)} labels"
        raise InputError(f"{count} for the clusters of {k} rows", remedy="give one label per row")
    absent = [i for i, label in enumerate(given) if label is None or str(label) in MISSING]
    if absent:
        raise InputError(
            f"{counted(len(absent), 'row')} without a cluster",
            [f"{study[i]}: cluster is missing" for i in absent],
            remedy="say what these rows belong to; a row by itself needs a label of its own",
        )
    known: dict[Any, int] = {}
    codes = np.array([known.setdefault(label, len(known)) for label in given], dtype=np.intp)
    return codes, [str(label) for label in known]


def _check_blocks(working: Working, codes: Index, labels: Sequence[str]) -> None:
    """Refuse a working model under which rows of different clusters are correlated."""
    if not working.blocks:
        return
    size = [len(at) for at in working.blocks]
    first = np.repeat([at[0] for at in working.blocks], size)
    if (codes[np.concatenate(working.blocks)] == codes[first]).all():
        return
    study = working.effects.study
    places = [
        ", ".join(f"{study[i]} ({labels[codes[i]]})" for i in at)
        for at in working.blocks
        if (codes[at] != codes[at[0]]).any()
    ]
    raise InputError(
        "rows of different clusters are correlated under the model",
        places,
        remedy="give clusters at least as wide as the outermost random effect",
    )


def _factor(kind: str, m: int, k: int, p: int) -> float:
    """What CR0 is multiplied by; NaN where nothing is left to estimate from."""
    over = {
        "CR1": (m, m - 1),
        "CR1p": (m, m - p),
        "CR1S": (m * (k - 1), (m - 1) * (k - p)),
    }
    top, bottom = over.get(kind, (1, 1))
    return top / bottom if bottom > 0 else NAN


def _df(df: str, moments: Moments, m: int, p: int, se: Array) -> Array:
    if df == "Satterthwaite":
        free = np.array([_satterthwaite(moments, row) for row in np.eye(p)])
        return np.where(np.isnan(se), NAN, free)
    if df == "normal":
        return np.full(p, math.inf)
    left = m - p if df == "m-p" else m - 1
    return np.full(p, float(left) if left > 0 else NAN)


def _satterthwaite(moments: Moments, combination: Array) -> float:
    """2 E(V)^2/var(V) under the working model (Pustejovsky and Tipton 2018, eq. 13)."""
    mean = float(expected(moments, combination[None])[0, 0])
    spread = total_variance(moments, combination[None])
    return 2 * mean * mean / spread if spread > 0 else NAN


def _joint(
    beta: Array,
    covariance: Array,
    constraint: Array,
    moments: Moments,
    df: str,
    m: int,
    names: tuple[str, ...],
    target: Array | float = 0.0,
) -> JointTest:
    """Wald's statistic and its reference distribution."""
    q, p = constraint.shape
    touched = (constraint != 0).any(0)
    method = {"Satterthwaite": HTZ, "normal": "Wald χ²"}.get(df, "Wald F")
    v = covariance[np.ix_(touched, touched)]
    undefined = JointTest(names, NAN, q, None if df == "normal" else NAN, NAN, method)
    if np.isnan(v).any():
        return undefined
    c = constraint[:, touched]
    inner = c @ v @ c.T
    statistic = _quadratic(c @ beta[touched] - target, inner)
    if math.isnan(statistic):
        return undefined
    if df == "normal":
        return JointTest(names, statistic, q, None, float(special.chdtrc(q, statistic)), method)
    if df != "Satterthwaite":
        left = float(m - p if df == "m-p" else m - 1)
        if left <= 0:
            return undefined
        value = statistic / q
        return JointTest(names, value, q, left, float(special.fdtrc(q, left, value)), method)
    eta = _hotelling(moments, constraint)
    left = eta - q + 1
    if not left > 0:
        return undefined
    value = statistic * left / (eta * q)
    return JointTest(names, value, q, left, float(special.fdtrc(q, left, value)), method)


def _hotelling(moments: Moments, constraint: Array) -> float:
    """Degrees of freedom of the Wishart distribution with the same total variance as C V C'.

    Pustejovsky and Tipton (2018), eq. 17: q(q + 1) over the summed variances of its elements, once
    its expectation is the identity.
    """
    q = len(constraint)
    mean = expected(moments, constraint)
    scale = 1 / np.sqrt(np.diagonal(mean))
    try:
        half = np.linalg.cholesky(mean * np.outer(scale, scale))
    except np.linalg.LinAlgError:
        return NAN
    level = np.linalg.solve(half, scale[:, None] * constraint)
    spread = total_variance(moments, level)
    return q * (q + 1) / spread if spread > 0 else NAN


def _quadratic(d: Array, v: Array) -> float:
    """d'V^-1 d by the correlation matrix; NaN where V has no inverse."""
    scale = np.sqrt(np.maximum(np.diagonal(v), 0))
    if not (scale > 0).all():
        return NAN
    values, turn = np.linalg.eigh(v / np.outer(scale, scale))
    if values[0] <= SINGULAR * values[-1]:
        return NAN
    z = turn.T @ (d / scale)
    return float((z * z / values).sum())


def _quantile(level: float, df: Array) -> Array:
    """Two-sided critical values: t, normal where the degrees of freedom are infinite."""
    upper = 0.5 + level / 2
    finite = np.where(np.isinf(df), 1.0, df)
    return np.where(np.isinf(df), special.ndtri(upper), special.stdtrit(finite, upper))


def _two_sided(statistic: Array, df: Array) -> Array:
    """Two-sided p from the lower tail, which keeps its digits far out."""
    low = -np.abs(statistic)
    finite = np.where(np.isinf(df), 1.0, df)
    return 2 * np.where(np.isinf(df), special.ndtr(low), special.stdtr(finite, low))
