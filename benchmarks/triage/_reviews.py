"""The labelled reviews that developers have beside the project, and ASReview's recorded runs."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evidence.triage.labelled import Labelled, read_labelled

DATA = Path(__file__).resolve().parents[2] / "../shared/triage"
SEEDS = (1, 2, 3)  # of the recorded runs
RESAMPLES = 10_000


@dataclass(frozen=True)
class Review:
    name: str
    path: Path
    data: Labelled
    question: str


def reviews() -> list[Review]:
    """The ten, smallest name first; none where they are not beside this checkout."""
    if not (DATA / "manifest.csv").is_file():
        print("   skipped: the labelled reviews are not beside this checkout")
        return []
    found = []
    for row in rows("manifest.csv"):
        path = DATA / f"{row['name']}.csv.gz"
        found.append(Review(row["name"], path, read_labelled(path), row["question"]))
    return found


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def interval(gains: Sequence[float]) -> tuple[float, float]:
    """95 % of the means of resampled reviews (percentile bootstrap)."""
    values: NDArray[np.float64] = np.asarray(gains)
    drawn = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)
