"""Explain a strategy in numbers; write it for another database."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from evidence.claim_files import read_claim
from evidence.claims import Claim
from evidence.errors import InputError, SourceUnreachable
from evidence.extracted import read_extraction
from evidence.held import members_of, pubmed_records
from evidence.mirror import Mirror
from evidence.model import Record
from evidence.query.translate import Translation, translate
from evidence.steps.outcome import Say
from evidence.steps.retrieving import pubmed
from evidence.store import Store
from evidence.strategy.explain import Explanation, explain
from evidence.strategy.files import lint_file
from evidence.strategy.outlines import Written, of_claim, of_file
from evidence.strategy.own import MIRROR, known_records, own_records, vocabulary
from evidence.strategy.sources import FromMirror, FromPubMed, FromStore, Source
from evidence.strategy.unindexed import Unindexed, unindexed
from evidence.workspace import Workspace


def written(root: Path, name: str) -> tuple[Written, Claim | None]:
    """A strategy by the name of a claim, or of a file: a claim file or a text with one query.

    Raises
    ------
    InputError
        If it is neither.
    """
    path = Path(name)
    if path.is_file():
        if path.suffix != ".toml":
            return of_file(path, name=name), None
        claim = read_claim(path)
        return of_claim(claim), claim
    if path.is_dir():
        raise InputError(f"{name} is a folder", remedy="name a file with a strategy, or a claim")
    if (root / "queries").is_dir():
        workspace = Workspace.at(root)
        if path.suffix and name not in workspace.claim_ids():  # a claim's name has no dot
            raise InputError(
                f"there is no file {name}",
                [f"claims: {', '.join(workspace.claim_ids())}"],
                remedy="check the spelling and the folder; a claim is named without .toml",
            )
        claim = workspace.claim(name)
        return of_claim(claim), claim
    raise InputError(
        f"{name} is neither a file nor a claim",
        remedy="name a claim of the folder queries/, or a file with a strategy",
    )


def explain_strategy(
    root: Path,
    name: str,
    *,
    mirror: Path | None,
    online: bool,
    by_term: bool,
    known: Sequence[str],
    environ: Mapping[str, str],
    on: dt.date,
    say: Say,
) -> Explanation:
    """A strategy line by line, counted by a mirror, by PubMed, or by the claim's own records.

    Parameters
    ----------
    known : sequence of str
        PMIDs that it ought to find, beside those of the claim.
    """
    strategy, claim = written(root, name)
    if claim is None and (faults := lint_file(Path(name), name=name).counts["error"]):
        many = "1 fault" if faults == 1 else f"{faults} faults"
        say(f"{many} in {name}, where PubMed would misread it: `evidence lint {name}` names them")
    workspace = Workspace.at(root) if (root / "queries").is_dir() else None
    there = workspace is not None and claim is not None and claim.id in workspace.claim_ids()
    extraction = read_extraction(root, claim.id) if there and claim is not None else None
    ought = known_records(claim, extraction, known)
    own = _own_records(workspace)
    with _source(
        root, workspace, claim, [k.pmid for k in ought], mirror, online, environ, on, say
    ) as source:
        try:
            return explain(strategy, source, ought, by_term=by_term, own=own)
        except SourceUnreachable as fault:
            say(f"PubMed was not asked: {fault.problem}")
            return explain(strategy, None, ought, own=own)


def without_headings(root: Path) -> tuple[int, int] | None:
    """Of a folder's own records, how many have no headings, and all; None without records."""
    counted = _own_records(Workspace.at(root) if (root / "queries").is_dir() else None)
    return None if counted is None else (counted.without_headings, counted.records)


def translated(root: Path, name: str, target: str) -> Translation:
    """A strategy in the syntax of another database."""
    strategy, _ = written(root, name)
    return translate(strategy.query, target)


@contextlib.contextmanager
def _source(
    root: Path,
    workspace: Workspace | None,
    claim: Claim | None,
    known: Sequence[str],
    mirror: Path | None,
    online: bool,
    environ: Mapping[str, str],
    on: dt.date,
    say: Say,
) -> Iterator[Source | None]:
    """What counts: what was asked for, else the claim's records, else the mirror of the folder."""
    if online:
        if workspace is None:  # replies are archived in a review's folder
            workspace = Workspace(root.resolve())
        with pubmed(workspace, environ, say) as eutils:
            yield FromPubMed(eutils, on=on, say=say)
        return
    if mirror is not None:
        with Mirror(mirror) as held:
            yield FromMirror(held, name=str(mirror), today=on)
        return
    own = None if workspace is None or claim is None else own_records(workspace, claim, known)
    if workspace is not None and own is not None:
        with vocabulary(workspace) as words:
            yield FromStore(own, vocabulary=words, today=on)
        return
    there = root / "var" / MIRROR
    if there.is_file():
        with Mirror(there) as held:
            yield FromMirror(held, name=f"var/{MIRROR}", today=on)
        return
    yield None


def _own_records(workspace: Workspace | None) -> Unindexed | None:
    """The reader's own records without headings, over all claims: what a search by headings alone
    found is indexed.
    """
    if workspace is None or not workspace.store.is_file():
        return None
    records: dict[str, Record] = {}
    with Store(workspace.store) as store:
        for claim_id in workspace.claim_ids():
            members = members_of(store, claim_id)
            records |= {r.pmid: r for r in pubmed_records(store, claim_id, members)}
    return unindexed(records.values()) if records else None
