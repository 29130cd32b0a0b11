"""Models of dependent effects beside metafor: three levels, two outcomes, CR2, without a cluster.

CPU time of one thread, median of several repetitions; ratios are metafor's time over ours. metafor
optimises by ``nlminb`` at its default tolerance, which leaves five digits of the components; ours
ends with the score at zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.meta._peers import cpu, figure, metafor, r_version, show
from meta import leave_cluster_out, multilevel, robust
from meta.measures import given
from meta.results import Effects

SIZES = ((56, 11), (200, 40), (500, 100))  # effects, studies
REFITS = 200  # effects above which metafor's refits without a cluster take minutes
THREE = "rma.mv(yi, vi, random = ~ 1 | study/row, data = data)"
TWO = 'rma.mv(yi, vi, mods = ~ kind - 1, random = ~ kind | study, struct = "UN", data = data)'


def rows(k: int, m: int) -> tuple[Effects, dict[str, list[Any]]]:
    """Invented effects: k in m studies, which vary between studies and within them."""
    rng = np.random.default_rng([7, k])
    study = np.sort(np.concatenate((np.arange(m), rng.integers(0, m, k - m))))
    vi = rng.uniform(0.02, 0.2, k)
    yi = 0.3 + rng.normal(0, 0.3, m)[study] + rng.normal(0, 0.2, k) + rng.normal(0, np.sqrt(vi))
    columns = {
        "yi": yi.tolist(),
        "vi": vi.tolist(),
        "study": [f"s{i}" for i in study],
        "row": list(range(k)),
        "kind": ["pain" if i % 2 else "mood" for i in range(k)],
    }
    return given(yi, vi, cluster=columns["study"]), columns


def run() -> None:
    """Print the tables."""
    version = r_version()
    print(f"   {version}" if version else "   R with metafor is absent and left out")
    with threadpool_limits(1):
        lines = [line for k, m in SIZES for line in _at(k, m, with_r=bool(version))]
    show(["effects", "studies", "task", "ours ms", "metafor ms", "ratio", "apart"], lines)


def _at(k: int, m: int, *, with_r: bool) -> list[list[str]]:
    effects, columns = rows(k, m)
    data = {name: column for name, column in columns.items() if name not in ("yi", "vi")}
    fitted = multilevel(effects, "study/row", data=data)

    def without() -> Any:
        return leave_cluster_out(fitted, data["study"])

    tasks: dict[str, tuple[Callable[[], Any], str, Callable[[Any], Any], bool]] = {
        "three levels": (
            lambda: multilevel(effects, "study/row", data=data),
            f"{THREE}$sigma2",
            lambda found: found.variances,
            True,
        ),
        "two outcomes": (
            lambda: multilevel(
                effects,
                "kind | study",
                structure="UN",
                data=data,
                moderators={"kind": data["kind"]},
                intercept=False,
            ),
            f"{TWO}$tau2",
            lambda found: found.variances,
            True,
        ),
        "CR0 sandwich": (
            lambda: robust(fitted, data["study"], kind="CR0"),
            "robust(fit, cluster = data$study, adjust = FALSE)$se",
            lambda found: found.se,
            True,
        ),
        "CR2": (lambda: robust(fitted, data["study"]), "", lambda found: found.se, True),
        "without each study": (
            without,
            f"sapply(unique(data$study), function(s) {THREE[:-1]}, subset = study != s)$beta)",
            lambda found: found.beta[:, 0],
            k <= REFITS,
        ),
    }
    lines = []
    for task, (call, code, numbers, worth) in tasks.items():
        ours = cpu(call, repeats=3)
        theirs = None
        if with_r and code and worth:
            fit = f"if (!exists('fit')) fit <<- {THREE}; " if "fit," in code else ""
            theirs = _metafor(fit + code, columns)
        apart = _apart(numbers(call()), theirs[1]) if theirs else math.nan
        lines.append(
            [
                f"{k:,}",
                f"{m:,}",
                task,
                figure(1000 * ours),
                figure(1000 * theirs[0] if theirs else None),
                figure(theirs[0] / ours if theirs else None),
                "–" if math.isnan(apart) else f"{apart:.0e}",
            ]
        )
        print(f"   ... {task}, {k:,} effects", flush=True)
    return lines


def _metafor(code: str, columns: Mapping[str, Any]) -> tuple[float, list[float]] | None:
    return metafor(code, columns, repeats=3)


def _apart(ours: Any, theirs: list[float]) -> float:
    """The largest relative difference."""
    one, two = np.asarray(ours, dtype=float), np.asarray(theirs)
    if one.shape != two.shape:
        return math.nan
    return float(np.max(np.abs(one - two) / np.maximum(np.abs(two), 1e-3)))
