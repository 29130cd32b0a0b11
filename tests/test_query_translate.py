"""A PubMed strategy for other databases: what is exact, what is wider, what is left out."""

from __future__ import annotations

import pytest
from hypothesis import given

from evidence.query.targets import TARGETS
from evidence.query.translate import translate
from meta.errors import UnknownName
from tests.test_query_parse import TREES


def query(text: str, target: str) -> str:
    return translate(text, target).query


def notes(text: str, target: str) -> list[str]:
    return [str(note) for note in translate(text, target).notes]


# Each row: PubMed, then Ovid, Embase, Web of Science, Cochrane, Europe PMC.
ROWS = {
    "a word": (
        "exercise[tiab]",
        "exercise.ti,ab,kf.",
        "exercise:ti,ab,kw",
        'TS=("exercise")',
        "exercise:ti,ab,kw",
        '(TITLE_ABS:"exercise" OR KW:"exercise")',
    ),
    "a stem": (
        "exercis*[ti]",
        "exercis*.ti.",
        "exercis*:ti",
        "TI=(exercis*)",
        "exercis*:ti",
        "TITLE:exercis*",
    ),
    "a phrase": (
        '"heart failure"[ti]',
        '"heart failure".ti.',
        "'heart failure':ti",
        'TI=("heart failure")',
        '"heart failure":ti',
        'TITLE:"heart failure"',
    ),
    "a phrase that ends in a stem": (
        '"breast feed*"[ti]',
        "(breast adj feed*).ti.",
        "'breast feed*':ti",
        'TI=("breast feed*")',
        "(breast NEXT feed*):ti",
        'TITLE:"breast" AND TITLE:feed*',
    ),
    "two words with at most three between": (
        '"back pain"[ti:~3]',
        "(back adj4 pain).ti.",
        "(back NEAR/4 pain):ti",
        'TI=("back" NEAR/3 "pain")',
        "(back NEAR/4 pain):ti",
        'TITLE:"back" AND TITLE:"pain"',
    ),
    "neighbours in any order": (
        '"back pain"[ti:~0]',
        "(back adj1 pain).ti.",
        "(back NEAR/1 pain):ti",
        'TI=("back" NEAR/0 "pain")',
        "(back NEAR/1 pain):ti",
        'TITLE:"back" AND TITLE:"pain"',
    ),
    "three words": (
        '"patient physician relation"[ti:~1]',
        "(patient adj3 physician adj3 relation).ti.",
        "(patient NEAR/3 physician NEAR/3 relation):ti",
        'TI=("patient" NEAR/2 "physician" NEAR/2 "relation")',
        "(patient NEAR/3 physician NEAR/3 relation):ti",
        'TITLE:"patient" AND TITLE:"physician" AND TITLE:"relation"',
    ),
    "an operator as a word": (
        '"bed and breakfast"[ti:~0]',
        '(bed adj2 "and" adj2 breakfast).ti.',
        "(bed NEAR/2 'and' NEAR/2 breakfast):ti",
        'TI=("bed" NEAR/1 "and" NEAR/1 "breakfast")',
        '(bed NEAR/2 "and" NEAR/2 breakfast):ti',
        'TITLE:"bed" AND TITLE:"and" AND TITLE:"breakfast"',
    ),
    "alternatives in one field": (
        'exercis*[ti] OR training[ti] OR "heart failure"[ti]',
        '(exercis* or training or "heart failure").ti.',
        "(exercis* OR training OR 'heart failure'):ti",
        'TI=(exercis* OR "training" OR "heart failure")',
        '(exercis* OR training OR "heart failure"):ti',
        'TITLE:(exercis* OR "training" OR "heart failure")',
    ),
    "left to right": (
        "x1[ti] OR y1[ti] AND z1[ot]",
        "(x1 or y1).ti. and z1.kf.",
        "(x1 OR y1):ti AND z1:kw",
        'TI=("x1" OR "y1") AND AK=("z1")',
        "(x1 OR y1):ti AND z1:kw",
        'TITLE:("x1" OR "y1") AND KW:"z1"',
    ),
    "a heading with all narrower ones": (
        '"Heart Failure"[mh]',
        "exp Heart Failure/",
        "'heart failure'/exp",
        'TS=("heart failure")',
        '[mh "Heart Failure"]',
        'MESH:"Heart Failure"',
    ),
    "a heading alone": (
        "Heart Failure[mh:noexp]",
        "Heart Failure/",
        "'heart failure'/de",
        'TS=("heart failure")',
        '[mh ^"Heart Failure"]',
        'MESH:"Heart Failure"',
    ),
    "a major topic": (
        "Heart Failure[majr]",
        "exp *Heart Failure/",
        "'heart failure'/exp/mj",
        'TS=("heart failure")',
        '[mh "Heart Failure"]',
        'MESH:"Heart Failure"',
    ),
    "an inverted heading with a subheading": (
        "Diabetes Mellitus, Type 2/drug therapy[mh:noexp]",
        "Diabetes Mellitus, Type 2/dt",
        "'type 2 diabetes mellitus'/de",
        'TS=("type 2 diabetes mellitus")',
        '[mh ^"Diabetes Mellitus, Type 2"/DT]',
        'MESH:"Diabetes Mellitus, Type 2"',
    ),
    "an author": (
        "smith j[au]",
        "smith j*.au.",
        "'smith j*':au",
        'AU=("smith j*")',
        "(smith NEXT j*):au",
        'AUTH:"smith j"',
    ),
    "a type": (
        "letter[pt:noexp]",
        "letter.pt.",
        "letter:it",
        'DT=("Letter")',
        '"letter":pt',
        'PUB_TYPE:"letter"',
    ),
    "years": (
        "2019:2021[dp]",
        '("2019" or "2020" or "2021").yr.',
        "[2019-2021]/py",
        "PY=(2019-2021)",
        "",
        "FIRST_PDATE:[2019-01-01 TO 2021-12-31]",
    ),
    "a language": (
        "jpn[la]",
        "japanese.lg.",
        "[japanese]/lim",
        "LA=(Japanese)",
        "",
        "LANG:jpn",
    ),
    "a PMID": (
        "17170002[uid]",
        "(17170002).ui.",
        "",
        "PMID=(17170002)",
        "",
        "(EXT_ID:17170002) AND SRC:MED",
    ),
    "history lines": ("#1 AND #2", "1 and 2", "#1 AND #2", "#1 AND #2", "#1 AND #2", ""),
    "what is taken away": (
        "asthma[ti] NOT (rats[ti] NOT humans[ti])",
        "asthma.ti. not (rats.ti. not humans.ti.)",
        "asthma:ti NOT (rats:ti NOT humans:ti)",
        'TI=("asthma") NOT (TI=("rats") NOT TI=("humans"))',
        "asthma:ti NOT (rats:ti NOT humans:ti)",
        'TITLE:"asthma" NOT (TITLE:"rats" NOT TITLE:"humans")',
    ),
}  # fmt: skip
ORDER = ("ovid", "embase", "wos", "cochrane", "europepmc")


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("target", ORDER)
def test_a_part_of_a_strategy_has_its_form(name, target):
    text, *expected = ROWS[name]
    assert query(text, target) == expected[ORDER.index(target)]


