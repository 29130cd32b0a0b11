"""Maximum likelihood for counts whose linear predictors carry normal random effects.

Each study contributes the integral of the likelihood of its arms over one or two standard normal
effects z. Predictors are linear in the parameters,

    eta_arm = own_arm alpha_i + sum_p a_(arm, p, i) psi_p + sum_s b_(arm, s) z_s psi_s,

with an optional nuisance alpha_i for each study; a depends on the study where it has moderators.
The integral is taken by adaptive Gauss-Hermite quadrature (Pinheiro and Bates 1995, J Comput Graph
Stat 4:12-35); score and observed information are posterior moments of those of the integrand
(Louis 1982, J R Stat Soc B 44:226-233), so that Newton's method needs no numerical derivative.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

from meta.errors import NotConverged

Array = NDArray[np.float64]
STEPS = 200  # of Newton's method, for the parameters and for the modes
GAIN = 1e-12  # relative gain of log-likelihood at which Newton's method stops
SMALL_SCALE = 1e-3  # a standard deviation below this is tried against zero
EXACT_POINTS = 21
ENOUGH_POINTS = 9  # nodes from which posterior moments are derivatives to six digits or more
DIFFERENCE = (
    1e-3  # step of numerical derivatives; smaller ones drown in the rounding of large counts
)
NO_INFORMATION = 1e-12  # about a parameter that leaves the likelihood as it is
STARTS = (0.1, 0.5, 1.5)  # standard deviations from which the search begins


class Kernel(Protocol):
    """Log-likelihood of one count per study as a function of its linear predictor."""

    def __call__(self, eta: Array) -> tuple[Array, Array, Array]:
        """Value and first two derivatives; ``eta`` is (..., k)."""

    def take(self, keep: NDArray[np.bool_]) -> Kernel: ...


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Binomial:
    """x of n with logit p = eta + offset."""

    x: Array
    n: Array
    offset: Array | float = 0.0

    def __call__(self, eta: Array) -> tuple[Array, Array, Array]:
        e = eta + self.offset
        p = special.expit(e)
        value = self.x * e - self.n * np.logaddexp(0, e) + log_choose(self.n, self.x)
        return value, self.x - self.n * p, -self.n * p * special.expit(-e)

    def take(self, keep: NDArray[np.bool_]) -> Binomial:
        offset = self.offset[keep] if isinstance(self.offset, np.ndarray) else self.offset
        return Binomial(self.x[keep], self.n[keep], offset)


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Poisson:
    """x events in person-time t with log rate eta."""

    x: Array
    t: Array

    def __call__(self, eta: Array) -> tuple[Array, Array, Array]:
        mean = self.t * np.exp(np.minimum(eta, 500.0))
        value = self.x * (eta + np.log(self.t)) - mean - special.gammaln(self.x + 1)
        return value, self.x - mean, -mean

    def take(self, keep: NDArray[np.bool_]) -> Poisson:
        return Poisson(self.x[keep], self.t[keep])


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Hypergeometric:
    """Events in arm 1 given all margins; eta is the log odds ratio (Fisher's distribution)."""

    a: Array
    n1: Array
    events: Array
    n2: Array

    def __call__(self, eta: Array) -> tuple[Array, Array, Array]:
        found = np.empty((3, *eta.shape))
        for i in range(len(self.a)):
            low = max(0.0, self.events[i] - self.n2[i])
            x = np.arange(low, min(self.n1[i], self.events[i]) + 1)
            logs = log_choose(self.n1[i], x) + log_choose(self.n2[i], self.events[i] - x)
            terms = logs + (x - self.a[i]) * eta[..., i, None]  # relative to the observed count
            top = terms.max(-1, keepdims=True)
            share = np.exp(terms - top)
            total = share.sum(-1)
            mean = (share @ x) / total
            away = x - mean[..., None]
            own = logs[int(self.a[i] - low)]
            found[0, ..., i] = own - top[..., 0] - np.log(total)
            found[1, ..., i] = self.a[i] - mean
            found[2, ..., i] = -(share * away * away).sum(-1) / total
        return found[0], found[1], found[2]

    def take(self, keep: NDArray[np.bool_]) -> Hypergeometric:
        return Hypergeometric(self.a[keep], self.n1[keep], self.events[keep], self.n2[keep])


def log_choose(n: Array | float, x: Array) -> Array:
    """log of the binomial coefficient."""
    return np.asarray(special.gammaln(n + 1) - special.gammaln(x + 1) - special.gammaln(n - x + 1))


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Mixture:
    """A model: kernels of the arms and the coefficients of every parameter in each arm."""

    k: int
    arms: tuple[Kernel, ...]
    fixed: Array  # (f, arms, k) coefficients of the fixed parameters
    scales: Array  # (s, arms) coefficients of the random effects, times their deviations
    own: Array | None = None  # (arms,) coefficient of each study's own parameter
    points: int = EXACT_POINTS  # nodes of the quadrature in each direction

    def without(self, scale: int) -> Mixture:
        """The same with a random effect left out."""
        return replace(self, scales=np.delete(self.scales, scale, axis=0))


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Maximum:
    """Where the likelihood of a mixture is greatest."""

    fixed: Array  # (f,)
    scales: Array  # (s,) standard deviations, zero on the boundary
    own: Array  # (k,) or (0,)
    loglik: float
    conditional: float  # log-likelihood given the most likely random effects
    covariance: Array  # (f + s, f + s); NaN for scales on the boundary
    own_covariance: Array  # (k, k) or (0, 0)
    n_optima: int


def maximise(model: Mixture, *, names: Sequence[str]) -> Maximum:
    """Greatest likelihood over all parameters, standard deviations on their boundary included.

    Raises
    ------
    NotConverged
        With the last iterate, where the likelihood rises without end.
    """
    start = np.zeros(len(model.fixed))
    own = np.zeros(model.k if model.own is not None else 0)
    s = len(model.scales)
    if not s:
        return _finish(model, _climb(model, start, own, names), 1)
    if model.points < ENOUGH_POINTS:
        return _from_exact(model, names)
    # The model without random effects, then each random effect alone or left out, then all.
    reduced = [maximise(model.without(j), names=names) for j in range(s)]
    base = max(reduced, key=lambda m: m.loglik)
    found: list[tuple[float, Array, Array]] = []
    for scale in STARTS:
        point = np.concatenate((base.fixed, np.full(s, scale)))
        ended = _climb(model, point, base.own, names)
        if not any(abs(ended[0] - other[0]) < 1e-7 * (1 + abs(other[0])) for other in found):
            found.append(ended)
    interior = [m for m in found if np.abs(m[1][-s:]).min() > SMALL_SCALE]
    best = max(interior, key=lambda m: m[0]) if interior else None
    if best is None or best[0] <= base.loglik + GAIN * abs(base.loglik):
        j = next(i for i, m in enumerate(reduced) if m is base)
        return replace(_with_zero(base, j), n_optima=base.n_optima + len(interior))
    return _finish(model, best, len(interior))


def _from_exact(model: Mixture, names: Sequence[str]) -> Maximum:
    """The maximum of a coarse integral, such as Laplace's, next to that of the exact one."""
    exact = maximise(replace(model, points=EXACT_POINTS), names=names)
    zero = [int(j) for j in np.flatnonzero(exact.scales == 0)]
    smaller = model
    for j in reversed(zero):
        smaller = smaller.without(j)
    point = np.concatenate((exact.fixed, exact.scales[exact.scales > 0]))
    found = _finish(smaller, _climb(smaller, point, exact.own, names), exact.n_optima)
    for j in zero:
        found = _with_zero(found, j)
    return found


def _with_zero(found: Maximum, scale: int) -> Maximum:
    """The same with a random effect of deviation zero put in."""
    at = len(found.fixed) + scale
    covariance = np.insert(np.insert(found.covariance, at, math.nan, 0), at, math.nan, 1)
    return replace(found, scales=np.insert(found.scales, scale, 0.0), covariance=covariance)


def _finish(model: Mixture, ended: tuple[float, Array, Array], optima: int) -> Maximum:
    value, psi, own = ended
    sums = _Sums(model)
    _, _, hessian = sums(psi, own)
    f = len(model.fixed)
    signs = np.concatenate((np.ones(f), np.where(psi[f:] < 0, -1.0, 1.0)))
    if model.own is None:
        total = hessian.sum(0)
        covariance: Array = np.linalg.inv(-total)
        own_covariance: Array = np.empty((0, 0))
    else:
        m = len(psi)
        full = np.zeros((m + model.k, m + model.k))
        full[:m, :m] = hessian[:, :m, :m].sum(0)
        full[m:, :m] = hessian[:, m, :m]
        full[:m, m:] = full[m:, :m].T
        alone = np.minimum(hessian[:, m, m], -NO_INFORMATION)
        full[range(m, m + model.k), range(m, m + model.k)] = alone
        inverse = np.asarray(np.linalg.inv(-full), dtype=np.float64)
        covariance, own_covariance = inverse[:m, :m], inverse[m:, m:]
    return Maximum(
        psi[:f],
        np.abs(psi[f:]),
        own,
        value,
        sums.conditional(psi, own),
        covariance * np.outer(signs, signs),
        own_covariance,
        optima,
    )


def _climb(
    model: Mixture, psi: Array, own: Array, names: Sequence[str]
) -> tuple[float, Array, Array]:
    """Newton's method with the observed information, a ridge where it is not definite."""
    sums = _Sums(model)
    m = len(psi)
    value, gradient, hessian = sums(psi, own)
    total, ridge = float(value.sum()), 0.0
    for _ in range(STEPS):
        g, h = gradient[:, :m].sum(0), hessian[:, :m, :m].sum(0)
        if model.own is not None:
            cross, alone = hessian[:, m, :m], np.minimum(hessian[:, m, m], -NO_INFORMATION)
            g = g - (cross * (gradient[:, m] / alone)[:, None]).sum(0)
            h = h - (cross / alone[:, None]).T @ cross
        values, vectors = np.linalg.eigh(-h)
        values = np.maximum(np.abs(values), 1e-10) + ridge
        step = vectors @ ((vectors.T @ g) / values)
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        following, own_following = psi + step, own
        if model.own is not None:
            own_step = -(gradient[:, m] + cross @ step) / alone
            own_following = own + np.clip(own_step, -2, 2)
        new = sums(following, own_following)
        new_total = float(new[0].sum())
        gain = new_total - total
        if gain >= -GAIN * abs(total):
            psi, own, total = following, own_following, new_total
            _, gradient, hessian = new
            ridge = 0.0 if ridge < 1e-3 else ridge / 10
            size = float(np.abs(gradient.sum(0)[:m]).max()) if m else 0.0
            if gain <= GAIN * (1 + abs(total)) and size <= 1e-6 * (1 + abs(total)):
                return total, psi, own
        else:
            ridge = max(10 * ridge, 1e-3 * float(values.max()))
            if ridge > 1e12:
                return total, psi, own
    iterate = ", ".join(f"{n} = {v:.6g}" for n, v in zip(names, psi, strict=False))
    raise NotConverged(
        f"the likelihood has not settled after {STEPS} steps",
        [f"last iterate: {iterate}; log-likelihood {total:.8g}"],
        remedy="look for studies or arms in which nobody or everybody had the outcome",
    )


class _Sums:
    """Log-likelihood, gradient and Hessian of each study, with the modes kept between calls."""

    def __init__(self, model: Mixture) -> None:
        self.model = model
        self.dims = len(model.scales)
        self.mode = np.zeros((model.k, self.dims))
        x, w = np.polynomial.hermite_e.hermegauss(model.points)
        # All combinations of nodes; a single empty one where there is no random effect.
        self.nodes = np.array(list(itertools.product(x, repeat=self.dims)))
        logs = np.array(list(itertools.product(np.log(w) + x * x / 2, repeat=self.dims)))
        self.log_weights = logs.sum(1)

    def __call__(self, psi: Array, own: Array) -> tuple[Array, Array, Array]:
        if self.dims and self.model.points < ENOUGH_POINTS:
            return self._by_differences(psi, own)
        return self._integrate(psi, own)

    def _by_differences(self, psi: Array, own: Array) -> tuple[Array, Array, Array]:
        """The same for few nodes: then the moments are not the derivatives of what is computed.

        Each study's part depends on few numbers, so that all studies are moved at once.
        """
        free = len(psi) + (self.model.own is not None)
        h = DIFFERENCE

        def at(*moves: tuple[int, float]) -> Array:
            there, own_there = psi.copy(), own
            for j, by in moves:
                if j < len(psi):
                    there[j] += by
                else:
                    own_there = own_there + by
            return self._integrate(there, own_there)[0]

        middle = at()
        gradient = np.empty((self.model.k, free))
        hessian = np.empty((self.model.k, free, free))
        for i in range(free):
            up, down = at((i, h)), at((i, -h))
            wide = at((i, 2 * h)) - at((i, -2 * h))  # so that the bias is of fourth order
            gradient[:, i] = (8 * (up - down) - wide) / (12 * h)
            hessian[:, i, i] = (up - 2 * middle + down) / h**2
            for j in range(i):
                corners = at((i, h), (j, h)) - at((i, h), (j, -h))
                corners += at((i, -h), (j, -h)) - at((i, -h), (j, h))
                hessian[:, i, j] = hessian[:, j, i] = corners / (4 * h**2)
        return middle, gradient, hessian

    def _integrate(self, psi: Array, own: Array) -> tuple[Array, Array, Array]:
        model, d = self.model, self.dims
        f = len(model.fixed)
        base = self._base(psi, own)
        slopes = psi[f:, None] * model.scales  # (d, arms)
        curvature = self._find_modes(base, slopes)
        # z = mode + L^-T x with L L' = curvature.
        root = np.linalg.cholesky(curvature) if d else np.empty((model.k, 0, 0))
        spread = np.swapaxes(np.linalg.inv(root), 1, 2) if d else root
        z = self.mode + np.einsum("kij,nj->nki", spread, self.nodes)  # (n, k, d)
        logs = self.log_weights[:, None] - 0.5 * (z * z).sum(-1)
        m = f + d + (model.own is not None)
        score = np.zeros((len(z), model.k, m))
        second = np.zeros((len(z), model.k, m, m))
        for r, arm in enumerate(model.arms):
            value, first, twice = arm(base[r] + z @ slopes[:, r])
            logs = logs + value
            c = np.empty((len(z), model.k, m))
            c[..., :f] = model.fixed[:, r].T
            c[..., f : f + d] = z * model.scales[:, r]
            if model.own is not None:
                c[..., -1] = model.own[r]
            score += c * first[..., None]
            second += c[..., :, None] * c[..., None, :] * twice[..., None, None]
        second += score[..., :, None] * score[..., None, :]
        top = logs.max(0)
        share = np.exp(logs - top)
        total = share.sum(0)
        share /= total
        value = top + np.log(total) - 0.5 * d * math.log(2 * math.pi)
        if d:
            value = value - np.log(np.diagonal(root, axis1=1, axis2=2)).sum(-1)
        gradient = np.einsum("nk,nkp->kp", share, score)
        hessian = np.einsum("nk,nkpq->kpq", share, second)
        return value, gradient, hessian - gradient[:, :, None] * gradient[:, None, :]

    def _base(self, psi: Array, own: Array) -> Array:
        """Linear predictors (arms, k) without random effects."""
        model, f = self.model, len(self.model.fixed)
        shift = 0.0 if model.own is None else model.own[:, None] * own
        return np.asarray(np.einsum("f,fak->ak", psi[:f], model.fixed) + shift)

    def conditional(self, psi: Array, own: Array) -> float:
        """Log-likelihood of the counts given the modes of their random effects."""
        base, slopes = self._base(psi, own), psi[len(self.model.fixed) :, None] * self.model.scales
        self._find_modes(base, slopes)
        arms = enumerate(self.model.arms)
        return float(sum(arm(base[r] + self.mode @ slopes[:, r])[0].sum() for r, arm in arms))

    def _find_modes(self, base: Array, slopes: Array) -> Array:
        """Modes of the random effects given the counts; returns minus the second derivatives."""
        k, d = self.model.k, self.dims
        identity = np.eye(d)

        def height(z: Array) -> Array:
            total = -0.5 * (z * z).sum(-1)
            for r, arm in enumerate(self.model.arms):
                total = total + arm(base[r] + z @ slopes[:, r])[0]
            return np.asarray(total)

        z = self.mode
        curvature = np.broadcast_to(identity, (k, d, d)).copy()
        for _ in range(STEPS if d else 0):
            gradient, curvature = -z, np.broadcast_to(identity, (k, d, d)).copy()
            for r, arm in enumerate(self.model.arms):
                _, first, twice = arm(base[r] + z @ slopes[:, r])
                gradient = gradient + first[:, None] * slopes[:, r]
                curvature -= twice[:, None, None] * np.outer(slopes[:, r], slopes[:, r])
            step = np.linalg.solve(curvature, gradient[..., None])[..., 0]
            if np.abs(step).max() <= 1e-9:
                break
            before, size = height(z), np.ones(k)
            for _ in range(30):  # the integrand is log-concave: halving always ends
                worse = height(z + size[:, None] * step) < before - 1e-12 * np.abs(before)
                if not worse.any():
                    break
                size = np.where(worse, size / 2, size)
            z = z + size[:, None] * step
        self.mode = z
        return curvature
