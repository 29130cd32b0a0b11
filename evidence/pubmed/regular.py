"""Records written as NLM writes them, read without building a tree: many times as fast.

Only a record of which every byte is accounted for is read here (`shapes`); anything else leaves the
record to `evidence.pubmed.citations`. Text with markup, but for italics and the like, and the rarer
elements go through the XML parser by themselves. Both ways give the same record.

The reader is compiled when the package is installed. Where there was no C compiler, all is left to
the XML parser.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from evidence.model import Author, Cited, Keyword, Record, labelled
from evidence.pubmed import recurring as known
from evidence.pubmed.citations import Rare, databanks_of, pmcid_of, rare_parts
from evidence.pubmed.people import orcid
from evidence.pubmed.regular_text import Irregular, parsed
from evidence.pubmed.xml_parts import cited, doi_of, is_pmid, is_retracted, number
from evidence.pubmed.xml_text import Element
from evidence.pubmed.xml_text import text as text_of

if TYPE_CHECKING:
    from evidence.pubmed.shapes import Found

try:
    from evidence.pubmed.shapes import ARTICLE
except ModuleNotFoundError as fault:
    if fault.name != "evidence.pubmed._shapes":
        raise
    COMPILED = False
else:
    COMPILED = True

_BLANKS = bytes(0x20 if b in b"\t\n\r" else b for b in range(256))  # they are one to XML
_NOTHING_RARE = Rare()
_ORCID = Author._fields.index("orcid")
_IDENTIFIERS = Author._fields.index("identifiers")
_OTHERS = Cited._fields.index("ids")
_author = partial(tuple.__new__, Author)


def regular_record(data: bytes) -> Record | None:
    """The record of a ``PubmedArticle``; ``None`` where it is not written as NLM writes them.

    Parameters
    ----------
    data : bytes
        The whole element, in UTF-8.
    """
    if not COMPILED:
        return None
    try:
        found = ARTICLE.read(data, _marked)
        if found is None and (b"\t" in data or b"\r" in data):
            # Of these, a line end of two is one to XML.
            found = ARTICLE.read(data.replace(b"\r\n", b"\n").translate(_BLANKS), _marked)
        return None if found is None else _record(found)
    except (Irregular, UnicodeDecodeError):
        return None


def _marked(text: str) -> str:
    """Text with other markup than italics and the like, by the XML parser.

    What structures a record has a capital letter, and no place in a text: whoever looks for it in
    any depth, as for references, would find it there.
    """
    element = parsed(f"<t>{text}</t>")
    if any(each.tag[0].isupper() for each in element.iter()):
        raise Irregular
    return text_of(element)


def _record(f: Found) -> Record:
    if not is_pmid(f.pmid):
        raise Irregular
    people = f.people
    for author in people:
        if author[_IDENTIFIERS]:
            people = _with_orcids(people)
            break
    references = f.references
    for reference in references:
        if reference[_OTHERS]:
            references = tuple(map(_sorted, references))
            break
    year = f.year
    if year is None and f.electronic:
        year = int(f.electronic[:4])
    journal, journal_name = known.JOURNALS[
        f.issn_kind,
        f.issn,
        f.journal_title,
        f.journal_iso,
        f.country,
        f.journal_medline,
        f.nlm_id,
        f.issn_linking,
    ]
    ids, locations = f.ids, f.locations
    keywords = _keywords(f.keyword_lists) if f.keyword_lists else ()
    rare = rare_parts(_by_name(f.rare)) if f.rare else _NOTHING_RARE
    languages = f.languages
    return Record.quickly(
        f.pmid,
        f.title,
        labelled(f.sections) if f.sections else "",  # abstract
        _names(people),
        year,
        journal_name,
        doi_of(ids, locations),
        pmcid_of(ids, rare.other_ids),
        f.mesh,
        f.kinds,
        tuple([keyword[0] for keyword in keywords]),
        languages[0] if len(languages) == 1 else ", ".join(languages),
        f.status,
        f.version,
        f.retracted or (bool(rare.notices) and is_retracted(f.kinds, rare.notices)),
        rare.notices,
        f.revised,
        f.vernacular_title,
        f.sections,
        f.copyright,
        rare.other_abstracts,
        people,
        f.people_complete,
        rare.investigators,
        journal,
        f.volume,
        f.issue,
        f.pages or "-".join(filter(None, (f.first_page, f.last_page))),
        f.medium,
        f.model,
        f.pubdate,
        f.electronic,
        f.created,
        f.completed,
        f.history,
        f.publication_status,
        f.headings,
        rare.supplementary,
        f.chemicals,
        f.publication_types,
        keywords,
        rare.genes,
        f.grants,
        f.grants_complete,
        databanks_of({"DataBankList": [parsed(f.banks)]}) if f.banks else (),
        rare.subjects,
        ids,
        locations,
        rare.other_ids,
        languages,
        f.owner,
        f.indexing,
        f.version_date,
        f.subsets,
        rare.corrections,
        references,
        number(f.references_stated) if f.references_stated else None,
        f.conflict,
        rare.notes,
        rare.missions,
        (),  # objects
        None,  # book
    )


def _with_orcids(people: Sequence[Author]) -> tuple[Author, ...]:
    return tuple([_with_orcid(person) if person[_IDENTIFIERS] else person for person in people])


def _with_orcid(person: Author) -> Author:
    fields: list[Any] = list(person)
    fields[_ORCID] = orcid(person.identifiers)
    return _author(fields)


def _names(people: Sequence[Author]) -> tuple[str, ...]:
    """The names of authors, of whom none may be without."""
    found = []
    for person in people:
        last, _, initials, suffix, _, _, _, _, valid, *_ = person
        if last and initials and not suffix:
            name = f"{last} {initials}"
        elif not (name := person.name):
            raise Irregular
        if valid:
            found.append(name)
    return tuple(found)


def _sorted(reference: Cited) -> Cited:
    """A reference that has ids without a place of their own."""
    others = reference[_OTHERS]
    if not others:
        return reference
    usual = (("doi", reference.doi), ("pubmed", reference.pmid), ("pmc", reference.pmcid))
    return cited(reference.citation, [*((kind, known) for kind, known in usual if known), *others])


def _keywords(lists: Sequence[tuple[str, tuple[Keyword, ...]]]) -> tuple[Keyword, ...]:
    found: tuple[Keyword, ...] = ()
    for owner, words in lists:
        if owner != known.USUAL_OWNER:
            words = tuple([Keyword(word.text, owner, word.major) for word in words])
        found += words
    return found


def _by_name(elements: Sequence[str]) -> dict[str, list[Element]]:
    found: dict[str, list[Any]] = {}
    for written in elements:
        element = parsed(written)
        found.setdefault(element.tag, []).append(element)
    return found
