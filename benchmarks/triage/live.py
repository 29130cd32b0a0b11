"""Whole simulations beside ASReview, both run here, in turn, on this machine.

Set ASREVIEW_PYTHON to the Python of an environment with ASReview 3. CPU time is that of vectors and
steps in both, without imports and reading of files; ours is what each run would cost alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.triage._reviews import interval, reviews
from evidence.triage import terms
from evidence.triage.simulation import simulate

SEEDS = (1, 2)
ONE_CORE = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}


def _begin_cold() -> None:
    """Forget the stems of earlier reviews: theirs starts in a process of its own, too."""
    terms._STEMS.clear()


def run() -> None:
    """Print a line for each review."""
    python = os.environ.get("ASREVIEW_PYTHON")
    found = reviews()
    if not python or not found:
        print("   skipped: ASREVIEW_PYTHON names no environment with ASReview" if found else "")
        return
    script = Path(__file__).with_name("_asreview.py")
    environment = {**os.environ, **ONE_CORE}
    print(f"   {'review':<27}{'ours WSS@95':>12}{'theirs':>8}{'ours s':>9}{'theirs s':>10}"
          f"{'times':>7}{'ms a step':>11}{'theirs':>8}")  # fmt: skip
    ratios, mine_s, their_s, gains = [], [], [], []
    for review in found:
        pairs = []
        for seed in SEEDS:
            answer = subprocess.run(
                [python, str(script), str(review.path), str(seed)],
                capture_output=True, text=True, check=True, env=environment,
                cwd=tempfile.gettempdir(),  # their package keeps a cache where it is started
            )  # fmt: skip
            theirs = json.loads(answer.stdout.splitlines()[-1])
            data = review.data
            _begin_cold()
            (ours,) = simulate(data.records, data.labels, review.question, seeds=(seed,)).runs
            pairs.append((ours, theirs))
        cpu = [float(np.mean([one.cpu_s for one, _ in pairs])),
               float(np.mean([peer["cpu_s"] for _, peer in pairs]))]  # fmt: skip
        wss = [float(np.mean([one.wss95 for one, _ in pairs])),
               float(np.mean([peer["wss95"] for _, peer in pairs]))]  # fmt: skip
        steps = [sum(one.steps for one, _ in pairs), sum(peer["steps"] for _, peer in pairs)]
        ratios.append(cpu[1] / cpu[0])
        mine_s.append(cpu[0])
        their_s.append(cpu[1])
        gains.append(wss[0] - wss[1])
        print(f"   {review.name:<27}{wss[0]:>12.3f}{wss[1]:>8.3f}{cpu[0]:>9.2f}{cpu[1]:>10.2f}"
              f"{ratios[-1]:>7.1f}{1000 * len(SEEDS) * cpu[0] / steps[0]:>11.2f}"
              f"{1000 * len(SEEDS) * cpu[1] / steps[1]:>8.2f}", flush=True)  # fmt: skip
    low, high = interval(gains)
    print(f"   all: {sum(mine_s):.1f} s against {sum(their_s):.1f} s, "
          f"{sum(their_s) / sum(mine_s):.1f} times less; median {np.median(ratios):.1f} times; "
          f"WSS@95 {np.mean(gains):+.4f} [{low:+.4f}, {high:+.4f}]")  # fmt: skip
    print(f"   load of this machine meanwhile: {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores, "
          f"at {time.strftime('%H:%M')}")  # fmt: skip
