"""Finished screenings played again: figures, priors, rules, files; records are invented."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import math
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from evidence.cli import main
from evidence.errors import InputError, SchemaError, UnknownName
from evidence.triage import Run, rank, simulate
from evidence.triage import model as weights
from evidence.triage.curves import calibration, recall_curves
from evidence.triage.engine import Engine
from evidence.triage.figures import figures
from evidence.triage.kept import play
from evidence.triage.labelled import Labelled, read_labelled
from evidence.triage.reports import simulation_lines
from evidence.triage.simulation import MODELS, RULES, draw_priors, models_named
from evidence.triage.stopping import expected
from tests.triage_rows import PROTOCOL, a_library, a_record, first

approx = pytest.approx


@pytest.fixture(scope="module")
def library():
    return a_library()


# --- figures -------------------------------------------------------------------------------------


def test_figures_of_a_short_order_by_hand():
    # Relevant at places 1, 3 and 10 of 20. n95 = 10; first tenth = 2 records.
    found = np.zeros(20, dtype=bool)
    found[[0, 2, 9]] = True
    wss95, recall10, loss, ndcg = figures(found)
    assert wss95 == approx(1 - 10 / 20 - 0.05)
    assert recall10 == approx(1 / 3)
    assert loss == approx((0 + 1 + 7) / (3 * 17))  # pairs of which the other came first
    dcg = 1 + 1 / math.log2(4) + 1 / math.log2(11)
    assert ndcg == approx(dcg / (1 + 1 / math.log2(3) + 1 / math.log2(4)))


# asreview.metrics of ASReview 3.0.8 (loss, ndcg), run on this order.
def test_loss_and_ndcg_are_those_that_asreview_gives():
    found = np.array([one == "+" for one in "+-++----+---------+-"])
    assert figures(found)[2:] == approx((0.28, 0.8353803351471486), abs=1e-15)


@given(st.integers(1, 30), st.integers(1, 60))
def test_loss_is_0_for_the_best_order_and_1_for_the_worst(relevant, others):
    best = np.array([True] * relevant + [False] * others)
    assert figures(best)[2:] == approx((0, 1), abs=1e-9)
    assert figures(best[::-1])[2] == approx(1)


@given(st.text("+-", min_size=2, max_size=50).filter(lambda t: 0 < t.count("+") < len(t)))
def test_loss_is_one_minus_the_share_of_pairs_in_the_right_order(text):
    found = np.array([one == "+" for one in text])
    right = sum(
        1 for i, j in itertools.combinations(range(len(text)), 2) if found[i] and not found[j]
    )
    pairs = int(found.sum() * (~found).sum())
    assert figures(found)[2] == approx(1 - right / pairs)


def test_recall_is_that_of_a_tenth_rounded_up():
    found = np.zeros(11, dtype=bool)
    found[1] = True
    assert figures(found)[1] == 1


def test_loss_is_undefined_where_every_order_is_the_same():
    assert math.isnan(figures(np.ones(4, dtype=bool))[2])


# --- simulation ----------------------------------------------------------------------------------


def follow(records, labels, known: dict[str, bool]) -> list[str]:
    """A reader who asks `rank` again after each decision, until all that is relevant is found."""
    truth = dict(zip((r.pmid for r in records), labels, strict=True))
    decisions, order = dict(known), []
    while sum(decisions.values()) < sum(labels):
        chosen = rank(records, decisions, PROTOCOL).pmids[0]
        decisions[chosen] = truth[chosen]
        order.append(chosen)
    return order


# (2, 0) passes from similarity to the machine; (0, 0) through all three stages.
@pytest.mark.parametrize("priors", [(1, 1), (2, 0), (0, 0), (0, 2)])
@pytest.mark.parametrize("pairs_up_to", [0, 1000])
def test_a_simulation_reads_in_the_order_that_rank_gives(priors, pairs_up_to, monkeypatch):
    monkeypatch.setattr("evidence.triage.simulation.PAIRS_UP_TO", pairs_up_to)
    records, labels = a_library(40, 5, overlap=4)
    for r in (0, 1):  # harder: two relevant records that read like the others
        labels[r] = True
    (run,) = simulate(records, labels, PROTOCOL, seeds=(0,), priors=priors).runs
    truth = dict(zip((r.pmid for r in records), labels, strict=True))
    order = follow(records, labels, {pmid: truth[pmid] for pmid in run.priors})
    assert len(order) > 7
    assert list(run.order[: run.steps]) == order


def test_classes_weigh_as_stated_and_the_mean_weight_is_one():
    included, excluded, protocol = weights.sample_weights(4, 40)
    assert 4 * included + 40 * excluded + protocol == approx(44.3)
    assert (4 * included + protocol) / (40 * excluded) == approx(9.8)
    assert protocol == approx(0.3 * included)


def test_priors_are_in_no_figure_and_every_other_record_is_read_once(library):
    records, labels = library
    result = simulate(records, labels, PROTOCOL, seeds=(1, 2), priors=(2, 3), rules=list(RULES))
    truth = dict(zip((r.pmid for r in records), labels, strict=True))
    for run in result.runs:
        assert sorted(run.order + run.priors) == sorted(truth)
        assert [truth[pmid] for pmid in run.priors] == [True] * 2 + [False] * 3
        assert truth[run.order[run.steps - 1]]
        found = np.array([truth[pmid] for pmid in run.order])
        assert (run.wss95, run.recall10, run.loss, run.ndcg) == figures(found)
    assert result.mean("wss95") == approx(np.mean([run.wss95 for run in result.runs]))
    assert result.summary().endswith("(mean of 2 runs)")
    assert [row["seed"] for row in result.rows()] == [1, 2]


def test_the_same_seed_gives_the_same_run(library):
    one, two = (simulate(*library, PROTOCOL, seeds=(7,)).runs[0] for _ in range(2))
    assert (one.order, one.priors) == (two.order, two.priors)


def test_asking_the_rules_changes_no_figure(library):
    one = simulate(*library, PROTOCOL, seeds=(7,)).runs[0]
    two = simulate(*library, PROTOCOL, seeds=(7,), rules=list(RULES)).runs[0]
    assert one.order[: one.steps] == two.order[: two.steps]
    assert (one.wss95, one.loss, one.steps) == (two.wss95, two.loss, two.steps)


def test_drawn_priors_have_the_wanted_kinds():
    labels = np.array([True] * 5 + [False] * 5)
    drawn = draw_priors(labels, (2, 3), 11)
    assert labels[drawn].tolist() == [True, True, False, False, False]
    assert len(set(drawn.tolist())) == 5


def test_priors_do_not_depend_on_the_engines_own_sequence_of_records():
    records, labels = a_library(30, 6)
    (run,) = simulate(records, labels, PROTOCOL, seeds=(4,)).runs
    drawn = draw_priors(np.array(labels), (1, 1), 4)
    assert run.priors == tuple(records[i].pmid for i in drawn)


@pytest.mark.parametrize(
    ("labels", "priors", "says"),
    [
        ([True], (1, 1), "2 records and 1 labels"),
        ([True, False], (1, 1), "1 relevant records of which 1 are known: nothing is left"),
        ([False, False], (0, 0), "none of 2 records is relevant"),
        ([True, True], (1, 1), "1 known exclusions of 0"),
    ],
)
def test_a_simulation_that_cannot_be_played_is_a_fault(labels, priors, says):
    with pytest.raises(InputError, match=says):
        simulate([a_record("1", "One"), a_record("2", "Two")], labels, PROTOCOL, priors=priors)


def test_a_simulation_of_records_without_words_reads_by_lot():
    records = [a_record(str(i), "") for i in range(1, 8)]
    (run,) = simulate(records, [True] * 2 + [False] * 5, "", seeds=(1,), rules=list(RULES)).runs
    assert len(run.order) == 5


def test_models_are_named_and_an_order_by_lot_is_one(library):
    names = list(MODELS)
    runs = simulate(*library, PROTOCOL, seeds=(1,), models=models_named(names)).runs
    assert [run.model for run in runs] == names
    lot = runs[-1]
    assert lot.wss95 < runs[0].wss95
    assert sorted(lot.order) == sorted(set(runs[0].order + runs[0].priors) - set(lot.priors))
    with pytest.raises(UnknownName, match="there is no model 'best'"):
        models_named(["best"])
    more, lot = models_named(["no question", "by lot"], views=["MeSH"])
    assert (more.name, lot.name) == ("no question + MeSH", "by lot")
    assert [view.name for view in more.views] == ["title and abstract", "title", "MeSH"]
    with pytest.raises(UnknownName, match="there is no stopping rule 'never'"):
        simulate(*library, PROTOCOL, seeds=(1,), rules=["never"])


# --- stopping rules along a run ------------------------------------------------------------------


@pytest.mark.parametrize("every", [1, 10])
def test_the_default_rule_stops_a_run_where_an_engine_would_say_so(every):
    """The shortcut past early looks against asking the rule at every look."""
    records, labels = a_library(160, 30, overlap=3)
    (run,) = simulate(
        records, labels, PROTOCOL, seeds=(0,), rules=["expected"], check_every=every
    ).runs
    truth = dict(zip((r.pmid for r in records), labels, strict=True))
    engine = Engine(records, PROTOCOL, {pmid: truth[pmid] for pmid in run.priors})
    for place, pmid in enumerate(run.order, start=len(run.priors)):
        if place >= 20 and place % every == 0 and expected(engine.state()).stop:
            break
        engine.decide(pmid, truth[pmid])
    stop = run.stopping["expected"]
    assert stop.at == len(engine.decisions)
    assert stop.at < 160
    assert stop.recall == sum(engine.decisions.values()) / sum(labels)
    assert stop.saved == approx(1 - stop.at / 160)


def test_every_rule_reports_what_it_read(library):
    (run,) = simulate(*library, PROTOCOL, seeds=(1,), rules=list(RULES)).runs
    assert list(run.stopping) == list(RULES)
    for stop in run.stopping.values():
        assert 0 <= stop.recall <= 1
        assert stop.saved == approx(1 - stop.at / 60)
    assert run.stopping["80 % read"].at == 48
    assert run.stopping["certified"].at >= run.stopping["expected"].at


# --- files ---------------------------------------------------------------------------------------


def table(rows, heads=("record_id", "title", "abstract", "label")) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([heads, *rows])
    return text.getvalue()


def test_a_labelled_csv_is_read_whole_packed_or_not(tmp_path: Path):
    rows = [("a7", "One, two", "Line\nline", 1), ("b", "", "Untitled", 0), ("c", "Three", "", 0)]
    plain, packed = tmp_path / "x.csv", tmp_path / "x.csv.gz"
    plain.write_text(table(rows), encoding="utf-8")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for path in (plain, packed):
        found = read_labelled(path)
        assert [r.pmid for r in found.records] == ["a7", "b", "c"]
        assert [r.title for r in found.records] == ["One, two", "", "Three"]
        assert [r.abstract for r in found.records] == ["Line\nline", "Untitled", ""]
        assert found.labels == (True, False, False)
        assert found.summary() == f"{path.name}: 3 records, 1 relevant"


@pytest.mark.parametrize("head", ["label_included", "included", "ASReview label", "Included"])
def test_labels_as_asreview_writes_them_are_known(tmp_path: Path, head: str):
    path = tmp_path / "x.csv"
    path.write_text(table([(1, "A", "x", 1), (2, "B", "y", 0)], ("id", "Title", "Abstract", head)))
    assert read_labelled(path).labels == (True, False)


def test_a_long_abstract_is_read_and_other_readers_keep_their_limit(tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_text(table([(1, "A", "word " * 40_000, 1), (2, "B", "y", 0)]))
    before = csv.field_size_limit()
    assert len(read_labelled(path).records[0].abstract) == 199_999
    assert csv.field_size_limit() == before


def test_records_without_a_label_are_counted_and_left_out(tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_text(table([(1, "A", "x", 1), (2, "B", "y", ""), (3, "C", "z", -1)]))
    found = read_labelled(path)
    assert (len(found.records), found.unlabelled) == (1, 2)
    assert found.summary().endswith("2 without a label left out")


def test_ris_notes_of_asreview_are_labels(tmp_path: Path):
    path = tmp_path / "x.ris"
    path.write_text(
        "".join(
            f"TY  - JOUR\nTI  - {title}\nAB  - Some words.\nN1  - ASReview_{said}\nER  - \n\n"
            for title, said in (("One", "relevant"), ("Two", "irrelevant"), ("Three", "not_seen"))
        )
    )
    found = read_labelled(path)
    assert [r.title for r in found.records] == ["One", "Two"]
    assert found.labels == (True, False)
    assert found.unlabelled == 1


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([(1, "A", "x", "")], "no record of x.csv has a label"),
        ([(1, "A", "x", 1), (1, "B", "y", 0)], "several records of x.csv share an id"),
        ([(1, "A", "x", 1), (2, "B", "y", "perhaps")], "record 2: 'perhaps' is no label"),
    ],
)
def test_a_file_that_cannot_be_played_is_a_fault_that_names_why(tmp_path: Path, rows, says):
    path = tmp_path / "x.csv"
    path.write_text(table(rows))
    with pytest.raises(SchemaError) as fault:
        read_labelled(path)
    assert says in str(fault.value)


WORDS = [
    (0, 1),
    ("false", "TRUE"),
    ("No", "yes"),
    ("n", "Y"),
    ("F", "T"),
    ("0.0", "1.0"),
    ("exclude", "include"),
    ("Excluded", "Included"),
    ("not relevant", "relevant"),
]


@pytest.mark.parametrize(("no", "yes"), WORDS)
def test_labels_may_be_words_of_either_kind(tmp_path: Path, no, yes):
    path = tmp_path / "x.csv"
    path.write_text(table([(1, "A", "x", yes), (2, "B", "y", no), (3, "C", "z", "maybe")]))
    found = read_labelled(path)
    assert found.labels == (True, False)
    assert found.unlabelled == 1


ROWS = [("a", "Café, one", 'said "so",\nand; more', 1), ("b", "Two", "", 0), ("c", "Three", "z", 0)]
SHAPES = {
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "Windows": lambda text: text.encode("cp1252"),
    "lines of old Macs": lambda text: text.replace("\r\n", "\r").encode(),
    "blank lines first": lambda text: b"\r\n\r\n" + text.encode(),
    "packed": lambda text: gzip.compress(text.encode()),
}


@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_a_labelled_table_is_read_in_every_shape(tmp_path: Path, shape, delimiter, name):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(
        [("record_id", "title", "abstract", "label"), *ROWS]
    )
    path = tmp_path / name
    path.write_bytes(SHAPES[shape](text.getvalue()))
    found = read_labelled(path)
    assert [r.pmid for r in found.records] == ["a", "b", "c"]
    assert [r.title for r in found.records] == ["Café, one", "Two", "Three"]
    assert " ".join(found.records[0].abstract.split()) == 'said "so", and; more'
    assert found.labels == (True, False, False)
    assert bool(found.warnings) == (shape == "Windows")


def test_labels_of_several_reviewers_in_rayyans_notes_count_where_all_agree(tmp_path: Path):
    said = [
        '"A"=>"Included", "B"=>"Included"',
        '"A"=>"Excluded"',
        '"A"=>"Included", "B"=>"Excluded"',
    ]
    text = "".join(
        f"TY  - JOUR\nTI  - Title {i}\nN1  - RAYYAN-INCLUSION: {{{one}}}\nER  - \n\n"
        for i, one in enumerate(said)
    )
    path = tmp_path / "x.ris.gz"
    path.write_bytes(gzip.compress(text.encode()))
    found = read_labelled(path)
    assert [r.title for r in found.records] == ["Title 0", "Title 1"]
    assert found.labels == (True, False)
    assert found.unlabelled == 1


def test_a_column_or_a_tag_with_labels_can_be_named(tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_text(
        table([(1, "A", 0, "in scope", "yes"), (2, "B", 1, "", "no")],
              ("id", "title", "label", "note", "Full text")),
    )  # fmt: skip
    assert read_labelled(path).labels == (False, True)
    assert read_labelled(path, label="full-text").labels == (True, False)
    with pytest.raises(SchemaError, match=r"no record of x\.csv has a label in 'abstract'"):
        read_labelled(path, label="abstract")
    ris = tmp_path / "x.ris"
    ris.write_text(
        "".join(f"TY  - JOUR\nTI  - {t}\nC1  - {c}\nER  - \n\n" for t, c in ("A1", "B0"))
    )
    assert read_labelled(ris, label="C1").labels == (True, False)
    ris.write_text("TY  - JOUR\nTI  - A\nC1  - perhaps\nER  - \n\n")
    with pytest.raises(SchemaError, match=r"1 labels of x\.ris cannot be used"):
        read_labelled(ris, label="C1")


def test_hundreds_of_faults_are_not_all_printed(tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_text(table([(i, "A", "x", "perhaps") for i in range(300)]))
    with pytest.raises(SchemaError) as fault:
        read_labelled(path)
    assert len(fault.value.places) == 21
    assert fault.value.places[-1] == "and 280 more"


def labelled(library) -> Labelled:
    return Labelled("x.csv", "0" * 64, tuple(library[0]), tuple(library[1]), 0, ())


def options(**changes):
    return {
        "models": models_named(["default"]),
        "seeds": (1, 2),
        "priors": (1, 1),
        "rules": ("conservative",),
        **changes,
    }


def test_a_broken_off_simulation_goes_on_where_it_was(library, tmp_path: Path, monkeypatch):
    whole = play(labelled(library), PROTOCOL, **options(kept=tmp_path))
    assert len(list(tmp_path.glob("run-*.json"))) == 2
    monkeypatch.setattr("evidence.triage.simulation.Player.run", lambda *a, **k: 1 / 0)
    assert play(labelled(library), PROTOCOL, **options(kept=tmp_path)) == whole
    with pytest.raises(ZeroDivisionError):  # another question is another simulation
        play(labelled(library), "Orchards", **options(kept=tmp_path))
    for other in ({"priors": (2, 2)}, {"rules": ()}, {"seeds": (3,)}, {"check_every": 5}):
        with pytest.raises(ZeroDivisionError):
            play(labelled(library), PROTOCOL, **options(kept=tmp_path, **other))


def test_a_torn_file_of_a_kept_run_is_played_anew(library, tmp_path: Path):
    whole = play(labelled(library), PROTOCOL, **options(kept=tmp_path))
    torn = next(iter(sorted(tmp_path.glob("run-*.json"))))
    torn.write_text(torn.read_text()[:100])
    again = play(labelled(library), PROTOCOL, **options(kept=tmp_path))
    assert [r.order for r in again] == [r.order for r in whole]
    assert json.loads(torn.read_text())["run"]["seed"] in (1, 2)


def test_a_run_survives_json_even_where_a_figure_is_undefined():
    records = [a_record(str(i), f"Rat {i}") for i in range(3)]
    (run,) = simulate(records, [True] * 3, "", seeds=(1,), priors=(1, 0)).runs
    assert math.isnan(run.loss)
    body = json.loads(json.dumps(run.json(), allow_nan=False))
    assert body["loss"] is None
    back = Run.from_json(body)
    assert math.isnan(back.loss)
    assert (back.order, back.priors) == (run.order, run.priors)


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def review(tmp_path: Path) -> Path:
    records, labels = a_library()
    path = tmp_path / "review.csv.gz"
    rows = [(r.pmid, r.title, r.abstract, int(y)) for r, y in zip(records, labels, strict=True)]
    path.write_bytes(gzip.compress(table(rows).encode()))
    return path


def test_the_command_prints_a_run_for_each_seed_as_json(review: Path):
    done = CliRunner().invoke(
        main,
        ["simulate", str(review), "--question", PROTOCOL, "--seeds", "1,2", "--json"],
    )
    assert done.exit_code == 0, done.output
    body = json.loads(done.stdout)
    assert [one["seed"] for one in body["seeds"]] == [1, 2]
    assert (body["records"], body["relevant"], body["priors"]) == (60, 8, [1, 1])
    for one in body["seeds"]:
        assert len(one["order"]) == 58
        assert one["cpu_s"] > 0
        assert {"wss95", "recall10", "loss", "ndcg"} <= set(one)
        assert set(one["stopping"]) == set(RULES)
        assert set(one["stopping"]["expected"]) == {"at", "recall", "saved"}
    assert "review.csv.gz: 60 records, 8 relevant" in done.stderr


def test_the_command_prints_a_table_and_draws_curves(review: Path, tmp_path: Path):
    arguments = ["simulate", str(review), "--seeds", "3,4", "--priors", "0", "--no-rules"]
    arguments += ["--question", PROTOCOL, "--model", "default", "--model", "by lot"]
    done = CliRunner().invoke(
        main,
        [*arguments, "--plot", str(tmp_path / "p"), "--keep", str(tmp_path / "k")],
    )
    assert done.exit_code == 0, done.output
    assert "WSS@95" in done.stdout
    assert "stopping rule" not in done.stdout
    assert done.stdout.count("mean") == 2
    drawn = sorted(path.suffix for path in (tmp_path / "p").glob("review_recall.*"))
    assert drawn == [".pdf", ".png", ".svg"]
    assert len(list((tmp_path / "k").iterdir())) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            ["--seeds", text]
            for text in ("one", "1,1", "1-3,2", "3-1", "", "4294967296", "0-99999")
        ),
        *(["--priors", text] for text in ("a+b", "-1", "1+", "+1", "1+1+1", "0.5")),
    ],
)
def test_wrong_usage_of_the_command_ends_with_2(review: Path, wrong: list[str]):
    assert CliRunner().invoke(main, ["simulate", str(review), *wrong]).exit_code == 2


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (["--model", "best"], "there is no model 'best'"),
        (["--rule", "never"], "there is no stopping rule 'never'"),
        (["--priors", "8+1"], "begin with fewer: --priors 7+1"),
        (["--priors", "1+53"], "begin with fewer: --priors 1+52"),
        (["--view", "authors"], "there is no view 'authors'"),
        (["--label", "abstract"], "is no label"),
    ],
)
def test_a_fault_of_the_command_ends_with_1_and_says_why(review: Path, wrong, says):
    done = CliRunner().invoke(main, ["simulate", str(review), *wrong])
    assert done.exit_code == 1
    assert says in done.stderr


@pytest.mark.parametrize(
    ("seeds", "are"), [("1-4", [1, 2, 3, 4]), ("0,7..8", [0, 7, 8]), ("4294967295", [2**32 - 1])]
)
def test_seeds_are_a_list_or_a_range(review: Path, seeds: str, are: list[int]):
    done = CliRunner().invoke(
        main, ["simulate", str(review), "--seeds", seeds, "--no-rules", "--json"]
    )
    assert [one["seed"] for one in json.loads(done.stdout)["seeds"]] == are


@pytest.mark.parametrize("priors", ["0", "0+0", "1+0", "0+1", "5+5", "7+52"])
def test_a_screening_may_begin_with_any_priors_that_there_are(review: Path, priors: str):
    done = CliRunner().invoke(
        main, ["simulate", str(review), "--priors", priors, "--seeds", "1", "--json"]
    )
    assert done.exit_code == 0, done.output
    (one,) = json.loads(done.stdout)["seeds"]
    assert len(one["order"]) + len(one["priors"]) == 60
    assert set(one["stopping"]) == set(RULES)


def test_a_view_may_be_weighed_or_switched_off_for_every_model(review: Path):
    words = ["--view", "title=0", "--model", "default", "--model", "by lot", "--no-rules"]
    done = CliRunner().invoke(main, ["simulate", str(review), "--seeds", "1", "--json", *words])
    one, lot = json.loads(done.stdout)["seeds"]
    assert (one["model"], lot["model"]) == ("default + title=0", "by lot")
    records, labels = a_library()
    (run,) = simulate(records, labels, "", seeds=(1,), models=[MODELS["no title view"]]).runs
    assert one["order"] == list(run.order)


def test_a_simulation_that_is_killed_goes_on_and_prints_the_same(review: Path, tmp_path: Path):
    words = [sys.executable, "-m", "evidence", "simulate", str(review), "--seeds", "1-6", "--json"]
    words += ["--question", PROTOCOL, "--keep", str(tmp_path / "k")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as one:
        for line in one.stderr:
            if "seed 2" in line:
                one.kill()
                break
    assert one.returncode == -signal.SIGKILL
    again = subprocess.run(words, capture_output=True, text=True, check=True)
    whole = subprocess.run(words[:-2], capture_output=True, text=True, check=True)

    def facts(text: str) -> dict:
        body = json.loads(text)
        for run in body["seeds"]:
            del run["cpu_s"], run["stopping_cpu_s"]
        return body

    assert facts(again.stdout) == facts(whole.stdout)


def test_the_table_of_rules_counts_the_runs_that_reached_the_target(library):
    runs = simulate(*library, PROTOCOL, rules=["conservative", "80 % read"]).runs
    lines = list(simulation_lines(runs))
    (row,) = [line for line in lines if line.startswith("80 % read")]
    reached = sum(run.stopping["80 % read"].recall >= 0.95 for run in runs)
    assert f"{reached} of 3" in row
    assert "20.0%" in row


# --- pictures ------------------------------------------------------------------------------------


def test_a_recall_curve_ends_with_everything_found_and_says_so_in_words(library):
    records, labels = library
    runs = simulate(records, labels, PROTOCOL, seeds=(1,), rules=["expected"]).runs
    truth = dict(zip((r.pmid for r in records), labels, strict=True))
    page = recall_curves(runs, truth)
    curve = max((line.get_xydata() for line in page.axes[0].lines), key=len)
    assert curve[0] == approx((0, 0))
    assert curve[-1] == approx((100, 100))
    assert (np.diff(curve[:, 1]) >= 0).all()
    assert "seed 1: WSS@95" in page.alt
    assert "stopped after" in page.alt
    with pytest.raises(InputError, match="no run to draw"):
        recall_curves([], truth)


def test_a_calibration_plot_names_every_group(library):
    bins = Engine(library[0], PROTOCOL, first(library, 6, 30)).calibration(groups=4)
    page = calibration(bins)
    assert page.alt.count("foretold") == len(bins)
    with pytest.raises(InputError, match="at least one record must be included"):
        calibration([])


@pytest.mark.shared
def test_on_a_real_review_the_order_is_far_better_than_chance(shared: Path):
    review = read_labelled(shared / "triage/synergy_Donners_2021.csv.gz")
    question = "Pharmacokinetics and efficacy of emicizumab in humans"
    result = simulate(review.records, review.labels, question, rules=["expected", "conservative"])
    assert result.mean("wss95") > 0.5  # chance: 0
    assert result.mean("recall10") > 0.6  # chance: 0.1
    assert result.mean("loss") < 0.1  # chance: 0.5
    for run in result.runs:
        assert run.stopping["expected"].recall >= 0.95
        assert run.stopping["conservative"].recall >= 0.95
