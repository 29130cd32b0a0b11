"""Two references compared field by field: what speaks for one work, what against, and a decision.

Each field adds evidence in bits, the logarithm to base 2 of how much likelier its agreement or
disagreement is for two descriptions of one work than for two works (I. P. Fellegi, A. B. Sunter
(1969), "A theory for record linkage", JASA 64:1183-1210). The weights are fixed, so that the same
two references are decided alike in every file. Rules stand above the sum: a title alone never
merges, and what contradicts is never merged by a sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from evidence.duplicates.fields import (
    SPELLED,
    Finding,
    abstracts,
    ids,
    people,
    same_place,
    titles,
    when_and_where,
)
from evidence.duplicates.signature import Signature

MERGE = 12.0  # bits from which two references are merged
ASK = 5.0  # bits from which a person is asked
Decision = Literal["merge", "ask", "apart"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found for two references, and what follows."""

    score: float  # bits for one work
    decision: Decision
    findings: tuple[Finding, ...]
    contradictions: tuple[str, ...]  # fields that one work cannot have in two ways
    relation: str  # of works that are kept apart: "erratum", "preprint", "series", ...; or ""
    why: str  # the rule that decided, where it was not the sum

    def reasons(self) -> str:
        """All of it in one line."""
        said = "; ".join(map(str, self.findings))
        return f"{said}; {self.why}" if self.why else said


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Bits from which two references are merged, and from which a person is asked."""

    merge: float = MERGE
    ask: float = ASK


DEFAULT = Thresholds()


def compare(
    a: Signature,
    b: Signature,
    count: Mapping[str, int] | None = None,
    *,
    thresholds: Thresholds = DEFAULT,
) -> Comparison:
    """Whether two references describe one work.

    Parameters
    ----------
    count : mapping, optional
        In how many titles each word stands, to tell a misspelling from another word.
    """
    found: list[Finding] = []
    against: list[str] = []
    closeness = titles(a, b, count or {}, found, against)
    people(a, b, found, against)
    when_and_where(a, b, found, against)
    ids(a, b, found, against)
    score = sum(f.bits for f in found)
    if -6 < score < 22 or against:
        abstracts(a, b, found, against)
        score = sum(f.bits for f in found)
    return _decided(a, b, score, closeness, found, against, thresholds)


def _decided(
    a: Signature,
    b: Signature,
    score: float,
    closeness: float,
    found: list[Finding],
    against: list[str],
    thresholds: Thresholds,
) -> Comparison:
    same_pmid = bool(a.pmid and a.pmid == b.pmid)
    same_doi = bool(a.doi and a.doi == b.doi)
    one_place = same_place(a, b)
    decision: Decision = (
        "merge" if score >= thresholds.merge else "ask" if score >= thresholds.ask else "apart"
    )
    relation, why = "", ""
    marks = _marks(a, b, closeness, against)
    if closeness >= 0.5 or same_doi:
        relation = _relation(a, b, marks, against)

    if a.pmid and b.pmid and not same_pmid:
        decision, why = "apart", "two PMIDs are two records of PubMed"
    elif same_pmid:
        if closeness < 0.3 and "authors" in against:
            decision, why = "ask", "one PMID with two titles and other authors"
        else:
            decision, why = "merge", "the same PMID"
    elif marks & _NOTICES or (marks & _ANOTHER_WORK and not _one_text(a, b, found, against)):
        decision = _lower(decision, "ask") if one_place else "apart"
        why = f"one is {_list(marks & _ANOTHER_WORK)}"
    elif a.preprint != b.preprint and not same_doi:
        decision, why = "apart", "one is a preprint"
    elif "numbers" in against and not (same_doi and one_place):
        decision = _lower(decision, "ask" if same_doi or one_place else "apart")
        why = "the titles number different parts"
    elif same_doi:
        if closeness < 0.5:
            # A supplement's DOI stands on every abstract in it.
            decision = "apart" if closeness < 0.3 and "authors" in against else "ask"
            why = "one DOI with two titles"
        elif len(against) > 1:
            decision, why = _lower(decision, "ask"), f"{_list(against)} contradict"
        else:
            decision, why = "merge", "the same DOI"
    elif a.conference != b.conference and not one_place:
        decision = _lower(decision, "apart" if against else "ask")
        why = "one is an abstract or a paper of a conference"
    elif against:
        decision = _lower(decision, "ask" if len(against) == 1 else "apart")
        why = f"{_list(against)} {'contradicts' if len(against) == 1 else 'contradict'}"
    elif decision == "merge" and not _placed(found):
        decision, why = "ask", "in another journal, with no number that agrees"
    elif closeness < 0.5 and decision == "merge":
        decision, why = "ask", "the titles differ"
    elif decision == "merge" and not _beside_title(found):
        decision, why = "ask", "nothing but the title agrees"
    if decision == "apart" and not relation and closeness >= 0.85 and "authors" not in against:
        relation = "another version" if against else ""
    return Comparison(
        score=round(score, 2),
        decision=decision,
        findings=tuple(found),
        contradictions=tuple(against),
        relation=relation if decision == "apart" else "",
        why=why,
    )


# Markers that make another work of the same words; the others are mere parts of a subject.
_ANOTHER_WORK = frozenset(
    {
        "erratum",
        "retraction",
        "concern",
        "reply",
        "comment",
        "protocol",
        "follow-up",
        "update",
        "abstract",
        "summary",
        "pilot",
    }
)
_NOTICES = frozenset({"erratum", "retraction", "concern", "reply", "comment"})


def _relation(a: Signature, b: Signature, marks: frozenset[str], against: list[str]) -> str:
    if marks & _ANOTHER_WORK:
        return min(marks & _ANOTHER_WORK)
    if a.preprint != b.preprint:
        return "preprint"
    if "numbers" in against:
        return "series"
    if a.conference != b.conference:
        return "conference"
    return ""


def _marks(a: Signature, b: Signature, closeness: float, against: list[str]) -> frozenset[str]:
    """What one title or type of publication says that its work is, and the other does not.

    Nothing where the titles differ in spelling only, or one is cut off: what it left out is open.
    A database that gives no types says nothing against one, unless something else does.
    """
    both = bool(a.reference.types and b.reference.types)
    typed = a.typed ^ b.typed if both or against else frozenset()
    if closeness >= SPELLED:
        return typed
    short, long = sorted((a, b), key=lambda s: len(s.key))
    if short.cut and len(short.key) >= 25:
        return typed | (short.markers - long.markers)
    return typed | (a.markers ^ b.markers)


def _placed(found: list[Finding]) -> bool:
    """Whether no other journal speaks against, or a number or the abstract outweighs it."""
    said = {f.field: f.bits for f in found}
    return said.get("journal", 0.0) >= 0 or any(
        said.get(name, 0.0) > 1 for name in ("doi", "PMID", "PMC id", "volume", "pages", "abstract")
    )


def _lower(one: Decision, other: Decision) -> Decision:
    order: tuple[Decision, ...] = ("apart", "ask", "merge")
    return min(one, other, key=order.index)


def _list(names: frozenset[str] | list[str]) -> str:
    return " and ".join(sorted(names))


def _one_text(a: Signature, b: Signature, found: list[Finding], against: list[str]) -> bool:
    """Whether all but the title says that it is one text: its place, DOI or abstract."""
    said = {f.field: f.bits for f in found}
    if against:
        return False
    return (
        same_place(a, b)
        or said.get("doi", 0.0) > 0
        or (said.get("abstract", 0.0) > 4 and said.get("journal", 0.0) > 0)
    )


def _beside_title(found: list[Finding]) -> bool:
    """Whether authors, or a place in a journal, agree too; of authors in another year, more."""
    said = {f.field: f.bits for f in found}
    agreed = {name for name, bits in said.items() if bits > 0}
    if agreed & {"pages", "doi", "abstract"} or {"journal", "year"} <= agreed:
        return True
    return "authors" in agreed and (said.get("year", 0.0) >= 0 or "journal" in agreed)