@pytest.mark.parametrize(
    ("text", "target", "said"),
    [
        ("Exercise[mh]", "europepmc", "Exercise[mh]: narrower: Europe PMC does not add narrower"),
        ("Exercise[mh]", "embase", "Exercise[mh]: differs: Emtree has headings of its own"),
        ("Exercise[mh]", "wos", "Exercise[mh]: differs: Web of Science has no headings"),
        ("Exercise[majr]", "cochrane", "Exercise[majr]: wider: not only as major topic"),
        ("exercise[tiab]", "wos", "wider: TS also reads Keywords Plus"),
        ("exercise[tiab]", "cochrane", "wider: keywords include headings"),
        ('"a1 b1 c1"[ti:~2]', "ovid", "wider: ADJ counts between neighbours"),
        ('"back pain"[ti:~3]', "europepmc", "wider: no documented proximity"),
        ("exercise", "ovid", "exercise: differs: PubMed maps untagged words"),
        ("2019/02:2019/03[dp]", "embase", "2019/02:2019/03[dp]: wider: whole years"),
        ("smith j[1au]", "wos", "smith j[1au]: wider: any author"),
        ("(asthma OR copd)[ti]", "ovid", "PubMed drops the tag; translated as it was meant"),
        ("cat*[ti]", "ovid", "PubMed ignores the asterisk here; so does this"),
        ("therapy[sh]", "ovid", "Ovid does not add narrower subheadings"),
    ],
)  # fmt: skip
def test_every_approximation_is_named(text, target, said):
    assert any(said in note for note in notes(text, target)), notes(text, target)


