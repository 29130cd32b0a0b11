"""A strategy's explanation as lines for the terminal and as JSON for a program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evidence.query.blocks import Concept, Group, Outline, Shape
from evidence.query.gains import Gain, Tally
from evidence.query.show import explain as in_words
from evidence.query.show import show
from evidence.query.tree import Combination, leaves
from evidence.strategy.explain import Explanation, Recalled
from evidence.strategy.sources import Counted
from evidence.strategy.unindexed import Unindexed

YEARS_SHOWN = 6  # of entry, in the warning about records without headings


# ---------------------------------------------------------------------------- for the terminal


def lines(found: Explanation) -> list[str]:
    """The explanation as lines of text."""
    told = [f"{found.written.name}: {_shape_in_words(found.outline, found.outline.shape)}"]
    counted = found.counted
    if counted is not None:
        told += [
            f"counts: {counted.source}",
            f"the whole strategy finds {counted.gains.total}",
        ]
    for i, concept in enumerate(found.outline.concepts):
        told += ["", *_concept_lines(found, i)]
        if i in found.headings_alone:
            told += _warning(concept.title, found.unindexed)
    if found.recalled:
        told += ["", *_recall_lines(found)]
    if counted is not None and counted.notes:
        told += ["", "where these counts may differ from PubMed's:"]
        told += [f"  {note}" for note in counted.notes]
    return told


def _concept_lines(found: Explanation, i: int) -> list[str]:
    concept, counted = found.outline.concepts[i], found.counted
    role = "taken away" if i in found.outline.excluded else "concept"
    head = f"{i + 1} {role}: {concept.title}"
    if concept.about:
        head += f" ({concept.about})"
    if counted is not None:
        head += f", {counted.gains.concepts[i]} records"
    if counted is None:
        told = [head]
        for line in concept.lines:
            number = f"#{line.number} " if line.number else ""
            told += [f"  {number}{line}", *(f"      {text}" for text in in_words(line.node))]
        return told
    last = "won without" if i in found.outline.excluded else "lost without"
    rows = [("", "finds", "adds", "alone", last, "")]
    for gain, line in zip(counted.gains.of(i), concept.lines, strict=True):
        number = f"#{line.number}" if line.number else f"{gain.line + 1}."
        figures = (gain.found, gain.added, gain.alone, gain.lost)
        cells = ["–" if n is None else str(n) for n in figures]
        rows.append((number, cells[0], cells[1], cells[2], cells[3], str(line)))
    wide = [max(len(row[c]) for row in rows) for c in range(5)]
    told = [head]
    for row in rows:
        figures_ = [row[c].rjust(wide[c]) for c in range(1, 5)]
        told.append("  " + "  ".join((row[0].ljust(wide[0]), *figures_, row[5])).rstrip())
    return told


def _warning(title: str, own: Unindexed | None) -> list[str]:
    told = [
        f"  warning: {title} has headings alone, and misses records that are not indexed yet; "
        "add its words with [tiab]"
    ]
    if own is not None and own.records:
        told.append(
            f"  of {own.records:,} records in your store {own.without_headings:,} have no "
            f"headings ({own.share:.0%}); by year of entry:"
        )
        for year in own.years[:YEARS_SHOWN]:
            told.append(
                f"    {year.year or 'unknown'}: {year.without_headings:,} of {year.records:,}"
                f", {year.not_medline:,} of them not yet MEDLINE"
            )
    return told


def _recall_lines(found: Explanation) -> list[str]:
    decided = [one for one in found.recalled if one.found is not None]
    count = sum(one.found is True for one in decided)
    told = [f"known relevant records: {count} of {len(decided)} found"]
    if undecided := len(found.recalled) - len(decided):
        told[0] += f", {undecided} not decided"
    if absent := [one for one in found.recalled if one.state == "not at hand"]:
        told.append(f"  not at hand: PMID {', '.join(one.known.pmid for one in absent)}")
    for one in found.recalled:
        if one.found is True or one.state == "not at hand":
            continue
        told.append(f"  PMID {one.known.pmid} {one.known.label or one.title}: {one.state}")
        told += [f"    {text}" for text in one.remarks]
        for reason in one.reasons:
            words = reason.missed.words(found.outline)
            if reason.missed.is_alternative:
                words += " (another concept would do)"
            told.append(f"    {words}")
            for near, cost in zip(reason.near, reason.costs, strict=True):
                many = "record" if cost == 1 else "records"
                price = "" if cost is None else f" ({cost:,} more {many} in all)"
                told.append(f"      {near}{price}")
            if not reason.near and not reason.missed.is_exclusion:
                told.append("      nothing in it comes near a line of this concept; it has")
                told.append(f"      title: {one.title}")
                if one.headings:
                    told.append(f"      headings: {'; '.join(one.headings)}")
    return told


def _shape_in_words(outline: Outline, shape: Shape) -> str:
    if isinstance(shape, int):
        return outline.concepts[shape].title
    parts = [
        f"({_shape_in_words(outline, part)})"
        if isinstance(part, Group) or _is_several(outline.concepts[part])
        else _shape_in_words(outline, part)
        for part in shape.parts
    ]
    return f" {shape.operator} ".join(parts)


def _is_several(concept: Concept) -> bool:
    """Whether its title is no name but terms with an operator, which would be read otherwise."""
    return not concept.name and (
        len(concept.lines) > 1 or isinstance(concept.lines[0].node, Combination)
    )


# ---------------------------------------------------------------------------- for a program


def as_json(found: Explanation) -> dict[str, Any]:
    """The explanation in JSON's own types."""
    counted = found.counted
    return {
        "strategy": found.written.name,
        "query": found.written.query,
        "counts_from": None if counted is None else counted.source,
        "total": None if counted is None else _number(counted.gains.total),
        "shape": _shape_json(found.outline.shape),
        "concepts": [
            {
                "concept": i + 1,
                "name": concept.name or None,
                "about": concept.about or None,
                "taken_away": i in found.outline.excluded,
                "headings_alone": i in found.headings_alone,
                "found": None if counted is None else _number(counted.gains.concepts[i]),
                "lines": [
                    {
                        "number": line.number,
                        "query": str(line),
                        "words": in_words(line.node),
                        "terms": sum(1 for _ in leaves(line.node)),
                        "why": line.why or None,
                        **_gain_json(counted, i, k),
                    }
                    for k, line in enumerate(concept.lines)
                ],
            }
            for i, concept in enumerate(found.outline.concepts)
        ],
        "known": [_recalled_json(one) for one in found.recalled],
        "without_headings": None if found.unindexed is None else _unindexed_json(found.unindexed),
        "notes": [] if counted is None else list(counted.notes),
    }


