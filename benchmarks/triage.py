"""Reading order on ten labelled reviews, beside recorded runs of ASReview.

Part one replays each review with one included and one excluded record known, the very ones of the
recorded runs (ASReview 3.0.8, ELAS u4), one decision a step, without batches. Part two measures the
orders before anything is learned: from the protocol alone, and from a few inclusions.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits

from evidence.model import Record
from evidence.triage import Simulation, rank, simulate
from evidence.triage.simulation import draw_priors, figures

DATA = Path(__file__).resolve().parents[1] / "../shared/triage"
SEEDS = (1, 2, 3)  # of the recorded runs
KNOWN = (1, 3, 5, 10)  # inclusions known, nothing excluded
DRAWS = 3
FIGURES = ("wss95", "recall10", "loss", "cpu_s")


def run() -> None:
    """Print both tables; a note where the reviews are not beside this checkout."""
    if not (DATA / "manifest.csv").is_file():
        print("   skipped: the labelled reviews are not beside this checkout")
        return
    manifest = _rows((DATA / "manifest.csv").read_bytes())
    recorded = _rows((DATA / "asreview_dev_results.csv").read_bytes())
    reviews = [(row["name"], *read_review(row["name"]), row["question"]) for row in manifest]
    with threadpool_limits(1):  # one core, so that CPU time is comparable
        _beside_asreview(reviews, recorded)
        _before_learning(reviews)


def read_review(name: str) -> tuple[list[Record], list[bool]]:
    """The records of a labelled review and whether each was included."""
    rows = _rows(gzip.decompress((DATA / f"{name}.csv.gz").read_bytes()))
    records = [a_record(row["record_id"], row["title"], row["abstract"]) for row in rows]
    return records, [row["label"] == "1" for row in rows]


def a_record(pmid: str, title: str, abstract: str) -> Record:
    """A record of which only the words are known."""
    return Record(
        pmid=pmid,
        title=title,
        abstract=abstract,
        authors=(),
        year=None,
        journal="",
        doi=None,
        pmcid=None,
        mesh=(),
        kinds=(),
        keywords=(),
        language="",
        status="",
        version=1,
        retracted=False,
        notices=(),
        revised=None,
    )


def recorded_priors(
    labels: NDArray[np.bool_], priors: tuple[int, int], seed: int
) -> NDArray[np.intp]:
    """The priors of the recorded runs: each kind from a fresh generator of the same seed.

    Checked: an ELAS u4 of our own, started from these, gives the recorded figures to the third
    decimal on the smaller reviews.
    """
    return np.concatenate(
        [
            check_random_state(seed).choice(np.flatnonzero(kind), number, replace=False)
            for kind, number in zip((labels, ~labels), priors, strict=True)
        ]
    ).astype(np.intp)


def _rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"))))


Review = tuple[str, list[Record], list[bool], str]


def _beside_asreview(reviews: Sequence[Review], recorded: Sequence[dict[str, str]]) -> None:
    print(
        "   ours / ASReview 3.0.8 ELAS u4, means of seeds 1 to 3 from the same priors; ASReview's"
    )
    print("   figures, CPU time included, are recorded (seeds 2 and 3 for the time), not run here")
    print(f"   {'review':<27}{'n':>5}{'in':>5}  {'WSS@95':>13}  {'recall@10 %':>13}  {'loss':>15}"
          f"  {'CPU s a run':>13}")  # fmt: skip
    ours: list[Simulation] = []
    theirs: list[dict[str, float]] = []
    for name, records, labels, question in reviews:
        mine = simulate(records, labels, question, seeds=SEEDS, draw=recorded_priors)
        runs = [row for row in recorded if row["dataset"] == name]
        peer = {
            figure: float(np.mean([float(row[figure]) for row in runs if row[figure]]))
            for figure in FIGURES
        }
        ours.append(mine)
        theirs.append(peer)
        print(f"   {name:<27}{len(records):>5}{sum(labels):>5}" + _pairs(_figures(mine), peer))
    mean = {f: float(np.mean([m.mean(f) for m in ours])) for f in theirs[0]}
    peer = {f: float(np.mean([t[f] for t in theirs])) for f in theirs[0]}
    print(f"   {'mean':<37}" + _pairs(mean, peer))
    steps = sum(run.steps for m in ours for run in m.runs)
    cpu_s = sum(run.cpu_s for m in ours for run in m.runs)
    print(f"   {1000 * cpu_s / steps:.2f} ms of CPU a step over {steps} steps; vectors and "
          f"similarities {np.mean([m.features_cpu_s for m in ours]):.2f} s a review")  # fmt: skip
    for figure, sign in (("wss95", 1), ("recall10", 1), ("loss", -1)):
        gains = sign * np.array(
            [m.mean(figure) - t[figure] for m, t in zip(ours, theirs, strict=True)]
        )
        half = stats.t.ppf(0.975, len(gains) - 1) * stats.sem(gains)
        losers = [r[0] for r, gain in zip(reviews, gains, strict=True) if gain < 0]
        print(f"   gain in {figure:<9}{gains.mean():+.4f} (95 % CI over reviews "
              f"{gains.mean() - half:+.4f} to {gains.mean() + half:+.4f}); "
              f"worse on {len(losers)}: {', '.join(losers) or 'none'}")  # fmt: skip


def _figures(mine: Simulation) -> dict[str, float]:
    return {figure: mine.mean(figure) for figure in FIGURES}


def _pairs(ours: dict[str, float], theirs: dict[str, float]) -> str:
    digits = {"wss95": 3, "recall10": 3, "loss": 4, "cpu_s": 2}
    return "".join(f"  {ours[f]:>6.{d}f} /{theirs[f]:>6.{d}f}" for f, d in digits.items())


def _before_learning(reviews: Sequence[Review]) -> None:
    print(f"   before anything is learned (mean of {DRAWS} draws of the known inclusions)")
    print(f"   {'known':<27}{'WSS@95':>8}{'recall@10 %':>13}{'loss':>8}")
    for known in (0, *KNOWN):
        found = []
        for _, records, labels, question in reviews:
            relevant = np.array(labels)
            truth = dict(zip((r.pmid for r in records), labels, strict=True))
            for seed in range(DRAWS if known else 1):
                first = draw_priors(relevant, (known, 0), seed)
                order = rank(records, {records[i].pmid: True for i in first}, question).pmids
                found.append(figures(np.array([truth[pmid] for pmid in order]))[:3])
        wss95, recall10, loss = np.mean(found, axis=0)
        name = f"protocol and {known} included" if known else "protocol alone"
        print(f"   {name:<27}{wss95:>8.3f}{recall10:>13.3f}{loss:>8.4f}", flush=True)
    played = [simulate(r, lab, q, seeds=(1,), priors=(0, 0)) for _, r, lab, q in reviews]
    print("   screening from the protocol alone, no prior decision: "
          + ", ".join(f"{name} {np.mean([p.mean(f) for p in played]):.3f}"
                      for f, name in (("wss95", "WSS@95"), ("recall10", "recall@10 %"),
                                      ("loss", "loss"))))  # fmt: skip