def test_what_is_left_out_says_what_it_does_to_the_whole():
    left = "the Cochrane Library has no form for this switch of PubMed; the whole finds "
    assert notes("x1[ti] AND hasabstract", "cochrane") == [f"hasabstract: left out: {left}more"]
    assert notes("x1[ti] OR hasabstract", "cochrane") == [f"hasabstract: left out: {left}less"]
    assert notes("x1[ti] NOT hasabstract", "cochrane") == [f"hasabstract: left out: {left}more"]
    assert notes("x1[ti] NOT (y1[ti] AND hasabstract)", "cochrane") == [
        f"hasabstract: left out: {left}less"
    ]
    assert query("x1[ti] AND hasabstract", "cochrane") == "x1:ti"


def test_words_never_stand_in_for_headings_that_are_taken_away():
    made = translate("asthma[ti] NOT (animals[mh] NOT humans[mh])", "wos")
    assert made.query == 'TI=("asthma")'
    assert any(note.term == "animals[mh]" and note.effect == "left out" for note in made.notes)


def test_an_exact_translation_has_no_note():
    for target in ("ovid", "embase", "wos", "cochrane"):
        assert notes('exercis*[ti] OR "heart failure"[ti]', target) == []


def test_an_unknown_tag_is_left_out_and_named():
    made = translate("asthma[ti] AND copd[tiabb]", "ovid")
    assert made.query == "asthma.ti."
    assert "[tiabb] is not a PubMed tag" in str(made.notes[0])


def test_nothing_that_can_be_translated_is_an_empty_query():
    made = translate("hasretractionin", "ovid")
    assert made.query == ""
    assert [note.effect for note in made.notes] == ["left out"]


def test_an_unknown_database_is_named_with_the_nearest():
    with pytest.raises(UnknownName, match="no database to translate to 'ovidd'"):
        translate("asthma[ti]", "ovidd")


@pytest.mark.parametrize("text", ['"Research Support, Non-U.S. Gov\'t"[pt]', "50-99-7'x[rn]"])
def test_an_apostrophe_does_not_end_what_embase_has_in_single_marks(text):
    assert query(text, "embase").count("'") == 2


@pytest.mark.parametrize("target", ORDER)
@pytest.mark.parametrize("dates", ["2021:2019[dp]", "2021/5:2021/3[dp]"])
def test_a_period_that_ends_before_it_begins_is_left_out_and_named(dates, target):
    made = translate(f"asthma[ti] AND {dates}", target)
    assert "2021" not in made.query
    assert any("the range ends before it begins" in str(note) for note in made.notes)


@given(TREES)
def test_every_tree_translates_with_balanced_signs(node):
    for target in TARGETS:
        made = translate(node, target)
        assert made.query.count("(") == made.query.count(")")
        assert made.query.count("[") == made.query.count("]")
        assert made.query.count('"') % 2 == 0
        assert made.query or made.notes
        assert not made.query.startswith(("AND", "OR", "NOT"))
