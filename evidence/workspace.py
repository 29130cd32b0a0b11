"""Where a review keeps its files: any folder that has ``queries/``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evidence.claim_files import read_claim
from evidence.claims import Claim
from evidence.errors import ToolkitError, UnknownName


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders of one review, below ``root``."""

    root: Path

    @classmethod
    def at(cls, folder: Path) -> Workspace:
        """The workspace in ``folder``; a folder without ``queries/`` is no workspace."""
        if not (folder / "queries").is_dir():
            raise ToolkitError(
                f"{folder} has no folder queries/",
                remedy="run the command where queries/ is, or name it: evidence --root DIR ...",
            )
        return cls(folder.resolve())

    @property
    def queries(self) -> Path:
        return self.root / "queries"

    @property
    def extracted(self) -> Path:
        return self.root / "extracted"

    @property
    def site(self) -> Path:
        return self.root / "site"

    @property
    def var(self) -> Path:
        return self.root / "var"

    @property
    def archive(self) -> Path:
        return self.var / "archive"

    @property
    def store(self) -> Path:
        return self.var / "evidence.sqlite"

    def claim_ids(self) -> tuple[str, ...]:
        """The names of the claim files, in alphabetical order."""
        return tuple(sorted(path.stem for path in self.queries.glob("*.toml")))

    def claim(self, claim_id: str) -> Claim:
        path = self.queries / f"{claim_id}.toml"
        if not path.is_file():
            raise UnknownName("claim", claim_id, self.claim_ids())
        return read_claim(path)

    def chosen(self, claim_ids: Sequence[str]) -> tuple[str, ...]:
        """The named claims, or all of them; every name is checked before any work begins."""
        known = self.claim_ids()
        if not known:
            raise ToolkitError(
                f"{self.queries} holds no claim", remedy="start one with: evidence new CLAIM"
            )
        for claim_id in claim_ids:
            if claim_id not in known:
                raise UnknownName("claim", claim_id, known)
        return tuple(claim_ids) or known

    def shown(self, path: Path) -> str:
        """A path as the reader would type it."""
        try:
            return os.path.relpath(path, self.root)
        except ValueError:  # another drive
            return str(path)
