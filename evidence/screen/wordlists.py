"""Each reviewer's highlighted words, kept beside the claim's other decisions."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from evidence import files
from evidence.claims import Claim
from evidence.errors import ToolkitError
from evidence.screen.highlights import Highlights, tidy
from evidence.screening.lock import locked

FILE = "highlights.csv"
COLUMNS = ("reviewer", "speaks", "word")
FOR, AGAINST = "for", "against"


class WordLists:
    """The file ``extracted/CLAIM/highlights.csv``; without a row for a reviewer the claim's words.

    A reviewer who emptied both lists has one row without a word.
    """

    def __init__(self, root: Path, claim: Claim) -> None:
        self.path = root / "extracted" / claim.id / FILE
        plan = claim.screening
        self._claims = Highlights(tidy(plan.highlight), tidy(plan.highlight_against))
        self._mark: object = None
        self._lists: dict[str, Highlights] = {}

    def of(self, reviewer: str) -> Highlights:
        """The words of a reviewer."""
        self._read()
        return self._lists.get(reviewer, self._claims)

    def keep(self, reviewer: str, words: Highlights) -> Highlights:
        """Keep a reviewer's words; gives them as they were kept."""
        words = Highlights(tidy(words.include), tidy(words.exclude))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with locked(self.path.with_suffix(".lock")):  # the file itself is replaced
                self._read(again=True)
                lists = self._lists | {reviewer: words}
                files.write_csv(
                    self.path,
                    COLUMNS,
                    [
                        dict(zip(COLUMNS, (name, speaks, word), strict=True))
                        for name, each in sorted(lists.items())
                        for speaks, word in _rows(each)
                    ],
                )
        except OSError as fault:
            raise ToolkitError(
                f"cannot write {self.path}: {fault.strerror}", remedy="mend that, then save again"
            ) from fault
        self._lists, self._mark = lists, None
        return words

    def _read(self, *, again: bool = False) -> None:
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._lists, self._mark = {}, None
            return
        mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if mark == self._mark and not again:
            return
        found: dict[str, tuple[list[str], list[str]]] = {}
        try:
            for row in csv.DictReader(io.StringIO(files.read_text(self.path), newline="")):
                name, speaks, word = (row.get(column) or "" for column in COLUMNS)
                lists = found.setdefault(name, ([], []))
                if word and speaks in (FOR, AGAINST):
                    lists[speaks == AGAINST].append(word)
        except csv.Error as fault:
            raise ToolkitError(
                f"{self.path} cannot be read as CSV: {fault}",
                remedy="mend or remove it; it holds highlighted words only",
            ) from None
        self._lists = {name: Highlights(tidy(a), tidy(b)) for name, (a, b) in found.items()}
        self._mark = mark


def _rows(words: Highlights) -> list[tuple[str, str]]:
    rows = [(FOR, word) for word in words.include] + [(AGAINST, word) for word in words.exclude]
    return rows or [("", "")]
