"""One fit by REML beside metafor and Python peers; its growth with k, memory, summary and import.

CPU time of one thread, median of several repetitions. Ours is ``pool(effects)``, result included.
statsmodels has no REML: it solves Paule-Mandel's equation, which is less work.
"""

from __future__ import annotations

import math
import resource
import statistics
import subprocess
import sys
import tracemalloc
import warnings

from threadpoolctl import threadpool_limits

from benchmarks.meta import _peers
from benchmarks.meta._peers import cpu, figure, metafor, show, studies
from meta import given, pool

SIZES = (10, 50, 500, 5000)
MINUTES = 2000  # studies from which metafor takes minutes (its matrices are k by k): one fit only
STARTS = 7  # fresh interpreters for an import
FIRST_FIT = "pool(given([0.1, 0.4, 0.2], [0.02, 0.03, 0.05]))"
IMPORTS = {
    "Python alone": "pass",
    "numpy": "import numpy",
    "import meta": "import meta",
    "effects and pool": "from meta import effects, pool",
    "and a first fit": f"from meta import given, pool; {FIRST_FIT}",
    "and its summary": f"from meta import given, pool; {FIRST_FIT}.summary()",
}


def run() -> None:
    """Print the tables."""
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the peers
        _beside_peers()
        _growth()
    _imports()


def _beside_peers() -> None:
    version = _peers.r_version()
    print(f"   {version}" if version else "   R with metafor is absent and left out")
    peers = _peers.peers()
    names = [*(["metafor"] if version else []), *peers]
    speed, ratios, apart = [], [], []
    for k in SIZES:
        y, v = studies(k)
        effects = given(y, v)
        ours = cpu(lambda effects=effects: pool(effects))  # type: ignore[misc]
        theirs: dict[str, float] = {}
        answers: dict[str, float] = {}
        if version:
            once = k >= MINUTES
            if once:
                print(f"   ... metafor fits {k:,} studies once, which takes minutes", flush=True)
            found = metafor("rma(yi, vi, data=data)$tau2", {"yi": y, "vi": v}, once=once)
            theirs["metafor"] = found[0] if found else math.inf
            if found:
                answers["metafor"] = found[1][0]
            else:
                print(f"   ... it was stopped after {_peers.PATIENCE} CPU seconds")
        for name, peer in peers.items():
            fit = peer(y, v)
            theirs[name], answers[name] = cpu(fit), fit()
        speed.append([f"{k:,}", figure(1 / ours), *(_rate(t) for t in theirs.values())])
        ratios.append([f"{k:,}", *(_times(t, ours) for t in theirs.values())])
        apart.append(
            [
                f"{k:,}",
                *(
                    _apart(answers.get(name), pool(effects, tau2=_method(name)).tau2)
                    for name in names
                ),
            ]
        )
    print("\n   fits per CPU second")
    show(["k", "ours", *names], speed)
    print("\n   how many times as fast as each ours is")
    show(["k", *names], ratios)
    print("\n   how far their tau2 is from ours, relative (their default tolerances)")
    show(["k", *names], apart)


def _rate(seconds: float) -> str:
    least = f"< {figure(1 / _peers.PATIENCE)}"
    return figure(1 / seconds) if math.isfinite(seconds) else least


def _times(seconds: float, ours: float) -> str:
    least = f"> {figure(_peers.PATIENCE / ours)}"
    return figure(seconds / ours) if math.isfinite(seconds) else least


def _method(name: str) -> str:
    return "PM" if name.endswith("PM") else "REML"


def _apart(theirs: float | None, ours: float) -> str:
    return "–" if theirs is None else f"{abs(theirs - ours) / (ours or 1.0):.0e}"


def _growth() -> None:
    rows = []
    for k in (*SIZES, 50_000, 500_000):
        effects = given(*studies(k))
        fit = cpu(lambda effects=effects: pool(effects))  # type: ignore[misc]
        told = cpu(lambda effects=effects: pool(effects).summary())  # type: ignore[misc]
        result = pool(effects)
        again = cpu(result.summary)
        tracemalloc.start()
        pool(effects).summary()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        rows.append(
            [
                f"{k:,}",
                f"{1e6 * fit:,.0f}",
                f"{1e9 * fit / k:,.0f}",
                f"{1e6 * max(told - fit, 0.0):.1f}",
                f"{1e6 * again:.1f}",
                f"{max(told - fit, 0.0) / fit:.2f}",
                f"{peak / 1024:,.0f}",
                f"{peak / 8 / k:.1f}",
            ]
        )
    print("\n   growth with k, and what summary() adds (µs; memory in kB and in numbers per study)")
    heads = ["k", "fit", "ns per study", "summary", "again", "share", "peak kB", "per study"]
    show(heads, rows)


def _imports() -> None:
    rows = []
    for name, code in IMPORTS.items():
        taken = statistics.median(_start(code) for _ in range(STARTS))
        rows.append([name, f"{1000 * taken:.0f}"])
    print("\n   CPU milliseconds of a fresh interpreter")
    show(["", "ms"], rows)


def _start(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
