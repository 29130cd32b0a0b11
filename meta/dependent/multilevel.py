"""Multilevel and multivariate models: effects that depend on each other within groups.

y = X beta + random terms + e, with cov(e) = V known. The three-level model is an intercept for each
study and for each effect within it; the multivariate one has an effect for each outcome, which
covary within studies. Berkey et al. (1998), Stat Med 17:2537-2550; Konstantopoulos (2011), Res
Synth Methods 2:61-76; Van den Noortgate et al. (2013), Behav Res Methods 45:576-594.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.dependent.blocks import BlockCovariance, as_blocks, layout_of
from meta.dependent.climb import Top, climb
from meta.dependent.components import Component, blups, components_of
from meta.dependent.gls import Likelihood
from meta.dependent.random_terms import Random, Term, terms_of
from meta.dependent.structures import STRUCTURES
from meta.errors import InputError, NotConverged, UnknownName
from meta.fitting import check, check_level, quantile, subset, test_named, two_sided_p
from meta.frames import fitted_to
from meta.moderators import Design, design_of, part_of
from meta.present import Presented, Table, table_of
from meta.regression import Information, Omnibus
from meta.results import Effects, show, show_p

if TYPE_CHECKING:
    from meta.dependent.working import Working

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
NAN = math.nan
METHODS = ("REML", "ML", "EE")
DEGREES = ("containment", "residual")


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class MultilevelResult(Presented):
    """A multilevel or multivariate model; effects are on the analysis scale."""

    effects: Effects
    design: Design
    random: tuple[str, ...]  # the random terms
    structures: tuple[str, ...]  # of each term
    method: str  # "REML", "ML", "EE"
    names: tuple[str, ...]  # (p,) coefficients
    beta: Array  # (p,)
    se: Array  # (p,)
    statistic: Array  # (p,) z or t
    df: Array | None  # (p,) of t; None for z
    df_method: str  # "containment", "residual", or "" for z
    p: Array  # (p,)
    ci: Array  # (p, 2)
    covariance: Array  # (p, p)
    test: str  # "Wald" or "t"
    level: float
    components: tuple[Component, ...]
    i2: float  # total share of heterogeneity, 0 to 1; NaN where components differ by level
    q: float  # residual heterogeneity under V alone
    q_df: int
    q_p: float
    moderators: Omnibus
    likelihood: Information
    restricted: Information
    weights: Array  # (k,) row sums of the weight matrix, sum 1
    fitted: Array  # (k,)
    residuals: Array  # (k,)
    blocks: tuple[NDArray[np.intp], ...]  # rows of one block may covary
    marginal: tuple[Array, ...]  # their covariance under the model
    steps: int  # of the optimiser
    slope: float  # what one more step would add to the log-likelihood
    n_optima: int
    notes: tuple[str, ...]
    refit: _Refit  # how it was fitted, for profiles and comparisons

    @property
    def information(self) -> Information:
        """That of the likelihood which was maximised."""
        return self.restricted if self.method == "REML" else self.likelihood

    @property
    def variances(self) -> Array:
        """The variance components in the order of ``components``."""
        return np.array([c.value for c in self.components if c.kind == "variance"])

    @property
    def rho(self) -> Array:
        """The correlations in the order of ``components``."""
        return np.array([c.value for c in self.components if c.kind == "correlation"])

    def blups(self) -> tuple[tuple[str, str, float, float], ...]:
        """Predicted random effects: term, group, effect, standard error."""
        state = self.refit.likelihood.at(self.refit.theta)
        assert state is not None
        return blups(self.refit.likelihood, state)

    def without(self, keep: NDArray[np.intp]) -> MultilevelResult:
        """The same model of some of the rows, by position."""
        return self.refit.without(keep)

    def working(self) -> Working:
        """The model as robust inference needs it."""
        from meta.dependent.working import Working

        return Working(
            x=self.design.x,
            beta=self.beta,
            resid=self.residuals,
            names=self.names,
            effects=self.effects,
            blocks=self.blocks,
            covariance=self.marginal,
        )

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each coefficient, then for each component."""
        out: list[dict[str, Any]] = [
            {
                "name": name,
                "kind": "coefficient",
                "estimate": float(b),
                "se": float(s),
                "statistic": float(t),
                "df": NAN if self.df is None else float(self.df[i]),
                "p": float(p),
                "ci_low": float(low),
                "ci_high": float(high),
            }
            for i, (name, b, s, t, p, (low, high)) in enumerate(
                zip(self.names, self.beta, self.se, self.statistic, self.p, self.ci, strict=True)
            )
        ]
        for c in self.components:
            out.append({"name": c.name, "kind": c.kind, "estimate": c.value, "se": c.se})
        return out

    def summary(self) -> str:
        """A block to paste: coefficients, components, tests and how it was fitted."""
        width = max(len(n) for n in (*self.names, *(c.name for c in self.components)))
        lines = []
        for i, name in enumerate(self.names):
            low, high = self.ci[i]
            df = "" if self.df is None else f", df = {self.df[i]:g}"
            lines.append(
                f"{name:<{width}}  {show(float(self.beta[i]), 3)} ({self.level:.0%} CI "
                f"{show(float(low), 3)} to {show(float(high), 3)}){df}, {show_p(float(self.p[i]))}"
            )
        for c in self.components:
            what = "σ²" if c.kind == "variance" else "ρ"
            line = f"{c.name:<{width}}  {what} = {show(c.value, 4)}"
            if c.kind == "variance":
                line += f" ({c.groups} groups)"
                if not math.isnan(c.i2):
                    line += f", I² {c.i2:.0%}"
            lines.append(line + (", known" if c.known else ""))
        if len(self.names) > 1 or not self.design.intercept:
            lines.append(f"Test of moderators: {self.moderators.summary()}")
        lines.append(
            f"Heterogeneity: Q = {show(self.q)} (df = {self.q_df}), {show_p(self.q_p)}"
            + ("" if math.isnan(self.i2) else f"; I² = {self.i2:.0%}")
        )
        shown = ", ".join(
            f"{name} ({s})" if "|" in name else name
            for name, s in zip(self.random, self.structures, strict=True)
        )
        test = self.test if self.df is None else f"{self.test}, {self.df_method} df"
        lines.append(f"{self.effects.k} effects; {self.method}; random: {shown or 'none'}; {test}")
        return "\n".join(lines)

    def _tables(self) -> tuple[Table, ...]:
        notes = self.summary().splitlines()[len(self.names) + len(self.components) :]
        first = [row for row in self.rows() if row["kind"] == "coefficient"]
        for row in first:
            del row["kind"]
        second = [
            {
                "component": c.name,
                "kind": c.kind,
                "estimate": c.value,
                "se": c.se,
                "groups": c.groups,
                "i2": c.i2,
            }
            for c in self.components
        ]
        tables = [table_of("Coefficients", first, level=self.level)]
        if second:
            tables.append(table_of("Random effects", second, notes=(*notes, *self.notes)))
        return tuple(tables)

    def __str__(self) -> str:
        return self.summary()


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class _Refit:
    """What a model was fitted with, so that it can be fitted again with something held."""

    likelihood: Likelihood
    theta: Array  # scaled
    value: float
    known: Mask
    without: Callable[[NDArray[np.intp]], MultilevelResult]


