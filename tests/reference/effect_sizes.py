"""Runs the ``escalc`` and ``smd_bias_correction`` cases of a reference file against ``meta``.

Two measures differ from the file by rule, each with a proof that is worked out here:

- RTET: metafor maximises the likelihood with R's ``optimize`` at its default tolerance (1.2e-4).
  The tetrachoric correlation solves one equation (the bivariate normal reproduces the first cell);
  ours must solve it at least a hundred times better than the file's value in every study, and the
  file's variance must be that of its own correlation (to 1e-2:
  its integrals are numerical). With a zero cell the correlation is ±1 and
  its variance 0/0, for which the file has NaN or rounding noise.
- UCOR: R's gsl returns 2F1 with three or four digits for integer c when r is near zero. The power
  series converges for every |r| < 1; ours must agree with it, the file's value must not.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.measures import MEASURES
from meta.measures.bivariate_normal import both_below, tetrachoric_variance
from meta.measures.means import pooled_sd
from meta.measures.small_sample import hedges_j
from tests.reference.metafor_cases import Case, gap, numbers

Array = NDArray[np.float64]
OPTIMIZE = 2.0**-13  # twice the default tolerance of R's optimize, eps ** (1/4)
ROUNDING = 1e-14

# metafor's names for raw data and ours, by the shape of the data.
TWO_GROUPS = {
    "m1i": "mean_1",
    "sd1i": "sd_1",
    "n1i": "n_1",
    "m2i": "mean_2",
    "sd2i": "sd_2",
    "n2i": "n_2",
}
PRE_POST = {
    "m1i": "mean_post",
    "sd1i": "sd_post",
    "m2i": "mean_pre",
    "sd2i": "sd_pre",
    "ni": "n",
    "ri": "r",
}
# For these sd1i is the one that standardises, whatever time it was measured at.
BY_FIRST_SD = PRE_POST | {"sd1i": "sd_pre", "sd2i": "sd_post"}
SHAPES = (
    TWO_GROUPS,
    PRE_POST,
    {"x1i": "events_1", "t1i": "time_1", "x2i": "events_2", "t2i": "time_2"},
    {"xi": "events", "ti": "time"},
    {"xi": "events", "ni": "total"},
    {"mi": "mean", "sdi": "sd", "ni": "n"},
    {"ri": "r", "ni": "n"},
    {"ti": "t", "ni": "n", "mi": "predictors", "r2i": "r2"},
    {"ai": "alpha", "mi": "items", "ni": "n"},
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one case went: "passed", "failed" or "differ", and why."""

    outcome: str
    detail: str = ""


def columns_for(measure: str, inputs: Mapping[str, Any]) -> dict[str, Array]:
    """The raw data of a case under our names, only the columns that the measure needs."""
    if "bi" in inputs:
        ai, bi, ci, di = (inputs[name] for name in ("ai", "bi", "ci", "di"))
        found = {"events_1": ai, "total_1": ai + bi, "events_2": ci, "total_2": ci + di}
    else:
        shape = next(shape for shape in SHAPES if set(shape) <= set(inputs))
        if measure in {"SMCR", "SMCRH"}:
            shape = BY_FIRST_SD
        found = {ours: inputs[theirs] for theirs, ours in shape.items()}
    return {name: found[name] for name in MEASURES[measure].needs}


