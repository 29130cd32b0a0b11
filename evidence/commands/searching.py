"""Commands that ask PubMed and further sources: search, chase, identify."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from evidence.commands.offline import offline_of, offline_options
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
    "--records",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --replay: a file for the archived records, one JSON line each.",
)
@click.option(
    "--source",
    type=click.Choice(["pubmed", "mirror", "europepmc", "crossref"]),
    default="pubmed",
    show_default=True,
    help="Ask a mirror of PubMed without the network, or another source for what the claim lacks.",
)
@offline_options
@json_option
@click.pass_obj
def search(
    session: Session,
    claims: Sequence[str],
    files: Sequence[Path],
    replay: str | None,
    records: Path | None,
    source: str,
    lenient: bool,
    db: Path | None,
    shards: Path | None,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Ask PubMed for what is new or revised; keep records and the search's own record.

    Every reply is kept below var/archive/. With --replay the PMIDs of an archived search are
    given again, with --records the records too, and nothing of the claim changes. What another
    source finds enters the reading order under that source's name.
    """
    offline = offline_of(session, source, lenient, db, shards, scheduler)
    other = source if source not in ("pubmed", "mirror") else None
    if source != "pubmed" and (files or replay):
        raise click.UsageError(f"--source {source} goes with neither --file nor --replay")
    if records and not replay:
        raise click.UsageError("--records needs --replay")
    if (files or replay or other) and len(claims) != 1:
        what = "--replay" if replay else "--file" if files else "--source"
        raise click.UsageError(f"{what} needs exactly one CLAIM")
    workspace = session.workspace
    asking = {"environ": os.environ, "on": session.today, "say": session.say}
    if replay:
        outcome = steps.replay(workspace, claims[0], replay, records_to=records)
    elif files:
        outcome = steps.add_files(workspace, claims[0], files, on=session.today)
    elif other:
        outcome = steps.second_source(workspace, claims[0], other, **asking)
    else:
        outcome = steps.search(workspace, claims, offline=offline, **asking)
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
    "--similar",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="Similar articles to take for each study.",
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
@click.option(
    "--crossref",
    is_flag=True,
    help="Ask Crossref for volume and page of each DOI that PubMed does not have.",
)
@json_option
@click.pass_obj
def identify(
    session: Session, claim: str, yes: Sequence[str], crossref: bool, as_json: bool
) -> None:
    """Propose PMIDs for CLAIM's studies that have none, by DOI and by NLM's citation matcher.

    The matcher is asked with volume and page where studies.csv has them, or with --crossref
    where Crossref knows them. Each is shown with its score and what agrees; nothing is written
    but var/identified/CLAIM.csv until you say --yes STUDY for one of them.
    """
    outcome = steps.identify(
        session.workspace, claim, yes=yes, crossref=crossref, environ=os.environ, say=session.say
    )
    print_outcome(session, outcome, as_json)
