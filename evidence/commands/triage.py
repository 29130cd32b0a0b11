"""Commands of screening: which record to read next, and how well that works."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evidence.commands.session import (
    Session,
    claims_argument,
    json_option,
    steps,
)

if TYPE_CHECKING:
    from evidence.reading_order import ReadingOrder

MOST_SEEDS = 10_000

view_option = click.option(
    "--view",
    "views",
    multiple=True,
    metavar="NAME[=WEIGHT]",
    help="Switch a view on, with a weight if you like; a weight of 0 switches it off. May be "
    "repeated; comes after the claim file's own views.",
)


@click.command()
@claims_argument
@click.option(
    "--top",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="Records to print for each claim.",
)
@view_option
@click.option(
    "--list-views",
    is_flag=True,
    help="Say which views there are, their weights and what was measured, and end.",
)
@click.option(
    "--checks",
    is_flag=True,
    help="Say how far to trust the order, by what the decisions say of each other: how far to read "
    "for 95, 99 and 100%, what was foretold and what came, decisions to look at again.",
)
@click.option(
    "--plot",
    type=click.Path(file_okay=False, path_type=Path),
    help="Draw what was foretold against what came, into this folder (SVG, PDF, PNG).",
)
@click.option(
    "--files",
    "some_files",
    multiple=True,
    metavar="FILE...",
    help="Rank the records of NLM's files (.xml, .xml.gz) in place of the stored ones: files, a "
    "folder of them, or a pattern. One claim then.",
)
@click.option(
    "--jobs", type=click.IntRange(1), help="Processes that read --files.  [default: up to 4]"
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="The Dask scheduler whose workers read --files, such as tcp://10.0.0.5:8786; local makes "
    "workers here.",
)
@json_option
@click.pass_obj
def rank(
    session: Session,
    claims: Sequence[str],
    top: int,
    views: Sequence[str],
    list_views: bool,
    checks: bool,
    plot: Path | None,
    some_files: Sequence[str],
    jobs: int | None,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Put the stored records of each claim into reading order; write it to var/.

    Title and abstract order the records; MeSH, publication types, journal, keywords and citation
    links can be switched on, here or in the claim file. What was used stands above the list, and
    beside the written order as JSON.

    With --files all records of NLM's files are ranked, a million within minutes:
    `evidence rank CLAIM --files pubmed26n*.xml.gz`.
    """
    if list_views:
        _list_views(session, as_json)
        return
    if some_files and (checks or plot):
        raise click.UsageError("--checks and --plot are for stored records, not for --files")
    if some_files:
        _rank_files(session, claims, some_files, top, views, jobs, scheduler, as_json)
        return
    if jobs or scheduler:
        raise click.UsageError("--jobs and --scheduler go with --files")
    rankings = steps.rank(
        session.workspace, claims, settings=views, check=checks or plot is not None
    )
    for ranked in rankings:
        if ranked.checks is None and (checks or plot):
            session.say(f"{ranked.claim}: so many records are ranked in parts, without checks")
        elif plot and ranked.checks:
            _draw_calibration(session, ranked, plot)
    if as_json:
        session.print_json([r.json() for r in rankings])
        return
    for ranked in rankings:
        click.echo(f"{ranked.claim}: {ranked.method}")
        shown = ranked.records[:top]
        wide = max((len(record.pmid) for record, _ in shown), default=0)
        for place, (record, score) in enumerate(shown, start=1):
            name = record.pmid.rjust(wide)
            click.echo(f"  {place:>4}  {score:7.3f}  {name}  {record.shown_title[:90]}")
        if ranked.moved is not None and ranked.moved.records > 1:
            click.echo(f"  since the order before: {ranked.moved.summary()}")
        if checks and ranked.checks is not None:
            click.echo("\n".join(ranked.checks.lines()))


def _draw_calibration(session: Session, ranked: ReadingOrder, folder: Path) -> None:
    from evidence.triage.curves import calibration
    from meta.plots import save

    assert ranked.checks is not None
    if not ranked.checks.calibration:
        session.say(
            f"{ranked.claim}: nothing to draw before a record is included and another excluded"
        )
        return
    picture = calibration(ranked.checks.calibration, title=ranked.claim)
    for path in save(picture, folder / f"{ranked.claim}_calibration", date=session.today):
        session.say(str(path))


