"""The query language of PubMed: from text to tree and back."""

from __future__ import annotations

import calendar
import datetime as dt
import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.query import days
from evidence.query.days import back, first_day, last_day, publication_day
from evidence.query.fields import ALIASES, FIELDS, field_of
from evidence.query.parse import DEEPEST, parse
from evidence.query.searchable import Paper, texts
from evidence.query.show import explain, show
from evidence.query.tree import (
    Combination,
    Dates,
    Flag,
    Heading,
    Last,
    Node,
    PmidRange,
    Pmids,
    SetName,
    Tag,
    TaggedGroup,
    Term,
    leaves,
)


def tree(text: str) -> Node:
    return parse(text).tree


def codes(text: str) -> list[str]:
    return [finding.code for finding in parse(text).findings]


# ---------------------------------------- operators

# PubMed User Guide, "Combining search terms with Boolean operators": from left to right.
LEFT_TO_RIGHT = {
    "a[ti] OR b[ti] AND c[ti]": "(a[ti] OR b[ti]) AND c[ti]",
    "a[ti] AND b[ti] OR c[ti]": "(a[ti] AND b[ti]) OR c[ti]",
    "a[ti] NOT b[ti] OR c[ti]": "(a[ti] NOT b[ti]) OR c[ti]",
    "a[ti] OR b[ti] NOT c[ti] NOT d[ti]": "(a[ti] OR b[ti]) NOT c[ti] NOT d[ti]",
    "a[ti] OR (b[ti] AND c[ti])": "a[ti] OR (b[ti] AND c[ti])",
    "a[ti] & b[ti] | c[ti]": "(a[ti] AND b[ti]) OR c[ti]",
    "a[ti] b[ti] OR c[ti]": "(a[ti] AND b[ti]) OR c[ti]",
    "((a[ti]))": "a[ti]",
    "(a[ti] OR b[ti])": "a[ti] OR b[ti]",
    "a[ti]\n\tOR\r\nb[ti]": "a[ti] OR b[ti]",
}


@pytest.mark.parametrize("text", LEFT_TO_RIGHT)
def test_operators_take_all_that_stands_before_them(text):
    assert show(tree(text)) == LEFT_TO_RIGHT[text]


def test_one_operator_makes_one_flat_combination():
    found = tree("a[ti] OR b[ti] OR c[ti]")
    assert isinstance(found, Combination)
    assert (found.operator, len(found.parts)) == ("OR", 3)


def test_parentheses_keep_a_combination_apart_even_with_the_same_operator():
    assert tree("(a[ti] OR b[ti]) OR c[ti]") != tree("a[ti] OR b[ti] OR c[ti]")


def test_terms_side_by_side_are_joined_by_and():
    # User Guide, "Using search field tags".
    assert show(tree("covid-19[ti] vaccine[ti] children[ti]")) == (
        "covid-19[ti] AND vaccine[ti] AND children[ti]"
    )


# ---------------------------------------- terms and tags


def test_case_and_spacing_of_a_tag_do_not_matter():
    # User Guide, "Using search field tags": crabs [mh] = Crabs[mh].
    assert tree("crabs [mh]") == tree("crabs[ MH ]") == tree("crabs[MeSH  Terms]")


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_every_alias_of_a_tag_has_one_canonical_name(alias):
    found = field_of(alias.upper())
    assert found is not None
    assert found.tag == ALIASES[alias]
    if found.kind == "words":
        assert show(tree(f"x[{alias}]")) == f"x[{found.tag}]"


def test_every_part_that_a_field_reads_exists():
    for found in FIELDS.values():
        if found.kind not in ("date", "number", "choice"):
            for part in found.parts:
                assert list(texts(Paper(), part)) in ([], [""]), (found.tag, part)


def test_words_in_a_row_are_one_term():
    assert tree("kidney allograft[tiab]") == Term("kidney allograft", False, Tag("tiab"))
    assert tree('"kidney allograft"[tiab]') == Term("kidney allograft", True, Tag("tiab"))


@pytest.mark.parametrize(
    "text", ['"breast feed*"[tiab]', "breast feed*[tiab]", "breast-feed*[tiab]"]
)
def test_the_last_word_of_a_phrase_may_be_truncated(text):
    assert isinstance(tree(text), Term)
    assert codes(text) == []


def test_brackets_within_quotation_marks_are_text():
    assert tree('"[18F]FDG"[tiab]') == Term("[18F]FDG", True, Tag("tiab"))
    assert codes('"[18F]FDG"[tiab]') == []
    assert codes("[18F]FDG[tiab]") == ["brackets-in-term"]


