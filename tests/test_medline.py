"""One record's lines, read by Biopython: no field, no order and no fold is lost on the way."""

from __future__ import annotations

import textwrap

import pytest
from Bio import Medline
from hypothesis import given
from hypothesis import strategies as st

from evidence.formats import read
from evidence.pubmed.medline import FOLDED, fields_of
from evidence.pubmed.nbib import read_nbib

# Tags that Biopython makes one text of, lists, and the two lists whose folds it joins itself.
TEXTS = ("TI", "AB", "LID", "SB", "IS", "JT", "DP", "PMC", "TT")
LISTS = ("FAU", "AU", "CN", "AUID", "OT", "OTO", "GR", "RN", "CIN", "OAB", "OABL", "PHST", "XYZ")
JOINED = ("MH", "AD")
WORD = st.text(
    st.characters(categories=("L", "N", "P", "S"), exclude_characters="\r\n"),
    min_size=1,
    max_size=9,
)
TEXT = st.lists(WORD, min_size=1, max_size=12).map(" ".join)
FIELDS = st.lists(
    st.tuples(st.sampled_from((*TEXTS, *LISTS, *JOINED)), TEXT), min_size=1, max_size=25
)


def lines_of(fields: list[tuple[str, str]], width: int) -> list[str]:
    """Fields as PubMed prints them, folded at a width."""
    lines = []
    for tag, text in fields:
        first, *rest = textwrap.wrap(
            text, width, break_long_words=False, break_on_hyphens=False
        ) or [""]
        lines.append(f"{tag:<4}- {first}")
        lines += [f"{FOLDED}{part}" for part in rest]
    return lines


def plain(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(tag, " ".join(text.split())) for tag, text in fields]


@given(FIELDS, st.integers(1, 40))
def test_every_field_comes_back_in_its_place_however_it_was_folded(fields, width):
    lines = lines_of([("PMID", "1"), *fields], width)
    assert plain(fields_of(lines)) == [("PMID", "1"), *plain(fields)]


@given(FIELDS, st.integers(1, 40))
def test_what_biopython_reads_is_all_there(fields, width):
    lines = lines_of([("PMID", "1"), *fields], width)
    (record,) = Medline.parse(iter(lines))
    ours: dict[str, list[str]] = {}
    for tag, text in fields_of(lines):
        ours.setdefault(tag, []).append(text)
    assert list(record) == list(ours)
    for tag, value in record.items():
        theirs = value if isinstance(value, str) else " ".join(value)
        assert theirs.split() == " ".join(ours[tag]).split()


def test_a_fold_of_blanks_ends_no_record(tmp_path):
    # biopython#4557: PMID 29939664 has a line of blanks within its abstract.
    path = tmp_path / "x.nbib"
    path.write_text("PMID- 1\nAB  - One.\n      \n      Two.\nMH  - *Humans/\n      genetics\n")
    (record,) = read_nbib(path).records
    assert record.abstract == "One. Two."
    assert record.mesh == ("*Humans/ genetics",)


def test_a_comment_on_two_lines_is_one_comment(tmp_path):
    path = tmp_path / "x.nbib"
    path.write_text(
        "PMID- 1\nTI  - A title.\nCIN - J Invent. 2020;1:2-3. doi:\n      10.9999/x. PMID: 7\n"
        "CIN - J Invent. 2021;1:9. PMID: 8\n"
    )
    (record,) = read_nbib(path).records
    assert [(c.kind, c.pmid) for c in record.corrections] == [
        ("CommentIn", "7"),
        ("CommentIn", "8"),
    ]


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0c", "\x1e"])
def test_only_line_breaks_break_lines(tmp_path, separator):
    path = tmp_path / "x.nbib"
    path.write_bytes(f"PMID- 1\r\nTI  - One{separator}two.\r\n".encode())
    (record,) = read_nbib(path).records
    assert record.title == "One two."


def test_the_reader_of_references_reads_lines_as_other_programs_write_them():
    text = (
        "PMID- 12345\nTI - One blank less\nAU  - Testa A\nLID - e1 [pii]\nLID - 10.9999/a [doi]\n"
    )
    (reference,) = read(text.encode(), file="x.nbib", format="nbib").references
    assert (reference.title, reference.doi) == ("One blank less", "10.9999/a")
    assert ("nbib:LID", "e1 [pii]") in reference.extra
