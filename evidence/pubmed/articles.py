"""PubMed XML to `Record`: inline markup flattened, no network, no DTD, no entities."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from lxml import etree

from evidence.model import Record

Element = Any  # lxml brings no types

ARTICLES = ("PubmedArticle", "PubmedBookArticle", "MedlineCitation")
NOTICES = (
    "RetractionIn",
    "RetractionOf",
    "PartialRetractionIn",
    "ExpressionOfConcernIn",
    "ErratumIn",
    "UpdateIn",
    "CorrectedandRepublishedIn",
    "RetractedandRepublishedIn",
    "RepublishedIn",
)
_CONTROL = bytes([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20)])  # not allowed in XML 1.0
_SPACE = re.compile(r"[ \t\r\n]+")  # other spaces, such as U+00A0, are part of the text
_YEAR = re.compile(r"(?<!\d)(1[5-9]|20)\d\d(?!\d)")
_SAFE: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": True,
    "remove_comments": True,
    "remove_pis": True,
}


@dataclass(frozen=True, slots=True)
class Refused:
    """An article that could not be read: its place in the file, counted from 1, and why."""

    number: int
    why: str


def parse_articles(xml: bytes) -> tuple[list[Record], list[Refused]]:
    """All articles and book articles of a document.

    Characters that XML forbids are dropped before parsing.

    Parameters
    ----------
    xml : bytes
        A ``PubmedArticleSet`` as EFetch sends it; an old ``MedlineCitationSet``, a book set or a
        single article is understood too.

    Raises
    ------
    ValueError
        If the document is not well-formed.
    """
    try:
        root = etree.fromstring(xml.translate(None, _CONTROL), etree.XMLParser(**_SAFE))
    except etree.XMLSyntaxError as fault:
        raise ValueError(f"not well-formed: {fault}") from None
    articles = [root] if root.tag in ARTICLES else [e for e in root if e.tag in ARTICLES]
    records: list[Record] = []
    refused: list[Refused] = []
    for number, article in enumerate(articles, 1):
        _sort_in(_read(article, number), records, refused)
    return records, refused


def stream_articles(file: BinaryIO) -> Iterator[Record | Refused]:
    """The articles of a large file one by one, in little memory.

    Raises
    ------
    ValueError
        If the document is not well-formed; what came before has been given.
    """
    number = 0
    try:
        for _, element in etree.iterparse(file, events=("end",), tag=ARTICLES, **_SAFE):
            parent = element.getparent()
            if parent is not None and parent.tag in ARTICLES:
                continue  # the citation within an article: its article follows
            number += 1
            yield _read(element, number)
            element.clear()
            while element.getprevious() is not None:
                del parent[0]
    except etree.XMLSyntaxError as fault:
        raise ValueError(f"not well-formed: {fault}") from None


def _sort_in(answer: Record | Refused, records: list[Record], refused: list[Refused]) -> None:
    if isinstance(answer, Record):
        records.append(answer)
    else:
        refused.append(answer)


def _read(article: Element, number: int) -> Record | Refused:
    book = article.find("BookDocument")
    if book is not None:
        return _book(article, book, number)
    citation = article if article.tag == "MedlineCitation" else article.find("MedlineCitation")
    if citation is None:
        return Refused(number, "no MedlineCitation")
    return _citation(article, citation, number)


def _citation(article: Element, citation: Element, number: int) -> Record | Refused:
    pmid = _text(citation.find("PMID"))
    if not pmid.isdigit():
        return Refused(number, f"PMID {pmid!r}" if pmid else "no PMID")
    body = citation.find("Article")
    if body is None:
        return Refused(number, f"PMID {pmid} has no Article")
    # Only the article's own list: a search in depth would pick up the ids of its references.
    ids = article.find("PubmedData/ArticleIdList")
    title = _text(body.find("ArticleTitle"))
    if title in ("", "[Not Available].", "[Not Available]"):
        title = _text(body.find("VernacularTitle")) or title
    kinds = _texts(body.findall("PublicationTypeList/PublicationType"))
    notices = _notices(citation)
    journal = body.find("Journal")
    return Record(
        pmid=pmid,
        title=title,
        abstract=_abstract(body.find("Abstract")),
        authors=_authors(body.find("AuthorList")),
        year=_year(body, "Journal/JournalIssue/PubDate", "ArticleDate"),
        journal=(
            _text(journal.find("Title")) or _text(journal.find("ISOAbbreviation"))
            if journal is not None
            else ""
        )
        or _text(citation.find("MedlineJournalInfo/MedlineTA")),
        doi=_article_id(ids, "doi") or _doi_elsewhere(body),
        pmcid=_article_id(ids, "pmc") or _pmc_elsewhere(citation),
        mesh=tuple(_heading(h) for h in citation.findall("MeshHeadingList/MeshHeading")),
        kinds=kinds,
        keywords=_texts(citation.findall("KeywordList/Keyword")),
        language=", ".join(_texts(body.findall("Language"))),
        status=citation.get("Status", ""),
        version=_version(citation.find("PMID")),
        retracted=is_retracted(kinds, notices),
        notices=notices,
        revised=_day(citation.find("DateRevised")),
    )


def _book(article: Element, document: Element, number: int) -> Record | Refused:
    """A book, or a chapter of one: then the book's title stands in place of the journal."""
    pmid = _text(document.find("PMID"))
    if not pmid.isdigit():
        return Refused(number, f"PMID {pmid!r}" if pmid else "no PMID")
    book_title = _text(document.find("Book/BookTitle"))
    chapter = _text(document.find("ArticleTitle")) or _text(document.find("VernacularTitle"))
    authors = [a for a in document.findall("AuthorList") if a.get("Type") != "editors"]
    if not authors and not chapter:
        authors = document.findall("Book/AuthorList")
    kinds = _texts(document.findall("PublicationType"))
    ids = document.find("ArticleIdList")
    outer_ids = article.find("PubmedBookData/ArticleIdList")
    host = _text(document.find("Book/CollectionTitle")) or _text(
        document.find("Book/Publisher/PublisherName")
    )
    return Record(
        pmid=pmid,
        title=chapter or book_title,
        abstract=_abstract(document.find("Abstract")),
        authors=tuple(name for group in authors for name in _authors(group)),
        year=_year(document, "Book/PubDate", "ContributionDate"),
        journal=book_title if chapter else host,
        doi=_article_id(ids, "doi")
        or _article_id(outer_ids, "doi")
        or _doi_elsewhere(document)
        or (None if chapter else _doi_elsewhere(document.find("Book"))),
        pmcid=_article_id(ids, "pmc") or _article_id(outer_ids, "pmc"),
        mesh=(),
        kinds=kinds,
        keywords=_texts(document.findall("KeywordList/Keyword")),
        language=", ".join(_texts(document.findall("Language"))),
        status="",
        version=_version(document.find("PMID")),
        retracted=is_retracted(kinds, ()),
        notices=(),
        revised=_day(document.find("DateRevised")),
    )


