"""What PubMed would silently bend: every such place is found, told and, where possible, mended."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from evidence.query.findings import Finding
from evidence.query.lint import MOST_WILDCARDS, fix, lint, lint_json, render
from evidence.query.parse import parse
from evidence.query.show import show
from evidence.query.tokens import LOOK_ALIKES
from tests.test_query_parse import SOUP


def codes(text: str, *severities: str) -> list[str]:
    return [f.code for f in lint(text) if not severities or f.severity in severities]


def only(text: str, code: str) -> Finding:
    (found,) = [f for f in lint(text) if f.code == code]
    return found


# ---------------------------------------- the rows of meaning

# Each row: query, what it means in canonical form, its errors, its warnings and notes. Rows 1 to 3,
# 5 to 12, 15 to 32 are rules of the PubMed User Guide (16 April 2024); 4 is its example; 13, 14 and
# the silence of 10 to 12 were measured in August to October 2026.
ROWS = {
    1: [("x[ti] OR y[ti] AND z[ti]", "(x[ti] OR y[ti]) AND z[ti]", [], ["mixed-operators"])],
    2: [("x[ti] AND y[ti] OR z[ti]", "(x[ti] AND y[ti]) OR z[ti]", [], ["mixed-operators"])],
    3: [("x[ti] NOT y[ti] OR z[ti]", "(x[ti] NOT y[ti]) OR z[ti]", [], ["mixed-operators"])],
    4: [
        (
            "covid-19[ti] vaccine[ti] children[ti]",
            "covid-19[ti] AND vaccine[ti] AND children[ti]",
            [],
            ["hyphen-phrase", "implicit-and", "implicit-and"],
        )
    ],
    5: [("kidney allograft[tiab]", "kidney allograft[tiab]", [], ["phrase-split"])],
    6: [
        ('"breast feed*"[tiab]', '"breast feed*"[tiab]', [], ["phrase-index"]),
        ("breast feed*[tiab]", "breast feed*[tiab]", [], ["phrase-split"]),
        ("breast-feed*", "breast-feed*", [], ["untagged"]),
    ],
    7: [("cat*[tiab]", "cat*[tiab]", ["short-stem"], [])],
    8: [("feed* breast[tiab]", "feed* breast[tiab]", ["wildcard-place"], [])],
    9: [('"rationing healthcare"[ti:~2]', '"rationing healthcare"[ti:~2]', [], [])],
    10: [('"hip* pain"[tiab:~4]', '"hip* pain"[tiab:~4]', ["proximity-wildcard"], [])],
    11: [
        ("hip pain[tiab:~4]", "hip pain[tiab:~4]", ["proximity-phrase"], []),
        ('"asthma"[tiab:~2]', '"asthma"[tiab:~2]', ["proximity-phrase"], []),
        ("asthma[mh:~3]", "asthma[mh:~3]", ["proximity-field"], ["headings-alone"]),
        ("asthma[ti:noexp]", "asthma[ti:noexp]", ["noexp-field"], []),
    ],
    12: [("(asthma OR copd)[tiab]", "(asthma OR copd)[tiab]", ["tag-on-group"], [])],
    13: [
        ("asthma[tiabb]", "asthma[tiabb]", ["unknown-tag"], []),
        ("x[ab]", "x[ab]", ["unknown-tag"], []),
        ("x[author identifier]", "x[author identifier]", ["unknown-tag"], []),
    ],
    14: [('"[18F]FDG"[tiab]', '"[18F]FDG"[tiab]', [], ["phrase-index"])],
    15: [
        ("neoplasms/dh", "neoplasms/dh", [], ["headings-alone"]),
        ("neoplasms/diet therapy", "neoplasms/diet therapy", [], ["headings-alone"]),
    ],
    16: [
        (
            "hypertension/therapy[mh:noexp]",
            "hypertension/therapy[mh:noexp]",
            [],
            ["headings-alone"],
        )
    ],
    17: [("plants/genetics[majr]", "plants/genetics[majr]", [], ["headings-alone"])],
    18: [("benzo a pyrene[mh]", "benzo a pyrene[mh]", [], ["headings-alone"])],
    19: [
        (
            "humans[mh] NOT animals[mh:noexp]",
            "humans[mh] NOT animals[mh:noexp]",
            [],
            ["headings-alone"],
        )
    ],
    20: [
        ("o'brien j[au]", "o'brien j[au]", [], []),
        ('"o\'brien j"[au]', '"o\'brien j"[au]', [], []),
    ],
    21: [("17170002 16381840", "17170002 16381840[pmid]", [], [])],
    22: [("1:500[uid]", "1:500[pmid]", [], [])],
    23: [
        ("2000:2000[dp]", "2000:2000[dp]", [], []),
        ("2000[dp]", "2000[dp]", [], ["single-year"]),
    ],
    24: [('"last 30 days"[crdt]', '"last 30 days"[crdt]', [], ["depends-on-today"])],
    25: [
        ("2019/11/01[PDAT] : 3000/12/31[PDAT]", "2019/11/01:3000/12/31[dp]", [], []),
    ],
    26: [
        ("jpn[la]", "jpn[la]", [], []),
        ("japanese[la]", "japanese[la]", [], []),
        ("chi[la]", "chi[la]", [], []),
    ],
    27: [
        ('"science"[ta]', '"science"[ta]', [], []),
        ("science[ta]", "science[ta]", [], []),
    ],
    28: [("#1 AND #2", "#1 AND #2", [], [])],
    29: [
        ("asthma[ti] NOT preprint[pt]", "asthma[ti] NOT preprint[pt]", [], []),
        ("NOT preprint[pt]", "preprint[pt]", ["leading-not"], []),
    ],
    30: [("intervent\u2217[ti]", "intervent*[ti]", ["look-alike"], [])],
    31: [("x[ti] & y[ti] | z[ti]", "(x[ti] AND y[ti]) OR z[ti]", [], ["mixed-operators"])],
    32: [
        ("[pdat]", "()", ["no-term"], []),
        ("()", "()", ["empty-parentheses", "no-term"], []),
        ("AND", "()", ["leading-operator", "no-term"], []),
    ],
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_means_what_pubmed_makes_of_it(row):
    for text, meaning, errors, others in ROWS[row]:
        assert show(parse(text).tree) == meaning
        assert codes(text, "error") == errors, text
        assert codes(text, "warning", "note") == others, text


# ---------------------------------------- further rules

# Line: what must be found in it, what must not.
RULES = {
    "asthma": ["untagged"],
    '"asthma"': ["untagged"],
    "hasabstrakt": ["unknown-flag"],
    "PMC2600426": [],
    "asthma[Entrez Date]": ["bad-date", "doubtful-tag"],
    "2000:2001[Publication Date]": ["doubtful-tag"],
    "asthma[kw]": ["unknown-tag"],
    "asthma[tiab:3]": ["unknown-suffix"],
    "asthma[tiab:~2000]": ["proximity-phrase", "proximity-far"],
    '"heart attack"[tw:~3]': ["proximity-field"],
    "2000[dp:~3]": ["single-year", "proximity-field"],
    "the[tiab]": ["stopword"],
    '"of the"[tiab]': ["stopword", "phrase-index"],
    '"bed and breakfast"[tiab:~0]': [],
    "cell-free DNA[tiab]": ["phrase-split"],
    "co-op*[tiab]": ["short-stem", "hyphen-phrase"],
    "wom*n[tiab]": ["wildcard-place"],
    "*itis[tiab]": ["wildcard-place"],
    "asthma[ti] and copd[ti]": ["lowercase-operator"],
    "bed and breakfast[ti]": ["lowercase-operator", "phrase-split"],
    "diagnosis and therapy[mh]": ["headings-alone"],
    "(('heart attack'[ti]))": ["phrase-split", "single-quotes"],
    "R&D[ti]": ["operator-in-word", "untagged"],
    "asthma[ti] NOT animals[mh]": ["not-animals"],
    "asthma[ti] NOT (animals[mh] NOT humans[mh])": [],
    "asthma[ti] NOT animals[mh:noexp]": [],
    "asthma[ti] OR asthma[ti]": ["duplicate"],
    "exercis*[ti] OR exercise[ti]": ["covered"],
    "exercis*[ti] OR exercise[tiab]": [],
    "asthma[ti] AND 2020": ["bare-number"],
    '"last 30 days"[mhda]': ["relative-date"],
    "last 30 days[crdt]": ["relative-date", "depends-on-today"],
    "500:1[uid]": ["reversed-range"],
    "jap[la]": ["unknown-language"],
    "drug[sh]": ["unknown-subheading", "headings-alone"],
    "hypertension/cure[mh]": ["unknown-subheading", "headings-alone"],
    "hypertension/therapy/dh[mh]": ["two-subheadings", "headings-alone"],
    "randomised controlled trial[pt]": ["unknown-type"],
    "medlin[sb]": ["unknown-subset"],
    "y_10[filter]": [],
    "'heart attack'[ti]": ["phrase-split", "single-quotes"],
    "heart adj3 attack.ti,ab.": ["untagged", "foreign-syntax", "foreign-syntax"],
    "exp Neoplasms/ AND x[ti]": ["foreign-syntax", "untagged"],
    "TS=(asthma)": ["foreign-syntax", "untagged"],
    "colo?r[ti]": ["foreign-syntax", "hyphen-phrase"],
    "N95[ti] OR H1N1[ti]": [],
    "Exercise[mh] AND bdnf[tiab]": ["headings-alone"],
    "(Exercise[mh] OR exercis*[tiab]) AND bdnf[tiab]": [],
    '"asthma[ti] OR x" AND copd[ti]': ["tag-in-quotes", "untagged"],
}


@pytest.mark.parametrize("text", RULES)
def test_a_rule_finds_its_places_and_no_others(text):
    assert sorted(codes(text)) == sorted(RULES[text])


@pytest.mark.parametrize("char", sorted(LOOK_ALIKES))
def test_every_look_alike_is_found_and_replaced(char):
    text = f"heart{char}attack[ti]"
    assert "look-alike" in codes(text)
    mended = fix(text, severities=("error", "warning"), codes=("look-alike",))
    assert char not in mended


def test_too_many_asterisks_are_an_error_at_the_first_above_the_limit():
    line = " OR ".join(f"word{i}x*[ti]" for i in range(MOST_WILDCARDS))
    assert "wildcard-limit" not in codes(line)
    found = only(f"{line} OR another*[ti]", "wildcard-limit")
    assert f"{line} OR another*[ti]"[found.start - 7 : found.end] == "another*"


def test_a_block_of_headings_alone_is_told_with_the_share_of_the_own_store():
    (found,) = lint("Exercise[mh] AND bdnf[tiab]", unindexed=(98, 100))
    assert "(98 of 100 records in your store have none)" in found.message


def test_every_finding_has_a_plain_message_and_a_remedy():
    for text in (*RULES, *(row[0] for rows in ROWS.values() for row in rows)):
        for found in lint(text):
            assert len(found.message) > 15
            assert found.remedy


# ---------------------------------------- fixes

FIXES = {
    "(asthma OR copd)[tiab]": "asthma[tiab] OR copd[tiab]",
    "x[ti] AND (asthma OR (copd AND cough))[tiab]": (
        "x[ti] AND (asthma[tiab] OR (copd[tiab] AND cough[tiab]))"
    ),
    "cat*[tiab]": "(cat[tiab] OR cats[tiab])",
    "hip pain[tiab:~4]": '"hip pain"[tiab:~4]',
    '"asthma"[tiab:~2]': '"asthma"[tiab]',
    "asthma[ti:noexp]": "asthma[ti]",
    "asthma[mh:~3]": "asthma[mh]",
    "asthma[tiabb]": "asthma[tiab]",
    "x[author identifier]": "x[auid]",
    "intervent\u2217[ti]": "intervent*[ti]",
    "\u201cheart attack\u201d[ti]": '"heart attack"[ti]',
    "(asthma\u00a0or copd)[tiab]": "asthma[tiab] OR copd[tiab]",
    "a[ti] or b[ti]": "a[ti] OR b[ti]",
    "(('heart attack'[ti]))": '(("heart attack"[ti]))',
    "a[ti] AND NOT b[ti]": "a[ti] NOT b[ti]",
    "a[ti] OR": "a[ti] ",
    "a[ti])": "a[ti]",
    '"a b[ti] OR "c d"[ti]': '"a b"[ti] OR "c d"[ti]',
    "2000-2010[dp]": "2000:2010[dp]",
    "'heart attack'[ti]": '"heart attack"[ti]',
    "2019-11-01[crdt]": "2019/11/01[crdt]",
    "2010:2000[dp]": "2000:2010[dp]",
    "x[ti] NOT animals[mh]": "x[ti] NOT (animals[mh] NOT humans[mh])",
}


@pytest.mark.parametrize("text", FIXES)
def test_a_fix_puts_the_meant_text_there_and_leaves_no_such_error(text):
    assert fix(text) == FIXES[text]
    mended = {f.code for f in lint(text) if f.fix is not None and f.severity == "error"}
    assert not mended & set(codes(fix(text), "error"))


def test_a_fix_touches_only_what_was_asked_for():
    text = "asthma[tiabb] AND kidney allograft[tiab]"
    assert fix(text) == "asthma[tiab] AND kidney allograft[tiab]"
    assert fix(text, severities=("warning",)) == ('asthma[tiabb] AND "kidney allograft"[tiab:~0]')


def test_a_missing_operator_is_written_before_the_parentheses():
    text = "x1[ti] (y1[ti] OR z1[ti]) (q1[ti])"
    assert fix(text, severities=("warning",)) == "x1[ti] AND (y1[ti] OR z1[ti]) AND (q1[ti])"


def test_what_only_the_author_knows_has_no_fix():
    for text, code in (
        ("feed* breast[tiab]", "wildcard-place"),
        ('"hip* pain"[tiab:~4]', "proximity-wildcard"),
        ("(a[ti] OR b[ti]", "unbalanced-parenthesis"),
        ("NOT a[ti]", "leading-not"),
    ):
        assert only(text, code).fix is None


@given(SOUP)
def test_mending_ends_and_leaves_nothing_to_mend(text):
    mended = fix(text)
    assert fix(mended) == mended


# ---------------------------------------- shown


def test_a_caret_stands_under_the_place():
    text = 'x[ti] AND\n  (asthma[ti] OR "copd" [tiabb])'
    shown = render(text, [f for f in lint(text) if f.severity == "error"], name="a.txt")
    assert shown == (
        "a.txt:2:25: error: [tiabb] is not a PubMed tag, and PubMed would not say so "
        "[unknown-tag]\n"
        '    (asthma[ti] OR "copd" [tiabb])\n'
        "                          ^^^^^^^\n"
        "  try: did you mean [tiab]?\n"
        "  put: [tiab]"
    )


def test_a_long_line_is_shown_around_the_place():
    text = " OR ".join(["asthma[ti]"] * 40) + " OR x[tiabb]"
    found = only(text, "unknown-tag")
    _, line, caret, *_ = render(text, [found]).split("\n")
    assert len(line) < 100
    assert line[caret.index("^") :].startswith("[tiabb]")


def test_the_findings_for_a_program_hold_place_message_and_fix():
    found = json.loads(lint_json("asthma[tiabb]", name="a.txt"))
    assert found["file"] == "a.txt"
    assert found["counts"] == {"error": 1, "warning": 0, "note": 0}
    assert found["fixed"] == "asthma[tiab]"
    assert found["findings"] == [
        {
            "code": "unknown-tag",
            "severity": "error",
            "start": 6,
            "length": 7,
            "line": 1,
            "column": 7,
            "message": "[tiabb] is not a PubMed tag, and PubMed would not say so",
            "remedy": "did you mean [tiab]?",
            "fix": "[tiab]",
        }
    ]
