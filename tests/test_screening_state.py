"""What decisions amount to: one or two reviewers, conflicts, undo, two stages, the flow."""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
from pathlib import Path

import lxml.html
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.assemble import decided
from evidence.claims import ScreeningPlan
from evidence.errors import InputError
from evidence.model import Place, Screening
from evidence.screening import FOUNDING, FULL, TITLE, Desk, ScreeningLog, ScreeningState
from evidence.site import render
from tests import site_rows

DAY = dt.date(2026, 3, 1)
START = dt.datetime(2026, 3, 1, 9, tzinfo=dt.UTC)
TWO = ScreeningPlan(reviewers=2)


def row(
    record: str,
    decision: str,
    reviewer: str = "A",
    stage: str = TITLE,
    at: int | None = None,
    day: dt.date = DAY,
    **more: str,
) -> Screening:
    time = None if at is None else START + dt.timedelta(seconds=at)
    fields = {"reason": "", **more}
    return Screening(
        record=record,
        stage=stage,  # type: ignore[arg-type]
        reviewer=reviewer,
        decision=decision,  # type: ignore[arg-type]
        date=day,
        at=Place("s.csv", 2),
        time=time,
        **fields,  # type: ignore[arg-type]
    )


def a_desk(folder: Path, plan: ScreeningPlan | None = None, **more: object) -> Desk:
    ticks = iter(range(1_000_000))
    log = ScreeningLog(
        folder / "screening.csv", clock=lambda: START + dt.timedelta(seconds=next(ticks))
    )
    return Desk(log, plan=plan, **more)  # type: ignore[arg-type]


def status(state: ScreeningState, record: str = "1", stage: str = TITLE) -> tuple[str, str | None]:
    standing = state.standing(record, stage)  # type: ignore[arg-type]
    return standing.status, standing.final


@pytest.mark.parametrize(
    ("plan", "stage", "said", "expected"),
    [
        (None, TITLE, "", ("open", None)),
        (None, TITLE, "i", ("decided", "include")),
        (None, TITLE, "u", ("decided", "unsure")),  # the record goes on to the full text
        (None, TITLE, "ie", ("conflict", None)),
        (TWO, TITLE, "i", ("waiting", None)),
        (TWO, TITLE, "ii", ("decided", "include")),
        (TWO, TITLE, "ee", ("decided", "exclude")),
        (TWO, TITLE, "ie", ("conflict", None)),
        (TWO, TITLE, "ue", ("conflict", None)),
        (TWO, TITLE, "ui", ("decided", "include")),
        (TWO, TITLE, "uu", ("decided", "unsure")),
        (TWO, TITLE, "iie", ("conflict", None)),
        (None, FULL, "u", ("unsure", None)),
        (None, FULL, "n", ("decided", "not-retrieved")),
        (TWO, FULL, "n", ("decided", "not-retrieved")),  # a fact, no opinion: one is enough
        (TWO, FULL, "ni", ("waiting", None)),  # somebody has it after all
        (TWO, FULL, "ui", ("conflict", None)),
        (TWO, FULL, "uu", ("unsure", None)),
        (ScreeningPlan(reviewers=1, full_text_reviewers=2), FULL, "i", ("waiting", None)),
        (ScreeningPlan(reviewers=2, full_text_reviewers=1), FULL, "i", ("decided", "include")),
    ],
)
def test_what_the_decisions_of_several_reviewers_come_to(
    plan: ScreeningPlan | None, stage: str, said: str, expected: tuple[str, str | None]
) -> None:
    words = {"i": "include", "e": "exclude", "u": "unsure", "n": "not-retrieved"}
    rows = [row("1", words[c], "ABC"[n], stage, n) for n, c in enumerate(said)]
    assert status(ScreeningState(rows, plan=plan), stage=stage) == expected


def test_what_is_withdrawn_is_gone_and_what_stood_before_stands_again() -> None:
    rows = [row("1", "exclude", at=1), row("1", "include", at=2)]
    assert status(ScreeningState(rows)) == ("decided", "include")
    rows.append(row("1", "withdrawn", at=3))
    assert status(ScreeningState(rows)) == ("decided", "exclude")
    rows.append(row("1", "withdrawn", at=4))
    assert status(ScreeningState(rows)) == ("open", None)
    assert decided(rows) == {}
    rows += [row("1", "withdrawn", at=5), row("1", "include", at=6)]
    assert status(ScreeningState(rows)) == ("decided", "include")


