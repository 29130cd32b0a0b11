"""Univariate models in arithmetic of sixty digits, written from the definitions.

Data are the doubles of a case, taken as exact. A ``Fit`` holds weighted least squares at one
between-study variance; ``solve`` finds that variance from its estimating equation, starting at a
guess. Nothing here is shared with ``meta``: what both give can be trusted.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
Row = list[Decimal]
DIGITS = 60
ZERO, ONE, TWO = Decimal(0), Decimal(1), Decimal(2)
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
LIKELIHOODS = ("REML", "ML")
Q_ROOTS = ("PM", "EB", "SJIT", "PMM")
decimal_context = decimal.Context(prec=DIGITS, Emin=-(10**9), Emax=10**9)


def numbers(values: Any) -> Row:
    """Doubles as decimals, exactly."""
    return [Decimal(float(value)) for value in np.ravel(values)]


def dot(a: Sequence[Decimal], b: Sequence[Decimal]) -> Decimal:
    return sum((x * y for x, y in zip(a, b, strict=True)), ZERO)


def inverse(matrix: list[Row]) -> tuple[list[Row], Decimal]:
    """Inverse and determinant by elimination with pivoting."""
    n = len(matrix)
    rows = [[*row, *(ONE if i == j else ZERO for j in range(n))] for i, row in enumerate(matrix)]
    det = ONE
    for i in range(n):
        pivot = max(range(i, n), key=lambda j: abs(rows[j][i]))
        if pivot != i:
            rows[i], rows[pivot], det = rows[pivot], rows[i], -det
        top = rows[i][i]
        det *= top
        rows[i] = [value / top for value in rows[i]]
        for j in range(n):
            if j != i and rows[j][i]:
                factor = rows[j][i]
                rows[j] = [a - factor * b for a, b in zip(rows[j], rows[i], strict=True)]
    return [row[n:] for row in rows], det


@dataclass(frozen=True)
class Data:
    """Effects, variances, design (with its intercept column) and, for GENQ, weights."""

    y: Row
    v: Row
    x: list[Row]
    a: Row | None = None

    @classmethod
    def of(cls, y: Any, v: Any, x: Any = None, a: Any = None) -> Data:
        rows = [[ONE] for _ in y] if x is None else [numbers(row) for row in x]
        return cls(numbers(y), numbers(v), rows, None if a is None else numbers(a))

    @property
    def k(self) -> int:
        return len(self.y)

    @property
    def p(self) -> int:
        return len(self.x[0])

    def rows(self, keep: Sequence[int]) -> Data:
        a = None if self.a is None else [self.a[i] for i in keep]
        return Data([self.y[i] for i in keep], [self.v[i] for i in keep],
                    [self.x[i] for i in keep], a)  # fmt: skip

    def null(self) -> Data:
        """The same without moderators."""
        return Data(self.y, self.v, [[ONE] for _ in self.y], self.a)

    def fit(self, t: Decimal) -> Fit:
        """Inverse-variance weights at tau2 = t."""
        return Fit(self, [ONE / (v + t) for v in self.v], t)

    def given(self, t: Decimal) -> Fit:
        """The caller's weights, whatever t is."""
        assert self.a is not None
        return Fit(self, self.a, t)


