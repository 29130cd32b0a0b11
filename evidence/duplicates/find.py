"""References in, groups of one work each out; every merge with its reasons, none for good."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evidence.duplicates.blocking import blocks
from evidence.duplicates.choose import Chosen, choose
from evidence.duplicates.compare import DEFAULT, Comparison, Thresholds, compare
from evidence.duplicates.log import Judgement, Merge
from evidence.duplicates.signature import Signature, signatures
from evidence.duplicates.words import fold
from evidence.formats.reference import Reference


@dataclass(frozen=True, slots=True)
class Group:
    """The references that are one work, by id; the first is kept."""

    members: tuple[str, ...]
    chosen: Chosen


@dataclass(frozen=True, slots=True)
class Pair:
    """Two references that are alike: to be asked about, or related works that stay apart."""

    one: str
    two: str
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Deduplicated:
    """What became of a set of references."""

    ids: tuple[str, ...]  # of the references, in the order given
    groups: tuple[Group, ...]  # one for each work, in the order of its first reference
    merges: tuple[Merge, ...]
    asks: tuple[Pair, ...]  # kept apart until a person decides, the likeliest first
    related: tuple[Pair, ...]  # kept apart: erratum, preprint, another part, ...
    compared: int  # pairs that were looked at
    crowded: int  # blocks too large to compare every pair in them
    unused: tuple[Judgement, ...]  # decisions of people about ids that are not here

    @property
    def references(self) -> tuple[Reference, ...]:
        return tuple(group.chosen.reference for group in self.groups)

    def summary(self) -> str:
        merged = len(self.ids) - len(self.groups)
        parts = ((len(self.ids), "reference"), (len(self.groups), "work"), (merged, "duplicate"))
        all_, works, twice = (f"{n:,} {word}{'' if n == 1 else 's'}" for n, word in parts)
        pairs = "pair" if len(self.asks) == 1 else "pairs"
        return (
            f"{all_} = {works} + {twice}; {len(self.asks):,} {pairs} to decide, "
            f"{len(self.related):,} related and kept apart"
        )


def ids_of(references: Sequence[Reference]) -> tuple[str, ...]:
    """An id for each reference that is the same in every run over the same files.

    "embase.ris#12" is the entry that begins on line 12; without a file it is made of what the
    reference says, with a number where several say the same.
    """
    used: Counter[str] = Counter()
    ids = []
    for r in references:
        name = f"{r.at.file}#{r.at.line}" if r.at else key_of(r)
        used[name] += 1
        ids.append(name if used[name] == 1 else f"{name}~{used[name]}")
    return tuple(ids)


def key_of(reference: Reference) -> str:
    """What names a reference in any file: "pmid:1", "doi:10.1/x", or a digest of its words."""
    if reference.pmid:
        return f"pmid:{reference.pmid}"
    if reference.doi:
        return f"doi:{reference.doi.casefold()}"
    r = reference
    said = "|".join(
        (fold(r.title), fold(r.first_author), str(r.year), fold(r.journal), r.volume, r.pages)
    )
    return f"ref:{hashlib.sha256(said.encode()).hexdigest()[:12]}"


def deduplicate(
    references: Sequence[Reference],
    *,
    decisions: Iterable[Judgement] = (),
    thresholds: Thresholds = DEFAULT,
) -> Deduplicated:
    """Find which references describe one work.

    Merged are only pairs that `compare` is sure of, and a group never holds two references that
    contradict each other. ``decisions`` of people stand above all.
    """
    ids = ids_of(references)
    items, count = signatures(references)
    decided, unused = _places(decisions, ids, references)
    found = blocks(items, count)
    pairs = dict.fromkeys(found.pairs) | dict.fromkeys(decided)
    sure: list[tuple[float, int, int, Comparison]] = []
    open_: dict[tuple[int, int], Comparison] = {}
    related: dict[tuple[int, int], Comparison] = {}
    for i, j in pairs:
        if (i, j) in decided:
            continue
        made = compare(items[i], items[j], count, thresholds=thresholds)
        if made.decision == "merge":
            sure.append((-made.score, i, j, made))
        elif made.decision == "ask":
            open_[(i, j)] = made
        elif made.relation:
            related[(i, j)] = made
    clusters = _Clusters(items, count, decided, thresholds)
    joined: list[tuple[int, int, Comparison | None, Judgement | None]] = []
    for (i, j), judgement in decided.items():
        if judgement.same and clusters.join(i, j, asked=True):
            joined.append((i, j, None, judgement))
    for _, i, j, made in sorted(sure, key=lambda s: (s[0], _content(items, *s[1:3]), s[1:3])):
        if clusters.root(i) == clusters.root(j):
            continue
        if clusters.join(i, j):
            joined.append((i, j, made, None))
        else:
            open_[(i, j)] = made
    members = clusters.members()
    groups = tuple(
        Group(tuple(ids[i] for i in group), choose([references[i] for i in group]))
        for group in members
    )
    return Deduplicated(
        ids=ids,
        groups=groups,
        merges=_merges(members, joined, ids),
        asks=_pairs(open_, clusters, ids),
        related=_pairs(related, clusters, ids),
        compared=len(pairs),
        crowded=found.crowded,
        unused=unused,
    )


def _content(items: Sequence[Signature], i: int, j: int) -> list[tuple[object, ...]]:
    """What ties go by, so that the order of the references decides nothing."""
    return sorted(
        (s.key, s.doi, s.volume, s.first_page, s.last_page, str(s.year), s.reference.authors)
        for s in (items[i], items[j])
    )


class _Clusters:
    """Groups that grow; two join only when no member of one contradicts a member of the other."""

    def __init__(
        self,
        items: Sequence[Signature],
        count: Mapping[str, int],
        decided: Mapping[tuple[int, int], Judgement],
        thresholds: Thresholds,
    ) -> None:
        self._items, self._count, self._thresholds = items, count, thresholds
        self._parent = list(range(len(items)))
        self._members = {i: [i] for i in range(len(items))}
        self._apart: dict[int, set[int]] = defaultdict(set)
        for (i, j), judgement in decided.items():
            if not judgement.same:
                self._apart[i].add(j)
                self._apart[j].add(i)

    def root(self, i: int) -> int:
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def join(self, i: int, j: int, *, asked: bool = False) -> bool:
        a, b = self.root(i), self.root(j)
        if a == b:
            return True
        one, two = self._members[a], self._members[b]
        for x in one:
            for y in two:
                if y in self._apart[x]:
                    return False
                if not asked and (x, y) not in ((i, j), (j, i)) and self._against(x, y):
                    return False
        keep, lose = min(a, b), max(a, b)
        self._parent[lose] = keep
        self._members[keep] = sorted(one + two)
        del self._members[lose]
        return True

    def _against(self, x: int, y: int) -> bool:
        made = compare(self._items[x], self._items[y], self._count, thresholds=self._thresholds)
        return made.decision != "merge" and bool(made.contradictions or made.relation)

    def members(self) -> list[list[int]]:
        return [self._members[i] for i in sorted(self._members)]


def _places(
    decisions: Iterable[Judgement], ids: Sequence[str], references: Sequence[Reference]
) -> tuple[dict[tuple[int, int], Judgement], tuple[Judgement, ...]]:
    """Decisions by the places of their references; a key such as "doi:..." may name several."""
    decisions = tuple(decisions)
    if not decisions:
        return {}, ()
    where: dict[str, list[int]] = defaultdict(list)
    for place, (name, reference) in enumerate(zip(ids, references, strict=True)):
        keys = {name, key_of(reference)}
        if reference.doi:
            keys.add(f"doi:{reference.doi.casefold()}")
        for key in keys:
            where[key].append(place)
    found: dict[tuple[int, int], Judgement] = {}
    unused = []
    for judgement in decisions:
        one = where.get(_plain(judgement.record_1), [])
        two = where.get(_plain(judgement.record_2), [])
        pairs = [(min(i, j), max(i, j)) for i in one for j in two if i != j]
        if not pairs:
            unused.append(judgement)
        for pair in pairs:
            found[pair] = judgement
    return found, tuple(unused)


def _plain(name: str) -> str:
    return name.casefold() if name.casefold().startswith("doi:") else name


def _merges(
    members: Sequence[Sequence[int]],
    joined: Sequence[tuple[int, int, Comparison | None, Judgement | None]],
    ids: Sequence[str],
) -> tuple[Merge, ...]:
    """A line for each reference that is not the first of its group: why it is there."""
    ways: dict[int, list[tuple[int, Comparison | None, Judgement | None]]] = defaultdict(list)
    for i, j, made, judgement in joined:
        ways[i].append((j, made, judgement))
        ways[j].append((i, made, judgement))
    merges = []
    for group in members:
        if len(group) < 2:
            continue
        kept = group[0]
        seen = {kept}
        queue = [kept]
        while queue:  # the way by which each came in: its reason is the link that let it in
            at = queue.pop(0)
            for other, made, judgement in sorted(ways[at], key=lambda w: w[0]):
                if other in seen:
                    continue
                seen.add(other)
                queue.append(other)
                via = "" if at == kept else f"through {ids[at]}: "
                if judgement is not None:
                    by = judgement.reviewer or "a person"
                    merges.append(
                        Merge(ids[kept], ids[other], None, by, via + (judgement.reason or "same"))
                    )
                elif made is not None:
                    merges.append(
                        Merge(ids[kept], ids[other], made.score, "rules", via + made.reasons())
                    )
    return tuple(merges)


def _pairs(
    found: Mapping[tuple[int, int], Comparison], clusters: _Clusters, ids: Sequence[str]
) -> tuple[Pair, ...]:
    """The pairs whose references did not end in one group, the likeliest first; one for a pair
    of groups."""
    best: dict[tuple[int, int], tuple[tuple[int, int], Comparison]] = {}
    for (i, j), made in found.items():
        roots = tuple(sorted((clusters.root(i), clusters.root(j))))
        if roots[0] == roots[1]:
            continue
        key = (roots[0], roots[1])
        if key not in best or made.score > best[key][1].score:
            best[key] = ((i, j), made)
    ordered = sorted(best.values(), key=lambda pair: (-pair[1].score, pair[0]))
    return tuple(Pair(ids[i], ids[j], made) for (i, j), made in ordered)


def replay(references: Sequence[Reference], merges: Iterable[Merge]) -> Deduplicated:
    """The groups that a log says, without comparing anything; undone lines are left out.

    Raises
    ------
    KeyError
        If the log names an id that is none of the references'.
    """
    ids = ids_of(references)
    where = {name: place for place, name in enumerate(ids)}
    parent = list(range(len(ids)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    standing = tuple(m for m in merges if not m.undone)
    for merge in standing:
        a, b = root(where[merge.kept]), root(where[merge.merged])
        parent[max(a, b)] = min(a, b)
    members: dict[int, list[int]] = defaultdict(list)
    for i in range(len(ids)):
        members[root(i)].append(i)
    groups = tuple(
        Group(tuple(ids[i] for i in group), choose([references[i] for i in group]))
        for group in members.values()
    )
    return Deduplicated(ids, groups, standing, (), (), 0, 0, ())