def test_undo_goes_back_step_by_step_through_a_reviewer_s_own_decisions(tmp_path: Path) -> None:
    desk = a_desk(tmp_path)
    desk.decide("1", TITLE, "A", "exclude")
    desk.decide("2", TITLE, "A", "include")
    desk.decide("3", TITLE, "B", "include")
    desk.decide("1", TITLE, "A", "include")
    steps = [desk.undo("A") for _ in range(3)]
    assert [(s.record, s.final) for s in steps if s] == [
        ("1", "exclude"),
        ("2", None),
        ("1", None),
    ]
    assert desk.undo("A") is None
    assert status(desk.state, "3") == ("decided", "include")
    assert len(desk.log.rows) == 7


def test_a_decision_sent_twice_is_written_once_and_one_undo_takes_it_back(tmp_path: Path) -> None:
    desk = a_desk(tmp_path)
    for _ in range(2):
        desk.decide("1", TITLE, "A", "exclude", reason=" not\nthis ")
    assert len(desk.log.rows) == 1
    desk.decide("1", TITLE, "A", "exclude", reason="other")
    again = desk.undo("A", "1")
    assert again is not None
    assert (again.final, again.reason) == ("exclude", "not this")


def test_the_time_decides_and_not_the_place_in_the_file() -> None:
    rows = [row("1", "include", at=2), row("1", "exclude", at=1)]
    assert decided(rows) == decided(rows[::-1]) == {"1": True}
    same = [row("1", "include", at=1), row("1", "exclude", at=1)]
    assert decided(same) == decided(same[::-1])
    later = [row("1", "include", day=dt.date(2026, 3, 2)), row("1", "exclude")]
    assert decided(later) == {"1": True}


def test_a_row_without_a_time_follows_the_row_above_it_of_its_day() -> None:
    page, hand = row("1", "include", at=5), row("1", "exclude")
    assert decided([page, hand]) == {"1": False}
    assert decided([hand, page]) == {"1": True}
    assert decided([row("1", "include"), row("1", "exclude")]) == {"1": False}