@dataclass(frozen=True)
class Fit:
    """Weighted least squares; ``P = W - W X (X'WX)^-1 X'W``."""

    data: Data
    w: Row
    t: Decimal

    @cached_property
    def _solved(self) -> tuple[list[Row], Decimal]:
        x, p = self.data.x, self.data.p
        inner = [
            [sum((w * r[a] * r[b] for w, r in zip(self.w, x, strict=True)), ZERO) for b in range(p)]
            for a in range(p)
        ]
        return inverse(inner)

    @property
    def s(self) -> list[Row]:
        """(X'WX)^-1."""
        return self._solved[0]

    @cached_property
    def beta(self) -> Row:
        xwy = [
            sum((w * r[a] * y for w, r, y in zip(self.w, self.data.x, self.data.y, strict=True)),
                ZERO) for a in range(self.data.p)
        ]  # fmt: skip
        return [dot(row, xwy) for row in self.s]

    @cached_property
    def e(self) -> Row:
        return [y - dot(r, self.beta) for y, r in zip(self.data.y, self.data.x, strict=True)]

    @cached_property
    def lever(self) -> Row:
        """x_i S x_i'."""
        return [dot(r, [dot(row, r) for row in self.s]) for r in self.data.x]

    @cached_property
    def covariance(self) -> list[Row]:
        """Of the coefficients: S, or the sandwich where the weights are the caller's."""
        if self.data.a is None or self.w is not self.data.a:
            return self.s
        p = self.data.p
        meat = [
            [sum((w * w * (v + self.t) * r[a] * r[b]
                  for w, v, r in zip(self.w, self.data.v, self.data.x, strict=True)), ZERO)
             for b in range(p)] for a in range(p)
        ]  # fmt: skip
        half = [[dot(row, [m[b] for m in meat]) for b in range(p)] for row in self.s]
        return [[dot(row, [s[b] for s in self.s]) for b in range(p)] for row in half]

    @cached_property
    def rss(self) -> Decimal:
        """y'Py."""
        return sum((w * e * e for w, e in zip(self.w, self.e, strict=True)), ZERO)

    @cached_property
    def ypp(self) -> Decimal:
        """y'PPy."""
        return sum(((w * e) ** 2 for w, e in zip(self.w, self.e, strict=True)), ZERO)

    @cached_property
    def trace(self) -> Decimal:
        """tr P."""
        return sum((w * (ONE - w * h) for w, h in zip(self.w, self.lever, strict=True)), ZERO)

    def trace_of(self, d: Row) -> Decimal:
        """tr PDPD for a diagonal D."""
        x, k = self.data.x, self.data.k
        side = [[dot(row, r) for row in self.s] for r in x]
        total = ZERO
        for i in range(k):
            for j in range(i + 1):
                entry = -self.w[i] * self.w[j] * dot(x[i], side[j])
                if i == j:
                    entry += self.w[i]
                total += (ONE if i == j else TWO) * entry * entry * d[i] * d[j]
        return total

    def loglik(self, *, restricted: bool) -> Decimal:
        """Log-likelihood at this tau2; the restricted one with its log det X'X / 2."""
        k, p, x = self.data.k, self.data.p, self.data.x
        logs = sum(((v + self.t).ln() for v in self.data.v), ZERO)
        residual = sum(
            (e * e / (v + self.t) for e, v in zip(self.e, self.data.v, strict=True)), ZERO
        )
        free = k - p if restricted else k
        found = -(free * (TWO * PI).ln() + logs + residual) / 2
        if not restricted:
            return found
        plain = [[dot([r[a] for r in x], [r[b] for r in x]) for b in range(p)] for a in range(p)]
        return found + (inverse(plain)[1].ln() - self._solved[1].ln()) / 2

    def score(self, *, restricted: bool) -> Decimal:
        """Twice the derivative of the log-likelihood with respect to tau2."""
        return self.ypp - (self.trace if restricted else sum(self.w, ZERO))


def root(f: Callable[[Decimal], Decimal], guess: float) -> Decimal:
    """A root of f beside the guess, by secants to forty digits."""
    low = Decimal(guess)
    high = low * (ONE + Decimal("1e-7"))
    at_low, at_high = f(low), f(high)
    for _ in range(60):
        if at_high == at_low:
            break
        step = at_high * (high - low) / (at_high - at_low)
        low, at_low = high, at_high
        high -= step
        if high <= 0:
            raise ArithmeticError("no root beside the guess")
        at_high = f(high)
        if abs(step) <= abs(high) * Decimal("1e-40"):
            return high
    if abs(at_high) > Decimal("1e-25") * (abs(f(high * 2)) + abs(at_high)):
        raise ArithmeticError("the secants did not settle")
    return high


