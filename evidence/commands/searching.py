"""Commands that ask PubMed and further sources: search, chase, identify."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from evidence.commands.session import (
    Session,
    claims_argument,
    json_option,
    print_outcome,
    steps,
)


@click.command()
@claims_argument
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Add the records of a PubMed export (NBIB / MEDLINE format) instead of asking PubMed.",
)
@click.option(
    "--replay",
    metavar="DATE|RUN",
    help="Run the search of that day or run again from the archived replies, without a "
    "network ('last' is the latest).",
)
@click.option(
    "--source",
    type=click.Choice(["pubmed", "europepmc", "crossref"]),
    default="pubmed",
    show_default=True,
    help="Ask another source for what the claim lacks; it is listed in var/sources/ only.",
)
@json_option
@click.pass_obj
def search(
    session: Session,
    claims: Sequence[str],
    files: Sequence[Path],
    replay: str | None,
    source: str,
    as_json: bool,
) -> None:
    """Ask PubMed for what is new or revised; keep records and the search's own record.

    Every reply is kept below var/archive/. With --replay the PMIDs of an archived search are
    given again, and nothing is written.
    """
    other = source != "pubmed"
    if (files or replay or other) and len(claims) != 1:
        what = "--replay" if replay else "--file" if files else "--source"
        raise click.UsageError(f"{what} needs exactly one CLAIM")
    outcome = (
        steps.replay(session.workspace, claims[0], replay)
        if replay
        else steps.second_source(
            session.workspace,
            claims[0],
            source,
            environ=os.environ,
            on=session.today,
            say=session.say,
        )
        if other
        else steps.add_files(session.workspace, claims[0], files, on=session.today)
        if files
        else steps.search(
            session.workspace, claims, environ=os.environ, on=session.today, say=session.say
        )
    )
    print_outcome(session, outcome, as_json)


@click.command()
@click.argument("claim")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(["cited-by", "references", "similar"]),
    help="Which links to follow; may be given several times.  [default: all]",
)
@click.option(
    "--similar", default=20, show_default=True, help="Similar articles to take for each study."
)
@json_option
@click.pass_obj
def chase(session: Session, claim: str, kinds: Sequence[str], similar: int, as_json: bool) -> None:
    """Follow the citations of CLAIM's included studies, backwards and forwards.

    What the claim does not have yet is written to var/citations/CLAIM.csv, with how it was
    found, and enters the reading order.
    """
    outcome = steps.chase(
        session.workspace,
        claim,
        kinds=kinds,
        similar=similar,
        environ=os.environ,
        on=session.today,
        say=session.say,
    )
    print_outcome(session, outcome, as_json)


@click.command()
@click.argument("claim")
@click.option(
    "--yes",
    multiple=True,
    metavar="STUDY[=PMID]",
    help="Write the PMID proposed for this study to studies.csv; may be given several times.",
)
@json_option
@click.pass_obj
def identify(session: Session, claim: str, yes: Sequence[str], as_json: bool) -> None:
    """Propose PMIDs for CLAIM's studies that have none, by DOI and by NLM's citation matcher.

    Each is shown with its score and what agrees; nothing is written but var/identified/CLAIM.csv
    until you say --yes STUDY for one of them.
    """
    outcome = steps.identify(session.workspace, claim, yes=yes, environ=os.environ, say=session.say)
    print_outcome(session, outcome, as_json)
