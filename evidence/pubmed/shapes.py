"""How NLM writes a record: the shape of each element, and which place of a tuple it goes to.

Only the usual forms are declared; what is written in another way is left to the parser of all of
XML. What comes again in other records (journals, headings, days) is looked up as it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from evidence.model import (
    AbstractSection,
    Author,
    Chemical,
    Cited,
    Grant,
    Heading,
    HistoryDate,
    Keyword,
    Location,
    PubDate,
    Term,
)
from evidence.pubmed import recurring as known
from evidence.pubmed._shapes import PARTS, TEXT, WHOLE, Shape

Pairs = tuple[tuple[str, str], ...]
_LOOKED_AT = (-1,)  # and not kept


class Found(NamedTuple):
    """What an article's XML says, in the order in which a record has it."""

    pmid: str = ""
    version: int = 1
    status: str = ""
    owner: str = "NLM"
    indexing: str = ""
    version_date: str = ""
    created: str | None = None
    completed: str | None = None
    revised: str | None = None
    model: str = ""
    medium: str = ""
    volume: str = ""
    issue: str = ""
    pubdate: PubDate | None = None
    year: int | None = None
    issn_kind: str = ""
    issn: str = ""
    journal_title: str = ""
    journal_iso: str = ""
    country: str = ""
    journal_medline: str = ""
    nlm_id: str = ""
    issn_linking: str = ""
    title: str = ""
    first_page: str = ""
    last_page: str = ""
    pages: str = ""
    locations: tuple[Location, ...] = ()
    sections: tuple[AbstractSection, ...] = ()
    copyright: str = ""
    people: tuple[Author, ...] = ()
    people_complete: bool = True
    languages: tuple[str, ...] = ()
    banks: str = ""  # the element itself
    grants: tuple[Grant, ...] = ()
    grants_complete: bool = True
    publication_types: tuple[Term, ...] = ()
    kinds: tuple[str, ...] = ()
    retracted: bool = False  # by its types
    vernacular_title: str = ""
    electronic: str | None = None
    chemicals: tuple[Chemical, ...] = ()
    subsets: tuple[str, ...] = ()
    headings: tuple[Heading, ...] = ()
    mesh: tuple[str, ...] = ()
    keyword_lists: tuple[tuple[str, tuple[Keyword, ...]], ...] = ()  # with their owners
    conflict: str = ""
    references_stated: str = ""
    rare: tuple[str, ...] = ()  # elements that few records have, themselves
    history: tuple[HistoryDate, ...] = ()
    publication_status: str = ""
    ids: Pairs = ()
    references: tuple[Cited, ...] = ()


def _places(kind: Any, *names: str) -> tuple[int, ...]:
    return tuple(kind._fields.index(name) for name in names) or _LOOKED_AT


def _shape(
    name: str,
    content: int,
    slots: tuple[int, ...] = _LOOKED_AT,
    *parts: Shape,
    many: bool = False,
    required: bool = False,
    lookup: Any = None,
    given: Any = None,
    given_slots: tuple[int, ...] = _LOOKED_AT,
    usual: str | None = None,
    exact: str | None = None,
    made: type[tuple[Any, ...]] | None = None,
    defaults: Sequence[Any] = (),
    text: int = -1,
    place: int = -1,
    needs: int = -1,
) -> Shape:
    return Shape(
        name=name.encode(),
        content=content,
        slots=slots,
        many=many,
        required=required,
        known=lookup,
        given=given,
        given_slots=given_slots,
        usual=None if usual is None else usual.encode(),
        exact=None if exact is None else exact.encode(),
        parts=parts,
        made=made,
        defaults=tuple(defaults),
        text=text,
        place=place,
        needs=needs,
    )


def _defaults(kind: Any, **others: Any) -> tuple[Any, ...]:
    """Those of a named tuple; a field without one is empty text."""
    return tuple(others.get(f, kind._field_defaults.get(f, "")) for f in kind._fields)


def _text(name: str, *fields: str, kind: Any = Found, **more: Any) -> Shape:
    """An element of which the text is kept, if there is any."""
    return _shape(name, TEXT, _places(kind, *fields), **more)


