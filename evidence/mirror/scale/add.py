"""Files of NLM into a mirror in shards: the same files, the same answers as one database."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evidence.mirror.add import Outcome, in_nlm_order
from evidence.mirror.database import LEDGER, NLM_FILE, faults, missing_files
from evidence.mirror.descriptors import add_mesh
from evidence.mirror.scale.engines import Engine, Failed, Here
from evidence.mirror.scale.ledger import ledger_path, open_for_adding, take
from evidence.mirror.scale.shard import Build, Built, Looked, build, look
from evidence.mirror.writing import Added, Refused, rank_of

MOST_FILES = 20  # of one shard: about 600,000 records; a worker that dies loses as much work
_TASKS = 2  # for each worker at least, so that none waits long for the last


@dataclass(frozen=True, slots=True)
class _File:
    place: int  # among all files in NLM's order
    path: Path
    md5: str

    @property
    def is_named(self) -> bool:
        return NLM_FILE.fullmatch(self.path.name) is not None


def add_shards(
    folder: Path,
    files: Sequence[Path],
    *,
    engine: Engine | None = None,
    most_files: int = MOST_FILES,
    say: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Take files of PubMed XML into a mirror in shards, which is begun where there is none.

    A group of files is one task and becomes one shard. Shards are taken in as they are completed,
    each in one transaction: a run that is killed at any moment leaves whole shards only, and the
    same command goes on after them. Which records count is decided over all shards by the rules
    of `evidence.mirror.add`; neither the grouping nor the order of completion makes a difference.

    Parameters
    ----------
    folder : Path
        On a disk that this process and all workers share, under the same path.
    files : sequence of Path
        As for `evidence.mirror.add`, on a shared disk likewise.
    engine : Engine, optional
        Who builds the shards; this process by default.
    most_files : int
        Files in a shard; fewer where there are many workers for few files.
    say : callable
        Told of progress.

    Returns
    -------
    Outcome
        Also the files that were refused, among them those that no worker could complete.

    Raises
    ------
    StoreError
        If the folder cannot be written, or another run is adding to it.
    """
    engine = engine or Here()
    paths = [path.absolute() for path in sorted(files, key=in_nlm_order)]
    with open_for_adding(folder.absolute()) as db, faults(folder):
        engine.check(folder.absolute())
        run = _Run(db, folder.absolute(), engine, most_files, say)
        answers = run.answers(paths)
        gaps = missing_files(db)
    answered = [answers[place] for place in range(len(paths))]
    return Outcome(
        tuple(one for one in answered if isinstance(one, Added)),
        tuple(one for one in answered if isinstance(one, str)),
        gaps,
    )


def add_mesh_to_shards(
    folder: Path, files: list[Path], *, say: Callable[[str], None] = lambda text: None
) -> dict[str, int]:
    """NLM's descriptor files into the ledger; see `evidence.mirror.add_mesh`."""
    return add_mesh(ledger_path(folder), files, kind=LEDGER, say=say)