def multilevel(
    effects: Effects,
    random: str | Random | Sequence[str | Random] | None = None,
    *,
    data: Mapping[str, Any] | None = None,
    structure: str = "CS",
    covariance: Any = None,
    moderators: Mapping[str, Any] | Any = None,
    interactions: Iterable[tuple[str, str]] = (),
    factors: Sequence[str] = (),
    reference: Mapping[str, Any] | None = None,
    intercept: bool = True,
    method: str = "REML",
    test: str = "t",
    df: str = "containment",
    level: float = 0.95,
) -> MultilevelResult:
    """Fit a multilevel or multivariate model.

    Parameters
    ----------
    effects : Effects
        k effects on the analysis scale.
    random : str, Random, or a sequence of them
        ``"district/school"``: an intercept for each district and each school within it;
        ``"outcome | study"``: an effect for each outcome, which covary within a study by
        ``structure``; metafor's ``"~ 1 | a/b"`` is read too. Left out: the three-level model,
        ``"cluster/row"`` with the clusters of ``effects``.
    data : mapping of name to (k,) values, or data frame
        What the names stand for. ``study``, ``cluster`` and ``row`` (every effect by itself) are
        always there, unless ``data`` says otherwise.
    structure : str
        Of the terms with a bar that are given as text; see ``STRUCTURES``.
    covariance : array (k, k) or BlockCovariance, optional
        Sampling covariance (``meta.covariance`` builds it); independent errors if left out. Its
        diagonal must be ``effects.vi``.
    moderators, interactions, factors, reference, intercept
        As for ``meta.regress``.
    method : {"REML", "ML", "EE"}
        "EE" has no random effects.
    test : {"t", "Wald"}
        With t, the degrees of freedom are ``df``.
    df : {"containment", "residual"}
        Groups of the term within which a coefficient's predictor does not vary, less p (after
        Pinheiro and Bates 2000, sec. 2.4.2), or k - p.

    Raises
    ------
    InputError
        If groups, covariances or moderators are unusable; names the studies.
    NotConverged
        If the optimiser ends before the top; says where.

    Notes
    -----
    The components maximise the (restricted) likelihood; several starts are tried and ``n_optima``
    says how many tops they found. With few groups the components are uncertain: see
    ``meta.component_interval``. Where the sampling covariance is a guess, follow with
    ``meta.robust``.
    """
    check(effects)
    check_level(level)
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    if df not in DEGREES:
        raise UnknownName("degrees of freedom", df, DEGREES)
    chosen = test_named(test)
    if chosen not in ("Wald", "t"):
        raise InputError(
            f"the {chosen} test is not defined for multilevel models", remedy='use "t" or "Wald"'
        )
    study, k = effects.study, effects.k
    known = _sampling(effects, covariance)
    columns: dict[str, Sequence[Any]] = {
        "study": study,
        "cluster": effects.cluster,
        "row": [str(i + 1) for i in range(k)],
    }
    if data is not None:
        names = list(data.keys())  # a frame iterates over these too, a mapping need not
        columns |= {str(n): list(fitted_to(data[n], k, effects.dropped)) for n in names}
    wanted = [] if method == "EE" else _with_structure(_default(effects, random), structure)
    design = design_of(
        moderators,
        k,
        interactions=interactions,
        factors=factors,
        reference=reference,
        intercept=intercept,
        study=study,
        dropped=effects.dropped,
    )
    how = _How(wanted, method, chosen, df, level)
    return _fit(effects, columns, known, design, how)


