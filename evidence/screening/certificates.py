"""Samples that were drawn to certify a screening: one file each, never changed, never drawn twice.

``extracted/CLAIM/certificates/DATE-SEED.json`` holds an attempt with all that it was drawn from, so
that it can be drawn again to be checked. Files of their own need no rule to be merged: two people
who draw in two places add two files.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from evidence import files
from evidence.errors import SchemaError, ToolkitError
from evidence.model import Screening
from evidence.screening.log import Clock, now
from evidence.screening.rows import one_line, time_text

FOLDER = "certificates"
_Share = Annotated[float, Field(gt=0, lt=1)]
_Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One attempt, as it lies on the disk.

    Attributes
    ----------
    attempt : int
        1 for the reviewer's first; see `evidence.triage.stopping.draw` for what it may err.
    records, unscreened, included : int
        Of the claim, and of this reviewer, when it was drawn.
    pmids : tuple of str
        The sample, in the sequence drawn.
    """

    reviewer: str
    attempt: int
    seed: int
    target: float
    confidence: float
    records: int
    unscreened: int
    included: int
    pmids: tuple[str, ...]
    date: dt.date
    time: dt.datetime  # in UTC

    @property
    def file(self) -> str:
        return f"{self.date.isoformat()}-{self.seed:08x}.json"

    def text(self) -> str:
        """The file: a line a record, so that a change is a line of a comparison."""
        found: dict[str, Any] = {
            "reviewer": self.reviewer,
            "attempt": self.attempt,
            "date": self.date.isoformat(),
            "time": time_text(self.time),
            "seed": self.seed,
            "target": self.target,
            "confidence": self.confidence,
            "records": self.records,
            "unscreened": self.unscreened,
            "included": self.included,
            "pmids": list(self.pmids),
        }
        return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


class _File(BaseModel):
    """What a file may say; unknown names and wrong types are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    reviewer: _Text
    attempt: Annotated[int, Field(ge=1)]
    date: dt.date
    time: AwareDatetime
    seed: Annotated[int, Field(ge=0)]
    target: _Share
    confidence: _Share
    records: Annotated[int, Field(ge=1)]
    unscreened: Annotated[int, Field(ge=1)]
    included: Annotated[int, Field(ge=0)]
    pmids: Annotated[tuple[_Text, ...], Field(min_length=1)]

    def drawn(self) -> Drawn:
        return Drawn(
            self.reviewer,
            self.attempt,
            self.seed,
            self.target,
            self.confidence,
            self.records,
            self.unscreened,
            self.included,
            self.pmids,
            self.date,
            self.time.astimezone(dt.UTC),
        )


class CertificateLog:
    """The attempts of a claim; every thread may use it.

    Attributes
    ----------
    notices : list of str
        Files that cannot be read, each with what is wrong. While there are any nothing can be
        drawn: an attempt might go uncounted.
    """

    def __init__(self, folder: Path, *, shown: str | None = None, clock: Clock = now) -> None:
        self.folder = folder
        self.shown = shown or folder.name
        self.notices: list[str] = []
        self._clock = clock
        self._mutex = threading.RLock()
        self._mark: object = ()
        self._all: tuple[Drawn, ...] = ()

    @classmethod
    def of(cls, root: Path, claim_id: str, *, clock: Clock = now) -> CertificateLog:
        """Those of a claim of the review in ``root``."""
        shown = f"extracted/{claim_id}/{FOLDER}"
        return cls(root / shown, shown=shown, clock=clock)

    def attempts(self, reviewer: str) -> tuple[Drawn, ...]:
        """A reviewer's attempts that count, by number.

        Of two with one number, drawn in two places that did not know of each other, the earlier
        one counts: both could together err more often than was promised.
        """
        counted: dict[int, Drawn] = {}
        for drawn in self.every(reviewer):
            counted.setdefault(drawn.attempt, drawn)
        return tuple(counted[number] for number in sorted(counted))

    def every(self, reviewer: str) -> tuple[Drawn, ...]:
        """All of a reviewer's attempts, the earliest first."""
        with self._mutex:
            self._read()
            return tuple(drawn for drawn in self._all if drawn.reviewer == reviewer)

    def everybody(self) -> tuple[Drawn, ...]:
        """The attempts of all reviewers that count, the earliest first."""
        with self._mutex:
            self._read()
            names = sorted({drawn.reviewer for drawn in self._all})
            found = [drawn for name in names for drawn in self.attempts(name)]
        return tuple(sorted(found, key=lambda drawn: (drawn.time, drawn.reviewer)))

    def draw(self, make: Callable[[dt.datetime], Drawn]) -> Drawn:
        """Keep a new attempt; when this returns it is on the disk.

        The caller holds the lock of the decisions (`ScreeningLog.held`), which keeps every other
        process from drawing meanwhile.

        Parameters
        ----------
        make : callable
            Gives the attempt of this time; a fault of its own leaves nothing behind.

        Raises
        ------
        SchemaError
            If there is a file that cannot be read.
        ToolkitError
            If the disk refuses; then nothing was drawn.
        """
        with self._mutex:
            self._read()
            if self.notices:
                raise SchemaError(
                    "a sample that was drawn before cannot be read",
                    self.notices,
                    remedy="take the file back from version control: each attempt has to be "
                    "counted before another is drawn",
                )
            drawn = make(self._clock())
            path = self.folder / drawn.file
            if path.exists():
                raise ToolkitError(f"{path} is there already", remedy="draw once more")
            try:
                for part in self.folder.glob(".*.part"):  # a draw that was killed, never shown
                    files.remove_part(part)
                files.write_text(path, drawn.text())
                files.sync_folder(self.folder.parent)  # which may have a new folder in it
            except OSError as fault:
                path.unlink(missing_ok=True)
                raise ToolkitError(
                    f"cannot write {path}: {fault.strerror or fault}",
                    remedy="mend that, then draw once more; nothing was drawn",
                ) from fault
            self._read()
            return drawn

    def _read(self) -> None:
        mark = self._look()
        if mark == self._mark:
            return
        found, notices = [], []
        for path in sorted(self.folder.glob("*.json")):
            try:
                found.append(_File.model_validate_json(files.read_text(path)).drawn())
            except ValidationError as fault:
                first = fault.errors(include_url=False, include_context=False, include_input=False)
                where = ".".join(str(part) for part in first[0]["loc"])
                said = f"{where}: {first[0]['msg']}" if where else str(first[0]["msg"])
                notices.append(f"{self.shown}/{path.name}  {one_line(said)}")
            except ToolkitError as fault:
                notices.append(f"{self.shown}/{path.name}  {fault.problem}")
        self._all = tuple(sorted(found, key=lambda drawn: (drawn.time, drawn.seed)))
        self.notices = notices
        self._mark = mark

    def _look(self) -> object:
        """What changes when a file comes, goes or is written."""
        try:
            return tuple(
                (path.name, stat.st_mtime_ns, stat.st_size)
                for path in sorted(self.folder.glob("*.json"))
                for stat in [path.stat()]
            )
        except OSError:  # one goes just now
            return None


def changed_since(rows: tuple[Screening, ...], drawn: Drawn) -> bool:
    """Whether a reviewer first sent on a record of the sample, and later excluded it after all."""
    own = [row for row in rows if row.reviewer == drawn.reviewer and row.decision != "note"]
    later = [row for row in own if row.time is not None and row.time >= drawn.time]
    sent_on = [row.decision in ("include", "unsure") for row in later]
    return any(sent_on) and bool(later) and later[-1].decision == "exclude"