def test_proximity_and_its_number_are_read():
    assert tree('"rationing healthcare"[Title:~2]') == Term(
        "rationing healthcare", True, Tag("ti", near=2)
    )


def test_parentheses_without_operators_belong_to_a_name():
    assert tree("Front Endocrinol (Lausanne)[JO]") == Term(
        "Front Endocrinol Lausanne", False, Tag("ta")
    )
    assert tree("Benzo(a)pyrene[mh]") == tree("benzo(a)pyrene [mh]").__class__(
        "Benzo a pyrene", None, False, Tag("mh")
    )
    assert tree("(heart attack)[tiab]") == Term("heart attack", False, Tag("tiab"))
    assert codes("Front Endocrinol (Lausanne)[JO]") == []


def test_a_heading_with_a_subheading_needs_no_tag():
    # User Guide, "MeSH Terms": neoplasms/diet therapy, neoplasms/dh.
    assert tree("neoplasms/dh") == Heading("neoplasms", "dh")
    assert tree('"neoplasms/diet therapy"') == Heading("neoplasms", "diet therapy", True)
    assert tree("hypertension/therapy[mh:noexp]") == Heading(
        "hypertension", "therapy", False, Tag("mh", noexp=True)
    )
    assert tree("plants/genetics[majr]").major
    assert isinstance(tree("HIV/AIDS"), Term)


def test_numbers_alone_are_pmids_and_several_are_alternatives():
    # User Guide, "PMID".
    assert tree("17170002 16381840") == Pmids((17170002, 16381840))
    assert tree("17170002[uid]") == Pmids((17170002,))
    assert tree("1:500[uid]") == PmidRange(1, 500)
    assert isinstance(tree("vitamin 12"), Term)


def test_dates_and_ranges_are_read_in_each_form():
    assert tree("2000:2000[dp]") == Dates("2000", "2000", Tag("dp"))
    assert tree("2000[dp]") == Dates("2000", None, Tag("dp"))
    ranged = Dates("2019/11/01", "3000/12/31", Tag("dp"))
    assert tree("2019/11/01[PDAT] : 3000/12/31[PDAT]") == ranged
    assert tree('"2019/11/01"[PDAT]:"3000/12/31"[Date - Publication]') == ranged
    assert tree("2019/11/01 : 3000/12/31[dp]") == ranged
    assert codes("2019/11/01[PDAT] : 3000/12/31[PDAT]") == []


def test_a_period_until_today_is_read():
    assert tree('"last 30 days"[crdt]') == Last(30, "days", Tag("crdt"))
    assert tree('"last year"[dp]') == Last(1, "years", Tag("dp"))  # User Guide, filters
    assert codes('"last 30 days"[crdt]') == []


def test_history_lines_switches_and_named_sets_are_read():
    assert tree("#1 AND #2") == Combination("AND", (SetName("1"), SetName("2")))
    assert tree("asthma[ti] AND hasabstract").parts[1] == Flag("hasabstract")
    assert tree("hasabstract[text]") == Flag("hasabstract")
    named = parse("#hiit AND #bdnf", named_sets=True)
    assert named.tree == Combination("AND", (SetName("hiit"), SetName("bdnf")))


def test_a_tag_after_a_group_is_kept_as_what_it_is():
    found = tree("(asthma OR copd)[tiab]")
    assert isinstance(found, TaggedGroup)
    assert found.tag == Tag("tiab")
    assert codes("(asthma OR copd)[tiab]") == ["tag-on-group"]


def test_an_unknown_tag_stays_in_the_tree():
    assert tree("asthma[tiabb]") == Term("asthma", False, Tag("tiabb"))
    assert codes("asthma[tiabb]") == ["unknown-tag"]


# ---------------------------------------- places


def test_every_node_knows_its_line_and_column():
    text = 'a[ti] OR\n  "heart attack"[tiab:~0]\nAND (c[ti] OR d[ti])'
    found = [(leaf.at.line, leaf.at.column) for leaf in leaves(tree(text))]
    assert found == [(1, 1), (2, 3), (3, 6), (3, 15)]
    for leaf in leaves(tree(text)):
        assert tree(text[leaf.at.start : leaf.at.end]) == leaf


def test_the_place_of_a_group_is_that_of_its_parentheses():
    text = "x[ti] AND (a[ti] OR b[ti])"
    group = tree(text).parts[1]
    assert text[group.at.start : group.at.end] == "(a[ti] OR b[ti])"


# ---------------------------------------- malformed text