def _number(tally: Tally) -> int | list[int]:
    return tally.low if tally.is_exact else [tally.low, tally.high]


def _gain_json(counted: Counted | None, i: int, k: int) -> Mapping[str, Any]:
    if counted is None:
        return {"found": None, "added": None, "alone": None, "lost": None}
    gain: Gain = counted.gains.of(i)[k]
    return {
        "found": _number(gain.found),
        "added": _number(gain.added),
        "alone": _number(gain.alone),
        "lost": None if gain.lost is None else _number(gain.lost),
    }


def _recalled_json(one: Recalled) -> dict[str, Any]:
    return {
        "pmid": one.known.pmid,
        "label": one.known.label,
        "included": one.known.included,
        "state": one.state,
        "title": one.title or None,
        "headings": list(one.headings),
        "remarks": list(one.remarks),
        "kept_out_by": [
            {
                "concept": reason.missed.concept + 1,
                "taken_away": reason.missed.is_exclusion,
                "alternative": reason.missed.is_alternative,
                "because": [show(node) for node in reason.missed.because],
                "near": [
                    {
                        "term": near.term,
                        "found": near.found,
                        "where": near.where,
                        "why": near.why,
                        "try": near.try_ or None,
                        "more_records": cost,
                    }
                    for near, cost in zip(reason.near, reason.costs, strict=True)
                ],
            }
            for reason in one.reasons
        ],
    }


def _unindexed_json(own: Unindexed) -> dict[str, Any]:
    return {
        "records": own.records,
        "without_headings": own.without_headings,
        "by_year_of_entry": [
            {
                "year": y.year,
                "records": y.records,
                "without_headings": y.without_headings,
                "not_medline": y.not_medline,
            }
            for y in own.years
        ],
    }


def _shape_json(shape: Shape) -> Any:
    if isinstance(shape, int):
        return shape + 1
    return {"operator": shape.operator, "parts": [_shape_json(part) for part in shape.parts]}
