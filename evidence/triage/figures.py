"""How good a reading order was, by the figures that ASReview defines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def figures(found: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """WSS@95, recall in the first tenth, loss and NDCG of an order.

    Parameters
    ----------
    found : array of bool, shape (n,)
        Whether each record was relevant, in the order read; at least one is. Priors are left out.

    Returns
    -------
    wss95, recall10, loss, ndcg : float
        ``wss95`` is 1 - n95 / n - .05 with n95 the records read until 95 % were found. ``loss`` is
        the area between the best possible recall curve and this one, as a share of that between
        the best and the worst (the share of pairs in the wrong order), as ASReview's
        ``metrics.loss`` has it; NaN where all orders are equal. ``ndcg`` has gains 0 and 1, as its
        ``metrics.ndcg``.

    References
    ----------
    Cohen et al. (2006), JAMIA 13(2):206-219 (work saved over sampling). Järvelin & Kekäläinen
    (2002), ACM TOIS 20(4):422-446 (NDCG). ASReview 3.0.8, module ``metrics``.
    """
    n, total = len(found), int(found.sum())
    curve = np.cumsum(found)
    n95 = int(np.searchsorted(curve, np.ceil(0.95 * total - 1e-9))) + 1
    best = total * (n - (total - 1) / 2)  # sum of the curve of the best order
    discount = 1 / np.log2(np.arange(2, n + 2))
    return (
        1 - n95 / n - 0.05,
        float(curve[int(np.ceil(n / 10)) - 1] / total),
        float((best - curve.sum()) / (total * (n - total))) if total < n else float("nan"),
        float((found * discount).sum() / discount[:total].sum()),
    )
