"""The receipt of an import: every record of a file is either read, or refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evidence.formats.reference import Reference


@dataclass(frozen=True, slots=True)
class RefusedEntry:
    """A record that could not be read: where it stands, why, and its bytes as they are."""

    file: str
    line: int  # in the file, from 1; of the record where the format has no lines
    why: str
    data: bytes

    def __str__(self) -> str:
        return f"{self.file}:{self.line}  {self.why}"


@dataclass(frozen=True, slots=True)
class Import:
    """What a file holds. ``references`` and ``refused`` together are all of its records."""

    file: str
    format: str  # "ris"
    dialect: str  # "Embase"; "" where the file does not tell
    encoding: str
    sha256: str
    references: tuple[Reference, ...]
    refused: tuple[RefusedEntry, ...]
    warnings: tuple[str, ...]  # read, but somebody should look
    counted: int  # marks of a record's beginning in the file, counted apart from the reading

    @property
    def in_file(self) -> int:
        return len(self.references) + len(self.refused)

    @property
    def accounted(self) -> bool:
        """Whether every mark of a record in the file belongs to a record read or refused."""
        return self.counted <= self.in_file

    def summary(self) -> str:
        """One line: "x.ris (ris, Embase, utf-8): 12 records in the file = 11 read + 1 refused"."""
        about = ", ".join(filter(None, (self.format, self.dialect, self.encoding)))
        return (
            f"{self.file} ({about}): {self.in_file:,} "
            f"{'record' if self.in_file == 1 else 'records'} in the file = "
            f"{len(self.references):,} read + {len(self.refused):,} refused"
        )

    def json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "format": self.format,
            "dialect": self.dialect,
            "encoding": self.encoding,
            "sha256": self.sha256,
            "in_file": self.in_file,
            "counted": self.counted,
            "read": len(self.references),
            "refused": [{"line": r.line, "why": r.why, "bytes": len(r.data)} for r in self.refused],
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Read:
    """What a reader of one format hands back; `evidence.formats.read` makes the receipt of it."""

    references: Sequence[Reference]
    refused: Sequence[RefusedEntry]
    counted: int  # marks of a record's beginning, by another way than the reading
    warnings: Sequence[str] = ()
    dialect: str = ""
    encoding: str = ""  # where the format says it itself
