"""PubMed XML read once more, in another way: paths of NLM's DTD, with the standard library alone.

It shares nothing with the package but the file, and answers every key of a line of
``evidence records --jsonl``. What each element means is taken from NLM's "MEDLINE/PubMed XML
element descriptions and their attributes" and the DTD of 2025; names of elements of older DTDs
stand beside those of today. Spaces and line ends count as one space, other spaces as themselves.
"""

from __future__ import annotations

import calendar
import gzip
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RECORDS = {"PubmedArticle", "PubMedArticle", "PubmedBookArticle", "MedlineCitation"}
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
NOTICES = {
    "RetractionIn",
    "RetractionOf",
    "PartialRetractionIn",
    "ExpressionOfConcernIn",
    "ErratumIn",
    "UpdateIn",
    "CorrectedandRepublishedIn",
    "RetractedandRepublishedIn",
    "RepublishedIn",
}

Lookup = ET.Element | None


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


# --- texts and dates -------------------------------------------------------------------------


def words(element: Lookup) -> str:
    """All text of an element; None gives the empty text."""
    if element is None:
        return ""
    return re.sub(r"[ \t\r\n]+", " ", "".join(element.itertext())).strip(" ")


def said(element: Lookup, *paths: str) -> str:
    """The first text along the paths that is not empty."""
    if element is None:
        return ""
    return next((t for path in paths for e in element.findall(path) if (t := words(e))), "")


def every(element: Lookup, path: str) -> list[str]:
    return [] if element is None else [t for e in element.findall(path) if (t := words(e))]


def found(element: Lookup, path: str) -> list[ET.Element]:
    return [] if element is None else element.findall(path)


def at(element: Lookup, path: str) -> Lookup:
    return None if element is None else element.find(path)


def marked(element: Lookup, name: str, default: str = "") -> str:
    return default if element is None else element.get(name, default)


def number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,9}", text) else None


def day(element: Lookup) -> str | None:
    """A whole day, or as much as the calendar has of it."""
    year, month, of_month = (said(element, name) for name in ("Year", "Month", "Day"))
    if not re.fullmatch(r"\d{4}", year):
        return None
    count = int(month) if month.isdigit() else numbered(month)
    if count is None or not 1 <= count <= 12:
        return year
    last = calendar.monthrange(int(year), count)[1]
    if not of_month.isdigit() or not 1 <= int(of_month) <= last:
        return f"{year}-{count:02d}"
    return f"{year}-{count:02d}-{int(of_month):02d}"


def numbered(month: str) -> int | None:
    return MONTHS.index(month[:3].title()) + 1 if month[:3].title() in MONTHS else None


def whole_day(element: Lookup) -> str | None:
    date = day(element)
    return date if date and len(date) == 10 else None


def issue_date(element: Lookup) -> list[Any] | None:
    """Text, first and last day, season. Of a date in words only the first year is read here."""
    stated = said(element, "MedlineDate")
    year, month, of_month = (said(element, name) for name in ("Year", "Month", "Day"))
    season = said(element, "Season")
    if stated and not year:
        return [stated, (re.findall(r"(?<!\d)\d{4}(?!\d)", stated) or [None])[0]]
    if not (year or month or of_month or season):
        return None
    count = int(month) if month.isdigit() else numbered(month)
    shown = MONTHS[count - 1] if count else month
    text = " ".join(filter(None, (year, shown, season, of_month.lstrip("0"))))
    return [text, day(element), day(element), season]


# --- parts -----------------------------------------------------------------------------------


def sections(element: Lookup) -> list[dict[str, str]]:
    return [
        {
            "text": words(e),
            "label": re.sub("[ \t\r\n]+", " ", e.get("Label", "")).strip(" "),
            "category": e.get("NlmCategory", ""),
        }
        for e in found(element, "AbstractText")
        if words(e)
    ]


