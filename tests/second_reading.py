"""PubMed XML read once more, in another way: a walk over the whole tree with the standard library.

It shares nothing with the package but the file. Each function answers for one record; paths are
those of NLM's DTD (pubmed_250101.dtd), spaces count as one.
"""

from __future__ import annotations

import gzip
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

RECORDS = {"PubmedArticle", "PubmedBookArticle", "MedlineCitation"}


def records(path: Path) -> Iterator[ET.Element]:
    """The outermost record elements of a file."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    root = ET.fromstring(data)
    if root.tag in RECORDS:
        yield root
    else:
        yield from (child for child in root if child.tag in RECORDS)


def stream(path: Path) -> Iterator[ET.Element]:
    """The same of a large file."""
    with gzip.open(path) as file:
        context = ET.iterparse(file, events=("start", "end"))
        _, root = next(context)
        for event, element in context:
            if event == "end" and element.tag == "PubmedArticle":
                yield element
                root.clear()


def words(element: ET.Element | None) -> str:
    """All text of an element; None gives the empty text."""
    if element is None:
        return ""
    return re.sub(r"[ \t\r\n]+", " ", "".join(element.itertext())).strip(" ")


def citation(record: ET.Element) -> ET.Element:
    found = record if record.tag == "MedlineCitation" else record.find("MedlineCitation")
    return record.find("BookDocument") if found is None else found


def every(record: ET.Element, path: str) -> list[str]:
    return [t for e in citation(record).findall(path) if (t := words(e))]


def own(record: ET.Element, kind: str) -> list[str]:
    """Ids of the article itself."""
    paths = ("PubmedData", "BookDocument", "PubmedBookData")
    lists = [record.find(f"{path}/ArticleIdList") for path in paths]
    return [
        words(e)
        for group in lists
        if group is not None
        for e in group
        if e.get("IdType", "pubmed") == kind and words(e)
    ]


def person(element: ET.Element) -> tuple[str, ...]:
    parts = [words(element.find(n)) for n in ("LastName", "ForeName", "Initials", "Suffix")]
    if not parts[1]:
        given = [words(element.find(n)) for n in ("FirstName", "MiddleName")]
        parts[1] = " ".join(filter(None, given))
    return (*parts, words(element.find("CollectiveName")))


def people(record: ET.Element, path: str) -> list[tuple[str, ...]]:
    return [p for e in citation(record).findall(path) if any(p := person(e))]


def affiliations(record: ET.Element) -> list[list[str]]:
    return [
        [t for a in e.iter("Affiliation") if (t := words(a))]
        for e in citation(record).findall("Article/AuthorList/Author")
        if any(person(e))
    ]


def sections(record: ET.Element) -> list[tuple[str, str, str]]:
    inner = citation(record)
    found = inner.findall("Article/Abstract/AbstractText") + inner.findall("Abstract/AbstractText")
    return [
        (
            re.sub("[ \t\r\n]+", " ", e.get("Label", "")).strip(" "),
            e.get("NlmCategory", ""),
            words(e),
        )
        for e in found
        if words(e)
    ]


def headings(record: ET.Element) -> list[Any]:
    found = []
    for heading in citation(record).iter("MeshHeading"):
        parts = [
            (words(e), e.get("UI", ""), e.get("MajorTopicYN", "N") == "Y")
            for e in heading
            if e.tag in ("DescriptorName", "QualifierName")
        ]
        found.append(parts)
    return found


def corrections(record: ET.Element) -> list[tuple[str, str, str]]:
    return [
        (e.get("RefType", ""), words(e.find("PMID")), words(e.find("RefSource")))
        for e in citation(record).iter("CommentsCorrections")
        if e.get("RefType")
    ]


def cited(record: ET.Element) -> list[tuple[str, list[str]]]:
    return [
        (
            words(e.find("Citation")),
            [words(i) for i in e.iter("ArticleId") if i.get("IdType") == "pubmed" and words(i)],
        )
        for e in record.iter("Reference")
    ]


def day(element: ET.Element | None) -> str | None:
    if element is None:
        return None
    year, month, day = (words(element.find(n)) for n in ("Year", "Month", "Day"))
    return f"{year}-{int(month):02d}-{int(day):02d}"


def history(record: ET.Element) -> list[tuple[str, str]]:
    found = []
    for element in record.iter("PubMedPubDate"):
        found.append((element.get("PubStatus", ""), day(element) or ""))
    return found


def year(record: ET.Element) -> str:
    """The first four-digit number of the date of publication."""
    inner = citation(record)
    for path in ("Article/Journal/JournalIssue/PubDate", "Article/ArticleDate", "Book/PubDate"):
        for part in ("Year", "MedlineDate"):
            element = inner.find(f"{path}/{part}")
            if element is not None and (match := re.search(r"\d{4}", words(element))):
                return match.group()
    return ""


# A field of `Record` as plain values, beside this reading of it.
FIELDS: dict[str, tuple[Callable[[Any], Any], Callable[[ET.Element], Any]]] = {
    "pmid": (lambda r: r.pmid, lambda e: words(citation(e).find("PMID"))),
    "version": (lambda r: str(r.version), lambda e: citation(e).find("PMID").get("Version", "1")),
    "status": (lambda r: r.status, lambda e: citation(e).get("Status", "")),
    "indexing": (lambda r: r.indexing, lambda e: citation(e).get("IndexingMethod", "")),
    "sections": (lambda r: [(s.label, s.category, s.text) for s in r.sections], sections),
    "vernacular title": (
        lambda r: r.vernacular_title,
        lambda e: "".join(every(e, "Article/VernacularTitle")[:1]),
    ),
    "people": (lambda r: [tuple(p[:5]) for p in r.people], lambda e: authors(e)),
    "investigators": (
        lambda r: [tuple(p[:5]) for p in r.investigators],
        lambda e: people(e, "InvestigatorList/Investigator"),
    ),
    "subjects": (
        lambda r: [tuple(p[:5]) for p in r.subjects],
        lambda e: people(e, "PersonalNameSubjectList/PersonalNameSubject"),
    ),
    "kinds": (
        lambda r: list(r.kinds),
        lambda e: every(e, "Article/PublicationTypeList/*") + every(e, "PublicationType"),
    ),
    "languages": (
        lambda r: list(r.languages),
        lambda e: every(e, "Article/Language") + every(e, "Language"),
    ),
    "mesh": (
        lambda r: [[(p.name, p.ui, p.major) for p in (h, *h.qualifiers)] for h in r.headings],
        headings,
    ),
    "supplementary": (
        lambda r: [(t.name, t.ui, t.kind) for t in r.supplementary],
        lambda e: [(words(s), s.get("UI"), s.get("Type")) for s in e.iter("SupplMeshName")],
    ),
    "chemicals": (
        lambda r: [(c.registry, c.ui, c.name) for c in r.chemicals],
        lambda e: [
            (words(c[0]), c[1].get("UI", ""), words(c[1])) for c in citation(e).iter("Chemical")
        ],
    ),
    "keywords": (
        lambda r: [(k.text, k.major) for k in r.keyword_list],
        lambda e: [(words(k), k.get("MajorTopicYN") == "Y") for k in e.iter("Keyword") if words(k)],
    ),
    "grants": (
        lambda r: [tuple(g) for g in r.grants],
        lambda e: [
            tuple(words(g.find(n)) for n in ("GrantID", "Acronym", "Agency", "Country"))
            for g in e.iter("Grant")
        ],
    ),
    "databanks": (
        lambda r: [(d.name, list(d.accessions)) for d in r.databanks],
        lambda e: [
            (words(d.find("DataBankName")), [words(a) for a in d.iter("AccessionNumber")])
            for d in e.iter("DataBank")
        ],
    ),
    "corrections": (
        lambda r: [(c.kind, c.pmid or "", c.source) for c in r.corrections],
        corrections,
    ),
    "references": (
        lambda r: [(c.citation, [c.pmid] if c.pmid else []) for c in r.references],
        lambda e: [(text, ids[:1]) for text, ids in cited(e)],
    ),
    "other abstracts": (
        lambda r: [(a.language, a.kind, [s.text for s in a.sections]) for a in r.other_abstracts],
        lambda e: [
            (
                a.get("Language", "eng"),
                a.get("Type"),
                [t for s in a.iter("AbstractText") if (t := words(s))],
            )
            for a in citation(e).findall("OtherAbstract")
        ],
    ),
    "conflict of interest": (
        lambda r: r.conflict_of_interest,
        lambda e: "".join(every(e, "CoiStatement")),
    ),
    "pages": (
        lambda r: r.pages,
        lambda e: words(next(e.iter("MedlinePgn"), None)),
    ),
    "issue": (
        lambda r: (r.volume, r.issue),
        lambda e: (
            words(citation(e).find("Article/Journal/JournalIssue/Volume")),
            words(citation(e).find("Article/Journal/JournalIssue/Issue")),
        ),
    ),
    "journal": (
        lambda r: (
            [r.periodical.title, r.periodical.iso, r.periodical.medline, r.periodical.nlm_id]
            if r.periodical
            else None
        ),
        lambda e: (
            [
                words(citation(e).find("Article/Journal/Title")),
                words(citation(e).find("Article/Journal/ISOAbbreviation")),
                words(citation(e).find("MedlineJournalInfo/MedlineTA")),
                words(citation(e).find("MedlineJournalInfo/NlmUniqueID")),
            ]
            if citation(e).tag == "MedlineCitation"
            else None
        ),
    ),
    "subsets": (lambda r: list(r.subsets), lambda e: every(e, "CitationSubset")),
    "ids": (
        lambda r: [text for kind, text in r.ids if kind in ("pubmed", "doi", "pii", "pmc")],
        lambda e: [t for group in own_lists(e) for t in group],
    ),
    "PMC": (lambda r: r.pmcid or "", lambda e: "".join((own(e, "pmc") or other_pmc(e))[:1])),
    "history": (lambda r: [(h.event, h.date) for h in r.history], history),
    "completed": (lambda r: r.completed, lambda e: day(citation(e).find("DateCompleted"))),
    "revised": (lambda r: r.revised, lambda e: day(citation(e).find("DateRevised"))),
    "year": (lambda r: str(r.year or ""), year),
}


def other_pmc(record: ET.Element) -> list[str]:
    return [m.group() for t in every(record, "OtherID") if (m := re.match(r"PMC\d+", t))]


def own_lists(record: ET.Element) -> Iterator[list[str]]:
    for path in ("BookDocument", "PubmedData", "PubmedBookData"):
        found = record.find(f"{path}/ArticleIdList")
        if found is not None:
            kinds = ("pubmed", "doi", "pii", "pmc")
            yield [words(e) for e in found if e.get("IdType", "pubmed") in kinds and words(e)]


def authors(record: ET.Element) -> list[tuple[str, ...]]:
    inner = citation(record)
    if inner.tag == "MedlineCitation":
        return people(record, "Article/AuthorList/Author")
    found = [
        person(a)
        for group in inner.findall("AuthorList")
        if group.get("Type") != "editors"
        for a in group
    ]
    if not found and inner.find("ArticleTitle") is None:
        found = [
            person(a)
            for group in inner.findall("Book/AuthorList")
            if group.get("Type") != "editors"
            for a in group
        ]
    return found
