"""Commands that pool, draw and publish: pool, plot, table, update."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Table

from evidence.commands.offline import offline_of, offline_options
from evidence.commands.session import (
    FAULT,
    Session,
    claims_argument,
    json_option,
    offline_option,
    print_outcome,
    steps,
)


@click.command()
@claims_argument
@click.option("--tau2", metavar="KEY", help="Estimator of τ² in place of the plan's, such as DL.")
@click.option(
    "--ci",
    type=click.Choice(["auto", "wald", "knapp-hartung"], case_sensitive=False),
    help="Interval in place of the plan's.",
)
@json_option
@click.pass_obj
def pool(
    session: Session, claims: Sequence[str], tau2: str | None, ci: str | None, as_json: bool
) -> None:
    """Pool the extracted effects of each CLAIM: a line for each analysis of its plan.

    With --tau2 or --ci the plan is set aside for this once: nothing is written, and no
    verdict is given.
    """
    choices = steps.choices(tau2=tau2, ci=ci)
    rows = steps.assess(session.workspace, claims, **choices)
    if as_json:
        session.print_json([steps.pool_json(a) for row in rows for a in row.analyses])
        return
    for row in rows:
        table = Table(
            title=row.claim.statement, title_justify="left", show_edge=False, pad_edge=False
        )
        for head in ("analysis", "k", "estimate (CI)", "prediction", "I²", "how, or why not"):
            numeric = head in ("k", "I²")
            table.add_column(
                head,
                justify="right" if numeric else "left",
                overflow="fold",
                no_wrap=head == "analysis",  # a name that a reader types again
            )
        for analysis in row.analyses:
            table.add_row(*steps.pool_cells(analysis))
        session.out.print(table)
        if choices:
            changed = ", ".join(f"{key} = {value}" for key, value in choices.items())
            session.out.print(f"Not as planned ({changed}): no verdict.\n", markup=False)
        else:
            session.out.print(f"{row.verdict.headline}. {row.verdict.sentence}\n", markup=False)


@click.command()
@claims_argument
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    metavar="KIND",
    help="What to draw; may be given several times.  [default: forest]",
)
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder for the pictures in place of site/figures.",
)
@json_option
@click.pass_obj
def plot(
    session: Session, claims: Sequence[str], kinds: Sequence[str], to: Path | None, as_json: bool
) -> None:
    """Draw pictures of each CLAIM: SVG, PDF and PNG under site/figures/.

    \b
    KIND is one of
      forest         all rows and the pooled effect; also what is not pooled
      funnel         effects against their precision, contours of significance
      sunset         the same, shaded by power for the plan's smallest effect
      trim-and-fill  the same, with the studies that asymmetry suggests (from 10)
      radial         standardised effects against precision
      baujat         what each study adds to heterogeneity, and its influence
      leave-one-out  the pooled effect without each study in turn
      cumulative     the pooled effect as studies are added by year
      influence      case diagnostics
      gosh           the pooled effects of all subsets of the studies (from 4)
      orchard        every study, the mean, its interval and the prediction's

    All but forest are of pooled analyses and need three studies where no other number is
    given. What cannot be drawn is said, with the reason. The next `evidence update` clears
    site/figures/ of all but the pictures that its pages show: name a folder with --to for
    those that are to stay.
    """
    plotted = steps.plot(
        session.workspace, claims, on=session.today, kinds=kinds or (steps.FOREST,), to=to
    )
    session.print_paths(plotted.paths, as_json)
    for text in plotted.refused:
        click.echo(text, err=True)
    sys.exit(0 if plotted.paths or not plotted.refused else FAULT)


@click.command()
@claims_argument
@json_option
@click.pass_obj
def table(session: Session, claims: Sequence[str], as_json: bool) -> None:
    """Write the evidence table of each CLAIM: CSV and JSON under site/data/."""
    session.print_paths(steps.table(session.workspace, claims), as_json)


@click.command()
@claims_argument
@offline_option
@click.option(
    "--source",
    type=click.Choice(["pubmed", "mirror"]),
    default="pubmed",
    show_default=True,
    help="Search a mirror of PubMed in place of PubMed itself, without the network.",
)
@offline_options
@json_option
@click.pass_obj
def update(
    session: Session,
    claims: Sequence[str],
    offline: bool,
    source: str,
    lenient: bool,
    db: Path | None,
    shards: Path | None,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Search, rank, check, pool, draw and publish; then say what changed.

    With --source mirror the same strategies run on NLM's files (evidence mirror add). What the
    files say is counted exactly; what needs tables that NLM does not publish is refused by name,
    unless --lenient. The record of the search names the files. Nothing that PubMed itself found
    falls out because a mirror holds less.
    """
    mirror = offline_of(session, source, lenient, db, shards, scheduler)
    if offline and mirror:
        raise click.UsageError("--offline searches nothing: leave out --source mirror, or it")
    outcome = steps.update(
        session.workspace,
        claims,
        environ=os.environ,
        on=session.today,
        say=session.say,
        offline=offline,
        mirror=mirror,
    )
    print_outcome(session, outcome, as_json)
