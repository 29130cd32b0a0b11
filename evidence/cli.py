"""The terminal: arguments in, one call to ``steps``, text out.

JSON goes to standard output alone; progress and warnings go to standard error. Exit codes: 0 fine,
1 a fault that the user can mend or an incomplete answer, 2 wrong usage, 3 action needed.
"""

from __future__ import annotations

from pathlib import Path

import click

from evidence import __version__
from evidence.commands import (
    claims,
    mirror,
    references,
    results,
    screen,
    screening,
    searching,
    strategy,
    triage,
)
from evidence.commands.session import Session, Tour


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
      evidence explain CLAIM   what each line of a strategy adds, and what it misses
      evidence translate CLAIM the strategy for Ovid, Embase and others, with its losses
      evidence search          ask PubMed for what is new or revised since last time
      evidence chase CLAIM     follow the citations of the included studies
      evidence identify CLAIM  propose PMIDs for studies that have none
      evidence records FILE    print the records of a file, one JSON line each
      evidence mirror add FILE keep NLM's files here; `mirror search` asks them offline
      evidence import CLAIM .. add the references of other databases, with a receipt
      evidence dedupe FILE ..  find duplicates among files, with an undoable log
      evidence export CLAIM .. write the references: RIS, BibTeX, CSV, ASReview, ...
      evidence rank            put the records into reading order
      evidence simulate FILE   play a finished screening again: what an order would save
      evidence screen CLAIM    decide on the records, on a page of your own browser
      evidence decisions ...   exchange them with ASReview, Rayyan, Covidence and others
      evidence conflicts CLAIM on which records reviewers disagree
      evidence agreement CLAIM how far they agree: kappa, PABAK, AC1, alpha
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


# In the order of the work.
for command in (
    claims.new,
    claims.check,
    claims.lint,
    strategy.explain,
    strategy.translate,
    searching.search,
    searching.chase,
    searching.identify,
    references.records,
    mirror.mirror,
    references.import_,
    references.dedupe,
    references.export,
    triage.rank,
    triage.simulate,
    screen.screen,
    screening.decisions,
    screening.conflicts,
    screening.agreement,
    results.pool,
    results.plot,
    results.table,
    results.update,
):
    main.add_command(command)
