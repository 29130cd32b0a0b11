"""Commands of screening: which record to read next, and how well that works."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from evidence.commands.session import (
    Session,
    claims_argument,
    json_option,
    steps,
)


@click.command()
@claims_argument
@click.option("--top", default=20, show_default=True, help="Records to print for each claim.")
@json_option
@click.pass_obj
def rank(session: Session, claims: Sequence[str], top: int, as_json: bool) -> None:
    """Put the stored records of each claim into reading order; write it to var/."""
    rankings = steps.rank(session.workspace, claims)
    if as_json:
        session.print_json([r.json() for r in rankings])
        return
    for ranked in rankings:
        click.echo(f"{ranked.claim}: {ranked.method}")
        for place, (record, score) in enumerate(ranked.records[:top], start=1):
            click.echo(f"  {place:>4}  {score:7.3f}  {record.pmid:>8}  {record.shown_title[:90]}")


def _numbers(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """ "1,2,3" as numbers."""
    try:
        numbers = tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list of whole numbers, such as 1,2,3") from None
    if min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise click.BadParameter("seeds are 0 or more, each once")
    return numbers


def _priors(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    """ "1+1" as two numbers; "0" as none."""
    included, _, excluded = value.partition("+")
    try:
        pair = int(included), int(excluded or included)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not as 1+1, 5+5 or 0") from None
    if min(pair) < 0:
        raise click.BadParameter("there cannot be fewer than 0 of a kind")
    return pair


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--question", default="", help="The review's question or criteria, in words.")
@click.option(
    "--seeds", default="1,2,3", show_default=True, callback=_numbers, help="A run for each."
)
@click.option(
    "--priors",
    default="1+1",
    show_default=True,
    callback=_priors,
    help="Relevant + other records known at the start, drawn by seed; 0 starts from the question.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    default=("default",),
    show_default=True,
    help="What to order by: default, no question, no title view, by lot. May be repeated.",
)
@click.option(
    "--view",
    "views",
    multiple=True,
    help="A further view for every model, where the file has it: MeSH, journal. May be repeated.",
)
@click.option(
    "--rule",
    "rules",
    multiple=True,
    help="Stopping rules to ask along each run; all where none is named. May be repeated.",
)
@click.option("--no-rules", is_flag=True, help="Ask no stopping rule.")
@click.option(
    "--check-every",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Decisions between two looks of the stopping rules.",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep each run in this folder; when the command is run again, it goes on from there.",
)
@click.option(
    "--plot",
    type=click.Path(file_okay=False, path_type=Path),
    help="Draw recall curves into this folder (SVG, PDF, PNG).",
)
@json_option
@click.pass_obj
def simulate(
    session: Session,
    file: Path,
    question: str,
    seeds: tuple[int, ...],
    priors: tuple[int, int],
    models: Sequence[str],
    views: Sequence[str],
    rules: Sequence[str],
    no_rules: bool,
    check_every: int,
    keep: Path | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Play a finished screening again: what an order would have saved, and each stopping rule.

    FILE is labelled CSV (.csv, .csv.gz; columns record_id, title, abstract, label) or RIS, also as
    ASReview writes them. Figures are ASReview's; priors are in none of them, but count in what a
    stopping rule has screened and found. CPU time is that of vectors and steps, stopping rules
    apart.
    """
    from evidence.triage.kept import play
    from evidence.triage.labelled import read_labelled
    from evidence.triage.reports import simulation_json, simulation_lines
    from evidence.triage.simulation import RULES, models_named

    labelled = read_labelled(file)
    for warning in labelled.warnings:
        session.say(warning)
    session.say(labelled.summary())
    runs = play(
        labelled,
        question,
        models=models_named(models, views=views),
        seeds=seeds,
        priors=priors,
        rules=() if no_rules else rules or tuple(RULES),
        check_every=check_every,
        kept=keep,
        told=lambda run: session.say(f"{run.model}, seed {run.seed}: {run.summary()}"),
    )
    if plot:
        from evidence.triage.curves import recall_curves
        from meta.plots import save

        relevant = {
            r.pmid: label for r, label in zip(labelled.records, labelled.labels, strict=True)
        }
        picture = recall_curves(runs, relevant, title=labelled.name)
        stem = plot / f"{file.name.partition('.')[0]}_recall"
        for path in save(picture, stem, date=session.today):
            session.say(str(path))
    if as_json:
        session.print_json(simulation_json(labelled, question, runs, priors=priors))
        return
    click.echo("\n".join(simulation_lines(runs)))
