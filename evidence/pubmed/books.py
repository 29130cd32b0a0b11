"""A book of NCBI's Bookshelf, or a chapter of one, as a `Record`."""

from __future__ import annotations

from collections.abc import Iterable

from evidence.model import Author, Book, Record, labelled
from evidence.pubmed.people import names, people
from evidence.pubmed.xml_dates import day, pub_date, year_of
from evidence.pubmed.xml_parts import (
    Children,
    abstract,
    article_ids,
    doi_of,
    grants_of,
    history_of,
    is_retracted,
    keyword_list,
    locations_of,
    objects_of,
    only,
    own_pmid,
    pages_of,
    references_of,
    terms,
    version,
    within,
)
from evidence.pubmed.xml_text import Element, by_name, first, text, texts


def book_record(document: Element, data: Element | None) -> Record:
    """A record from its BookDocument and, where there is one, its PubmedBookData.

    A chapter has the book's title in place of the journal's, a whole book the collection's or the
    publisher's name.

    Raises
    ------
    ValueError
        If it has no PMID.
    """
    parts, added = by_name(document), by_name(data)
    pmid = own_pmid(parts)
    inner = by_name(only(parts, "Book"))
    own_ids = article_ids(only(parts, "ArticleIdList"))
    ids = tuple(dict.fromkeys((*own_ids, *article_ids(only(added, "ArticleIdList")))))
    locations = locations_of(parts)
    book = _book(parts, inner, own_ids)
    chapter = text(only(parts, "ArticleTitle"))
    vernacular = first(parts, "VernacularTitle")
    is_chapter = bool(chapter or vernacular)
    authors = _listed(parts, editors=False) or (() if is_chapter else book.authors)
    sections, copyright = abstract(only(parts, "Abstract"))
    kinds = terms(parts.get("PublicationType", ()))
    kind_names = tuple(k.name for k in kinds)
    keywords = keyword_list(parts)
    languages = texts(parts.get("Language", ()))
    return Record(
        pmid=pmid,
        title=chapter if is_chapter else book.title,
        abstract=labelled(sections),
        authors=names(authors),
        year=year_of(book.pubdate, book.contributed),
        journal=book.title if is_chapter else book.collection or book.publisher,
        doi=doi_of(ids, locations) or (None if is_chapter else doi_of((), book.locations)),
        pmcid=next((t for kind, t in ids if kind == "pmc"), None),
        mesh=(),
        kinds=kind_names,
        keywords=tuple(k.text for k in keywords),
        language=", ".join(languages),
        status="",
        version=version(only(parts, "PMID")) or 1,
        retracted=is_retracted(kind_names, ()),
        notices=(),
        revised=day(only(parts, "DateRevised")),
        vernacular_title=vernacular,
        sections=sections,
        copyright=copyright,
        people=authors,
        people_complete=all(a.get("CompleteYN") != "N" for a in parts.get("AuthorList", ())),
        investigators=people(within(parts, "InvestigatorList", "Investigator")),
        pages=pages_of(by_name(only(parts, "Pagination"))),
        volume=book.volume,
        pubdate=book.pubdate,
        history=history_of(added),
        publication_status=first(added, "PublicationStatus"),
        publication_types=kinds,
        keyword_list=keywords,
        grants=grants_of(parts),
        ids=ids,
        locations=locations,
        languages=languages,
        references=references_of(parts),
        objects=objects_of(added),
        book=book,
    )


def _book(parts: Children, inner: Children, ids: Iterable[tuple[str, str]]) -> Book:
    publisher = by_name(only(inner, "Publisher"))
    contents = only(parts, "Sections")
    return Book(
        title=first(inner, "BookTitle"),
        accession=next((t for kind, t in ids if kind == "bookaccession"), ""),
        publisher=first(publisher, "PublisherName"),
        place=first(publisher, "PublisherLocation"),
        collection=first(inner, "CollectionTitle"),
        volume=first(inner, "Volume"),
        volume_title=first(inner, "VolumeTitle"),
        edition=first(inner, "Edition"),
        medium=first(inner, "Medium"),
        report=first(inner, "ReportNumber"),
        isbns=texts(inner.get("Isbn", ())),
        locations=locations_of(inner),
        pubdate=pub_date(only(inner, "PubDate")),
        beginning=pub_date(only(inner, "BeginningDate")),
        ending=pub_date(only(inner, "EndingDate")),
        contributed=pub_date(only(parts, "ContributionDate")),
        authors=_listed(inner, editors=False),
        editors=_listed(inner, editors=True) + _listed(parts, editors=True),
        labels=tuple((e.get("Type", ""), text(e)) for e in parts.get("LocationLabel", ())),
        contents=() if contents is None else texts(contents.iter("SectionTitle")),
        items=tuple(
            (group.get("ListType", ""), t)
            for group in parts.get("ItemList", ())
            for e in group.findall("Item")
            if (t := text(e))
        ),
    )


def _listed(parts: Children, *, editors: bool) -> tuple[Author, ...]:
    """The people of all lists of one kind; a list that says nothing is of authors."""
    found: tuple[Author, ...] = ()
    for group in parts.get("AuthorList", ()):
        if (group.get("Type") == "editors") == editors:
            found += people(group, start=len(found) + 1)
    return found
