"""The commands of a PubMed of one's own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from evidence.commands.session import (
    Session,
)


def mirror_path(session: Session, db: Path | None) -> Path:
    """The mirror that is named, or that of the folder."""
    return db or session.root / "var" / "mirror.sqlite"


mirror_option = click.option(
    "--db",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The mirror.  [default: var/mirror.sqlite]",
)


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
@click.pass_obj
def mirror_add(session: Session, files: Sequence[Path], jobs: int | None, db: Path | None) -> None:
    """Take NLM's baseline and update files (pubmedYYnNNNN.xml.gz) into the mirror.

    Each FILE is taken whole or not at all, and once: a run that was killed goes on with the same
    command. FILE.md5 is checked where it lies beside. What cannot be read is kept apart and named.
    """
    from evidence.mirror import add

    outcome = add(mirror_path(session, db), files, jobs=jobs, say=session.say)
    for line in outcome.lines():
        click.echo(line)
    sys.exit(outcome.exit_code)


@mirror.command("mesh")
@xml_files
@mirror_option
@click.pass_obj
def mirror_mesh(session: Session, files: Sequence[Path], db: Path | None) -> None:
    """Take NLM's desc20xx.xml and qual20xx.xml into the mirror, for entry terms and explosion."""
    from evidence.mirror import add_mesh

    found = add_mesh(mirror_path(session, db), list(files), say=session.say)
    click.echo(", ".join(f"{count:,} {kind}s" for kind, count in sorted(found.items())))


@mirror.command("search")
@click.argument("query")
@click.option("--count", "shown", flag_value="count", help="Print the number alone.")
@click.option("--pmids", "shown", flag_value="pmids", help="Print the PMIDs, a line each.")
@click.option("--json", "shown", flag_value="json", help="Print JSON for a machine.")
@click.option("--lenient", is_flag=True, help="Answer approximately, and say so, not refuse.")
@click.option("--top", default=20, show_default=True, help="Titles to print without the others.")
@mirror_option
@click.pass_obj
def mirror_search(
    session: Session, query: str, shown: str | None, lenient: bool, top: int, db: Path | None
) -> None:
    """Ask the mirror a QUERY in PubMed's language; - reads it from standard input.

    Where PubMed itself may answer otherwise, standard error says so. What needs tables that NLM
    does not publish is refused by name, unless --lenient.
    """
    from evidence.mirror import Mirror
    from evidence.mirror.source import answer_json, answer_notes

    if query == "-":
        query = sys.stdin.read()
    with Mirror(mirror_path(session, db)) as held:
        answer = held.search(query, strict=not lenient, today=session.today)
        if shown == "json":
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
