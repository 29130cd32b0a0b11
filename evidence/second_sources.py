"""A claim's strategy in a further source: what it finds enters the claim under its own name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from evidence.claims import Claim
from evidence.duplicates import key_of
from evidence.errors import SourceError
from evidence.fetch import settings_from
from evidence.formats import Reference, from_record
from evidence.held import Held, body_of, label, members_of, pubmed_records
from evidence.model import Place, Record, SearchRun
from evidence.pubmed.citations_match import plain_doi
from evidence.query.translate import translate
from evidence.sources import crossref, europepmc
from evidence.sources.web import Hits, Web
from evidence.store import Other, Store

SOURCES: dict[str, ModuleType] = {"europepmc": europepmc, "crossref": crossref}
SECOND_COLUMNS = ("id", "record", "same_as", "pmid", "doi", "year", "title", "journal", "kinds")
# What Crossref and Europe PMC call what is no journal article; a preprint is never merged with one.
_KINDS = {
    "posted-content": "preprint",
    "preprint": "preprint",
    "book-chapter": "chapter",
    "book": "book",
    "monograph": "book",
    "proceedings-article": "conference",
    "dissertation": "thesis",
    "report": "report",
    "dataset": "dataset",
}


@dataclass(frozen=True, slots=True)
class Second:
    """What a further source brought."""

    claim: str
    on: dt.date
    typed: str  # the strategy as written for PubMed, or the words that were looked for
    hits: Hits
    notes: tuple[str, ...]  # where the translation is not the same
    known: int  # held by PMID or DOI, and not received again
    received: int
    kept: int  # of an earlier search of this source, not among the hits of this one
    not_served: tuple[str, ...]
    requests: int

    def json(self) -> dict[str, Any]:
        return {
            "claim": self.claim,
            "source": self.hits.source,
            "on": self.on.isoformat(),
            "query": self.typed,
            "translation": self.hits.query,
            "count": self.hits.count,
            "looked_at": len(self.hits.ids),
            "warnings": [*self.hits.warnings, *self.notes],
            "complete": self.hits.complete,
            "known": self.known,
            "received": self.received,
            "kept": self.kept,
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
    """Search the source and keep the records that the claim has neither by PMID nor by DOI.

    Europe PMC receives the claim's strategy translated; Crossref, which has no Boolean search,
    the claim's statement. The records are kept as the source's own, beside PubMed's and never in
    place of them; those of earlier searches stay, as a search that ranks leaves out what it found
    before. Which of them are one work with another record is for `evidence.exchange.settle`.

    Raises
    ------
    SourceError
        See the source's `find`; nothing is kept or logged then.
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
                remedy="search it by hand and add the export with `evidence import`",
            )
    else:
        typed = query = claim.statement
    hits: Hits = SOURCES[source].find(query, web)
    members = members_of(store, claim.id)
    dois = {plain_doi(r.doi) for r in pubmed_records(store, claim.id, members) if r.doi}
    unknown = [i for i in hits.ids if i.removeprefix("MED:") not in members.pmids and i not in dois]
    found: list[Other] = []
    not_served: list[str] = []
    for batch in SOURCES[source].details(unknown, web):
        not_served += batch.not_served
        found += [
            _other(source, name, record)
            for name, record in batch.records.items()
            if record.pmid not in members.pmids and plain_doi(record.doi or "") not in dois
        ]
    now = {other.id for other in found}
    hit = {_id(source, name) for name in hits.ids}
    earlier = [o for o in store.others(claim.id) if o.source == source and o.id not in now]
    store.add_others(claim.id, source, (*found, *earlier), on=on)
    warnings = [*hits.warnings, *notes]
    if not_served:
        warnings.append(f"listed and not served: {', '.join(not_served)}")
    basis = "" if hits.complete else f"the nearest {len(hits.ids):,} of {hits.count:,} announced"
    store.log(
        SearchRun(
            *(claim.id, source, on, typed, hits.query, len(hits.ids), tuple(warnings)),
            complete=hits.complete and not not_served,
            kind="second",
            basis=basis,
        )
    )
    return Second(
        claim=claim.id,
        on=on,
        typed=typed,
        hits=hits,
        notes=notes,
        known=len(hits.ids) - len(found) - len(not_served),
        received=len(found),
        kept=sum(o.id not in hit for o in earlier),
        not_served=tuple(not_served),
        requests=web.requests - before,
    )


def _id(source: str, name: str) -> str:
    return f"{source} {name}#{1:07}"


def _other(source: str, name: str, record: Record) -> Other:
    """A record of a source as the store keeps references of other databases."""
    kinds = {_KINDS[k.casefold()] for k in record.kinds if k.casefold() in _KINDS}
    reference = from_record(record).with_(
        kind=min(kinds) if kinds else "article",
        database=label(source),
        accession=name,
        source_id=name,
        at=Place(f"{source} {name}", 1),  # where merge logs and decisions find it
        record=record,
    )
    pmid = reference.pmid
    return Other(_id(source, name), source, body_of(reference), pmid or key_of(reference), pmid)


def second_rows(held: Held, others: Sequence[tuple[Other, Reference]]) -> list[dict[str, object]]:
    """The records of one source as rows for CSV: under which name each stands in the claim.

    ``same_as`` names the other sources of a work that stands in the claim once.
    """
    rows: list[dict[str, object]] = []
    for other, reference in others:
        work = other.pmid or other.name
        elsewhere = [s for s in held.origins.get(work, ()) if s != label(other.source)]
        rows.append(
            {
                "id": reference.accession,
                "record": work,
                "same_as": "; ".join(elsewhere),
                "pmid": reference.pmid,
                "doi": reference.doi,
                "year": reference.year,
                "title": reference.title,
                "journal": reference.journal,
                "kinds": "; ".join(reference.types),
            }
        )
    return rows
