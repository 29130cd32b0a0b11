"""One effect for each study out of several, with a variance that minds their correlation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta.dependent.blocks import as_blocks
from meta.errors import InputError, UnknownName
from meta.fitting import check
from meta.results import Effects

Array = NDArray[np.float64]
STRUCTURES = ("ID", "CS", "CAR", "CS+CAR", "CS*CAR")


def aggregate(
    effects: Effects,
    *,
    cluster: Sequence[Any] | None = None,
    structure: str = "CS",
    rho: float | None = None,
    phi: float | None = None,
    time: Sequence[Any] | None = None,
    obs: Sequence[Any] | None = None,
    covariance: Any = None,
    weighted: bool = True,
) -> Effects:
    """Combine the effects of each cluster into one.

    Parameters
    ----------
    effects : Effects
        k effects.
    cluster : sequence, shape (k,), optional
        What belongs together; ``effects.cluster`` if left out.
    structure : {"CS", "ID", "CAR", "CS+CAR", "CS*CAR"}
        Sampling correlation within a cluster: one ``rho`` for all pairs; none; ``phi ** |time
        difference|``; ``rho + (1 - rho) phi ** |difference|``; that of CAR times ``rho`` where
        ``obs`` differ.
    rho, phi : float
        The correlations that the structure needs.
    time : sequence of float, shape (k,)
        Times for the structures with CAR.
    obs : sequence, shape (k,)
        What is measured at those times, for CS*CAR.
    covariance : array (k, k) or BlockCovariance, optional
        Sampling covariance in place of a structure; only its blocks within clusters are used.
    weighted : bool
        Generalised least squares within each cluster, 1'V^-1 y / 1'V^-1 1 with variance
        1/(1'V^-1 1); or the plain mean with variance 1'V1/n^2.

    Returns
    -------
    Effects
        One row for each cluster in the order of first appearance; notes say what was assumed.

    References
    ----------
    Borenstein et al. (2009), Introduction to Meta-Analysis, ch. 24 (composite effects); Gleser and
    Olkin (2009), Handbook of Research Synthesis, ch. 19.
    """
    check(effects)
    labels = effects.cluster if cluster is None else tuple(str(c) for c in cluster)
    if len(labels) != effects.k:
        raise InputError(f"{len(labels)} clusters for {effects.k} effects")
    full: Array | None = None
    if covariance is not None:
        full = as_blocks(covariance, effects.study).dense()
        note = "sampling covariance as given"
    else:
        if structure not in STRUCTURES:
            raise UnknownName("structure", structure, STRUCTURES)
        note = _note(structure, rho, phi, time, obs, effects.k)
    where: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        where.setdefault(label, []).append(i)
    times = None if time is None else np.asarray(time, dtype=float)
    y, v = np.zeros(len(where)), np.zeros(len(where))
    for row, (label, at) in enumerate(where.items()):
        if full is not None:
            block = full[np.ix_(at, at)]
        else:
            sd = np.sqrt(effects.vi[at])
            what = None if obs is None else [obs[i] for i in at]
            r = _matrix(structure, len(at), rho, phi, None if times is None else times[at], what)
            block = r * np.outer(sd, sd)
        one, yi = np.ones(len(at)), effects.yi[at]
        if weighted:
            try:
                np.linalg.cholesky(block)
            except np.linalg.LinAlgError:
                raise InputError(
                    "the sampling covariance is not positive definite",
                    [f"{label}: {', '.join(effects.study[i] for i in at)}"],
                    remedy="lower the correlation, or take weighted=False",
                ) from None
            w = np.linalg.solve(block, one)
            y[row], v[row] = float(w @ yi) / float(w.sum()), 1 / float(w.sum())
        else:
            y[row], v[row] = float(yi.mean()), float(block.sum()) / len(at) ** 2
    several = sum(len(at) > 1 for at in where.values())
    how = "weighted" if weighted else "plain mean"
    names = tuple(where)
    return Effects(
        effects.measure,
        names,
        y,
        v,
        names,
        (*effects.notes, f"{several} of {len(names)} combine several effects ({note}; {how})"),
    )


def _note(structure: str, rho: float | None, phi: float | None, time: Any, obs: Any, k: int) -> str:
    """What is assumed, in words; refuses what is absent."""
    told = [structure]
    if structure.startswith("CS"):
        if rho is None or not -1 <= rho <= 1:
            raise InputError(
                f"structure {structure} needs rho between -1 and 1",
                remedy="give the correlation of effects in one cluster, and vary it",
            )
        told.append(f"rho = {rho:g}")
    if "CAR" in structure:
        if phi is None or not 0 <= phi <= 1:
            raise InputError(f"structure {structure} needs phi between 0 and 1")
        if time is None or len(time) != k:
            raise InputError(f"structure {structure} needs a time for each effect")
        if not np.isfinite(np.asarray(time, dtype=float)).all():
            raise InputError("times must be finite")
        told.append(f"phi = {phi:g}")
    if structure == "CS*CAR" and (obs is None or len(obs) != k):
        raise InputError("structure CS*CAR needs obs, what is measured, for each effect")
    return ", ".join(told)


def _matrix(
    structure: str,
    n: int,
    rho: float | None,
    phi: float | None,
    time: Array | None,
    obs: Sequence[Any] | None,
) -> Array:
    eye = np.eye(n)
    if structure == "ID":
        return eye
    if structure == "CS":
        assert rho is not None
        return np.asarray(eye + rho * (1 - eye))
    assert phi is not None
    assert time is not None
    decay = phi ** np.abs(np.subtract.outer(time, time))
    decay[np.eye(n, dtype=bool)] = 1.0
    if structure == "CAR":
        return np.asarray(decay)
    assert rho is not None
    if structure == "CS*CAR":
        assert obs is not None
        same = np.array([[a == b for b in obs] for a in obs])
        return np.asarray(np.where(same, 1.0, rho) * decay)
    return np.asarray(rho + (1 - rho) * decay)
