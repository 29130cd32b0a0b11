"""Which pairs are worth comparing: references that share something rare."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from evidence.duplicates.signature import Signature

LARGEST = 40  # references in one block; a larger one is divided, and at last only neighbours meet
RAREST = 5  # words of a title that make its keys
NEAR = 6  # neighbours that meet in a block that nothing divides


@dataclass(frozen=True, slots=True)
class Blocks:
    """The pairs, as places in the list, and how many blocks were too large to pair in full."""

    pairs: tuple[tuple[int, int], ...]
    crowded: int


def blocks(items: Sequence[Signature], count: Counter[str]) -> Blocks:
    """Pairs that share a DOI, a PMID, a title, two rare words of it, or a place in a journal."""
    by_key: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        for key in set(_keys(item, count)):
            by_key[key].append(place)
    found: set[int] = set()
    size = len(items)
    crowded = 0
    for members in by_key.values():
        if len(members) < 2:
            continue
        if len(members) <= LARGEST:
            found.update(i * size + j for i, j in combinations(members, 2))
        else:
            crowded += _divide(members, items, found)
    return Blocks(tuple(divmod(code, size) for code in sorted(found)), crowded)


def _divide(members: list[int], items: Sequence[Signature], found: set[int]) -> int:
    """Pair within a large block those that share a further thing; gives 1 if even that is much."""
    size = len(items)
    crowded = 0
    parts: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for place in members:
        item = items[place]
        for further in (
            ("key", item.key, item.family) if item.family else (),
            ("page", item.first_page, item.volume) if item.first_page else (),
            ("who", item.family, item.year) if item.family and item.year else (),
            ("doi", item.doi) if item.doi else (),
        ):
            if further:
                parts[further].append(place)
    for part in parts.values():
        if len(part) <= LARGEST:
            found.update(i * size + j for i, j in combinations(part, 2))
        else:
            crowded = 1
            near = sorted(part, key=lambda i: (items[i].key, items[i].year or 0, i))
            for at, i in enumerate(near):
                found.update(min(i, j) * size + max(i, j) for j in near[at + 1 : at + NEAR])
    return crowded


def _keys(item: Signature, count: Counter[str]) -> Iterator[str]:
    if item.doi:
        yield f"doi {item.doi}"
    if item.pmid:
        yield f"pmid {item.pmid}"
    if item.pmcid:
        yield f"pmc {item.pmcid}"
    if item.key:
        yield f"title {item.key[:60]}"
        words = sorted({w for w in item.words if len(w) > 2}, key=lambda w: (count[w], w))
        for one, two in combinations(sorted(words[:RAREST]), 2):
            yield f"words {one} {two}"
        if item.family:
            yield f"begin {item.key[:14]} {item.family[:4]}"
    if item.first_page:
        if item.volume:
            yield f"place {item.volume} {item.first_page} {item.issue}"
            yield f"place {item.volume} {item.first_page} {item.last_page}"
        if item.family and len(item.first_page) > 1:
            yield f"page {item.family} {item.first_page}"
    if item.family and item.year:
        words = sorted({w for w in item.words if len(w) > 3}, key=lambda w: (count[w], w))
        for word in words[:2]:
            yield f"who {item.family} {word}"