def _whole(name: str, *fields: str, **more: Any) -> Shape:
    """An element that is looked up as it is written."""
    return _shape(name, WHOLE, _places(Found, *fields), **more)


def _around(name: str, *parts: Shape, **more: Any) -> Shape:
    """An element of which the parts belong to what is around it."""
    return _shape(name, PARTS, _LOOKED_AT, *parts, **more)


def _pair(name: str, slot: int, given: Any) -> Shape:
    """An element as (what its attributes say, its text)."""
    return _shape(
        name,
        TEXT,
        (slot,),
        many=True,
        given=given,
        given_slots=(0,),
        made=tuple,
        defaults=("", ""),
        text=1,
        needs=1,
    )


def _identifier(slot: int) -> Shape:
    return _pair("Identifier", slot, known.SOURCES)


# --- lists -----------------------------------------------------------------------------------

_SECTION = _shape(
    "AbstractText",
    TEXT,
    _places(Found, "sections"),
    many=True,
    given=known.LABELS,
    given_slots=(1, 2),
    made=AbstractSection,
    defaults=_defaults(AbstractSection),
    text=0,
    needs=0,
)
_AFFILIATIONS, _IDENTIFIERS, _AFFILIATION_IDS = _places(
    Author, "affiliations", "identifiers", "affiliation_ids"
)
_AUTHOR = _shape(
    "Author",
    PARTS,
    _places(Found, "people"),
    _text("LastName", "last", kind=Author),
    _text("ForeName", "fore", kind=Author),
    _text("Initials", "initials", kind=Author),
    _text("Suffix", "suffix", kind=Author),
    _text("CollectiveName", "collective", kind=Author),
    _identifier(_IDENTIFIERS),
    _around(
        "AffiliationInfo",
        _shape("Affiliation", TEXT, (_AFFILIATIONS,), many=True),
        _identifier(_AFFILIATION_IDS),
        many=True,
    ),
    many=True,
    given=known.AUTHORS,
    given_slots=_places(Author, "equal", "valid"),
    usual=' ValidYN="Y"',
    made=Author,
    defaults=_defaults(Author),
    place=Author._fields.index("position"),
)
_LOCATION = _shape(
    "ELocationID",
    TEXT,
    _places(Found, "locations"),
    many=True,
    given=known.LOCATIONS,
    given_slots=_places(Location, "kind", "valid"),
    made=Location,
    defaults=_defaults(Location),
    text=Location._fields.index("id"),
    needs=Location._fields.index("id"),
)
_GRANT = _shape(
    "Grant",
    PARTS,
    _places(Found, "grants"),
    _text("GrantID", "id", kind=Grant),
    _text("Acronym", "acronym", kind=Grant),
    _text("Agency", "agency", kind=Grant),
    _text("Country", "country", kind=Grant),
    many=True,
    made=Grant,
    defaults=_defaults(Grant),
)
_KEYWORDS = _shape(
    "KeywordList",
    PARTS,
    _places(Found, "keyword_lists"),
    _shape(
        "Keyword",
        TEXT,
        (1,),
        many=True,
        given=known.MAJOR,
        given_slots=_places(Keyword, "major"),
        usual=' MajorTopicYN="N"',
        made=Keyword,
        defaults=_defaults(Keyword, owner=known.USUAL_OWNER),
        text=0,
        needs=0,
    ),
    many=True,
    given=known.OWNERS,
    given_slots=(0,),
    made=tuple,
    defaults=("NLM", ()),
)
_REFERENCE = _shape(
    "Reference",
    PARTS,
    _places(Found, "references"),
    _text("Citation", "citation", kind=Cited),
    _around(
        "ArticleIdList",
        # The first of each kind has a place of its own.
        _text("ArticleId", "doi", kind=Cited, exact=' IdType="doi"'),
        _text("ArticleId", "pmid", kind=Cited, exact=' IdType="pubmed"'),
        _text("ArticleId", "pmcid", kind=Cited, exact=' IdType="pmc"'),
        _text("ArticleId", "pmcid", kind=Cited, exact=' IdType="pmcid"'),
        _pair("ArticleId", Cited._fields.index("ids"), known.CITED_ID_KINDS),
    ),
    many=True,
    made=Cited,
    defaults=_defaults(Cited),
)

