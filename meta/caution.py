"""When a method has too few studies, or the wrong kind of effects: one warning, one note."""

from __future__ import annotations

import warnings

from meta.fitting import check
from meta.results import Effects

ENOUGH_STUDIES = 10  # Sterne et al. (2011), BMJ 343:d4002

# Measures whose standard error is computed from the effect itself, so that a funnel is skewed
# without any bias, and what to use in place of a test on the standard error.
LINKED = {
    **dict.fromkeys(("OR", "RR", "PETO"), "use harbord, peters or arcsine_test on the counts"),
    **dict.fromkeys(("SMD", "SMDH", "SMD1", "SMD1H"), "use pustejovsky_rodgers"),
    **dict.fromkeys(("RD",), "no test is recommended for it"),
}


class SmallSampleWarning(UserWarning):
    """Too few studies for a method to tell anything reliable."""


def caution(effects: Effects, what: str, *, least: int) -> tuple[str, ...]:
    """Check the effects; warn and give a note where there are fewer than ten studies."""
    check(effects, least=least)
    return few(effects.k, what, above=4)


def few(k: int, what: str, *, above: int = 3) -> tuple[str, ...]:
    """Warn and give a note where ``k`` is below ten; ``above`` is the frame that is told."""
    if k >= ENOUGH_STUDIES:
        return ()
    note = f"{k} studies: {what} has little power and is unreliable below {ENOUGH_STUDIES}"
    warnings.warn(note, SmallSampleWarning, stacklevel=above)
    return (note,)


def linked(effects: Effects) -> tuple[str, ...]:
    """A note where effects and their standard errors go together by construction.

    References
    ----------
    Sterne et al. (2011), BMJ 343:d4002; Pustejovsky and Rodgers (2019), Res Synth Methods 10:57-71.
    """
    remedy = LINKED.get(effects.measure.key)
    if remedy is None:
        return ()
    label = effects.measure.label[0].lower() + effects.measure.label[1:]
    return (
        f"the {label} and its standard error are linked, so that this test rejects too often "
        f"where the effect is large: {remedy}",
    )
