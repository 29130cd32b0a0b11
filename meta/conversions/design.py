"""Numbers that the design of a study changes: several arms, crossover, clusters, units."""

from __future__ import annotations

import math

from meta.conversions.provenance import at_least_two, formula, positive, require

HANDBOOK_6 = "Cochrane Handbook ch. 6"
HANDBOOK_23 = "Cochrane Handbook ch. 23"
GLESER_OLKIN = "Gleser & Olkin 2009, in Cooper et al., Handbook of Research Synthesis"


@formula(
    "combine-groups",
    equation="N = n_1 + n_2, mean = (n_1 m_1 + n_2 m_2)/N, "
    "SD² = ((n_1 - 1) s_1² + (n_2 - 1) s_2² + n_1 n_2 (m_1 - m_2)²/N) / (N - 1)",
    source=HANDBOOK_6,
)
def combine_groups(
    n_1: float, mean_1: float, sd_1: float, n_2: float, mean_2: float, sd_2: float
) -> dict[str, float]:
    """Two groups as one: exactly what the pooled people would give. More groups: one by one."""
    positive(sd_1=sd_1, sd_2=sd_2)
    at_least_two(n_1=n_1, n_2=n_2)
    n = n_1 + n_2
    square = (n_1 - 1) * sd_1**2 + (n_2 - 1) * sd_2**2 + n_1 * n_2 / n * (mean_1 - mean_2) ** 2
    return {
        "mean": (n_1 * mean_1 + n_2 * mean_2) / n,
        "sd": math.sqrt(square / (n - 1)),
        "n": n,
    }


@formula(
    "split-control",
    equation="n divided into whole parts as equal as can be; means and SDs stay",
    source=HANDBOOK_23,
)
def split_shared_control(n: int, parts: int) -> tuple[dict[str, float], tuple[str, ...]]:
    """Sizes of a control group that serves several comparisons: values n_1, n_2, ...

    Divide events in the same way. The comparisons stay correlated; where that matters keep the
    whole group and use ``shared_control_covariance``.
    """
    require(
        parts >= 2 and n >= 2 * parts and n == int(n) and parts == int(parts),
        f"n = {n} cannot be split into {parts} groups of two or more",
        remedy="combine the arms that share the control instead",
    )
    base, extra = divmod(int(n), int(parts))
    sizes = {f"n_{i + 1}": float(base + (i < extra)) for i in range(int(parts))}
    return sizes, ("the comparisons remain correlated",)


@formula(
    "shared-control-covariance",
    equation="cov = 1/n_control + d_1 d_2 / (2 N)",
    source=GLESER_OLKIN,
)
def shared_control_covariance(
    d_1: float, d_2: float, n_control: float, n_total: float
) -> dict[str, float]:
    """Covariance of two standardised differences from one control group; N over all arms."""
    at_least_two(n_control=n_control, n_total=n_total)
    return {"covariance": 1 / n_control + d_1 * d_2 / (2 * n_total)}


@formula(
    "shared-control-covariance-md", equation="cov = SD_control²/n_control", source=GLESER_OLKIN
)
def shared_control_covariance_md(sd_control: float, n_control: float) -> dict[str, float]:
    """Covariance of two mean differences from one control group: the variance of its mean."""
    positive(sd_control=sd_control)
    at_least_two(n_control=n_control)
    return {"covariance": sd_control**2 / n_control}


def _control_counts(events: float, total: float, *, inside: bool = True) -> None:
    require(
        0 <= events <= total and total >= 1 and (not inside or 0 < events < total),
        f"events_control = {events} of total_control = {total} cannot be used",
        remedy="check them against the paper; log ratios need events and, for odds, non-events",
    )


@formula(
    "shared-control-covariance-or",
    equation="cov = 1/events_control + 1/(total_control - events_control)",
    source=GLESER_OLKIN,
)
def shared_control_covariance_or(events_control: float, total_control: float) -> dict[str, float]:
    """Covariance of two log odds ratios from one control group: the variance of its log odds."""
    _control_counts(events_control, total_control)
    return {"covariance": 1 / events_control + 1 / (total_control - events_control)}


@formula(
    "shared-control-covariance-rr",
    equation="cov = 1/events_control - 1/total_control",
    source=GLESER_OLKIN,
)
def shared_control_covariance_rr(events_control: float, total_control: float) -> dict[str, float]:
    """Covariance of two log risk ratios from one control group: the variance of its log risk."""
    _control_counts(events_control, total_control)
    return {"covariance": 1 / events_control - 1 / total_control}


@formula(
    "shared-control-covariance-rd",
    equation="cov = p (1 - p)/total_control, p = events_control/total_control",
    source=GLESER_OLKIN,
)
def shared_control_covariance_rd(events_control: float, total_control: float) -> dict[str, float]:
    """Covariance of two risk differences from one control group: the variance of its risk."""
    _control_counts(events_control, total_control, inside=False)
    p = events_control / total_control
    return {"covariance": p * (1 - p) / total_control}