# --- the article -----------------------------------------------------------------------------

_JOURNAL = _around(
    "Journal",
    _text("ISSN", "issn", given=known.ISSN_KINDS, given_slots=_places(Found, "issn_kind")),
    _around(
        "JournalIssue",
        _text("Volume", "volume"),
        _text("Issue", "issue"),
        _whole("PubDate", "pubdate", "year", lookup=known.PUBLISHED),
        given=known.MEDIUMS,
        given_slots=_places(Found, "medium"),
    ),
    _text("Title", "journal_title"),
    _text("ISOAbbreviation", "journal_iso"),
)
_BODY = _around(
    "Article",
    _JOURNAL,
    _text("ArticleTitle", "title"),
    _around(
        "Pagination",
        _text("StartPage", "first_page"),
        _text("EndPage", "last_page"),
        _text("MedlinePgn", "pages"),
    ),
    _LOCATION,
    _around("Abstract", _SECTION, _text("CopyrightInformation", "copyright")),
    _around(
        "AuthorList",
        _AUTHOR,
        given=known.COMPLETE,
        given_slots=_places(Found, "people_complete"),
        usual=' CompleteYN="Y"',
    ),
    _text("Language", "languages", many=True),
    _whole("DataBankList", "banks"),
    _around(
        "GrantList",
        _GRANT,
        given=known.COMPLETE,
        given_slots=_places(Found, "grants_complete"),
        usual=' CompleteYN="Y"',
    ),
    _whole("PublicationTypeList", "publication_types", "kinds", "retracted", lookup=known.KINDS),
    _text("VernacularTitle", "vernacular_title"),
    _whole("ArticleDate", "electronic", lookup=known.DAYS),
    required=True,
    given=known.MODELS,
    given_slots=_places(Found, "model"),
)
_RARE = (
    "CommentsCorrectionsList",
    "GeneSymbolList",
    "GeneralNote",
    "InvestigatorList",
    "OtherAbstract",
    "OtherID",
    "PersonalNameSubjectList",
    "SpaceFlightMission",
    "SupplMeshList",
)
_CITATION = _around(
    "MedlineCitation",
    _text("PMID", "pmid", given=known.VERSIONS, given_slots=_places(Found, "version")),
    _whole("DateCreated", "created", lookup=known.DAYS),
    _whole("DateCompleted", "completed", lookup=known.DAYS),
    _whole("DateRevised", "revised", lookup=known.DAYS),
    _BODY,
    _around(
        "MedlineJournalInfo",
        _text("Country", "country"),
        _text("MedlineTA", "journal_medline"),
        _text("NlmUniqueID", "nlm_id"),
        _text("ISSNLinking", "issn_linking"),
    ),
    _around(
        "ChemicalList",
        _whole("Chemical", "chemicals", lookup=known.CHEMICALS, many=True),
        many=True,
    ),
    _text("CitationSubset", "subsets", many=True),
    _around(
        "MeshHeadingList",
        _whole("MeshHeading", "headings", "mesh", lookup=known.HEADINGS, many=True),
        many=True,
    ),
    _KEYWORDS,
    _text("CoiStatement", "conflict"),
    _text("NumberOfReferences", "references_stated"),
    *(_whole(name, "rare", many=True) for name in _RARE),
    required=True,
    given=known.CITATIONS,
    given_slots=_places(Found, "status", "owner", "indexing", "version_date"),
)
_ADDED = _around(
    "PubmedData",
    _around("History", _whole("PubMedPubDate", "history", lookup=known.STEPS, many=True)),
    _text("PublicationStatus", "publication_status"),
    _around("ArticleIdList", _pair("ArticleId", Found._fields.index("ids"), known.ID_KINDS)),
    _around("ReferenceList", _text("Title"), _REFERENCE, many=True),
)
ARTICLE = _shape(
    "PubmedArticle",
    PARTS,
    (0,),
    _CITATION,
    _ADDED,
    made=Found,
    defaults=_defaults(Found),
)