@dataclass(frozen=True, slots=True)
class _How:
    """The choices of a fit, which a fit to fewer rows shares."""

    random: list[Random]
    method: str
    test: str
    df: str
    level: float


def _fit(
    effects: Effects,
    columns: Mapping[str, Sequence[Any]],
    known: BlockCovariance,
    design: Design,
    how: _How,
) -> MultilevelResult:
    k, method = effects.k, how.method
    terms = terms_of(how.random, columns, effects.study)
    _identified(terms)
    layout = layout_of(k, [term.codes for term in terms], known)
    likelihood = Likelihood(effects.yi, design.x, known, terms, layout, restricted=method != "ML")
    top, n_optima, held = _best(likelihood)
    if not top.done:
        at = ", ".join(f"{v:.6g}" for v in top.theta * likelihood.units())
        raise NotConverged(
            f"the likelihood was still rising after {top.steps} steps",
            [f"last parameters: {at}", f"another step would add {top.gain:.2g}"],
            remedy="fewer random effects, or a simpler structure, for so few groups",
        )

    def without(keep: NDArray[np.intp]) -> MultilevelResult:
        rest = subset(effects, keep)
        columns_left = {name: [column[i] for i in keep] for name, column in columns.items()}
        return _fit(rest, columns_left, known.subset(keep), part_of(design, keep), how)

    return _result(effects, design, likelihood, top, n_optima, held, how, without)


def _default(effects: Effects, random: Any) -> Any:
    if random is not None:
        return random
    return "row" if len(set(effects.cluster)) == effects.k else "cluster/row"


def _with_structure(random: Any, structure: str) -> list[Random]:
    if structure not in STRUCTURES:
        raise UnknownName("covariance structure", structure, STRUCTURES)
    wanted = [random] if isinstance(random, (str, Random)) else list(random)
    return [r if isinstance(r, Random) else Random(r, structure) for r in wanted]


