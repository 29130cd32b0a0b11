"""A citation of PubMed XML (MedlineCitation and what PubMed adds to it) as a `Record`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from evidence.model import (
    Author,
    Chemical,
    Correction,
    DataBank,
    Heading,
    Journal,
    OtherAbstract,
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


_PMCID = re.compile(r"\bPMC\d+\b")


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
    journal = _journal(printed, by_name(only(outer, "MedlineJournalInfo")))
    pubdate = pub_date(only(issue, "PubDate"))
    electronic = next(filter(None, (day(d) for d in inner.get("ArticleDate", ()))), None)
    kinds = terms(within(inner, "PublicationTypeList", "PublicationType"))
    kind_names = tuple(kind.name for kind in kinds)
    languages = texts(inner.get("Language", ()))
    headings = tuple(_heading(h) for h in within(outer, "MeshHeadingList", "MeshHeading"))
    keywords = keyword_list(outer)
    ids, locations = article_ids(only(added, "ArticleIdList")), locations_of(inner)
    rare = rare_parts(outer)
    return Record(
        pmid=pmid,
        title=text(only(inner, "ArticleTitle")),
        abstract=labelled(sections),
        authors=names(authors),
        year=year_of(pubdate, electronic),
        journal=journal.title or journal.iso or journal.medline,
        doi=doi_of(ids, locations),
        pmcid=pmcid_of(ids, rare.other_ids),
        mesh=tuple(heading.text for heading in headings),
        kinds=kind_names,
        keywords=tuple(keyword.text for keyword in keywords),
        language=", ".join(languages),
        status=citation.get("Status", ""),
        version=version(only(outer, "PMID")) or 1,
        retracted=is_retracted(kind_names, rare.notices),
        notices=rare.notices,
        revised=day(only(outer, "DateRevised")),
        vernacular_title=first(inner, "VernacularTitle"),
        sections=sections,
        copyright=copyright,
        other_abstracts=rare.other_abstracts,
        people=authors,
        people_complete=attribute(author_list, "CompleteYN") != "N",
        investigators=rare.investigators,
        periodical=journal,
        volume=first(issue, "Volume"),
        issue=first(issue, "Issue"),
        pages=pages_of(by_name(only(inner, "Pagination"))),
        medium=attribute(only(printed, "JournalIssue"), "CitedMedium"),
        model=body.get("PubModel", ""),
        pubdate=pubdate,
        electronic=electronic,
        created=day(only(outer, "DateCreated")),
        completed=day(only(outer, "DateCompleted")),
        history=history_of(added),
        publication_status=first(added, "PublicationStatus"),
        headings=headings,
        supplementary=rare.supplementary,
        chemicals=_chemicals(within(outer, "ChemicalList", "Chemical")),
        publication_types=kinds,
        keyword_list=keywords,
        genes=rare.genes,
        grants=grants_of(inner),
        grants_complete=attribute(only(inner, "GrantList"), "CompleteYN") != "N",
        # The DTD does not have them outside of the article, but files do.
        databanks=databanks_of(inner) + databanks_of(outer),
        subjects=rare.subjects,
        ids=ids,
        locations=locations,
        other_ids=rare.other_ids,
        languages=languages,
        owner=citation.get("Owner", "NLM"),
        indexing=citation.get("IndexingMethod", ""),
        version_date=citation.get("VersionDate", ""),
        subsets=texts(outer.get("CitationSubset", ())),
        corrections=rare.corrections,
        references=references_of(added),
        references_stated=number(first(outer, "NumberOfReferences")),
        conflict_of_interest=first(outer, "CoiStatement"),
        notes=rare.notes,
        missions=rare.missions,
        objects=objects_of(added),
    )


class Rare(NamedTuple):
    """What few citations have."""

    corrections: tuple[Correction, ...] = ()
    notices: tuple[str, ...] = ()
    other_ids: tuple[tuple[str, str], ...] = ()
    other_abstracts: tuple[OtherAbstract, ...] = ()
    investigators: tuple[Author, ...] = ()
    supplementary: tuple[Term, ...] = ()
    genes: tuple[str, ...] = ()
    subjects: tuple[Author, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    missions: tuple[str, ...] = ()


def rare_parts(outer: Children) -> Rare:
    """From the children of a MedlineCitation."""
    corrections = _corrections(outer)
    return Rare(
        corrections,
        notices_of(corrections),
        other_ids=tuple(
            (e.get("Source", ""), t) for e in outer.get("OtherID", ()) if (t := text(e))
        ),
        other_abstracts=tuple(_other_abstract(e) for e in outer.get("OtherAbstract", ())),
        investigators=people(within(outer, "InvestigatorList", "Investigator")),
        supplementary=terms(within(outer, "SupplMeshList", "SupplMeshName")),
        genes=texts(within(outer, "GeneSymbolList", "GeneSymbol")),
        subjects=people(within(outer, "PersonalNameSubjectList", "PersonalNameSubject")),
        notes=tuple(
            (e.get("Owner", "NLM"), t) for e in outer.get("GeneralNote", ()) if (t := text(e))
        ),
        missions=texts(outer.get("SpaceFlightMission", ())),
    )


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


def databanks_of(parts: Children) -> tuple[DataBank, ...]:
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


def pmcid_of(ids: Iterable[tuple[str, str]], other: Iterable[tuple[str, str]]) -> str | None:
    """The article's number in PMC; in files of MEDLINE alone it is among the other ids."""
    elsewhere = []
    for kind, known in ids:
        if kind == "pmc":
            return known
        if kind == "pmcid":
            elsewhere.append((kind, known))
    for _, known in (*elsewhere, *other):
        if match := _PMCID.search(known):
            return match.group()
    return None