def joined(parts: list[dict[str, str]]) -> str:
    return "\n".join(f"{p['label']}: {p['text']}" if p["label"] else p["text"] for p in parts)


def pairs(elements: list[ET.Element], attribute: str, default: str = "") -> list[list[str]]:
    return [[e.get(attribute, default), words(e)] for e in elements if words(e)]


def person(element: ET.Element) -> dict[str, Any]:
    given = " ".join(filter(None, (said(element, "FirstName"), said(element, "MiddleName"))))
    known = pairs(found(element, "Identifier") + found(element, "NameID"), "Source")
    digits = [re.sub(r"\W", "", text.rpartition("/")[2]) for kind, text in known if kind == "ORCID"]
    whole = [d.upper() for d in digits if re.fullmatch(r"\d{15}[\dXx]", d)]
    places = every(element, "AffiliationInfo/Affiliation") + every(element, "Affiliation")
    return {
        "last": said(element, "LastName"),
        "fore": said(element, "ForeName") or given,
        "initials": said(element, "Initials"),
        "suffix": said(element, "Suffix"),
        "collective": said(element, "CollectiveName"),
        "orcid": "-".join(re.findall("....", whole[0])) if whole else None,
        "affiliations": places,
        "equal": element.get("EqualContrib") == "Y",
        "valid": element.get("ValidYN") != "N",
        "position": 0,
        "identifiers": known,
        "affiliation_ids": pairs(found(element, "AffiliationInfo/Identifier"), "Source"),
    }


def people(elements: list[ET.Element]) -> list[dict[str, Any]]:
    """Those who are named, counted from 1."""
    all_of_them = [p for p in map(person, elements) if p["last"] or p["fore"] or p["collective"]]
    return [p | {"position": n} for n, p in enumerate(all_of_them, 1)]


def name(p: dict[str, Any]) -> str:
    """Family, initials and suffix, as NLM's MEDLINE format has them; or the name of the group."""
    if not p["last"]:
        return p["collective"] or p["fore"]
    return " ".join(filter(None, (p["last"], p["initials"] or p["fore"], p["suffix"])))


def terms(elements: list[ET.Element]) -> list[dict[str, str]]:
    return [
        {"name": words(e), "ui": e.get("UI", ""), "kind": e.get("Type", "")}
        for e in elements
        if words(e)
    ]


def heading(element: ET.Element) -> dict[str, Any]:
    """A descriptor with its qualifiers."""
    named = [
        e
        for e in element
        if e.tag in ("DescriptorName", "QualifierName", "Descriptor", "SubHeading")
    ]
    parts = [
        {
            "name": words(e),
            "ui": e.get("UI", ""),
            "major": e.get("MajorTopicYN") == "Y",
            "auto": e.get("AutoHM") == "Y",
        }
        for e in named
    ]
    return parts[0] | {"kind": named[0].get("Type", ""), "qualifiers": parts[1:]}


def shown(head: dict[str, Any]) -> str:
    return "/".join("*" * p["major"] + p["name"] for p in (head, *head["qualifiers"]))


def keywords(element: Lookup) -> list[dict[str, Any]]:
    return [
        {
            "text": words(e),
            "owner": group.get("Owner", "NLM"),
            "major": e.get("MajorTopicYN") == "Y",
        }
        for group in found(element, "KeywordList")
        for e in group.findall("Keyword")
        if words(e)
    ]


def grants(element: Lookup) -> list[dict[str, str]]:
    return [
        {
            "id": said(e, "GrantID", "ContractNumber"),
            "acronym": said(e, "Acronym"),
            "agency": said(e, "Agency"),
            "country": said(e, "Country"),
        }
        for e in found(element, "GrantList/Grant")
    ]


def banks(element: Lookup) -> list[dict[str, Any]]:
    path = "AccessionNumberList/AccessionNumber"
    return [
        {"name": said(e, "DataBankName"), "accessions": every(e, path)}
        for e in found(element, "DataBankList/DataBank")
    ]