def is_retracted(kinds: tuple[str, ...], notices: tuple[str, ...]) -> bool:
    """Whether the record says that its article was withdrawn."""
    return "Retracted Publication" in kinds or any(n.startswith("RetractionIn:") for n in notices)


def _text(element: Element | None) -> str:
    if element is None:
        return ""
    raw = "".join(element.itertext()) if len(element) else element.text or ""
    return _SPACE.sub(" ", raw).strip()


def _texts(elements: list[Element]) -> tuple[str, ...]:
    return tuple(text for element in elements if (text := _text(element)))


def _abstract(abstract: Element | None) -> str:
    """Sections on lines of their own, each as "LABEL: text"."""
    if abstract is None:
        return ""
    sections = []
    for section in abstract.findall("AbstractText"):
        if text := _text(section):
            label = section.get("Label", "").strip()
            sections.append(f"{label}: {text}" if label else text)
    return "\n".join(sections)


def _authors(group: Element | None) -> tuple[str, ...]:
    """ "Family Initials Suffix", or the name of a group; withdrawn spellings are left out."""
    if group is None:
        return ()
    names = []
    for author in group.findall("Author"):
        if author.get("ValidYN") == "N":
            continue
        if family := _text(author.find("LastName")):
            given = _text(author.find("Initials")) or _text(author.find("ForeName"))
            names.append(" ".join(filter(None, (family, given, _text(author.find("Suffix"))))))
        elif name := _text(author.find("CollectiveName")) or _text(author.find("ForeName")):
            names.append(name)
    return tuple(names)


def _year(parent: Element, *paths: str) -> int | None:
    """The first year found; "1998 Dec-1999 Jan" in a MedlineDate counts as 1998."""
    for path in paths:
        if (date := parent.find(path)) is None:
            continue
        for text in (_text(date.find("Year")), _text(date.find("MedlineDate"))):
            if match := _YEAR.search(text):
                return int(match.group())
    return None


def _day(date: Element | None) -> str | None:
    if date is None:
        return None
    parts = [_text(date.find(name)) for name in ("Year", "Month", "Day")]
    if not all(part.isdigit() for part in parts):
        return None
    return f"{int(parts[0]):04d}-{int(parts[1]):02d}-{int(parts[2]):02d}"


def _article_id(ids: Element | None, kind: str) -> str | None:
    if ids is None:
        return None
    return next(
        (t for i in ids.findall("ArticleId") if i.get("IdType") == kind and (t := _text(i))), None
    )


def _doi_elsewhere(parent: Element | None) -> str | None:
    if parent is None:
        return None
    for location in parent.findall("ELocationID"):
        if location.get("EIdType") == "doi" and location.get("ValidYN") != "N":
            return _text(location) or None
    return None


def _pmc_elsewhere(citation: Element) -> str | None:
    texts = _texts(citation.findall("OtherID"))
    return next((text for text in texts if re.fullmatch(r"PMC\d+", text)), None)


def _heading(heading: Element) -> str:
    """ "Descriptor/qualifier/*qualifier", as in NLM's MEDLINE format; * marks a major topic."""
    parts = [heading.find("DescriptorName"), *heading.findall("QualifierName")]
    return "/".join(
        ("*" if part.get("MajorTopicYN") == "Y" else "") + _text(part)
        for part in parts
        if part is not None
    )


def _version(pmid: Element) -> int:
    text = pmid.get("Version", "1")
    return int(text) if text.isdigit() else 1


def _notices(citation: Element) -> tuple[str, ...]:
    """ "RetractionIn: Journal. 2020;1:2 (PMID 1)" and the other notices about this article."""
    found = []
    for notice in citation.findall("CommentsCorrectionsList/CommentsCorrections"):
        kind = notice.get("RefType", "")
        if kind in NOTICES:
            pmid = _text(notice.find("PMID"))
            where = _text(notice.find("RefSource"))
            found.append(f"{kind}: {where}" + (f" (PMID {pmid})" if pmid else ""))
    return tuple(found)
