"""Claim files: every fault is found, with its line and what to do."""

from __future__ import annotations

import datetime as dt
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.claim_files import claim_schema, new_claim_text, read_claim, read_claims
from evidence.errors import InputError, SchemaError
from evidence.strategy.lint import lint_combine, lint_terms
from evidence.toml_positions import positions

# An invented claim in the real format; the tests spoil one thing at a time.
INVENTED = '''\
id = "invented"
title = "Naps and juggling"
statement = """
Naps improve
  juggling."""
review = "an invented review"
version = "1.0"

[[rests_on]]
authors = "Nobody et al."
year = 1999
says = "Nothing at all."
source = "https://example.org/nobody"

[pico]
population = "Jugglers"
intervention = "Naps"
comparator = "No naps"
outcome = "Balls dropped"

[eligibility]
include = ["jugglers"]
exclude = ["clowns"]

[search]
written = 2026-01-02
combine = "#naps AND #juggling NOT #animals_only"
limits = "none: invented"
peer_review = "none yet"

[search.blocks.naps]
about = "naps"
lines = [
  { terms = 'Sleep[mh] OR nap[tiab]', why = "the heading and the word" },
  { terms = '"short sleep"[tiab:~2]', why = "another word" },
]

[search.blocks.juggling]
about = "juggling"
[[search.blocks.juggling.lines]]
terms = """
juggl*[tiab] OR
"balls dropped"[tiab:~1]"""
why = "the word"

[search.filters.animals_only]
about = "animals"
source = "own"
[[search.filters.animals_only.lines]]
terms = "animals[mh] NOT humans[mh]"
why = "no animals"

[[search.known]]
pmid = "90000001"
cite = "Nobody 1999"
status = "not yet verified"
source = "https://example.org/nobody"

[plan]
written = 2026-01-02
after_data_seen = false
statement = "Before any data."
primary = "main"
supports = "negative"

[plan.smallest_effect]
source = "none: invented"

[plan.preference]
timepoints = ["first"]
matrices_or_regions = ["hands"]
arms = ["naps"]
statistics = ["means and SDs"]

[[plan.pre_post_r]]
outcome = "balls"
value = 0.5
sensitivity = [0.7]
source = "assumption"

[[plan.analyses]]
id = "main"
title = "Naps"
question = "do naps help?"
design = "between groups"
measure = "SMD"
standardiser = "raw SD"
decides = true
outcome_group = "balls dropped"
left = "fewer balls dropped"
right = "more balls dropped"
subgroups = ["matrix"]
sensitivity = ["pre-post-r"]
'''


@pytest.fixture
def write(tmp_path: Path):
    """Write a claim file into a workspace of its own."""

    def to(text: str | bytes, name: str = "invented") -> Path:
        path = tmp_path / "queries" / f"{name}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return to


def spoiled(old: str, new: str) -> str:
    assert INVENTED.count(old) == 1, f"{old!r} occurs {INVENTED.count(old)} times"
    return INVENTED.replace(old, new)


def faults_of(path: Path) -> list[str]:
    with pytest.raises(SchemaError) as caught:
        read_claim(path)
    return list(caught.value.places)


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_a_sound_file_is_read_and_its_line_breaks_mean_nothing(write):
    claim = read_claim(write(INVENTED))
    assert claim.statement == "Naps improve juggling."
    assert claim.search.query() == (
        '(Sleep[mh] OR nap[tiab] OR "short sleep"[tiab:~2]) AND '
        '(juggl*[tiab] OR "balls dropped"[tiab:~1]) NOT (animals[mh] NOT humans[mh])'
    )
    assert claim.search.written == dt.date(2026, 1, 2)


def test_windows_line_ends_are_read_alike(write):
    assert read_claim(write(INVENTED.replace("\n", "\r\n"))) == read_claim(write(INVENTED))


def test_every_fault_is_told_with_file_line_value_and_remedy(write):
    text = spoiled('measure = "SMD"', 'measure = "SMDD"').replace("year = 1999", 'year = "1999"')
    with pytest.raises(SchemaError) as caught:
        read_claim(write(text))
    assert str(caught.value) == (
        "2 faults in queries/invented.toml\n"
        f"  queries/invented.toml:{line_of(text, 'year =')}  rests_on.year = '1999': is of the "
        "wrong kind; write a whole number, without quotation marks\n"
        f"  queries/invented.toml:{line_of(text, 'measure =')}  plan.analyses.measure = 'SMDD': "
        f"there is no such effect measure; {_measures('SMDD')}\n"
        "try: correct the file, then `evidence check invented`; the format is described in "
        "docs/reference/claims.md"
    )


