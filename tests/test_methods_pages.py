"""The worked examples: each page's code runs, prints what stands there and draws its pictures."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from meta.measures import MEASURES
from tests import doc_blocks
from tests.conftest import ROOT
from tests.pictures import difference

PAGES = doc_blocks.PAGES[1:]
SHADES = 40  # of 255 that a local mean may differ: the committed pictures have 128 shades


def named(page):
    return page.stem


@pytest.mark.parametrize("page", doc_blocks.PAGES, ids=named)
def test_a_page_prints_and_draws_what_stands_there(page, tmp_path):
    ran = list(doc_blocks.run(page, tmp_path))
    assert doc_blocks.differences(page, ran) == []
    linked = set(re.findall(r"\]\((?:\.\./)?pictures/([^)]*)\)", page.read_text()))
    drawn = {p.name for p in (tmp_path / doc_blocks.PICTURES).glob("*.png")}
    assert drawn == linked
    for name in drawn:
        assert (
            _apart(tmp_path / doc_blocks.PICTURES / name, ROOT / doc_blocks.PICTURES / name)
            < SHADES
        )


def _apart(one, two):
    pictures = []
    for path in (one, two):
        with Image.open(path) as image:
            pictures.append(np.asarray(image.convert("RGB")))
    return difference(*pictures)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_says_what_the_method_answers_and_when_not_to_use_it(page):
    text = page.read_text()
    headings = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert headings[:2] == ["What it answers", "When not to use it"]
    assert re.search(r"\(\d{4}\)", text), "no source is named"
    assert "```python" in text


def test_the_page_on_effect_sizes_lists_every_measure():
    page = next(p for p in PAGES if p.stem == "effect-sizes").read_text()
    rows = re.findall(r"^\|[^|]*\|([^|]*)\|$", page.split("## When not")[0], flags=re.MULTILINE)
    assert set(re.findall(r"\b[A-Z][A-Z0-9]+\b", " ".join(rows))) == set(MEASURES)


def test_every_page_is_in_the_list_of_methods():
    index = (ROOT / "docs/methods/README.md").read_text()
    linked = set(re.findall(r"\]\(([a-z0-9-]+\.md)\)", index))
    assert linked == {page.name for page in PAGES}


def test_a_picture_that_changed_is_noticed(tmp_path):
    page = next(p for p in doc_blocks.PAGES if "pictures/" in p.read_text())
    name = re.findall(r"pictures/([^)\"]*\.png)", page.read_text())[0]
    changed = tmp_path / name
    with Image.open(ROOT / doc_blocks.PICTURES / name) as image:
        other = image.convert("RGB")
        other.paste((0, 0, 0), (20, 20, 40, 30))
        other.save(changed)
    assert _apart(changed, ROOT / doc_blocks.PICTURES / name) > SHADES
