"""Location-scale models: study characteristics that move the mean effect and the heterogeneity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.coefficients import Coefficients, wald_coefficients
from meta.errors import InputError, NotConverged, UnknownName
from meta.fitting import check, check_level, fit
from meta.moderators import Design, design_of
from meta.present import Presented, Table, table_of
from meta.results import Effects, show, show_p

Array = NDArray[np.float64]
NAN = math.nan
METHODS = ("REML", "ML")
STEPS = 100
SLOPE = 1e-9  # of the log-likelihood per unit of a standardised coefficient, at the end
FLAT = 1e-4  # tau2 over the least sampling variance, below which a study's heterogeneity is none
STARTS = (1.0, 0.1, 3.0)  # multiples of the common tau2 from which the search begins


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class LocationScale(Presented):
    """y = X beta + u + e with var(e) = v and log var(u) = Z alpha."""

    effects: Effects
    method: str  # "REML" or "ML"
    location: Coefficients
    scale: Coefficients  # on the scale of log tau2
    tau2: Array  # (k,) of each study
    loglik: float  # restricted under REML
    common_tau2: float  # of the model with one tau2 for all, fitted alike
    likelihood_ratio: float  # against that model; NaN where the scale has the intercept alone
    likelihood_ratio_df: int
    likelihood_ratio_p: float
    level: float
    n_optima: int
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """A block to paste: location, scale, and the test of one tau² for all."""
        lines = []
        for part, title in ((self.location, "Location"), (self.scale, "Scale (log τ²)")):
            lines.append(f"{title}:")
            lines += [
                f"  {name}  {show(b, 3)} ({self.level:.0%} CI {show(low, 3)} to {show(high, 3)}), "
                f"{show_p(float(p))}"
                for name, b, (low, high), p in zip(
                    part.names, part.estimate, part.ci, part.p, strict=True
                )
            ]
        low, high = self.tau2.min(), self.tau2.max()
        lines.append(f"τ² of the studies: {show(low, 3)} to {show(high, 3)}")
        if self.likelihood_ratio_df:
            lines.append(
                f"One τ² for all (τ² = {show(self.common_tau2, 3)}): χ² = "
                f"{show(self.likelihood_ratio)} (df = {self.likelihood_ratio_df}), "
                f"{show_p(self.likelihood_ratio_p)}"
            )
        return "\n".join(lines)

    def _tables(self) -> tuple[Table, ...]:
        last = self.summary().splitlines()[len(self.location.names) + len(self.scale.names) + 2 :]
        caption = f"Location-scale model, {self.method}"
        notes = (*last, *self.notes)
        return (table_of(caption, self.rows(), level=self.level, notes=notes),)

    def rows(self) -> list[dict[str, Any]]:
        """A plain dict for each coefficient, with the part it belongs to."""
        return [
            {"part": part, **row}
            for part, found in (("location", self.location), ("scale", self.scale))
            for row in found.rows()
        ]

    def __str__(self) -> str:
        return self.summary()


def location_scale(
    effects: Effects,
    location: Mapping[str, Any] | Any = None,
    scale: Mapping[str, Any] | Any = None,
    *,
    factors: Sequence[str] = (),
    location_interactions: Iterable[tuple[str, str]] = (),
    scale_interactions: Iterable[tuple[str, str]] = (),
    reference: Mapping[str, Any] | None = None,
    method: str = "REML",
    level: float = 0.95,
) -> LocationScale:
    """Model the mean effect and the logarithm of the between-study variance together.

    Parameters
    ----------
    effects : Effects
        k studies on the analysis scale.
    location, scale : mapping of name to column, data frame, array (k, m), or None
        Moderators of the mean and of log tau2; both parts have an intercept.
    factors, reference
        As for ``meta.regression.regress``, for the moderators of both parts that bear these names.
    method : {"REML", "ML"}
        Likelihood. The likelihood-ratio test of the scale holds under both, since both models have
        the same location.

    Raises
    ------
    InputError
        If effects or moderators are unusable, or there are too few studies.
    NotConverged
        With the last iterate; mostly because studies of one kind show no heterogeneity, so that
        log tau2 has no finite estimate for them.

    References
    ----------
    Viechtbauer and Lopez-Lopez (2022), Res Synth Methods 13:697-715.
    """
    check(effects)
    check_level(level)
    if method not in METHODS:
        raise UnknownName("method of a location-scale model", method, METHODS)
    mean = _design(effects, location, factors, location_interactions, reference)
    spread = _design(effects, scale, factors, scale_interactions, reference)
    k, p, m = effects.k, mean.x.shape[1], spread.x.shape[1]
    if k < p + m + 1:
        raise InputError(
            f"{k} studies are too few for {p} location and {m} scale coefficients",
            remedy="leave out moderators",
        )
    alone = p == 1
    common = fit(effects.yi, effects.vi, None if alone else mean.x, tau2=method)
    unit = math.sqrt(common.problem.unit)
    y, v = (
        (effects.yi - common.beta[0]) / unit if alone else effects.yi / unit,
        effects.vi / unit**2,
    )
    x, _ = np.linalg.qr(mean.x)
    # Standardised columns: the intercept is then the mean of log tau2, and one step fits all.
    z, r = np.linalg.qr(spread.x)
    z, r = z * math.sqrt(k), r / math.sqrt(k)
    if np.abs(np.diag(r)).min() < 1e-10 * np.abs(r).max():
        raise InputError("the scale moderators repeat each other", remedy="leave one out")
    model = _Model(y, v, x, z, restricted=method == "REML")
    base = max(common.tau2.value / unit**2, 0.05 * float(np.median(v)))
    flat = z.T @ np.ones(k) / k  # z has orthogonal columns, and the intercept is among them
    ends: list[tuple[float, Array]] = []
    fault: NotConverged | None = None
    for factor in STARTS:
        try:
            ended = model.climb(flat * math.log(base * factor), r, spread.names)
        except NotConverged as problem:
            fault = problem
            continue
        if not any(abs(ended[0] - other[0]) < 1e-6 for other in ends):
            ends.append(ended)
    if not ends:
        assert fault is not None
        raise fault
    loglik, gamma = max(ends, key=lambda end: end[0])
    state = model.at(gamma)
    covariance = np.linalg.inv(r) @ np.linalg.inv(state.information) @ np.linalg.inv(r).T
    alpha = np.linalg.solve(r, gamma)
    alpha = alpha + _intercept_shift(spread, 2 * math.log(unit))
    tau2 = np.exp(spread.x @ alpha)
    w = 1 / (effects.vi + tau2)
    q, rr = np.linalg.qr(np.sqrt(w)[:, None] * mean.x)
    beta = np.linalg.solve(rr, q.T @ (np.sqrt(w) * effects.yi))
    inverse = np.linalg.inv(rr)
    n = k - p if method == "REML" else k
    constant = -0.5 * n * (math.log(2 * math.pi) + 2 * math.log(unit))
    # The likelihood uses an orthonormal design, as ``meta.weighted`` does.
    ratio = 2 * (loglik + constant - common.loglik(restricted=method == "REML"))
    notes = () if len(ends) == 1 else (f"{len(ends)} local maxima were found; the highest is used",)
    return LocationScale(
        effects,
        method,
        wald_coefficients(mean, beta, inverse @ inverse.T, level),
        wald_coefficients(spread, alpha, covariance, level),
        tau2,
        loglik + constant,
        common.tau2.value,
        max(ratio, 0.0) if m > 1 else NAN,
        m - 1,
        float(special.chdtrc(m - 1, max(ratio, 0.0))) if m > 1 else NAN,
        level,
        len(ends),
        notes,
    )


def _design(
    effects: Effects,
    moderators: Mapping[str, Any] | Any,
    factors: Sequence[str],
    interactions: Iterable[tuple[str, str]],
    reference: Mapping[str, Any] | None,
) -> Design:
    """A design with those factors and reference levels that are among its moderators."""
    named = set(moderators.keys()) if hasattr(moderators, "keys") else set()
    return design_of(
        moderators,
        effects.k,
        interactions=interactions,
        factors=[name for name in factors if name in named],
        reference={n: level for n, level in (reference or {}).items() if n in named},
        study=effects.study,
        dropped=effects.dropped,
    )


def _intercept_shift(design: Design, by: float) -> Array:
    shift = np.zeros(design.x.shape[1])
    shift[list(design.terms["intercept"])] = by
    return shift


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class _State:
    loglik: float
    score: Array  # (m,)
    information: Array  # (m, m) observed
    expected: Array  # (m, m)


class _Model:
    """Log-likelihood of the scale coefficients with its derivatives, in O(k p^2 + k m^2)."""

    def __init__(self, y: Array, v: Array, x: Array, z: Array, *, restricted: bool) -> None:
        self.y, self.v, self.x, self.z, self.restricted = y, v, x, z, restricted

    def at(self, gamma: Array) -> _State:
        tau2 = np.exp(np.clip(self.z @ gamma, -700, 700))
        w = 1 / (self.v + tau2)
        root = np.sqrt(w)
        q, r = np.linalg.qr(root[:, None] * self.x)
        e = (root * self.y - q @ (q.T @ (root * self.y))) / root
        u = w * e  # Py
        d = tau2[:, None] * self.z  # (k, m): diagonals of dV/dgamma
        wd = w[:, None] * d
        moved = root[:, None] * d * e[:, None] * w[:, None]  # W^1/2 D_j P y
        inside = moved - q @ (q.T @ moved)
        quadratic = inside.T @ inside  # y'P D_i P D_j P y
        loglik = 0.5 * (np.log(w).sum() - u @ e)
        if self.restricted:
            loglik -= np.log(np.abs(np.diag(r))).sum()
            hat = (q * q).sum(1)
            turned = np.einsum("ka,km,kb->mab", q, wd, q)
            traces = (
                wd.T @ wd
                - 2 * wd.T @ (hat[:, None] * wd)
                + np.einsum("mab,nba->mn", turned, turned)
            )
            diagonal = w * (1 - hat)
        else:
            traces, diagonal = wd.T @ wd, w
        gap = u * u - diagonal
        # d is its own derivative: d^2 V / dgamma_i dgamma_j = diag(tau2 z_i z_j).
        curved = (d * gap[:, None]).T @ self.z
        return _State(
            float(loglik),
            0.5 * (d.T @ gap),
            quadratic - 0.5 * traces - 0.5 * curved,
            0.5 * traces,
        )

    def climb(self, gamma: Array, r: Array, names: Sequence[str]) -> tuple[float, Array]:
        """Newton's method, Fisher's where the observed information is not definite."""
        state = self.at(gamma)
        for _ in range(STEPS):
            information = state.information
            if np.linalg.eigvalsh(information).min() <= 0:
                information = state.expected + 1e-12 * np.eye(len(gamma))
            step = np.linalg.solve(information, state.score)
            step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
            while True:
                following = self.at(gamma + step)
                if following.loglik >= state.loglik - 1e-12 * (1 + abs(state.loglik)):
                    break
                step = step / 2
                if np.abs(step).max() < 1e-14:
                    break
            gamma, state = gamma + step, following
            tau2 = np.exp(self.z @ gamma)
            if tau2.min() < FLAT * self.v.min():
                self._stop(gamma, r, names, state, "log τ² falls without end for some studies")
            small = np.abs(step).max() < 1e-9
            if small and np.abs(state.score).max() < SLOPE * (1 + abs(state.loglik)):
                if np.linalg.eigvalsh(state.information).min() <= 0:
                    self._stop(gamma, r, names, state, "the likelihood is flat or has a saddle")
                return state.loglik, gamma
        return self._stop(gamma, r, names, state, f"it has not settled after {STEPS} steps")

    def _stop(
        self, gamma: Array, r: Array, names: Sequence[str], state: _State, why: str
    ) -> tuple[float, Array]:
        alpha = np.linalg.solve(r, gamma)
        iterate = ", ".join(f"{n} = {a:.6g}" for n, a in zip(names, alpha, strict=True))
        raise NotConverged(
            f"the scale part of the model was not found: {why}",
            [f"last iterate: {iterate}; log-likelihood {state.loglik:.8g} (scaled units)"],
            remedy="leave out the scale moderator, or group studies so that each group varies",
        )