def _sampling(effects: Effects, covariance: Any) -> BlockCovariance:
    if covariance is None:
        rows = tuple(np.array([i]) for i in range(effects.k))
        return BlockCovariance(effects.k, rows, tuple(np.array([[v]]) for v in effects.vi))
    known = as_blocks(covariance, effects.study)
    apart = ~np.isclose(known.diagonal(), effects.vi, rtol=1e-8, atol=0)
    if apart.any():
        raise InputError(
            "the diagonal of the covariance is not the sampling variance of the effects",
            [
                f"{effects.study[i]}: {known.diagonal()[i]:g} against {effects.vi[i]:g}"
                for i in np.flatnonzero(apart)
            ],
            remedy="build it from these effects with meta.dependent.covariance",
        )
    for at, block in zip(known.rows, known.values, strict=True):
        if len(at) > 1:
            scale = np.sqrt(block.diagonal())
            lowest = float(np.linalg.eigvalsh(block / np.outer(scale, scale)).min())
            if lowest < -1e-9:
                raise InputError(
                    "the sampling covariance is not positive definite",
                    [", ".join(effects.study[i] for i in at)],
                    remedy="the assumed correlations contradict each other; lower them",
                )
    return known


def _identified(terms: Sequence[Term]) -> None:
    """Refuse groupings that cannot be told from each other."""
    for i, one in enumerate(terms):
        if one.n_groups == 1 and one.plain and one.share is None and one.known == [None]:
            raise InputError(
                f"the random effect {one.name!r} has one group, which the intercept already is",
                remedy="leave it out",
            )
        for two in terms[:i]:
            if one.plain and two.plain and one.share is None and two.share is None:
                same = len(set(zip(one.codes.tolist(), two.codes.tolist(), strict=True)))
                if same == one.n_groups == two.n_groups and one.known == two.known == [None]:
                    raise InputError(
                        f"{two.name!r} and {one.name!r} group the effects alike, so that their "
                        "variances cannot be told apart",
                        remedy="leave one of them out",
                    )


def _best(likelihood: Likelihood) -> tuple[Top, int, Mask]:
    """The highest top that several starts lead to, and how many there are."""
    lower, upper = likelihood.bounds()
    given = [value for term in likelihood.terms for value in term.known]
    known = np.array([value is not None for value in given], dtype=bool)
    fixed = np.array([0.0 if value is None else value for value in given]) / likelihood.units()
    if known.all():
        state = likelihood.at(fixed)
        if state is None:
            raise InputError("the covariance is not positive definite at the known components")
        value = likelihood.loglik(state)
        free = np.zeros(len(known), dtype=bool)
        return Top(fixed, value, free, 0.0, 0, True, np.zeros((0, 0))), 1, known
    tops: list[Top] = []
    for start in _starts(likelihood):
        begin = np.where(known, fixed, start)
        tops.append(
            climb(
                likelihood.value_at,
                likelihood.slope_at,
                likelihood.both_at,
                begin,
                lower,
                upper,
                known,
                bend=likelihood.bend_at,
                tops=tops,
            )
        )
    ended = [top for top in tops if top.done] or tops
    best = max(ended, key=lambda top: top.value)
    distinct: list[float] = []
    for top in ended:
        if top.done and not any(abs(top.value - value) < 1e-6 for value in distinct):
            distinct.append(top.value)
    return best, max(1, len(distinct)), known


def _starts(likelihood: Likelihood) -> list[Array]:
    """Total variance by moments, shared out in several ways, and a small one."""
    terms = likelihood.terms
    y = np.concatenate([block.ravel() for block in likelihood.y])
    v = np.concatenate([np.diagonal(b, axis1=1, axis2=2).ravel() for b in likelihood.v])
    spread = float((y * y).sum()) / max(1, likelihood.k - likelihood.p)
    total = max(spread - float(np.mean(v)), 0.1 * float(np.median(v)), 1e-3 * spread)
    if not total > 0:
        total = 1.0
    n = len(terms)
    shares = [np.full(n, 1 / n)]
    if n > 1:
        for i in range(n):
            lead = np.full(n, 0.1 / (n - 1))
            lead[i] = 0.9
            shares.append(lead)
    shares.append(np.full(n, 0.01 / n))
    out = []
    for share in shares:
        theta: list[float] = []
        for term, part in zip(terms, share, strict=True):
            theta += term.structure.start(term.size, float(part) * total)
        out.append(np.array(theta))
    return out


