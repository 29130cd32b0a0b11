"""How far reviewers agree: coefficients with intervals, each with the paper that it comes from.

Categories are nominal and fixed: include, exclude, and unsure where anybody was. A coefficient is
NaN where it is not defined, as Cohen's kappa where both reviewers put every record into one and
the same category.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from evidence.errors import InputError
from evidence.model import Screening, Stage
from meta.results import DASH

Array = NDArray[np.float64]
Unsure = Literal["own", "include", "drop"]

LEVEL = 0.95  # of the intervals, 0 to 1
RESAMPLES = (
    2_000  # of the bootstrap; a percentile's own error is then about a tenth of the interval
)


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A measure of agreement; NaN where it is not defined."""

    name: str
    value: float
    ci: tuple[float, float]  # low, high
    se: float
    level: float  # of the interval, 0 to 1
    method: str  # of the interval, in words

    def json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": _number(self.value),
            "ci": [_number(x) for x in self.ci],
            "se": _number(self.se),
            "level": self.level,
            "method": self.method,
        }

    def __str__(self) -> str:
        if math.isnan(self.value):
            return f"{self.name} {DASH} (not defined)"
        if any(math.isnan(x) for x in self.ci):
            return f"{self.name} {self.value:.2f}"
        low, high = self.ci
        return f"{self.name} {self.value:.2f} ({self.level:.0%} CI {low:.2f} to {high:.2f})"


@dataclass(frozen=True, slots=True, eq=False)
class PairAgreement:
    """Two reviewers on the records that both decided on.

    Attributes
    ----------
    table : array of int, shape (q, q)
        Records by the category of the first reviewer (rows) and of the second (columns).
    specific : mapping of str to float
        By category, the share of decisions for it that the other reviewer shared.
    """

    reviewers: tuple[str, str]
    categories: tuple[str, ...]
    table: NDArray[np.int64]
    observed: Coefficient
    kappa: Coefficient
    pabak: Coefficient
    ac1: Coefficient
    specific: Mapping[str, float]

    @property
    def n(self) -> int:
        return int(self.table.sum())

    def json(self) -> dict[str, Any]:
        return {
            "reviewers": list(self.reviewers),
            "records": self.n,
            "categories": list(self.categories),
            "table": self.table.tolist(),
            "coefficients": [c.json() for c in self.coefficients],
            "specific": {name: _number(value) for name, value in self.specific.items()},
        }

    @property
    def coefficients(self) -> tuple[Coefficient, ...]:
        return self.observed, self.kappa, self.pabak, self.ac1

    def lines(self) -> list[str]:
        one, two = self.reviewers
        said = [f"{one} and {two}, {self.n:,} {'record' if self.n == 1 else 'records'}"]
        said += [f"  {c}" for c in self.coefficients]
        shares = (f"{c} {DASH if math.isnan(v) else f'{v:.2f}'}" for c, v in self.specific.items())
        return [*said, f"  agreement on {', '.join(shares)}"]


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """All reviewers of a stage, each pair of them and all together."""

    stage: Stage
    reviewers: tuple[str, ...]
    unsure: Unsure  # what became of "unsure"
    records: int  # with a decision of anybody
    shared: int  # with decisions of two or more
    pairs: tuple[PairAgreement, ...]  # of those who share records
    alpha: Coefficient  # over all reviewers, for sets that overlap in part
    ac1: Coefficient  # the same

    def json(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "reviewers": list(self.reviewers),
            "unsure": self.unsure,
            "records": self.records,
            "shared": self.shared,
            "pairs": [pair.json() for pair in self.pairs],
            "overall": [self.alpha.json(), self.ac1.json()],
        }

    def lines(self) -> list[str]:
        """The same in words, a line a coefficient."""
        if not self.shared:
            return [f"{self.stage}: no record was decided on by two reviewers"]
        said = [
            f"{self.stage}: {len(self.reviewers)} reviewers, {self.records:,} records, "
            f"{self.shared:,} decided on by two or more"
        ]
        for pair in self.pairs:
            said += [f"  {line}" for line in pair.lines()]
        return [*said, "  all reviewers", f"    {self.alpha}", f"    {self.ac1}"]


