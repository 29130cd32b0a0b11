"""What the documents say can be typed exists, and what they link to is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from evidence.cli import main
from tests.conftest import ROOT

DOCUMENTS = sorted(
    p for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")] if p.name != "CHANGELOG.md"
)


def _shell_lines(text: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)
    gone = [link for link in links if not (document.parent / link).exists()]
    assert gone == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_command_shown_can_be_typed(document: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for line in _shell_lines(document.read_text()):
        words = shlex.split(line, comments=True)
        if words[0] == "make":
            assert words[1] in targets, line
        if words[0] == "evidence":
            with click.Context(main) as root:
                name, command, rest = main.resolve_command(root, words[1:])
                assert command is not None, line
                assert name is not None
                files = [w for w in rest if w.endswith(".nbib")]
                given = [w for w in rest if w not in files and w != "--file"]
                command.make_context(name, given, parent=root)


def test_the_tour_names_every_command() -> None:
    tour = main.help or ""
    missing = [name for name in main.commands if f"evidence {name}" not in tour]
    assert missing == []


def test_the_plan_of_the_house_names_every_module_of_the_packages() -> None:
    plan = (ROOT / "docs/architecture.md").read_text()
    rooms = [
        p
        for package in ("evidence", "meta")
        for p in sorted((ROOT / package).iterdir())
        if not p.name.startswith("__") and (p.is_dir() or p.suffix == ".py")
    ]
    missing = [
        p.relative_to(ROOT).as_posix() for p in rooms if p.relative_to(ROOT).as_posix() not in plan
    ]
    assert missing == []
