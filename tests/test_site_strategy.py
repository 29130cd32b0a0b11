"""The strategy as the page draws it: every term, every operator, the numbers, in text."""

from __future__ import annotations

import lxml.html
import numpy as np
import pytest

from evidence.query.blocks import Missed, outline
from evidence.query.gains import Hits, gains
from evidence.query.parse import parse
from evidence.query.show import show
from evidence.query.tree import leaves
from evidence.site import render
from evidence.site.concepts import drawing
from evidence.strategy.explain import KnownRecord, explain
from evidence.strategy.outlines import Written, of_claim
from evidence.strategy.sources import Checked, Counted
from tests import site_rows
from tests.test_site import words


class Source:
    """Four invented records; of each line, which of them have it."""

    def __init__(self, lines, found=None, sure=None):
        self.lines, self.found, self.sure = lines, found, sure or {}

    def counted(self, made):
        def hits(node):
            possible = np.array([i in self.lines.get(show(node), ()) for i in range(4)])
            sure = np.array([i in self.sure.get(show(node), range(4)) for i in range(4)]) & possible
            return Hits(sure, possible)

        return Counted("four invented records", gains(made, hits, found=self.found), ("a note",))

    def checked(self, made, pmids):
        return tuple(
            Checked(p, None, p == "1", () if p == "1" else (Missed(1, False),)) for p in pmids
        )

    def with_line(self, made, concept, line):
        return None


def drawn(query, source=None, known=()):
    return explain(Written("invented", query, outline(parse(query).tree)), source, known)


@pytest.fixture(scope="module")
def tree():
    row = site_rows.rows()[0]
    written = of_claim(row.claim)
    lines = {str(line): (0, 1, 2) for c in written.outline.concepts for line in c.lines}
    known = (KnownRecord("1", "Found 2001", True), KnownRecord("2", "Missed <2002>", False))
    found = explain(written, Source(lines, found=np.array([True] * 4)), known)
    pages = render([row], {}, on=site_rows.DAY, version="0", explained={row.claim.id: found})
    return lxml.html.document_fromstring(pages[f"claims/{row.claim.id}.html"]), written


def test_every_term_of_the_strategy_stands_in_its_box(tree):
    page, written = tree
    for i, concept in enumerate(written.outline.concepts):
        (box,) = page.xpath(f"//*[@aria-labelledby='concept-{i + 1}']")
        text = words(box)
        for leaf in leaves(concept.node):
            name = getattr(leaf, "text", None) or getattr(leaf, "name", None)
            assert name in text
            assert leaf.tag.field in text
        lines = box.xpath(".//ul[@class='lines']/li")
        assert len(lines) == len(concept.lines)
        assert [a.get("href") for a in box.xpath(".//p[@class='line-head']/a")] == [
            f"#line-{line.number}" for line in concept.lines
        ]


def test_operators_are_words_and_what_is_taken_away_says_so(tree):
    page, written = tree
    said = [words(p) for p in page.xpath("//p[@class='operator']")]
    assert said == ["AND"] * (len(written.outline.required) - 1) + ["NOT"] * len(
        written.outline.excluded
    )
    for box in page.xpath("//*[contains(@class, 'concept away')]"):
        assert "Taken away" in words(box.xpath("./h4")[0])
    assert len(page.xpath("//*[contains(@class, 'concept away')]")) == len(written.outline.excluded)


def test_a_box_has_a_heading_below_that_of_the_strategy(tree):
    page, written = tree
    titles = [words(h) for h in page.xpath("//*[@class='strategy-map']//h4")]
    assert len(titles) == len(written.outline.concepts)
    for title, concept in zip(titles, written.outline.concepts, strict=True):
        assert f"#{concept.name}" in title
        assert concept.about.lower() in title.lower()