@formula(
    "crossover",
    equation="SD_diff = √(s_1² + s_2² - 2 r s_1 s_2), SE = SD_diff/√n, "
    "SMD = MD/√((s_1² + s_2²)/2), "
    "SE(SMD) = √(1/n + SMD²/(2 n)) × √(2 (1 - r))",
    source=HANDBOOK_23,
)
def crossover(difference: float, sd_1: float, sd_2: float, n: float, r: float) -> dict[str, float]:
    """Mean and standardised difference of n people measured under both treatments.

    Values: smd, se_smd, difference, se (of the difference), sd_difference.
    """
    positive(sd_1=sd_1, sd_2=sd_2)
    at_least_two(n=n)
    require(
        -1 <= r < 1,
        f"r = {r} is not a correlation that can be used here",
        remedy="give the correlation within people, -1 to 1",
    )
    spread = math.sqrt(sd_1**2 + sd_2**2 - 2 * r * sd_1 * sd_2)
    smd = difference / math.sqrt((sd_1**2 + sd_2**2) / 2)
    return {
        "smd": smd,
        "se_smd": math.sqrt(1 / n + smd**2 / (2 * n)) * math.sqrt(2 * (1 - r)),
        "difference": difference,
        "se": spread / math.sqrt(n),
        "sd_difference": spread,
    }


def _effect(cluster_size: float, icc: float) -> float:
    require(
        cluster_size >= 1,
        f"cluster_size = {cluster_size} is less than 1",
        remedy="give the mean number of people per cluster",
    )
    require(
        0 <= icc <= 1,
        f"icc = {icc} is not an intracluster correlation",
        remedy="give a value from 0 to 1, from the study or one like it",
    )
    return 1 + (cluster_size - 1) * icc


@formula("design-effect", equation="1 + (m - 1) ICC", source=HANDBOOK_23)
def design_effect(cluster_size: float, icc: float) -> dict[str, float]:
    """How much clusters of ``cluster_size`` people on average inflate a variance."""
    return {"design_effect": _effect(cluster_size, icc)}


@formula("effective-n", equation="n / (1 + (m - 1) ICC)", source=HANDBOOK_23)
def effective_n(n: float, cluster_size: float, icc: float) -> dict[str, float]:
    """Size (or count of events) that independent people would need for the same precision.

    A fraction: round it, or pass ``whole=False`` to ``effects``.
    """
    positive(n=n)
    return {"n": n / _effect(cluster_size, icc)}


@formula("cluster-se", equation="SE × √(1 + (m - 1) ICC)", source=HANDBOOK_23)
def cluster_se(se: float, cluster_size: float, icc: float) -> dict[str, float]:
    """Standard error of an analysis that ignored the clusters, set right."""
    positive(se=se)
    return {"se": se * math.sqrt(_effect(cluster_size, icc))}


PREFIX = {"": 0, "d": -1, "c": -2, "m": -3, "u": -6, "µ": -6, "μ": -6, "n": -9, "p": -12, "f": -15}


def _prefixed(part: str, base: str) -> int | None:
    """Power of ten of a prefixed unit: ("ng", "g") is -9; None if it is not one of that base."""
    if not part.endswith(base):
        return None
    head = part[: -len(base)]
    return -6 if head == "mc" and base == "g" else PREFIX.get(head)


def _unit(text: str) -> tuple[int, str]:
    """Power of ten to gram or mole per litre, and which of the two."""
    compact = text.strip().replace(" ", "")
    if "/" not in compact and (power := _prefixed(compact, "M")) is not None:
        return power, "mol"
    amount, _, volume = compact.partition("/")
    litre = _prefixed(volume, "L" if volume.endswith("L") else "l")
    for base in ("mol", "g"):
        power = _prefixed(amount, base)
        if power is not None and litre is not None:
            return power - litre, base
    require(
        False,
        f"{text!r} is not a unit of concentration that is known",
        remedy="write it as ng/mL, pg/mL, ug/L, mg/dL, nmol/L, pM, ...",
    )
    raise AssertionError


@formula(
    "concentration",
    equation="value × 10^(difference of the prefixes), through the molar mass between g and mol",
    source="SI prefixes",
)
def concentration(
    value: float, unit: str, to: str, *, molar_mass: float | None = None
) -> dict[str, float]:
    """A concentration in another unit: ng/mL, pg/mL, ug/L (µg, mcg), mg/dL, nmol/L, nM, ...

    ``molar_mass`` in g/mol is needed between mass and amount. Standard deviations, standard errors
    and limits convert by the same factor. Serum and plasma values of one substance can differ by
    more than any unit: that is no matter of conversion.
    """
    (power, base), (power_to, base_to) = _unit(unit), _unit(to)
    shift = power - power_to
    scaled = value * 10.0**shift if shift >= 0 else value / 10.0**-shift
    if base == base_to:
        return {to: scaled}
    require(
        molar_mass is not None,
        f"from {unit} to {to} goes through the molar mass",
        remedy="give molar_mass in g/mol",
    )
    assert molar_mass is not None
    positive(molar_mass=molar_mass)
    return {to: scaled * molar_mass if base_to == "g" else scaled / molar_mass}