@given(st.lists(st.sampled_from("ieuwn"), max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_timed_rows_in_the_file_changes_nothing(
    said: list[str], chance: random.Random
) -> None:
    words = {"i": "include", "e": "exclude", "u": "unsure", "w": "withdrawn", "n": "note"}
    rows = [
        row(
            "12"[n % 3 == 0],
            words[c],
            "AB"[n % 2],
            at=n // 2,
            note=str(n),
            kind="resolution" if n % 5 == 4 else "",
        )
        for n, c in enumerate(said)
    ]
    mixed = rows.copy()
    chance.shuffle(mixed)
    one, two = ScreeningState(rows, plan=TWO), ScreeningState(mixed, plan=TWO)
    bit_by_bit = ScreeningState(plan=TWO)
    for each in mixed:
        bit_by_bit.add([each])
        bit_by_bit.standing(each.record, TITLE)
    for record in "12":
        assert one.standing(record, TITLE) == two.standing(record, TITLE)
        assert one.standing(record, TITLE) == bit_by_bit.standing(record, TITLE)
        assert one.history(record) == two.history(record)
    assert one.labels() == two.labels()


def test_a_resolution_stands_above_the_reviewers_until_it_is_withdrawn(tmp_path: Path) -> None:
    desk = a_desk(tmp_path, TWO)
    desk.decide("1", FULL, "A", "include")
    desk.decide("1", FULL, "B", "exclude", reason="no control")
    assert [s.record for s in desk.conflicts(FULL)] == ["1"]
    settled = desk.resolve("1", FULL, "C", "exclude", reason="no control")
    assert (settled.status, settled.final, settled.reason) == ("decided", "exclude", "no control")
    assert settled.resolution is not None
    assert settled.resolution.reviewer == "C"
    assert desk.conflicts() == ()
    assert not settled.stale
    assert desk.decide("1", FULL, "B", "include").stale
    assert status(desk.state, stage=FULL) == ("decided", "exclude")
    desk.undo("C")
    assert status(desk.state, stage=FULL) == ("decided", "include")
    assert desk.state.reviewers() == ("A", "B", "C")


def test_doubt_that_a_resolution_leaves_at_full_text_is_still_open_work() -> None:
    rows = [
        row("1", "unsure", stage=FULL, at=1),
        row("1", "unsure", "C", FULL, 2, kind="resolution"),
    ]
    assert status(ScreeningState(rows), stage=FULL) == ("unsure", None)


def test_agreement_looks_at_what_was_decided_before_the_resolution() -> None:
    rows = [
        row("1", "include", "A", at=1),
        row("1", "exclude", "B", at=2),
        row("1", "include", "C", at=3, kind="resolution"),
        row("1", "include", "B", at=4),
        row("2", "include", "A", at=5),
        row("2", "include", FOUNDING, at=6),
        row("3", "include", "A", at=7),
        row("3", "withdrawn", "A", at=8),
    ]
    found = ScreeningState(rows, plan=TWO).independent(TITLE)
    assert {r: {who: d.decision for who, d in own.items()} for r, own in found.items()} == {
        "1": {"A": "include", "B": "exclude"},
        "2": {"A": "include"},
    }


def test_the_founding_collection_counts_until_a_person_decides() -> None:
    rows = [row("1", "include", FOUNDING, FULL)]
    assert status(ScreeningState(rows, plan=TWO), stage=FULL) == ("decided", "include")
    rows.append(row("1", "exclude", "A", FULL))
    assert status(ScreeningState(rows), stage=FULL) == ("decided", "exclude")
    assert status(ScreeningState(rows, plan=TWO), stage=FULL) == ("waiting", None)


def test_each_reviewer_is_given_what_waits_for_them(tmp_path: Path) -> None:
    desk = a_desk(tmp_path, TWO)
    order = ["1", "2", "3", "4", "new"]
    desk.decide("1", TITLE, "A", "include")
    desk.decide("2", TITLE, "A", "exclude")
    desk.decide("2", TITLE, "B", "include")  # a conflict waits for a resolution, for nobody else
    desk.decide("3", TITLE, "C", "unsure")
    desk.decide("3", TITLE, "B", "unsure")
    assert desk.to_decide(order, TITLE, "A") == ["4", "new"]
    assert desk.to_decide(order, TITLE, "B") == ["1", "4", "new"]
    assert desk.to_decide(order, TITLE, "C") == ["1", "4", "new"]
    assert desk.to_decide(order, FULL, "A") == ["3"]
    desk.decide("3", FULL, "A", "include")
    desk.decide("4", FULL, "A", "include")  # found otherwise: no title and abstract needed
    assert desk.to_decide(order, FULL, "A") == []
    assert desk.to_decide(order, FULL, "B") == ["3", "4"]
    assert desk.to_decide(order, TITLE, "B") == ["1", "new"]


def test_one_reviewer_s_order_learns_nothing_from_what_another_decided_alone() -> None:
    rows = [
        row("1", "include", "A", at=1),
        row("2", "exclude", "B", at=2),
        row("3", "include", "A", at=3),
        row("3", "include", "B", at=4),
    ]
    state = ScreeningState(rows, plan=TWO)
    assert state.labels() == {"3": True}
    assert state.training("A") == {"1": True, "3": True}
    assert state.training("B") == {"2": False, "3": True}


def test_a_study_id_and_its_pmid_are_one_record_and_names_may_be_learnt_later(
    tmp_path: Path,
) -> None:
    desk = a_desk(tmp_path, names={"Novak2019": "77"})
    desk.decide("Novak2019", FULL, "A", "include")
    assert status(desk.state, "77", FULL) == ("decided", "include")
    desk.decide("doi:10.1/x", TITLE, "A", "exclude")
    desk.rename({"doi:10.1/x": "88"})
    assert status(desk.state, "88") == ("decided", "exclude")
    assert desk.state.labels() == {"77": True, "88": False}


def test_notes_decide_nothing_and_are_all_kept(tmp_path: Path) -> None:
    desk = a_desk(tmp_path)
    desk.note("1", TITLE, "A", "ask the authors")
    assert status(desk.state) == ("open", None)
    desk.decide("1", TITLE, "A", "unsure", note="asked")
    assert [(n.reviewer, n.text) for n in desk.state.notes("1")] == [
        ("A", "ask the authors"),
        ("A", "asked"),
    ]


def test_nobody_can_decide_as_the_founding_collection_or_without_a_name(tmp_path: Path) -> None:
    desk = a_desk(tmp_path)
    for name in (FOUNDING, "  "):
        with pytest.raises(InputError):
            desk.decide("1", TITLE, name, "include")
    with pytest.raises(InputError, match="only at full text"):
        desk.decide("1", TITLE, "A", "not-retrieved")


# PRISMA 2020: Page et al. (2021), BMJ 372:n71, figure 1; the numbers are invented.
def test_the_flow_counts_each_record_once_at_the_stage_it_reached() -> None:
    rows = [
        *(row(str(n), "exclude", at=n) for n in range(5)),
        *(row(str(n), "include", at=n) for n in range(5, 9)),
        row("9", "unsure", at=9),
        row("10", "include", "A", at=10),
        row("10", "exclude", "B", at=11),
        row("5", "include", stage=FULL, at=20),
        row("6", "exclude", stage=FULL, at=21, reason="no control group; old"),
        row("7", "exclude", stage=FULL, at=22, reason="no control group"),
        row("8", "not-retrieved", stage=FULL, at=23),
        row("hand", "exclude", stage=FULL, at=24, reason="animals"),
        row("11", "include", stage=TITLE, at=25),
        row("11", "withdrawn", stage=TITLE, at=26),
    ]
    flow = ScreeningState(rows).flow([str(n) for n in range(14)])
    assert (flow.records, flow.screened, flow.excluded, flow.pending) == (14, 11, 5, 1)
    assert (flow.sought, flow.not_retrieved, flow.awaiting, flow.assessed) == (6, 1, 1, 4)
    assert flow.reasons == (("no control group", 2), ("animals", 1))
    assert (flow.excluded_at_full_text, flow.included, flow.entered) == (3, 1, 1)


def test_the_page_of_a_claim_shows_the_flow_with_its_reasons_and_only_what_stands() -> None:
    rows = (
        row("90000002", "include", FOUNDING, FULL, at=0),
        row("1", "exclude", "A", at=1),
        row("2", "include", "A", at=2),
        row("2", "exclude", "A", FULL, 3, reason="no control group"),
        row("3", "include", "A", at=4),
        row("3", "withdrawn", "A", at=5),
    )
    before = site_rows.walking()
    shown = dataclasses.replace(
        before,
        extraction=dataclasses.replace(before.extraction, screening=rows),
        screening_flow=ScreeningState(rows).flow(),
    )
    page = render([shown], {}, on=site_rows.DAY, version="1")
    tree = lxml.html.document_fromstring(page[f"claims/{shown.claim.id}.html"])
    cells = [
        " ".join(r.text_content().split())
        for r in tree.xpath("//table[contains(@class, 'flow')]//tr")
    ]
    assert cells == [
        "StepRecords",
        "Screened by title and abstract 1 report entered at full text without it3",
        "Excluded by title and abstract1",
        "Reports sought2",
        "Reports not retrieved0",
        "Reports assessed2",
        "Reports excluded no control group: 11",
        "Reports included1",
    ]
    stand = tree.xpath("//caption[.='Decisions that stand']/..//tbody/tr")
    assert len(stand) == 4


@given(
    st.lists(
        st.tuples(
            st.sampled_from("12345"),
            st.sampled_from(["include", "exclude", "unsure", "withdrawn", "not-retrieved"]),
            st.sampled_from("AB"),
            st.sampled_from([TITLE, FULL]),
            st.booleans(),
        ),
        max_size=30,
    ),
    st.sampled_from([1, 2]),
)
def test_the_flow_always_adds_up(
    said: list[tuple[str, str, str, str, bool]], required: int
) -> None:
    rows = [
        row(record, what, who, stage, n, kind="resolution" if settles else "")
        for n, (record, what, who, stage, settles) in enumerate(said)
    ]
    state = ScreeningState(rows, plan=ScreeningPlan.model_validate({"reviewers": required}))
    flow = state.flow()
    assert flow.screened == flow.excluded + flow.sought
    assert flow.sought == flow.not_retrieved + flow.awaiting + flow.assessed
    assert flow.assessed == flow.excluded_at_full_text + flow.included
    assert flow.pending + flow.screened <= state.screened() <= 5
    for standing in (*state.standings(TITLE), *state.standings(FULL)):
        assert (standing.final is not None) == (standing.status == "decided")
        for who in "AB":
            if state.needs(standing.record, standing.stage, who):
                assert who not in standing.decisions
    assert set(state.labels()) <= set("12345")
