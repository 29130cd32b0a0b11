"""The pages of ``docs/`` that can be run: their Python, what they print, their tables, their R.

A page is read as it stands. A block of Python runs in the names left by those before it; a block of
text right after it is what it prints, and without one it prints nothing. A table headed
``metafor | ours | value`` is a set of equations: the code in its second cell gives the number in
the third, and the R in its first cell, run after the page's R before it, gives it too. Both are
compared to the digits that the page prints.

``python -m tests.doc_blocks`` runs every page, writes what it prints and draws, and where R is
installed writes metafor's own numbers to ``tests/reference/coming_from_metafor.csv``. Look at what
changed before it is committed.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

from tests.conftest import ROOT

PAGES = (
    ROOT / "docs/coming-from-metafor.md",
    *(p for p in sorted((ROOT / "docs/methods").glob("*.md")) if p.name != "README.md"),
)
METAFOR = ROOT / "tests/reference/coming_from_metafor.csv"
PICTURES = Path("docs/pictures")
VERSION = "3.8-1"  # of metafor, whose numbers are in the table
HEAD = ("metafor", "ours", "value")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block or a table, with the line of the page on which its content starts."""

    kind: str  # "python", "r", "text", "equations"
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Equation:
    """A row of a table: R and Python that give one number, as the page prints it."""

    metafor: str
    ours: str
    value: str
    line: int

    @property
    def digits(self) -> int:
        return len(self.value.partition(".")[2])

    def printed(self, number: float) -> str:
        """A number to the digits of the page; no minus before zero."""
        text = f"{number:.{self.digits}f}"
        return text.removeprefix("-") if float(text) == 0 else text


def blocks(page: Path) -> list[Block]:
    """The blocks of a page in their order."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    i = 0
    while i < len(lines):
        if fence := re.match(r"```(\w+)\s*$", lines[i]):
            end = lines.index("```", i + 1)
            found.append(Block(fence[1], "\n".join(lines[i + 1 : end]), i + 2))
            i = end
        elif tuple(cells(lines[i])) == HEAD:
            start = i = i + 2
            while i < len(lines) and lines[i].startswith("|"):
                i += 1
            found.append(Block("equations", "\n".join(lines[start:i]), start + 1))
        i += 1
    return found


def cells(line: str) -> list[str]:
    """The cells of a row of a table; a bar inside code is written as ``\\|``."""
    if not line.startswith("|"):
        return []
    inner = re.split(r"(?<!\\)\|", line.strip().strip("|"))
    return [cell.strip().replace(r"\|", "|") for cell in inner]


def equations(block: Block) -> list[Equation]:
    """The rows of a table of equations."""
    rows = []
    for at, line in enumerate(block.text.splitlines()):
        metafor, ours, value = cells(line)
        rows.append(Equation(metafor.strip("`"), ours.strip("`"), value, block.line + at))
    return rows


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a block: what it printed, or the numbers of its equations."""

    block: Block
    printed: str = ""
    numbers: tuple[float, ...] = ()


def run(page: Path, folder: Path) -> Iterator[Ran]:
    """Run the Python of a page in a folder that has the data; pictures are left there.

    Warnings are errors, as in the tests. A fault keeps the page's own line numbers.
    """
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    data = folder / "docs/data"
    if not data.exists():
        data.symlink_to(ROOT / "docs/data")
    names: dict[str, Any] = {"__name__": "__page__"}
    with contextlib.chdir(folder), warnings.catch_warnings():
        warnings.simplefilter("error")
        for block in blocks(page):
            if block.kind == "python":
                said = io.StringIO()
                # Blank lines in front: a traceback then points into the page.
                code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
                with contextlib.redirect_stdout(said):
                    exec(code, names)  # the pages are ours
                yield Ran(block, said.getvalue())
            elif block.kind == "equations":
                yield Ran(block, numbers=tuple(_number(e, page, names) for e in equations(block)))
            else:
                yield Ran(block)


def _number(equation: Equation, page: Path, names: dict[str, Any]) -> float:
    code = compile("\n" * (equation.line - 1) + equation.ours, str(page), "eval")
    return float(eval(code, names))


