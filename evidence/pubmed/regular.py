"""Records written as NLM writes them, read without building a tree: several times as fast.

Only a record of which every byte is accounted for is read here: each element is matched as a whole
and from where the one before it ended, so that nothing can be skipped. Anything else (a comment,
CDATA, an element or an attribute in another place, a character that XML forbids, the name of an
entity) leaves the record to `evidence.pubmed.citations`. Text with markup, but for italics and the
like, and the rarer elements go through the XML parser by themselves. Both ways give the same
record.

What is in a list is matched at once and handled column by column, which is why this is fast.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import count, repeat, starmap
from typing import Any

from evidence.model import (
    AbstractSection,
    Author,
    Chemical,
    Cited,
    Grant,
    Heading,
    HistoryDate,
    Journal,
    Keyword,
    Location,
    Qualifier,
    Record,
    Term,
)
from evidence.pubmed.citations import assemble
from evidence.pubmed.people import orcid
from evidence.pubmed.xml_dates import dated, iso
from evidence.pubmed.xml_parts import cited, number
from evidence.pubmed.xml_text import CONTROL, Element, squeezed, tree
from evidence.pubmed.xml_text import text as flat

_BLANKS = bytes(0x20 if b in b"\t\n\r" else b for b in range(256))  # they are one to XML
_CHARACTER = re.compile(r"&(?:(amp|lt|gt|quot|apos)|#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7})));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}

# --- patterns --------------------------------------------------------------------------------

_S = "\n?+ *+"  # between elements
_A = "([^<>]*+)"  # attributes; `_attributes` looks at what they are
_AE = "((?:[^<>/]++|/(?!>))*+)"  # the same where the element may be empty
_YMD = (
    f"<Year>([0-9]{{4}})</Year>{_S}<Month>([0-9A-Za-z]+)</Month>{_S}<Day>([0-9]{{1,2}})</Day>{_S}"
)


def _compiled(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts), re.ASCII)


def _element(name: str, *inner: str, attributes: str = "") -> str:
    return f"<{name}{attributes}>{_S}{''.join(inner)}</{name}>{_S}"


def _text(name: str, attributes: str = "") -> str:
    return f"<{name}{attributes}>([^<]*+)</{name}>{_S}"


def _marked(name: str, attributes: str = "") -> str:
    """An element whose text may hold markup: up to the first end tag of its name."""
    return f"<{name}{attributes}>([^<]*+(?:<(?!/{name}>)[^<]*+)*+)</{name}>{_S}"


def _maybe(*parts: str) -> str:
    return f"(?:{''.join(parts)})?+"


def _maybe_texts(*names: str) -> str:
    """Elements in this order, each with text, empty, or not there."""
    return "".join(f"(?:{_text(name)}|<{name} ?/>{_S})?+" for name in names)


def _any(*parts: str) -> str:
    """Any number of an element, as one group; what is in it is matched again by itself."""
    return f"((?:{re.sub('[(](?![?])', '(?:', ''.join(parts))})*+)"


def _whole(*parts: str) -> re.Pattern[str]:
    """A member of a list; the first group is all of it, so that none can be left out."""
    return _compiled("(", *parts, ")")


_IDENTIFIER = _text("Identifier", _A)
_PLACE = _element("AffiliationInfo", _marked("Affiliation"), _any(_IDENTIFIER))
_ARTICLE_ID = _text("ArticleId", _A)
_QUALIFIER = _text("QualifierName", _A)

_HEAD = _compiled(
    f"<PubmedArticle>{_S}<MedlineCitation{_A}>{_S}<PMID{_A}>([0-9]{{1,9}})</PMID>{_S}",
    _maybe(_element("DateCreated", _YMD)),
    _maybe(_element("DateCompleted", _YMD)),
    _maybe(_element("DateRevised", _YMD)),
    f"<Article{_A}>{_S}<Journal>{_S}",
    _maybe(_text("ISSN", _A)),
    f"<JournalIssue{_A}>{_S}",
    _maybe_texts("Volume", "Issue"),
    f"<PubDate>{_S}(?:<Year>([0-9]{{4}})</Year>{_S}",
    f"(?:<Month>([0-9A-Za-z]+)</Month>{_S}(?:<Day>([0-9]{{1,2}})</Day>{_S})?",
    f"|<Season>([A-Za-z]+)</Season>{_S})?|",
    _text("MedlineDate"),
    f")</PubDate>{_S}</JournalIssue>{_S}",
    _maybe_texts("Title", "ISOAbbreviation"),
    f"</Journal>{_S}(?:<ArticleTitle ?/>{_S}|",
    _marked("ArticleTitle"),
    ")",
    _maybe(_element("Pagination", _maybe_texts("StartPage", "EndPage", "MedlinePgn"))),
    _maybe(_text("ELocationID", _A)),
    _maybe(_text("ELocationID", _A)),
)
_ABSTRACT = _compiled(
    f"<Abstract>{_S}",
    _any(f"<AbstractText{_AE}(?:/>{_S}|>[^<]*+(?:<(?!/AbstractText>)[^<]*+)*+</AbstractText>{_S})"),
    _maybe_texts("CopyrightInformation"),
    f"</Abstract>{_S}",
)
_AUTHORS = _compiled(f"<AuthorList{_A}>{_S}")
_TAIL = _compiled(  # of the article
    _any(_text("Language")),
    _maybe(f"(<DataBankList[^<]*+(?:<(?!/DataBankList>)[^<]*+)*+</DataBankList>){_S}"),
    _maybe(f"<GrantList{_A}>{_S}([^<]*+(?:<(?!/GrantList>)[^<]*+)*+)</GrantList>{_S}"),
    _element("PublicationTypeList", _any(_text("PublicationType", _A))),
    _maybe(_marked("VernacularTitle")),
    _maybe(_element("ArticleDate", _YMD, attributes=_A)),
    f"</Article>{_S}<MedlineJournalInfo>{_S}",
    _maybe_texts("Country"),
    _text("MedlineTA"),
    _maybe_texts("NlmUniqueID", "ISSNLinking"),
    f"</MedlineJournalInfo>{_S}",
    _maybe(f"<ChemicalList>{_S}([^<]*+(?:<(?!/ChemicalList>)[^<]*+)*+)</ChemicalList>{_S}"),
    _any(_text("CitationSubset")),
)
_NEXT = _compiled(f"{_S}<(/?[A-Za-z]+)")
_LIST = _compiled(f"<[A-Za-z]+{_A}>{_S}")
_COUNT = _compiled(_text("NumberOfReferences"))
_CONFLICT = _compiled(_marked("CoiStatement"))
_DATA = _compiled(
    f"</MedlineCitation>{_S}<PubmedData>{_S}",
    f"<History>{_S}([^<]*+(?:<(?!/History>)[^<]*+)*+)</History>{_S}",
    _text("PublicationStatus"),
    f"<ArticleIdList>{_S}([^<]*+(?:<(?!/ArticleIdList>)[^<]*+)*+)</ArticleIdList>{_S}",
    # An instruction, such as "<?pmcsd ?>", says nothing about the article.
    f"(?:<[?](?!xml)[a-z]+(?: [^?<>]*)?[?]>{_S})*",
)
_REFERENCES = _compiled(f"<ReferenceList>{_S}", _maybe_texts("Title"))
_END = _compiled(f"</PubmedData>{_S}</PubmedArticle>{_S}$")

_LANGUAGE = _whole(_text("Language"))
_SUBSET = _whole(_text("CitationSubset"))
_SECTION = _whole(
    f"<AbstractText{_AE}(?:/>{_S}|>([^<]*+(?:<(?!/AbstractText>)[^<]*+)*+)</AbstractText>{_S})"
)
_AUTHOR = _whole(
    _element(
        "Author",
        "(?:",
        _text("LastName"),
        _maybe_texts("ForeName", "Initials", "Suffix"),
        "|",
        _text("CollectiveName"),
        ")",
        _any(_IDENTIFIER),
        _maybe(_element("AffiliationInfo", _text("Affiliation"))),
        _any(_PLACE),
        attributes=_A,
    )
)
_KNOWN_AS = _whole(_IDENTIFIER)
_PLACED = _whole(_PLACE)
_GRANT = _whole(_element("Grant", _maybe_texts("GrantID", "Acronym", "Agency", "Country")))
_KIND = _whole(_text("PublicationType", _A))
_CHEMICAL = _compiled(
    f"{_S}<Chemical>{_S}", _text("RegistryNumber"), _text("NameOfSubstance", _A), "$"
)
_HEADING = _compiled(f"{_S}<MeshHeading>{_S}", _text("DescriptorName", _A), _any(_QUALIFIER), "$")
_QUALIFIED = _whole(_QUALIFIER)
_KEYWORD = _whole(f"<Keyword{_AE}(?:/>{_S}|>([^<]*+(?:<(?!/Keyword>)[^<]*+)*+)</Keyword>{_S})")
_STEP = _compiled(
    f"{_S}<PubMedPubDate{_A}>{_S}{_YMD}",
    _maybe(
        f"<Hour>([0-9]{{1,2}})</Hour>{_S}",
        _maybe(f"<Minute>([0-9]{{1,2}})</Minute>{_S}"),
    ),
    "$",
)
_ID = _whole(_ARTICLE_ID)
_REFERENCE = _whole(
    f"<Reference>{_S}",
    _marked("Citation"),
    f"(?:<ArticleIdList>{_S}(?:",
    f'(?:<ArticleId IdType="doi">([^<]*+)</ArticleId>{_S})?+',
    f'(?:<ArticleId IdType="pubmed">([0-9]+)</ArticleId>{_S})?+',
    f'(?:<ArticleId IdType="pmc(?:id)?">([^<]*+)</ArticleId>{_S})?</ArticleIdList>{_S}|',
    _any(_ARTICLE_ID),
    f"</ArticleIdList>{_S}))?</Reference>{_S}",
)
_INLINE = _compiled("<(/?)(b|i|sub|sup|u)>")
_ATTRIBUTES = _compiled('(?: [A-Za-z]+="[^"<>\n]*")*+ ?')
_ATTRIBUTE = _compiled(' ([A-Za-z]+)="([^"]*)"')

_NO_AUTHORS: Mapping[str, Any] = {
    "authors": (),
    "author_names": (),
    "authors_complete": True,
}
_MINOR = frozenset({' MajorTopicYN="N"'})
_RARE = frozenset(
    {
        "CommentsCorrectionsList",
        "GeneSymbolList",
        "GeneralNote",
        "InvestigatorList",
        "OtherAbstract",
        "OtherID",
        "PersonalNameSubjectList",
        "SpaceFlightMission",
        "SupplMeshList",
    }
)
_VALID = frozenset({' ValidYN="Y"'})


class _Irregular(Exception):
    """Something that is not written as expected; another reader decides what it is."""


# --- a record --------------------------------------------------------------------------------


def regular_record(data: bytes, *, plain: bool = False) -> Record | None:
    """The record of a ``PubmedArticle``; ``None`` where it is not written as NLM writes them.

    Parameters
    ----------
    data : bytes
        The whole element, in UTF-8.
    plain : bool
        Whether it is known to hold no control character but line feeds.
    """
    try:
        if plain:
            try:
                return _record(data.decode())
            except _Irregular:
                pass  # perhaps only its blanks are
        data = data.replace(b"\r\n", b"\n")  # which are one line end to XML
        blank = data.translate(_BLANKS, CONTROL)
        return _record(blank.decode()) if len(blank) == len(data) else None
    except (_Irregular, UnicodeDecodeError):
        return None


def _record(text: str) -> Record:
    if "\ufffe" in text or "\uffff" in text or "]]>" in text:
        raise _Irregular
    head = _HEAD.match(text)
    if head is None:
        raise _Irregular
    (
        given,
        numbered,
        pmid,
        *dates,
        article,
        issn_kind,
        issn,
        issued,
        volume,
        issue,
        year,
        month,
        day,
        season,
        words,
        journal,
        abbreviation,
        title,
        start,
        end,
        pages,
        location,
        located,
        location_2,
        located_2,
    ) = head.groups()
    version = _attributes(numbered).get("Version", "")
    if not version.isdecimal():
        raise _Irregular
    at = head.end()
    sections, copyright, at = _abstract(text, at)
    authors, at = _authors(text, at)
    tail = _TAIL.match(text, at)
    if tail is None:
        raise _Irregular
    (
        languages,
        databanks,
        grants_given,
        grants,
        kinds,
        vernacular,
        published_given,
        published,
        published_month,
        published_day,
        country,
        medline,
        nlm_id,
        linking,
        chemicals,
        subsets,
    ) = tail.groups()
    _attributes(published_given or "")
    rest, outer, at = _rest(text, tail.end())
    if subsets:
        rest["subsets"] = _subsets(subsets) + rest["subsets"]
    data = _DATA.match(text, at)
    if data is None:
        raise _Irregular
    history, status, ids = data.groups()
    references, at = _references(text, data.end())
    if not _END.match(text, at):
        raise _Irregular
    return assemble(
        outer,
        {"DataBankList": [_parsed(databanks)]} if databanks else {},
        {},
        pmid=pmid,
        version=int(version) or 1,
        attributes=_attributes(given),
        created=_day(*dates[:3]),
        completed=_day(*dates[3:6]),
        revised=_day(*dates[6:]),
        model=_attributes(article).get("PubModel", ""),
        journal=_journal(issn_kind, issn, journal, abbreviation, country, medline, nlm_id, linking),
        medium=_attributes(issued).get("CitedMedium", ""),
        volume=_clean(volume) if volume else "",
        issue=_clean(issue) if issue else "",
        pubdate=dated(
            year or "",
            month or "",
            day or "",
            season or "",
            _clean(words) if words else "",
        ),
        title=_flat(title) if title else "",
        vernacular_title=_flat(vernacular) if vernacular else "",
        pages=_pages(start, end, pages),
        locations=_locations(location, located, location_2, located_2),
        sections=sections,
        copyright=copyright,
        **authors,
        languages=_languages(languages),
        grants=_grants(grants) if grants else (),
        grants_complete=not grants_given or _attributes(grants_given).get("CompleteYN") != "N",
        kinds=_kinds(kinds),
        electronic=_day(published, published_month, published_day),
        chemicals=tuple([_chemical(p) for p in _pieces(chemicals, "</Chemical>")])
        if chemicals
        else (),
        **rest,
        history=tuple([_step(piece) for piece in _pieces(history, "</PubMedPubDate>")]),
        publication_status=_clean(status),
        ids=tuple(_ids(ids)),
        references=references,
    )


def _abstract(text: str, at: int) -> tuple[tuple[AbstractSection, ...], str, int]:
    """The sections of the abstract, its copyright and where it ends."""
    match = _ABSTRACT.match(text, at)
    if match is None:
        return (), "", at
    parts, copyright = match.groups()
    found = [
        AbstractSection(_flat(raw) if raw else "", *_label(given))
        for _, given, raw in _rows(_SECTION, parts)
    ]
    sections = tuple([section for section in found if section.text])
    return sections, _clean(copyright) if copyright else "", match.end()


def _authors(text: str, at: int) -> tuple[Mapping[str, Any], int]:
    """The authors, their names, whether they are all, and where their list ends."""
    match = _AUTHORS.match(text, at)
    if match is None:
        return _NO_AUTHORS, at
    end = text.find("</AuthorList>", at)
    columns = _columns(_AUTHOR, text, match.end(), end)
    if not columns:
        raise _Irregular
    _, given, last, fore, initials, suffix, group, known_as, place, places = columns
    if not _tidy(last + fore + initials + suffix + group):
        last, fore, initials, suffix, group = (
            tuple(map(_clean, column)) for column in (last, fore, initials, suffix, group)
        )
    place = tuple([_clean(name) if name else "" for name in place])
    equal: Iterable[bool] = repeat(False)
    valid: Iterable[bool] = repeat(True)
    if not _VALID.issuperset(given):
        marks = [_attributes(attributes) for attributes in given]
        equal = [mark.get("EqualContrib") == "Y" for mark in marks]
        valid = [mark.get("ValidYN") != "N" for mark in marks]
    identifiers: Iterable[tuple[tuple[str, str], ...]] = repeat(())
    orcids: Iterable[str | None] = repeat(None)
    if any(known_as):
        identifiers = [_identifiers(elements) if elements else () for elements in known_as]
        orcids = [orcid(known) if known else None for known in identifiers]
    affiliations: Iterable[tuple[str, ...]]
    affiliation_ids: Iterable[tuple[tuple[str, str], ...]] = repeat(())
    if any(places):
        more = [_affiliations(elements) if elements else _NOWHERE for elements in places]
        affiliations = [
            (name, *others) if name else others
            for name, (others, _) in zip(place, more, strict=True)
        ]
        affiliation_ids = [known for _, known in more]
    else:
        affiliations = [(name,) if name else () for name in place]
    found = tuple(
        starmap(
            Author,
            zip(
                last,
                fore,
                initials,
                suffix,
                group,
                orcids,
                affiliations,
                equal,
                valid,
                count(1),
                identifiers,
                affiliation_ids,
                strict=False,
            ),
        )
    )
    if all(initials) and all(last) and not any(suffix):
        names = [f"{a} {b}" for a, b in zip(last, initials, strict=True)]
    else:
        names = [author.name for author in found]
    if not all(names):
        raise _Irregular
    if isinstance(valid, list) and not all(valid):
        names = [author.name for author in found if author.valid]
    complete = _attributes(match.group(1)).get("CompleteYN") != "N"
    authors = {
        "authors": found,
        "author_names": tuple(names),
        "authors_complete": complete,
    }
    return authors, end + len("</AuthorList>") + _blank(text, end + len("</AuthorList>"))


def _rest(text: str, at: int) -> tuple[dict[str, Any], dict[str, list[Element]], int]:
    """What follows in a citation; rarer elements as the XML parser gives them, by name."""
    found: dict[str, Any] = {
        "headings": (),
        "mesh": (),
        "keywords": (),
        "subsets": (),
        "references_stated": None,
        "conflict_of_interest": "",
    }
    rare: dict[str, list[Element]] = {}
    while True:
        tag = _NEXT.match(text, at)
        if tag is None:
            raise _Irregular
        at, name = tag.start(1) - 1, tag.group(1)
        if name == "/MedlineCitation":
            return found, rare, at
        end = text.find(f"</{name}>", at)
        if end < 0:
            raise _Irregular
        if name == "MeshHeadingList":
            headings = [_heading(p) for p in _pieces(_inner(text, at, end), "</MeshHeading>")]
            found["headings"] += tuple([heading for heading, _ in headings])
            found["mesh"] += tuple([words for _, words in headings])
        elif name == "KeywordList":
            found["keywords"] += _keywords(text, at, end)
        elif name == "CoiStatement" and not found["conflict_of_interest"]:
            found["conflict_of_interest"] = _flat(_one(_CONFLICT, text, at))
        elif name == "NumberOfReferences" and found["references_stated"] is None:
            found["references_stated"] = number(_clean(_one(_COUNT, text, at)))
        elif name == "CitationSubset":
            found["subsets"] += _subsets(text[at : end + len("</CitationSubset>")])
        else:
            element = _parsed(text[at : end + len(name) + 3])
            if name not in _RARE or element.tag != name:
                raise _Irregular
            rare.setdefault(name, []).append(element)
        at = end + len(name) + 3


def _keywords(text: str, at: int, end: int) -> tuple[Keyword, ...]:
    match = _LIST.match(text, at)
    columns = _columns(_KEYWORD, text, match.end(), end) if match else None
    if not match or not columns:
        raise _Irregular
    _, given, texts = columns
    owner = _attributes(match.group(1)).get("Owner", "NLM")
    if not _tidy(texts):
        texts = tuple(map(_flat, texts))
    major: Iterable[bool] = repeat(False)
    if not _MINOR.issuperset(given):
        major = [_attributes(attributes).get("MajorTopicYN") == "Y" for attributes in given]
    found = tuple(starmap(Keyword, zip(texts, repeat(owner), major, strict=False)))
    return found if all(texts) else tuple([keyword for keyword in found if keyword.text])


def _references(text: str, at: int) -> tuple[tuple[Cited, ...], int]:
    """The works that the article cites, of all its lists, and where these end."""
    found: tuple[Cited, ...] = ()
    while match := _REFERENCES.match(text, at):
        _clean(match.group(1) or "")
        end = text.find("</ReferenceList>", match.end())
        columns = _columns(_REFERENCE, text, match.end(), end)
        if columns:
            found += _cited(*columns[1:])
        at = end + len("</ReferenceList>")
        at += _blank(text, at)
    return found, at


def _cited(
    citation: Sequence[str],
    doi: Sequence[str],
    pubmed: Sequence[str],
    pmc: Sequence[str],
    others: Sequence[str],
) -> tuple[Cited, ...]:
    citation = [_flat(words) for words in citation]
    if not _tidy((*doi, *pmc)):
        doi, pmc = ([_clean(text) for text in column] for column in (doi, pmc))
    found = [
        Cited(words, a or None, b or None, c or None)
        for words, a, b, c in zip(citation, pubmed, doi, pmc, strict=True)
    ]
    if any(others):
        for n, elements in enumerate(others):
            if elements:
                found[n] = cited(citation[n], _ids(elements))
    return tuple(found)


# --- moving on -------------------------------------------------------------------------------


def _columns(
    pattern: re.Pattern[str], text: str, start: int = 0, end: int | None = None
) -> Sequence[tuple[str, ...]]:
    """The members of a list, as one sequence for each group; they must leave nothing out."""
    stop = len(text) if end is None else end
    columns = list(zip(*pattern.findall(text, start, stop), strict=True))
    if (sum(map(len, columns[0])) if columns else 0) != stop - start:
        raise _Irregular
    return columns


def _rows(pattern: re.Pattern[str], text: str) -> list[tuple[str, ...]]:
    """The members of a short list, each with its groups; they must leave nothing out."""
    rows = pattern.findall(text)
    if sum([len(row[0]) for row in rows]) != len(text):
        raise _Irregular
    return rows


def _pieces(inner: str, end: str) -> list[str]:
    """What stands before each end tag; nothing may follow the last."""
    pieces = inner.split(end)
    if pieces.pop().strip(" \n"):
        raise _Irregular
    return pieces


def _inner(text: str, at: int, end: int) -> str:
    """What is in an element, from its start tag to where its end tag begins."""
    match = _LIST.match(text, at)
    if match is None or match.end() > end:
        raise _Irregular
    _attributes(match.group(1))
    return text[match.end() : end]


def _one(pattern: re.Pattern[str], text: str, at: int) -> str:
    match = pattern.match(text, at)
    if match is None:
        raise _Irregular
    return match.group(1)


def _blank(text: str, at: int) -> int:
    """How many blanks stand before the next tag, with nothing else."""
    blanks = text.find("<", at) - at
    if blanks < 0 or text[at : at + blanks].strip(" \n"):
        raise _Irregular
    return blanks


# --- texts -----------------------------------------------------------------------------------


def _tidy(texts: Sequence[str]) -> bool:
    """Whether texts are without markup and as the XML parser and `squeezed` would give them."""
    joined = "\0".join(texts)  # which is in no text: XML forbids it
    return not (
        "&" in joined
        or "<" in joined
        or "\n" in joined
        or "  " in joined
        or "\0 " in joined
        or " \0" in joined
        or joined.startswith(" ")
        or joined.endswith(" ")
    )


def _clean(text: str) -> str:
    """Text without markup as the XML parser and `squeezed` give it."""
    if "&" in text:
        text = _unescaped(text)
    if "  " in text or "\n" in text:
        return squeezed(text)
    return text.strip(" ")


def _flat(text: str) -> str:
    """Text that may hold markup; by the XML parser where that is more than italics and the like."""
    if "<" not in text:
        return _clean(text)
    parts = _INLINE.split(text)
    plain = "".join(parts[::3])
    if "<" in plain or not _balanced(parts):
        return flat(_parsed(f"<t>{text}</t>"))
    return _clean(plain)


def _balanced(parts: list[str]) -> bool:
    """Whether each start tag has its end tag, the inner before the outer."""
    open_tags: list[str] = []
    for closing, name in zip(parts[1::3], parts[2::3], strict=True):
        if not closing:
            open_tags.append(name)
        elif not open_tags or open_tags.pop() != name:
            return False
    return not open_tags


def _parsed(text: str) -> Element:
    try:
        return tree(text.encode())
    except ValueError:
        raise _Irregular from None


def _unescaped(text: str) -> str:
    """Characters in place of references; every ``&`` must begin one that XML itself defines."""

    plain, found = _CHARACTER.subn(_character, text)
    if found != text.count("&"):
        raise _Irregular
    return plain


def _character(match: re.Match[str]) -> str:
    name, hexadecimal, decimal = match.groups()
    if name:
        return _NAMED[name]
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    if not (0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF):
        raise _Irregular
    return chr(code)


@lru_cache(maxsize=8192)
def _attributes(given: str) -> Mapping[str, str]:
    if not _ATTRIBUTES.fullmatch(given):
        raise _Irregular
    pairs = _ATTRIBUTE.findall(given)
    named = {name: _unescaped(value) for name, value in pairs}
    if len(named) != len(pairs):
        raise _Irregular
    return named


@lru_cache(maxsize=4096)
def _day(year: str | None, month: str | None, day: str | None) -> str | None:
    whole = iso(year or "", month or "", day or "")
    return whole if whole and len(whole) == 10 else None


def _pages(start: str | None, end: str | None, both: str | None) -> str:
    first, last = _clean(start) if start else "", _clean(end) if end else ""
    return (_clean(both) if both else "") or "-".join(filter(None, (first, last)))


# --- parts that come again and again ---------------------------------------------------------


@lru_cache(maxsize=8192)
def _journal(
    issn_kind: str | None,
    issn: str | None,
    title: str | None,
    abbreviation: str | None,
    country: str | None,
    medline: str,
    nlm_id: str | None,
    linking: str | None,
) -> Journal:
    kind = _attributes(issn_kind or "").get("IssnType", "")
    printed = _clean(issn or "") or None
    return Journal(
        title=_clean(title or ""),
        iso=_clean(abbreviation or ""),
        medline=_clean(medline),
        issn_print=printed if kind == "Print" else None,
        issn_electronic=printed if kind == "Electronic" else None,
        issn=printed if kind in ("", "Undetermined") else None,
        issn_linking=_clean(linking or "") or None,
        nlm_id=_clean(nlm_id or ""),
        country=_clean(country or ""),
    )


@lru_cache(maxsize=1024)
def _languages(elements: str) -> tuple[str, ...]:
    return tuple([text for _, raw in _rows(_LANGUAGE, elements) if (text := _clean(raw))])


@lru_cache(maxsize=1024)
def _subsets(elements: str) -> tuple[str, ...]:
    return tuple([text for _, raw in _rows(_SUBSET, elements) if (text := _clean(raw))])


@lru_cache(maxsize=4096)
def _label(given: str) -> tuple[str, str]:
    named = _attributes(given)
    return squeezed(named.get("Label", "")), named.get("NlmCategory", "")


@lru_cache(maxsize=8192)
def _kinds(elements: str) -> tuple[Term, ...]:
    columns = _columns(_KIND, elements)
    if not columns:
        return ()
    named = [(_clean(raw), _attributes(a)) for _, a, raw in zip(*columns, strict=True)]
    return tuple([Term(name, a.get("UI", ""), a.get("Type", "")) for name, a in named if name])


@lru_cache(maxsize=16384)
def _chemical(piece: str) -> Chemical:
    match = _CHEMICAL.match(piece)
    if match is None:
        raise _Irregular
    registry, given, name = match.groups()
    return Chemical(_clean(name), _attributes(given).get("UI", ""), _clean(registry))


@lru_cache(maxsize=32768)
def _heading(piece: str) -> tuple[Heading, str]:
    """The heading, and its text."""
    match = _HEADING.match(piece)
    if match is None:
        raise _Irregular
    given, name, qualifiers = match.groups()
    marks = _attributes(given)
    columns = _columns(_QUALIFIED, qualifiers)
    heading = Heading(
        name=_clean(name),
        ui=marks.get("UI", ""),
        major=marks.get("MajorTopicYN") == "Y",
        kind=marks.get("Type", ""),
        qualifiers=tuple(map(_qualifier, *columns[1:])) if columns else (),
        auto=marks.get("AutoHM") == "Y",
    )
    return heading, heading.text


def _qualifier(given: str, name: str) -> Qualifier:
    marks = _attributes(given)
    major, auto = marks.get("MajorTopicYN") == "Y", marks.get("AutoHM") == "Y"
    return Qualifier(_clean(name), marks.get("UI", ""), major, auto)


@lru_cache(maxsize=32768)
def _step(piece: str) -> HistoryDate:
    match = _STEP.match(piece)
    if match is None:
        raise _Irregular
    given, year, month, day, hour, minute = match.groups()
    when = iso(year, month, day)
    if when is None:
        raise _Irregular
    time = f"{int(hour):02d}:{int(minute or 0):02d}" if hour else ""
    return HistoryDate(_attributes(given).get("PubStatus", ""), when, time)


def _locations(
    given: str | None, text: str | None, given_2: str | None, text_2: str | None
) -> tuple[Location, ...]:
    found = []
    for attributes, raw in ((given, text), (given_2, text_2)):
        if attributes is not None and raw is not None:
            kind, valid = _location(attributes)
            if place := _clean(raw):
                found.append(Location(kind, place, valid))
    return tuple(found)


@lru_cache(maxsize=64)
def _location(given: str) -> tuple[str, bool]:
    named = _attributes(given)
    return named.get("EIdType", ""), named.get("ValidYN") != "N"


def _grants(elements: str) -> tuple[Grant, ...]:
    columns = _columns(_GRANT, elements)
    return tuple(starmap(Grant, zip(*[map(_clean, c) for c in columns[1:]], strict=True)))


def _identifiers(elements: str) -> tuple[tuple[str, str], ...]:
    found = []
    for _, given, raw in _rows(_KNOWN_AS, elements):
        source, text = _source(given), _clean(raw)
        if text:
            found.append((source, text))
    return tuple(found)


@lru_cache(maxsize=256)
def _source(given: str) -> str:
    return _attributes(given).get("Source", "")


_NOWHERE: tuple[tuple[str, ...], tuple[tuple[str, str], ...]] = ((), ())


def _affiliations(places: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    names: list[str] = []
    ids: tuple[tuple[str, str], ...] = ()
    for _, raw, known_as in _rows(_PLACED, places):
        if name := _flat(raw):
            names.append(name)
        if known_as:
            ids += _identifiers(known_as)
    return tuple(names), ids


def _ids(elements: str) -> list[tuple[str, str]]:
    columns = _columns(_ID, elements)
    if not columns:
        return []
    _, given, texts = columns
    if not _tidy(texts):
        texts = tuple(map(_clean, texts))
    return [pair for pair in zip(map(_id_kind, given), texts, strict=True) if pair[1]]


@lru_cache(maxsize=256)
def _id_kind(given: str) -> str:
    return _attributes(given).get("IdType", "pubmed")