def places(element: Lookup) -> list[dict[str, Any]]:
    return [
        {"kind": e.get("EIdType", ""), "id": words(e), "valid": e.get("ValidYN") != "N"}
        for e in found(element, "ELocationID")
        if words(e)
    ]


def corrections(citation: ET.Element) -> list[dict[str, Any]]:
    """Links to other publications; in DTDs before 2010 the kind was the name of the element."""
    path = "CommentsCorrectionsList/CommentsCorrections"
    links = [(e, e.get("RefType", "")) for e in citation.findall(path)]
    links += [(e, e.tag) for e in citation.findall("CommentsCorrections/*")]
    return [
        {
            "kind": kind,
            "source": said(e, "RefSource"),
            "pmid": words(e.find("PMID")) or None,
            "version": version(e.find("PMID")),
            "note": said(e, "Note"),
        }
        for e, kind in links
    ]


def version(pmid: Lookup) -> int | None:
    return number(marked(pmid, "Version") or marked(pmid, "VersionID"))


def cited(element: Lookup) -> list[dict[str, Any]]:
    """References, of lists within lists too."""
    kinds = {"pmid": ("pubmed",), "doi": ("doi",), "pmcid": ("pmc", "pmcid")}
    answers = []
    for group in found(element, "ReferenceList"):
        for e in group.iter("Reference"):
            ids = [[i.get("IdType", "pubmed"), words(i)] for i in e.iter("ArticleId") if words(i)]
            usual = {}
            for key, names in kinds.items():
                first = next((i for i in ids if i[0] in names), None)
                usual[key] = first[1] if first else None
                ids = [i for i in ids if i is not first]
            answers.append({"citation": said(e, "Citation"), **usual, "ids": ids})
    return answers


def history(data: Lookup) -> list[dict[str, str]]:
    answers = []
    for e in found(data, "History/PubMedPubDate"):
        hour = said(e, "Hour")
        time = f"{int(hour):02d}:{int(said(e, 'Minute') or 0):02d}" if hour else ""
        if day(e):
            answers.append({"event": e.get("PubStatus", ""), "date": day(e), "time": time})
    return answers


def ids_of(element: Lookup) -> list[list[str]]:
    return pairs(found(element, "ArticleIdList/ArticleId"), "IdType", "pubmed")


def objects(data: Lookup) -> list[list[str]]:
    return [
        [e.get("Type", ""), p.get("Name", ""), words(p)]
        for e in found(data, "ObjectList/Object")
        for p in e.findall("Param")
    ]


def pages(element: ET.Element) -> str:
    ends = [said(element, f"Pagination/{part}") for part in ("StartPage", "EndPage")]
    return said(element, "Pagination/MedlinePgn") or "-".join(filter(None, ends))


def first_year(pubdate: list[Any] | None, then: str | None) -> int | None:
    text = (pubdate[1] if pubdate else None) or then
    return int(text[:4]) if text else None


def own_doi(ids: list[Any], locations: list[dict[str, Any]]) -> str | None:
    known = [text for kind, text in ids if kind == "doi"]
    known += [p["id"] for p in locations if p["kind"] == "doi" and p["valid"]]
    return known[0] if known else None


def own_pmc(ids: list[list[str]], others: list[list[str]]) -> str | None:
    """Of the article; files without PubmedData have it among the other ids."""
    known = [text for kind, text in ids if kind == "pmc"]
    elsewhere = [text for kind, text in ids if kind == "pmcid"] + [text for _, text in others]
    known += [m.group() for text in elsewhere if (m := re.search(r"\bPMC\d+\b", text))]
    return known[0] if known else None


def unique(values: list[Any]) -> list[Any]:
    return list(dict.fromkeys(value for value in values if value))


# --- a line ----------------------------------------------------------------------------------


def line(record: ET.Element) -> dict[str, Any]:
    """The record as ``evidence records --jsonl`` must print it."""
    document = record if record.tag == "BookDocument" else record.find("BookDocument")
    return article(record) if document is None else chapter(document, record.find("PubmedBookData"))


