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
      evidence lint FILE       what PubMed would silently ignore in a strategy
      evidence search          ask PubMed for what is new or revised since last time
      evidence chase CLAIM     follow the citations of the included studies
      evidence identify CLAIM  propose PMIDs for studies that have none
      evidence records FILE    print the records of a file, one JSON line each
      evidence mirror add FILE keep NLM's files here; `mirror search` asks them offline
      evidence import CLAIM .. add the references of other databases, with a receipt
      evidence dedupe FILE ..  find duplicates among files, with an undoable log
      evidence export CLAIM .. write the references: RIS, BibTeX, CSV, ASReview, ...
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
    if as_json:
        session.print_json(outcome.json())
    else:
        for line in outcome.lines():
            click.echo(line)
    sys.exit(outcome.exit_code)


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
def lint(session: Session, file: Path, as_json: bool) -> None:
    """Say what PubMed would silently ignore or misread in FILE, and what to write instead.

    FILE is a claim file (.toml) or a text file that holds one query. Ends with 1 where there
    is an error; warnings and notes do not count.
    """
    from evidence.strategy_files import lint_file

    found = lint_file(file, name=str(file))
    if as_json:
        session.print_json(found.json())
    else:
        click.echo(found.words())
    sys.exit(FAULT if found.counts["error"] else 0)


def _print(session: Session, outcome: Any, as_json: bool) -> None:
    """An outcome, and the end of the command."""
    if as_json:
        session.print_json(outcome.json())
    else:
        for line in outcome.lines():
            click.echo(line)
    sys.exit(outcome.exit_code)


@main.command()
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
    _print(session, outcome, as_json)


@main.command()
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
    _print(session, outcome, as_json)


@main.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
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

    Records come as a stream. What cannot be read is named with its line on standard error,
    the rest goes on, and the command ends with 1. The fields are described in
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
            click.echo(f"  {place:>4}  {score:7.3f}  {record.pmid:>8}  {record.shown_title[:90]}")


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


@main.group()
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


format_option = click.option(
    "--format", "format_", metavar="FORMAT", help="The format; else it is found by the content."
)


@main.command("import")
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
        session.workspace, claim, paths, on=session.today, format=format_, encoding=encoding
    )
    _told(session, outcome, as_json)


@main.command()
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
    from evidence.exchange import export as export_claim
    from evidence.files import write_text
    from evidence.formats import loses

    text = export_claim(session.workspace, claim, format_)
    for loss in loses(format_):
        session.say(f"{format_} does not hold {loss}")
    if to is None:
        click.echo(text, nl=False)
    else:
        write_text(to, text)
        session.say(f"wrote {to}")


@main.command()
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