def test_numbers_are_text_and_their_bars_are_hidden_from_readers(tree):
    page, _ = tree
    assert "Counts are of four invented records" in words(page.xpath("//*[@id='strategy-map']")[0])
    first = page.xpath("//*[@aria-labelledby='concept-1']")[0]
    assert "by no other line" in words(first)
    for bar in page.xpath("//*[@class='share']"):
        assert bar.get("aria-hidden") == "true"
        widths = [float(s.get("style")[6:-1]) for s in bar]
        assert 0 <= min(widths) <= sum(widths) <= 100
    assert "a note" in words(page.xpath("//*[@class='strategy-map']//details")[0])


def test_known_records_are_counted_and_the_concept_that_keeps_one_out_names_it(tree):
    page, _ = tree
    (recall,) = page.xpath("//p[@class='recall']")
    assert words(recall) == "1 of 2 known relevant records are found. Missed: Missed <2002>."
    warned = page.xpath("//p[@class='warn']")
    assert "Keeps out 1 known record: Missed <2002>." in [words(p) for p in warned]
    assert page.xpath("//p[@class='warn']/..")[0].get("aria-labelledby") == "concept-2"


def test_a_claim_never_searched_is_drawn_without_numbers():
    row = site_rows.rows()[0]
    page = lxml.html.document_fromstring(
        render([row], {}, on=site_rows.DAY, version="0")[f"claims/{row.claim.id}.html"]
    )
    assert "No counts" in words(page.xpath("//*[@id='strategy-map']")[0])
    assert not page.xpath("//*[@class='share'] | //p[@class='recall']")
    assert page.xpath("//*[@class='strategy-map']//h4")


# ---------------------------------------- shapes


def shape(part):
    if part.is_group:
        return [part.operator, part.across, *(shape(one) for one in part.parts)]
    return part.terms


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a[ti]", 1),
        ("(a[ti] OR b[ti]) AND c[ti]", ["AND", True, 2, 1]),
        ("a[ti] AND b[ti] NOT c[ti]", ["NOT", False, ["AND", True, 1, 1], 1]),
        # More than four would be too narrow; a group within is drawn from top to bottom.
        ("a[ti] AND b[ti] AND c[ti] AND d[ti] AND e[ti]", ["AND", False, 1, 1, 1, 1, 1]),
        (
            "((a[ti] OR b[ti]) OR ((c[ti] OR d[ti]) AND e[ti])) AND f[ti]",
            ["AND", True, ["OR", False, 2, ["AND", False, 2, 1]], 1],
        ),
    ],
)
def test_the_boxes_are_joined_as_the_query_joins_them(query, expected):
    assert shape(drawing(drawn(query)).shape) == expected


def test_a_range_and_what_cannot_be_told():
    source = Source(
        {"a[ti]": (0, 1), "b[ti]": (1, 2, 3), "c[ti]": (0, 1, 2, 3), "d[ti]": ()},
        found=np.array([True] * 4),
        sure={"b[ti]": (2,)},
    )
    found = drawing(drawn("(a[ti] OR b[ti]) AND c[ti] NOT d[ti]", source))
    first, _ = found.shape.parts[0].parts
    assert found.has_ranges
    assert [line.counts for line in first.lines] == [
        "in 2, 1 to 2 by no other line",
        "in 2 to 3, 2 by no other line",
    ]
    assert found.shape.parts[1].lines[0].counts == ""
    assert found.shape.parts[1].count == ""


def test_terms_are_set_apart_from_their_fields():
    (box,) = [drawing(drawn('"back pain"[tiab:~2] OR Pain/therapy[mh:noexp] OR (a[ti] AND b[ti])'))]
    texts = [(t.text, t.field) for line in box.shape.lines for t in line.terms]
    assert texts == [
        ("“back pain”", "tiab:~2"),
        ("Pain/therapy", "mh:noexp"),
        ("a[ti] AND b[ti]", ""),
    ]
    assert dict(box.legend) == {
        "tiab": "title, abstract or author keywords",
        "mh": "the MeSH headings",
        "ti": "the title",
        ":noexp": "without narrower ones",
        ":~3": "in any order, at most 3 words between",
    }