def article(record: ET.Element) -> dict[str, Any]:
    citation = record
    if record.tag != "MedlineCitation":
        citation = next(e for e in record if e.tag in ("MedlineCitation", "NCBIArticle"))
    data = next((e for e in record if e.tag in ("PubmedData", "PubMedData")), None)
    body = citation.find("Article")
    issue = body.find("Journal/JournalIssue")
    catalogue = citation.find("MedlineJournalInfo")
    issn = {e.get("IssnType", ""): words(e) for e in body.findall("Journal/ISSN") if words(e)}
    journal = {
        "title": said(body, "Journal/Title"),
        "iso": said(body, "Journal/ISOAbbreviation"),
        "medline": said(catalogue, "MedlineTA"),
        "issn_print": issn.get("Print"),
        "issn_electronic": issn.get("Electronic"),
        "issn": issn.get("", issn.get("Undetermined")),
        "issn_linking": said(catalogue, "ISSNLinking") or None,
        "nlm_id": said(catalogue, "NlmUniqueID", "NLMUniqueID", "MedlineCode"),
        "country": said(catalogue, "Country"),
    }
    authors = people(body.findall("AuthorList/Author"))
    if authors and said(body, "Affiliation") and not authors[0]["affiliations"]:
        authors[0]["affiliations"] = [said(body, "Affiliation")]
    text = sections(body.find("Abstract"))
    electronic = next(filter(None, map(whole_day, body.findall("ArticleDate"))), None)
    pubdate = issue_date(at(issue, "PubDate"))
    kinds = terms(body.findall("PublicationTypeList/PublicationType"))
    headings = [heading(e) for e in citation.findall("MeshHeadingList/MeshHeading")]
    listed = keywords(citation)
    ids, locations = ids_of(data), places(body)
    others = pairs(citation.findall("OtherID"), "Source")
    links = corrections(citation)
    references = cited(data)
    languages = every(body, "Language")
    pmid = citation.find("PMID")
    return {
        "pmid": words(pmid),
        "title": words(body.find("ArticleTitle")),
        "abstract": joined(text),
        "authors": [name(p) for p in authors if p["valid"]],
        "year": first_year(pubdate, electronic),
        "journal": journal["title"] or journal["iso"] or journal["medline"],
        "doi": own_doi(ids, locations),
        "pmcid": own_pmc(ids, others),
        "mesh": [shown(h) for h in headings],
        "kinds": [k["name"] for k in kinds],
        "keywords": [k["text"] for k in listed],
        "language": ", ".join(languages),
        "status": citation.get("Status", ""),
        "version": version(pmid) or 1,
        "retracted": any(k["name"] == "Retracted Publication" for k in kinds)
        or any(c["kind"] == "RetractionIn" for c in links),
        "notices": [
            f"{c['kind']}: {c['source']}" + (f" (PMID {c['pmid']})" if c["pmid"] else "")
            for c in links
            if c["kind"] in NOTICES
        ],
        "revised": whole_day(citation.find("DateRevised")),
        "vernacular_title": said(body, "VernacularTitle"),
        "sections": text,
        "copyright": said(body, "Abstract/CopyrightInformation"),
        "other_abstracts": [
            {
                "language": e.get("Language", "eng"),
                "kind": e.get("Type", ""),
                "sections": sections(e),
                "copyright": said(e, "CopyrightInformation"),
            }
            for e in citation.findall("OtherAbstract")
        ],
        "people": authors,
        "people_complete": marked(body.find("AuthorList"), "CompleteYN") != "N",
        "investigators": people(citation.findall("InvestigatorList/Investigator")),
        "periodical": journal,
        "volume": said(issue, "Volume"),
        "issue": said(issue, "Issue"),
        "pages": pages(body),
        "medium": marked(issue, "CitedMedium"),
        "model": body.get("PubModel", ""),
        "pubdate": pubdate,
        "electronic": electronic,
        "created": whole_day(citation.find("DateCreated")),
        "completed": whole_day(citation.find("DateCompleted")),
        "history": history(data),
        "publication_status": said(data, "PublicationStatus"),
        "headings": headings,
        "supplementary": terms(citation.findall("SupplMeshList/SupplMeshName")),
        "chemicals": [
            {
                "name": said(e, "NameOfSubstance"),
                "ui": marked(e.find("NameOfSubstance"), "UI"),
                "registry": said(e, "RegistryNumber", "CASRegistryNumber"),
            }
            for e in citation.findall("ChemicalList/Chemical")
        ],
        "publication_types": kinds,
        "keyword_list": listed,
        "genes": every(citation, "GeneSymbolList/GeneSymbol"),
        "grants": grants(body),
        "grants_complete": marked(body.find("GrantList"), "CompleteYN") != "N",
        "databanks": banks(body) + banks(citation),
        "subjects": people(citation.findall("PersonalNameSubjectList/PersonalNameSubject")),
        "ids": ids,
        "locations": locations,
        "other_ids": others,
        "languages": languages,
        "owner": citation.get("Owner", "NLM"),
        "indexing": citation.get("IndexingMethod", ""),
        "version_date": citation.get("VersionDate", ""),
        "subsets": every(citation, "CitationSubset"),
        "corrections": links,
        "references": references,
        "references_stated": number(said(citation, "NumberOfReferences")),
        "conflict_of_interest": said(citation, "CoiStatement"),
        "notes": pairs(citation.findall("GeneralNote"), "Owner", "NLM"),
        "missions": every(citation, "SpaceFlightMission"),
        "objects": objects(data),
        "book": None,
        "cites": unique(
            [r["pmid"] for r in references] + [c["pmid"] for c in links if c["kind"] == "Cites"]
        ),
    }