def _measures(wrong: str) -> str:
    from importlib import import_module

    from meta.measures.registry import MEASURES

    import_module("meta.measures")
    import difflib

    near = difflib.get_close_matches(wrong, list(MEASURES), n=1, cutoff=0.5)[0]
    return f"did you mean {near}? known: {', '.join(MEASURES)}"


FAULTS = {
    "an unknown key": (
        'title = "Naps and juggling"',
        'titel = "Naps and juggling"',
        [
            "titel = 'Naps and juggling': there is no such key here; did you mean title?",
            "title is missing; add title",
        ],
    ),
    "a missing key": ('limits = "none: invented"\n', "", ["search.limits is missing; add limits"]),
    "a missing table": (
        '[plan.smallest_effect]\nsource = "none: invented"\n',
        "",
        ["plan.smallest_effect is missing; add smallest_effect"],
    ),
    "a word for a boolean": (
        "after_data_seen = false",
        'after_data_seen = "no"',
        ["plan.after_data_seen = 'no': is of the wrong kind; write true or false"],
    ),
    "a wrong choice": (
        'design = "between groups"',
        'design = "between group"',
        ["plan.analyses.design = 'between group': is not among the choices; use 'between groups'"],
    ),
    "a PMID as a number": (
        'pmid = "90000001"',
        "pmid = 90000001",
        ["search.known.pmid = 90000001: is of the wrong kind; write a text"],
    ),
    "a PMID with a prefix": (
        'pmid = "90000001"',
        'pmid = "PMID 90000001"',
        ["search.known.pmid = 'PMID 90000001': is not allowed; use a PMID between quotation marks"],
    ),
    "a level in per cent": (
        'question = "do naps help?"',
        'question = "do naps help?"\nlevel = 95',
        ["plan.analyses.level = 95: is out of range; use one less than 1"],
    ),
    "a number that is none": (
        "value = 0.5",
        "value = nan",
        ["plan.pre_post_r.value = nan: is of the wrong kind; write a finite number"],
    ),
    "an empty list": (
        'include = ["jugglers"]',
        "include = []",
        ["eligibility.include is empty; write at least one"],
    ),
    "an empty text": ('population = "Jugglers"', 'population = " "', ["pico.population = '': is"]),
    "a date that is none": (
        "[plan]\nwritten = 2026-01-02",
        '[plan]\nwritten = "January"',
        ["plan.written = 'January': is of the wrong kind; write a date such as 2026-11-24"],
    ),
    "a found record without a day": (
        'status = "not yet verified"',
        'status = "found"',
        ["search.known status 'found' needs the date on which it was checked"],
    ),
    "the name of another file": (
        'id = "invented"',
        'id = "other"',
        ["id = 'other': the file is named invented.toml; use id = 'invented'"],
    ),
    "an unknown tau2 estimator": (
        'measure = "SMD"',
        'measure = "SMD"\ntau2 = "REMLL"',
        ["plan.analyses.tau2 = 'REMLL': there is no such tau2 estimator; did you mean REML?"],
    ),
    "a subgroup that is no column": (
        'subgroups = ["matrix"]',
        'subgroups = ["matrx"]',
        ["plan.analyses.subgroups = 'matrx': there is no such column of effects.csv; did you mean"],
    ),
    "a primary analysis that is none": (
        'primary = "main"',
        'primary = "mane"',
        ["plan.primary = 'mane': is not the id of an analysis; use one of main"],
    ),
    "pre-post that decides": (
        'design = "between groups"',
        'design = "pre-post, one arm"',
        ["plan.analyses.decides = true: an uncontrolled pre-post analysis cannot decide a claim"],
    ),
    "no pool and no reason": (
        'question = "do naps help?"',
        'question = "do naps help?"\npool = false',
        ["plan.analyses.pool = false: pool = false needs a reason; say why in note"],
    ),
    "a sensitivity without its correlation": (
        'outcome = "balls"\n',
        'outcome = "clubs"\n',
        [
            "plan.pre_post_r.outcome = 'clubs': begins no outcome_group of an analysis",
            "plan.analyses.sensitivity no correlation is planned for outcome_group 'balls dropped'",
        ],
    ),
    "a combination of what does not exist": (
        '"#naps AND #juggling NOT #animals_only"',
        '"#naps AND #juggle NOT #animals_only"',
        [
            "search.combine = '#naps AND #juggle NOT #animals_only': #juggle is neither a block",
            "search.blocks.juggling this block is not used in search.combine",
        ],
    ),
    "a block name with a hyphen": (
        '"#naps AND #juggling NOT #animals_only"',
        '"#naps AND #juggling NOT #animals-only"',
        ["'#animals-only' is neither an operator nor the #name of a block or filter"],
    ),
    "a smallest effect without its scale": (
        '[plan.smallest_effect]\nsource = "none: invented"\n',
        '[plan.smallest_effect]\nvalue = 0.2\nsource = "invented"\n',
        ["plan.smallest_effect value and measure come together, or neither"],
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_at_its_place(write, name):
    old, new, expected = FAULTS[name]
    places = faults_of(write(spoiled(old, new)))
    assert len(places) == len(expected), places
    for part in expected:
        assert any(part in place for place in places), places
    assert all(re.match(r"queries/invented\.toml:\d+  ", place) for place in places)


def test_a_fault_stands_at_the_line_of_its_key(write):
    text = spoiled('design = "between groups"', 'design = "none"')
    (place,) = faults_of(write(text))
    assert place.startswith(f"queries/invented.toml:{line_of(text, 'design =')}  ")


def test_a_missing_key_stands_at_the_line_of_its_table(write):
    text = spoiled('left = "fewer balls dropped"\n', "")
    (place,) = faults_of(write(text))
    assert place.startswith(f"queries/invented.toml:{line_of(text, '[[plan.analyses]]')}  ")


def test_a_fault_within_a_long_text_stands_at_its_own_line(write):
    text = spoiled('"balls dropped"[tiab:~1]', '"balls dropped"[tiabb]')
    (place,) = faults_of(write(text))
    assert place.startswith(f"queries/invented.toml:{line_of(text, '[tiabb]')}  ")
    assert "[tiabb] is not a PubMed tag" in place


def test_a_second_record_with_the_same_pmid_is_a_fault(write):
    known = INVENTED[INVENTED.index("[[search.known]]") : INVENTED.index("[plan]")]
    places = faults_of(write(spoiled(known, known + known)))
    assert len(places) == 2
    assert all("search.known.pmid = '90000001': is listed twice; keep one" in p for p in places)


def test_two_analyses_with_one_name_are_a_fault(write):
    analysis = INVENTED[INVENTED.index("[[plan.analyses]]") :]
    places = faults_of(write(INVENTED + analysis))
    assert ["another analysis has the same id" in place for place in places] == [True, True]


def test_a_syntax_error_keeps_its_line(write):
    text = spoiled('limits = "none: invented"', "limits = none: invented")
    (place,) = faults_of(write(text))
    assert place.startswith(
        f"queries/invented.toml:{line_of(text, 'limits =')}  not valid TOML at "
    )


def test_a_text_that_never_ends_is_placed_at_the_last_line(write):
    text = INVENTED + 'note = """without end\n'
    (place,) = faults_of(write(text))
    assert f"queries/invented.toml:{len(text.splitlines())}  not valid TOML" in place


def test_a_byte_that_is_no_text_is_placed(write):
    raw = spoiled("Jugglers", "J@ngleurs").encode().replace(b"@", b"\xf6")
    (place,) = faults_of(write(raw))
    line = line_of(INVENTED, "Jugglers")
    assert place == (
        f"queries/invented.toml:{line}  byte 0xF6 is not UTF-8; save the file as UTF-8"
    )


def test_a_byte_order_mark_is_named(write):
    (place,) = faults_of(write("\ufeff" + INVENTED))
    assert place.startswith("queries/invented.toml:1  ")
    assert place.endswith("save the file as UTF-8 without a byte order mark")


def test_a_file_that_is_not_there_is_a_fault_and_no_traceback(tmp_path):
    (place,) = faults_of(tmp_path / "queries" / "absent.toml")
    assert place.startswith("queries/absent.toml:1  cannot be read (No such file")


def test_all_faults_of_all_files_come_at_once(write, tmp_path):
    write(INVENTED)
    write(spoiled("after_data_seen = false", "after_data_seen = 0"), "second")
    write("id = 'third'\nid = 'third'\n", "third")
    with pytest.raises(SchemaError) as caught:
        read_claims(tmp_path)
    assert caught.value.problem == "3 faults in queries/second.toml, queries/third.toml"
    assert "`evidence check second third`" in caught.value.remedy
    assert [place.split("  ")[0] for place in caught.value.places] == [
        "queries/second.toml:1",  # its id names another file
        f"queries/second.toml:{line_of(INVENTED, 'after_data_seen')}",
        "queries/third.toml:2",
    ]


def test_claims_come_in_alphabetical_order(write, tmp_path):
    for name in ("beta", "alpha"):
        write(INVENTED.replace('id = "invented"', f'id = "{name}"'), name)
    assert [claim.id for claim in read_claims(tmp_path)] == ["alpha", "beta"]


# ---------------------------------------- the scaffold


def test_a_new_claim_lacks_only_what_a_reviewer_must_write(write):
    text = new_claim_text("brand-new", dt.date(2026, 3, 4))
    asked = text.split("\nid =", 1)[1].count("FILL IN: ")
    places = faults_of(write(text, "brand-new"))
    assert len(places) == asked
    assert all(" is still to be filled in; write " in place for place in places), places
    assert (
        f"queries/brand-new.toml:{line_of(text, 'title =')}  title is still to be filled in; "
        in (places[0])
    )


def test_a_new_claim_is_valid_once_it_is_filled_in(write):
    text = new_claim_text("brand-new", dt.date(2026, 3, 4))
    text = text.replace('"FILL IN: the year, as a number without quotation marks"', "1999")
    text = re.sub(r'terms = "FILL IN[^"]*"', "terms = 'juggl*[tiab]'", text)
    text = re.sub(r'"FILL IN: [^"]*"', '"some words"', text)
    claim = read_claim(write(text, "brand-new"))
    assert claim.id == "brand-new"
    assert claim.plan.written == claim.search.written == dt.date(2026, 3, 4)


@pytest.mark.parametrize("name", ["Big", "a_b", "a--b", "../a", "", "ä"])
def test_a_new_claim_needs_a_name_that_can_be_a_file(name):
    with pytest.raises(InputError, match="cannot be the name of a claim"):
        new_claim_text(name, dt.date(2026, 3, 4))


# ---------------------------------------- the schema


def test_the_published_schema_is_current(root):
    published = json.loads((root / "docs/reference/claim.schema.json").read_text("utf-8"))
    assert published == claim_schema(), (
        "run: .venv/bin/python -m evidence.claim_files > docs/reference/claim.schema.json"
    )


def test_the_schema_forbids_unknown_keys_everywhere():
    schema = claim_schema()
    objects = [schema, *schema["$defs"].values()]
    assert all(part["additionalProperties"] is False for part in objects)


def test_the_reference_page_names_every_key(root):
    page = (root / "docs/reference/claims.md").read_text("utf-8")
    schema = claim_schema()
    keys = {key for part in (schema, *schema["$defs"].values()) for key in part["properties"]}
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", page))))
    assert sorted(keys - named) == []


# ---------------------------------------- lines that PubMed bends

# The rows of meaning are those of the PubMed User Guide: what it ignores silently is a fault here.
LINES = {
    '"High-Intensity Interval Training"[mh]': None,
    "neoplasms/dh": None,
    "hasabstract": None,
    "hypertension/therapy[mh:noexp]": None,
    "(a[ti] AND b[ti]) OR (c[ti] NOT d[ti])": None,
    '"[18F]FDG"[tiab]': None,
    '"breast feed*"[tiab]': None,
    '"bed and breakfast"[tiab:~0]': None,
    '"rationing healthcare"[ti:~2]': None,
    "cat*[tiab]": "the stem before * has 3 characters and needs 4",
    '"anti bd*"[tiab]': "the stem before * has 2 characters",
    "co-op*[tiab]": "the stem before * has 2 characters",
    "feed* breast[tiab]": "only the end of the last word may be truncated",
    "f*ding[tiab]": "only the end of the last word may be truncated",
    '"pain hips*"[tiab:~4]': "PubMed drops proximity beside a *",
    "hip pain[tiab:~4]": "proximity needs a quoted phrase",
    '"asthma"[tiab:~2]': "proximity needs a quoted phrase",
    '"asthma attack"[mh:~3]': "no proximity in this field",
    "asthma[ti:noexp]": "only headings explode",
    '"asthma attack"[tiab:3]': "is neither noexp nor ~N",
    "(asthma[ti] OR copd[ti])[tiab]": "stands after a group in parentheses",
    "asthma[tiabb]": "[tiabb] is not a PubMed tag, and PubMed would not say so",
    "asthma[ab]": "[ab] is not a PubMed tag",
    "asthma": "has no field tag",
    "intervent\u2217[ti]": "U+2217 only looks like",
    "\u201casthma attack\u201d[ti]": "U+201C only looks like",
    "asthma\u00a0attack[ti]": "U+00A0 only looks like",
    "post\u2013exercise[ti]": "U+2013 only looks like",
    "post\u2011exercise[ti]": "U+2011 only looks like",
    "a[ti] or b[ti]": "the operator 'or' is not upper case",
    "a[ti] b[ti]": "no operator before 'b': PubMed would read AND",
    "a[ti] OR b[ti] AND c[ti]": "strictly from left to right",
    "a[ti] AND b[ti]": "would take in the lines before it",
    "animals[mh] NOT humans[mh]": "would take in the lines before it",
    "(a[ti] OR b[ti]": "an opening parenthesis is never closed",
    "a[ti] OR b[ti])": "a closing parenthesis has no opening one",
    '"a b[ti]': "a quotation mark has no partner",
    "a[ti": "an opening square bracket is never closed",
    "a[ti] OR": "OR has nothing after it",
    "OR a[ti]": "OR has nothing before it",
    "a[ti] OR OR b[ti]": "OR has nothing before it",
    "a[ti] OR ()": "parentheses with nothing in them",
    '""[ti]': "a term is empty",
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_that_pubmed_would_bend_is_a_fault(line):
    found = [fault.problem for fault in lint_terms(line, alone=False)]
    expected = LINES[line]
    assert (not found) if expected is None else any(expected in problem for problem in found), found


def test_a_line_alone_in_its_block_may_subtract():
    assert lint_terms("animals[mh] NOT humans[mh]", alone=True) == []


def test_every_fault_can_be_found_in_the_line():
    for line in LINES:
        for fault in lint_terms(line, alone=False):
            is_written = (fault.at.strip() or fault.at) in line
            assert is_written or fault.at == " AND ", (line, fault)  # an AND that PubMed would add


@pytest.mark.parametrize(
    ("combine", "expected"),
    [
        ("#a AND #b NOT #c", None),
        ("#a AND (#b OR #c) NOT #d", None),
        ("#a OR #b AND #c", "strictly from left to right"),
        ("NOT #a", "NOT has nothing before it"),
        ("#a and #b", "the operator 'and' is not upper case"),
        ("#a AND bdnf[tiab]", "is neither an operator nor the #name"),
        ("#a #b", "no operator before '#b'"),
    ],
)
def test_a_combination_is_read_from_left_to_right(combine, expected):
    found = [fault.problem for fault in lint_combine(combine)]
    assert (not found) if expected is None else any(expected in problem for problem in found), found


# ---------------------------------------- the places in TOML text

NASTY = "\n".join(
    (
        "# a = 1",
        """a.b . "c d".'e.f' = 1 # x""",
        r"""  "q\u00e9 # ]" = """ + '"""x ] } " ""',
        r"y = 1 \"" + '"""""',  # an escaped quote, then two that belong to the text
        r"""l = '''it's [z] \\'''''""",
        'e = ""',
        "\"\" = ''",
        "d = 1979-05-27 07:32:00",
        "arr = [ # c ]",
        """  "a,b", 'c]', [1, 2,], {x = 1, y.z = [ {} ], "k=" = '}'},""",
        "]",
        "[t.u]",
        "k=[]",
        "[t]",
        "k = {}",
        '[[s.x]] # "',
        "n=1",
        "[s.x.y]",
        "m=1",
        "[[s.x]]",
        "[[s.x.deep]]",
        "o = true",
        "[[s.x.deep]]",
        '[ s . "x" . y ]',
        "m=-inf",
    )
)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, part in value.items():
            yield from paths(part, (*path, key))
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from paths(part, (*path, i))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def assert_all_is_placed(text: str) -> None:
    """Every path has a place, and what stands there is the value."""
    data = tomllib.loads(text)
    where = positions(text)
    assert set(where.spans) == set(paths(data))
    for path, span in where.spans.items():
        value = at(data, path)
        if not isinstance(value, dict | list):
            assert tomllib.loads(f"v = {text[span.start : span.end]}") == {"v": value}


def test_every_value_of_a_nasty_text_has_its_place():
    assert_all_is_placed(NASTY)


def test_lines_of_a_nasty_text():
    lines = NASTY.split("\n")
    where = positions(NASTY)
    for path, part in {
        ("a", "b", "c d", "e.f"): "a.b",
        ("l",): "l = ",
        ("arr", 3, "k="): '"a,b"',
        ("t",): "[t]",
        ("t", "u"): "[t.u]",
        ("s", "x", 0, "y", "m"): "m=1",
        ("s", "x", 1): "[[s.x]]",
        ("s", "x", 1, "deep", 0, "o"): "o = true",
        ("s", "x", 1, "y", "m"): "m=-inf",
    }.items():
        assert part in lines[where.line(path) - 1], path


def test_what_is_not_there_falls_back_to_what_holds_it():
    where = positions(NASTY)
    assert where.line(("t", "u", "absent", 3)) == where.line(("t", "u"))
    assert where.line(("absent",)) == 1
    assert where.line(("arr",), "c]") == where.line(("arr", 1))


def _texts() -> st.SearchStrategy[str]:
    plain = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))
    return st.text(st.one_of(plain, st.sampled_from("\"'\\#[]{}=,.\n")), max_size=12)


_scalars = st.one_of(
    st.booleans(), st.integers(-(2**40), 2**40), _texts(), st.dates(), st.floats(allow_nan=False)
)
_keys = _texts().filter(lambda key: "\n" not in key)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_keys, inner, max_size=3)),
    max_leaves=8,
)