def computed(
    measure: str, inputs: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[Array, Array]:
    """Our effects and variances; NaN where a row lacks data, as metafor has them."""
    columns = columns_for(measure, inputs)
    complete = np.all([np.isfinite(column) for column in columns.values()], axis=0)
    y, v = np.full(len(complete), np.nan), np.full(len(complete), np.nan)
    formula = MEASURES[measure].compute
    if "compat" in inspect.signature(formula).parameters:
        options = {**options, "compat": "metafor-3.8"}
    y[complete], v[complete] = formula(
        **{name: column[complete] for name, column in columns.items()}, **options
    )
    return y, v


def check(case: Case) -> Verdict:
    """Compare one case with what ``meta`` gives under ``compat="metafor-3.8"``."""
    if case.function == "smd_bias_correction":
        return _bias_correction(case)
    options = dict(case.arguments)
    measure = options.pop("measure")
    y, v = computed(measure, case.inputs, options)
    worst = max(gap(y, case.expected["yi"], case.tol), gap(v, case.expected["vi"], case.tol))
    if worst <= 1:
        return Verdict("passed")
    if measure == "RTET":
        return _tetrachoric(case, y, v)
    if measure == "UCOR":
        return _unbiased(case, y, v)
    return Verdict("failed", f"off by {worst:.3g} tolerances")


def _bias_correction(case: Case) -> Verdict:
    columns = columns_for("SMD", case.inputs)
    m = columns["n_1"] + columns["n_2"] - 2
    spread = pooled_sd(columns["sd_1"], columns["n_1"], columns["sd_2"], columns["n_2"])
    got = {
        "J_exact": hedges_j(m),
        "J_approx": hedges_j(m, exact=False),
        "d": (columns["mean_1"] - columns["mean_2"]) / spread,
        "g_exact": computed("SMD", case.inputs, {})[0],
        "g_approx": computed("SMD", case.inputs, {"exact_j": False})[0],
    }
    worst = gap(got, case.expected, case.tol)
    return Verdict("passed") if worst <= 1 else Verdict("failed", f"off by {worst:.3g} tolerances")


def _tetrachoric(case: Case, y: Array, v: Array) -> Verdict:
    theirs, variance = numbers(case.expected["yi"]), numbers(case.expected["vi"])
    cells = [case.inputs[name] for name in ("ai", "bi", "ci", "di")]
    edge = np.isfinite(y) & (np.min(cells, axis=0) == 0)
    inner = np.isfinite(y) & ~edge
    ai, bi, ci, di = (cell[inner] for cell in cells)
    follows = tetrachoric_variance(ai, bi, ci, di, theirs[inner])
    alike = (
        np.array_equal(np.isnan(y), np.isnan(theirs))
        and np.all((np.abs(y[edge]) == 1) & np.isnan(v[edge]))
        and np.allclose(y[edge], theirs[edge], rtol=0, atol=OPTIMIZE)
        and np.allclose(y[inner], theirs[inner], rtol=0, atol=OPTIMIZE)
        and np.allclose(follows, variance[inner], rtol=1e-2, atol=0)
    )
    n = ai + bi + ci + di
    h, k = special.ndtri((ai + bi) / n), special.ndtri((ai + ci) / n)
    misses = [np.abs(n * both_below(h, k, r[inner]) - ai) for r in (y, theirs)]
    ours, other = (np.max(miss, initial=0.0) for miss in misses)
    # A row that agrees already need not be improved; ROUNDING is that of n times a probability.
    nearer = np.all(misses[0] <= np.maximum(misses[1] / 100, ROUNDING * n))
    told = (
        "ours solves the equation of the tetrachoric correlation "
        f"(first cell met to {ours:.1e} people, by the file to {other:.1e})"
    )
    return Verdict("differ" if alike and nearer else "failed", told)


def power_series(a: float, b: float, c: float, z: float) -> float:
    """2F1(a, b; c; z) term by term; converges for |z| < 1."""
    terms, term, i = [1.0], 1.0, 0
    while abs(term) > 1e-18 * (1 - z) and i < 1_000_000:
        term *= (a + i) * (b + i) / ((c + i) * (i + 1)) * z
        terms.append(term)
        i += 1
    return math.fsum(terms)


def _unbiased(case: Case, y: Array, v: Array) -> Verdict:
    r, n = case.inputs["ri"], case.inputs["ni"]
    theirs, variance = numbers(case.expected["yi"]), numbers(case.expected["vi"])
    apart = [
        i
        for i in range(len(y))
        if gap(y[i], theirs[i], case.tol) > 1 or gap(v[i], variance[i], case.tol) > 1
    ]
    for i in apart:
        exact = r[i] * power_series(0.5, 0.5, (n[i] - 2) / 2, 1 - r[i] ** 2)
        square = power_series(1, 1, n[i] / 2, 1 - r[i] ** 2) * (1 - r[i] ** 2)
        at = {
            "LS": (1 - exact**2) ** 2 / (n[i] - 1),
            "UB": exact**2 - 1 + (n[i] - 3) / (n[i] - 2) * square,
        }[case.arguments.get("vtype", "LS")]
        far = max(abs(theirs[i] - exact) / (1e-2 + abs(exact)), abs(variance[i] - at) / at)
        near = max(abs(y[i] - exact) / (1e-2 + abs(exact)), abs(v[i] - at) / at)
        if near > far / 10:
            return Verdict("failed", f"row {i + 1}: {y[i]!r}, the power series gives {exact!r}")
    return Verdict("differ", f"the power series of 2F1 gives ours (rows {[i + 1 for i in apart]})")
