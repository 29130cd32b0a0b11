"""What became of the samples that were drawn to certify a screening.

Everything follows from the files of `evidence.screening.certificates` and from the decisions as
they stand now, so a decision that is changed changes the verdict with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from evidence.claims import Claim
from evidence.model import Certification, Decision, Stage
from evidence.screening.certificates import CertificateLog, Drawn, changed_since
from evidence.screening.mine import Mine, Sharing, day_words
from evidence.screening.state import FOUNDING, FULL, TITLE, ScreeningState
from evidence.triage.stopping import Certificate

Fate = Literal["open", "relevant", "irrelevant", "unsettled", "gone"]
Status = Literal["open", "unsettled", "failed", "certified"]


def fate(mine: Mine, record: str) -> Fate:
    """What became of a record of a sample, as far as this reviewer may know.

    By title and abstract alone: a record that goes on to the full text counts as relevant whatever
    becomes of it there, for those with which it is compared were counted so too. A full text
    settles only where the abstract left its reviewer unsure. A conflict is settled by nobody yet.
    """
    decision = _decision(mine, record, TITLE)
    if decision == "unsure":
        decision = _decision(mine, record, FULL)
        if decision not in ("include", "exclude"):
            return "unsettled"
    if decision == "include":
        return "relevant"
    if decision == "exclude":
        return "irrelevant"
    return "open" if decision is None and mine.waits(record) else "unsettled"


def _decision(mine: Mine, record: str, stage: Stage) -> Decision | Literal["conflict"] | None:
    standing = mine.state.standing(record, stage)
    shared = mine.sharing.planned or not mine.sharing.blind
    if standing.resolution is not None and mine.sees(standing):
        return standing.final or "conflict"
    if shared and standing.status == "conflict":
        return "conflict"
    if shared and standing.final is not None:
        return standing.final
    row = standing.decisions.get(mine.reviewer) or standing.decisions.get(FOUNDING)
    return None if row is None else row.decision


class Sample:
    """One attempt and what became of its records, kept up to date by `take`."""

    def __init__(self, drawn: Drawn, mine: Mine) -> None:
        self.drawn, self.mine = drawn, mine
        state = mine.state
        self.names = tuple(dict.fromkeys(state.name(pmid) for pmid in drawn.pmids))
        self._fates: dict[str, Fate] = {}
        self._open: dict[str, None] = {}
        self._counts: dict[Fate, int] = dict.fromkeys(
            ("open", "relevant", "irrelevant", "unsettled", "gone"), 0
        )
        self._places = {name: at for at, name in enumerate(self.names)}
        self.take(self.names)

    def take(self, records: Iterable[str]) -> None:
        """Look again at records whose decisions are new."""
        for record in records:
            if record not in self._places:
                continue
            before, after = self._fates.get(record), fate(self.mine, record)
            if before == after:
                continue
            if before is not None:
                self._counts[before] -= 1
            self._counts[after] += 1
            self._fates[record] = after
            if after == "open":
                self._open[record] = None
                if before is not None:  # taken back
                    self._open = {name: None for name in self.names if name in self._open}
            else:
                self._open.pop(record, None)

    def __contains__(self, record: str) -> bool:
        return record in self._places

    def count(self, kind: Fate) -> int:
        return self._counts[kind]

    @property
    def size(self) -> int:
        return len(self.names)

    @property
    def read(self) -> int:
        return self.size - self.count("open")

    @property
    def status(self) -> Status:
        if self.count("relevant"):
            return "failed"
        if self.count("open"):
            return "open"
        return "unsettled" if self.count("unsettled") else "certified"

    def to_read(self) -> dict[str, None]:
        """The records that are still to be read, in the sequence drawn; none once it failed."""
        return self._open if self.status == "open" else {}

    def unsettled(self) -> list[str]:
        return [name for name in self.names if self._fates[name] == "unsettled"]

    def gone(self, held: Collection[str]) -> list[str]:
        """Records that are to be read and are not in the store any more."""
        return [name for name in self._open if name not in held]

    # --- words -----------------------------------------------------------------------------------

    @property
    def progress(self) -> str:
        """ "12 of 58 read, none relevant"."""
        hits = self.count("relevant")
        unsure = self.count("unsettled")
        words = f"{self.read:,} of {self.size:,} read, {hits or 'none'} relevant"
        return f"{words}, {unsure:,} unsure" if unsure else words

    @property
    def line(self) -> str:
        """The progress in the line above the record."""
        if self.status == "certified":
            return f"certified: {self.drawn.target:.0%} found"
        if self.status == "failed":
            return "certificate sample: failed"
        return f"certificate sample: {self.progress}"

    @property
    def told(self) -> str:
        """What is said when the attempt ends, in one or two sentences."""
        if self.status == "certified":
            return (
                f"All {self.size:,} records of the certificate sample are read and none is "
                f"relevant: {self.drawn.target:.0%} of the relevant records are found, certified."
            )
        if self.status == "failed":
            return (
                "A record of the certificate sample is relevant: this attempt has failed. Screen "
                "on in the usual order, then draw a new sample."
            )
        if self.status == "unsettled":
            return (
                f"The certificate sample is read. {_records(self.count('unsettled'))} in it "
                f"{_is(self.count('unsettled'))} unsure: decide there to settle it."
            )
        return ""

    def verdict(self) -> str:
        """The verdict in the words of the rule."""
        drawn = self.drawn
        certificate = Certificate(
            self.names,
            drawn.attempt,
            drawn.unscreened,
            drawn.included,
            drawn.target,
            drawn.confidence,
        )
        known = {
            name: self._fates[name] == "relevant"
            for name in self.names
            if self._fates[name] in ("relevant", "irrelevant")
        }
        return certificate.verdict(known).words

    def view(self, held: Mapping[str, Any]) -> dict[str, Any]:
        """What the page shows of this attempt."""
        drawn, state = self.drawn, self.mine.state
        later = len(held) - drawn.records
        notes = []
        if self.status == "certified" and later > 0:
            notes.append(
                f"It speaks of the {drawn.unscreened:,} records that were unscreened then, not of "
                f"{_records(later)} that came since."
            )
        revised = sum(changed_since(state.history(name), drawn) for name in self.names)
        if revised:
            notes.append(
                f"{_records(revised)} of the sample {'was' if revised == 1 else 'were'} first sent "
                f"on and then excluded; the log keeps both decisions."
            )
        if gone := self.gone(held):
            notes.append(
                f"{_records(len(gone))} of the sample {_is(len(gone))} not in the store any more "
                f"and cannot be read: {', '.join(gone[:8])}."
            )
        titles = {name: held[name].shown_title for name in self.unsettled()[:20] if name in held}
        return {
            "attempt": drawn.attempt,
            "day": day_words(drawn.date),
            "size": self.size,
            "read": self.read,
            "share": round(100 * self.read / self.size, 2),
            "progress": self.progress,
            "status": self.status,
            "words": self.verdict(),
            "notes": notes,
            "unsettled": titles,
            "seed": drawn.seed,
        }


def certifications(
    root: Path, claim: Claim, state: ScreeningState
) -> tuple[tuple[Certification, ...], tuple[str, ...]]:
    """All attempts of a claim that count, the earliest first, and what stands in the way.

    Returns
    -------
    tuple of Certification, tuple of str
        The second names files that cannot be read.
    """
    log = CertificateLog.of(root, claim.id)
    drawn = log.everybody()
    mine = {
        name: Mine(state, Sharing.of(claim), name, TITLE) for name in {d.reviewer for d in drawn}
    }
    found = []
    for one in drawn:
        sample = Sample(one, mine[one.reviewer])
        found.append(
            Certification(
                reviewer=one.reviewer,
                attempt=one.attempt,
                drawn_on=one.date,
                target=one.target,
                confidence=one.confidence,
                size=sample.size,
                read=sample.read,
                status=sample.status,
                words=sample.verdict(),
                file=f"extracted/{claim.id}/certificates/{one.file}",
            )
        )
    return tuple(found), tuple(log.notices)


def _records(n: int) -> str:
    return f"{n:,} {'record' if n == 1 else 'records'}"


def _is(n: int) -> str:
    return "is" if n == 1 else "are"