def solve(data: Data, method: str, guess: float) -> Decimal:
    """tau2 by its definition; ``guess`` chooses among roots, zero says that it is on the boundary.

    Raises
    ------
    ArithmeticError
        If the guess is no solution, as one on the boundary where the likelihood rises.
    """
    k, p = data.k, data.p
    if method in ("FE", "EE") or k <= p:
        return ZERO
    start = data.fit(ZERO)
    if method == "DL":
        return max(ZERO, (start.rss - (k - p)) / start.trace)
    if method in ("HE", "GENQ"):
        found = data.given(ZERO) if method == "GENQ" else Fit(data, [ONE] * k, ZERO)
        expected = sum(
            (w * (ONE - w * h) * v for w, h, v in zip(found.w, found.lever, data.v, strict=True)),
            ZERO,
        )
        return max(ZERO, (found.rss - expected) / found.trace)
    if method in ("HS", "HSk"):
        factor = Decimal(k) / (k - p) if method == "HSk" else ONE
        return max(ZERO, (factor * start.rss - k) / sum(start.w, ZERO))
    if method == "SJ":
        crude = Fit(data.null(), [ONE] * k, ZERO).rss / k
        return crude * data.fit(crude).rss / (k - p)
    return _iterated(data, method, guess)


def _iterated(data: Data, method: str, guess: float) -> Decimal:
    k, p = data.k, data.p
    if method in LIKELIHOODS:
        restricted = method == "REML"
        if guess == 0:
            if data.fit(ZERO).score(restricted=restricted) > 0:
                raise ArithmeticError("the likelihood rises at zero")
            return ZERO
        return root(lambda t: data.fit(t).score(restricted=restricted), guess)
    if method in Q_ROOTS:
        target = Decimal(float(special.chdtri(k - p, 0.5))) if method == "PMM" else Decimal(k - p)
        if data.fit(ZERO).rss <= target:
            return ZERO
        return root(lambda t: data.fit(t).rss - target, guess)
    if method == "DLIT":
        if data.fit(ZERO).rss <= k - p:
            return ZERO
        return root(lambda t: (f := data.fit(t)).rss - (k - p) - t * f.trace, guess)
    if method == "GENQM":  # its equation is an integral, which the caller has to check
        return Decimal(guess)
    raise ArithmeticError(f"no equation for {method}")


def tau2_se(data: Data, method: str, t: Decimal) -> float:
    """Large-sample standard error of tau2."""
    k, free = data.k, data.k - data.p
    d = [v + t for v in data.v]
    if method in ("FE", "EE") or free <= 0:
        return math.nan
    start, at = data.fit(ZERO), data.fit(t)
    ones = [ONE] * k
    if method == "REML":
        return float((TWO / at.trace_of(ones)).sqrt())
    if method == "ML":
        return float((TWO / dot(at.w, at.w)).sqrt())
    if method in Q_ROOTS:
        return float((TWO * k * k / free).sqrt() / sum(at.w, ZERO))
    if method in ("HE", "GENQ", "GENQM"):
        found = Fit(data, ones, ZERO) if method == "HE" else data.given(ZERO)
        return float((TWO * found.trace_of(d)).sqrt() / found.trace)
    if method == "DL":
        return float((TWO * start.trace_of(d)).sqrt() / start.trace)
    if method in ("HS", "HSk"):
        factor = Decimal(k) / free if method == "HSk" else ONE
        return float(factor * (TWO * start.trace_of(d)).sqrt() / sum(start.w, ZERO))
    if method == "SJ":
        crude = Fit(data.null(), ones, ZERO).rss / k
        return float(crude * (TWO * data.fit(crude).trace_of(d)).sqrt() / free)
    # DLIT: what DL's formula gives at the last weights
    return float((TWO * free + 4 * t * at.trace + 2 * t * t * at.trace_of(ones)).sqrt() / at.trace)


def two_sided(z: Any, df: float) -> Array:
    """Two-sided p of a statistic, normal for infinite df."""
    away = -np.abs(np.asarray(z, dtype=float))
    return np.asarray(2 * (special.ndtr(away) if math.isinf(df) else special.stdtr(df, away)))


def critical(df: float) -> float:
    """Of a 95% interval."""
    return float(special.ndtri(0.975) if math.isinf(df) else special.stdtrit(df, 0.975))


