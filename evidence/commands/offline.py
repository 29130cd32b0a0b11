"""The options with which `search` and `update` ask a mirror in place of PubMed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from evidence.commands.mirror import (
    mirror_option,
    one_place,
    opened,
    scheduler_option,
    shards_option,
)
from evidence.commands.session import Session, steps

F = TypeVar("F", bound=Callable[..., Any])


def offline_options(command: F) -> F:
    """Which mirror, and whether it may answer approximately."""
    for option in (
        scheduler_option,
        shards_option,
        mirror_option,
        click.option(
            "--lenient",
            is_flag=True,
            help="Let the mirror answer approximately, and say so, not refuse.",
        ),
    ):
        command = option(command)
    return command


def offline_of(
    session: Session,
    source: str,
    lenient: bool,
    db: Path | None,
    shards: Path | None,
    scheduler: str | None,
) -> Any:
    """The mirror to ask where ``source`` says so; None for any other."""
    if source == "mirror":
        one_place(db, shards, scheduler)
        return steps.Offline(partial(opened, session, db, shards, scheduler), lenient)
    for name, given in (
        ("--lenient", lenient),
        ("--db", db),
        ("--shards", shards),
        ("--scheduler", scheduler),
    ):
        if given:
            raise click.UsageError(f"{name} needs --source mirror")
    return None
