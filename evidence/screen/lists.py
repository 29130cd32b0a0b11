"""What the pages that list things show, worked out from the session."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from evidence.claims import Claim
from evidence.model import Record, Screening, Stage
from evidence.screen.certificates import CONFIDENCES, TARGETS
from evidence.screen.highlights import tidy
from evidence.screen.session import ScreenSession
from evidence.screen.shown import authors, journal, links
from evidence.screening import FOUNDING, TITLE, Standing
from evidence.screening.mine import Mine, day_words
from evidence.triage.features import bare
from meta.results import DASH, show

PER_PAGE = 50
MOST_SUGGESTED = 60
SHOWS = (
    ("all", "all"),
    ("open", "not decided"),
    ("include", "included"),
    ("exclude", "excluded"),
    ("unsure", "unsure"),
    ("note", "with a note"),
)
SORTS = (("order", "reading order"), ("newest", "newest first"), ("decided", "last decided first"))

Query = dict[str, str]
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A record in a list."""

    id: str
    title: str
    authors: str
    journal: str
    mine: Screening | None
    day: str
    note: str
    founding: bool = False
    extra: str = ""


def _line(mine: Mine, record: Record, extra: str = "") -> Line:
    row = mine.decisions.get(record.pmid)
    standing = mine.state.standing(record.pmid, mine.stage)
    return Line(
        record.pmid,
        record.shown_title or "[no title]",
        authors(record),
        journal(record),
        row,
        day_words(row.date) if row else "",
        mine.note(record.pmid),
        FOUNDING in standing.decisions,
        extra,
    )


def records(session: ScreenSession, reviewer: str, stage: Stage, query: Query, page: int) -> Values:
    """All records of a stage, found by words and filtered."""
    show = query["show"] if query["show"] in dict(SHOWS) else "all"
    sort = query["sort"] if query["sort"] in dict(SORTS) else "order"
    mine, held = session.mine(reviewer, stage), session.holdings.records
    waiting = session.waiting(reviewer, stage) if sort == "order" else []
    sample = dict(session.sample(reviewer)) if stage == TITLE else {}
    # A record that has come since ``held`` was taken waits for the next look.
    there = (n for n in waiting if n in held)
    names = dict.fromkeys([*there, *(n for n in held if mine.belongs(n))])
    found = [n for n in names if _shown(mine, n, show)]
    found = _matching(session, found, query)
    if sort == "newest":
        found.sort(key=lambda n: (held[n].year or 0, len(n), n), reverse=True)
    elif sort == "decided":
        found = _by_time(mine, found)
    return {
        "query": query | {"show": show, "sort": sort},
        "shows": SHOWS,
        "sorts": SORTS,
        **_paged(mine, [held[n] for n in found], page, sample=sample),
    }


def _shown(mine: Mine, name: str, show: str) -> bool:
    if show == "all":
        return True
    if show == "open":
        return mine.waits(name)
    if show == "note":
        return bool(mine.note(name))
    row = mine.decisions.get(name)
    return row is not None and row.decision == show


def _matching(session: ScreenSession, names: Iterable[str], query: Query) -> list[str]:
    wanted = _wanted(query["q"])
    first, last = _year(query["from"]), _year(query["to"])
    held = session.holdings.records
    found = []
    for name in names:
        year = held[name].year
        if first is not None and (year is None or year < first):
            continue
        if last is not None and (year is None or year > last):
            continue
        if wanted:
            words = session.holdings.words(name)
            if not all(word in words for word in wanted):
                continue
        found.append(name)
    return found


def _wanted(text: str) -> list[str]:
    """Words that must all occur; those in quotation marks as they stand."""
    parts = re.findall(r'"([^"]+)"|(\S+)', bare(text))
    return [phrase or word.strip('"') for phrase, word in parts if phrase or word.strip('"')]