def scale_of(fit: Fit, test: str) -> Decimal:
    """Factor of the coefficients' covariance under Knapp and Hartung's method."""
    free = fit.data.k - fit.data.p
    if test not in ("knha", "adhoc") or free <= 0:
        return ONE
    factor = fit.data.fit(fit.t).rss / free  # at inverse variances, whatever the weights
    return max(ONE, factor) if test == "adhoc" else factor


def floats(values: Any) -> Array:
    return np.array([float(value) for value in values])


def model(data: Data, method: str, test: str, guess: float, guess_null: float) -> dict[str, Any]:
    """Everything that rma.uni gives, by metafor's names."""
    k, p = data.k, data.p
    free = k - p
    t = solve(data, method, guess)
    fit, start = data.fit(t), data.fit(ZERO)
    if data.a is not None:
        fit = data.given(t)
    scale = scale_of(fit, test)
    vb = [[scale * value for value in row] for row in fit.covariance]
    se = [vb[j][j].sqrt() for j in range(p)]
    df = math.inf if test == "z" else float(free)
    z = floats(b / s for b, s in zip(fit.beta, se, strict=True))
    half, beta = critical(df) * floats(se), floats(fit.beta)
    common = method in ("FE", "EE")
    typical = free / start.trace if free else ZERO
    h2 = (start.rss / free if common else ONE + t / typical) if free else ONE
    first = 1 if p > 1 else 0
    inner, _ = inverse([row[first:] for row in vb[first:]])
    tested = fit.beta[first:]
    qm = dot(tested, [dot(row, tested) for row in inner])
    if test != "z":
        qm /= p - first
    m = p - first
    qmp = special.chdtrc(m, float(qm)) if test == "z" else special.fdtrc(m, df, float(qm))
    restricted = method == "REML"
    ll = fit.loglik(restricted=restricted)
    full = Data(data.y, data.v, data.x)
    saturated = -sum(((TWO * PI * v).ln() for v in data.v), ZERO) / 2
    parms, n = p + (not common), k - p if restricted else k
    aic = -2 * ll + 2 * parms
    room = max(n, parms + 2) - parms - 1
    found: dict[str, Any] = {
        "k": k,
        "p": p,
        "beta": beta,
        "se": floats(se),
        "zval": z,
        "pval": two_sided(z, df),
        "ci_lb": beta - half,
        "ci_ub": beta + half,
        "tau2": float(t),
        "se_tau2": tau2_se(data, method, t),
        "I2": float(100 * max(ZERO, ONE - ONE / h2)) if h2 > 0 else 0.0,
        "H2": float(h2),
        "QE": float(start.rss),
        "QEp": float(special.chdtrc(free, float(start.rss))) if free else 1.0,
        "QM": float(qm),
        "QMp": float(qmp),
        "QMdf": [m, math.nan if test == "z" else free],
        "ll": float(ll),
        "dev": float(-2 * ll if restricted else 2 * (saturated - ll)),
        "AIC": float(aic),
        "AICc": float(-2 * ll + 2 * parms * Decimal(max(n, parms + 2)) / room),
        "BIC": float(-2 * ll + parms * Decimal(n).ln()),
        "ddf": math.nan if test == "z" else free,
        "vb": np.array([floats(row) for row in vb]),
    }
    wide = critical(df) * float((vb[0][0] + t).sqrt())
    if p == 1 and not common:
        found |= {"pi_lb": beta[0] - wide, "pi_ub": beta[0] + wide}
    if p > 1 and not common:
        null = solve(full.null(), method, guess_null)
        found["R2"] = float(100 * max(ZERO, (null - t) / null)) if null > 0 else 0.0
    if p > 1:
        correlation = [
            [vb[i][j] / (vb[i][i] * vb[j][j]).sqrt() for j in range(1, p)] for i in range(1, p)
        ]
        found["vif"] = floats(row[i] for i, row in enumerate(inverse(correlation)[0]))
    return found | _shrunken(fit, t, vb, df)