def render(value: Any, draw: Any) -> str:
    """One of the many ways to write a value in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return render_text(value, draw)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, list):
        gap = draw(st.sampled_from([" ", "\n", " # ] ' \n\t"]))
        tail = draw(st.sampled_from(["", ","])) if value else ""
        return "[" + gap + f",{gap}".join(render(v, draw) for v in value) + tail + gap + "]"
    if isinstance(value, dict):
        pairs = (f"{render_key(k, draw)} = {render(v, draw)}" for k, v in value.items())
        return "{ " + ", ".join(pairs) + " }"
    return repr(value)


def render_text(text: str, draw: Any) -> str:
    ways = [json.dumps(text, ensure_ascii=False)]
    if "'" not in text and "\n" not in text:
        ways.append(f"'{text}'")
    if "'''" not in text and not text.endswith("'''") and not text.startswith("\n"):
        ways.append(f"'''\n{text}'''" if not re.search(r"'{3,}$", text + "'") else ways[0])
    escaped = text.replace("\\", "\\\\").replace('"""', '""\\"')
    ways.append(f'"""\n{escaped}"""' if not escaped.endswith('"') else ways[0])
    return draw(st.sampled_from(ways))


def render_key(key: str, draw: Any) -> str:
    ways = [json.dumps(key, ensure_ascii=False)]
    if re.fullmatch(r"[A-Za-z0-9_-]+", key):
        ways.append(key)
    if "'" not in key:
        ways.append(f"'{key}'")
    return draw(st.sampled_from(ways))


@given(st.data(), st.dictionaries(_keys, _values, max_size=4))
def test_every_value_of_any_text_has_its_place(data, tables):
    draw = data.draw
    parts = []
    for key, value in tables.items():  # plain pairs first: a header would take in what follows
        if not isinstance(value, dict):
            parts.append(f"{render_key(key, draw)} = {render(value, draw)} # = [\n")
    for key, value in tables.items():
        if isinstance(value, dict):
            parts.append(f"[ {render_key(key, draw)} ]\n")
            parts += [f"{render_key(k, draw)}={render(v, draw)}\n" for k, v in value.items()]
    assert_all_is_placed("".join(parts))
