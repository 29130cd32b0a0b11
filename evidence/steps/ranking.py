"""Rank the records of NLM's files for a claim, however many."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from evidence import files
from evidence.assemble import decided
from evidence.errors import SourceError
from evidence.extracted import read_extraction
from evidence.reading_order import idle, known_decisions, links_path, looked_at, read_links
from evidence.steps.assessing import held_of
from evidence.steps.outcome import Say
from evidence.triage.scale import Ranked, pubmed_file, rank_parts
from evidence.triage.views import View
from evidence.workspace import Workspace

COLUMNS = ("place", "score", "pmid", "title")
TITLES = 1_000  # first records whose titles are written
MOST_PROCESSES = 4


@dataclass(frozen=True, slots=True)
class RankedFiles:
    """The records of some files in reading order for a claim."""

    claim: str
    paths: tuple[Path, ...]
    ranked: Ranked
    views: tuple[View, ...]  # that were on
    written: Path

    @property
    def method(self) -> str:
        return self.ranked.method + idle(self.views, [view.name for view in self.ranked.views])

    def provenance(self) -> dict[str, Any]:
        """What the order was made from."""
        used, filled = self.ranked.used, {view.name for view in self.ranked.views}
        return {
            "claim": self.claim,
            "method": self.method,
            "views": [
                {
                    "name": view.name,
                    "weight": view.weight,
                    "measured": view.measured,
                    "filled": view.name in filled,
                }
                for view in self.views
            ],
            "decisions": {
                "included": used.included,
                "excluded": used.excluded,
                "elsewhere": used.elsewhere,
            },
            "unscreened": used.unscreened,
            "replaced": self.ranked.replaced,
            "unread": self.ranked.unread,
            "terms": self.ranked.terms,
            "files": [{"name": path.name, "bytes": path.stat().st_size} for path in self.paths],
            "seed": 0,
        }

    def rows(self, top: int) -> Iterator[tuple[int, str, float, str]]:
        """Place, PMID, score and title of the first records."""
        titles = self.ranked.titles
        for i, (pmid, score) in enumerate(self.ranked.order[:top]):
            yield i + 1, pmid, score, titles[i] if i < len(titles) else ""

    def json(self, top: int) -> dict[str, Any]:
        return {
            **self.provenance(),
            "records": [
                {"pmid": pmid, "score": round(score, 6), "title": title}
                for _, pmid, score, title in self.rows(top)
            ],
        }


def rank_files(
    workspace: Workspace,
    claim_id: str,
    paths: Sequence[Path],
    *,
    settings: Sequence[str] = (),
    top: int = TITLES,
    jobs: int | None = None,
    scheduler: str | None = None,
    say: Say,
) -> RankedFiles:
    """Rank all records of NLM's files (XML, packed or not) by a claim's protocol and decisions.

    Of records with one PMID that of the last file counts, files taken in the order of their names,
    as NLM numbers them; what a file withdraws is left out. The claim's own decided records are
    learned from, whether the files have them or not. The whole order is written to
    var/reading-order-of-files/.

    Parameters
    ----------
    settings : sequence of str
        Views beside those of the claim file.
    top : int
        First records whose titles are wanted; at least a thousand are written.
    jobs : int, optional
        Processes that read; up to four, and no more than files, where none are given.
    scheduler : str, optional
        The address of a Dask scheduler; its workers do the work then. They must see the files and
        the folder var/ under the same path.

    Raises
    ------
    SourceError
        If no record is in the files, or one cannot be read to its end.
    ToolkitError
        If the scheduler or its workers cannot be used.
    """
    workspace.chosen([claim_id])
    claim, held = workspace.claim(claim_id), held_of(workspace, claim_id)
    extraction = held.under_present_names(read_extraction(workspace.root, claim_id))
    known = known_decisions(extraction, decided(extraction.screening, claim.screening))
    links = read_links(links_path(workspace.var, claim_id))
    protocol, views = looked_at(claim, settings, links=links)
    own = [record for record in held.records if record.pmid in known]
    paths = tuple(path.absolute() for path in sorted(dict.fromkeys(paths), key=_by_name))
    tables = workspace.var.absolute() / "ranking"
    tables.mkdir(parents=True, exist_ok=True)

    def waits() -> None:
        say("another ranking of files is at work in this folder: waiting until it has ended")

    with (
        files.alone(tables / "lock", waits=waits),
        _executor(workspace.var, len(paths), jobs, scheduler) as executor,
    ):
        for left in tables.glob("ranking-*"):  # by a run that was killed
            shutil.rmtree(left)
        ranked = rank_parts(
            [partial(tuple, own), *(pubmed_file(path) for path in paths)],
            known,
            protocol,
            views=views,
            titles=max(top, TITLES),
            repeated="last",
            executor=executor,
            folder=tables,
            say=say,
        )
    if not ranked.order and not ranked.replaced:
        raise SourceError(
            "there is no record in these files",
            [str(path) for path in paths],
            remedy="name files of NLM such as pubmed26n0001.xml.gz",
        )
    written = workspace.var / "reading-order-of-files" / f"{claim_id}.csv"
    found = RankedFiles(claim_id, paths, ranked, views, written)
    rows = found.rows(len(ranked.order))
    files.write_csv(
        written,
        COLUMNS,
        (dict(zip(COLUMNS, (i, f"{score:.4f}", p, t), strict=True)) for i, p, score, t in rows),
    )
    about = json.dumps(found.provenance(), ensure_ascii=False, indent=2)
    files.write_text(written.with_suffix(".json"), about + "\n")
    return found


def _by_name(path: Path) -> tuple[str, str]:
    return path.name, str(path)


@contextlib.contextmanager
def _executor(
    folder: Path, parts: int, jobs: int | None, scheduler: str | None
) -> Iterator[Executor | None]:
    """What does the work: workers of Dask, processes of this machine, or this process (None)."""
    if scheduler:
        from evidence.mirror.scale import cluster

        with cluster(scheduler, most=min(jobs or parts, parts)) as workers:
            workers.check(folder.absolute())
            yield workers.client.get_executor()
        return
    count = min(parts, jobs or min(os.cpu_count() or 1, MOST_PROCESSES))
    if count <= 1:
        yield None
        return
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as executor:
        yield executor
