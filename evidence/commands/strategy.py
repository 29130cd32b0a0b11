"""Commands on a search strategy: explain, translate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from evidence.commands.session import Session, json_option, steps

strategy_argument = click.argument("strategy", metavar="CLAIM|FILE")


@click.command()
@strategy_argument
@click.option(
    "--mirror",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Count in this mirror of PubMed.",
)
@click.option("--online", is_flag=True, help="Let PubMed count, one search for each number.")
@click.option("--terms", "by_term", is_flag=True, help="Count each term, not only each line.")
@click.option(
    "--known",
    multiple=True,
    metavar="PMID",
    help="A record that the strategy ought to find, beside those of the claim.",
)
@json_option
@click.pass_obj
def explain(
    session: Session,
    strategy: str,
    mirror: Path | None,
    online: bool,
    by_term: bool,
    known: Sequence[str],
    as_json: bool,
) -> None:
    """Say what each line of a strategy finds, adds, and loses if it is removed.

    CLAIM is a claim, FILE a claim file or a text with one query. Counts come from the claim's own
    records, from a mirror, or from PubMed. Each known relevant record is checked; for one that is
    missed: which concept keeps it out, what in it comes near, and what would find it.
    """
    from evidence.strategy.report import as_json as in_json
    from evidence.strategy.report import lines

    if mirror is not None and online:
        raise click.UsageError("--mirror and --online exclude each other")
    for pmid in known:
        if not pmid.isdigit():
            raise click.BadParameter(f"{pmid!r} is not a PMID", param_hint="--known")
    found = steps.explain_strategy(
        session.root,
        strategy,
        mirror=mirror,
        online=online,
        by_term=by_term,
        known=known,
        environ=os.environ,
        on=session.today,
        say=session.say,
    )
    if as_json:
        session.print_json(in_json(found))
    else:
        click.echo("\n".join(lines(found)))


@click.command()
@strategy_argument
@click.option(
    "--to",
    "target",
    required=True,
    type=click.Choice(["ovid", "embase", "wos", "cochrane", "europepmc"]),
    help="The database to write for.",
)
@json_option
@click.pass_obj
def translate(session: Session, strategy: str, target: str, as_json: bool) -> None:
    """Write a PubMed strategy for another database; every approximation is named.

    The query goes to standard output, the notes to standard error. A translation is a draft for a
    searcher: no two databases have the same fields and headings.
    """
    made = steps.translated(session.root, strategy, target)
    if as_json:
        session.print_json(
            {
                "to": made.target,
                "query": made.query,
                "notes": [
                    {"term": note.term or None, "effect": note.effect, "why": note.why}
                    for note in made.notes
                ],
            }
        )
        return
    click.echo(made.query)
    for note in made.notes:
        session.say(str(note))
