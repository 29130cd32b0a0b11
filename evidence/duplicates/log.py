"""The merge log: one line a merge, which can be replayed and undone; and what people decided."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from evidence.errors import SchemaError
from evidence.files import csv_text

LOG_COLUMNS = ("kept", "merged", "score", "decided_by", "reasons", "undone")
DECISION_COLUMNS = ("record_1", "record_2", "decision", "reviewer", "date", "reason")


@dataclass(frozen=True, slots=True)
class Merge:
    """One reference that was taken for another one."""

    kept: str
    merged: str
    score: float | None  # bits; None where nothing but a person decided
    decided_by: str  # "rules", or the reviewer
    reasons: str
    undone: str = ""  # who undid it, or when; "" stands


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a person decided about two references. Ids are those of the log, or "doi:10..."."""

    record_1: str
    record_2: str
    same: bool
    reviewer: str = ""
    date: str = ""
    reason: str = ""

    @property
    def pair(self) -> frozenset[str]:
        return frozenset((self.record_1, self.record_2))


def log_text(merges: Iterable[Merge]) -> str:
    """The log as CSV."""
    return csv_text(
        LOG_COLUMNS,
        (
            {
                "kept": m.kept,
                "merged": m.merged,
                "score": "" if m.score is None else f"{m.score:.2f}",
                "decided_by": m.decided_by,
                "reasons": m.reasons,
                "undone": m.undone,
            }
            for m in merges
        ),
    )


def read_log(text: str, *, file: str = "merges.csv") -> tuple[Merge, ...]:
    """The log that `log_text` wrote.

    Raises
    ------
    SchemaError
        If a line is none of a log; names all such lines.
    """
    merges: list[Merge] = []
    faults: list[str] = []
    for number, row in _rows(text, LOG_COLUMNS, file):
        score = row["score"]
        if not row["kept"] or not row["merged"] or row["kept"] == row["merged"]:
            faults.append(f"{file}:{number}  needs two different ids")
        elif score and not re.fullmatch(r"-?\d+(?:\.\d+)?", score):
            faults.append(f"{file}:{number}  score = {score} is no number")
        else:
            merges.append(
                Merge(
                    row["kept"],
                    row["merged"],
                    float(score) if score else None,
                    row["decided_by"],
                    row["reasons"],
                    row["undone"],
                )
            )
    _refuse(faults, file)
    return tuple(merges)


def undo(merges: Sequence[Merge], merged: str, *, by: str = "undone") -> tuple[Merge, ...]:
    """The log with the merge of one id taken back; what was merged into it follows it no more.

    Raises
    ------
    SchemaError
        If the log holds no standing merge of that id.
    """
    if not any(m.merged == merged and not m.undone for m in merges):
        raise SchemaError(
            f"the log holds no merge of {merged} that stands",
            remedy="name the id of the column merged",
        )
    return tuple(
        replace(m, undone=by) if m.merged == merged and not m.undone else m for m in merges
    )


def decisions_text(judgements: Iterable[Judgement]) -> str:
    """People's decisions as CSV, to be kept under version control."""
    return csv_text(
        DECISION_COLUMNS,
        (
            {
                "record_1": j.record_1,
                "record_2": j.record_2,
                "decision": "same" if j.same else "different",
                "reviewer": j.reviewer,
                "date": j.date,
                "reason": j.reason,
            }
            for j in judgements
        ),
    )


def read_decisions(text: str, *, file: str = "duplicates.csv") -> tuple[Judgement, ...]:
    """People's decisions; the latest of a pair wins.

    Raises
    ------
    SchemaError
        If a line has not two ids and the word same or different; names all such lines.
    """
    latest: dict[frozenset[str], Judgement] = {}
    faults: list[str] = []
    for number, row in _rows(text, DECISION_COLUMNS, file):
        one, two, said = row["record_1"], row["record_2"], row["decision"].casefold()
        if not one or not two or one == two:
            faults.append(f"{file}:{number}  needs two different ids")
        elif said not in ("same", "different"):
            faults.append(f"{file}:{number}  decision = {said!r} is neither same nor different")
        else:
            made = Judgement(one, two, said == "same", row["reviewer"], row["date"], row["reason"])
            latest.pop(made.pair, None)
            latest[made.pair] = made
    _refuse(faults, file)
    return tuple(latest.values())


def _rows(text: str, columns: Sequence[str], file: str) -> Iterable[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    missing = [c for c in columns[:3] if c not in (reader.fieldnames or ())]
    if missing:
        raise SchemaError(
            f"{file} has no column {', '.join(missing)}",
            [f"{file}:1  {', '.join(reader.fieldnames or ()) or 'nothing'}"],
            remedy=f"give a CSV file whose first line is {','.join(columns)}",
        )
    line = reader.line_num
    try:
        for row in reader:
            line = reader.line_num
            yield line, {c: (row.get(c) or "").strip() for c in columns}
    except csv.Error as fault:
        raise SchemaError(
            f"{file} cannot be read as CSV",
            [f"{file}:{line + 1}  {fault}"],
            remedy="look for a quotation mark that is never closed",
        ) from None


def _refuse(faults: Sequence[str], file: str) -> None:
    if faults:
        raise SchemaError(
            f"{len(faults)} {'line' if len(faults) == 1 else 'lines'} of {file} cannot be used",
            faults,
            remedy="correct them and run the command again",
        )