def chapter(document: ET.Element, data: Lookup) -> dict[str, Any]:
    """A chapter, or a whole book where there is no title of a chapter."""
    book = document.find("Book")
    title, vernacular = said(document, "ArticleTitle"), said(document, "VernacularTitle")
    is_part = bool(title or vernacular)
    own, of_book = listed(document, "authors"), listed(book, "authors")
    authors = own or ([] if is_part else of_book)
    text = sections(document.find("Abstract"))
    ids = unique([tuple(i) for i in ids_of(document) + ids_of(data)])
    locations = places(document)
    kinds = terms(document.findall("PublicationType"))
    keys = keywords(document)
    pubdate = issue_date(at(book, "PubDate"))
    contributed = issue_date(document.find("ContributionDate"))
    references = cited(document)
    languages = every(document, "Language")
    named = "BookTitle" if is_part else "CollectionTitle"
    empty: dict[str, Any] = {key: [] for key in EMPTY_LISTS} | dict.fromkeys(EMPTY_TEXTS, "")
    return (
        empty
        | dict.fromkeys(ABSENT)
        | {
            "pmid": words(document.find("PMID")),
            "title": title if is_part else said(book, "BookTitle"),
            "abstract": joined(text),
            "authors": [name(p) for p in authors if p["valid"]],
            "year": first_year(pubdate, contributed[1] if contributed else None),
            "journal": said(book, named)
            or ("" if is_part else said(book, "Publisher/PublisherName")),
            "doi": own_doi(ids, locations) or (None if is_part else own_doi([], places(book))),
            "pmcid": next((t for k, t in ids if k == "pmc"), None),
            "kinds": [k["name"] for k in kinds],
            "keywords": [k["text"] for k in keys],
            "language": ", ".join(languages),
            "version": version(document.find("PMID")) or 1,
            "retracted": any(k["name"] == "Retracted Publication" for k in kinds),
            "revised": whole_day(document.find("DateRevised")),
            "vernacular_title": vernacular,
            "sections": text,
            "copyright": said(document, "Abstract/CopyrightInformation"),
            "people": authors,
            "people_complete": all(
                g.get("CompleteYN") != "N" for g in document.findall("AuthorList")
            ),
            "investigators": people(document.findall("InvestigatorList/Investigator")),
            "volume": said(book, "Volume"),
            "pages": pages(document),
            "pubdate": pubdate,
            "history": history(data),
            "publication_status": said(data, "PublicationStatus"),
            "publication_types": kinds,
            "keyword_list": keys,
            "grants": grants(document),
            "grants_complete": True,
            "ids": [list(i) for i in ids],
            "locations": locations,
            "languages": languages,
            "references": references,
            "objects": objects(data),
            "book": {
                "title": said(book, "BookTitle"),
                "accession": next((t for k, t in ids if k == "bookaccession"), ""),
                "publisher": said(book, "Publisher/PublisherName"),
                "place": said(book, "Publisher/PublisherLocation"),
                "collection": said(book, "CollectionTitle"),
                "volume": said(book, "Volume"),
                "volume_title": said(book, "VolumeTitle"),
                "edition": said(book, "Edition"),
                "medium": said(book, "Medium"),
                "report": said(book, "ReportNumber"),
                "isbns": every(book, "Isbn"),
                "locations": places(book),
                "pubdate": pubdate,
                "beginning": issue_date(at(book, "BeginningDate")),
                "ending": issue_date(at(book, "EndingDate")),
                "contributed": contributed,
                "authors": of_book,
                "editors": listed(book, "editors") + listed(document, "editors"),
                "labels": pairs_with_empty(document.findall("LocationLabel"), "Type"),
                "contents": every(document, "Sections//SectionTitle"),
                "items": [
                    [group.get("ListType", ""), words(e)]
                    for group in document.findall("ItemList")
                    for e in group.findall("Item")
                    if words(e)
                ],
            },
            "cites": unique([r["pmid"] for r in references]),
        }
    )


