"""Commands on files of references: records, import, export, dedupe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from evidence.commands.session import (
    FAULT,
    Session,
    json_option,
)


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
)
@click.option("--jsonl", is_flag=True, help="Print each record as one line of JSON.")
@click.option("--deleted", is_flag=True, help="Print withdrawn PMIDs as lines of JSON too.")
@click.option(
    "--quarantine",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the bytes of what cannot be read, a file each, in this folder.",
)
@click.pass_obj
def records(
    session: Session, files: Sequence[Path], jsonl: bool, deleted: bool, quarantine: Path | None
) -> None:
    """Count or print the records of each FILE: PubMed XML (.xml, .xml.gz), NBIB or RIS.

    `-` is standard input. Records come as a stream. What cannot be read is named with its line on
    standard error, the rest goes on, and the command ends with 1. The fields are described in
    docs/reference/records.md.
    """
    from evidence.formats.lines import print_records

    out = sys.stdout.buffer if jsonl or deleted else None
    whole = True
    for path in files:
        count = print_records(path, out, deleted=deleted, quarantine=quarantine)
        whole = whole and count.whole
        for fault in count.faults:
            click.echo(fault, err=True)
        if out is None:
            click.echo(count.summary())
        else:
            session.say(count.summary())
    sys.exit(0 if whole else FAULT)


format_option = click.option(
    "--format", "format_", metavar="FORMAT", help="The format; else it is found by the content."
)


@click.command("import")
@click.argument("claim")
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@format_option
@click.option("--encoding", help="The encoding of the files, such as latin-1; else it is found.")
@json_option
@click.pass_obj
def import_(
    session: Session,
    claim: str,
    paths: Sequence[Path],
    format_: str | None,
    encoding: str | None,
    as_json: bool,
) -> None:
    """Add the references of each FILE, exported from any database, to a CLAIM.

    RIS, NBIB, BibTeX, EndNote XML, PubMed XML, Web of Science, CSV and lists of PubMed ids. Every
    record is either read, or refused and named with its line; then the command ends with 1. Known
    PMIDs and DOIs are recognised, other duplicates found by comparison; what people decide about
    duplicates stands in extracted/CLAIM/duplicates.csv. The file, its receipt and the merge log
    are kept under var/imports/CLAIM/. To import a file again is safe.
    """
    from evidence.exchange import import_files

    outcome = import_files(
        session.workspace,
        claim,
        paths,
        on=session.today,
        format=format_,
        encoding=encoding,
        say=session.say,
    )
    _told(session, outcome, as_json)


@click.command()
@click.argument("claim")
@click.argument("format_", metavar="FORMAT")
@click.option(
    "--to", type=click.Path(dir_okay=False, path_type=Path), help="A file, else the terminal."
)
@click.pass_obj
def export(session: Session, claim: str, format_: str, to: Path | None) -> None:
    """Write all references of a CLAIM: ris, nbib, bibtex, endnote, csv, asreview or pmids.

    What a format cannot hold is told on standard error; csv holds everything.
    """
    from evidence.exchange import exported
    from evidence.files import write_text
    from evidence.formats import loses

    text, there, written = exported(session.workspace, claim, format_)
    for loss in loses(format_):
        session.say(f"{format_} leaves out {loss}")
    what = f"{there:,} {'reference' if there == 1 else 'references'}"
    if written < there:
        what = f"{written:,} of {what}"
    if to is None:
        click.echo(text.encode(), nl=False)  # a file in UTF-8, whatever the terminal takes
        session.say(what)
    else:
        write_text(to, text)
        session.say(f"wrote {what} to {to}")


@click.command()
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--to",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file for the references, one a work.",
)
@click.option("--format", "format_", help="The format of --to; else its ending names it.")
@click.option(
    "--log",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("merges.csv"),
    show_default=True,
    help="The merge log: a line for each merge, with its reasons.",
)
@click.option(
    "--pairs",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file for the pairs to decide, and for related works that are kept apart.",
)
@click.option(
    "--decisions",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What people decided: record_1, record_2, same or different.",
)
@click.option("--replay", is_flag=True, help="Merge what the log says, without comparing.")
@click.option("--undo", multiple=True, metavar="ID", help="Take back the merge of this record.")
@click.option("--by", default="", help="Who undoes it, for the log.")
@json_option
@click.pass_obj
def dedupe(
    session: Session,
    paths: Sequence[Path],
    to: Path | None,
    format_: str | None,
    log: Path,
    pairs: Path | None,
    decisions: Path | None,
    replay: bool,
    undo: Sequence[str],
    by: str,
    as_json: bool,
) -> None:
    """Find the duplicates among the references of each FILE; no claim is needed.

    A title alone never merges: preprints, errata, conference abstracts and other parts are kept
    apart and listed. Nothing is lost: the log can be replayed and each merge undone, and people's
    decisions stand above all rules.
    """
    from evidence.exchange import dedupe_files

    outcome = dedupe_files(
        paths,
        on=session.today,
        log=log,
        pairs=pairs,
        decisions=decisions,
        to=to,
        format=format_,
        again=replay,
        undone=undo,
        by=by,
        say=session.say,
    )
    _told(session, outcome, as_json)


def _told(session: Session, outcome: Any, as_json: bool) -> None:
    """Print what was read and what was refused; refused records end the command with 1."""
    if as_json:
        session.print_json(outcome.json())
    else:
        for line in outcome.lines():
            click.echo(line)
        for entry in outcome.refused:
            click.echo(f"refused: {entry}", err=True)
    sys.exit(FAULT if outcome.refused else 0)
