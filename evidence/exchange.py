"""References of other databases into a claim, a claim's references out, duplicates of files."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evidence import files
from evidence.assemble import decided
from evidence.duplicates import (
    Deduplicated,
    Judgement,
    Merge,
    decisions_text,
    deduplicate,
    key_of,
    log_text,
    read_decisions,
    read_log,
    replay,
    undo,
)
from evidence.duplicates.find import Pair
from evidence.errors import SchemaError, SourceError, UnknownName
from evidence.extracted import read_extraction
from evidence.files import csv_text
from evidence.formats import FORMATS, Import, Reference, from_record, read, write
from evidence.formats.records import from_reference
from evidence.held import (
    body_of,
    is_newer,
    members_of,
    others_in,
    others_of,
    pubmed_records,
    reference_of,
)
from evidence.model import Place, Record, SearchRun
from evidence.pubmed.nbib import read_nbib
from evidence.store import NEVER, Other, Store
from evidence.workspace import Workspace

__all__ = ["dedupe_files", "export", "import_files", "others_of", "settle"]

DECISIONS = "duplicates.csv"  # in extracted/CLAIM/: what people decided about duplicates
PAIR_COLUMNS = (
    "record_1",
    "record_2",
    "decision",
    "reviewer",
    "date",
    "reason",
    "relation",
    "score",
    "reasons",
    "title_1",
    "title_2",
)


@dataclass(frozen=True, slots=True)
class Imported:
    """What one file brought to a claim; with what was known before, all of its records."""

    file: Import
    new: tuple[str, ...]  # names of works: PMIDs, "doi:10...", digests
    known_by_pmid: int
    known_by_doi: int
    duplicates: int  # of another reference, as comparison found
    kept_in: str  # where the file and its receipt lie

    def lines(self) -> list[str]:
        known = (
            ("known by PMID", self.known_by_pmid),
            ("known by DOI", self.known_by_doi),
            (
                f"found to be {'a duplicate' if self.duplicates == 1 else 'duplicates'}",
                self.duplicates,
            ),
        )
        said = "".join(f", {number:,} {what}" for what, number in known if number)
        return [f"{self.file.summary()}; {len(self.new):,} new{said}", f"kept in {self.kept_in}"]

    def json(self) -> dict[str, Any]:
        return self.file.json() | {
            "new": list(self.new),
            "known_by_pmid": self.known_by_pmid,
            "known_by_doi": self.known_by_doi,
            "duplicates": self.duplicates,
            "kept_in": self.kept_in,
        }


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """What the files of one command brought."""

    claim: str
    files: tuple[Imported, ...]
    merged: Deduplicated
    pairs_file: str

    @property
    def refused(self) -> list[str]:
        return [str(entry) for each in self.files for entry in each.file.refused]

    def lines(self) -> list[str]:
        said = [line for each in self.files for line in each.lines()]
        said += [f"look at: {w}" for each in self.files for w in each.file.warnings]
        if self.merged.asks:
            said.append(to_decide(len(self.merged.asks), self.claim, self.pairs_file))
        return said

    def json(self) -> dict[str, Any]:
        return {
            "claim": self.claim,
            "files": [each.json() for each in self.files],
            "pairs_to_decide": len(self.merged.asks),
            "related": len(self.merged.related),
        }


def to_decide(pairs: int, claim: str, listed: str) -> str:
    """That some pairs wait for a person, where they are listed, and where the answer goes."""
    many = "1 pair" if pairs == 1 else f"{pairs:,} pairs"
    return (
        f"{many} of the claim may be duplicates: listed in {listed}; decide in "
        f"extracted/{claim}/{DECISIONS}"
    )


def import_files(
    workspace: Workspace,
    claim_id: str,
    paths: Sequence[Path],
    *,
    on: dt.date,
    format: str | None = None,
    encoding: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> ImportOutcome:
    """Add the references of files to a claim, with a receipt for each file.

    A PMID or a DOI that the store knows makes a reference its record; what neither names is
    compared with all that the claim has. A file that is imported again takes the place of what it
    held before. The file itself, its receipt, the bytes of what was refused, and the merge log are
    kept under var/imports/.

    Raises
    ------
    SourceError
        If a file is in no known format, or holds no record; then nothing is added.
    """
    workspace.chosen([claim_id])
    found = [(path, read_for_import(path, format=format, encoding=encoding)) for path in paths]
    say(_comparing(sum(len(each.references) for _, each in found)))
    return add_imports(workspace, claim_id, found, on=on)


def _comparing(references: int) -> str:
    return f"{references:,} {'reference' if references == 1 else 'references'} read; comparing"


def add_imports(
    workspace: Workspace, claim_id: str, found: Sequence[tuple[Path, Import]], *, on: dt.date
) -> ImportOutcome:
    """Add files that have been read to a claim; see `import_files`."""
    folder = workspace.var / "imports" / claim_id
    with Store(workspace.store) as store:
        before = {f"PubMed#{pmid}" for pmid in members_of(store, claim_id).pmids}
        before |= {o.at for o in store.others(claim_id)}
        dois = store.pmids_of_dois()
        ways = {each.file: _add(store, claim_id, each, dois, on=on) for _, each in found}
        merged, twice = settle(store, workspace, claim_id, dois)
        names = {o.at: o.name for o in store.others(claim_id)}
    done = []
    for path, each in found:
        own = {f"PubMed#{r.pmid}" if r.record else _shown_id(r) for r in each.references}
        new = [
            next((names[m] for m in g.members if m in names), g.chosen.reference.pmid or "")
            for g in merged.groups
            if own & set(g.members) and not before & set(g.members)
        ]
        kept = _keep(folder, path, each, on)
        done.append(
            Imported(
                file=each,
                new=tuple(new),
                known_by_pmid=ways[each.file]["PMID"],
                known_by_doi=ways[each.file]["DOI"],
                duplicates=twice[each.file],
                kept_in=workspace.shown(kept),
            )
        )
        before |= {m for g in merged.groups if own & set(g.members) for m in g.members}
    pairs = folder / "pairs.csv"
    return ImportOutcome(claim_id, tuple(done), merged, workspace.shown(pairs))


def read_for_import(
    path: Path, *, name: str = "", format: str | None = None, encoding: str | None = None
) -> Import:
    """A file's references; those of PubMed's own formats with their records.

    Parameters
    ----------
    name : str
        What the file is called, where that is not the last part of its path.
    """
    data = files.read_bytes(path)
    found = read(data, file=name or path.name, format=format, encoding=encoding)
    if found.format != "nbib":
        return found
    try:
        records = {r.pmid: r for r in read_nbib(path).records}
    except SourceError:  # another encoding, or another program's: the references are enough
        return found
    return replace(
        found,
        references=tuple(
            r.with_(record=records.get(r.pmid or "")) if r.pmid in records else r
            for r in found.references
        ),
    )


def _shown_id(reference: Reference) -> str:
    at = reference.at
    return f"{at.file}#{at.line}" if at else key_of(reference)


def _id(reference: Reference) -> str:
    return f"{reference.at.file}#{reference.at.line:07}" if reference.at else key_of(reference)


def _own_name(reference: Reference, dois: Mapping[str, str]) -> str:
    """What the reference is called by its own numbers alone."""
    return reference.pmid or dois.get((reference.doi or "").casefold(), "") or key_of(reference)


def _add(
    store: Store, claim: str, found: Import, dois: Mapping[str, str], *, on: dt.date
) -> Counter[str]:
    """Put a file's references into the store; says how many were known there, and by what."""
    ways: Counter[str] = Counter()
    present = members_of(store, claim).pmids
    pmids = {_id(r): r.pmid or dois.get((r.doi or "").casefold()) for r in found.references}
    held = store.get(p for p in pmids.values() if p)
    fetched = store.fetched_on(held)
    records: dict[str, Record] = {}
    poor: list[str] = []
    others: list[Other] = []
    for r in found.references:
        pmid = pmids[_id(r)]
        if pmid in present:
            ways["PMID" if r.pmid else "DOI"] += 1
        if pmid is not None:
            if r.record is not None and is_newer(
                r.record, held.get(pmid), fetched.get(pmid, NEVER)
            ):
                records[pmid] = r.record
            elif pmid in held:
                records.setdefault(pmid, held[pmid])
            else:
                records.setdefault(pmid, replace(from_reference(r), pmid=pmid))
                poor.append(pmid)
        if r.record is None:
            others.append(Other(_id(r), found.file, body_of(r), pmid or key_of(r), pmid))
    if records:
        store.add_export(claim, records.values(), source=found.file, on=on)
        store.expire(poor)  # the next update asks PubMed for the record itself
    store.add_others(claim, found.file, others, on=on)
    about = f"{found.dialect or found.format} file, SHA-256 {found.sha256[:12]}"
    store.log(
        SearchRun(
            *(claim, found.file, on, found.file, "", len(found.references), found.warnings),
            complete=not found.refused,
            kind="import",
            basis=about,
        )
    )
    return ways