def differences(page: Path, ran: list[Ran]) -> list[str]:
    """Every place where a page prints something else than its code."""
    wrong = []
    for i, (what, following) in enumerate(zip(ran, [*ran[1:], None], strict=True)):
        where = f"{page.name}:{what.block.line}"
        if what.block.kind == "python":
            text = following.block.text if following and following.block.kind == "text" else ""
            if _trimmed(what.printed) != _trimmed(text):
                wrong.append(f"{where} prints\n{what.printed}")
        elif what.block.kind == "equations":
            wrong += [
                f"{page.name}:{e.line} {e.ours} is {e.printed(number)}, not {e.value}"
                for e, number in zip(equations(what.block), what.numbers, strict=True)
                if e.printed(number) != e.value
            ]
        elif what.block.kind == "text" and (i == 0 or ran[i - 1].block.kind != "python"):
            wrong.append(f"{where} stands after no code")
    return wrong


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def r_script(page: Path) -> str:
    """The R of a page as one script that prints a line for each equation."""
    parts = ["pdf(NULL)"]  # pictures are drawn and thrown away
    for block in blocks(page):
        if block.kind == "r":
            parts.append(block.text)
        elif block.kind == "equations":
            parts += [
                f'cat(sprintf("\\n@@ %.17g\\n", as.numeric({e.metafor})))' for e in equations(block)
            ]
    return "\n".join(parts) + "\n"


def rscript_missing() -> str:
    """Why the R of the pages cannot run here, or nothing."""
    if not shutil.which("Rscript"):
        return "Rscript is not installed"
    asked = f'cat(requireNamespace("metafor") && packageVersion("metafor") == "{VERSION}")'
    found = subprocess.run(["Rscript", "-e", asked], capture_output=True, text=True, check=False)
    return "" if found.stdout.endswith("TRUE") else f"metafor {VERSION} is not installed"


def run_r(page: Path) -> list[float]:
    """metafor's number for each equation of a page."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "page.R")
        script.write_text(r_script(page), encoding="utf-8")
        found = subprocess.run(
            ["Rscript", "--vanilla", str(script)],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
    if found.returncode:
        raise RuntimeError(found.stderr)
    return [float(x) for x in re.findall(r"^@@ (\S+)$", found.stdout, flags=re.MULTILINE)]


def page_equations(page: Path) -> list[Equation]:
    return [e for block in blocks(page) if block.kind == "equations" for e in equations(block)]


def committed() -> list[tuple[str, float]]:
    """metafor's numbers as they are kept: expression and value, in the page's order."""
    with METAFOR.open(encoding="utf-8", newline="") as file:
        return [(row["metafor"], float(row["value"])) for row in csv.DictReader(file)]


def renewed(page: Path, ran: list[Ran]) -> str:
    """The page with what its code prints now."""
    lines = page.read_text(encoding="utf-8").splitlines()
    for what, following in reversed(list(zip(ran, [*ran[1:], None], strict=True))):
        at = what.block.line - 1
        if what.block.kind == "equations":
            for e, number in zip(equations(what.block), what.numbers, strict=True):
                row = lines[e.line - 1]
                head = row[: row.rstrip().rstrip("|").rindex("|")]
                lines[e.line - 1] = f"{head}| {e.printed(number)} |"
        if what.block.kind == "python":
            after = at + len(what.block.text.splitlines())
            said = _trimmed(what.printed).splitlines()
            if following and following.block.kind == "text":
                first = following.block.line - 1
                lines[first : first + len(following.block.text.splitlines())] = said
            elif said:
                lines[after + 1 : after + 1] = ["", "```text", *said, "```"]
    return "\n".join(lines) + "\n"


def small(picture: Path) -> None:
    """Fewer shades and fewer bytes: 128 hold every ink of a picture."""
    from PIL import Image

    with Image.open(picture) as image:
        drawn = image.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    drawn.save(picture, optimize=True)


def main(chosen: list[str]) -> None:
    matplotlib.use("Agg")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for page in PAGES:
        if chosen and page.stem not in chosen:
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            page.write_text(renewed(page, list(run(page, folder))), encoding="utf-8")
            for picture in sorted((folder / PICTURES).glob("*.png")):
                small(picture)
                shutil.copy(picture, ROOT / PICTURES / picture.name)
        print(page.relative_to(ROOT))
    if (not chosen or PAGES[0].stem in chosen) and not rscript_missing():
        rows = zip(page_equations(PAGES[0]), run_r(PAGES[0]), strict=True)
        with METAFOR.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("metafor", "value"))
            writer.writerows((e.metafor, f"{number:.15g}") for e, number in rows)
        print(METAFOR.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
