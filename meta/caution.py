"""When a method has too few studies to be trusted: one warning, one note."""

from __future__ import annotations

import warnings

from meta.fitting import check
from meta.results import Effects

ENOUGH_STUDIES = 10  # Sterne et al. (2011), BMJ 343:d4002


class SmallSampleWarning(UserWarning):
    """Too few studies for a method to tell anything reliable."""


def caution(effects: Effects, what: str, *, least: int) -> tuple[str, ...]:
    """Check the effects; warn and give a note where there are fewer than ten studies."""
    check(effects, least=least)
    if effects.k >= ENOUGH_STUDIES:
        return ()
    note = f"{effects.k} studies: {what} has little power and is unreliable below {ENOUGH_STUDIES}"
    warnings.warn(note, SmallSampleWarning, stacklevel=3)
    return (note,)
