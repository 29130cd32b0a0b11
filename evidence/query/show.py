"""A tree back as text: canonical, or in plain words line by line."""

from __future__ import annotations

from dataclasses import replace

from evidence.query.fields import FIELDS
from evidence.query.tree import (
    Combination,
    Dates,
    Flag,
    Heading,
    Last,
    Node,
    Nothing,
    PmidRange,
    Pmids,
    SetName,
    Tag,
    TaggedGroup,
    Term,
)
from evidence.query.words import pattern


def show(node: Node) -> str:
    """The query in canonical form: short tags, upper-case operators, every group in parentheses.

    Reading it again gives the same tree, so it no longer depends on the order from left to right.
    """
    match node:
        case Combination(operator, parts):
            return f" {operator} ".join(_grouped(part) for part in parts)
        case TaggedGroup(inside, tag):
            return f"({show(inside)}){_tag(tag)}"
        case Term(text, quoted, tag):
            return _quoted(text, quoted) + _tag(tag)
        case Heading(name, subheading, quoted, tag):
            whole = f"{name}/{subheading}" if subheading else name
            return _quoted(whole, quoted) + _tag(tag)
        case Dates(low, high, tag):
            return (low if high is None else f"{low}:{high}") + _tag(tag)
        case Last(number, unit, tag):
            return f'"last {number} {unit}"{_tag(tag)}'
        case Pmids(numbers):
            return " ".join(map(str, numbers)) + "[pmid]"
        case PmidRange(low_number, high_number):
            return f"{low_number}:{high_number}[pmid]"
        case Flag(name):
            return name
        case SetName(name):
            return f"#{name}"
        case Nothing():
            return "()"


def tagged(node: Node, tag: Tag) -> Node:
    """The same tree with a tag on each untagged term."""
    match node:
        case Combination(operator, parts):
            return replace(node, operator=operator, parts=tuple(tagged(p, tag) for p in parts))
        case TaggedGroup(inside, _):
            return replace(node, inside=tagged(inside, tag))
        case Term() if node.tag is None:
            return replace(node, tag=tag)
        case _:
            return node


def explain(node: Node) -> list[str]:
    """The query in plain words, one line for each part, indented by what it belongs to."""
    lines: list[str] = []
    _explain(node, 0, "", lines)
    return lines


def in_words(node: Node) -> str:
    """One term, heading, date or switch in plain words."""
    match node:
        case Term():
            return _term_in_words(node)
        case Heading():
            return _heading_in_words(node)
        case Dates(low, high, tag):
            where = _where(tag)
            return f"{where} in {low}" if high is None else f"{where} from {low} to {_end(high)}"
        case Last(number, unit, tag):
            many = unit if number != 1 else unit.removesuffix("s")
            return f"{_where(tag)} in the last {number} {many}, counted back from today"
        case Pmids(numbers):
            return f"PMID {', '.join(map(str, numbers))}"
        case PmidRange(low_pmid, high_pmid):
            return f"PMIDs from {low_pmid} to {high_pmid}"
        case Flag(name):
            return f"the switch {name}"
        case SetName(name):
            return f"line {name} of the search history" if name.isdigit() else f"the set {name}"
        case TaggedGroup(_, tag):
            return f"a group whose tag [{tag.field}] PubMed ignores"
        case Nothing():
            return "nothing"
        case Combination():
            return show(node)


def _explain(node: Node, depth: int, prefix: str, lines: list[str]) -> None:
    indent = "  " * depth
    if isinstance(node, TaggedGroup):
        lines.append(f"{indent}{prefix}{in_words(node)}:")
        _explain(node.inside, depth + 1, "", lines)
        return
    if not isinstance(node, Combination):
        lines.append(f"{indent}{prefix}{in_words(node)}")
        return
    if node.operator == "NOT":
        lines.append(f"{indent}{prefix}this, with something taken away:")
        _explain(node.parts[0], depth + 1, "", lines)
        for part in node.parts[1:]:
            _explain(part, depth + 1, "without ", lines)
        return
    lines.append(f"{indent}{prefix}{'all of' if node.operator == 'AND' else 'any of'}:")
    for part in node.parts:
        _explain(part, depth + 1, "", lines)


def _term_in_words(term: Term) -> str:
    where = _where(term.tag)
    known = term.tag.known if term.tag else None
    wanted = pattern(term.text)
    if known is not None and known.kind == "name":
        whose = f"exactly {term.text}" if term.quoted else f"{term.text}, any further initials"
        return f"{where}: {whose}"
    if known is not None and known.kind not in ("words", "all"):
        return f"{where}: {term.text}"
    if term.tag is not None and term.tag.near is not None:
        most = term.tag.near
        between = "no word" if most == 0 else f"at most {most} word{'s' * (most > 1)}"
        listed = ", ".join(f'"{word}"' for word in wanted.words)
        return f"the words {listed} in any order, {between} between them, in {where}"
    many = len(wanted.words) > 1
    stem = f'beginning with "{" ".join(wanted.words)}"' if wanted.is_prefix else ""
    what = (
        f"{'a phrase' if many else 'a word'} {stem}"
        if stem
        else f'the {"phrase" if many else "word"} "{" ".join(wanted.words) or term.text}"'
    )
    if term.tag is None and not term.quoted and not wanted.is_prefix:
        return f"{what}, mapped and widened by PubMed in its own way"
    return f"{what} in {where}"


def _heading_in_words(heading: Heading) -> str:
    role = "the major topic" if heading.major else "the heading"
    words = f"{role} {heading.name}"
    if heading.subheading:
        words += f" with its aspect {heading.subheading}"
    return words + (" and all narrower ones" if heading.explodes else " alone")


def _where(tag: Tag | None) -> str:
    if tag is None:
        return FIELDS["all"].where
    return tag.known.where if tag.known else f"[{tag.field}], which is no field of PubMed"


def _end(high: str) -> str:
    return "any later day" if high.startswith("3000") else high


def _grouped(node: Node) -> str:
    return f"({show(node)})" if isinstance(node, Combination) else show(node)


def _quoted(text: str, quoted: bool) -> str:
    return f'"{text}"' if quoted else text


def _tag(tag: Tag | None) -> str:
    if tag is None:
        return ""
    suffix = tag.suffix
    if tag.noexp:
        suffix = "noexp"
    elif tag.near is not None:
        suffix = f"~{tag.near}"
    return f"[{tag.field}:{suffix}]" if suffix else f"[{tag.field}]"