def _list_views(session: Session, as_json: bool) -> None:
    from evidence.triage.views import described

    found = described()
    if as_json:
        session.print_json([one.json() for one in found])
        return
    for one in found:
        view = one.view
        click.echo(f"{view.name:<20}{view.weight:>5g}  {'on' if one.on else 'off'}")
        click.echo(f"    {one.about}")
        click.echo(f"    {one.found}")


def _rank_files(
    session: Session,
    claims: Sequence[str],
    some_files: Sequence[str],
    top: int,
    views: Sequence[str],
    jobs: int | None,
    scheduler: str | None,
    as_json: bool,
) -> None:
    # The shell writes out a pattern: every word after the first belongs to the claims then.
    named = set(session.workspace.claim_ids())
    chosen = [one for one in claims if one in named or not Path(one).exists()]
    paths = _paths([*some_files, *(one for one in claims if one not in chosen)])
    if len(chosen) != 1:
        raise click.UsageError("--files needs one claim: evidence rank CLAIM --files FILE...")
    found = steps.rank_files(
        session.workspace,
        chosen[0],
        paths,
        settings=views,
        top=top,
        jobs=jobs,
        scheduler=scheduler,
        say=session.say,
    )
    used = found.ranked
    session.say(
        f"{used.used.unscreened:,} records of {len(found.paths)} files; {used.replaced:,} replaced "
        f"or withdrawn by later files, {used.unread:,} unreadable; the whole order: "
        f"{session.workspace.shown(found.written)}"
    )
    if as_json:
        session.print_json([found.json(top)])
        return
    click.echo(f"{found.claim}: {found.method}")
    for place, pmid, score, title in found.rows(top):
        click.echo(f"  {place:>4}  {score:7.3f}  {pmid:>8}  {title[:90]}")


def _paths(names: Sequence[str]) -> list[Path]:
    """The files that are named: by themselves, by their folder, or by a pattern."""
    found: dict[Path, None] = {}
    for name in names:
        path = Path(name)
        if path.is_dir():
            some = [p for p in sorted(path.iterdir()) if p.name.endswith((".xml", ".xml.gz"))]
        elif path.is_file():
            some = [path]
        else:
            some = sorted(path.parent.glob(path.name)) if path.name else []
        if not some:
            raise click.BadParameter(f"there is no file {name}", param_hint="--files")
        found |= dict.fromkeys(some)
    return list(found)


def _numbers(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    """ "1,2,3" or "1-3" as numbers."""
    numbers: list[int] = []
    for part in value.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,10})\s*(?:(?:-|\.\.)\s*([0-9]{1,10})\s*)?", part)
        if match is None:
            problem = f"{value!r} is no list of whole numbers, such as 1,2,3 or 1-10"
            raise click.BadParameter(problem)
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < 2**32:  # what numpy takes as a seed
            raise click.BadParameter(f"{part.strip()!r}: seeds are 0 to {2**32 - 1}, rising")
        if last - first >= MOST_SEEDS:
            raise click.BadParameter(f"{part.strip()!r} are more than {MOST_SEEDS:,} seeds")
        numbers += range(first, last + 1)
    if len(set(numbers)) < len(numbers):
        raise click.BadParameter("seeds are 0 or more, each once")
    return tuple(numbers)


def _priors(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, int]:
    """ "1+1" as two numbers; "0" as none."""
    included, plus, excluded = value.partition("+")
    try:
        pair = int(included), int(excluded if plus else included)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not as 1+1, 5+5 or 0") from None
    if min(pair) < 0:
        raise click.BadParameter("there cannot be fewer than 0 of a kind")
    return pair


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--question", default="", help="The review's question or criteria, in words.")
@click.option(
    "--label",
    default="",
    metavar="NAME",
    help="The column or RIS tag that holds the labels; else it is found.",
)
@click.option(
    "--seeds",
    default="1,2,3",
    show_default=True,
    callback=_numbers,
    help="A run for each; 1-10 are ten.",
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
    metavar="NAME[=WEIGHT]",
    help="Switch a view on or, with a weight of 0, off, for every model, where the file has it: "
    "MeSH, journal. May be repeated.",
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
    label: str,
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

    labelled = read_labelled(file, label=label)
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
