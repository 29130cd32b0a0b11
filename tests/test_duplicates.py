"""What is one work and what are two; why; and how it is taken back. The references are invented."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.duplicates import (
    Judgement,
    Thresholds,
    compare,
    decisions_text,
    deduplicate,
    ids_of,
    key_of,
    log_text,
    read_decisions,
    read_log,
    replay,
    signatures,
    undo,
)
from evidence.duplicates.blocking import LARGEST, blocks
from evidence.duplicates.words import (
    bare_number,
    journal_words,
    markers,
    numbers,
    page_range,
    person,
    same_journal,
    title_words,
)
from evidence.errors import SchemaError
from evidence.formats import Reference, from_record, make
from evidence.model import Place

SHARED = Path(__file__).resolve().parents[1] / "../shared/pubmed/records/net-synergy__pubmedparser"

ROWING = make(
    title="Rowing and the resting heart rate of retired teachers: a randomised trial",
    authors=["Lindqvist, Åsa", "O'Brien, Sinéad M", "de la Cruz, Juan"],
    year=2019,
    journal="Journal of Invented Rowing",
    journal_short="J Invent Row",
    volume="12",
    issue="3",
    pages="145-152",
    doi="10.5555/row.2019.3",
    abstract="Retired teachers seldom row although their hearts may gain. We randomised two "
    "hundred teachers to rowing thrice weekly, or stretching, during half a year. Resting heart "
    "rate fell further among rowers than among stretchers, while blood pressure stayed unchanged "
    "throughout.",
)


def decided(a: Reference, b: Reference) -> str:
    one, two = signatures([a, b])[0]
    return compare(one, two).decision


def related(a: Reference, b: Reference) -> str:
    one, two = signatures([a, b])[0]
    return compare(one, two).relation


@pytest.mark.parametrize(
    "changes",
    [
        {"authors": ("Lindqvist Å.", "O'Brien S.M.", "de la Cruz J."), "doi": None},
        {"authors": ("Åsa Lindqvist", "Sinéad M O'Brien", "Juan de la Cruz"), "doi": None},
        {"authors": ("LINDQVIST Å", "OBRIEN SM", "DE LA CRUZ J"), "doi": None},
        {"authors": ("Lindqvist Å", "et al."), "doi": None},
        {"title": ROWING.title.upper(), "doi": "10.5555/ROW.2019.3"},
        {"title": ROWING.title.replace("randomised", "randomized") + ".", "doi": None},
        {"title": ROWING.title.replace("resting", "restign"), "doi": None},
        {"title": "Rowing and the resting heart rate of retired teachers", "doi": None},
        {"title": "Rowing and the resting heart rate of retired...", "doi": None, "volume": ""},
        {"journal": "J. Invent. Row.", "journal_short": "", "doi": None},
        {"journal": "JOURNAL OF INVENTED ROWING (LUND)", "journal_short": "", "doi": None},
        {"pages": "145\u2010152", "doi": None},
        {"pages": "pp. 145-52", "doi": None},
        {"pages": "145", "doi": None, "issue": ""},
        {"volume": "Vol. 012", "issue": "No. 3", "doi": None},
        {"volume": "12(3)", "issue": "", "doi": None},
        {"year": 2018, "doi": None},
        {"year": None, "volume": "", "issue": "", "doi": None},
        {"volume": "", "issue": "", "pages": "", "year": 2018},
        {"title": "[" + ROWING.title + "].", "abstract": "", "doi": None},
        {"authors": (), "doi": None},
    ],
    ids=lambda changes: " ".join(f"{k}={str(v)[:18]}" for k, v in changes.items()),
)
def test_one_work_in_the_words_of_two_databases_is_merged(changes):
    assert decided(ROWING, ROWING.with_(**changes)) == "merge"


@pytest.mark.parametrize(
    ("relation", "changes"),
    [
        (
            "preprint",
            {
                "journal": "medRxiv",
                "journal_short": "",
                "doi": "10.1101/2019.01.02.19000001",
                "volume": "",
                "issue": "",
                "pages": "",
            },
        ),
        ("erratum", {"title": f"Erratum: {ROWING.title}", "pages": "300", "doi": None}),
        ("erratum", {"title": f"Correction to: {ROWING.title}", "pages": "", "doi": None}),
        (
            "erratum",
            {"types": ("Published Erratum",), "pages": "300", "doi": None, "abstract": ""},
        ),
        ("retraction", {"title": f"Retraction: {ROWING.title}", "pages": "9", "doi": None}),
        (
            "comment",
            {"title": f"Comment on: {ROWING.title}", "pages": "301", "doi": None, "abstract": ""},
        ),
        ("reply", {"title": f"Reply to: {ROWING.title}", "pages": "301", "doi": None}),
        (
            "protocol",
            {"title": f"{ROWING.title}: study protocol", "year": 2016, "volume": "9", "doi": None},
        ),
        ("series", {"title": f"{ROWING.title}. Part II", "pages": "153-160", "doi": None}),
        (
            "conference",
            {
                "types": ("Conference Abstract",),
                "journal": "Congress of rowers",
                "journal_short": "",
                "volume": "40",
                "issue": "S1",
                "pages": "S12",
                "year": 2018,
                "doi": None,
                "abstract": "",
            },
        ),
        ("update", {"title": f"{ROWING.title}: update", "year": 2023, "volume": "16", "doi": None}),
        (
            "another version",
            {"journal": "Acta Remigis", "volume": "3", "pages": "77-80", "doi": None, "year": 2021},
        ),
    ],
)
def test_another_work_of_the_same_words_is_kept_apart_and_listed(relation, changes):
    other = ROWING.with_(**changes)
    assert decided(ROWING, other) == "apart"
    assert related(ROWING, other) == relation
    found = deduplicate([ROWING, other])
    assert len(found.groups) == 2
    assert [p.comparison.relation for p in found.related] == [relation]


def test_part_one_and_part_two_are_never_one_work():
    one = ROWING.with_(title="Hearts of rowers. I. Anatomy", pages="1-9", doi=None, abstract="")
    two = ROWING.with_(title="Hearts of rowers. II. Anatomy", pages="10-19", doi=None, abstract="")
    assert decided(one, two) == "apart"
    assert related(one, two) == "series"
    assert decided(one, two.with_(pages="", volume="", issue="")) == "apart"


def test_a_title_alone_never_merges():
    bare = make(title=ROWING.title)
    assert decided(bare, bare) == "ask"
    assert decided(ROWING, bare) == "ask"
    other_year = ROWING.with_(doi=None, journal="", journal_short="", volume="", issue="", pages="")
    assert decided(other_year, other_year.with_(year=2020, abstract="")) == "ask"


@pytest.mark.parametrize(
    "changes",
    [
        {"volume": "13"},
        {"pages": "245-252"},
        {"year": 2022},
        {"doi": "10.5555/row.2019.4"},
        {"authors": ("Tanaka, Hana", "Weiß, Jürgen")},
    ],
)
def test_what_contradicts_is_asked_about_and_never_merged_by_a_sum(changes):
    one = ROWING if "doi" in changes else ROWING.with_(doi=None)
    assert decided(one, one.with_(**changes)) == "ask"


def test_one_doi_on_every_abstract_of_a_supplement_does_not_make_them_one():
    other = ROWING.with_(
        title="Stretching in swimmers with sore shoulders", authors=("Li, Wei",), pages="S14"
    )
    assert decided(ROWING, other) == "apart"


def test_short_titles_need_more_than_their_words():
    one = make(title="Editorial", authors=["Li, W"], year=2019, journal="Waves")
    assert decided(one, one) == "ask"
    assert decided(one.with_(volume="3", pages="77"), one.with_(volume="3", pages="77")) == "merge"


def test_two_pmids_are_two_records_whatever_else_agrees():
    assert decided(ROWING.with_(pmid="1"), ROWING.with_(pmid="2")) == "apart"
    assert decided(ROWING.with_(pmid="1"), make(title="Rowing", pmid="1")) == "merge"


def test_the_reasons_name_every_field_with_what_it_adds():
    one, two = signatures([ROWING, ROWING.with_(year=2018, volume="", doi=None)])[0]
    made = compare(one, two)
    assert [f.field for f in made.findings] == [
        "title",
        "authors",
        "year",
        "journal",
        "issue",
        "pages",
    ]
    assert "year: 2019 against 2018 (-0.5)" in made.reasons()
    assert made.score == pytest.approx(sum(f.bits for f in made.findings), abs=0.01)


def test_thresholds_are_a_choice():
    one, two = signatures([ROWING, ROWING.with_(doi=None)])[0]
    assert compare(one, two, thresholds=Thresholds(merge=1000)).decision == "ask"
    assert compare(one, two, thresholds=Thresholds(merge=1000, ask=1000)).decision == "apart"


# Groups


def file_of(*references: Reference, name: str = "a.ris") -> list[Reference]:
    return [r.with_(at=Place(name, 10 * n)) for n, r in enumerate(references, 1)]


def test_three_descriptions_become_one_work_with_the_best_of_each():
    some = file_of(
        ROWING.with_(title=ROWING.title.upper(), abstract="", authors=("Lindqvist Å", "et al.")),
        ROWING.with_(doi=None, pages="145", year=2018, keywords=("heart",)),
        ROWING.with_(volume="", keywords=("rowing",), pages="145-52"),
    )
    found = deduplicate(some)
    (group,) = found.groups
    r = group.chosen.reference
    assert group.members == ("a.ris#10", "a.ris#20", "a.ris#30")
    assert (r.title, r.authors, r.year, r.pages) == (
        ROWING.title,
        ROWING.authors,
        2019,
        "145-152",
    )
    assert (r.abstract, r.keywords) == (ROWING.abstract, ("heart", "rowing"))
    origin = dict(group.chosen.origin)
    assert (origin["title"], origin["authors"], origin["volume"]) == (
        (1, 0, 2),
        (1, 2),
        (0, 1),
    )
    assert origin["year"] == (0, 2)


def test_a_group_never_holds_two_references_that_contradict_each_other():
    vague = ROWING.with_(doi=None, volume="", issue="", pages="")
    one, two = ROWING.with_(doi=None), ROWING.with_(doi=None, volume="13", pages="245-252")
    found = deduplicate(file_of(vague, one, two))
    assert [len(g.members) for g in found.groups] in ([2, 1], [1, 2], [1, 1, 1])
    together = {frozenset(g.members) for g in found.groups}
    assert frozenset({"a.ris#10", "a.ris#20", "a.ris#30"}) not in together
    assert len(found.asks) == 1


def test_people_stand_above_the_rules():
    other = ROWING.with_(title=f"Erratum: {ROWING.title}", pages="300", doi=None)
    some = file_of(ROWING, ROWING.with_(doi=None), other)
    same = Judgement("a.ris#10", "a.ris#30", True, "EN", "2026-05-04", "printed twice")
    different = Judgement("a.ris#10", "a.ris#20", False, "EN")
    found = deduplicate(some, decisions=[same, different])
    assert [g.members for g in found.groups] == [("a.ris#10", "a.ris#30"), ("a.ris#20",)]
    (merge,) = found.merges
    assert (merge.decided_by, merge.reasons, merge.score) == ("EN", "printed twice", None)


def test_decisions_may_name_a_doi_and_those_about_nothing_here_are_told():
    twin = ROWING.with_(doi="10.5555/other")
    no = Judgement("doi:10.5555/ROW.2019.3", "doi:10.5555/other", True)
    lost = Judgement("a.ris#10", "b.ris#7", True)
    found = deduplicate(file_of(ROWING, twin), decisions=[no, lost])
    assert len(found.groups) == 1
    assert found.unused == (lost,)


def test_the_log_is_replayed_without_comparing_and_undone_line_by_line():
    swim = make(title="Swimming for knees that hurt on stairs", authors=["Li, W"], year=2001,
                journal="Aqua", volume="1", pages="7")  # fmt: skip
    some = file_of(ROWING, swim, ROWING.with_(doi=None), swim, ROWING.with_(volume=""))
    found = deduplicate(some)
    log = read_log(log_text(found.merges))
    assert log == found.merges
    assert [(m.kept, m.merged) for m in log] == [
        ("a.ris#10", "a.ris#30"),
        ("a.ris#10", "a.ris#50"),
        ("a.ris#20", "a.ris#40"),
    ]
    again = replay(some, log)
    assert again.groups == found.groups
    undone = undo(log, "a.ris#30", by="EN 2026-05-04")
    assert [g.members for g in replay(some, undone).groups] == [
        ("a.ris#10", "a.ris#50"),
        ("a.ris#20", "a.ris#40"),
        ("a.ris#30",),
    ]
    assert read_log(log_text(undone)) == undone
    with pytest.raises(SchemaError, match=r"no merge of a\.ris#30 that stands"):
        undo(undone, "a.ris#30")


def test_a_log_or_decisions_that_cannot_be_used_are_refused_line_by_line():
    with pytest.raises(SchemaError) as fault:
        read_log("kept,merged,score\na,a,1\na,b,much\nc,d,1\n")
    assert fault.value.places == (
        "merges.csv:2  needs two different ids",
        "merges.csv:3  score = much is no number",
    )
    with pytest.raises(SchemaError) as fault:
        read_decisions("record_1,record_2,decision\na,b,maybe\na,,same\n")
    assert fault.value.places == (
        "duplicates.csv:2  decision = 'maybe' is neither same nor different",
        "duplicates.csv:3  needs two different ids",
    )
    with pytest.raises(SchemaError, match="has no column record_2"):
        read_decisions("record_1,decision\n")


def test_a_quotation_mark_that_is_never_closed_is_told_with_its_line():
    head = "record_1,record_2,decision\na,b,same\n"
    with pytest.raises(SchemaError, match="cannot be read as CSV") as fault:
        read_decisions(f'{head}"c,d,same\n' + 140_000 * "x", file="duplicates.csv")
    assert fault.value.places[0].startswith("duplicates.csv:3  ")


def test_the_latest_decision_about_a_pair_wins():
    text = decisions_text([Judgement("a", "b", True), Judgement("b", "a", False, "EN")])
    assert read_decisions(text) == (Judgement("b", "a", False, "EN"),)


def test_ids_are_the_same_in_every_run_and_never_shared():
    some = [ROWING, ROWING, make(title="T"), make(title="T", pmid="7")]
    assert ids_of(some) == (
        "doi:10.5555/row.2019.3",
        "doi:10.5555/row.2019.3~2",
        "ref:2d7ece6aaf90",  # SHA-256 of "t||None|||", cut
        "pmid:7",
    )
    assert key_of(ROWING) == "doi:10.5555/row.2019.3"
    assert key_of(make(title="T")) == key_of(make(title="t", abstract="A"))


def test_nothing_and_one_reference_are_fine():
    assert deduplicate([]).groups == ()
    assert deduplicate([make()]).references == (make(),)
    assert deduplicate([make(), make()]).summary().startswith("2 references = 2 works")


# Blocks


def test_a_title_that_hundreds_share_is_divided_and_its_duplicates_still_found():
    some = [
        make(
            title="Editorial",
            authors=[f"Name{n}, A"],
            year=2000,
            journal="Waves",
            volume="1",
            pages=str(100 + n),
        )
        for n in range(3 * LARGEST)
    ]
    found = deduplicate([*some, some[70]])
    assert [len(g.members) for g in found.groups].count(2) == 1
    pairs = blocks(*signatures(some)).pairs
    assert len(pairs) < len(some) * 10


WORDS = ["heart", "rowing", "teachers", "trial", "knees", "stairs", "swimming", "sleep", "tea"]


@st.composite
def libraries(draw: st.DrawFn) -> list[Reference]:
    titles = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
    one = st.builds(
        lambda **fields: make(**fields),
        title=titles,
        authors=st.lists(st.sampled_from(["Li, W", "Li, X", "Smith, J", "Tea Group"]), max_size=3),
        year=st.sampled_from([None, 2000, 2001, 2010]),
        journal=st.sampled_from(["", "Waves", "Acta Remigis"]),
        volume=st.sampled_from(["", "1", "2"]),
        pages=st.sampled_from(["", "1-9", "12", "e5"]),
        doi=st.sampled_from([None, "10.5555/a", "10.5555/b"]),
        pmid=st.sampled_from([None, None, "1", "2"]),
        kind=st.sampled_from(["article", "preprint"]),
    )
    return draw(st.lists(one, max_size=8))


@given(libraries())
@settings(max_examples=150, deadline=None)
def test_comparing_is_the_same_both_ways(library):
    items, count = signatures(library)
    for a, b in combinations(items, 2):
        there, back = compare(a, b, count), compare(b, a, count)
        assert (there.decision, there.score, there.relation) == (
            back.decision,
            back.score,
            back.relation,
        )


@given(libraries())
@settings(max_examples=150, deadline=None)
def test_every_reference_is_in_one_group_and_the_log_says_the_same(library):
    found = deduplicate(library)
    assert sorted(m for g in found.groups for m in g.members) == sorted(found.ids)
    assert len(found.merges) == len(found.ids) - len(found.groups)
    assert replay(library, found.merges).groups == found.groups


@given(libraries())
@settings(max_examples=150, deadline=None)
def test_no_group_holds_two_pmids_nor_what_rules_keep_apart(library):
    found = deduplicate(library)
    where = dict(zip(found.ids, library, strict=True))
    items, count = signatures(library)
    signed = dict(zip(found.ids, items, strict=True))
    for group in found.groups:
        assert len({where[m].pmid for m in group.members} - {None}) <= 1
        for a, b in combinations(group.members, 2):
            made = compare(signed[a], signed[b], count)
            assert made.decision == "merge" or not (made.contradictions or made.relation)


@given(libraries(), st.randoms())
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_references_decides_nothing_about_sure_pairs(library, random):
    library = [r.with_(at=Place("a", n)) for n, r in enumerate(library)]
    shuffled = library[:]
    random.shuffle(shuffled)
    once = {frozenset(g.members) for g in deduplicate(library).groups}
    again = {frozenset(g.members) for g in deduplicate(shuffled).groups}
    assert sorted(map(len, once)) == sorted(map(len, again))


@given(libraries())
@settings(max_examples=100, deadline=None)
def test_blocks_miss_no_pair_that_would_be_merged(library):
    items, count = signatures(library)
    pairs = set(blocks(items, count).pairs)
    for i, j in combinations(range(len(items)), 2):
        if compare(items[i], items[j], count).decision == "merge":
            assert (i, j) in pairs


# Words


@pytest.mark.parametrize(
    ("name", "family", "initials"),
    [
        ("Smith, John A", "smith", "ja"),
        ("Smith JA", "smith", "ja"),
        ("John A. Smith", "smith", "ja"),
        ("SMITH J.A.", "smith", "ja"),
        ("J. A. Smith", "smith", "ja"),
        ("Smith, J.-A., Jr", "smith", "ja"),
        ("Müller, Jürgen", "muller", "j"),
        ("Mueller J", "muller", "j"),
        ("van der Berg, Jan", "berg", "j"),
        ("O'Brien S", "obrien", "s"),
        ("Sørensen, Å", "sorensen", "a"),
    ],
)
def test_a_name_is_the_same_in_every_order(name, family, initials):
    families, found = person(name)
    assert family in families
    assert found == initials


@pytest.mark.parametrize(
    ("pages", "first", "last"),
    [
        ("123-9", "123", "129"),
        ("123–129", "123", "129"),
        ("pp. 123-129", "123", "129"),
        ("e12-e15", "e12", "e15"),
        ("S145-52", "s145", "s152"),
        ("0123", "123", ""),
        ("1-5; discussion 6", "1", "5"),
        ("", "", ""),
        ("no pages", "", ""),
    ],
)
def test_pages_are_the_same_in_every_form(pages, first, last):
    assert page_range(pages) == (first, last)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("The Journal of sports medicine and physical fitness", "J Sports Med Phys Fitness", True),
        ("Journal of the American Medical Association", "JAMA", True),
        ("The Lancet", "Lancet (London, England)", True),
        ("BMJ (Clinical research ed.)", "BMJ", True),
        ("Int. J. Invent. Row.", "International journal of invented rowing", True),
        ("Journal of Rowing", "Journal of Running", False),
        ("Circulation", "Circulation research", False),
    ],
)
def test_a_journal_is_the_same_abbreviated_or_not(one, other, same):
    assert same_journal(journal_words(one), journal_words(other)) is same


def test_titles_are_the_same_across_spellings_and_alphabets():
    assert title_words("Effects of TNF-α on <i>tumour</i> behaviour") == title_words(
        "effects of TNF-alpha on tumor behavior."
    )
    assert title_words("RETRACTED: A trial of tea") == title_words("[A trial of tea].")


def test_numbers_and_marks_of_a_title_are_found():
    assert numbers(title_words("Hearts. Part II: phase 2 of three")) == ("2", "2")
    assert markers(title_words("Reply to Li et al.")) == {"reply"}
    assert markers(title_words("Response plasticity of neurons")) <= {"reply"}
    assert markers(title_words("Retracted: a trial")) == frozenset()


@pytest.mark.parametrize(
    ("text", "bare"),
    [("Vol. 012", "12"), ("12(3)", "12"), ("Suppl 1", "s1"), ("12-13", "1213"), ("(4)", "4")],
)
def test_volumes_and_issues_are_bare_numbers(text, bare):
    assert bare_number(text) == bare


# Real records


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the PubMed records are not beside this checkout")
def test_real_records_described_anew_are_found_and_their_neighbours_left_alone():
    """As the benchmark has it, on the few hundred records of six small files."""
    import gzip

    from benchmarks.duplicates import labelled
    from evidence.model import Record
    from evidence.pubmed import stream_articles

    records: dict[str, Record] = {}
    for path in sorted(SHARED.glob("*.xml.gz")):
        with gzip.open(path) as file:
            for answer in stream_articles(file):
                if isinstance(answer, Record) and len(answer.title) > 5:
                    records[answer.pmid] = answer
    data = labelled(list(records.values()), works=len(records), seed=5, made_apart=True)
    references = [r for r, _ in data]
    found = deduplicate(references)
    work = dict(zip(found.ids, (w for _, w in data), strict=True))
    said = {p for g in found.groups for p in combinations(sorted(g.members), 2)}
    true = {p for p in combinations(sorted(found.ids), 2) if work[p[0]] == work[p[1]]}
    assert len(said & true) / len(said) > 0.99
    assert len(said & true) / len(true) > 0.98
    items, count = signatures(references)
    pairs = set(blocks(items, count).pairs)
    place = {name: n for n, name in enumerate(found.ids)}
    blocked = sum((min(place[a], place[b]), max(place[a], place[b])) in pairs for a, b in true)
    assert blocked / len(true) > 0.995
    assert from_record(next(iter(records.values()))).pmid