@dataclass
class _Run:
    db: sqlite3.Connection
    folder: Path
    engine: Engine
    most_files: int
    say: Callable[[str], None]

    def answers(self, paths: Sequence[Path]) -> dict[int, Added | str]:
        """What became of each file, by its place."""
        found: dict[int, Added | str] = {}
        waiting = []
        for place, looked in self.looks(paths):
            if looked.refused:
                found[place] = looked.refused
            else:
                waiting.append(_File(place, paths[place], looked.md5))
        waiting.sort(key=lambda file: file.place)
        while waiting:
            now, waiting = self.sorted_out(waiting, found)
            for file, answer in self.built(now):
                found[file.place] = answer
        return found

    def looks(self, paths: Sequence[Path]) -> Iterator[tuple[int, Looked]]:
        for place, looked in self.engine.each(look, [str(path) for path in paths]):
            if isinstance(looked, Failed):
                looked = Looked(refused=f"{paths[place]}: {looked.why}")
            yield place, looked

    def sorted_out(
        self, waiting: Sequence[_File], found: dict[int, Added | str]
    ) -> tuple[list[_File], list[_File]]:
        """The files that can be built now, and those that must see what becomes of others first.

        Of two files with one name or one content the first must be in or refused before the
        second is looked at. Files with other names than NLM's come after all others.
        """
        now: list[_File] = []
        later: list[_File] = []
        names: set[tuple[int, int]] = set()
        sums: set[str] = set()
        for file in waiting:
            if held := self._held(file):
                found[file.place] = held
            elif (
                file.md5 in sums
                or (file.is_named and in_nlm_order(file.path) in names)
                or (not file.is_named and any(one.is_named for one in (*now, *later)))
            ):
                later.append(file)
            else:
                now.append(file)
                sums.add(file.md5)
                names.add(in_nlm_order(file.path))
        return now, later

    def _held(self, file: _File) -> Added | str | None:
        held = self.db.execute(
            "SELECT records, deletions FROM files WHERE md5 = ?", (file.md5,)
        ).fetchone()
        if held:
            records, deletions = held
            return Added(file.path.name, records, deletions, (), known=True)
        try:
            rank_of(self.db, file.path.name)
        except Refused as why:
            return f"{file.path}: {why}"
        return None

    # ------------------------------------------------------------------ shards

    def built(self, files: Sequence[_File]) -> Iterator[tuple[_File, Added | str]]:
        """Build shards of the files and take them in; where one fails, its files one by one."""
        groups = self.groups(files)
        tasks = [self.task(group) for group in groups]
        failed: list[_File] = []
        # Files with other names than NLM's are taken in in the order given.
        others = deque(n for n, group in enumerate(groups) if not group[0].is_named)
        early: dict[int, Built | Failed] = {}
        for n, answer in self.engine.each(build, tasks):
            early[n] = answer
            if groups[n][0].is_named:
                ready = [n]
            else:
                ready = []
                while others and isinstance(early.get(others[0]), Built):
                    ready.append(others.popleft())
            for one in ready:
                taken = self.taken(groups[one], early.pop(one))
                if isinstance(taken, Failed):
                    failed += groups[one]
                else:
                    yield from zip(groups[one], taken, strict=True)
        for file in failed:
            yield file, self.alone(file)
        for n in others:
            taken = self.taken(groups[n], early[n])
            (file,) = groups[n]
            yield file, self.alone(file) if isinstance(taken, Failed) else taken[0]

    def alone(self, file: _File) -> Added | str:
        """Once more, with nothing else under way that could be at fault."""
        self.say(f"once more, alone: {file.path.name}")
        ((_, answer),) = self.engine.each(build, [self.task([file])])
        taken = self.taken([file], answer)
        return f"{file.path}: {taken.why}" if isinstance(taken, Failed) else taken[0]

    def task(self, group: Sequence[_File]) -> Build:
        return Build(str(self.folder), tuple(str(file.path) for file in group))

    def groups(self, files: Sequence[_File]) -> list[list[_File]]:
        named = [file for file in files if file.is_named]
        fair = -(-len(named) // (self.engine.hands * _TASKS))
        size = max(1, min(self.most_files, fair))
        groups = [named[start : start + size] for start in range(0, len(named), size)]
        return groups + [[file] for file in files if not file.is_named]

    def taken(
        self, group: Sequence[_File], answer: Built | Failed
    ) -> tuple[Added | str, ...] | Failed:
        if isinstance(answer, Failed):
            return answer
        if answer.name:
            expected = [
                file.md5
                for file, one in zip(group, answer.answers, strict=True)
                if isinstance(one, Added)
            ]
            path = self.folder / answer.name
            if sorted(expected) != sorted(answer.md5s):
                path.unlink(missing_ok=True)
                return Failed("it changed while it was read; run the command again")
            take(self.db, path)
        records = sum(one.records for one in answer.answers if isinstance(one, Added))
        self.say(f"{group[0].path.name} to {group[-1].path.name}: {records:,} records")
        return answer.answers
