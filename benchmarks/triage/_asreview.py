"""One simulation by ASReview itself, for its own interpreter: FILE SEED to a line of JSON.

Run by `benchmarks.triage.live` with the Python of an environment that has ASReview; imports nothing
of this project.
"""

import json
import sys
import time

import numpy as np
import pandas as pd
from asreview import metrics
from asreview.learner import ActiveLearningCycle
from asreview.models.models import get_ai_config
from asreview.simulation.simulate import Simulate
from sklearn.utils import check_random_state


def main() -> None:
    path, seed = sys.argv[1], int(sys.argv[2])
    records = pd.read_csv(path, keep_default_na=False)
    labels = records["label"].astype(int).to_numpy()
    start = time.process_time()
    cycle = ActiveLearningCycle.from_meta(get_ai_config("elas_u4")["value"])
    simulation = Simulate(records[["title", "abstract"]], labels, [cycle], print_progress=False)
    for kind in (1, 0):
        simulation.label(
            check_random_state(seed).choice(np.flatnonzero(labels == kind), 1, replace=False)
        )
    simulation.review()
    cpu_s = time.process_time() - start
    found = simulation._results["label"].astype(int).tolist()[2:]
    steps = len(found)
    found += [0] * (len(labels) - 2 - steps)
    n, total = len(found), sum(found)
    n95 = int(np.searchsorted(np.cumsum(found), np.ceil(0.95 * total - 1e-9))) + 1
    print(
        json.dumps(
            {
                "wss95": 1 - n95 / n - 0.05,
                "recall10": sum(found[: int(np.ceil(n / 10))]) / total,
                "loss": metrics.loss(found),
                "ndcg": metrics.ndcg(np.array(found)),
                "steps": steps,
                "cpu_s": cpu_s,
            }
        )
    )


if __name__ == "__main__":
    main()
