"""Small-study effects in 2x2 tables: tests that do not let the effect into its own precision.

Odds and risk ratios and their standard errors are computed from the same cells, which skews a
funnel without any bias. These tests regress on, or weigh by, something that does not depend on the
effect. Each takes counts as ``meta.binary.mantel_haenszel`` does. Studies in which nobody or
everybody had the outcome in both arms are left out and named, where a test cannot use them.
Below ten studies each warns (Sterne et al. 2011, BMJ 343:d4002).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.bias import REGRESSION_TEST, AsymmetryTest, RankTest, line_test, rank_correlation
from meta.binary import counts, mantel_haenszel
from meta.caution import few
from meta.errors import InputError, UnknownName
from meta.fitting import fit, method_of
from meta.measures import effects
from meta.measures.zero_cells import To
from meta.mixture import Hypergeometric
from meta.results import Effects

Array = NDArray[np.float64]
LEAST = 3  # studies that a slope or a rank correlation needs
RATIOS = ("OR", "RR")


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class _Tables:
    """2x2 tables that tell the arms apart, and a note on those that do not."""

    effects: Effects
    keep: NDArray[np.bool_]  # (k,)
    a: Array
    n1: Array
    c: Array
    n2: Array
    notes: tuple[str, ...]

    @property
    def all_notes(self) -> tuple[str, ...]:
        """Those, and what was added to zero counts."""
        return tuple(dict.fromkeys(self.notes + self.effects.notes))

    @property
    def n(self) -> Array:
        return self.n1 + self.n2

    @property
    def events(self) -> Array:
        return self.a + self.c

    @property
    def weight(self) -> Array:
        """Inverse variance of a log odds ratio at the average event rate: (a+c)(b+d)/N."""
        return self.events * (self.n - self.events) / self.n


def _tables(
    measure: str,
    data: Mapping[str, Any] | None,
    study: Sequence[Any] | str | None,
    columns: Mapping[str, Any],
    *,
    all_studies: bool = False,
    **zeros: Any,
) -> _Tables:
    rows = effects(measure, data=data, study=study, **zeros, **columns)
    a, n1, c, n2 = counts(measure, data, columns)
    events, n = a + c, n1 + n2
    keep = np.ones(rows.k, dtype=bool) if all_studies else (events > 0) & (events < n)
    if keep.sum() < LEAST:
        raise InputError(f"{keep.sum()} of at least {LEAST} studies that tell the arms apart")
    out = [name for name, used in zip(rows.study, keep, strict=True) if not used]
    notes = [note for note in rows.notes if note.startswith("left out")]  # for empty cells
    if out:
        notes.append(f"no information on the effect: {', '.join(out)}")
    return _Tables(rows, keep, a[keep], n1[keep], c[keep], n2[keep], tuple(notes))


def _ratio(measure: str) -> str:
    if measure not in RATIOS:
        raise UnknownName("measure for this test", measure, RATIOS)
    return measure


def harbord(
    *,
    measure: str = "OR",
    data: Mapping[str, Any] | None = None,
    study: Sequence[Any] | str | None = None,
    level: float = 0.95,
    **columns: Any,
) -> AsymmetryTest:
    """Harbord's test: Egger's with the efficient score and its information under no effect.

    Z/sqrt(V) is regressed on sqrt(V), in which the intercept is the bias (``slope`` here, as for
    ``meta.bias.egger``), or, what is the same, Z/V on 1/sqrt(V) with weights V; t with k - 2
    degrees of freedom. For the odds ratio Z = a - n_1 (a+c)/N and V = n_1 n_2 (a+c)(b+d) /
    (N^2 (N-1)); for the risk ratio Z = (aN - n_1 (a+c))/(b+d) and V = n_1 n_2 (a+c)/(N (b+d)).

    Parameters
    ----------
    measure : {"OR", "RR"}
        The ratio whose score is taken; no zero cell needs a correction.
    data, study, **columns
        ``events_1, total_1, events_2, total_2``, as for ``meta.measures.effects``; ``missing`` too.

    Returns
    -------
    AsymmetryTest
        ``limit`` is the log ratio of a study of unlimited size, by one step from no effect: too
        near to zero where effects are large.

    Notes
    -----
    Not to be used below ten studies; where effects are large or arms of very different size, for
    then the score at no effect is a poor approximation; or under much heterogeneity (it has no
    between-study variance: ``arcsine_test``).

    References
    ----------
    Harbord, Egger and Sterne (2006), Stat Med 25:3443-3457, sect. 2; for the risk ratio Harbord,
    Harris and Sterne (2009), Stata J 9:197-210.
    """
    tables = _tables(_ratio(measure), data, study, columns)
    notes = few(len(tables.a), REGRESSION_TEST) + tables.notes
    a, n1, n2, events, n = tables.a, tables.n1, tables.n2, tables.events, tables.n
    if measure == "OR":
        z = a - n1 * events / n
        v = n1 / n * (n2 / n) * events * (n - events) / (n - 1)
    else:
        z = (a * n - n1 * events) / (n - events)
        v = n1 * n2 / n * events / (n - events)
    return line_test(
        "Harbord",
        ("1/sqrt(V)", "information"),
        "multiplicative",
        (z / v, 1 / v, 1 / np.sqrt(v)),
        level=level,
        notes=notes,
    )


def peters(
    *,
    measure: str = "OR",
    data: Mapping[str, Any] | None = None,
    study: Sequence[Any] | str | None = None,
    add: float = 0.5,
    to: To = "only0",
    level: float = 0.95,
    **columns: Any,
) -> AsymmetryTest:
    """Peters' test: regression of the log ratio on 1/N, weighted by (a+c)(b+d)/N.

    t with k - 2 degrees of freedom.

    Parameters
    ----------
    measure : {"OR", "RR"}
        The paper's is the odds ratio.
    data, study, **columns
        ``events_1, total_1, events_2, total_2``, as for ``meta.measures.effects``.
    add, to
        Continuity correction of the effects; the weights take the counts as they are.

    Notes
    -----
    Not to be used below ten studies, where studies are of nearly one size, or under much
    heterogeneity. Less powerful than ``harbord`` where arms are balanced, better where they are
    not.

    References
    ----------
    Peters, Sutton, Jones, Abrams and Rushton (2006), JAMA 295:676-680.
    """
    tables = _tables(_ratio(measure), data, study, columns, add=add, to=to)
    notes = few(len(tables.a), REGRESSION_TEST) + tables.all_notes
    return line_test(
        "Peters",
        ("ninv", "inverse sample size"),
        "multiplicative",
        (tables.effects.yi[tables.keep], 1 / tables.weight, 1 / tables.n),
        level=level,
        notes=notes,
    )


def macaskill(
    *,
    measure: str = "OR",
    data: Mapping[str, Any] | None = None,
    study: Sequence[Any] | str | None = None,
    weights: str = "pooled",
    add: float = 0.5,
    to: To = "only0",
    level: float = 0.95,
    **columns: Any,
) -> AsymmetryTest:
    """Macaskill's test: regression of the log ratio on N; t with k - 2 degrees of freedom.

    Parameters
    ----------
    measure : {"OR", "RR"}
        The paper's is the odds ratio.
    data, study, **columns
        ``events_1, total_1, events_2, total_2``, as for ``meta.measures.effects``.
    weights : {"pooled", "inverse variance"}
        By the average event rate, (a+c)(b+d)/N, which does not depend on the effect (the paper's
        FPV), or by the effect's own variance (FIV).
    add, to
        Continuity correction of the effects and, under "inverse variance", of the weights.

    Notes
    -----
    Not to be used below ten studies, or where one study is far larger than the rest: it then has
    all the leverage (``peters`` mends that). Its power is low.

    References
    ----------
    Macaskill, Walter and Irwig (2001), Stat Med 20:641-654.
    """
    if weights not in ("pooled", "inverse variance"):
        raise UnknownName("weights of this test", weights, ("pooled", "inverse variance"))
    tables = _tables(_ratio(measure), data, study, columns, add=add, to=to)
    notes = few(len(tables.a), REGRESSION_TEST) + tables.all_notes
    rows = tables.effects
    v = 1 / tables.weight if weights == "pooled" else rows.vi[tables.keep]
    return line_test(
        f"Macaskill ({'FPV' if weights == 'pooled' else 'FIV'})",
        ("ni", "sample size"),
        "multiplicative",
        (rows.yi[tables.keep], v, tables.n),
        level=level,
        limit=False,
        notes=notes,
    )


def deeks(
    *,
    data: Mapping[str, Any] | None = None,
    study: Sequence[Any] | str | None = None,
    add: float = 0.5,
    to: To = "only0",
    level: float = 0.95,
    **columns: Any,
) -> AsymmetryTest:
    """Deeks' test for diagnostic accuracy: log diagnostic odds ratio on 1/sqrt(ESS), weights ESS.

    ESS = 4 n_1 n_2/(n_1 + n_2) is the effective sample size; t with k - 2 degrees of freedom.

    Parameters
    ----------
    data, study, **columns
        ``events_1`` of ``total_1`` people with the disease test positive, ``events_2`` of
        ``total_2`` without it.
    add, to
        Continuity correction of the odds ratios.

    Notes
    -----
    For diagnostic odds ratios, where effects are large and groups unequal; in trials it has less
    power than ``harbord`` and ``peters``. Not to be used below ten studies; under heterogeneity,
    which is the rule among diagnostic studies, its power is low.

    References
    ----------
    Deeks, Macaskill and Irwig (2005), J Clin Epidemiol 58:882-893.
    """
    tables = _tables("OR", data, study, columns, add=add, to=to)
    notes = few(len(tables.a), REGRESSION_TEST) + tables.all_notes
    size = 4 * tables.n1 * tables.n2 / tables.n
    return line_test(
        "Deeks",
        ("1/sqrt(ESS)", "effective sample size"),
        "multiplicative",
        (tables.effects.yi[tables.keep], 1 / size, 1 / np.sqrt(size)),
        level=level,
        notes=notes,
    )


def schwarzer(
    *,
    data: Mapping[str, Any] | None = None,
    study: Sequence[Any] | str | None = None,
    exact: bool | None = None,
    **columns: Any,
) -> RankTest:
    """Rank correlation of standardised cell counts with their inverse variance.

    The count of events in arm 1 has, given the margins, the noncentral hypergeometric mean E and
    variance V at the Mantel-Haenszel odds ratio; Kendall's correlation is of (a - E)/sqrt(V) with
    1/V. No zero cell needs a correction.

    Parameters
    ----------
    data, study, **columns
        ``events_1, total_1, events_2, total_2``, as for ``meta.measures.effects``.
    exact : bool, optional
        As for ``meta.bias.rank_test``; the paper's is the normal approximation.

    Notes
    -----
    For sparse data, where the rank test of log odds ratios rejects far too often. Not to be used
    below ten studies; its power is low, and heterogeneity is not allowed for.

    References
    ----------
    Schwarzer, Antes and Schumacher (2007), Stat Med 26:721-733.
    """
    tables = _tables("OR", data, study, columns)
    notes = few(len(tables.a), "the rank correlation test") + tables.notes
    common = mantel_haenszel("OR", data=data, study=study, **columns)
    if np.isnan(common.estimate):
        raise InputError(
            "the Mantel-Haenszel odds ratio is undefined: an arm has no events in any study",
            remedy="use arcsine_test",
        )
    kernel = Hypergeometric(tables.a, tables.n1, tables.events, tables.n2)
    _, excess, minus_v = kernel(np.full(len(tables.a), common.estimate))
    return rank_correlation(
        "Schwarzer", excess / np.sqrt(-minus_v), -1 / minus_v, exact=exact, notes=notes
    )


KINDS = ("Thompson", "Egger", "Begg")


def arcsine_test(
    kind: str = "Thompson",
    *,
    data: Mapping[str, Any] | None = None,
    study: Sequence[Any] | str | None = None,
    tau2: str = "DL",
    level: float = 0.95,
    **columns: Any,
) -> AsymmetryTest | RankTest:
    """Rücker's tests: a test of asymmetry on the difference of arcsine square roots of risks.

    The variance 1/(4 n_1) + 1/(4 n_2) depends on neither the effect nor the event rates, and
    studies without events count.

    Parameters
    ----------
    kind : {"Thompson", "Egger", "Begg"}
        Regression on the standard error with a between-study variance (AS-Thompson, which the
        paper recommends under heterogeneity), the same with an estimated scale, or the rank
        correlation.
    data, study, **columns
        ``events_1, total_1, events_2, total_2``, as for ``meta.measures.effects``.
    tau2 : str
        Estimator of the between-study variance for "Thompson"; the moment estimator by custom.

    Notes
    -----
    Not to be used below ten studies. AS-Egger and AS-Begg do not hold their level under
    heterogeneity. A slope is in arcsine units and has no clinical reading.

    References
    ----------
    Rücker, Schwarzer and Carpenter (2008), Stat Med 27:746-763.
    """
    if kind not in KINDS:
        raise UnknownName("arcsine test", kind, KINDS)
    tables = _tables("AS", data, study, columns, all_studies=True)
    rows = tables.effects
    what = "the rank correlation test" if kind == "Begg" else REGRESSION_TEST
    notes = few(rows.k, what) + tables.all_notes
    y, v = rows.yi, rows.vi
    if kind == "Begg":
        found = fit(y, v, tau2="EE")
        standardised = found.resid / np.sqrt(v - float(found.vb[0, 0]))
        return rank_correlation("AS-Begg", standardised, v, exact=None, notes=notes)
    random = kind == "Thompson"
    return line_test(
        f"AS-{kind}",
        ("sei", "standard error"),
        "random" if random else "multiplicative",
        (y, v, np.sqrt(v)),
        method=method_of("random", tau2) if random else "EE",
        test="t" if random else "Knapp-Hartung",
        level=level,
        notes=notes,
    )
