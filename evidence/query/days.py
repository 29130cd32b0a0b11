"""Dates as PubMed reads them: year, year/month or year/month/day.

A missing month is January and a missing day the first, in queries and in records alike [PubMed User
Guide, "Publication Date"].
"""

from __future__ import annotations

import calendar
import datetime as dt
import re

_DAY = re.compile(r"(\d{4})(?:/(\d{1,2})(?:/(\d{1,2}))?)?")


def first_day(text: str) -> dt.date | None:
    """The first day of the year, month or day that is written; None if it is none."""
    parts = _parts(text)
    return dt.date(parts[0], parts[1] or 1, parts[2] or 1) if parts else None


def last_day(text: str) -> dt.date | None:
    """The last day of the year, month or day that is written; None if it is none."""
    parts = _parts(text)
    if parts is None:
        return None
    year, month, day = parts
    month = month or 12
    return dt.date(year, month, day or calendar.monthrange(year, month)[1])


def back(today: dt.date, number: int, unit: str) -> dt.date:
    """The day that lies so many days, months or years before ``today``."""
    if unit == "days":
        return today - dt.timedelta(days=min(number, (today - dt.date.min).days))
    months = today.year * 12 + today.month - 1 - number * (12 if unit == "years" else 1)
    year, month = divmod(months, 12)
    if year < 1:
        return dt.date.min
    last = calendar.monthrange(year, month + 1)[1]
    return dt.date(year, month + 1, min(today.day, last))


def _parts(text: str) -> tuple[int, int | None, int | None] | None:
    match = _DAY.fullmatch(text.strip())
    if match is None:
        return None
    year = int(match.group(1))
    month = int(match.group(2)) if match.group(2) else None
    day = int(match.group(3)) if match.group(3) else None
    try:
        dt.date(year, month or 1, day or 1)
    except ValueError:
        return None
    return year, month, day


# Not `calendar.month_abbr`, whose names are those of the locale.
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_SEASONS = {"winter": 1, "spring": 4, "summer": 7, "fall": 10, "autumn": 10}


def publication_day(year: str, month: str = "", day: str = "", season: str = "") -> dt.date | None:
    """The day under which PubMed files a date of publication as a record writes it.

    Without a month it is January; of several months the first; winter is January, spring April,
    summer July, fall October [PubMed User Guide, "Publication Date"].

    Parameters
    ----------
    year, month, day, season : str
        The elements of PubDate or ArticleDate; a month may be a name or a number.

    Returns
    -------
    date or None
        None without a year.
    """
    if not year:
        return None
    number = _month(month) or _month(season) or 1
    try:
        return dt.date(int(year), number, int(day) if day.isdigit() else 1)
    except ValueError:
        return dt.date(int(year), number, 1)


def _month(text: str) -> int | None:
    text = text.strip().lower()
    if text.isdigit():
        return int(text) if 1 <= int(text) <= 12 else None
    return _MONTHS.get(text[:3]) or next(
        (m for s, m in _SEASONS.items() if text.startswith(s)), None
    )