EMPTY_LISTS = ["mesh", "notices", "other_abstracts", "headings", "supplementary", "chemicals"]
EMPTY_LISTS += ["genes", "databanks", "subjects", "other_ids", "subsets", "corrections", "notes"]
EMPTY_LISTS += ["missions"]
EMPTY_TEXTS = ["status", "issue", "medium", "model", "conflict_of_interest", "owner", "indexing"]
EMPTY_TEXTS += ["version_date"]
ABSENT = ["periodical", "electronic", "created", "completed", "references_stated"]


def listed(element: Lookup, kind: str) -> list[dict[str, Any]]:
    """Authors or editors; a list that says nothing is of authors."""
    editors = kind == "editors"
    groups = [g for g in found(element, "AuthorList") if (g.get("Type") == "editors") == editors]
    return people([author for group in groups for author in group])


def pairs_with_empty(elements: list[ET.Element], attribute: str) -> list[list[str]]:
    return [[e.get(attribute, ""), words(e)] for e in elements]


# --- beside a record -------------------------------------------------------------------------


def differences(ours: dict[str, Any], record: ET.Element) -> list[str]:
    """The keys of a line that this reading gives otherwise, each with both values."""
    theirs = line(record)
    keys = [*ours, *(key for key in theirs if key not in ours)]
    return [
        f"{key}: {ours.get(key)!r} is here {theirs.get(key)!r}"
        for key in keys
        if comparable(key, ours.get(key), theirs.get(key)) != theirs.get(key)
    ]


def comparable(key: str, ours: Any, theirs: Any) -> Any:
    """A date of an issue as a list; of one in words its text and first year."""
    if key == "book" and ours and theirs:
        return {name: comparable(name, value, theirs[name]) for name, value in ours.items()}
    if key in ("pubdate", "beginning", "ending", "contributed") and ours:
        if theirs and len(theirs) == 2:
            return [ours["text"], ours["first"] and ours["first"][:4]]
        return list(ours.values())
    return ours
