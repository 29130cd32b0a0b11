"""The commands of a PubMed of one's own."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evidence.commands.session import (
    Session,
    json_option,
)

if TYPE_CHECKING:
    from evidence.mirror import Mirror


def mirror_path(session: Session, db: Path | None) -> Path:
    """The mirror that is named, or that of the folder."""
    return db or session.root / "var" / "mirror.sqlite"


mirror_option = click.option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The mirror.  [default: var/mirror.sqlite]",
)


shards_option = click.option(
    "--shards",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder with a mirror in shards, in place of one database.",
)


scheduler_option = click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="The Dask scheduler whose workers are asked, such as tcp://10.0.0.5:8786; local makes "
    "workers here.",
)


def one_place(db: Path | None, shards: Path | None, scheduler: str | None = None) -> None:
    """Wrong usage where two places are named, or workers for a mirror that has no shards."""
    if db and shards:
        raise click.UsageError("--db names one database and --shards a folder: give one of them")
    if scheduler and not shards:
        raise click.UsageError("--scheduler needs --shards FOLDER")


@contextlib.contextmanager
def opened(
    session: Session, db: Path | None, shards: Path | None, scheduler: str | None
) -> Iterator[Mirror]:
    """The mirror that is named, in one database or in shards."""
    from evidence.mirror import Mirror

    one_place(db, shards, scheduler)
    with contextlib.ExitStack() as stack:
        if shards is None:
            held = Mirror(mirror_path(session, db))
        else:
            from evidence.mirror.scale import ShardedMirror, cluster

            with ShardedMirror(shards) as held:  # or says that there is none
                pass
            engine = stack.enter_context(cluster(scheduler)) if scheduler else None
            held = ShardedMirror(shards, engine=engine)
        yield stack.enter_context(held)


xml_files = click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)


@click.group()
def mirror() -> None:
    """A PubMed of one's own: NLM's files in one database, searched without the network."""


@mirror.command("add")
@xml_files
@click.option(
    "--jobs", type=click.IntRange(1), help="Processes that read records.  [default: up to 4]"
)
@mirror_option
@shards_option
@scheduler_option
@click.pass_obj
def mirror_add(
    session: Session,
    files: Sequence[Path],
    jobs: int | None,
    db: Path | None,
    shards: Path | None,
    scheduler: str | None,
) -> None:
    """Take NLM's baseline and update files (pubmedYYnNNNN.xml.gz) into the mirror.

    Each FILE is taken whole or not at all, and once: a run that was killed goes on with the same
    command. FILE.md5 is checked where it lies beside. What cannot be read is kept apart and named.

    With --shards the files are shared out among workers, each group into a database of its own;
    answers are the same. Without --scheduler the workers are made here, --jobs of them.
    """
    from evidence.pubmed.regular import COMPILED

    one_place(db, shards, scheduler)
    if not COMPILED:
        session.say(
            "note: no C compiler was found when this package was installed; "
            "reading takes about six times as long"
        )
    if shards is None:
        from evidence.mirror import add

        outcome = add(mirror_path(session, db), files, jobs=jobs, say=session.say)
    else:
        from evidence.mirror.scale import add_shards, cluster

        with cluster(scheduler or "local", most=min(jobs or len(files), len(files))) as workers:
            outcome = add_shards(shards, files, engine=workers, say=session.say)
    for line in outcome.lines():
        click.echo(line)
    sys.exit(outcome.exit_code)


@mirror.command("mesh")
@xml_files
@mirror_option
@shards_option
@click.pass_obj
def mirror_mesh(
    session: Session, files: Sequence[Path], db: Path | None, shards: Path | None
) -> None:
    """Take NLM's desc20xx.xml and qual20xx.xml into the mirror, for entry terms and explosion."""
    one_place(db, shards)
    if shards is None:
        from evidence.mirror import add_mesh

        found = add_mesh(mirror_path(session, db), list(files), say=session.say)
    else:
        from evidence.mirror.scale import add_mesh_to_shards

        found = add_mesh_to_shards(shards, list(files), say=session.say)
    click.echo(", ".join(f"{count:,} {kind}s" for kind, count in sorted(found.items())))


@mirror.command("search")
@click.argument("query")
@click.option("--count", "shown", flag_value="count", help="Print the number alone.")
@click.option("--pmids", "shown", flag_value="pmids", help="Print the PMIDs, a line each.")
@json_option
@click.option("--lenient", is_flag=True, help="Answer approximately, and say so, not refuse.")
@click.option(
    "--top",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="Titles to print without the others.",
)
@mirror_option
@shards_option
@scheduler_option
@click.pass_obj
def mirror_search(
    session: Session,
    query: str,
    shown: str | None,
    as_json: bool,
    lenient: bool,
    top: int,
    db: Path | None,
    shards: Path | None,
    scheduler: str | None,
) -> None:
    """Ask the mirror a QUERY in PubMed's language; - reads it from standard input.

    Where PubMed itself may answer otherwise, standard error says so. What needs tables that NLM
    does not publish is refused by name, unless --lenient.
    """
    from evidence.mirror.source import answer_json, answer_notes

    if query == "-":
        query = sys.stdin.read()
    with opened(session, db, shards, scheduler) as held:
        answer = held.search(query, strict=not lenient, today=session.today)
        if as_json:
            session.print_json(answer_json(query, answer, held))
            return
        for note in answer_notes(answer, held):
            session.say(note)
        if shown == "count":
            click.echo(answer.count)
        elif shown == "pmids":
            click.echo("".join(f"{pmid}\n" for pmid in answer.pmids.tolist()), nl=False)
        else:
            click.echo(f"{answer.count:,} records")
            for record in held.records(answer.pmids[::-1][:top].tolist()):
                click.echo(f"  {record.pmid:>8}  {record.year or '':>4}  {record.shown_title[:90]}")
