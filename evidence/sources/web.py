"""What the further sources share: polite GET, and the shapes of their answers."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from evidence.errors import SourceError
from evidence.fetch import Eutils, Fields, Keep, Limiter, settings_from
from evidence.model import Record


@dataclass(frozen=True, slots=True)
class Hits:
    """The result of one search, as PRISMA-S wants it."""

    source: str
    ids: tuple[str, ...]  # the source's own identifiers
    count: int  # as announced
    query: str  # as sent
    translation: str  # as the source says it understood it; "" where it does not say
    warnings: tuple[str, ...] = ()
    complete: bool = True  # false where only the first of many were asked for


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that arrived together, by identifier, and those that the source does not serve."""

    records: Mapping[str, Record]
    not_served: tuple[str, ...] = ()


class Web(Eutils):
    """A source that is asked by GET, with the limits, retries and faults of `Eutils`.

    Parameters
    ----------
    service : str
        Its name in messages.
    rate : int
        Requests a second, over all processes of this machine.
    contact : str
        The parameter that takes the reviewer's address; "" where there is none.
    posts : sequence of str
        The names that are asked by POST.
    """

    def __init__(
        self,
        base: str,
        *,
        service: str,
        rate: int,
        contact: str = "",
        posts: Sequence[str] = (),
        email: str | None = None,
        cache: Path | None = None,
        limiter: Limiter | None = None,
        progress: Callable[[str], None] | None = None,
        keep: Keep | None = None,
        **options: Any,
    ) -> None:
        if limiter is None:
            folder = cache or settings_from({}).cache
            limiter = Limiter(folder / service.lower().replace(" ", "-"), rate)
        super().__init__(
            base, email=email, limiter=limiter, progress=progress, keep=keep, **options
        )
        self.service = service
        self._contact, self._posts = contact, frozenset(posts)

    def _form(self, fields: Fields) -> dict[str, str | Sequence[str]]:
        form = dict(fields)
        if self._contact and "email" in self._identity:
            form[self._contact] = self._identity["email"]
        return form

    def _address(self, name: str) -> str:
        return f"{self.base}/{name}"

    def _send(self, session: requests.Session, url: str, form: Fields) -> requests.Response:
        if url.rpartition("/")[2] in self._posts:
            return super()._send(session, url, form)
        return session.get(
            url,
            params=form,
            timeout=(self._connect_s, self._timeout_s),
            stream=True,
            allow_redirects=False,
        )


def listed(value: Any, *names: str) -> list[Any]:
    """The list at the end of a path of keys; one thing alone counts as a list of it."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, list) else [] if value is None else [value]


def text(value: Any, *names: str) -> str:
    """The text at the end of a path of keys; "" where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return " ".join(str(value).split()) if isinstance(value, str | int | float) else ""


def plain(markup: str) -> str:
    """Text without tags; P<0.001 is no tag. Headings end with a colon."""
    body = re.sub(r"</(?:h\d|jats:title)>", ": ", markup)
    body = re.sub(r"</(?:p|jats:p|div|br)>|<br\s*/?>", " ", body)
    body = re.sub(
        r"</?[A-Za-z][\w:.-]*(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*\s*/?>", "", body
    )
    return " ".join(html.unescape(body).split()).replace(":: ", ": ")


def number(value: Any) -> int | None:
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        return int(value)
    return None


def refusal(service: str, words: str) -> SourceError:
    return SourceError(
        f"{service} refuses the search: {words}", remedy="correct the query for this source"
    )
