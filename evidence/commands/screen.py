"""The command that opens the screening page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from evidence.commands.session import Session

STAGES = ("title-abstract", "full-text")
_file = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("claim")
@click.option("--reviewer", metavar="NAME", help="Who screens.  [default: the page asks]")
@click.option("--stage", type=click.Choice(STAGES), default=STAGES[0], show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), help="[default: 8787, or the next free one]")
@click.option("--no-browser", is_flag=True, help="Print the address and open nothing.")
@click.option(
    "--resolver",
    "resolvers",
    multiple=True,
    metavar="NAME",
    help="Who sees and resolves every conflict; may be given several times.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST",
    help="A further name by which browsers may call it; may be given several times.",
)
@click.option("--password-file", type=_file, help="Who may come in; needed beyond this machine.")
@click.option("--add-reviewer", metavar="NAME", help="Ask for a password, keep it, and end.")
@click.option("--tls-cert", type=_file, help="The server's certificate (PEM).")
@click.option("--tls-key", type=_file, help="The key of the certificate (PEM).")
@click.option(
    "--behind-tls-proxy",
    "public",
    metavar="HOST",
    help="A proxy on this machine speaks TLS under this name.",
)
@click.pass_obj
def screen(
    session: Session,
    claim: str,
    reviewer: str | None,
    stage: str,
    port: int | None,
    no_browser: bool,
    resolvers: Sequence[str],
    host: str,
    names: Sequence[str],
    password_file: Path | None,
    add_reviewer: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    public: str | None,
) -> None:
    """Screen the records of a CLAIM on a page of your own browser.

    Every decision is on the disk, in extracted/CLAIM/screening.csv, when the page calls it saved.
    Only this machine reaches the page, and only by the address that is printed. Ctrl-C ends it.
    """
    from evidence.screen import opening
    from evidence.screen.serve import Tls, open_browser, serve

    if add_reviewer is not None:
        if password_file is None:
            raise click.UsageError("--add-reviewer needs --password-file")
        password = click.prompt(
            f"Password of {add_reviewer}", hide_input=True, confirmation_prompt=True
        )
        new = opening.add_reviewer(password_file, add_reviewer, password)
        click.echo(f"{add_reviewer} {'may come in' if new else 'has a new password'}")
        return
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key come together")
    tls = Tls(tls_cert, tls_key) if tls_cert and tls_key else None
    session.say(f"reading the records of {claim}")
    ready = opening.prepare(
        session.workspace,
        claim,
        opening.Where(host, port, password_file, tls, public, tuple(names)),
        stage="full-text" if stage == "full-text" else "title-abstract",
        reviewer=reviewer,
        resolvers=resolvers,
        say=session.say,
    )
    if ready.moved:
        session.say("the usual port is in use: this is another one")

    def tell() -> None:
        click.echo(ready.url)
        session.say("Ctrl-C ends the screening; every decision is saved as it is made")
        if not no_browser:
            open_browser(ready.url)

    try:
        serve(ready.app, ready.bound, tls=tls, forwarded=public is not None, ready=tell)
    finally:
        ready.session.stop()
    session.say("ended")
