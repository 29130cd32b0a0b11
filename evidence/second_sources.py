"""A claim's strategy in a further source: what it finds that the claim does not have."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from evidence.claims import Claim
from evidence.errors import SourceError
from evidence.fetch import settings_from
from evidence.model import Record, SearchRun
from evidence.pubmed.citations_match import plain_doi
from evidence.query.translate import translate
from evidence.sources import crossref, europepmc
from evidence.sources.web import Hits, Web
from evidence.store import Store

SOURCES: dict[str, ModuleType] = {"europepmc": europepmc, "crossref": crossref}
SECOND_COLUMNS = ("id", "pmid", "doi", "year", "title", "journal", "kinds")


@dataclass(frozen=True, slots=True)
class Second:
    """What a further source brought."""

    claim: str
    on: dt.date
    typed: str  # the strategy as written for PubMed, or the words that were looked for
    hits: Hits
    notes: tuple[str, ...]  # where the translation is not the same
    known: int
    rows: tuple[dict[str, object], ...]
    not_served: tuple[str, ...]
    requests: int

    def summary(self) -> str:
        some = "" if self.hits.complete else f", the nearest {len(self.hits.ids):,} looked at"
        return (
            f"{self.claim}: {self.hits.source}: {self.hits.count:,} found{some}, "
            f"{self.known:,} known, {len(self.rows):,} that the claim lacks"
        )

    def json(self) -> dict[str, Any]:
        return {
            "claim": self.claim,
            "source": self.hits.source,
            "on": self.on.isoformat(),
            "query": self.typed,
            "translation": self.hits.query,
            "count": self.hits.count,
            "warnings": [*self.hits.warnings, *self.notes],
            "complete": self.hits.complete,
            "known": self.known,
            "lacking": list(self.rows),
            "not_served": list(self.not_served),
            "requests": self.requests,
        }


def client_of(source: str, environ: Mapping[str, str], **options: Any) -> Web:
    """The client of a source; EVIDENCE_EUROPEPMC_URL and EVIDENCE_CROSSREF_URL change where."""
    settings = settings_from(environ)
    module = SOURCES[source]
    base = environ.get(f"EVIDENCE_{source.upper()}_URL", "").strip() or module.BASE
    web: Web = module.client(base, email=settings.email, cache=settings.cache, **options)
    return web


def ask(claim: Claim, source: str, web: Web, store: Store, *, on: dt.date) -> Second:
    """Search the source and list what the claim does not have, by PMID and by DOI.

    Europe PMC receives the claim's strategy translated; Crossref, which has no Boolean search,
    the claim's statement.

    Raises
    ------
    SourceError
        See the source's `find`; nothing is logged then.
    """
    before = web.requests
    notes: tuple[str, ...] = ()
    if source == "europepmc":
        typed = claim.search.query()
        made = translate(typed, "europepmc")
        notes = tuple(map(str, made.notes))
        query = made.query
        if not query:
            raise SourceError(
                f"nothing of {claim.id}'s strategy has a form in Europe PMC",
                remedy="search it by hand and add the export with --file",
            )
    else:
        typed = query = claim.statement
    hits: Hits = SOURCES[source].find(query, web)
    members = store.members(claim.id)
    dois = {plain_doi(r.doi) for r in store.records(claim.id) if r.doi}
    unknown = [i for i in hits.ids if i.removeprefix("MED:") not in members and i not in dois]
    rows: list[dict[str, object]] = []
    not_served: list[str] = []
    for batch in SOURCES[source].details(unknown, web):
        not_served += batch.not_served
        rows += [
            _row(name, record)
            for name, record in batch.records.items()
            if record.pmid not in members and plain_doi(record.doi or "") not in dois
        ]
    warnings = (*hits.warnings, *notes)
    store.log(
        SearchRun(
            claim.id, source, on, hits.query, typed, hits.count, warnings, hits.complete, "second"
        )
    )
    return Second(
        claim=claim.id,
        on=on,
        typed=typed,
        hits=hits,
        notes=notes,
        known=len(hits.ids) - len(rows) - len(not_served),
        rows=tuple(rows),
        not_served=tuple(not_served),
        requests=web.requests - before,
    )


def _row(name: str, record: Record) -> dict[str, object]:
    return {
        "id": name,
        "pmid": record.pmid or None,
        "doi": record.doi,
        "year": record.year,
        "title": record.shown_title,
        "journal": record.journal,
        "kinds": "; ".join(record.kinds),
    }
