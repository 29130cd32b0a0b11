"""What the benchmarks of ``meta`` share: data, clocks, metafor and the peers in Python.

Peers are not among the requirements: what is not installed is left out, with a note. All are free
software: PyMARE (MIT), PyMetaAnalysis (MIT, imported as ``meta_analyze``), statsmodels (BSD).
"""

from __future__ import annotations

import csv
import math
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Run = Callable[[], Any]

REPEATS = 5  # of which the median counts
LEAST = 0.2  # CPU seconds that one repetition takes at least; a clock tick is far shorter
PATIENCE = 600  # CPU seconds that R may take


def studies(k: int, *, seed: int = 2, tau2: float = 0.1) -> tuple[Array, Array]:
    """Effects and variances of k made-up studies: standardised mean differences, roughly."""
    random = np.random.default_rng([seed, k])
    v = random.gamma(2.0, 0.05, k) + 0.01
    return random.normal(0.3, np.sqrt(v + tau2)), v


def cpu(run: Run, *, repeats: int = REPEATS, least: float = LEAST) -> float:
    """CPU seconds of one call: the median of several repetitions of as many calls as they need."""
    run()
    calls = 1
    while (taken := _clocked(run, calls)) < least:
        calls = max(2 * calls, math.ceil(1.2 * calls * least / max(taken, 1e-9)))
    times = [taken, *(_clocked(run, calls) for _ in range(repeats - 1))]
    return statistics.median(times) / calls


def _clocked(run: Run, calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        run()
    return time.process_time() - start


# R: one process, which reads the data, repeats the call and prints what it took.
R_CODE = """
suppressMessages(library(metafor))
data <- read.csv({data!r})
run <- function() {{ {call} }}
value <- suppressWarnings(run())
user <- function(n) {{ start <- proc.time(); for (i in seq_len(n)) suppressWarnings(run())
                       sum((proc.time() - start)[1:2]) }}
n <- 1; taken <- user(n)
while (taken < {least}) {{ n <- ceiling(max(2 * n, 1.2 * n * {least} / max(taken, 0.001)))
                           taken <- user(n) }}
times <- taken
if ({repeats} > 1) times <- c(taken, replicate({repeats} - 1, user(n)))
cat(sprintf("%.17g\\n", c(median(times) / n, value)))
"""
R_ONCE = """
suppressMessages(library(metafor))
data <- read.csv({data!r})
start <- proc.time()
value <- {{ {call} }}
taken <- sum((proc.time() - start)[1:2])
cat(sprintf("%.17g\\n", c(taken, value)))
"""


def metafor(
    call: str,
    columns: Mapping[str, Iterable[Any]],
    *,
    once: bool = False,
    repeats: int = REPEATS,
    least: float = 0.5,
) -> tuple[float, list[float]] | None:
    """CPU seconds (user and system) of one call of metafor and the numbers that it gives.

    Parameters
    ----------
    call : str
        R code that reads ``data`` and ends with one or more numbers:
        ``"rma(yi, vi, data=data)$tau2"``.
    columns : mapping of name to values
        What is in ``data``.
    once : bool
        Run it a single time, for what takes minutes.

    Returns
    -------
    seconds, values : float, list of float
        None where R or metafor is absent, or takes more CPU seconds than ``PATIENCE``.
    """
    rscript = shutil.which("Rscript")
    if rscript is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.csv"
        with data.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(columns)
            rows.writerows(zip(*columns.values(), strict=True))
        form = R_ONCE if once else R_CODE
        code = form.format(data=str(data), call=call, least=least, repeats=repeats)
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(
            [rscript, "-e", code],
            capture_output=True,
            text=True,
            env={**os.environ, **threads},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE)),
            check=False,
        )
    if done.returncode:
        return None
    seconds, *values = map(float, done.stdout.split())
    return seconds, values


def r_version() -> str:
    """Which R and metafor there are; empty where one is absent."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return ""
    code = 'cat(R.version$version.string, "with metafor", format(packageVersion("metafor")))'
    done = subprocess.run([rscript, "-e", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


# Python: each takes effects and variances, prepares what is not the fit, and returns a run that
# gives tau2. ImportError where the library is absent.


def pymare_reml(y: Array, v: Array) -> Run:
    from pymare import Dataset
    from pymare.estimators import VarianceBasedLikelihoodEstimator

    data = Dataset(y[:, None], v[:, None])
    return lambda: _number(
        VarianceBasedLikelihoodEstimator(method="REML").fit_dataset(data).summary().tau2
    )


def pymetaanalysis_reml(y: Array, v: Array) -> Run:
    from meta_analyze import meta_analysis

    return lambda: meta_analysis(effect=y, variance=v, tau2_method="REML").tau2


def statsmodels_pm(y: Array, v: Array) -> Run:
    from statsmodels.stats.meta_analysis import combine_effects

    return lambda: combine_effects(y, v, method_re="pm").tau2


PEERS: dict[str, Callable[[Array, Array], Run]] = {
    "PyMARE": pymare_reml,
    "PyMetaAnalysis": pymetaanalysis_reml,
    "statsmodels PM": statsmodels_pm,
}


def _number(value: Any) -> float:
    return float(np.asarray(value).ravel()[0])


def peers() -> dict[str, Callable[[Array, Array], Run]]:
    """The peers that can be imported; a note for each that cannot."""
    found = {}
    for name, peer in PEERS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                peer(*studies(5))
            except ImportError:
                print(f"   {name} is not installed and left out")
                continue
        found[name] = peer
    return found


def show(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table of texts, numbers to the right."""
    lines = [list(heads), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (f"{text:>{width}}" for text, width in zip(line, widths, strict=True))
        print("   " + "  ".join(cells), flush=True)


def figure(value: float | None) -> str:
    """A number with three figures, thousands apart; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
