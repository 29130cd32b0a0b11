"""The desk of decisions, with a key for each request: what is sent twice is written once.

The key stands in the row (``source``), so that it is known after a crash and to other processes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from evidence.model import Decision, Screening, Stage
from evidence.screening import Desk, Entry, Standing

SOURCE = "screen#"  # before the key, in the column `source`


class KeyedDesk(Desk):
    """A `Desk` whose writes carry keys."""

    def _take(self, rows: list[Screening]) -> set[str]:
        anew = self.log.generation != self._generation
        changed = super()._take(rows)
        if anew or not hasattr(self, "_keys"):
            self._keys: dict[str, Screening] = {}
            self._changed: set[str] = set()
            self.count = 0
        self._changed |= changed
        # Every row since the last time, whichever call brought it.
        for row in self.log.rows[self.count :]:
            if row.source.startswith(SOURCE):
                self._keys[row.source] = row
        self.count = len(self.log.rows)
        return changed

    def done(self, key: str, reviewer: str) -> Screening | None:
        """The row that a request with this key has written already."""
        row = self._keys.get(SOURCE + key)
        return row if row is not None and row.reviewer == reviewer else None

    def decide_once(
        self,
        key: str,
        record: str,
        stage: Stage,
        reviewer: str,
        decision: Decision,
        *,
        reason: str = "",
        note: str = "",
    ) -> Standing:
        with self._mutex:
            self.refresh()
            if self.done(key, reviewer) is not None:
                return self.state.standing(record, stage)
            return self.decide(
                record, stage, reviewer, decision, reason=reason, note=note, source=SOURCE + key
            )

    def note_once(self, key: str, record: str, stage: Stage, reviewer: str, text: str) -> None:
        with self._mutex:
            self.refresh()
            if self.done(key, reviewer) is None:
                self._write(Entry(record, stage, reviewer, "note", note=text, source=SOURCE + key))

    def undo_once(self, key: str, reviewer: str, stage: Stage) -> str | None:
        """Take back the reviewer's latest decision; the record it was about."""
        with self._mutex:
            self.refresh()
            done = self.done(key, reviewer)
            if done is not None:
                return self.state.name(done.record)
            row = self.state.last(reviewer, stage)
            if row is None:
                return None
            self._write(
                Entry(
                    row.record,
                    stage,
                    reviewer,
                    "withdrawn",
                    resolution=row.kind == "resolution",
                    source=SOURCE + key,
                )
            )
            return self.state.name(row.record)

    def resolve_once(
        self,
        key: str,
        record: str,
        stage: Stage,
        reviewer: str,
        decision: Decision,
        *,
        reason: str = "",
        note: str = "",
    ) -> Standing:
        with self._mutex:
            self.refresh()
            if self.done(key, reviewer) is not None:
                return self.state.standing(record, stage)
            return self.resolve(
                record, stage, reviewer, decision, reason=reason, note=note, source=SOURCE + key
            )

    @contextlib.contextmanager
    def reading(self) -> Iterator[set[str]]:
        """Nothing changes inside; gives the records whose rows are new since the last time."""
        with self._mutex:
            self.refresh()
            changed, self._changed = self._changed, set()
            yield changed
