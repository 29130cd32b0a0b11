"""Stopping rules on ten labelled reviews: how often each reached 95 %, and what it saved.

Three runs of each review from one included and one excluded record; the rules look every ten
decisions. Priors and samples count as read. Nothing here was used to choose a rule's constants.
"""

from __future__ import annotations

import numpy as np

from benchmarks.triage._reviews import SEEDS, interval, reviews
from evidence.triage.simulation import RULES, simulate
from evidence.triage.stopping.state import TARGET


def run() -> None:
    """Print a line for each rule and where the default stopped in each review."""
    found = reviews()
    if not found:
        return
    stops = {rule: [] for rule in RULES}
    oracle = []
    for review in found:
        data = review.data
        runs = simulate(
            data.records, data.labels, review.question, seeds=SEEDS, rules=list(RULES)
        ).runs
        for rule, each in stops.items():
            each.append([run.stopping[rule] for run in runs])
        relevant = {r.pmid: y for r, y in zip(data.records, data.labels, strict=True)}
        for one in runs:
            curve = np.cumsum([relevant[pmid] for pmid in (*one.priors, *one.order)])
            needed = np.ceil(TARGET * curve[-1] - 1e-9)
            oracle.append(1 - (int(np.searchsorted(curve, needed)) + 1) / len(curve))
    print(f"   {'rule':<14}{'reached 95 %':>14}{'reviews failing':>17}{'least found':>13}"
          f"{'saved [95 % CI over reviews]':>33}")  # fmt: skip
    for rule, each in stops.items():
        flat = [stop for runs in each for stop in runs]
        reached = sum(stop.recall >= TARGET for stop in flat)
        failing = sum(any(stop.recall < TARGET for stop in runs) for runs in each)
        saved = [float(np.mean([stop.saved for stop in runs])) for runs in each]
        low, high = interval(saved)
        shown = f"{np.mean(saved):.3f} [{low:.3f}, {high:.3f}]"
        print(f"   {rule:<14}{f'{reached} of {len(flat)}':>14}{failing:>17}"
              f"{min(stop.recall for stop in flat):>13.3f}{shown:>33}")  # fmt: skip
    print(f"   {'oracle':<14}{'':>44}{np.mean(oracle):>33.3f}")
    print("   the default, by review: "
          + ", ".join(f"{review.name} {np.mean([s.saved for s in runs]):.2f}"
                      for review, runs in zip(found, stops["expected"], strict=True)))  # fmt: skip
