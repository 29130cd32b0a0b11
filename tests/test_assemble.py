"""What the store knows is counted and shown beside what people decided."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from evidence.assemble import assemble, decided, with_recall
from evidence.claims import ScreeningPlan
from evidence.model import Place, Screening, SearchRun
from evidence.pubmed import parse_articles
from tests.eutils_records import invent
from tests.rows import an_extraction
from tests.test_synthesis import trial, walks

DAY = dt.date(2026, 3, 1)


def searched(*, complete: bool = True, kind: str = "full") -> SearchRun:
    return SearchRun("a-claim", "pubmed", DAY, "walk*[tiab]", "", 3, (), complete, kind)


def decision(record: str, verdict: str, stage: str = "title-abstract") -> Screening:
    return Screening(record, stage, "N. N.", verdict, "", DAY, Place("s.csv", 2))  # type: ignore[arg-type]


def test_recall_is_claimed_only_after_a_complete_search() -> None:
    claim = walks()
    known = [k.pmid for k in claim.search.known]
    before = [k.status for k in claim.search.known]
    for runs in ((), (searched(complete=False),), (searched(kind="export"),)):
        assert [k.status for k in with_recall(claim, known, runs).search.known] == before
    marked = with_recall(claim, known[:1], (searched(),)).search.known
    assert [(k.status, k.checked) for k in marked] == [("found", DAY), ("missed", DAY)]


def test_the_latest_decision_counts_and_full_text_goes_before_the_abstract() -> None:
    rows = [
        decision("1", "include"),
        decision("1", "exclude"),
        decision("2", "include", "full-text"),
        decision("2", "exclude"),
        decision("3", "unsure"),
    ]
    assert decided(rows) == {"1": False, "2": True}


def test_conflicts_and_what_was_withdrawn_are_no_decisions_and_count_nowhere() -> None:
    rows = [
        decision("1", "include"),
        replace(decision("1", "exclude"), reviewer="M. M."),
        decision("2", "include"),
        decision("2", "withdrawn"),
        decision("3", "include"),
        decision("3", "not-retrieved", "full-text"),
    ]
    assert decided(rows) == {"3": True}
    extraction = replace(an_extraction([trial(n) for n in range(3)]), screening=tuple(rows))
    found = assemble(walks(), extraction)
    assert (found.counts.screened, found.counts.included) == (2, 0)
    assert found.screening_flow is not None
    assert (found.screening_flow.screened, found.screening_flow.not_retrieved) == (1, 1)


def test_two_required_reviewers_are_waited_for() -> None:
    two = ScreeningPlan(reviewers=2)
    assert decided([decision("1", "include")], two) == {}
    both = [decision("1", "include"), replace(decision("1", "include"), reviewer="M. M.")]
    assert decided(both, two) == {"1": True}


def test_never_searched_is_none_and_searched_is_a_number() -> None:
    extraction = an_extraction([trial(n) for n in range(3)])
    never = assemble(walks(), extraction)
    assert (never.counts.found, never.counts.to_screen) == (None, None)
    body = "".join(a.xml() for a in invent(3, seed=1))
    records, _ = parse_articles(f"<PubmedArticleSet>{body}</PubmedArticleSet>".encode())
    row = assemble(walks(), extraction, records=records, runs=(searched(),))
    assert (row.counts.found, row.counts.to_screen, row.counts.people) == (3, 3, 120)
