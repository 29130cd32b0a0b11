"""A claim that could not be rebuilt keeps its last good page, which says since when it stands."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from markupsafe import Markup

from evidence.site import words

_NOTICE = re.compile(r"<!-- stale -->.*?<!-- /stale -->\n", re.DOTALL)
_BEFORE = '<div class="lead">'


@dataclass(frozen=True, slots=True)
class Stale:
    """A claim whose last good page stands, and why no newer one could be built."""

    claim: str
    statement: str
    headline: str
    since: dt.date | None  # the day of the page that stands; None where it does not say
    why: str

    def notice(self) -> Markup:
        """What readers must know, as one sentence."""
        state = (
            Markup("the state of {}").format(words.day(self.since))
            if self.since
            else "an earlier state"
        )
        reason = words.stop(" ".join(self.why.split()))
        return Markup("This claim could not be rebuilt; {} is shown. Reason: {}").format(
            state, reason
        )


def mark_stale(page: str, stale: Stale) -> str:
    """Put the notice at the head of a claim's page; marking twice is marking once."""
    page = _NOTICE.sub("", page)
    notice = Markup(
        '<!-- stale -->\n<aside class="notice stale" aria-label="State of this page">'
        "<p><strong>Not current:</strong> {}</p></aside>\n<!-- /stale -->\n"
    ).format(stale.notice())
    return page.replace(_BEFORE, str(notice) + _BEFORE, 1)
