"""Citation links between PubMed records: who cites them, what they cite, what resembles them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from lxml import etree

from evidence.fetch import Eutils, Passing
from evidence.pubmed.replies import fault
from evidence.pubmed.xml_parts import is_pmid

_SCORE = re.compile(r"[0-9]{1,15}")
BATCH = 50  # records a request; ELink works on each of them by itself
# What NLM calls the links (https://eutils.ncbi.nlm.nih.gov/entrez/query/static/entrezlinks.html).
NAMES = {
    "cited-by": "pubmed_pubmed_citedin",
    "references": "pubmed_pubmed_refs",
    "similar": "pubmed_pubmed",
}


@dataclass(frozen=True, slots=True)
class Link:
    """From a record that one starts from to another one."""

    start: str  # PMID
    kind: str  # a key of `NAMES`
    pmid: str
    score: int | None = None  # of similar articles; the higher the more alike


def links(pmids: Iterable[str], eutils: Eutils, *, kind: str) -> tuple[Link, ...]:
    """The links of one kind from each of ``pmids``, in the order in which PubMed gives them.

    Each record is named in a parameter of its own, so that the reply keeps them apart and can be
    checked: a record without a link has an empty answer, and a missing answer is a fault.

    Raises
    ------
    SourceError
        See `Eutils.call`.
    """
    wanted = list(dict.fromkeys(pmids))
    found: list[Link] = []
    for at in range(0, len(wanted), BATCH):
        part = wanted[at : at + BATCH]
        fields: dict[str, str | Sequence[str]] = {
            "dbfrom": "pubmed",
            "db": "pubmed",
            "id": part,
            "linkname": NAMES[kind],
            "cmd": "neighbor_score" if kind == "similar" else "neighbor",
            "retmode": "xml",
        }
        found += eutils.call("elink", fields, partial(_read, asked=part, kind=kind))
        if len(wanted) > BATCH:
            eutils.progress(f"elink: {min(at + BATCH, len(wanted)):,} of {len(wanted):,}")
    return tuple(found)


def _read(body: bytes, asked: Sequence[str], kind: str) -> list[Link]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        raise Passing("a reply of links that is no whole XML") from None
    errors = [" ".join((e.text or "").split()) for e in root.iter("ERROR")]
    if errors := [text for text in errors if text]:
        raise fault("; ".join(errors))
    if root.tag != "eLinkResult":
        raise Passing("a reply without links")
    answers: dict[str, list[Link]] = {}
    for group in root.findall("LinkSet"):
        ids = [(e.text or "").strip() for e in group.findall("IdList/Id")]
        if len(ids) != 1 or ids[0] not in asked:
            raise Passing("a reply of links for other records")
        (start,) = ids
        mine = answers.setdefault(start, [])
        for database in group.findall("LinkSetDb"):
            if database.findtext("LinkName") != NAMES[kind]:
                continue
            for link in database.findall("Link"):
                pmid, score = (link.findtext("Id") or "").strip(), link.findtext("Score")
                if not is_pmid(pmid):
                    raise Passing("a link without a PMID")
                if pmid != start:  # the record itself comes first among those that resemble it
                    number = int(score) if score and _SCORE.fullmatch(score.strip()) else None
                    mine.append(Link(start, kind, pmid, number))
    if missing := [pmid for pmid in asked if pmid not in answers]:
        raise Passing(f"a reply of links that leaves out {len(missing)} of {len(asked)} records")
    return [link for pmid in asked for link in dict.fromkeys(answers[pmid])]
