"""How a pooled effect holds: each look at it as one sentence with its table, numbers from ``meta``.

What is undefined for so few studies, or for this kind of effect, is said in words and never as a
number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from evidence import dependence
from evidence.claims import Analysis, Claim
from evidence.dependence import ThreeLevelPool
from evidence.errors import ToolkitError
from evidence.model import Estimate, Part
from evidence.robustness.choices import estimators, prediction
from evidence.robustness.limits import NOT_ENOUGH, power, small_studies, unmeasured
from evidence.robustness.parts import Subject, words
from evidence.robustness.refits import by_year, flagged, shares, without_each
from evidence.robustness.three_levels import expected, others, without_each_study
from meta.results import PooledEffect

__all__ = ["LOOKS", "NOT_ENOUGH", "robustness"]

Looks = dict[str, tuple[str, Callable[[Subject], Part]]]  # key to name and how

LOOKS: Looks = {
    "leave-one-out": ("Leaving out one study at a time", without_each),
    "cumulative": ("Adding studies by year", by_year),
    "influence": ("Influential studies", flagged),
    "estimators": ("Other estimators of τ²", estimators),
    "prediction": ("Prediction interval", prediction),
    "heterogeneity": ("Contributions to heterogeneity", shares),
    "power": ("Power", power),
    "e-value": ("E-value", unmeasured),
    "small-study": ("Small-study effects", small_studies),
}


LOOKS_AT_THREE_LEVELS: Looks = {
    "leave-one-out": ("Leaving out one study at a time", without_each_study),
    "prediction": ("Prediction interval", expected),
    "e-value": ("E-value", unmeasured),
    "other": ("Other looks", others),
}


def robustness(
    claim: Claim, plan: Analysis, estimates: Sequence[Estimate], result: PooledEffect
) -> tuple[Part, ...]:
    """Every look at a pooled effect that its effects allow, in the order in which pages show them.

    Parameters
    ----------
    estimates
        The rows of the pool.
    result
        The pool of three or more estimates.
    """
    looks, units = LOOKS, dependence.independent(plan, estimates)
    if isinstance(result, ThreeLevelPool):
        looks, units = LOOKS_AT_THREE_LEVELS, [(e,) for e in estimates]
    subject = Subject(claim, plan, result, tuple(units))
    return tuple(_looked(key, name, look, subject) for key, (name, look) in looks.items())


def _looked(key: str, name: str, look: Callable[[Subject], Part], subject: Subject) -> Part:
    """One look; where the numbers allow none, the sentence that says so."""
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            return look(subject)
    except ToolkitError as fault:
        return words(key, f"{name}: undefined here, {fault.problem}.")
    except np.linalg.LinAlgError:
        return words(key, f"{name}: undefined here, the effects leave no spread to measure by.")