def settle(
    store: Store, workspace: Workspace, claim: str, dois: Mapping[str, str]
) -> tuple[Deduplicated, Counter[str]]:
    """Say of each reference of another database which work it is; write the log and the pairs.

    Also gives how many references of each file or source comparison found to be duplicates. The
    log and the pairs are kept below var/imports/, people's decisions in extracted/.
    """
    folder = workspace.var / "imports" / claim
    others = store.others(claim)
    records = pubmed_records(store, claim, members_of(store, claim))
    known = [from_record(r).with_(at=Place("PubMed", int(r.pmid))) for r in records]
    references = [*known, *(reference_of(o) for o in others)]
    path = workspace.extracted / claim / DECISIONS
    decisions = read_decisions(files.read_text(path), file=str(path)) if path.is_file() else ()
    merged = deduplicate(references, decisions=decisions)
    place = {name: n for n, name in enumerate(merged.ids)}
    works: list[tuple[str, str, str | None]] = []
    twice: Counter[str] = Counter()
    for group in merged.groups:
        members = [place[m] for m in group.members]
        own = [_own_name(references[i], dois) for i in members]
        twice.update(
            others[i - len(known)].source
            for n, i in enumerate(members)
            if i >= len(known) and own[n] not in own[:n] and n
        )
        pmid = next((references[i].pmid for i in members if references[i].pmid), None)
        # A DOI of any of them names the work before a digest of words does.
        keys = [key_of(references[i]) for i in members if i >= len(known)]
        name = pmid or next((k for k in keys if k.startswith("doi:")), keys[0] if keys else "")
        works += [(others[i - len(known)].id, name, pmid) for i in members if i >= len(known)]
    store.name_others(claim, works)
    files.write_text(folder / "merges.csv", log_text(merged.merges))
    elsewhere = tuple(p for p in merged.related if not (_pubmed(p.one) and _pubmed(p.two)))
    merged = replace(merged, related=elsewhere)
    files.write_text(folder / "pairs.csv", pairs_text(merged, references))
    return merged, twice