MALFORMED = {
    "": ("()", ["no-term"]),
    "()": ("()", ["empty-parentheses", "no-term"]),
    "AND": ("()", ["leading-operator", "no-term"]),
    "[pdat]": ("()", ["no-term"]),
    '""[ti]': ("()", ["empty-term", "no-term"]),
    "NOT a[ti]": ("a[ti]", ["leading-not"]),
    "a[ti] OR": ("a[ti]", ["trailing-operator"]),
    "a[ti] OR OR b[ti]": ("a[ti] OR b[ti]", ["double-operator"]),
    "a[ti] AND NOT b[ti]": ("a[ti] NOT b[ti]", ["double-operator"]),
    "(a[ti] OR b[ti]": ("a[ti] OR b[ti]", ["unbalanced-parenthesis"]),
    "a[ti]) OR b[ti]": ("a[ti] OR b[ti]", ["unbalanced-parenthesis"]),
    '"a b[ti] OR "c d"[ti]': ('"a b"[ti] OR "c d"[ti]', ["unbalanced-quote"]),
    "a[ti OR b[ti]": ("a[ti] OR b[ti]", ["unbalanced-bracket"]),
    "a[ti] or b[ti]": ("a[ti] OR b[ti]", ["lowercase-operator"]),
    "intervent\u2217[ti]": ("intervent*[ti]", ["look-alike"]),
    "\u201cheart attack\u201d[ti]": ('"heart attack"[ti]', ["look-alike", "look-alike"]),
    "2000-2010[dp]": ("2000-2010[dp]", ["bad-date"]),
    "2010:2000[dp]": ("2010:2000[dp]", ["reversed-range"]),
    '"heart"*[ti]': ('"heart"[ti]', ["wildcard-outside"]),
}


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_text_gives_the_likely_tree_and_its_faults(text):
    expected, faults = MALFORMED[text]
    assert show(tree(text)) == expected
    assert codes(text) == faults


SOUP = st.lists(
    st.sampled_from(
        [
            *("a", "asthma", '"heart attack"', '"', "(", ")", "[tiab]", "[", "]", "[mh:noexp]"),
            *("[dp]", "2000", ":", "2001/02/03", "AND", "OR", "NOT", "and", "or", "not", "&", "|"),
            *("#1", "17170002", "*", "exercis*", "neoplasms/dh", "hasabstract", "[uid]", "[foo]"),
            *("[tiab:~3]", "\u201c", "\u2217", "\u00a0", "\u200b", "x(y)z", "(Lausanne)", "\n"),
            *('"last 5 years"', "-", "é", "[tiab", "()", '""', "[ta]", "[au]", "\u00ad", "'", "/"),
        ]
    ),
    max_size=14,
).flatmap(lambda parts: st.sampled_from([" ".join(parts), "".join(parts)]))


@given(st.one_of(SOUP, st.text(max_size=40)))
def test_no_text_raises_and_every_place_lies_within_it(text):
    parsed = parse(text)
    for finding in parsed.findings:
        assert 0 <= finding.start <= finding.end <= len(text)
        assert text[: finding.start].count("\n") == finding.line - 1
    for leaf in leaves(parsed.tree):
        assert 0 <= leaf.at.start < leaf.at.end <= len(text)
    assert explain(parsed.tree)


@given(SOUP)
def test_showing_and_reading_again_gives_the_same_tree(text):
    found = tree(text)
    assert tree(show(found)) == found


def test_nesting_without_end_is_a_fault_and_no_crash():
    assert "too-deep" in codes("(" * 5000 + "a[ti]" + ")" * 5000)
    assert "too-deep" in codes("a[ti] OR b[ti] AND " * (2 * DEEPEST) + "c[ti]")


def test_a_long_line_of_alternatives_is_read_whole():
    assert len(tree(" OR ".join(f"w{i}[ti]" for i in range(5000))).parts) == 5000


# ---------------------------------------- trees of every kind

