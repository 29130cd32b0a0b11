"""A strategy as concepts: what lines add, which concept a record fails, and what comes near it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.query.blocks import Group, is_controlled_only, missed, outline
from evidence.query.decide import Decider
from evidence.query.gains import Hits, Tally, gains, gains_by_count, questions
from evidence.query.match import Seen, answer, matches
from evidence.query.nearly import nearly
from evidence.query.parse import parse
from evidence.query.searchable import MeshHeading, Paper
from evidence.query.show import show
from evidence.query.tree import Node

STRATEGY = outline(
    parse(
        "(exercis*[tiab] OR training[tiab] OR running[tiab]) "
        "AND (bdnf[tiab] OR neurotroph*[tiab]) NOT (rats[tiab] OR mice[tiab])"
    ).tree
)
RECORDS = [
    Paper("1", "Exercise and BDNF"),
    Paper("2", "Training and BDNF and neurotrophins"),
    Paper("3", "Exercise training and neurotrophins"),
    Paper("4", "Running mice and BDNF"),
    Paper("5", "Exercise and lactate"),
    Paper("6", "Swimming in rats"),
]


def pmids(tree: Node) -> frozenset[str]:
    return answer(tree, RECORDS).pmids


def hits(tree: Node) -> Hits:
    found = pmids(tree)
    mask = np.array([record.pmid in found for record in RECORDS])
    return Hits(mask, mask)


def shown(shape, concepts):
    if isinstance(shape, int):
        return " | ".join(str(line) for line in concepts[shape].lines)
    return [shape.operator, *(shown(part, concepts) for part in shape.parts)]


# ---------------------------------------- outlines


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a[ti]", "a[ti]"),
        ("a[ti] OR b[ti]", "a[ti] | b[ti]"),
        ("(a[ti] AND b[ti]) AND c[ti]", ["AND", "a[ti]", "b[ti]", "c[ti]"]),
        (
            "(a[ti] OR b[ti]) AND c[ti] NOT (d[ti] OR e[ti])",
            ["NOT", ["AND", "a[ti] | b[ti]", "c[ti]"], "d[ti] | e[ti]"],
        ),
        # A line may hold an AND of its own; lists beside each other make a group.
        ("(a[ti] AND b[ti]) OR c[ti]", "a[ti] AND b[ti] | c[ti]"),
        (
            "(a[ti] OR b[ti]) OR ((c[ti] OR d[ti]) AND e[ti])",
            ["OR", "a[ti] | b[ti]", ["AND", "c[ti] | d[ti]", "e[ti]"]],
        ),
        ("a[ti] NOT b[ti] NOT c[ti]", ["NOT", "a[ti]", "b[ti]", "c[ti]"]),
    ],
)
def test_a_query_falls_into_its_concepts(query, expected):
    made = outline(parse(query).tree)
    assert shown(made.shape, made.concepts) == expected


def test_what_not_takes_away_is_known_and_so_is_what_every_record_must_have():
    assert [len(c.lines) for c in STRATEGY.concepts] == [3, 2, 2]
    assert STRATEGY.excluded == {2}
    assert STRATEGY.required == {0, 1}
    assert STRATEGY.concepts[0].title == "exercis*[tiab] and 2 more"
    nested = outline(parse("a[ti] AND ((b[ti] OR c[ti]) OR ((d[ti] OR e[ti]) AND f[ti]))").tree)
    assert nested.required == {0}
    whole = outline(parse("a[ti] NOT (b[ti] NOT c[ti])").tree)
    assert [str(line) for line in whole.concepts[1].lines] == ["b[ti] NOT c[ti]"]
    twice = outline(parse("a[ti] NOT ((b[ti] OR c[ti]) NOT (d[ti] OR e[ti]))").tree)
    assert twice.excluded == {1}  # what is taken from an exclusion is wanted again


def test_the_outline_is_the_query():
    for query in (
        "(a[ti] OR b[ti]) AND c[ti] NOT (d[ti] OR e[ti])",
        "(a[ti] OR b[ti]) OR ((c[ti] OR d[ti]) AND e[ti])",
    ):
        tree = parse(query).tree
        assert show(outline(tree).node) == show(tree)
    assert (
        STRATEGY.without(1, 0)
        == parse(
            "(exercis*[tiab] OR training[tiab] OR running[tiab]) AND neurotroph*[tiab] "
            "NOT (rats[tiab] OR mice[tiab])"
        ).tree
    )
    one = outline(parse("a[ti] AND b[ti]").tree)
    assert one.without(0, 0) is None  # nothing is left that could be found
    assert outline(parse("a[ti] NOT b[ti]").tree).without(1, 0) == parse("a[ti]").tree


def test_a_line_can_be_told_by_its_terms():
    made = outline(parse("((a[ti] OR b[ti]) OR c[ti]) AND d[ti]").tree)
    assert [str(line) for line in made.by_term().concepts[0].lines] == ["a[ti]", "b[ti]", "c[ti]"]


# ---------------------------------------- numbers


def test_each_line_says_what_it_adds_and_what_its_removal_loses():
    found = gains(STRATEGY, hits)
    rows = [
        (
            str(STRATEGY.concepts[g.concept].lines[g.line]),
            *map(str, (g.found, g.added, g.alone, g.lost)),
        )
        for g in found.lines
    ]
    assert rows == [
        ("exercis*[tiab]", "3", "3", "2", "1"),  # 1 and 5 by it alone, 1 of them in the answer
        ("training[tiab]", "2", "1", "1", "1"),
        ("running[tiab]", "1", "1", "1", "0"),  # its record is taken away
        ("bdnf[tiab]", "3", "3", "2", "1"),
        ("neurotroph*[tiab]", "2", "1", "1", "1"),
        ("rats[tiab]", "1", "1", "1", "0"),
        ("mice[tiab]", "1", "1", "1", "1"),
    ]
    assert found.total == Tally.exactly(3)
    assert found.concepts == (Tally.exactly(5), Tally.exactly(4), Tally.exactly(2))


TERMS = st.sampled_from(["exercise[ti]", "training[ti]", "bdnf[ti]", "rats[ti]", "mice[ti]"])
LINES = st.lists(TERMS, min_size=1, max_size=3, unique=True).map(lambda t: f"({' OR '.join(t)})")
BOTH = st.tuples(LINES, LINES).map(lambda t: f"({t[0]} AND {t[1]})")
WANTED = st.one_of(LINES, st.tuples(LINES, BOTH).map(lambda t: f"({t[0]} OR {t[1]})"))
STRATEGIES = st.tuples(
    st.lists(WANTED, min_size=1, max_size=3), st.lists(st.one_of(LINES, BOTH), max_size=2)
).map(lambda t: " NOT ".join([" AND ".join(t[0]), *t[1]]))


@given(STRATEGIES)
def test_counts_alone_give_the_same_numbers_as_lists(query):
    made = outline(parse(query).tree)
    assert gains_by_count(made, lambda node: len(pmids(node))) == gains(made, hits)


@given(STRATEGIES)
def test_what_a_line_loses_is_what_the_strategy_without_it_does_not_find(query):
    made = outline(parse(query).tree)
    whole = pmids(made.node)
    for gain in gains(made, hits).lines:
        left = made.without(gain.concept, gain.line)
        rest = frozenset() if left is None else pmids(left)
        assert gain.lost == Tally.exactly(len(whole ^ rest))


@given(STRATEGIES)
def test_the_searches_are_known_before_they_are_sent(query):
    made = outline(parse(query).tree)
    sent = []
    gains_by_count(made, lambda node: sent.append(node) or len(pmids(node)))
    assert tuple(sent) == questions(made)
    assert len(set(sent)) == len(sent)


def test_a_range_says_what_the_records_leave_open():
    made = outline(parse("(a[ti] OR b[ti]) AND c[ti] NOT d[ti]").tree)
    yes, no = True, False

    def seen(node):
        sure = {"a[ti]": [yes, no, no, no], "c[ti]": [yes] * 4}.get(show(node), [no] * 4)
        more = {"b[ti]": [yes, yes, no, yes]}.get(show(node), sure)
        return Hits(np.array(sure), np.array(more))

    found = gains(made, seen)
    assert [str(g.found) for g in found.lines] == ["1", "0 to 3", "4", "0"]
    assert [str(g.lost) for g in found.lines] == ["0 to 1", "0 to 2", "1 to 3", "0"]
    # Known to be found: those with no other line for the concept have it by the line that may be.
    known = gains(made, seen, found=np.array([yes, yes, no, yes]))
    assert [str(g.found) for g in known.lines] == ["1", "2 to 3", "3", "0"]
    assert [str(g.lost) for g in known.lines] == ["0 to 1", "2", "3", "None"]
    assert known.total == Tally.exactly(3)


# ---------------------------------------- what the records decide


HEADED = [
    Seen(Paper("1", "Walking", headings=(MeshHeading("Walking"),))),
    Seen(Paper("2", "Exercise", headings=(MeshHeading("Exercise"),))),
    Seen(Paper("3", "Exercise")),
]


def told(query: str, **choices: object) -> list[str]:
    found = Decider(HEADED, **choices)(parse(query).tree)  # type: ignore[arg-type]
    return [
        "yes" if sure else "perhaps" if more else "no"
        for sure, more in zip(found.sure, found.possible, strict=True)
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("exercise[ti]", "no yes yes"),
        ("exercise[mh:noexp]", "no yes no"),
        ("exercise[mh]", "perhaps yes no"),  # walking may stand below it; without headings: no
        ("exercise[mh] OR walking[ti]", "yes yes no"),
        ("exercise[mh] AND walking[ti]", "perhaps no no"),
        ("walking[ti] NOT exercise[mh]", "perhaps no no"),
        ("exercise[ti] NOT exercise[mh]", "no no yes"),
        ("exercise", "perhaps yes yes"),
        ("systematic[sb]", "perhaps perhaps perhaps"),
    ],
)
def test_headings_with_narrower_ones_are_found_perhaps(query, expected):
    assert told(query) == expected.split()


def test_the_descriptor_file_settles_it():
    class Vocabulary:
        def headings(self, name):
            return frozenset(("Exercise", "Walking"))

    assert told("exercise[mh]", vocabulary=Vocabulary()) == ["yes", "yes", "no"]


def test_what_was_left_open_is_named_once():
    decide = Decider(HEADED)
    for _ in range(2):
        decide(parse("exercise[mh] OR walking[ti]").tree)
    assert [(r.code, r.term) for r in decide.reservations] == [("explosion", "exercise[mh]")]


@given(STRATEGIES)
def test_where_all_is_certain_the_decider_agrees_with_the_evaluator(query):
    tree = parse(query).tree
    found = Decider([Seen(record) for record in RECORDS])(tree)
    expected = [record.pmid in pmids(tree) for record in RECORDS]
    assert found.sure.tolist() == found.possible.tolist() == expected


# ---------------------------------------- which concept keeps a record out


def why(strategy, record):
    return missed(strategy, lambda node: matches(node, record))


def test_a_known_record_is_told_which_concept_keeps_it_out():
    assert why(STRATEGY, RECORDS[0]) == ()
    (no_bdnf,) = why(STRATEGY, RECORDS[4])
    assert no_bdnf.words(STRATEGY) == (
        "not found by concept 2 (bdnf[tiab] and 1 more): it has none of its lines"
    )
    (mice,) = why(STRATEGY, RECORDS[3])
    assert mice.words(STRATEGY) == (
        'taken away by concept 3 (rats[tiab] and 1 more): it has the word "mice" in title, '
        "abstract or author keywords"
    )
    assert [m.concept for m in why(STRATEGY, RECORDS[5])] == [0, 1, 2]


def test_of_alternatives_one_would_do():
    made = outline(parse("(a[ti] OR b[ti]) OR ((c[ti] OR d[ti]) AND e[ti])").tree)
    found = why(made, Paper("1", "c and nothing else"))
    assert [(m.concept, m.is_alternative) for m in found] == [(0, True), (2, True)]
    assert isinstance(made.shape, Group)


@given(STRATEGIES, st.sampled_from(RECORDS))
def test_a_record_is_kept_out_by_something_exactly_if_it_is_not_found(query, record):
    made = outline(parse(query).tree)
    assert bool(why(made, record)) == (not matches(made.node, record))


def test_headings_alone_do_not_find_a_record_before_it_is_indexed():
    made = outline(parse("Exercise[mh:noexp] AND bdnf[ti]").tree)
    assert why(made, Paper("7", "BDNF", headings=(MeshHeading("Exercise"),))) == ()
    assert [m.concept for m in why(made, Paper("8", "BDNF after exercise"))] == [0]
    assert is_controlled_only(made.concepts[0].node)
    assert not is_controlled_only(made.concepts[1].node)
    assert not is_controlled_only(parse("review[pt]").tree)
    assert not is_controlled_only(parse("exercise[mh] OR exercise[tiab]").tree)


# ---------------------------------------- what comes near


CYCLISTS = Paper(
    "9",
    "Effects of high-intensity aerobic interval based training on cyclists",
    abstract="Riders exercised twice a week. Neurotrophine was measured.",
    keywords=("sprints",),
    headings=(
        MeshHeading("Exercise Therapy", False, (("methods", False),)),
        MeshHeading("Bicycling"),
    ),
    dates={"publication": (dt.date(2019, 5, 1),), "electronic": ()},
    languages=("ger",),
    kinds=("Letter",),
)


@pytest.mark.parametrize(
    ("concept", "found", "where", "would"),
    [
        # Proximity: the same words, one more between them.
        ('"interval training"[tiab:~0]', "interval based training", "title",
         '"interval training"[tiab:~1]'),
        ('"training interval"[ti]', "interval based training", "title",
         '"training interval"[ti:~1]'),
        # Another form of a word, a slip of the pen, an ending that a truncation would take.
        ("exercise[tiab]", "riders exercised twice a week", "abstract", "exercise*[tiab]"),
        ("neurotrophin[tiab]", "twice a week neurotrophine was measured", "abstract",
         "neurotrophin*[tiab]"),
        ("cyclist[ti]", "based training on cyclists", "title", "cyclist*[ti]"),
        ('"interval trained"[tiab:~2]', "interval based training", "title",
         '"interval training"[tiab:~2]'),
        # A field that reads less.
        ("sprints[ti]", "sprints", "author keywords", "sprints[tiab]"),
        ("bicycling[tiab]", "bicycling", "MeSH headings", "bicycling[tw]"),
        # Headings.
        ("Exercise[mh:noexp]", "Exercise Therapy", "MeSH headings", '"Exercise Therapy"[mh]'),
        ("Bicycling[majr:noexp]", "Bicycling", "MeSH headings", "Bicycling[mh:noexp]"),
        ("Exercise Therapy/economics[mh:noexp]", "Exercise Therapy", "MeSH headings",
         "Exercise Therapy[mh:noexp]"),
        ("Neurotrophine[mh:noexp]", "twice a week neurotrophine was measured", "abstract",
         "neurotrophine[tiab]"),
        # Values: what the record has in place of them.
        ("2020:2021[dp]", "2019/05/01", "the day of publication, in print or electronic", ""),
        ("english[la]", "ger", "the language", ""),
        ("review[pt:noexp]", "Letter", "the publication types", ""),
    ],
)  # fmt: skip
def test_the_records_own_words_come_nearest(concept, found, where, would):
    tree = parse(concept).tree
    assert not matches(tree, CYCLISTS)
    near = nearly(tree, Seen(CYCLISTS))[0]
    assert (near.found, near.where, near.try_) == (found, where, would)


@pytest.mark.parametrize(
    "concept",
    [
        '"interval training"[tiab:~0]', "exercise[tiab]", "cyclist[ti]", "sprints[ti]",
        "bicycling[tiab]", "Exercise[mh:noexp]", "Bicycling[majr:noexp]",
        '"interval trained"[tiab:~2]', "Neurotrophine[mh:noexp]",
    ],
)  # fmt: skip
def test_what_is_proposed_finds_the_record(concept):
    for near in nearly(parse(concept).tree, Seen(CYCLISTS)):
        if near.try_:
            assert matches(near.try_, CYCLISTS, strict=False), near


def test_nothing_is_proposed_where_nothing_is_near():
    assert nearly(parse("zebrafish[tiab] OR larva*[tiab]").tree, Seen(CYCLISTS)) == ()


def test_a_few_are_enough_and_the_nearest_come_first():
    many = parse("exercise[tiab] OR cyclist[ti] OR sprints[ti] OR bicycling[tiab]").tree
    found = nearly(many, Seen(CYCLISTS))
    assert len(found) == 3
    assert [n.score for n in found] == sorted((n.score for n in found), reverse=True)
