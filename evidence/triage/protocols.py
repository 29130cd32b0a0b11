"""What is looked for, in words for every view or in terms for some: the protocol as a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from evidence.claims import Claim
from evidence.query.parse import parse
from evidence.query.tree import Combination, Heading, Node, TaggedGroup, Term
from evidence.triage.views import CITATION_LINKS, MESH, PUBLICATION_TYPES, View

# Words for all views; or texts by the name of a view, those under "" for all others.
Protocol = str | Mapping[str, Sequence[str]]

_HEADINGS = frozenset({"mh", "majr"})
_TYPES = frozenset({"pt"})


def asked(protocol: Protocol, view: View) -> tuple[str, ...]:
    """The texts of the protocol for one view."""
    if isinstance(protocol, str):
        return (protocol,)
    return tuple(protocol.get(view.name, protocol.get("", ())))


def structured(claim: Claim) -> dict[str, tuple[str, ...]]:
    """A claim's protocol for each view: its words, the strategy's headings and types, its works.

    Headings of the strategy speak to the view of MeSH, publication types to theirs; what the
    strategy excludes speaks to none. To the view of citation links speak the works that the claim
    rests on and those that its search ought to find. Not measured: no labelled review at hand has
    such records.
    """
    headings, types = [], []
    works = [one.pmid for one in claim.rests_on] + [one.pmid for one in claim.search.known]
    for leaf in _wanted(parse(claim.search.query()).tree):
        field = leaf.tag.field if leaf.tag else ""
        if isinstance(leaf, Heading):
            headings.append(leaf.name)
        elif field in _HEADINGS:
            headings.append(leaf.text)
        elif field in _TYPES:
            types.append(leaf.text)
    return {
        "": (claim.protocol_text(),),
        MESH.name: tuple(dict.fromkeys(headings)),
        PUBLICATION_TYPES.name: tuple(dict.fromkeys(types)),
        CITATION_LINKS: tuple(dict.fromkeys(pmid for pmid in works if pmid)),
    }


def _wanted(node: Node) -> Iterator[Term | Heading]:
    """Terms and headings of a query, without those that it takes away."""
    if isinstance(node, Term | Heading):
        yield node
    elif isinstance(node, TaggedGroup):
        yield from _wanted(node.inside)
    elif isinstance(node, Combination):
        parts = node.parts[:1] if node.operator == "NOT" else node.parts
        for part in parts:
            yield from _wanted(part)
