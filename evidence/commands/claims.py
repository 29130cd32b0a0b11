"""Commands on claim files and strategies: new, check, lint."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from evidence.commands.session import (
    FAULT,
    Session,
    claims_argument,
    json_option,
    steps,
)


@click.command()
@click.argument("claim")
@click.pass_obj
def new(session: Session, claim: str) -> None:
    """Start a CLAIM: write queries/CLAIM.toml and empty tables under extracted/CLAIM/."""
    root = session.root.resolve()
    for path in steps.new(root, claim, on=session.today):
        click.echo(f"wrote {os.path.relpath(path, root)}")
    click.echo(f"next: fill in queries/{claim}.toml, then `evidence check {claim}`")


@click.command()
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
        found = [(checked.count(level), level) for level in steps.LEVELS]
        counts = ", ".join(f"{n} {level}{'' if n == 1 else 's'}" for n, level in found)
        many = "claim" if checked.claims == 1 else "claims"
        click.echo(f"{checked.claims} {many} checked: {counts}")
    sys.exit(FAULT if checked.count("error") else 0)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
def lint(session: Session, file: Path, as_json: bool) -> None:
    """Say what PubMed would silently ignore or misread in FILE, and what to write instead.

    FILE is a claim file (.toml) or a text file that holds one query, or the numbered lines of a
    search history. Ends with 1 where there is an error; warnings and notes do not count.
    """
    from evidence.strategy.files import lint_file

    found = lint_file(file, name=str(file), own=lambda: steps.without_headings(session.root))
    if as_json:
        session.print_json(found.json())
    else:
        click.echo(found.words())
    sys.exit(FAULT if found.counts["error"] else 0)