def _year(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{4}", text) else None


def _by_time(mine: Mine, names: Iterable[str]) -> list[str]:
    def when(name: str) -> tuple[str, str]:
        row = mine.decisions[name]
        return row.date.isoformat(), row.time.isoformat() if row.time else ""

    there = [name for name in names if name in mine.decisions]
    return sorted(there, key=when, reverse=True)


def _paged(mine: Mine, found: list[Record], page: int, *, sample: Collection[str] = ()) -> Values:
    pages = max(1, -(-len(found) // PER_PAGE))
    page = min(max(page, 1), pages)
    start = (page - 1) * PER_PAGE
    return {
        "lines": [
            _line(mine, record, "Certificate sample" if record.pmid in sample else "")
            for record in found[start : start + PER_PAGE]
        ],
        "count": len(found),
        "page": page,
        "pages": pages,
        "first": start + 1,
    }


def decided(session: ScreenSession, reviewer: str, stage: Stage, query: Query, page: int) -> Values:
    """What the reviewer decided, the latest first."""
    show = query["show"] if query["show"] in dict(SHOWS[2:5]) else "all"
    mine, held = session.mine(reviewer, stage), session.holdings.records
    names = [n for n in mine.decisions if n in held and _shown(mine, n, show)]
    names = _by_time(mine, _matching(session, names, query))
    counts = {kind: mine.counts[kind] for kind in ("include", "exclude", "unsure")}
    return {
        "query": query | {"show": show},
        "shows": (SHOWS[0], *SHOWS[2:5]),
        "counts": counts,
        **_paged(mine, [held[n] for n in names], page),
    }


def second_look(
    session: ScreenSession, reviewer: str, stage: Stage, query: Query, page: int
) -> Values:
    """Records that were decided against what all the other decisions say of them."""
    found = session.second_look(reviewer)
    mine, held = session.mine(reviewer, stage), session.holdings.records
    lines = [
        _line(
            mine,
            held[doubt.pmid],
            f"By all your other decisions it would be relevant with a probability of "
            f"{doubt.probability:.0%}.",
        )
        for doubt in found or ()
        if doubt.pmid in held and doubt.pmid in mine.decisions
    ]
    both = bool(mine.counts["include"] and mine.counts["exclude"])
    return {"lines": lines, "ready": found is not None, "both": both}


def conflicts(
    session: ScreenSession, reviewer: str, stage: Stage, query: Query, page: int
) -> Values:
    """Records on which reviewers disagree, as far as this reviewer may see them."""
    mine, held = session.mine(reviewer, stage), session.holdings.records

    def case(standing: Standing) -> Values:
        record = held.get(standing.record)
        return {
            "id": standing.record,
            "title": record.shown_title if record else standing.record,
            "authors": authors(record) if record else "",
            "journal": journal(record) if record else "",
            "abstract": record.abstract if record else "",
            "links": links(record) if record else [],
            "decisions": [
                (row.reviewer, row.decision, row.reason, row.note, day_words(row.date))
                for row in standing.decisions.values()
            ],
            "resolution": standing.resolution,
            "resolved_on": day_words(standing.resolution.date) if standing.resolution else "",
            "stale": standing.stale,
            "may_resolve": mine.may_resolve(standing),
        }

    return {
        "open": [case(standing) for standing in mine.conflicts()],
        "resolved": [case(standing) for standing in mine.resolved()][:PER_PAGE],
        "sharing": session.sharing,
        "reasons": session.claim.exclusion_reasons,
    }


SAYS = {
    "agreement": "the share of records on which both decided the same",
    "Cohen's kappa": "agreement beyond chance; low where one decision is rare, however well people "
    "agree",
    "PABAK": "kappa as it would be if all decisions were equally frequent",
    "Gwet's AC1": "agreement beyond chance that a rare decision does not pull down",
    "Krippendorff's alpha": "agreement beyond chance of any number of reviewers",
}


def agreement(
    session: ScreenSession, reviewer: str, stage: Stage, query: Query, page: int
) -> Values:
    """How well reviewers agree, on the records that this reviewer may see."""
    return {
        "found": session.agreement(reviewer, stage),
        "sharing": session.sharing,
        "says": SAYS,
        "show": show,
        "DASH": DASH,
    }


def progress(
    session: ScreenSession, reviewer: str, stage: Stage, query: Query, page: int
) -> Values:
    """How far the screening is, and whether to stop, in the words of the rules."""
    order = session.order(reviewer)
    return {
        "state": session.state(reviewer, stage),
        "outlook": order.outlook,
        "method": order.snapshot.method,
        "sharing": session.sharing,
        "flow": session.flow() if session.sees_all(reviewer) else None,
        "notices": [*session.desk.notices, *session.certificates.notices],
        "certificate": _certificate(session, reviewer, query) if stage == TITLE else None,
    }


def _certificate(session: ScreenSession, reviewer: str, query: Query) -> Values:
    """The attempts so far, the last one first, and what the next one would be."""
    samples, held = session.samples(reviewer), session.holdings.records
    counted = {sample.drawn for sample in samples}
    return {
        "samples": [sample.view(held) for sample in reversed(samples)],
        "twice": sum(one not in counted for one in session.certificates.every(reviewer)),
        "offer": session.offer(
            reviewer,
            target=_chosen(query["target"], TARGETS),
            confidence=_chosen(query["confidence"], CONFIDENCES),
        ),
        "targets": TARGETS,
        "confidences": CONFIDENCES,
    }


def _chosen(text: str, choices: tuple[float, ...]) -> float | None:
    return next((choice for choice in choices if str(choice) == text), None)


def search_words(claim: Claim) -> list[str]:
    """Words of the strategy that it looks for in titles and abstracts, to be highlighted."""
    terms = " ".join(line.terms for block in claim.search.blocks.values() for line in block.lines)
    found = re.findall(r'(?:"([^"]+)"|([^\s"()\[\]]+))\[(?:tiab|ti|ab|tw)[^\]]*\]', terms)
    return list(tidy(phrase or word for phrase, word in found))[:MOST_SUGGESTED]