def _pubmed(name: str) -> bool:
    return name.startswith("PubMed#")


def pairs_text(merged: Deduplicated, references: Sequence[Reference]) -> str:
    """The pairs to decide, then the related ones, as CSV.

    A line with "same" or "different" under decision is one that `read_decisions` understands.
    """
    title = {name: r.title for name, r in zip(merged.ids, references, strict=True)}

    def row(pair: Pair) -> dict[str, object]:
        made = pair.comparison
        return {
            "record_1": pair.one,
            "record_2": pair.two,
            "relation": made.relation or "?",
            "score": f"{made.score:.2f}",
            "reasons": made.reasons(),
            "title_1": title[pair.one],
            "title_2": title[pair.two],
        }

    return csv_text(PAIR_COLUMNS, map(row, (*merged.asks, *merged.related)))


def _keep(folder: Path, path: Path, found: Import, on: dt.date) -> Path:
    """The file as it is, its receipt, and the bytes of what was refused."""
    kept = folder / f"{found.sha256[:12]}-{found.file}"
    if kept != path:
        files.write_bytes(kept, files.read_bytes(path))
    told = found.json() | {"imported_on": on.isoformat()}
    receipt = json.dumps(told, ensure_ascii=False, indent=2)
    files.write_text(kept.with_name(f"{kept.name}.receipt.json"), f"{receipt}\n")
    for number, entry in enumerate(found.refused, 1):
        name = f"{kept.name}.refused-{number:04}-line-{entry.line}"
        files.write_bytes(kept.with_name(name), entry.data)
    return kept


def export(workspace: Workspace, claim_id: str, format: str) -> str:
    """All references of a claim in a format; see `exported`."""
    return exported(workspace, claim_id, format)[0]


def exported(workspace: Workspace, claim_id: str, format: str) -> tuple[str, int, int]:
    """All references of a claim in a format: PubMed's, then those that only others have.

    Also gives how many they are, and how many of them are in the text: a list of PMIDs has no
    place for the others.

    Decisions of screening go with them, where the format can hold one.
    """
    workspace.chosen([claim_id])
    if not writable(format):
        raise UnknownName("format to write", format, [f for f in FORMATS if writable(f)])
    decisions = decided(read_extraction(workspace.root, claim_id).screening)
    references: list[Reference] = []
    if workspace.store.is_file():
        with Store(workspace.store) as store:
            records = pubmed_records(store, claim_id, members_of(store, claim_id))
            references = [from_record(r) for r in records]
            there = {r.pmid for r in records}
            named: dict[str, Reference] = {}
            for other, reference in others_in(store, claim_id):
                if other.pmid not in there:
                    work = other.pmid or other.name
                    named.setdefault(work, reference.with_(source_id=work))
            references += named.values()
    if not references:
        raise SourceError(
            f"there is no record of {claim_id} to export",
            remedy=f"search for it first (evidence search {claim_id}), or import a file",
        )
    text = write(
        (r.with_(included=decisions.get(r.pmid or r.source_id, r.included)) for r in references),
        format,
    )
    written = sum(bool(r.pmid) for r in references) if format == "pmids" else len(references)
    return text, len(references), written


