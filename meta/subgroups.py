"""Subgroups of studies: each pooled, and a test of whether they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.errors import InputError
from meta.fitting import check, check_level, fit, method_of, subset
from meta.frames import fitted_to, is_absent
from meta.heterogeneity import q_profile
from meta.pooling import pool, pooled_from
from meta.present import Presented, Table, table_of
from meta.results import Effects, PooledEffect, show, show_p
from meta.tau2 import DEFAULT_TAU2


@dataclass(frozen=True, slots=True, eq=False)  # holds results with arrays
class SubgroupResult(Presented):
    """Pooled effects of subgroups and the test of differences between them."""

    names: tuple[str, ...]
    pooled: tuple[PooledEffect, ...]
    overall: PooledEffect  # over all studies, without regard to the groups
    common_tau2: bool
    q_between: float
    q_df: int
    p: float
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """A line for each subgroup, then the test between them."""
        lines = [
            f"{name}: {found.summary()}"
            for name, found in zip(self.names, self.pooled, strict=True)
        ]
        shared = "one τ²" if self.common_tau2 else "a τ² each"
        lines.append(
            f"Difference between subgroups ({shared}): Q = {show(self.q_between)} "
            f"(df = {self.q_df}), {show_p(self.p)}"
        )
        return "\n".join(lines)

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each subgroup, and one for all studies."""
        return [
            {
                "group": name,
                "k": found.effects.k,
                "estimate": found.estimate,
                "ci_low": found.ci[0],
                "ci_high": found.ci[1],
                "tau2": found.tau2,
                "i2": found.i2,
            }
            for name, found in (*zip(self.names, self.pooled, strict=True), ("all", self.overall))
        ]

    def _tables(self) -> tuple[Table, ...]:
        caption = f"{self.overall.effects.measure.label} by subgroup, analysis scale"
        notes = (self.summary().splitlines()[-1], *self.notes)
        level = self.overall.level
        return (table_of(caption, self.rows(), level=level, notes=notes, apart=1),)

    def __str__(self) -> str:
        return self.summary()


def subgroups(
    effects: Effects,
    groups: Sequence[Any],
    *,
    common_tau2: bool = False,
    model: str = "random",
    tau2: str = DEFAULT_TAU2,
    ci: str = "auto",
    level: float = 0.95,
    prediction: str = "auto",
) -> SubgroupResult:
    """Pool each subgroup of studies and test whether the subgroups differ.

    Parameters
    ----------
    effects : Effects
        k studies.
    groups : sequence, shape (k,)
        The group of each study; groups keep the order in which they first appear.
    common_tau2 : bool
        One between-study variance for all groups (that of the meta-regression on group, better
        when groups are small), or one for each.
    model, tau2, ci, level, prediction
        As for ``meta.pooling.pool``.

    Returns
    -------
    SubgroupResult
        The test is Q = sum w (theta - mean)^2 over groups with w = 1/se^2 (Wald standard errors),
        chi-squared with one degree of freedom less than there are groups.

    Raises
    ------
    InputError
        If a study has no group, or there are not two groups.

    References
    ----------
    Borenstein et al. (2009), Introduction to Meta-Analysis, ch. 19.
    """
    check(effects)
    check_level(level)
    method_of(model, tau2)  # refuses what is not known
    labels, names = groups_of(effects, groups)
    parts = [subset(effects, labels == name) for name in names]
    notes = []
    if common_tau2 and model == "random":
        x = np.stack([labels == name for name in names], axis=1).astype(float)
        whole = fit(effects.yi, effects.vi, x, tau2=tau2)
        low, high, _ = q_profile(whole.problem, level)
        pooled = []
        for part in parts:
            found = fit(part.yi, part.vi, tau2=whole.tau2.value)
            pooled.append(
                replace(
                    pooled_from(part, found, ci=ci, level=level, prediction=prediction),
                    tau2_se=whole.tau2.se,
                    tau2_ci=(low, high),
                    tau2_method=f"{tau2}, one for all subgroups",
                )
            )
    else:
        pooled = [
            pool(part, model=model, tau2=tau2, ci=ci, level=level, prediction=prediction)
            for part in parts
        ]
        alone = [name for name, part in zip(names, parts, strict=True) if part.k == 1]
        if alone and model == "random":
            notes.append(f"one study, hence no τ² of its own: {', '.join(alone)}")
    estimate = np.array([found.estimate for found in pooled])
    # Wald standard errors: the half width over the normal quantile.
    crit = float(special.ndtri(0.5 + level / 2))
    se = np.array([(found.wald_ci[1] - found.wald_ci[0]) / (2 * crit) for found in pooled])
    w = 1 / se**2
    mean = float(w @ estimate) / float(w.sum())
    q = float(w @ (estimate - mean) ** 2)
    df = len(names) - 1
    return SubgroupResult(
        names,
        tuple(pooled),
        pool(effects, model=model, tau2=tau2, ci=ci, level=level, prediction=prediction),
        common_tau2 and model == "random",
        q,
        df,
        float(special.chdtrc(df, q)),
        tuple(notes),
    )


def groups_of(effects: Effects, groups: Sequence[Any]) -> tuple[NDArray[np.str_], tuple[str, ...]]:
    """The group of each study as text, and the groups in the order in which they appear.

    Raises
    ------
    InputError
        If a study has no group, or there are not two groups.
    """
    groups = fitted_to(groups, effects.k, effects.dropped)
    if len(groups) != effects.k:
        raise InputError(f"{len(groups)} groups for {effects.k} studies", remedy="one per study")
    absent = [
        f"{study}: no group"
        for study, group in zip(effects.study, groups, strict=True)
        if is_absent(group)
    ]
    if absent:
        raise InputError("every study needs a group", absent, remedy="name it, or leave it out")
    labels: NDArray[np.str_] = np.array([str(group) for group in groups])
    names = tuple(dict.fromkeys(labels.tolist()))
    if len(names) < 2:
        raise InputError(f"all studies are {names[0]!r}: there is nothing to compare")
    return labels, names