def _result(
    effects: Effects,
    design: Design,
    likelihood: Likelihood,
    top: Top,
    n_optima: int,
    held: Mask,
    how: _How,
    without: Callable[[NDArray[np.intp]], MultilevelResult],
) -> MultilevelResult:
    test, df_method, level = how.test, how.df, how.level
    state = likelihood.at(top.theta)
    bare = likelihood.solve(top.theta, likelihood.v)
    assert state is not None
    if bare is None:
        raise InputError("the sampling covariance is not positive definite")
    k, p = design.x.shape
    beta, covariance = likelihood.beta(state)
    se = np.sqrt(np.diag(covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = beta / se
    df: Array | None = None
    if test == "t":
        df = (
            np.full(p, float(k - p))
            if df_method == "residual"
            else _containment(design.x, likelihood.terms)
        )
    listed = [None] * p if df is None else [int(d) for d in df]
    half = np.array([quantile(level, d) for d in listed]) * se
    parts, i2 = components_of(likelihood, top, state, bare, held)
    notes = []
    if n_optima > 1:
        notes.append(f"the likelihood has {n_optima} tops; the highest is used")
    for c in parts:
        if c.kind == "correlation" and not c.known and abs(abs(c.value) - 1) < 1e-9:
            notes.append(f"the correlation of {c.name} is on its bound, {c.value:+.0f}")
        if c.kind == "correlation" and math.isnan(c.value):
            notes.append(f"the correlation of {c.name} cannot be estimated from these data")
    m = p + int((~held).sum())
    resid = likelihood.unstack(state.resid) * likelihood.scale
    rows = likelihood.unstack([w.sum(2) for w in state.inverse])
    blocks, marginal = likelihood.layout.cut([m * likelihood.unit for m in state.covariance])
    q = bare.rss
    names = design.names
    return MultilevelResult(
        effects=effects,
        design=design,
        random=tuple(term.name for term in likelihood.terms),
        structures=tuple(term.structure.key for term in likelihood.terms),
        method=how.method,
        names=names,
        beta=beta,
        se=se,
        statistic=statistic,
        df=df,
        df_method=df_method if test == "t" else "",
        p=np.array([two_sided_p(float(t), d) for t, d in zip(statistic, listed, strict=True)]),
        ci=np.stack((beta - half, beta + half), axis=1),
        covariance=covariance,
        test=test,
        level=level,
        components=parts,
        i2=i2,
        q=q,
        q_df=k - p,
        q_p=float(special.chdtrc(k - p, q)) if k > p else 1.0,
        moderators=_omnibus(beta, covariance, design, df),
        likelihood=_criteria(likelihood.loglik(state, restricted=False), k, m),
        restricted=_criteria(likelihood.loglik(state, restricted=True), k - p, m),
        weights=rows / rows.sum(),
        fitted=effects.yi - resid,
        residuals=resid,
        blocks=tuple(blocks),
        marginal=tuple(marginal),
        steps=top.steps,
        slope=top.gain,
        n_optima=n_optima,
        notes=tuple(notes),
        refit=_Refit(
            likelihood,
            top.theta,
            top.value,
            held,
            without,
        ),
    )


def _containment(x: Array, terms: Sequence[Term]) -> Array:
    """Degrees of freedom by containment, as metafor counts them.

    A column that does not vary within the groups of a term has as many as that term has groups,
    less all p columns; the fewest where there are several such terms, and k - p where there is
    none.
    """
    k, p = x.shape
    out = np.full(p, float(k - p))
    for j in range(p):
        counts = [term.n_groups - p for term in terms if _constant(x[:, j], term.codes)]
        if counts:
            out[j] = min(counts)
    return np.asarray(np.maximum(out, 1.0))


def _constant(column: Array, codes: NDArray[np.intp]) -> bool:
    low = np.full(int(codes.max()) + 1, math.inf)
    high = np.full(int(codes.max()) + 1, -math.inf)
    np.minimum.at(low, codes, column)
    np.maximum.at(high, codes, column)
    return bool((low == high).all())


def _omnibus(beta: Array, covariance: Array, design: Design, df: Array | None) -> Omnibus:
    at = list(design.tested)
    b, v = beta[at], covariance[np.ix_(at, at)]
    scale = np.sqrt(np.diag(v))
    z = b / scale
    value = float(z @ np.linalg.solve(v / np.outer(scale, scale), z))
    m, names = len(at), tuple(design.names[i] for i in at)
    if df is None:
        return Omnibus(names, value, m, None, float(special.chdtrc(m, value)))
    within = int(min(df[at]))
    return Omnibus(names, value / m, m, within, float(special.fdtrc(m, within, value / m)))


def _criteria(loglik: float, n: int, m: int) -> Information:
    at_least = max(n, m + 2)
    return Information(
        loglik,
        -2 * loglik,
        2 * m - 2 * loglik,
        2 * m * at_least / (at_least - m - 1) - 2 * loglik,
        (m * math.log(n) if n > 0 else NAN) - 2 * loglik,
        m,
    )
