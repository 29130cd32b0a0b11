"""What in a record nearly matches a term that does not find it, and what would.

For a known relevant record that a concept misses: its own words and headings beside the term that
came closest, and the change of the strategy that would take it in. Proposals, by likeness of
spelling and by place; whether they are worth their cost in other records is for a searcher.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from evidence.query.fields import FIELDS, Field
from evidence.query.match import Seen
from evidence.query.questions import key
from evidence.query.show import show
from evidence.query.tree import Dates, Heading, Node, Tag, Term, leaves
from evidence.query.words import SHORTEST_STEM, pattern, words

CLOSE = 0.8  # likeness of two words from which one may be meant by the other
SHOWN = 3  # proposals for one concept
_CONTEXT = 3  # words on either side of what nearly matched
_FARTHEST = 12  # words between those of a phrase that still stand together

# In a reader's words; parts that are searched by [tiab] come first.
_PLACES = {
    "title": "title",
    "abstract": "abstract",
    "keywords": "author keywords",
    "other_abstracts": "other abstract",
    "collection_title": "title of the collection",
    "headings": "MeSH headings",
    "supplementary": "supplementary concepts",
    "substances": "substances",
    "vernacular_title": "vernacular title",
    "kinds": "publication types",
    "affiliations": "affiliations",
}


@dataclass(frozen=True, slots=True)
class Near:
    """Something of the record that a term just misses."""

    term: str  # as in the strategy
    found: str  # the record's own words
    where: str  # in which part of it
    try_: str  # what would find it, in PubMed's language; "" where nothing can
    why: str
    score: float  # 0 to 1, for the order

    def __str__(self) -> str:
        remedy = f"; {self.try_} would find it" if self.try_ else ""
        return f'{self.term} nearly matches "{self.found}" ({self.where}): {self.why}{remedy}'


def nearly(node: Node, seen: Seen, *, most: int = SHOWN) -> tuple[Near, ...]:
    """The closest misses of a concept in a record, the closest first.

    Parameters
    ----------
    node : Node
        A concept that the record does not have.
    """
    found: dict[str, Near] = {}
    for leaf in leaves(node):
        for near in _of(leaf, seen):
            known = found.get(near.try_ or near.found)
            if known is None or known.score < near.score:
                found[near.try_ or near.found] = near
    return tuple(sorted(found.values(), key=lambda n: (-n.score, n.term))[:most])


def _of(leaf: Node, seen: Seen) -> Iterator[Near]:
    if isinstance(leaf, Heading):
        yield from _heading(leaf, seen)
    elif isinstance(leaf, Dates):
        yield from _date(leaf, seen)
    elif isinstance(leaf, Term):
        known = leaf.tag.known if leaf.tag else FIELDS["all"]
        if known is None:
            return
        if known.kind in ("words", "all"):
            yield from _words(leaf, known, seen)
        elif known.tag in ("pt", "la", "sb", "ta"):
            yield from _value(leaf, known, seen)


# ---------------------------------------------------------------------------- running words


def _words(term: Term, known: Field, seen: Seen) -> Iterator[Near]:
    wanted = pattern(term.text)
    if not wanted.words:
        return
    tag = term.tag or Tag("tiab")
    if len(wanted.words) > 1:
        yield from _apart(term, tag, wanted.words, known, seen)
        yield from _one_form_changed(term, tag, wanted.words, known, seen)
    else:
        yield from _like(term, wanted.words[0], known, seen)
    yield from _elsewhere(term, known, seen)


def _texts(seen: Seen, parts: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    for part in parts:
        if part not in seen.record.lacks:
            for cut in seen.words(part):
                yield part, cut


def _apart(term: Term, tag: Tag, wanted: Sequence[str], known: Field, seen: Seen) -> Iterator[Near]:
    """All the words stand in one text, too far apart or in another order."""
    for part, cut in _texts(seen, known.parts):
        stretch = _shortest(wanted, cut)
        if stretch is None:
            continue
        begin, end = stretch
        between = end - begin - len(wanted)
        if between > _FARTHEST:
            continue
        now = f"at most {tag.near} words between" if tag.near is not None else "side by side"
        made = f'"{" ".join(wanted)}"[{known.tag}:~{between}]' if known.proximity else ""
        how = f"{between} word{'s' * (between != 1)} between them" if between else "another order"
        yield Near(
            show(term),
            " ".join(cut[begin:end]),
            _PLACES.get(part, part),
            made,
            f"{how}, asked for {now}",
            0.95 - 0.03 * between,
        )


def _shortest(wanted: Sequence[str], cut: Sequence[str]) -> tuple[int, int] | None:
    """The shortest stretch that holds all the words."""
    best: tuple[int, int] | None = None
    last: dict[str, int] = {}
    need = set(wanted)
    for at, word in enumerate(cut):
        if word not in need:
            continue
        last[word] = at
        if len(last) == len(need):
            begin = min(last.values())
            if best is None or at + 1 - begin < best[1] - best[0]:
                best = begin, at + 1
    return best


def _one_form_changed(
    term: Term, tag: Tag, wanted: Sequence[str], known: Field, seen: Seen
) -> Iterator[Near]:
    """A phrase of which one word stands in the record in another form."""
    most = tag.near or 0
    for part, cut in _texts(seen, known.parts):
        there = set(cut)
        absent = [word for word in wanted if word not in there]
        if len(absent) != 1:
            continue
        for form in sorted(_forms(absent[0], there)):
            changed = [form if word == absent[0] else word for word in wanted]
            stretch = _shortest(changed, cut)
            if stretch is None or stretch[1] - stretch[0] - len(wanted) > max(most, 3):
                continue
            between = stretch[1] - stretch[0] - len(wanted)
            text = " ".join(changed)
            suffix = f":~{max(most, between)}" if known.proximity else ""
            yield Near(
                show(term),
                " ".join(cut[stretch[0] : stretch[1]]),
                _PLACES.get(part, part),
                f'"{text}"[{known.tag}{suffix}]',
                f"{form} in place of {absent[0]}",
                0.9 * _likeness(absent[0], form),
            )


def _like(term: Term, wanted: str, known: Field, seen: Seen) -> Iterator[Near]:
    """A word of the record that is spelt nearly as the term."""
    told: set[str] = set()
    for part, cut in _texts(seen, known.parts):
        for form in sorted(_forms(wanted, set(cut)) - told):
            told.add(form)
            at = cut.index(form)
            yield Near(
                show(term),
                _around(cut, at),
                _PLACES.get(part, part),
                _taking_in(wanted, form, known),
                f"{form} is not {wanted}",
                _likeness(wanted, form),
            )


def _taking_in(wanted: str, form: str, known: Field) -> str:
    """The term that finds a form: truncated where one is the beginning of the other."""
    stem = wanted if form.startswith(wanted) else ""
    if len(stem) >= SHORTEST_STEM:
        return f"{stem}*[{known.tag}]"
    return f"{form}[{known.tag}]"


def _elsewhere(term: Term, known: Field, seen: Seen) -> Iterator[Near]:
    """The words stand in a part that the field does not read."""
    wanted = " ".join(words(term.text.replace("*", " ")))
    if not wanted:
        return
    for part, where in _PLACES.items():
        if part in known.parts or part in seen.record.lacks:
            continue
        for cut in seen.words(part):
            joined = " ".join(cut)
            begins = term.text.rstrip().endswith("*")
            if f" {wanted} " not in f" {joined} " and not (begins and f" {wanted}" in f" {joined}"):
                continue
            made = _field_for(part, term)
            why = f"[{known.tag}] does not read the {where}"
            yield Near(show(term), joined, where, made, why, 0.85)
            break


def _field_for(part: str, term: Term) -> str:
    """The term in a field that reads the part."""
    text = f'"{term.text}"' if term.quoted else term.text
    if part in FIELDS["tiab"].parts:
        return f"{text}[tiab]"
    if part in FIELDS["tw"].parts:
        return f"{text}[tw]"
    return {"vernacular_title": f"{text}[tt]", "affiliations": f"{text}[ad]"}.get(part, "")


# ---------------------------------------------------------------------------- headings and values


def _heading(heading: Heading, seen: Seen) -> Iterator[Near]:
    shown = show(heading)
    wanted = key(heading.name.replace("*", " "))
    there = seen.record.headings
    for one in there:
        name = key(one.name)
        if name == wanted:
            if heading.subheading is not None:
                loose = replace(heading, subheading=None)
                listed = ", ".join(q for q, _ in one.qualifiers) or "none"
                why = f"its subheadings are {listed}"
                yield Near(shown, one.name, "MeSH headings", show(loose), why, 0.95)
            elif heading.major:
                loose = replace(heading, tag=replace(heading.tag or Tag("mh"), field="mh"))
                why = "not as major topic"
                yield Near(shown, one.name, "MeSH headings", show(loose), why, 0.95)
            continue
        score = _shared(wanted.split(), name.split())
        if score >= 0.5:
            why = "another heading with the same words"
            yield Near(shown, one.name, "MeSH headings", f'"{one.name}"[mh]', why, 0.9 * score)
    text = Term(wanted, " " in wanted, Tag("tiab"))
    for part, cut in _texts(seen, FIELDS["tiab"].parts):
        joined = f" {' '.join(cut)} "
        at = joined.find(f" {wanted} ")
        if wanted and at >= 0:
            before = joined[:at].count(" ")
            made = f'"{wanted}"[tiab:~0]' if text.quoted else f"{wanted}[tiab]"
            why = "the record has the words of the heading, " + (
                "not the heading" if there else "and no headings yet"
            )
            where = _PLACES.get(part, part)
            yield Near(shown, _around(cut, before, wanted.count(" ") + 1), where, made, why, 0.9)
            return
    for part, cut in _texts(seen, FIELDS["tiab"].parts):
        if " " in wanted or not wanted:
            return
        for form in sorted(_forms(wanted, set(cut))):
            made = _taking_in(wanted, form, FIELDS["tiab"])
            why = "a word like the heading"
            where = _PLACES.get(part, part)
            near = _around(cut, cut.index(form))
            yield Near(shown, near, where, made, why, 0.8 * _likeness(wanted, form))


def _date(dates: Dates, seen: Seen) -> Iterator[Near]:
    known = dates.tag.known
    if known is None:
        return
    kinds = ("publication", "electronic") if known.tag == "dp" else known.parts
    days = [day for kind in kinds for day in seen.record.dates.get(kind, ())]
    if days:
        shown = ", ".join(sorted({f"{day:%Y/%m/%d}" for day in days}))
        yield Near(show(dates), shown, known.where, "", "outside the range", 0.99)


def _value(term: Term, known: Field, seen: Seen) -> Iterator[Near]:
    parts = {"sb": ("status",), "la": ("languages",), "pt": ("kinds",), "ta": ("journal_names",)}
    values: list[str] = []
    for part in parts[known.tag]:
        if part in seen.record.lacks:
            continue
        value = getattr(seen.record, part)
        values += [value] if isinstance(value, str) else value
    if values:
        shown = ", ".join(values)
        yield Near(show(term), shown, known.where, "", "what it has in place of it", 0.6)


# ---------------------------------------------------------------------------- likeness


def _forms(wanted: str, there: Iterable[str]) -> set[str]:
    """Words that may be meant by another: the same beginning, or a slip of the pen."""
    return {
        word
        for word in there
        if word != wanted
        and min(len(word), len(wanted)) >= SHORTEST_STEM
        and word[:2] == wanted[:2]
        and _likeness(wanted, word) >= CLOSE
    }


def _likeness(one: str, other: str) -> float:
    """0 to 1: by letters in common, or by a common beginning of five letters and two thirds."""
    ratio = difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()
    same = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        same += 1
    if same >= 5 and same >= 2 / 3 * min(len(one), len(other)):
        ratio = max(ratio, CLOSE + 0.2 * same / max(len(one), len(other)))
    return ratio


def _shared(one: Sequence[str], other: Sequence[str]) -> float:
    """Share of the shorter name's words that stand in the other too."""
    both = set(one) & set(other)
    return len(both) / min(len(set(one)), len(set(other))) if one and other else 0.0


def _around(cut: Sequence[str], at: int, size: int = 1) -> str:
    """A place in a text with some words on either side."""
    return " ".join(cut[max(0, at - _CONTEXT) : at + size + _CONTEXT])
