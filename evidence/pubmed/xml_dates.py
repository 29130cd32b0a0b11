"""Dates of PubMed XML: parts, seasons and spans, as much of an ISO day as is known."""

from __future__ import annotations

import calendar
import re
from functools import lru_cache

from evidence.model import PubDate
from evidence.pubmed.xml_text import Element, by_name, first

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMBERS = {name.lower(): n for n, name in enumerate(MONTHS, 1)}
_YEAR = re.compile(r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)")
_SEASON = re.compile(
    r"\b(?:Spring|Summer|Autumn|Fall|Winter|Mid-?year|(?:[1-4](?:st|nd|rd|th)|First|Second|Third"
    r"|Fourth) (?:Quarter|Quart|Half|Trimest(?:er)?))\b",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"\d+|[A-Za-z]{3,}|[-–—/]")
_Part = dict[str, int]


@lru_cache(maxsize=4096)
def iso(year: str, month: str = "", day: str = "") -> str | None:
    """ "2019-03-05", or less where a part is missing or the calendar does not have it."""
    match = _YEAR.search(year)
    if match is None:
        return None
    return _iso(int(match.group()), month_number(month), int(day) if _is_number(day) else None)


def _iso(year: int, month: int | None, day: int | None) -> str:
    if month is None:
        return f"{year:04d}"
    if day is None or not 1 <= day <= calendar.monthrange(year, month)[1]:
        return f"{year:04d}-{month:02d}"
    return f"{year:04d}-{month:02d}-{day:02d}"


def month_number(text: str) -> int | None:
    """1 to 12 for "3", "03", "Mar" and "March"."""
    if _is_number(text):
        return int(text) if 1 <= int(text) <= 12 else None
    return _NUMBERS.get(text[:3].lower())


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


def day(element: Element | None) -> str | None:
    """The ISO day of a date with year, month and day; ``None`` where it is no whole date."""
    whole = partial(element)
    return whole if whole and len(whole) == 10 else None


def partial(element: Element | None) -> str | None:
    """As much of the ISO day as a date with year, month and day gives."""
    parts = by_name(element)
    return iso(first(parts, "Year"), first(parts, "Month"), first(parts, "Day"))


def pub_date(element: Element | None) -> PubDate | None:
    """The date of an issue, a book or a chapter; ``None`` where it is empty."""
    parts = by_name(element)
    return dated(
        first(parts, "Year"),
        first(parts, "Month"),
        first(parts, "Day"),
        first(parts, "Season"),
        first(parts, "MedlineDate"),
    )


@lru_cache(maxsize=4096)
def dated(
    year: str, month: str = "", day: str = "", season: str = "", words: str = ""
) -> PubDate | None:
    """A date of publication from its parts, or from the words of a MedlineDate."""
    if words and not year:
        return in_words(words)
    if not (year or month or day or season):
        return None
    number = month_number(month)
    shown = MONTHS[number - 1] if number else month
    text = " ".join(filter(None, (year, shown, season, day.lstrip("0"))))
    whole = iso(year, month, day)
    return PubDate(text, whole, whole, season)


@lru_cache(maxsize=4096)
def in_words(text: str) -> PubDate:
    """ "1998 Dec-1999 Jan", "2004 Fall-Winter", "1976-1977", "1999 Apr 21-27", "3rd Quarter".

    What one side of a span leaves out, the other gives: the year before, or the only one there is.
    """
    seasons = _SEASON.findall(text)
    sides: list[_Part] = [{}]
    for token in _TOKEN.findall(_SEASON.sub(" ", text)):
        side = sides[-1]
        if not token[0].isalnum():
            if side and len(sides) == 1:
                sides.append({})
        elif token.isdigit():
            if _YEAR.fullmatch(token):
                side.setdefault("year", int(token))
            elif len(token) <= 2:
                before = sides[0]
                century = "year" in before and "month" not in before and len(sides) == 2
                if century and not side and len(token) == 2:  # "1978-79"
                    side["year"] = before["year"] // 100 * 100 + int(token)
                else:
                    side.setdefault("day", int(token))
        elif number := _NUMBERS.get(token[:3].lower()):
            side.setdefault("month", number)
    start = sides[0]
    end = sides[1] if len(sides) == 2 and sides[1] else start
    if "year" not in start and "year" in end:
        start["year"] = end["year"]
    if "year" not in start:
        return PubDate(text, None, None, "-".join(seasons))
    if end is not start:
        if "month" not in end and "day" in end and "month" in start:
            end["month"] = start["month"]
        end.setdefault("year", start["year"])
    first_day, last_day = (_iso(s["year"], s.get("month"), s.get("day")) for s in (start, end))
    return PubDate(text, first_day, last_day, "-".join(seasons))


def year_of(*dates: PubDate | str | None) -> int | None:
    """The year of the first date that has one."""
    for date in dates:
        text = date.first if isinstance(date, PubDate) else date
        if text:
            return int(text[:4])
    return None
