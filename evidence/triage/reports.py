"""Simulated runs as JSON and as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from evidence.triage.labelled import Labelled
from evidence.triage.simulation import Run
from evidence.triage.stopping.state import TARGET

FIGURES = ("wss95", "recall10", "loss", "ndcg", "cpu_s")


def simulation_json(
    labelled: Labelled, question: str, runs: Sequence[Run], *, priors: tuple[int, int]
) -> dict[str, Any]:
    """All runs under "seeds", with what they were made from."""
    return {
        "file": labelled.name,
        "sha256": labelled.sha256,
        "records": len(labelled.records),
        "relevant": sum(labelled.labels),
        "unlabelled": labelled.unlabelled,
        "question": question,
        "priors": list(priors),
        "seeds": [run.json() for run in runs],
    }


def simulation_lines(runs: Sequence[Run]) -> Iterator[str]:
    """A table of the runs with the mean of each model, and one of the stopping rules."""
    models = list(dict.fromkeys(run.model for run in runs))
    wide = max(len(model) for model in (*models, "model"))
    heads = ("WSS@95", "recall@10 %", "loss", "NDCG", "CPU s")
    yield f"{'model':<{wide}}  {'seed':>5}" + "".join(f"  {head:>11}" for head in heads)
    for model in models:
        mine = [run for run in runs if run.model == model]
        for run in mine:
            yield f"{model:<{wide}}  {run.seed:>5}" + _cells([getattr(run, f) for f in FIGURES])
        if len(mine) > 1:
            means = [float(np.mean([getattr(run, f) for run in mine])) for f in FIGURES]
            yield f"{model:<{wide}}  {'mean':>5}{_cells(means)}"
    for model in models:
        yield from _stops([run for run in runs if run.model == model], model, len(models) > 1)


def _cells(values: Sequence[float]) -> str:
    return "".join(f"  {'–':>11}" if value != value else f"  {value:>11.4f}" for value in values)


def _stops(runs: Sequence[Run], model: str, named: bool) -> Iterator[str]:
    rules = list(dict.fromkeys(rule for run in runs for rule in run.stopping))
    if not rules:
        return
    head = f"stopping rule ({model})" if named else "stopping rule"
    wide = max(24, len(head) + 1)
    yield ""
    yield (f"{head:<{wide}}{'reached 95%':>14}{'least found':>13}{'mean found':>12}{'saved':>8}")
    for rule in rules:
        stops = [run.stopping[rule] for run in runs if rule in run.stopping]
        recall = [stop.recall for stop in stops]
        reached = sum(r >= TARGET for r in recall)
        yield (
            f"{rule:<{wide}}{f'{reached} of {len(stops)}':>14}{min(recall):>13.1%}"
            f"{np.mean(recall):>12.1%}{np.mean([stop.saved for stop in stops]):>8.1%}"
        )
