"""Effects from the 2x2 table of events in two arms.

Every function takes ``events_1, total_1, events_2, total_2`` (arrays of int, shape (k,)): people
with the outcome and people observed, arm 1 the intervention, arm 2 the comparator. It returns
``y, v`` of shape (k,), NaN where a study's effect is undefined. The cells are a = events_1,
b = total_1 - events_1, c = events_2, d = total_2 - events_2.

Zero cells: ``add`` goes into each of the four cells of the studies that ``to`` chooses
(see ``meta.measures.zero_cells``). ``drop00=True`` makes studies undefined in which nobody or
everybody had the outcome in both arms. Measures that are defined with zero cells add nothing
unless told to.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from meta.measures.bivariate_normal import tetrachoric
from meta.measures.registry import measure
from meta.measures.small_sample import Compat, is_legacy, known_vtype, weighted_mean
from meta.measures.zero_cells import To, adjusted

Array = NDArray[np.float64]
NEEDS = ("events_1", "total_1", "events_2", "total_2")
HALF = 0.5  # Haldane (1956) and Gart & Zweifel (1967): removes the first-order bias of a log odds


def table(
    events_1: Array,
    total_1: Array,
    events_2: Array,
    total_2: Array,
    *,
    add: float,
    to: To,
    drop00: bool,
) -> tuple[Array, Array, Array, Array]:
    """The four cells after the rule for zeros; NaN in studies that ``drop00`` leaves out."""
    a, b, c, d = events_1, total_1 - events_1, events_2, total_2 - events_2
    empty = ((a == 0) & (c == 0)) | ((b == 0) & (d == 0))
    cells = adjusted((a, b, c, d), add=add, to=to)
    if drop00:
        cells = tuple(np.where(empty, np.nan, cell) for cell in cells)
    a, b, c, d = cells
    return a, b, c, d


@measure("RR", label="Risk ratio", scale="log", needs=NEEDS)
def log_risk_ratio(
    events_1: Array,
    total_1: Array,
    events_2: Array,
    total_2: Array,
    *,
    add: float = HALF,
    to: To = "only0",
    drop00: bool = False,
) -> tuple[Array, Array]:
    """Log risk ratio. Katz et al. (1978), Biometrics 34(3):469-474."""
    a, b, c, d = table(events_1, total_1, events_2, total_2, add=add, to=to, drop00=drop00)
    y = np.log(a / (a + b)) - np.log(c / (c + d))
    return y, 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


@measure("OR", label="Odds ratio", scale="log", needs=NEEDS)
def log_odds_ratio(
    events_1: Array,
    total_1: Array,
    events_2: Array,
    total_2: Array,
    *,
    add: float = HALF,
    to: To = "only0",
    drop00: bool = False,
) -> tuple[Array, Array]:
    """Log odds ratio. Woolf (1955), Annals of Human Genetics 19(4):251-253."""
    a, b, c, d = table(events_1, total_1, events_2, total_2, add=add, to=to, drop00=drop00)
    return np.log(a * d) - np.log(b * c), 1 / a + 1 / b + 1 / c + 1 / d


@measure("PETO", label="Peto odds ratio", scale="log", needs=NEEDS)
def peto_log_odds_ratio(
    events_1: Array,
    total_1: Array,
    events_2: Array,
    total_2: Array,
    *,
    add: float = HALF,
    to: To = "only0",
    drop00: bool = False,
) -> tuple[Array, Array]:
    """One-step log odds ratio: observed minus expected over the hypergeometric variance.

    Yusuf et al. (1985), Progress in Cardiovascular Diseases 27(5):335-371.
    """
    a, b, c, d = table(events_1, total_1, events_2, total_2, add=add, to=to, drop00=drop00)
    n1, n2, with_event, without = a + b, c + d, a + c, b + d
    n = n1 + n2
    information = n1 * n2 * with_event * without / (n**2 * (n - 1))
    return (a - n1 * with_event / n) / information, 1 / information


@measure("RD", label="Risk difference", scale="identity", needs=NEEDS)
def risk_difference(
    events_1: Array,
    total_1: Array,
    events_2: Array,
    total_2: Array,
    *,
    add: float = HALF,
    to: To = "only0",
    drop00: bool = False,
    vtype: str = "LS",
) -> tuple[Array, Array]:
    """Difference of two proportions.

    ``vtype``: "LS" large-sample, "UB" unbiased (n - 1 in the denominators), "AV" with each arm's
    proportion averaged over the studies by size. Fleiss & Berlin (2009) in Cooper et al.,
    Handbook of Research Synthesis, 237-253.
    """
    known_vtype(vtype, ("LS", "UB", "AV"))
    a, b, c, d = table(events_1, total_1, events_2, total_2, add=add, to=to, drop00=drop00)
    n1, n2 = a + b, c + d
    p1, p2 = a / n1, c / n2
    y = p1 - p2
    if vtype == "UB":
        return y, p1 * (1 - p1) / (n1 - 1) + p2 * (1 - p2) / (n2 - 1)
    if vtype == "AV":
        p1 = np.where(np.isnan(p1), np.nan, weighted_mean(p1, n1))
        p2 = np.where(np.isnan(p2), np.nan, weighted_mean(p2, n2))
    return y, p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2


@measure("AS", label="Arcsine difference", scale="identity", needs=NEEDS)
def arcsine_difference(
    events_1: Array,
    total_1: Array,
    events_2: Array,
    total_2: Array,
    *,
    add: float = 0.0,
    to: To = "only0",
    drop00: bool = False,
    compat: Compat = None,
) -> tuple[Array, Array]:
    """Difference of arcsine square roots, defined with zero cells.

    ``compat="metafor-3.8"`` adds nothing to the cells, whatever ``add`` says. Rücker et al.
    (2009), Statistics in Medicine 28(5):721-738.
    """
    add = 0.0 if is_legacy(compat) else add
    a, b, c, d = table(events_1, total_1, events_2, total_2, add=add, to=to, drop00=drop00)
    y = np.arcsin(np.sqrt(a / (a + b))) - np.arcsin(np.sqrt(c / (c + d)))
    return y, 1 / (4 * (a + b)) + 1 / (4 * (c + d))


@measure("PHI", label="Phi coefficient", scale="identity", needs=NEEDS)
def phi_coefficient(
    events_1: Array,
    total_1: Array,
    events_2: Array,
    total_2: Array,
    *,
    add: float = 0.0,
    to: To = "only0",
    drop00: bool = False,
    vtype: str = "CS",
    compat: Compat = None,
) -> tuple[Array, Array]:
    """Correlation of two dichotomous variables.

    ``vtype`` follows the sampling: "ST" stratified (the arms' sizes are fixed by design),
    "CS" cross-sectional (only the total is fixed). ``compat="metafor-3.8"`` adds nothing to the
    cells, whatever ``add`` says. The first is the delta method with two
    independent binomials, the second with one multinomial: Bishop, Fienberg & Holland (1975),
    Discrete Multivariate Analysis, 381; Yule (1912), JRSS 75(6):579-652.
    """
    known_vtype(vtype, ("ST", "CS"))
    add = 0.0 if is_legacy(compat) else add
    a, b, c, d = table(events_1, total_1, events_2, total_2, add=add, to=to, drop00=drop00)
    n1, n2 = a + b, c + d
    n = n1 + n2
    w1, w2 = n1 / n, n2 / n  # rows
    q = (a + c) / n  # first column
    spread = q * (1 - q)
    y = (a * d - b * c) / np.sqrt(n1 * n2 * (a + c) * (b + d))
    if vtype == "CS":
        rows, columns = w1 - w2, 2 * q - 1
        v = (
            1
            - y**2
            + y * (1 + y**2 / 2) * rows * columns / np.sqrt(w1 * w2 * spread)
            - 0.75 * y**2 * (rows**2 / (w1 * w2) + columns**2 / spread)
        ) / n
        return y, v
    p1, p2 = a / n1, c / n2
    shift = (p1 - p2) * (1 - 2 * q) / (2 * spread)
    slope_1 = np.sqrt(w1 * w2 / spread) * (1 - w1 * shift)
    slope_2 = np.sqrt(w1 * w2 / spread) * (-1 - w2 * shift)
    return y, slope_1**2 * p1 * (1 - p1) / n1 + slope_2**2 * p2 * (1 - p2) / n2


@measure("YUQ", label="Yule's Q", scale="identity", needs=NEEDS)
def yule_q(
    events_1: Array,
    total_1: Array,
    events_2: Array,
    total_2: Array,
    *,
    add: float = HALF,
    to: To = "only0",
    drop00: bool = False,
) -> tuple[Array, Array]:
    """(ad - bc) / (ad + bc). Yule (1912), JRSS 75(6):579-652."""
    a, b, c, d = table(events_1, total_1, events_2, total_2, add=add, to=to, drop00=drop00)
    y = (a * d - b * c) / (a * d + b * c)
    return y, (1 - y**2) ** 2 * (1 / a + 1 / b + 1 / c + 1 / d) / 4


@measure("YUY", label="Yule's Y", scale="identity", needs=NEEDS)
def yule_y(
    events_1: Array,
    total_1: Array,
    events_2: Array,
    total_2: Array,
    *,
    add: float = HALF,
    to: To = "only0",
    drop00: bool = False,
) -> tuple[Array, Array]:
    """Coefficient of colligation. Yule (1912), JRSS 75(6):579-652."""
    a, b, c, d = table(events_1, total_1, events_2, total_2, add=add, to=to, drop00=drop00)
    y = (np.sqrt(a * d) - np.sqrt(b * c)) / (np.sqrt(a * d) + np.sqrt(b * c))
    return y, (1 - y**2) ** 2 * (1 / a + 1 / b + 1 / c + 1 / d) / 16


@measure("RTET", label="Tetrachoric correlation", scale="identity", needs=NEEDS)
def tetrachoric_correlation(
    events_1: Array,
    total_1: Array,
    events_2: Array,
    total_2: Array,
    *,
    add: float = 0.0,
    to: To = "only0",
    drop00: bool = False,
) -> tuple[Array, Array]:
    """Correlation of the two normal variables of which the table shows only high and low.

    It is -1 or 1 with one zero cell, where its variance is undefined. Pearson (1900),
    Philosophical Transactions A 195:1-47; variance: Pearson (1913), Biometrika 9(1-2):22-27;
    Kirk (1973), Psychometrika 38(2):259-268.
    """
    a, b, c, d = table(events_1, total_1, events_2, total_2, add=add, to=to, drop00=drop00)
    return tetrachoric(a, b, c, d)


@measure("PBIT", label="Probit difference", scale="identity", needs=NEEDS)
def probit_difference(
    events_1: Array,
    total_1: Array,
    events_2: Array,
    total_2: Array,
    *,
    add: float = HALF,
    to: To = "only0",
    drop00: bool = False,
) -> tuple[Array, Array]:
    """Standardised mean difference of the normal variable that was dichotomised.

    Sánchez-Meca et al. (2003), Psychological Methods 8(4):448-467.
    """
    a, b, c, d = table(events_1, total_1, events_2, total_2, add=add, to=to, drop00=drop00)
    n1, n2 = a + b, c + d
    p1, p2 = a / n1, c / n2
    z1, z2 = scipy.special.ndtri(p1), scipy.special.ndtri(p2)
    v = 2 * np.pi * (p1 * (1 - p1) * np.exp(z1**2) / n1 + p2 * (1 - p2) * np.exp(z2**2) / n2)
    return z1 - z2, v
