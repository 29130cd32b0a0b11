"""Commands on decisions: exchange with other programs, agreement, conflicts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evidence.commands.session import FAULT, Session, json_option

if TYPE_CHECKING:
    from evidence.model import Decision, Stage
    from evidence.screening.agreement import Unsure

ACTION = 3  # somebody must act

STAGES: tuple[Stage, Stage] = ("title-abstract", "full-text")
stage_option = click.option(
    "--stage", type=click.Choice(STAGES), help="The stage of all decisions."
)


@click.group(no_args_is_help=True)
def decisions() -> None:
    """Exchange decisions about records with ASReview, Rayyan, Covidence and others."""


@decisions.command("import")
@click.argument("claim")
@click.argument(
    "path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--reviewer", default="", metavar="NAME", help="Who decided; else as the file says.")
@stage_option
@click.option(
    "--field", default="", metavar="NAME", help="The column or RIS tag that holds the decision."
)
@click.option(
    "--all",
    "all_are",
    type=click.Choice(("include", "exclude", "unsure", "not-retrieved")),
    help="The decision on every record of the file.",
)
@click.option(
    "--final", is_flag=True, help="The decisions hold for all reviewers, who agreed elsewhere."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
@click.option("--encoding", help="The encoding of the file, such as latin-1; else it is found.")
@json_option
@click.pass_obj
def import_(
    session: Session,
    claim: str,
    path: Path,
    reviewer: str,
    stage: Stage | None,
    field: str,
    all_are: Decision | None,
    final: bool,
    dry_run: bool,
    encoding: str | None,
    as_json: bool,
) -> None:
    """Write the decisions of a FILE into the log of a CLAIM, with a receipt.

    A project or CSV of ASReview (1 to 3), a CSV, RIS or zip of Rayyan, a CSV of Covidence, or any
    CSV or RIS with a column or tag of decisions. Records are found by PMID, DOI, or title and year;
    each row is taken, known already, undecided, or refused and named; then the command ends with 1.
    To import a file again is safe.
    """
    from evidence.screening.exchange import import_decisions

    receipt = import_decisions(
        session.workspace,
        claim,
        path,
        reviewer=reviewer,
        stage=stage,
        field=field,
        all_are=all_are,
        final=final,
        dry_run=dry_run,
        encoding=encoding,
    )
    if as_json:
        session.print_json(receipt.json())
    else:
        for line in receipt.lines():
            click.echo(line)
        for row in receipt.refused:
            click.echo(f"refused: {row}", err=True)
    sys.exit(FAULT if receipt.refused else 0)


@decisions.command("export")
@click.argument("claim")
@click.argument("format_", metavar="FORMAT")
@stage_option
@click.option(
    "--to", type=click.Path(dir_okay=False, path_type=Path), help="A file, else the terminal."
)
@click.pass_obj
def export(
    session: Session, claim: str, format_: str, stage: Stage | None, to: Path | None
) -> None:
    """Write all records of a CLAIM with their decisions: asreview, rayyan, ris or covidence.

    What a format cannot hold is told on standard error.
    """
    from evidence.files import write_text
    from evidence.screening.export import EXPORTS, export_decisions

    text = export_decisions(session.workspace, claim, format_, stage=stage or STAGES[0])
    for loss in EXPORTS[format_].loses:
        session.say(f"{format_} does not hold {loss}")
    if to is None:
        click.echo(text, nl=False)
    else:
        write_text(to, text)
        session.say(f"wrote {to}")


@click.command()
@click.argument("claim")
@stage_option
@click.option(
    "--unsure",
    type=click.Choice(("own", "include", "drop")),
    default="own",
    show_default=True,
    help="Doubt is a category of its own, counts as an inclusion, or is left out.",
)
@json_option
@click.pass_obj
def agreement(
    session: Session, claim: str, stage: Stage | None, unsure: Unsure, as_json: bool
) -> None:
    """How far the reviewers of a CLAIM agree: kappa, PABAK, AC1, alpha, with intervals.

    Only decisions from before a conflict was resolved count, on records that two reviewers share.
    """
    from evidence.screening.agreement import agreement as of_stage
    from evidence.screening.exchange import state_of

    state = state_of(session.workspace, claim)
    found = [
        of_stage(state.independent(each), each, unsure=unsure)
        for each in STAGES
        if stage in (None, each)
    ]
    if as_json:
        session.print_json([each.json() for each in found])
        return
    for each in found:
        click.echo("\n".join(each.lines()))


@click.command()
@click.argument("claim")
@stage_option
@json_option
@click.pass_obj
def conflicts(session: Session, claim: str, stage: Stage | None, as_json: bool) -> None:
    """List the records of a CLAIM on which reviewers disagree; ends with 3 where there are any.

    They are resolved on the page of `evidence screen`, or by a row with `resolution` under kind.
    """
    from evidence.screening.exchange import state_of, titles_of

    found = state_of(session.workspace, claim).conflicts(stage)
    titles = titles_of(session.workspace, claim, [s.record for s in found])
    if as_json:
        session.print_json([s.json() | {"title": titles.get(s.record, "")} for s in found])
    elif not found:
        click.echo(f"{claim}: no conflict")
    else:
        for s in found:
            click.echo(f"{s.stage}  {s.record}  {titles.get(s.record, '')[:80]}")
            for row in s.decisions.values():
                reason = f": {row.reason}" if row.reason else ""
                click.echo(f"    {row.reviewer}: {row.decision}{reason}")
    sys.exit(ACTION if found else 0)
