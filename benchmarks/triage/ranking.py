"""Reading order on ten labelled reviews, beside recorded runs of ASReview.

Each review is replayed with one included and one excluded record known, the very ones of the
recorded runs (ASReview 3.0.8, ELAS u4), one decision a step, without batches.
"""

from __future__ import annotations

import numpy as np

from benchmarks.triage._reviews import SEEDS, interval, reviews, rows
from evidence.triage import Simulation, rank, simulate
from evidence.triage.figures import figures
from evidence.triage.simulation import draw_priors

FIGURES = {"wss95": 3, "recall10": 3, "loss": 4, "cpu_s": 2}
KNOWN = (1, 3, 5, 10)  # inclusions known, nothing excluded
DRAWS = 3


def run() -> None:
    """Print all tables."""
    found = reviews()
    if not found:
        return
    recorded = rows("asreview_dev_results.csv")
    print(
        "   ours / ASReview 3.0.8 ELAS u4, means of seeds 1 to 3 from the same priors; ASReview's"
    )
    print("   figures are recorded (seeds 2 and 3 for the time); `triage.live` runs it here")
    print(f"   {'review':<27}{'n':>5}{'in':>5}  {'WSS@95':>13}  {'recall@10 %':>13}  {'loss':>15}"
          f"  {'CPU s a run':>13}")  # fmt: skip
    ours: list[Simulation] = []
    theirs: list[dict[str, float]] = []
    for review in found:
        data = review.data
        mine = simulate(data.records, data.labels, review.question, seeds=SEEDS)
        runs = [row for row in recorded if row["dataset"] == review.name]
        peer = {
            figure: float(np.mean([float(row[figure]) for row in runs if row[figure]]))
            for figure in FIGURES
        }
        ours.append(mine)
        theirs.append(peer)
        figures_here = {figure: mine.mean(figure) for figure in FIGURES}
        print(f"   {review.name:<27}{len(data.records):>5}{sum(data.labels):>5}"
              + _pairs(figures_here, peer), flush=True)  # fmt: skip
    mean = {f: float(np.mean([m.mean(f) for m in ours])) for f in FIGURES}
    peer = {f: float(np.mean([t[f] for t in theirs])) for f in FIGURES}
    print(f"   {'mean':<37}" + _pairs(mean, peer))
    for figure, sign in (("wss95", 1), ("recall10", 1), ("loss", -1)):
        gains = [
            sign * (mine.mean(figure) - peer[figure])
            for mine, peer in zip(ours, theirs, strict=True)
        ]
        low, high = interval(gains)
        losers = [
            f"{review.name} {gain:+.3f}"
            for review, gain in zip(found, gains, strict=True)
            if gain < 0
        ]
        print(f"   gain in {figure:<9}{np.mean(gains):+.4f} (95 % CI over reviews {low:+.4f} to "
              f"{high:+.4f}); worse on {len(losers)}: {', '.join(losers) or 'none'}")  # fmt: skip
    _before_learning(found)


def _pairs(ours: dict[str, float], theirs: dict[str, float]) -> str:
    return "".join(f"  {ours[f]:>6.{d}f} /{theirs[f]:>6.{d}f}" for f, d in FIGURES.items())


def _before_learning(found: list) -> None:
    print(f"   before anything is learned (mean of {DRAWS} draws of the known inclusions)")
    print(f"   {'known':<27}{'WSS@95':>8}{'recall@10 %':>13}{'loss':>8}")
    for known in (0, *KNOWN):
        here = []
        for review in found:
            records, labels = review.data.records, review.data.labels
            truth = dict(zip((r.pmid for r in records), labels, strict=True))
            for seed in range(DRAWS if known else 1):
                first = draw_priors(np.array(labels), (known, 0), seed)
                decisions = {records[i].pmid: True for i in first}
                order = rank(records, decisions, review.question).pmids
                here.append(figures(np.array([truth[pmid] for pmid in order]))[:3])
        wss95, recall10, loss = np.mean(here, axis=0)
        name = f"protocol and {known} included" if known else "protocol alone"
        print(f"   {name:<27}{wss95:>8.3f}{recall10:>13.3f}{loss:>8.4f}", flush=True)
    played = [
        simulate(r.data.records, r.data.labels, r.question, seeds=(1,), priors=(0, 0))
        for r in found
    ]
    print("   screening from the protocol alone, no prior decision: "
          + ", ".join(f"{name} {np.mean([p.mean(f) for p in played]):.3f}"
                      for f, name in (("wss95", "WSS@95"), ("recall10", "recall@10 %"),
                                      ("loss", "loss"))))  # fmt: skip