def _shrunken(fit: Fit, t: Decimal, vb: list[Row], df: float) -> dict[str, Any]:
    """Fitted values, residuals and best linear predictions."""
    data = fit.data
    fitted = [y - e for y, e in zip(data.y, fit.e, strict=True)]
    spread = [dot(r, [dot(row, r) for row in vb]) for r in data.x]
    hat = [w * h for w, h in zip(fit.w, fit.lever, strict=True)]
    share = [t / (t + v) for v in data.v]
    blup = [m + s * e for m, s, e in zip(fitted, share, fit.e, strict=True)]
    blup_var = [t * (ONE - s) + (ONE - s) ** 2 * q for s, q in zip(share, spread, strict=True)]
    ranef_var = [t * (ONE - s) + s * s * q for s, q in zip(share, spread, strict=True)]
    residual_var = [(v + t) * (ONE - h) for v, h in zip(data.v, hat, strict=True)]
    se = floats(q.sqrt() for q in spread)
    wide = floats((q + t).sqrt() for q in spread)
    blup_se = floats(q.sqrt() for q in blup_var)
    return {
        "pred": floats(fitted),
        "pred_se": se,
        "pred_ci_lb": floats(fitted) - critical(df) * se,
        "pred_pi_lb": floats(fitted) - critical(df) * wide,
        "hat": floats(hat),
        "blup": floats(blup),
        "blup_se": blup_se,
        "blup_pi_lb": floats(blup) - critical(df) * blup_se,
        "ranef": floats(s * e for s, e in zip(share, fit.e, strict=True)),
        "ranef_se": floats(q.sqrt() for q in ranef_var),
        "resid": floats(fit.e),
        "resid_se": floats(max(q, ZERO).sqrt() for q in residual_var),
        "rstandard": floats(
            e / q.sqrt() if q > 0 else Decimal("NaN")
            for e, q in zip(fit.e, residual_var, strict=True)
        ),
    }


def deleted(data: Data, method: str, test: str, guess: Any) -> dict[str, Any]:
    """Diagnostics from refits without each study; ``guess`` has tau2 of the whole and of each."""
    k, p = data.k, data.p
    whole_t = solve(data, method, float(guess[0]))
    whole = data.fit(whole_t)
    own = scale_of(whole, test)
    inner, _ = inverse(whole.s)
    _, det = inverse(whole.s)
    names = ("rstudent", "dffits", "cook_d", "cov_r", "tau2_del", "QE_del")
    found: dict[str, list[float]] = {name: [] for name in names}
    dfbs: list[Array] = []
    for i in range(k):
        rest = data.rows([j for j in range(k) if j != i])
        t = solve(rest, method, float(guess[1][i]))
        fit = rest.fit(t)
        factor = scale_of(fit, test)
        x, v = data.x[i], data.v[i]
        spread = v + t + dot(x, [dot(row, x) for row in fit.s])
        moved = [a - b for a, b in zip(whole.beta, fit.beta, strict=True)]
        found["rstudent"].append(float((data.y[i] - dot(x, fit.beta)) / (spread * factor).sqrt()))
        lever = whole.w[i] * whole.lever[i]
        found["dffits"].append(float(dot(x, moved) / (lever * (t + v)).sqrt()))
        found["cook_d"].append(float(dot(moved, [dot(row, moved) for row in inner]) / own))
        ratio = inverse(fit.s)[1] / det * (factor / own) ** p
        found["cov_r"].append(float(ratio))
        found["tau2_del"].append(float(t))
        found["QE_del"].append(float(rest.fit(ZERO).rss))
        again = data.fit(t).s
        dfbs.append(floats(m / (own * again[j][j]).sqrt() for j, m in enumerate(moved)))
    right = {name: np.array(values) for name, values in found.items()}
    hat = floats(w * h for w, h in zip(whole.w, whole.lever, strict=True))
    total = sum(whole.w, ZERO)
    marked = (
        (np.abs(right["dffits"]) > 3 * math.sqrt(p / (k - p)))
        | (special.chdtr(p, right["cook_d"]) > 0.5)
        | (hat > 3 * p / k)
        | (np.abs(dfbs) > 1).any(1)
    )
    return right | {
        "dfbs": np.array(dfbs),
        "hat": hat,
        "weight": floats(100 * w / total for w in whole.w),
        "is_infl": marked.astype(float),
    }
