"""A strategy from where it is written to its outline: a claim file, or a text with one query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evidence import files
from evidence.claims import Claim, Search
from evidence.errors import InputError
from evidence.query.blocks import Concept, Group, Line, Outline, Shape, outline
from evidence.query.parse import parse
from evidence.query.show import show
from evidence.query.tree import Combination, Node, Nothing, SetName, leaves
from evidence.strategy.history import bare_numbers, history
from evidence.strategy.text import numbered_lines


@dataclass(frozen=True, slots=True)
class Written:
    """A strategy, and where it stands."""

    name: str  # of the claim or of the file
    query: str  # as PubMed receives it
    outline: Outline


def of_claim(claim: Claim) -> Written:
    """A claim's strategy: its blocks and filters are the concepts, with their numbered lines."""
    search = claim.search
    query = search.query()
    return Written(claim.id, query, outline_of(search))


def of_file(path: Path, *, name: str) -> Written:
    """The query of a text file, as one concept for each list of terms.

    A file may also hold numbered lines, as a search history or an appendix prints them: ``#1 ...``,
    ``2. ...``; the last line is the strategy, and lines that OR joins are one concept.
    """
    text = files.read_text(path)
    numbered = history(text)
    if numbered:
        made = of_history(
            {n: " ".join(text[a:b].split()) for n, (a, b) in numbered.items()},
            at={n: f"{name}:{text.count(chr(10), 0, a) + 1}  " for n, (a, _) in numbered.items()},
        )
        return Written(name, show(made.node), made)
    text = " ".join(text.split())
    tree = parse(text).tree
    if isinstance(tree, Nothing):
        raise InputError(
            f"{name} holds no query", remedy="write one, such as exercis*[tiab] AND BDNF[tiab]"
        )
    return Written(name, text, outline(tree))


def of_history(lines: Mapping[str, str], *, at: Mapping[str, str] | None = None) -> Outline:
    """The outline of numbered lines, from the last one.

    Parameters
    ----------
    at : mapping, optional
        Where each line stands, for a fault.

    Raises
    ------
    InputError
        If a line names itself, a later one, or one that is not there; or earlier ones by numbers
        alone, which PubMed takes for PMIDs.
    """
    trees = {number: parse(text).tree for number, text in lines.items()}
    for number, tree in trees.items():
        if bare := bare_numbers(lines[number], tree, int(number)):
            names = [n for leaf in bare for n in leaf.numbers]
            raise InputError(
                f"line {number} of the strategy has {', '.join(map(str, names))} without #, which "
                "PubMed reads as PMIDs",
                [f"{(at or {}).get(number, '')}#{number} {lines[number]}"],
                remedy=f"write {', '.join(f'#{n}' for n in names)} for the lines",
            )
        for leaf in leaves(tree):
            if isinstance(leaf, SetName) and not 0 < int(leaf.name) < int(number):
                raise InputError(
                    f"line {number} of the strategy names line {leaf.name}, which is not before it",
                    [f"{(at or {}).get(number, '')}#{number} {lines[number]}"],
                    remedy="number the lines 1, 2, 3 without a gap and name earlier ones; a line "
                    "with another number is read as the end of the one before it",
                )
    concepts: list[Concept] = []

    def is_plain(node: Node) -> bool:
        """Whether it stands for a line of terms."""
        return isinstance(node, SetName) and not _names(trees[node.name])

    def concept(nodes: Sequence[Node]) -> int:
        made = [
            Line(trees[n.name], int(n.name)) if isinstance(n, SetName) else Line(n) for n in nodes
        ]
        concepts.append(Concept(tuple(made)))
        return len(concepts) - 1

    def shape(node: Node) -> Shape:
        if isinstance(node, SetName) and not is_plain(node):
            return shape(trees[node.name])
        if isinstance(node, Combination) and _names(node):
            parts = node.parts
            if node.operator == "OR" and all(not _names(p) or is_plain(p) for p in parts):
                return concept(parts)
            return _flat(node, tuple(shape(part) for part in parts))
        return concept((node,))

    last = str(len(lines))
    made = shape(trees[last] if _names(trees[last]) else SetName(last))
    return Outline(tuple(concepts), made)


def _names(node: Node) -> bool:
    """Whether a line refers to another."""
    return any(isinstance(leaf, SetName) for leaf in leaves(node))


def outline_of(search: Search) -> Outline:
    """The outline of a claim's search."""
    numbers: dict[tuple[str, str], int] = {}
    for line in numbered_lines(search):
        numbers.setdefault((line.concept, line.query), line.number)
    parts = {**search.blocks, **search.filters}
    concepts: list[Concept] = []
    position: dict[str, int] = {}

    def concept(name: str) -> int:
        if name not in position:
            part = parts[name]
            lines = tuple(
                Line(parse(line.terms).tree, numbers.get((name, line.terms)), line.why)
                for line in part.lines
            )
            position[name] = len(concepts)
            concepts.append(Concept(lines, name, part.about))
        return position[name]

    def shape(node: Node) -> Shape:
        if isinstance(node, SetName):
            return concept(node.name)
        assert isinstance(node, Combination)  # a combination has names and operators only
        return _flat(node, tuple(shape(part) for part in node.parts))

    made = shape(parse(search.combine, named_sets=True).tree)
    return Outline(tuple(concepts), made)


def _flat(node: Combination, parts: tuple[Shape, ...]) -> Group:
    """A group; parts that are groups of the same operator are taken in, except of NOT."""
    flat: list[Shape] = []
    for part in parts:
        if isinstance(part, Group) and part.operator == node.operator != "NOT":
            flat += part.parts
        else:
            flat.append(part)
    return Group(node.operator, tuple(flat))