def agreement(
    decisions: Mapping[str, Mapping[str, Screening]],
    stage: Stage,
    *,
    unsure: Unsure = "own",
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Agreement:
    """Agreement of all reviewers of a stage.

    Parameters
    ----------
    decisions : mapping of str to mapping of str to Screening
        Record to reviewer to decision, as `ScreeningState.independent` gives them.
    unsure : str
        "own": a category of its own. "include": as an inclusion, since both send a record on.
        "drop": as if the reviewer had not decided.
    resamples, seed : int
        Of the bootstrap interval of alpha.
    """
    reviewers = tuple(sorted({who for own in decisions.values() for who in own}))
    said = [
        {who: c for who, row in own.items() if (c := _category(row.decision, unsure))}
        for own in decisions.values()
    ]
    used = {c for own in said for c in own.values()}
    categories = ("include", "exclude", *(["unsure"] if "unsure" in used else []))
    place = {c: n for n, c in enumerate(categories)}
    counts = np.zeros((len(said), len(categories)), dtype=np.int64)
    for unit, own in enumerate(said):
        for category in own.values():
            counts[unit, place[category]] += 1
    pairs = []
    for one, two in combinations(reviewers, 2):
        both = [(place[own[one]], place[own[two]]) for own in said if one in own and two in own]
        if both:
            table = np.zeros((len(categories), len(categories)), dtype=np.int64)
            np.add.at(table, tuple(np.array(both).T), 1)
            pairs.append(pair_agreement((one, two), table, categories, level=level))
    return Agreement(
        stage=stage,
        reviewers=reviewers,
        unsure=unsure,
        records=int((counts.sum(axis=1) > 0).sum()),
        shared=int((counts.sum(axis=1) > 1).sum()),
        pairs=tuple(pairs),
        alpha=krippendorff_alpha(counts, level=level, resamples=resamples, seed=seed),
        ac1=gwet_ac1(counts, level=level),
    )


def _category(decision: str, unsure: Unsure) -> str:
    if decision != "unsure" or unsure == "own":
        return decision
    return "include" if unsure == "include" else ""


def pair_agreement(
    reviewers: tuple[str, str],
    table: Iterable[Sequence[int]] | NDArray[np.int64],
    categories: Sequence[str],
    *,
    level: float = LEVEL,
) -> PairAgreement:
    """Every coefficient of two reviewers from their table of counts."""
    counts = _table(table)
    return PairAgreement(
        reviewers=reviewers,
        categories=tuple(categories),
        table=counts,
        observed=percent_agreement(counts, level=level),
        kappa=cohen_kappa(counts, level=level),
        pabak=pabak(counts, level=level),
        ac1=gwet_ac1(_of_table(counts), level=level),
        specific=dict(zip(categories, specific_agreement(counts).tolist(), strict=True)),
    )


def percent_agreement(
    table: Iterable[Sequence[int]] | NDArray[np.int64], *, level: float = LEVEL
) -> Coefficient:
    """Share of records on which two reviewers agree, with Wilson's interval.

    References
    ----------
    Wilson (1927), J Am Stat Assoc 22:209-212.
    """
    counts = _table(table)
    n = int(counts.sum())
    method = "Wilson"
    if not n:
        return _undefined("agreement", level, method)
    p = float(np.trace(counts)) / n
    z = _z(level)
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    ci = (max(0.0, middle - half), min(1.0, middle + half))
    return Coefficient("agreement", p, ci, math.sqrt(p * (1 - p) / n), level, method)


def cohen_kappa(
    table: Iterable[Sequence[int]] | NDArray[np.int64], *, level: float = LEVEL
) -> Coefficient:
    """Cohen's kappa with its large-sample standard error; the interval ends at 1.

    Parameters
    ----------
    table : array of int, shape (q, q)
        Records by the category of the first reviewer and of the second.

    References
    ----------
    Cohen (1960), Educ Psychol Meas 20:37-46; Fleiss, Cohen and Everitt (1969), Psychol Bull
    72:323-327.
    """
    counts = _table(table)
    n = int(counts.sum())
    method = "large-sample (Fleiss, Cohen and Everitt)"
    if not n:
        return _undefined("Cohen's kappa", level, method)
    p = counts / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, expected = float(np.trace(p)), float(rows @ columns)
    if expected >= 1:
        return _undefined("Cohen's kappa", level, method)
    kappa = (observed - expected) / (1 - expected)
    same = float(np.diag(p) @ (1 - (rows + columns) * (1 - kappa)) ** 2)
    other = p * (columns[:, None] + rows[None, :]) ** 2
    apart = (1 - kappa) ** 2 * float(other.sum() - np.trace(other))
    variance = (same + apart - (kappa - expected * (1 - kappa)) ** 2) / (n * (1 - expected) ** 2)
    se = math.sqrt(max(variance, 0.0))
    return Coefficient("Cohen's kappa", kappa, _within(kappa, _z(level) * se), se, level, method)


def pabak(
    table: Iterable[Sequence[int]] | NDArray[np.int64], *, level: float = LEVEL
) -> Coefficient:
    """Prevalence- and bias-adjusted kappa: (q p - 1) / (q - 1), with p the share of agreement.

    With two categories it is 2 p - 1. The interval is that of p, carried over.

    References
    ----------
    Byrt, Bishop and Carlin (1993), J Clin Epidemiol 46:423-429; with more than two categories
    Brennan and Prediger (1981), Educ Psychol Meas 41:687-699.
    """
    counts = _table(table)
    q = len(counts)
    share = percent_agreement(counts, level=level)
    low, high = ((q * x - 1) / (q - 1) for x in share.ci)
    return Coefficient(
        "PABAK",
        (q * share.value - 1) / (q - 1),
        (low, high),
        share.se * q / (q - 1),
        level,
        "Wilson's of the agreement, carried over",
    )


def gwet_ac1(
    counts: Iterable[Sequence[int]] | NDArray[np.int64], *, level: float = LEVEL
) -> Coefficient:
    """Gwet's AC1 for two or more reviewers, whose sets of records may overlap in part.

    Agreement is taken over the records with two or more decisions; how common a category is, over
    all. Its interval is t with records less one degrees of freedom, and ends at 1.

    Parameters
    ----------
    counts : array of int, shape (n, q)
        How many reviewers put each record into each category.

    References
    ----------
    Gwet (2008), Br J Math Stat Psychol 61:29-48; with missing decisions Gwet (2014),
    Handbook of Inter-Rater Reliability, 4th ed.
    """
    r, method = _counts(counts), "t, records less one"
    decided = r.sum(axis=1)
    r, decided = r[decided > 0], decided[decided > 0]
    n, q = len(r), r.shape[1]
    shared = decided > 1
    n_shared = int(shared.sum())
    if not n_shared or q < 2:
        return _undefined("Gwet's AC1", level, method)
    common = (r / decided[:, None]).mean(axis=0)
    expected = float(common @ (1 - common)) / (q - 1)
    agree = np.zeros(n)
    agree[shared] = (r * (r - 1)).sum(axis=1)[shared] / (decided * (decided - 1))[shared]
    observed = float(agree.sum()) / n_shared
    value = (observed - expected) / (1 - expected)
    if n < 2:
        return Coefficient("Gwet's AC1", value, (math.nan, math.nan), math.nan, level, method)
    # Each record's part: that of its agreement, less that of its categories' commonness.
    by_record = (n / n_shared) * shared * (agree - expected) / (1 - expected)
    chance = ((1 - common) * (r / decided[:, None])).sum(axis=1) / (q - 1)
    parts = by_record - 2 * (1 - value) * (chance - expected) / (1 - expected)
    se = math.sqrt(float(((parts - value) ** 2).sum()) / (n * (n - 1)))
    half = float(stats.t.ppf(0.5 + level / 2, n - 1)) * se
    return Coefficient("Gwet's AC1", value, _within(value, half), se, level, method)


def krippendorff_alpha(
    counts: Iterable[Sequence[int]] | NDArray[np.int64],
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Coefficient:
    """Krippendorff's alpha for nominal data; sets of records may overlap in part.

    Records with one decision tell nothing of agreement and are left out. The interval is the
    percentile one over resampled records; a resample in which all decisions are the same leaves
    alpha undefined and is passed over. NaN where all decisions are the same.

    Parameters
    ----------
    counts : array of int, shape (n, q)
        How many reviewers put each record into each category.

    References
    ----------
    Krippendorff (2011), Computing Krippendorff's alpha-reliability, University of Pennsylvania,
    section C; the bootstrap over records is one of those that Zapf et al. (2016), BMC Med Res
    Methodol 16:93, compare.
    """
    r = _counts(counts)
    method = f"percentile bootstrap over records, {resamples:,} resamples, seed {seed}"
    r = r[r.sum(axis=1) > 1]
    if not len(r):
        return _undefined("Krippendorff's alpha", level, method)
    patterns, often = np.unique(r, axis=0, return_counts=True)  # few, however many the records
    decided = patterns.sum(axis=1)
    apart = (decided**2 - (patterns**2).sum(axis=1)) / (decided - 1)
    value = float(_alpha(often[None, :], patterns, apart)[0])
    if math.isnan(value) or len(r) < 2:
        return Coefficient(
            "Krippendorff's alpha", value, (math.nan, math.nan), math.nan, level, method
        )
    drawn = np.random.default_rng(seed).multinomial(len(r), often / len(r), size=resamples)
    found = _alpha(drawn, patterns, apart)
    found = found[~np.isnan(found)]
    low, high = np.quantile(found, [0.5 - level / 2, 0.5 + level / 2])
    se = float(found.std(ddof=1)) if len(found) > 1 else math.nan
    return Coefficient("Krippendorff's alpha", value, (float(low), float(high)), se, level, method)


def _alpha(often: NDArray[Any], patterns: Array, apart: Array) -> Array:
    """Alpha of samples in which each pattern of decisions is there so many times (rows)."""
    totals = often @ patterns
    n = totals.sum(axis=1)
    observed = often @ apart
    expected = n**2 - (totals**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha: Array = 1 - (n - 1) * observed / expected
    return np.where(expected > 0, alpha, np.nan)


def specific_agreement(table: Iterable[Sequence[int]] | NDArray[np.int64]) -> Array:
    """For each category, the share of decisions for it that the other reviewer shared.

    2 a / (2 a + b + c) with a the records that both put there and b, c those that one of them did.
    With two categories these are positive and negative agreement. NaN where nobody used it.

    Parameters
    ----------
    table : array of int, shape (q, q)

    Returns
    -------
    array of float, shape (q,)

    References
    ----------
    Cicchetti and Feinstein (1990), J Clin Epidemiol 43:551-558; for q categories Spitzer and
    Fleiss (1974), Br J Psychiatry 125:341-347.
    """
    counts = _table(table)
    used = counts.sum(axis=0) + counts.sum(axis=1)
    with np.errstate(invalid="ignore"):
        share: Array = 2 * np.diag(counts) / used
    return share


def _table(table: Iterable[Sequence[int]] | NDArray[np.int64]) -> NDArray[np.int64]:
    counts = np.asarray(table)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or len(counts) < 2:
        raise InputError("a table of two reviewers has a row and a column for each category")
    if (counts < 0).any() or (counts != np.floor(counts)).any():
        raise InputError("a table of two reviewers holds numbers of records")
    return counts.astype(np.int64)


def _counts(counts: Iterable[Sequence[int]] | NDArray[np.int64]) -> Array:
    r = np.asarray(counts, dtype=np.float64)
    if r.ndim != 2 or (r < 0).any():
        raise InputError("counts of decisions have a row for each record, a column a category")
    return r


def _of_table(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of two reviewers put each record into each category."""
    q = len(table)
    one, two = (np.repeat(index, table.ravel()) for index in np.indices((q, q)).reshape(2, -1))
    return np.eye(q, dtype=np.int64)[one] + np.eye(q, dtype=np.int64)[two]


def _z(level: float) -> float:
    return float(stats.norm.ppf(0.5 + level / 2))


def _within(value: float, half: float) -> tuple[float, float]:
    return max(-1.0, value - half), min(1.0, value + half)


def _undefined(name: str, level: float, method: str) -> Coefficient:
    return Coefficient(name, math.nan, (math.nan, math.nan), math.nan, level, method)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
