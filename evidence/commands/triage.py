"""Commands of screening: which record to read next."""

from __future__ import annotations

from collections.abc import Sequence

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
