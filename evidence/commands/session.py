"""What every command shares: the workspace, the day, where words go, how a command ends."""

from __future__ import annotations

import codecs
import contextlib
import datetime as dt
import errno
import io
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.console import Console

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
        for stream in (sys.stdout, sys.stderr):
            write_all_letters(stream)
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()  # or the system would find out after all words are said
        except ToolkitError as fault:
            click.echo(f"error: {fault}", err=True)
        except KeyboardInterrupt:
            click.echo(f"\n{INTERRUPTED}", err=True)
        except OSError as fault:
            if fault.errno == errno.EPIPE:
                raise  # the reader has seen enough: click ends quietly
            click.echo(f"error: {of_the_system(fault)}", err=True)
        ctx.exit(FAULT)


INTERRUPTED = (
    "interrupted: every file is either as it was or whole; the same command may be run again"
)


def write_all_letters(stream: Any) -> None:
    """Let a stream take letters that its encoding lacks: a character set is no reason to stop.

    What was set to ASCII gets UTF-8, as click has it; any other set gets what it lacks as
    ``\\u2013``.
    """
    if isinstance(stream, io.TextIOWrapper) and not _is_unicode(stream):
        plain = codecs.lookup(stream.encoding).name == "ascii"
        stream.reconfigure(encoding="utf-8" if plain else None, errors="backslashreplace")


def _is_unicode(stream: Any) -> bool:
    name = getattr(stream, "encoding", None) or "utf-8"
    return codecs.lookup(name).name.startswith("utf")


def of_the_system(fault: OSError) -> ToolkitError:
    """A fault of the disk that no part of the toolkit told in its own words."""
    from evidence.files import explained

    if fault.filename is not None:
        return explained("use", Path(os.fsdecode(fault.filename)), fault)
    # Files are written by `evidence.files`, which names them; standard output alone is left.
    if fault.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        with contextlib.suppress(OSError, ValueError):  # what it still holds can go nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return explained("write", "the answer to standard output", fault)
    why = fault.strerror or str(fault)
    return ToolkitError(
        f"the system refused: {why[:1].lower()}{why[1:]}",
        remedy="mend that, then run the command again",
    )


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
        only_ascii = not _is_unicode(sys.stdout)
        click.echo(json.dumps(value, ensure_ascii=only_ascii, indent=2, allow_nan=False))


claims_argument = click.argument("claims", nargs=-1, metavar="[CLAIM]...")


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a machine.")


offline_option = click.option("--offline", is_flag=True, help="Do not try to reach PubMed.")


def print_outcome(session: Session, outcome: Any, as_json: bool) -> NoReturn:
    """Print an outcome as lines or JSON, and end the command with its exit code."""
    if as_json:
        session.print_json(outcome.json())
    else:
        for line in outcome.lines():
            click.echo(line)
    sys.stdout.flush()
    with contextlib.suppress(ToolkitError):  # then the next run tells it once more
        outcome.when_told()
    sys.exit(outcome.exit_code)
