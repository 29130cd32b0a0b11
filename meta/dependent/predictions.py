"""What a multilevel model says of a new group: the mean, and where its true effect may lie."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.dependent.multilevel import MultilevelResult
from meta.errors import InputError
from meta.fitting import check_level, quantile
from meta.regression import Predictions

Array = NDArray[np.float64]


def predict_new(
    result: MultilevelResult,
    x: Any = None,
    *,
    inner: Mapping[str, str] | None = None,
    level: float | None = None,
) -> Predictions:
    """Predicted means with intervals for the mean and for the true effect of a new group.

    Parameters
    ----------
    x : array, shape (g, p), optional
        Rows in the columns of ``result.names``; one row for a model without moderators.
    inner : mapping of random term to inner level, optional
        Which variance counts where a term has one for each level, such as
        ``{"outcome | study": "AL"}``.

    Notes
    -----
    The variance of a true effect is the sum of the components (Konstantopoulos 2011; Riley, Higgins
    and Deeks 2011, BMJ 342:d549); both intervals use the degrees of freedom of the model's test,
    the fewest of its coefficients where they differ.
    """
    if x is None:
        if len(result.names) > 1 or not result.design.intercept:
            raise InputError(
                "the model has moderators", remedy=f"give rows of {', '.join(result.names)}"
            )
        x = [[1.0]]
    rows = np.atleast_2d(np.asarray(x, dtype=float))
    if rows.shape[1] != len(result.names):
        raise InputError(
            f"rows of {rows.shape[1]} numbers for {len(result.names)} coefficients",
            remedy=f"give {', '.join(result.names)}",
        )
    level = check_level(result.level if level is None else level)
    df = None if result.df is None else int(min(result.df))
    estimate = rows @ result.beta
    se = np.sqrt(np.maximum(((rows @ result.covariance) * rows).sum(1), 0.0))
    half = quantile(level, df) * se
    wide = quantile(level, df) * np.sqrt(se**2 + _spread(result, inner or {}))
    return Predictions(
        estimate,
        se,
        np.stack((estimate - half, estimate + half), axis=1),
        np.stack((estimate - wide, estimate + wide), axis=1),
        df,
        df,
        level,
    )


def _spread(result: MultilevelResult, inner: Mapping[str, str]) -> float:
    """The variance of a true effect of the chosen levels."""
    total = 0.0
    for term in result.random:
        mine = [
            c
            for c in result.components
            if c.kind == "variance" and (c.name == term or c.name.startswith(f"{term}: "))
        ]
        if len(mine) > 1 or (mine and mine[0].name != term):
            if term not in inner:
                raise InputError(
                    f"{term!r} has a variance for each level",
                    [c.name for c in mine],
                    remedy="say which with inner={" + f'"{term}": level' + "}",
                )
            mine = [c for c in mine if c.name == f"{term}: {inner[term]}"]
            if not mine:
                raise InputError(f"{term!r} has no level {inner[term]!r}")
        total += sum(c.value for c in mine)
    return total if not math.isnan(total) else 0.0
