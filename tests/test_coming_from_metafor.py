"""The page for metafor users: what it says is typed here gives metafor's numbers."""

from __future__ import annotations

import re

import pytest

from tests import doc_blocks
from tests.conftest import ROOT

PAGE = doc_blocks.PAGES[0]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    return list(doc_blocks.run(PAGE, tmp_path_factory.mktemp("page")))


def test_every_block_and_every_value_of_the_page_is_what_its_code_gives(ran):
    assert len([r for r in ran if r.block.kind == "python"]) > 10
    assert doc_blocks.differences(PAGE, ran) == []


# Viechtbauer (2010), J Stat Softw 36(3):1-48, version 3.8-1, run by ``tests.doc_blocks``.
def test_every_value_of_the_page_is_metafors_to_the_digits_printed():
    equations, kept = doc_blocks.page_equations(PAGE), doc_blocks.committed()
    assert [e.metafor for e in equations] == [metafor for metafor, _ in kept]
    wrong = [
        f"{PAGE.name}:{e.line} {e.metafor} is {number}, not {e.value}"
        for e, (_, number) in zip(equations, kept, strict=True)
        if e.printed(number) != e.value
    ]
    assert wrong == []


def test_metafor_still_gives_the_numbers_that_are_kept():
    if missing := doc_blocks.rscript_missing():
        pytest.skip(missing)
    kept = doc_blocks.committed()
    found = doc_blocks.run_r(PAGE)
    assert found == pytest.approx([number for _, number in kept], rel=1e-6, abs=1e-8)


def test_the_map_leads_to_headings_of_the_page():
    text = PAGE.read_text()
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).strip().replace(" ", "-")
        for line in re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= headings


def test_a_value_that_does_not_fit_is_named_with_its_line(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 1.25\nprint(x)\n```\n\n```text\n1.3\n```\n\n"
        "| metafor | ours | value |\n|---|---|---|\n| `a` | `x` | 1.2 |\n| `b` | `x \\| 1` | 1 |\n"
    )
    assert [e.ours for e in doc_blocks.page_equations(page)] == ["x", "x | 1"]
    page.write_text(page.read_text().replace("x \\| 1", "-x"))
    ran = list(doc_blocks.run(page, tmp_path))
    assert doc_blocks.differences(page, ran) == [
        "page.md:2 prints\n1.25\n",
        "page.md:13 -x is -1, not 1",
    ]


def test_renewing_a_page_writes_what_its_code_gives(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nx = 1.26\nprint(x)\n```\n\nWords.\n\n```python\nprint(x, x)\n```\n\n"
        "```text\nold\n```\n\n| metafor | ours | value |\n|---|---|---|\n| `a` | `-x` | 0.0 |\n"
    )
    page.write_text(doc_blocks.renewed(page, list(doc_blocks.run(page, tmp_path))))
    assert "print(x)\n```\n\n```text\n1.26\n```\n\nWords." in page.read_text()
    assert doc_blocks.differences(page, list(doc_blocks.run(page, tmp_path))) == []


def test_every_data_file_is_named_with_its_source():
    folder = ROOT / "docs/data"
    files = {p.name for p in folder.glob("*.csv")}
    rows = re.findall(
        r"^\| `([^`]+)` \|.*\((\d{4})\).*\|$", (folder / "README.md").read_text(), re.M
    )
    assert {name for name, _ in rows} == files


@pytest.mark.parametrize("page", doc_blocks.PAGES, ids=lambda page: page.stem)
def test_every_picture_of_a_page_is_described_and_not_heavy(page):
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]*)\)", page.read_text())
    for words, link in pictures:
        assert len(words) > 40, link
        assert (page.parent / link).stat().st_size < 150_000, link
