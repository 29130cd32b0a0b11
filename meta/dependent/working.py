"""What inference that does not trust the model needs of it: design, residuals, working covariance.

A model's covariance of the effects is called working when standard errors are to hold even where it
is wrong. Any result with a method ``working()`` that gives a ``Working`` can be made robust.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.errors import InputError
from meta.moderators import INTERCEPT
from meta.results import Effects, PooledEffect

Array = NDArray[np.float64]
Index = NDArray[np.intp]
SAME = 1e-9  # relative difference of weights that is rounding


@dataclass(frozen=True, slots=True, eq=False)  # holds arrays
class Working:
    """A fitted model as robust inference sees it.

    The working covariance is either diagonal (``variances``) or in blocks: rows in different blocks
    are independent under the model. Weights are its inverse where none are given.
    """

    effects: Effects
    names: tuple[str, ...]  # (p,) coefficients
    x: Array  # (k, p)
    beta: Array  # (p,)
    resid: Array  # (k,)
    variances: Array | None = None  # (k,) the diagonal form
    row_weights: Array | None = None  # (k,) weights of the diagonal form; None: 1/variances
    blocks: tuple[Index, ...] = ()  # positions of the rows of each block, (n_j,)
    covariance: tuple[Array, ...] = ()  # (n_j, n_j) each
    weights: tuple[Array, ...] | None = None  # (n_j, n_j) each; None: inverses
    notes: tuple[str, ...] = ()

    @property
    def k(self) -> int:
        return len(self.resid)

    @property
    def tested(self) -> tuple[int, ...]:
        """Columns of the omnibus test: all but the intercept, or all where nothing else is."""
        rest = tuple(i for i, name in enumerate(self.names) if name != INTERCEPT)
        return rest or tuple(range(len(self.names)))


def working_of(result: Any) -> Working:
    """The working model of a result.

    Parameters
    ----------
    result : PooledEffect, RegressionResult, Working, or any object with a method ``working()``
        For the first two the working covariance is diagonal, vi + tau2, as clubSandwich has it.

    Raises
    ------
    InputError
        If the result has no working model.
    """
    from meta.regression import RegressionResult

    if isinstance(result, Working):
        return result
    if isinstance(result, PooledEffect):
        return _of_pool(result)
    if isinstance(result, RegressionResult):
        return _diagonal(
            result.effects,
            result.names,
            result.design.x,
            result.beta,
            result.residuals,
            result.tau2,
            result.weights,
        )
    if hasattr(result, "working"):
        found = result.working()
        if isinstance(found, Working):
            return found
    raise InputError(
        f"a {type(result).__name__} has no working model",
        remedy="give the result of pool, regress or multilevel",
    )


def _of_pool(result: PooledEffect) -> Working:
    """Residuals about the most precise study, so that an offset costs no digits."""
    effects = result.effects
    centre = effects.yi[int(effects.vi.argmin())]
    moved = effects.yi - centre
    return _diagonal(
        effects,
        (INTERCEPT,),
        np.ones((effects.k, 1)),
        np.array([result.estimate]),
        moved - result.weights @ moved,
        result.tau2,
        result.weights,
    )


def _diagonal(
    effects: Effects,
    names: tuple[str, ...],
    x: Array,
    beta: Array,
    resid: Array,
    tau2: float,
    weights: Array,
) -> Working:
    variances = effects.vi + tau2
    inverse = 1 / variances
    usual = np.allclose(weights, inverse / inverse.sum(), rtol=SAME, atol=0)
    return Working(
        effects, names, x, beta, resid, variances, None if usual else np.asarray(weights)
    )
