"""Invented studies and effect rows in the real format, for tests."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evidence.extracted import TABLES, columns
from evidence.model import EffectRow, Extraction, Place, PublishedResult, Study

EFFECTS_FILE = "extracted/a-claim/effects.csv"


def a_study(study_id: str = "Novak2019", line: int = 2, **fields: Any) -> Study:
    """An invented trial."""
    empty = dict.fromkeys(f.name for f in dataclasses.fields(Study))
    known = {
        "study_id": study_id,
        "design": "rct",
        "species": "human",
        "source_url": "https://example.org/a",
        "notes": "",
        "at": Place("extracted/a-claim/studies.csv", line),
    }
    return Study(**{**empty, **known, **fields})


def a_row(effect_id: str = "Novak2019_1", line: int = 2, **fields: Any) -> EffectRow:
    """An invented effect row; what is not given is absent."""
    empty: dict[str, Any] = {
        f.name: "" if f.type == "str" else None for f in dataclasses.fields(EffectRow)
    }
    known = {
        "effect_id": effect_id,
        "study_id": "Novak2019",
        "analysis": "an-analysis",
        "role": "primary",
        "outcome": "BDNF",
        "contrast": "training vs control",
        "route": "direction",
        "direction": "unknown",
        "reported_significant": "unknown",
        "source_kind": "primary-abstract",
        "source_url": "https://example.org/a",
        "locator": "abstract",
        "dependent_with": (),
        "at": Place(EFFECTS_FILE, line),
    }
    return EffectRow(**{**empty, **known, **fields})


def an_extraction(
    rows: Sequence[EffectRow] = (),
    studies: Sequence[Study] | None = None,
    published: Sequence[PublishedResult] = (),
) -> Extraction:
    """Rows with the studies that they name."""
    if studies is None:
        names = dict.fromkeys(row.study_id for row in rows)
        studies = [a_study(name, line) for line, name in enumerate(names, start=2)]
    return Extraction("a-claim", tuple(studies), tuple(rows), (), (), tuple(published))


CELLS: dict[str, dict[str, str]] = {
    "studies": {
        "study_id": "Novak2019",
        "design": "rct",
        "species": "human",
        "source_url": "https://example.org/a",
    },
    "effects": {
        "effect_id": "Novak2019_1",
        "study_id": "Novak2019",
        "analysis": "an-analysis",
        "role": "primary",
        "outcome": "BDNF",
        "contrast": "training vs control",
        "route": "direction",
        "direction": "positive",
        "reported_significant": "yes",
        "source_kind": "primary-abstract",
        "source_url": "https://example.org/a",
        "locator": "abstract",
    },
    "screening": {
        "record": "12345678",
        "stage": "full-text",
        "reviewer": "A Reader",
        "decision": "include",
        "reason": "fits",
        "date": "2026-01-31",
    },
    "risk_of_bias": {
        "study_id": "Novak2019",
        "tool": "RoB 2",
        "tool_version": "2019-08-22",
        "domain": "D1",
        "judgement": "low",
        "reviewer": "A Reader",
        "date": "2026-01-31",
    },
    "published": {
        "pooled_id": "P1",
        "meta_analysis": "Novak 2020",
        "question": "training against control",
        "source_url": "https://example.org/b",
        "locator": "abstract",
        "comparable": "false",
    },
}


def write_tables(root: Path, **tables: Sequence[Mapping[str, str]]) -> Path:
    """Write the five tables of ``a-claim``; each row fills in what a test does not mind."""
    folder = root / "extracted" / "a-claim"
    folder.mkdir(parents=True, exist_ok=True)
    for name, noun in TABLES.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns(noun), lineterminator="\n")
            writer.writeheader()
            for row in tables.get(name, [{}] if name == "studies" else []):
                writer.writerow({**CELLS[name], **row})
    return folder


A_DAY = dt.date(2026, 1, 31)
