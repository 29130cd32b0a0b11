"""Records written as NLM writes them, read without building a tree: several times as fast.

Only a record of which every byte is accounted for is read here: each element is matched as a whole
and from where the one before it ended, so that nothing can be skipped. Anything else (a comment,
CDATA, an element or an attribute in another place, a character that XML forbids, the name of an
entity) leaves the record to `evidence.pubmed.citations`. Text with markup, but for italics and the
like, and the rarer elements go through the XML parser by themselves. Both ways give the same
record.

Three things make it fast: what is in a list is matched at once and handled column by column, what
comes again in other records (journals, headings, days) is looked up as it is written, and texts are
put right together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from evidence.model import Author, Cited, Heading, Keyword, Record, labelled
from evidence.pubmed import regular_lists as lists
from evidence.pubmed import regular_parts as parts
from evidence.pubmed import regular_patterns as p
from evidence.pubmed.citations import Rare, databanks_of, pmcid_of, rare_parts
from evidence.pubmed.regular_text import ATTRIBUTES, Irregular, clean, flat, parsed
from evidence.pubmed.xml_parts import doi_of, is_retracted, number
from evidence.pubmed.xml_text import CONTROL, Element, has_no_character

_BLANKS = bytes(0x20 if b in b"\t\n\r" else b for b in range(256))  # they are one to XML
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

_NOTHING_RARE = Rare()


def regular_record(data: bytes, *, plain: bool = False) -> Record | None:
    """The record of a ``PubmedArticle``; ``None`` where it is not written as NLM writes them.

    Parameters
    ----------
    data : bytes
        The whole element, in UTF-8.
    plain : bool
        Whether it is known to hold no control character but line feeds, and none that XML forbids.
    """
    try:
        if plain:
            try:
                return _record(data.decode())
            except Irregular:
                pass  # perhaps only its blanks are
        data = data.replace(b"\r\n", b"\n")  # which are one line end to XML
        blank = data.translate(_BLANKS, CONTROL)
        if len(blank) != len(data) or has_no_character(data):
            return None
        return _record(blank.decode())
    except (Irregular, UnicodeDecodeError):
        return None


def _record(text: str) -> Record:
    head = p.HEAD.match(text)
    if head is None:
        raise Irregular
    (
        cited,
        numbered,
        pmid,
        created,
        completed,
        revised,
        article,
        issn,
        issued,
        volume,
        issue,
        published,
        named,
        title,
        start,
        end,
        pages,
        located,
        place,
        located_2,
        place_2,
    ) = head.groups()
    sections, copyright, at = _abstract(text, head.end())
    people, authors, people_complete, at = _authors(text, at)
    tail = p.TAIL.match(text, at)
    if tail is None:
        raise Irregular
    (
        spoken,
        banks,
        granted,
        grants,
        kinds,
        vernacular_title,
        appeared,
        electronic,
        catalogue,
        chemicals,
        subsets,
    ) = tail.groups()
    headings, mesh, keyword_list, more_subsets, references_stated, conflict, elements, at = _rest(
        text, tail.end()
    )
    history, publication_status, ids, known, references = _data(text, at)
    status, owner, indexing, version_date = parts.CITATIONS[cited]
    periodical, journal = parts.PERIODICALS[issn + named + catalogue]
    pubdate, year = parts.PUBLISHED[published]
    languages, language = parts.LANGUAGES[spoken]
    publication_types, kinds, retracted = parts.KINDS[kinds]
    if electronic:
        ATTRIBUTES[appeared]
        electronic = parts.DAYS[electronic]
        if electronic and year is None:
            year = int(electronic[:4])
    locations = lists.locations(located, place, located_2, place_2) if located is not None else ()
    rare = rare_parts(elements) if elements else _NOTHING_RARE
    return Record.quickly(
        pmid,
        flat(title) if title else "",
        labelled(sections) if sections else "",  # abstract
        authors,
        year,
        journal,
        known.get("doi") or doi_of((), locations),
        known.get("pmc") or pmcid_of(ids, rare.other_ids),
        mesh,
        kinds,
        tuple([keyword.text for keyword in keyword_list]),  # keywords
        language,
        status,
        parts.VERSIONS[numbered],
        retracted or (bool(rare.notices) and is_retracted(kinds, rare.notices)),
        rare.notices,
        parts.DAYS[revised] if revised else None,
        flat(vernacular_title) if vernacular_title else "",
        sections,
        copyright,
        rare.other_abstracts,
        people,
        people_complete,
        rare.investigators,
        periodical,
        _short(volume) if volume else "",
        _short(issue) if issue else "",
        _pages(start, end, pages),
        parts.MEDIUMS[issued],
        parts.MODELS[article],
        pubdate,
        electronic,
        parts.DAYS[created] if created else None,
        parts.DAYS[completed] if completed else None,
        history,
        publication_status,
        headings,
        rare.supplementary,
        _chemicals(chemicals) if chemicals else (),
        publication_types,
        keyword_list,
        rare.genes,
        lists.grants(grants) if grants else (),
        parts.COMPLETE[granted] if granted else True,  # grants_complete
        databanks_of({"DataBankList": [parsed(banks)]}) if banks else (),
        rare.subjects,
        ids,
        locations,
        rare.other_ids,
        languages,
        owner,
        indexing,
        version_date,
        parts.SUBSETS[subsets] + more_subsets if subsets else more_subsets,
        rare.corrections,
        references,
        references_stated,
        conflict,
        rare.notes,
        rare.missions,
        (),  # objects
        None,  # book
    )


def _abstract(text: str, at: int) -> tuple[Any, str, int]:
    """The sections of the abstract, its copyright and where it ends."""
    match = p.ABSTRACT.match(text, at)
    if match is None:
        return (), "", at
    end, after = _bounds(text, "</Abstract>", at)
    sections, copyright = lists.abstract(text, match.end(), end)
    return sections, copyright, after


def _authors(text: str, at: int) -> tuple[tuple[Author, ...], tuple[str, ...], bool, int]:
    """The authors, their names, whether they are all, and where their list ends."""
    match = p.AUTHORS.match(text, at)
    if match is None:
        return (), (), True, at
    end, after = _bounds(text, "</AuthorList>", at)
    found, names = lists.authors(text, match.end(), end)
    return found, names, parts.COMPLETE[match.group(1)], after


def _chemicals(inner: str) -> tuple[Any, ...]:
    return tuple([parts.CHEMICALS[piece] for piece in _pieces(inner, "</Chemical>")])


def _rest(text: str, at: int) -> tuple[Any, ...]:
    """What follows the article in a citation, and where the citation ends.

    Headings, their texts, keywords, citation subsets, number of references, conflict of interest;
    rarer elements as the XML parser gives them, by name.
    """
    headings: tuple[Heading, ...] = ()
    mesh: tuple[str, ...] = ()
    keywords: tuple[Keyword, ...] = ()
    subsets: tuple[str, ...] = ()
    stated: int | None = None
    conflict = ""
    rare: dict[str, list[Element]] = {}
    while not text.startswith("</MedlineCitation>", at):
        tag = p.NEXT.match(text, at)
        if tag is None:
            raise Irregular
        name, given = tag.groups()
        mark = f"</{name}>"
        end, after = _bounds(text, mark, at)
        if name == "MeshHeadingList":
            if given:
                ATTRIBUTES[given]
            pieces = _pieces(text[tag.end() : end], "</MeshHeading>")
            if pieces:
                each: Iterable[Any] = zip(*[parts.HEADINGS[piece] for piece in pieces], strict=True)
                some, texts = each
                headings += some
                mesh += texts
        elif name == "KeywordList":
            owner = ATTRIBUTES[given].get("Owner", "NLM")
            keywords += lists.keywords(text, tag.end(), end, owner)
        elif name == "CoiStatement" and not conflict:
            conflict = flat(_one(p.CONFLICT, text, at))
        elif name == "NumberOfReferences" and stated is None:
            stated = number(clean(_one(p.COUNT, text, at)))
        elif name == "CitationSubset":
            some = p.SUBSETS.match(text, at, after)
            if some is None or some.end() != after:  # as the pattern also matches nothing
                raise Irregular
            subsets += parts.SUBSETS[some.group(1)]
        else:
            element = parsed(text[tag.start(1) - 1 : end + len(mark)])
            if name not in _RARE or element.tag != name:
                raise Irregular
            rare.setdefault(name, []).append(element)
        at = after
    return headings, mesh, keywords, subsets, stated, conflict, rare, at


def _data(text: str, at: int) -> tuple[Any, str, Any, dict[str, str], tuple[Cited, ...]]:
    """What PubMed adds: the history, the status, the ids, the first of each kind of them, and the
    works that the article cites."""
    begin = p.HISTORY.match(text, at)
    if begin is None:
        raise Irregular
    end = _found(text, "</History>", begin.end())
    pieces = _pieces(text[begin.end() : end], "</PubMedPubDate>")
    history = tuple([parts.STEPS[piece] for piece in pieces])
    status = p.IDS.match(text, end)
    if status is None:
        raise Irregular
    end = _found(text, "</ArticleIdList>", status.end())
    ids, known = lists.ids(text, status.end(), end)
    after = p.AFTER_IDS.match(text, end)
    if after is None:
        raise Irregular
    references = () if after.group(1) else _references(text, after.end())
    return history, parts.STATUSES[status.group(1)], ids, known, references


def _references(text: str, at: int) -> tuple[Cited, ...]:
    """The works that the article cites, of all its lists, up to the end of the record."""
    found: tuple[Cited, ...] = ()
    while match := p.REFERENCES.match(text, at):
        clean(match.group(1) or "")
        end, at = _bounds(text, "</ReferenceList>", match.end())
        found += lists.references(text, match.end(), end)
    if not p.END.match(text, at):
        raise Irregular
    return found


# --- moving on -------------------------------------------------------------------------------


def _found(text: str, mark: str, at: int) -> int:
    end = text.find(mark, at)
    if end < 0:
        raise Irregular
    return end


def _bounds(text: str, mark: str, at: int) -> tuple[int, int]:
    """Where an end tag stands, and where the tag after it begins; blanks alone may be between."""
    end = text.find(mark, at)
    after = end + len(mark)
    following = text.find("<", after)
    if end < 0 or following < 0 or text[after:following].strip(" \n"):
        raise Irregular
    return end, following


def _pieces(inner: str, end: str) -> list[str]:
    """What stands before each end tag; nothing may follow the last."""
    pieces = inner.split(end)
    if pieces.pop().strip(" \n"):
        raise Irregular
    return pieces


def _one(pattern: Any, text: str, at: int) -> str:
    match = pattern.match(text, at)
    if match is None:
        raise Irregular
    found: str = match.group(1)
    return found


def _short(text: str) -> str:
    return text if text.isalnum() else clean(text)


def _pages(start: str | None, end: str | None, both: str | None) -> str:
    if both and (pages := clean(both)):
        if start:
            clean(start)
        if end:
            clean(end)
        return pages
    first, last = clean(start) if start else "", clean(end) if end else ""
    return "-".join(filter(None, (first, last)))
