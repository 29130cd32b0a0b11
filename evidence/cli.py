"""The terminal: arguments in, one call to ``steps``, text out.

JSON goes to standard output alone; progress and warnings go to standard error. Exit codes: 0 fine,
1 a fault that the user can mend or an incomplete answer, 2 wrong usage, 3 action needed.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from evidence import __version__
from evidence.errors import ToolkitError

if TYPE_CHECKING:
    from evidence.workspace import Workspace

FAULT = 1  # the other codes: 0 and 3 come with an outcome, 2 is click's for wrong usage


class _Steps:
    """The steps, loaded with the first command that needs them: help must not wait for scipy."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module("evidence.steps"), name)


steps = _Steps()


class Tour(click.Group):
    """Commands in the order of the work, not of the alphabet; faults without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ToolkitError as fault:
            click.echo(f"error: {fault}", err=True)
            ctx.exit(FAULT)


class Session:
    """What every command shares: the workspace, the day, and where words go."""

    def __init__(self, root: Path, quiet: bool) -> None:
        self.root = root
        self.today = dt.datetime.now().astimezone().date()
        self.err = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self.out = Console(highlight=False, soft_wrap=True)

    @property
    def workspace(self) -> Workspace:
        from evidence.workspace import Workspace

        return Workspace.at(self.root)

    def say(self, text: str) -> None:
        """One line of progress."""
        self.err.print(text, markup=False)

    def print_paths(self, paths: Sequence[Path], as_json: bool) -> None:
        """The files that a command wrote."""
        shown = [self.workspace.shown(path) for path in paths]
        if as_json:
            self.print_json(shown)
        else:
            click.echo("\n".join(shown))

    def print_json(self, value: Any) -> None:
        click.echo(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


claims_argument = click.argument("claims", nargs=-1, metavar="[CLAIM]...")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a machine.")
offline_option = click.option("--offline", is_flag=True, help="Do not try to reach PubMed.")


@click.group(cls=Tour, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="The review's folder, the one that has queries/.  [default: this folder]",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress, only results and faults.")
@click.version_option(__version__, prog_name="evidence")
@click.pass_context
def main(ctx: click.Context, root: Path, quiet: bool) -> None:
    """Living, claim-level evidence synthesis.

    A claim is a file: queries/CLAIM.toml says what is claimed, how PubMed is searched and how the
    results will be analysed; extracted/CLAIM/ holds the numbers that people copied from papers,
    each with its place in its source.

    \b
    A tour, in the order of the work:
      evidence new CLAIM       start a claim: a commented file to fill in
      evidence check           are the claim files and the extracted rows sound?
      evidence search          ask PubMed for what is new or revised since last time
      evidence rank            put the records into reading order
      evidence pool CLAIM      pool the extracted effects, one line an analysis
      evidence plot            draw forest, funnel and other plots (SVG, PDF, PNG)
      evidence table           write the evidence tables (CSV, JSON)
      evidence update          all of it, and publish the site

    Each command takes no claim (all of them), one or several; is safe to repeat; and
    ends with 0 (fine), 1 (a fault you can mend, or an incomplete answer), 2 (wrong
    usage) or 3 (action needed, such as a retracted included study).

    \b
    PubMed: set NCBI_EMAIL to your address and NCBI_API_KEY to your key, if you have one.
    """
    ctx.obj = Session(root, quiet)


@main.command()
@click.argument("claim")
@click.pass_obj
def new(session: Session, claim: str) -> None:
    """Start a CLAIM: write queries/CLAIM.toml and empty tables under extracted/CLAIM/."""
    root = session.root.resolve()
    for path in steps.new(root, claim, on=session.today):
        click.echo(f"wrote {os.path.relpath(path, root)}")
    click.echo(f"next: fill in queries/{claim}.toml, then `evidence check {claim}`")


@main.command()
@claims_argument
@json_option
@click.pass_obj
def check(session: Session, claims: Sequence[str], as_json: bool) -> None:
    """Check claim files and extracted rows; name every fault with file and line."""
    checked = steps.check(session.workspace, claims)
    if as_json:
        session.print_json(checked.json())
    else:
        for fault in checked.faults:
            click.echo(f"error: {fault}")
        for finding in checked.findings:
            click.echo(str(finding))
        counts = ", ".join(f"{checked.count(level)} {level}s" for level in steps.LEVELS)
        click.echo(f"{checked.claims} claims checked: {counts}")
    sys.exit(FAULT if checked.count("error") else 0)


@main.command()
@claims_argument
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Add the records of a PubMed export (NBIB / MEDLINE format) instead of asking PubMed.",
)
@json_option
@click.pass_obj
def search(session: Session, claims: Sequence[str], files: Sequence[Path], as_json: bool) -> None:
    """Ask PubMed for what is new or revised; keep records and the search's own record."""
    if files and len(claims) != 1:
        raise click.UsageError("--file needs exactly one CLAIM to add the records to")
    outcome = (
        steps.add_files(session.workspace, claims[0], files, on=session.today)
        if files
        else steps.search(
            session.workspace, claims, environ=os.environ, on=session.today, say=session.say
        )
    )
    if as_json:
        session.print_json(outcome.json())
    else:
        for line in outcome.lines():
            click.echo(line)
    sys.exit(outcome.exit_code)


@main.command()
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
            click.echo(f"  {place:>4}  {score:7.3f}  {record.pmid:>8}  {record.title[:90]}")


@main.command()
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
            table.add_column(head, justify="right" if numeric else "left", overflow="fold")
        for analysis in row.analyses:
            table.add_row(*steps.pool_cells(analysis))
        session.out.print(table)
        if choices:
            changed = ", ".join(f"{key} = {value}" for key, value in choices.items())
            session.out.print(f"Not as planned ({changed}): no verdict.\n", markup=False)
        else:
            session.out.print(f"{row.verdict.headline}. {row.verdict.sentence}\n", markup=False)


@main.command()
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


@main.command()
@claims_argument
@json_option
@click.pass_obj
def table(session: Session, claims: Sequence[str], as_json: bool) -> None:
    """Write the evidence table of each CLAIM: CSV and JSON under site/data/."""
    session.print_paths(steps.table(session.workspace, claims), as_json)


@main.command()
@claims_argument
@offline_option
@json_option
@click.pass_obj
def update(session: Session, claims: Sequence[str], offline: bool, as_json: bool) -> None:
    """Search, rank, check, pool, draw and publish; then say what changed."""
    outcome = steps.update(
        session.workspace,
        claims,
        environ=os.environ,
        on=session.today,
        say=session.say,
        offline=offline,
    )
    if as_json:
        session.print_json(outcome.json())
    else:
        for line in outcome.lines():
            click.echo(line)
    sys.exit(outcome.exit_code)