WORDS = st.sampled_from(["asthma", "exercis*", "covid-19", "heart attack", "o'brien j", "naïve"])
TAGS = st.builds(
    Tag, st.sampled_from(["tiab", "ti", "tw", "ad", "ot", "au", "ta", "foo"]), suffix=st.just("")
)
TERMS = st.builds(Term, WORDS, st.booleans(), st.one_of(st.none(), TAGS))
LEAVES = st.one_of(
    TERMS,
    st.builds(
        Heading,
        st.sampled_from(["Exercise", "Heart Failure", "risk*"]),
        st.sampled_from([None, "therapy", "dh"]),
        st.booleans(),
        st.builds(Tag, st.sampled_from(["mh", "majr"]), st.booleans()),
    ),
    st.builds(Heading, st.just("neoplasms"), st.just("drug therapy"), st.booleans()),
    st.builds(
        Dates,
        st.sampled_from(["1999", "2001/02", "2003/04/05"]),
        st.sampled_from([None, "2010", "3000/12/31"]),
        st.builds(Tag, st.sampled_from(["dp", "crdt", "lr"])),
    ),
    st.builds(
        Last,
        st.integers(1, 99),
        st.sampled_from(["days", "months", "years"]),
        st.just(Tag("crdt")),
    ),
    st.builds(Pmids, st.lists(st.integers(1, 10**8), min_size=1, max_size=3).map(tuple)),
    st.builds(PmidRange, st.integers(1, 99), st.integers(100, 10**8)),
    st.builds(Flag, st.sampled_from(["hasabstract", "hasretractionin"])),
    st.builds(SetName, st.sampled_from(["1", "23"])),
    st.builds(
        Term,
        st.just("heart attack"),
        st.just(True),
        st.builds(Tag, st.just("tiab"), near=st.integers(0, 99)),
    ),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        Combination,
        st.sampled_from(["AND", "OR", "NOT"]),
        st.lists(inner, min_size=2, max_size=4).map(tuple),
    ),
    max_leaves=12,
)


@given(TREES)
def test_every_tree_survives_its_own_text(node):
    shown = show(node)
    assert tree(shown) == node
    assert [c for c in codes(shown) if c not in ("unknown-tag",)] == []
    assert show(tree(shown.replace(" ", "  \n "))) == shown


# ---------------------------------------- in plain words


def test_a_strategy_is_explained_line_by_line():
    text = (
        '(exercis*[tiab] OR "heart attack"[tiab:~2] OR Exercise[mh]) '
        "AND smith j[au] NOT (animals[mh] NOT humans[mh:noexp])"
    )
    assert explain(tree(text)) == [
        "this, with something taken away:",
        "  all of:",
        "    any of:",
        '      a word beginning with "exercis" in title, abstract or author keywords',
        '      the words "heart", "attack" in any order, at most 2 words between them, in title, '
        "abstract or author keywords",
        "      the heading Exercise and all narrower ones",
        "    the authors: smith j, any further initials",
        "  without this, with something taken away:",
        "    the heading animals and all narrower ones",
        "    without the heading humans alone",
    ]


# ---------------------------------------- days


def test_a_missing_month_or_day_is_the_first_or_the_last():
    # User Guide, "Publication Date".
    assert first_day("2000/02") == dt.date(2000, 2, 1)
    assert last_day("2000/02") == dt.date(2000, 2, 29)
    assert (first_day("2000"), last_day("2000")) == (dt.date(2000, 1, 1), dt.date(2000, 12, 31))
    assert last_day("3000") == dt.date(3000, 12, 31)
    assert first_day("2000/13") is first_day("2001/02/29") is first_day("Jan 2000") is None


@pytest.mark.parametrize(
    ("parts", "day"),
    [
        (("1979", "Jun"), (1979, 6, 1)),
        (("2021", "06", "07"), (2021, 6, 7)),
        (("1978", "", "", "Autumn"), (1978, 10, 1)),
        (("1978", "", "", "Winter"), (1978, 1, 1)),
        (("2021", "Feb", "31"), (2021, 2, 1)),
    ],
)
def test_dates_of_publication_are_filed_under_one_day(parts, day):
    assert publication_day(*parts) == dt.date(*day)


def test_a_date_without_a_year_is_none():
    assert publication_day("", "Jan") is None
    assert publication_day("", "", "", "Spring") is None


def test_months_are_counted_back_to_a_day_that_exists():
    assert back(dt.date(2024, 3, 31), 1, "months") == dt.date(2024, 2, 29)
    assert back(dt.date(2024, 2, 29), 1, "years") == dt.date(2023, 2, 28)
    assert back(dt.date(2024, 1, 1), 30, "days") == dt.date(2023, 12, 2)
    assert back(dt.date(24, 1, 1), 99, "years") == dt.date.min


def test_names_of_months_are_english_whatever_the_locale(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(calendar, "month_abbr", ("", *(f"Monat {n}" for n in range(1, 13))))
        found = importlib.reload(days).publication_day("2019", "Dec", "24")
    importlib.reload(days)
    assert found == dt.date(2019, 12, 24)


def test_a_period_longer_than_the_calendar_begins_with_it():
    assert back(dt.date(2, 1, 1), 99_999, "days") == dt.date.min
    assert back(dt.date(2, 1, 1), 99_999, "years") == dt.date.min
