"""The fields of PubMed: their tags, what they hold, and which of its modifiers each one obeys.

Tags and meanings are those of the PubMed User Guide (https://pubmed.ncbi.nlm.nih.gov/help/, 16
April 2024) and of the field list that EInfo gives (27 November 2025); a tag in neither is unknown.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

Kind = Literal["all", "words", "heading", "term", "name", "text", "date", "number", "choice"]


@dataclass(frozen=True, slots=True)
class Field:
    """One searchable field.

    ``kind`` says how it is compared: running ``words``; a MeSH ``heading``; a ``term`` of another
    vocabulary; a person's ``name``; an exact ``text``; a ``date``, a ``number`` or a ``choice``.
    """

    tag: str  # canonical, as shown
    name: str  # in full, as PubMed's own translation writes it
    kind: Kind
    where: str  # what of the record it reads, in a reader's words
    parts: tuple[str, ...] = ()  # of a `Searchable`, for fields of running words
    aliases: tuple[str, ...] = ()
    proximity: bool = False
    explodes: bool = False


_TIAB = ("title", "collection_title", "abstract", "other_abstracts", "keywords")
_TW = (
    *_TIAB,
    "headings",
    "kinds",
    "substances",
    "supplementary",
    "subjects",
    "groups",
    "accessions",
    "notes",
)

_FIELDS = (
    Field("all", "All Fields", "all", "any field except places and dates", aliases=("all fields",)),
    Field(
        "tiab",
        "Title/Abstract",
        "words",
        "title, abstract or author keywords",
        _TIAB,
        ("title/abstract",),
        proximity=True,
    ),
    Field(
        "ti",
        "Title",
        "words",
        "the title",
        ("title", "collection_title"),
        ("title", "titl"),
        proximity=True,
    ),
    Field(
        "tw",
        "Text Word",
        "words",
        "title, abstract, keywords, headings, substances and other text",
        _TW,
        ("text word", "text words", "word", "text"),
    ),
    Field(
        "mh",
        "MeSH Terms",
        "heading",
        "the MeSH headings",
        ("headings", "supplementary"),
        ("mesh", "mesh terms"),
        explodes=True,
    ),
    Field(
        "majr",
        "MeSH Major Topic",
        "heading",
        "the MeSH headings marked as major topic",
        ("headings",),
        ("mj", "mesh major topic"),
        explodes=True,
    ),
    Field(
        "sh",
        "MeSH Subheading",
        "heading",
        "the MeSH subheadings",
        ("headings",),
        ("subh", "subheading", "mesh subheading"),
        explodes=True,
    ),
    Field(
        "nm",
        "Supplementary Concept",
        "term",
        "substances and supplementary concepts",
        ("substances", "supplementary"),
        ("subs", "supplementary concept", "substance name"),
    ),
    Field(
        "pa",
        "Pharmacological Action",
        "term",
        "the pharmacological actions of its substances",
        (),
        ("papx", "pharmacological action"),
    ),
    Field(
        "rn",
        "EC/RN Number",
        "text",
        "registry and enzyme numbers",
        ("numbers",),
        ("ecno", "ec/rn number"),
    ),
    Field(
        "pt",
        "Publication Type",
        "heading",
        "the publication types",
        ("kinds",),
        ("ptyp", "publication type"),
        explodes=True,
    ),
    Field(
        "ot", "Other Term", "words", "the author keywords", ("keywords",), ("otrm", "other term")
    ),
    Field("au", "Author", "name", "the authors", ("authors",), ("author",)),
    Field(
        "1au",
        "Author - First",
        "name",
        "the first author",
        ("authors",),
        ("faut", "author - first"),
    ),
    Field(
        "lastau",
        "Author - Last",
        "name",
        "the last author",
        ("authors",),
        ("laut", "author - last"),
    ),
    Field(
        "fau",
        "Author - Full",
        "name",
        "the authors' full names",
        ("authors",),
        ("full", "author - full", "full author name"),
    ),
    Field(
        "auid",
        "Author - Identifier",
        "text",
        "the identifiers of authors",
        ("identifiers",),
        ("author - identifier",),
    ),
    Field(
        "cn",
        "Author - Corporate",
        "words",
        "the names of groups that wrote it",
        ("groups",),
        ("coln", "corporate author", "author - corporate"),
    ),
    Field("ir", "Investigator", "name", "the investigators", ("investigators",), ("investigator",)),
    Field(
        "fir",
        "Investigator - Full",
        "name",
        "the investigators' full names",
        ("investigators",),
        ("finv", "full investigator name", "investigator - full"),
    ),
    Field("ed", "Editor", "name", "the editors of the book", ("editors",), ("editor",)),
    Field("isbn", "ISBN", "text", "the ISBN", ("isbns",)),
    Field("book", "Book", "words", "the book", ("book",)),
    Field(
        "pubn", "Publisher", "words", "the publisher of the book", ("publisher",), ("publisher",)
    ),
    Field(
        "ad",
        "Affiliation",
        "words",
        "the affiliations",
        ("affiliations",),
        ("affl", "affiliation"),
        proximity=True,
    ),
    Field(
        "ta",
        "Journal",
        "text",
        "the journal's title, abbreviation or ISSN",
        ("journal_names",),
        ("jour", "journal", "jo"),
    ),
    Field(
        "jid", "NLM Unique ID", "text", "the journal's NLM number", ("nlm_id",), ("nlm unique id",)
    ),
    Field("vi", "Volume", "text", "the volume", ("volume",), ("vol", "volume")),
    Field("ip", "Issue", "text", "the issue", ("issue",), ("iss", "issue")),
    Field("pg", "Pagination", "text", "the first page", ("first_page",), ("page", "pagination")),
    Field("la", "Language", "choice", "the language", ("languages",), ("lang", "language")),
    Field(
        "pl",
        "Place of Publication",
        "text",
        "the country of the journal",
        ("country",),
        ("cnty", "place of publication"),
    ),
    Field(
        "aid",
        "Article Identifier",
        "text",
        "the identifiers of the article",
        ("article_ids",),
        ("doi", "pid", "publisher id", "article identifier"),
    ),
    Field(
        "lid",
        "Location ID",
        "text",
        "the identifiers in place of pages",
        ("locations",),
        ("location id",),
    ),
    Field("pmid", "UID", "number", "the PMID", ("pmid",), ("uid",)),
    Field(
        "dp",
        "Date - Publication",
        "date",
        "the day of publication, in print or electronic",
        ("print", "electronic"),
        ("pdat", "date - publication"),
    ),
    Field(
        "epdat",
        "Electronic Publication Date",
        "date",
        "the day of electronic publication",
        ("electronic",),
        ("epdt", "electronic publication date", "electronic date of publication"),
    ),
    Field(
        "ppdat",
        "Print Publication Date",
        "date",
        "the day of print publication",
        ("print",),
        ("ppdt", "print publication date", "print date of publication"),
    ),
    Field("edat", "Date - Entry", "date", "the entry date", ("entry",), ("date - entry",)),
    Field(
        "crdt",
        "Date - Create",
        "date",
        "the day its record was made",
        ("created",),
        ("date - create",),
    ),
    Field(
        "mhda",
        "Date - MeSH",
        "date",
        "the day of indexing",
        ("mesh",),
        ("mesh date", "date - mesh"),
    ),
    Field(
        "dcom",
        "Date - Completion",
        "date",
        "the day its record was completed",
        ("completed",),
        ("cdat", "date - completion"),
    ),
    Field(
        "lr",
        "Date - Modification",
        "date",
        "the day its record was last revised",
        ("revised",),
        ("mdat", "date - modification"),
    ),
    Field(
        "gr",
        "Grants and Funding",
        "text",
        "grants and funders",
        ("grants",),
        ("grnt", "grant number", "grants and funding"),
    ),
    Field(
        "si",
        "Secondary Source ID",
        "text",
        "databank and registration numbers",
        ("accessions",),
        ("secondary source id",),
    ),
    Field(
        "ps",
        "Subject - Personal Name",
        "name",
        "persons that it is about",
        ("subjects",),
        ("personal name as subject", "subject - personal name"),
    ),
    Field(
        "cois",
        "Conflict of Interest Statements",
        "words",
        "the statement on conflicts of interest",
        ("conflicts",),
        ("conflict of interest statements",),
    ),
    Field(
        "tt",
        "Transliterated Title",
        "words",
        "the title in its own language",
        ("vernacular_title",),
        ("transliterated title",),
    ),
    Field(
        "sb", "Filter", "choice", "a subset of PubMed", ("subsets",), ("filt", "filter", "subset")
    ),
)

FIELDS = {field.tag: field for field in _FIELDS}
ALIASES = {alias: field.tag for field in _FIELDS for alias in (field.tag, *field.aliases)}

# Names under which the User Guide lists fields, of which no source says whether they work as tags.
UNPROVEN = {
    "publication date": "dp",
    "date of publication": "dp",
    "entry date": "edat",
    "entrez date": "edat",
    "create date": "crdt",
    "completion date": "dcom",
    "modification date": "lr",
    "first author": "1au",
    "first author name": "1au",
    "last author": "lastau",
    "last author name": "lastau",
    "mesh subheadings": "sh",
    "conflict of interest statement": "cois",
}
# Names that are not tags although they look like it, and what serves in their place.
NOT_TAGS = {
    "ab": "tiab",
    "abstract": "tiab",
    "abs": "tiab",
    "author identifier": "auid",
    "kw": "ot",
    "keyword": "ot",
    "keywords": "ot",
    "tiabkw": "tiab",
    "ti,ab": "tiab",
    "ti/ab": "tiab",
    "tw,ti": "tw",
    "mp": "tw",
    "so": "ta",
    "py": "dp",
    "yr": "dp",
    "year": "dp",
    "pub type": "pt",
    "mesh term": "mh",
    "mesh heading": "mh",
    "mesh headings": "mh",
    "titleabstract": "tiab",
    "title abstract": "tiab",
    "title-abstract": "tiab",
}

RELATIVE = frozenset(("dp", "edat", "crdt"))  # "last n days" works in these [User Guide]

_CORRECTIONS = (
    "commentin commenton erratumin erratumfor retractionin retractionof expressionofconcernin "
    "expressionofconcernfor republishedin republishedfrom retractedandrepublishedin "
    "retractedandrepublishedfrom updatein updateof correctedrepublishedin correctedrepublishedfrom "
    "associateddataset associatedpublication summaryforpatientsin originalreportin"
)
_SWITCHES = (
    "hasabstract hasstructuredabstract haskeyword hascois hasdatabanklist hasnihmsid "
    "hasnonenglishabstract indexingmethod_automated indexingmethod_curated "
    "pubstatusaheadofprint pubstatusnihms pubstatuspmcsd pmcbook pmcbooktitle pmcbookchapter"
)
FLAGS = frozenset(_SWITCHES.split()) | frozenset(f"has{k}" for k in _CORRECTIONS.split())


# @Owner of the DTD: who supplied a record.
OWNERS = frozenset(
    ("ownernlm", "ownernasa", "ownerpip", "ownerkie", "ownerhsr", "ownerhmd", "ownersis")
)


def field_of(name: str) -> Field | None:
    """The field of a tag as typed, or None if there is none; unproven names count."""
    name = normal(name)
    tag = ALIASES.get(name) or UNPROVEN.get(name)
    return FIELDS[tag] if tag else None


def normal(name: str) -> str:
    """A tag's name without what does not matter to PubMed: case and spacing."""
    return " ".join(name.lower().split())


def nearest(name: str) -> str | None:
    """The tag that was probably meant."""
    name = normal(name)
    if name in NOT_TAGS:
        return NOT_TAGS[name]
    near = difflib.get_close_matches(name, list(ALIASES), n=1, cutoff=0.6)
    if near:
        return ALIASES[near[0]] if len(near[0]) > 4 else near[0]
    return None


def is_flag(word: str) -> bool:
    """Whether an untagged word is one of PubMed's switches, such as hasabstract or ownernasa."""
    word = word.lower()
    return word in FLAGS or word in OWNERS or (word.startswith("jsubset") and len(word) > 7)
