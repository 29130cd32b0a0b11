"""A citation of PubMed XML (MedlineCitation and what PubMed adds to it) as a `Record`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from evidence.model import (
    AbstractSection,
    Author,
    Chemical,
    Cited,
    Correction,
    DataBank,
    Grant,
    Heading,
    HistoryDate,
    Journal,
    Keyword,
    Location,
    OtherAbstract,
    PubDate,
    Qualifier,
    Record,
    Term,
    labelled,
)
from evidence.pubmed.people import names, people
from evidence.pubmed.xml_dates import day, pub_date, year_of
from evidence.pubmed.xml_parts import (
    Children,
    abstract,
    article_ids,
    attribute,
    doi_of,
    grants_of,
    history_of,
    is_retracted,
    keyword_list,
    locations_of,
    number,
    objects_of,
    only,
    own_pmid,
    pages_of,
    references_of,
    terms,
    version,
    within,
)
from evidence.pubmed.xml_text import Element, by_name, first, text, texts, yes

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


def citation_record(citation: Element, data: Element | None) -> Record:
    """A record from its MedlineCitation and, where there is one, its PubmedData.

    Raises
    ------
    ValueError
        If it has no PMID, or nothing about an article.
    """
    outer = by_name(citation)
    pmid = own_pmid(outer)
    body = only(outer, "Article")
    if body is None:
        raise ValueError(f"PMID {pmid} has no Article")
    inner, added = by_name(body), by_name(data)
    printed = by_name(only(inner, "Journal"))
    issue = by_name(only(printed, "JournalIssue"))
    author_list = only(inner, "AuthorList")
    authors = people(author_list if author_list is not None else ())
    if (place := first(inner, "Affiliation")) and authors and not authors[0].affiliations:
        # To 2013 there was one, of the first author.
        authors = (authors[0]._replace(affiliations=(place,)), *authors[1:])
    sections, copyright = abstract(only(inner, "Abstract"))
    headings = tuple(_heading(h) for h in within(outer, "MeshHeadingList", "MeshHeading"))
    return assemble(
        outer,
        inner,
        added,
        pmid=pmid,
        version=version(only(outer, "PMID")) or 1,
        attributes=dict(citation.attrib),
        created=day(only(outer, "DateCreated")),
        completed=day(only(outer, "DateCompleted")),
        revised=day(only(outer, "DateRevised")),
        model=body.get("PubModel", ""),
        journal=_journal(printed, by_name(only(outer, "MedlineJournalInfo"))),
        medium=attribute(only(printed, "JournalIssue"), "CitedMedium"),
        volume=first(issue, "Volume"),
        issue=first(issue, "Issue"),
        pubdate=pub_date(only(issue, "PubDate")),
        title=text(only(inner, "ArticleTitle")),
        vernacular_title=first(inner, "VernacularTitle"),
        pages=pages_of(by_name(only(inner, "Pagination"))),
        locations=locations_of(inner),
        sections=sections,
        copyright=copyright,
        authors=authors,
        author_names=names(authors),
        authors_complete=attribute(author_list, "CompleteYN") != "N",
        languages=texts(inner.get("Language", ())),
        grants=grants_of(inner),
        grants_complete=attribute(only(inner, "GrantList"), "CompleteYN") != "N",
        kinds=terms(within(inner, "PublicationTypeList", "PublicationType")),
        electronic=next(filter(None, (day(d) for d in inner.get("ArticleDate", ()))), None),
        chemicals=_chemicals(within(outer, "ChemicalList", "Chemical")),
        subsets=texts(outer.get("CitationSubset", ())),
        headings=headings,
        mesh=tuple(h.text for h in headings),
        references_stated=number(first(outer, "NumberOfReferences")),
        keywords=keyword_list(outer),
        conflict_of_interest=first(outer, "CoiStatement"),
        history=history_of(added),
        publication_status=first(added, "PublicationStatus"),
        ids=article_ids(only(added, "ArticleIdList")),
        references=references_of(added),
    )


def assemble(
    outer: Children,
    inner: Children,
    added: Children,
    *,
    pmid: str,
    version: int,
    attributes: Mapping[str, str],
    created: str | None,
    completed: str | None,
    revised: str | None,
    model: str,
    journal: Journal,
    medium: str,
    volume: str,
    issue: str,
    pubdate: PubDate | None,
    title: str,
    vernacular_title: str,
    pages: str,
    locations: tuple[Location, ...],
    sections: tuple[AbstractSection, ...],
    copyright: str,
    authors: tuple[Author, ...],
    author_names: tuple[str, ...],
    authors_complete: bool,
    languages: tuple[str, ...],
    grants: tuple[Grant, ...],
    grants_complete: bool,
    kinds: tuple[Term, ...],
    electronic: str | None,
    chemicals: tuple[Chemical, ...],
    subsets: tuple[str, ...],
    headings: tuple[Heading, ...],
    mesh: tuple[str, ...],
    references_stated: int | None,
    keywords: tuple[Keyword, ...],
    conflict_of_interest: str,
    history: tuple[HistoryDate, ...],
    publication_status: str,
    ids: tuple[tuple[str, str], ...],
    references: tuple[Cited, ...],
) -> Record:
    """The record that these parts make, with all that follows from them.

    Parameters
    ----------
    outer, inner, added : dict of list of Element
        Children of MedlineCitation, Article and PubmedData, of which the rarer ones are read here.
    attributes : mapping
        Those of MedlineCitation.
    """
    rare = _rare(outer) if outer else _NOTHING_RARE
    corrections, notices, other_ids = rare["corrections"], rare["notices"], rare["other_ids"]
    kind_names = tuple([kind.name for kind in kinds])
    return Record.quickly(
        pmid=pmid,
        title=title,
        abstract=labelled(sections),
        authors=author_names,
        year=year_of(pubdate, electronic),
        journal=journal.title or journal.iso or journal.medline,
        doi=doi_of(ids, locations),
        pmcid=_pmcid(ids, other_ids),
        mesh=mesh,
        kinds=kind_names,
        keywords=tuple([keyword.text for keyword in keywords]),
        language=", ".join(languages),
        status=attributes.get("Status", ""),
        version=version,
        retracted=is_retracted(kind_names, notices),
        notices=notices,
        revised=revised,
        vernacular_title=vernacular_title,
        sections=sections,
        copyright=copyright,
        other_abstracts=rare["other_abstracts"],
        people=authors,
        people_complete=authors_complete,
        investigators=rare["investigators"],
        periodical=journal,
        volume=volume,
        issue=issue,
        pages=pages,
        medium=medium,
        model=model,
        pubdate=pubdate,
        electronic=electronic,
        created=created,
        completed=completed,
        history=history,
        publication_status=publication_status,
        headings=headings,
        supplementary=rare["supplementary"],
        chemicals=chemicals,
        publication_types=kinds,
        keyword_list=keywords,
        genes=rare["genes"],
        grants=grants,
        grants_complete=grants_complete,
        databanks=_databanks(inner) + rare["databanks"],
        subjects=rare["subjects"],
        ids=ids,
        locations=locations,
        other_ids=other_ids,
        languages=languages,
        owner=attributes.get("Owner", "NLM"),
        indexing=attributes.get("IndexingMethod", ""),
        version_date=attributes.get("VersionDate", ""),
        subsets=subsets,
        corrections=corrections,
        references=references,
        references_stated=references_stated,
        conflict_of_interest=conflict_of_interest,
        notes=rare["notes"],
        missions=rare["missions"],
        objects=objects_of(added) if added else (),
        book=None,
    )


def _rare(outer: Children) -> dict[str, tuple[Any, ...]]:
    """What few citations have."""
    corrections = _corrections(outer)
    return {
        "corrections": corrections,
        "notices": notices_of(corrections),
        "other_ids": tuple(
            (e.get("Source", ""), t) for e in outer.get("OtherID", ()) if (t := text(e))
        ),
        "other_abstracts": tuple(_other_abstract(e) for e in outer.get("OtherAbstract", ())),
        "investigators": people(within(outer, "InvestigatorList", "Investigator")),
        "supplementary": terms(within(outer, "SupplMeshList", "SupplMeshName")),
        "genes": texts(within(outer, "GeneSymbolList", "GeneSymbol")),
        "subjects": people(within(outer, "PersonalNameSubjectList", "PersonalNameSubject")),
        "notes": tuple(
            (e.get("Owner", "NLM"), t) for e in outer.get("GeneralNote", ()) if (t := text(e))
        ),
        "missions": texts(outer.get("SpaceFlightMission", ())),
        "databanks": _databanks(outer),  # where the DTD does not have them, but files do
    }


def _other_abstract(element: Element) -> OtherAbstract:
    sections, copyright = abstract(element)
    return OtherAbstract(
        element.get("Language", "eng"), element.get("Type", ""), sections, copyright
    )


def _journal(journal: Children, catalogue: Children) -> Journal:
    issn = {e.get("IssnType", ""): t for e in journal.get("ISSN", ()) if (t := text(e))}
    return Journal(
        title=first(journal, "Title"),
        iso=first(journal, "ISOAbbreviation"),
        medline=first(catalogue, "MedlineTA"),
        issn_print=issn.get("Print"),
        issn_electronic=issn.get("Electronic"),
        issn=issn.get("") or issn.get("Undetermined"),
        issn_linking=first(catalogue, "ISSNLinking") or None,
        nlm_id=first(catalogue, "NlmUniqueID", "NLMUniqueID", "MedlineCode"),
        country=first(catalogue, "Country"),
    )


def _heading(element: Element) -> Heading:
    parts = by_name(element)
    descriptor = only(parts, "DescriptorName", "Descriptor")
    qualifiers = [*parts.get("QualifierName", ()), *parts.get("SubHeading", ())]
    return Heading(
        name=text(descriptor),
        ui=attribute(descriptor, "UI"),
        major=attribute(descriptor, "MajorTopicYN") == "Y",
        kind=attribute(descriptor, "Type"),
        qualifiers=tuple(
            Qualifier(text(q), q.get("UI", ""), yes(q, "MajorTopicYN"), auto=q.get("AutoHM") == "Y")
            for q in qualifiers
        ),
        auto=attribute(descriptor, "AutoHM") == "Y",
    )


def _chemicals(elements: Iterable[Element]) -> tuple[Chemical, ...]:
    found = []
    for element in elements:
        parts = by_name(element)
        name = only(parts, "NameOfSubstance")
        registry = first(parts, "RegistryNumber", "CASRegistryNumber")
        found.append(Chemical(text(name), attribute(name, "UI"), registry))
    return tuple(found)


def _databanks(parts: Children) -> tuple[DataBank, ...]:
    found = []
    for element in within(parts, "DataBankList", "DataBank"):
        bank = by_name(element)
        numbers = within(bank, "AccessionNumberList", "AccessionNumber")
        found.append(DataBank(first(bank, "DataBankName"), texts(numbers)))
    return tuple(found)


def _corrections(parts: Children) -> tuple[Correction, ...]:
    """All links to other publications; to 2009 the kind was the name of the element."""
    found = [
        _correction(e, e.get("RefType", ""))
        for e in within(parts, "CommentsCorrectionsList", "CommentsCorrections")
    ]
    found += [_correction(e, e.tag) for old in parts.get("CommentsCorrections", ()) for e in old]
    return tuple(found)


def _correction(element: Element, kind: str) -> Correction:
    parts = by_name(element)
    pmid = only(parts, "PMID")
    return Correction(
        kind,
        first(parts, "RefSource"),
        text(pmid) or None,
        None if pmid is None else version(pmid),
        first(parts, "Note"),
    )


def notices_of(corrections: Iterable[Correction]) -> tuple[str, ...]:
    """ "RetractionIn: Journal. 2020;1:2 (PMID 1)" and the other notices about this article."""
    return tuple(
        f"{c.kind}: {c.source}" + (f" (PMID {c.pmid})" if c.pmid else "")
        for c in corrections
        if c.kind in NOTICES
    )


def _pmcid(ids: Iterable[tuple[str, str]], other: Iterable[tuple[str, str]]) -> str | None:
    """The article's number in PMC; in files of MEDLINE alone it is among the other ids."""
    for kind, known in ids:
        if kind == "pmc":
            return known
    elsewhere = (text for _, text in (*(i for i in ids if i[0] == "pmcid"), *other))
    return next((m.group() for t in elsewhere if (m := re.search(r"\bPMC\d+\b", t))), None)


_NOTHING_RARE = _rare({})