@dataclass(frozen=True, slots=True)
class DedupeOutcome:
    """What `dedupe_files` read, merged and wrote."""

    files: tuple[Import, ...]
    merged: Deduplicated
    wrote: tuple[str, ...]

    @property
    def refused(self) -> list[str]:
        return [str(entry) for each in self.files for entry in each.refused]

    def lines(self) -> list[str]:
        said = [each.summary() for each in self.files]
        said += [f"look at: {w}" for each in self.files for w in each.warnings]
        said.append(self.merged.summary())
        said += [
            f"decision about {j.record_1} and {j.record_2}: no such records here"
            for j in self.merged.unused
        ]
        if self.merged.crowded:
            said.append(
                f"{self.merged.crowded} sets of references that share too much (a title such as "
                "Editorial) were compared with their neighbours only"
            )
        return said + [f"wrote {path}" for path in self.wrote]

    def json(self) -> dict[str, Any]:
        merged = self.merged
        return {
            "files": [each.json() for each in self.files],
            "references": len(merged.ids),
            "works": len(merged.groups),
            "duplicates": len(merged.ids) - len(merged.groups),
            "pairs_to_decide": len(merged.asks),
            "related": len(merged.related),
            "compared": merged.compared,
            "wrote": list(self.wrote),
        }


def dedupe_files(
    paths: Sequence[Path],
    *,
    on: dt.date,
    log: Path,
    pairs: Path | None = None,
    decisions: Path | None = None,
    to: Path | None = None,
    format: str | None = None,
    again: bool = False,
    undone: Sequence[str] = (),
    by: str = "",
    say: Callable[[str], None] = lambda text: None,
) -> DedupeOutcome:
    """Find the duplicates among files; write the log, the pairs to decide and the works.

    Parameters
    ----------
    log : Path
        Where the merge log goes; with ``again`` or ``undone`` it is read instead of comparing.
    decisions : Path, optional
        People's decisions; each merge that is undone adds "different" to it.
    to : Path, optional
        Where the merged references go, in ``format`` or that of the file's ending.
    undone : sequence of str
        Ids of merged references whose merge is taken back.
    """
    as_format = None if to is None else format or format_of(to)
    if as_format is not None and not writable(as_format):
        raise UnknownName("format to write", as_format, [f for f in FORMATS if writable(f)])
    found = [read_for_import(path) for path in paths]
    twice = [name for name, n in Counter(each.file for each in found).items() if n > 1]
    if twice:
        raise SchemaError(
            f"two files are called {', '.join(twice)}: their records could not be told apart",
            remedy="rename one of them",
        )
    references = [r for each in found for r in each.references]
    judged: tuple[Judgement, ...] = ()
    if decisions is not None and (decisions.is_file() or not undone):  # undoing begins the file
        judged = read_decisions(files.read_text(decisions), file=str(decisions))
    wrote: list[str] = []
    if again or undone:
        merges = read_log(files.read_text(log), file=str(log))
        for name in undone:
            reviewer = by or "undone"
            kept = [m.kept for m in merges if m.merged == name and not m.undone]
            merges = undo(merges, name, by=f"{reviewer} {on.isoformat()}")
            judged += tuple(
                Judgement(k, name, False, reviewer, on.isoformat(), "undone") for k in kept
            )
        merged = _replayed(references, merges, log)  # or says that the log is of other files
        if undone and decisions is not None:
            _write(decisions, decisions_text(judged), wrote)
        if undone:
            _write(log, log_text(merges), wrote)
    else:
        say(_comparing(len(references)))
        merged = deduplicate(references, decisions=judged)
        _write(log, log_text(merged.merges), wrote)
        if pairs is not None:
            _write(pairs, pairs_text(merged, references), wrote)
    if to is not None and as_format is not None:
        _write(to, write(merged.references, as_format), wrote)
    return DedupeOutcome(tuple(found), merged, tuple(wrote))


def _replayed(references: Sequence[Reference], merges: Sequence[Merge], log: Path) -> Deduplicated:
    try:
        return replay(references, merges)
    except KeyError as fault:
        raise SchemaError(
            f"{log} names {fault.args[0]}, which is none of the records of these files",
            remedy="give the same files as when the log was made",
        ) from None


def _write(path: Path, text: str, wrote: list[str]) -> None:
    files.write_text(path, text)
    wrote.append(str(path))


def writable(format: str) -> bool:
    """Whether there is a format of this name, and it is written and not only read."""
    return format in FORMATS and FORMATS[format].write is not None


def format_of(path: Path) -> str:
    """The format that a file's ending stands for.

    Raises
    ------
    SourceError
        If it stands for none.
    """
    name = next(
        (f.name for f in FORMATS.values() if f.write and f.suffix == path.suffix.casefold()), None
    )
    if name is None:
        raise SourceError(
            f"{path}: its ending names no format",
            remedy=f"name one: {', '.join(f.name for f in FORMATS.values() if f.write)}",
        )
    return name
