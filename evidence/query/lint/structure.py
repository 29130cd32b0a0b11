"""Rules about how terms stand together, and about the text as a whole.

Sources are those of `evidence.query.lint.terms`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from evidence.query.blocks import Concept, is_controlled_only, outline
from evidence.query.findings import Finding, Places
from evidence.query.lint.rules import Rules
from evidence.query.show import show
from evidence.query.tree import (
    Combination,
    Flag,
    Heading,
    Node,
    Nothing,
    SetName,
    Span,
    TaggedGroup,
    Term,
    walk,
)
from evidence.query.words import pattern

MOST_WILDCARDS = 256  # in one query; above it PubMed answers with an error [measured 2026]

_FOREIGN = tuple(
    (re.compile(form), what)
    for form, what in (
        (r"(?i:\b(?:adj\d{0,2}|(?:near|next|pre)/\d{1,2}))\b", "a distance operator"),
        (r"(?<!\w)(?:NEAR|NEXT|ADJ)(?!\w)", "a distance operator"),
        (
            r"(?<=[\w*)\"])\.(?:ti|ab|tw|mp|kw|kf|hw|sh|pt|af|nm)(?:,\w\w)*(?:\.|(?=\s|\)|$))",
            "a field",
        ),
        (r"(?<!\w)exp\s+(?=\w[\w ,()-]*/)", "an explosion"),
        (r"/exp\b", "an explosion"),
        (r"(?<=\w):(?:ti|ab|kw|de)(?:,\w\w)*(?!\w)", "a field"),
        (r"\b(?:TS|TI|AB|AK|AU|SO|SU|TITLE|ABS|ALL|KP)=", "a field"),
        (r"\b(?:TITLE-ABS-KEY|TITLE|ABS|KEY)\s*(?=\()", "a field"),
        (r"(?<=\w\w)\$(?!\w)|(?<=\w)[?#$](?=\w)", "a wildcard"),
    )
)


class StructureRules(Rules):
    """Operators, repetitions, asterisks, foreign syntax, concepts of headings alone."""

    def run(self, unindexed: tuple[int, int] | None) -> None:
        for node in walk(self.tree):
            if isinstance(node, Combination):
                self.combination(node)
        self.wildcards()
        self.foreign()
        self.headings_alone(unindexed)

    def combination(self, node: Combination) -> None:
        first = node.parts[0]
        if (
            isinstance(first, Combination)
            and not first.in_parentheses
            and "OR" in (first.operator, node.operator)
        ):
            at = self.operator_between(first, node.parts[1])
            inner = self.text[first.at.start : first.at.end]
            self.findings.append(
                self.places.finding(
                    "mixed-operators",
                    "warning",
                    at[0],
                    at[1],
                    "OR beside AND or NOT without parentheses: PubMed reads strictly from left to "
                    f"right, as ({_short(inner)}) {node.operator} ...",
                    "put parentheses around what belongs together",
                )
            )
        if node.operator == "NOT":
            for part in node.parts[1:]:
                self.taken_away(part)
        if node.operator == "OR":
            self.duplicates(node)

    def operator_between(self, left: Node, right: Node) -> tuple[int, int]:
        """Where the operator between two parts stands."""
        match = re.search(
            r"\b(AND|OR|NOT|and|or|not)\b|[&|]", self.text[left.at.end : right.at.start]
        )
        if match is None:
            return left.at.end, min(len(self.text), left.at.end + 1)
        return left.at.end + match.start(), left.at.end + match.end()

    def taken_away(self, node: Node) -> None:
        """NOT animals[mh] takes away all of Humans, which stands below Animals."""
        for part in (
            node.parts if isinstance(node, Combination) and node.operator == "OR" else (node,)
        ):
            if (
                isinstance(part, Heading)
                and part.name.lower() == "animals"
                and part.explodes
                and part.subheading is None
            ):
                self.find(
                    "not-animals",
                    "error",
                    part.at,
                    "the heading Animals includes Humans, so that all studies of humans with "
                    "headings are taken away",
                    "take away animals[mh] NOT humans[mh]",
                    "(animals[mh] NOT humans[mh])",
                )

    def duplicates(self, node: Combination) -> None:
        seen: dict[str, Node] = {}
        for part in node.parts:
            if isinstance(part, Combination | TaggedGroup | Nothing):
                continue
            name = show(part).lower()
            if name in seen:
                self.find(
                    "duplicate",
                    "note",
                    part.at,
                    f"{show(part)} stands in this line already and adds nothing",
                    "remove it",
                )
            seen.setdefault(name, part)
        self.covered([p for p in seen.values() if isinstance(p, Term) and p.tag is not None])

    def covered(self, terms: Sequence[Term]) -> None:
        """Terms that a truncated one beside them finds already."""
        asked = [(term, pattern(term.text)) for term in terms]
        stems = [(term, stem) for term, stem in asked if stem.is_prefix]
        for term, wanted in asked:
            if term.tag is None or term.tag.near is not None or not wanted.words:
                continue
            for other, stem in stems:
                if (
                    other is not term
                    and other.tag == term.tag
                    and stem.words[:-1] == wanted.words[:-1]
                    and wanted.words[-1].startswith(stem.words[-1])
                    and (not wanted.is_prefix or wanted.words != stem.words)
                ):
                    self.find(
                        "covered",
                        "note",
                        term.at,
                        f"{show(term)} is found by {show(other)} already and adds nothing",
                        "remove it, or the asterisk",
                    )
                    break

    def wildcards(self) -> None:
        stars = [match.start() for match in re.finditer(r"\*", self.text)]
        if len(stars) > MOST_WILDCARDS:
            at = stars[MOST_WILDCARDS]
            self.findings.append(
                self.places.finding(
                    "wildcard-limit",
                    "error",
                    at,
                    at + 1,
                    f"{len(stars)} asterisks: above {MOST_WILDCARDS} PubMed answers with an error "
                    "that looks like an outage",
                    "spell forms out, or split the strategy",
                )
            )

    def foreign(self) -> None:
        """What other databases understand and PubMed reads as words."""
        bare = re.sub(r'"[^"]*"|\[[^\[\]]*\]', lambda m: "\0" * len(m.group()), self.text)
        taken: list[tuple[int, int]] = []
        for form, what in _FOREIGN:
            for match in form.finditer(bare):
                if not match.group().strip() or any(
                    a < match.end() and match.start() < b for a, b in taken
                ):
                    continue
                taken.append(match.span())
                self.findings.append(
                    self.places.finding(
                        "foreign-syntax",
                        "error",
                        *match.span(),
                        f"{match.group().strip()!r} is {what} of another database; PubMed reads it "
                        "as words or drops it",
                        'use tags such as [tiab], [mh] and "word word"[tiab:~N]',
                    )
                )

    def headings_alone(self, unindexed: tuple[int, int] | None) -> None:
        if isinstance(self.tree, Nothing | SetName | Flag):
            return
        drawn = outline(self.tree)
        for i, concept in enumerate(drawn.concepts):
            if i in drawn.excluded or not is_controlled_only(concept.node):
                continue
            at = _place(concept)
            self.findings.append(headings_alone(self.places, at.start, at.end, unindexed))


def headings_alone(
    places: Places, start: int, end: int, unindexed: tuple[int, int] | None = None
) -> Finding:
    """That a concept has headings alone.

    Parameters
    ----------
    unindexed : tuple of int, optional
        Records of the reader's own store without headings, and all its records.
    """
    share = ""
    if unindexed is not None and unindexed[1]:
        share = f" ({unindexed[0]:,} of {unindexed[1]:,} records in your store have none)"
    return places.finding(
        "headings-alone",
        "warning",
        start,
        end,
        f"this concept has headings alone, and misses records that are not indexed yet{share}",
        "add the words of the concept with [tiab]",
    )


def _place(concept: Concept) -> Span:
    """From the first of its lines to the last."""
    first, last = concept.lines[0].node.at, concept.lines[-1].node.at
    return replace(first, end=last.end)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:28]} ... {text[-28:]}"
