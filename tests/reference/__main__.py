"""Run a file of reference cases: ``python -m tests.reference FILE [--write docs/validation.md]``.

One line for each function, then ``N passed, N failed, N differ, N skipped``.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.reference import counts, effect_sizes, univariate
from tests.reference.metafor_cases import Case, load

EFFECT_SIZES = ("escalc", "smd_bias_correction")
LATER = "not built yet"
VERDICTS = ("passed", "failed", "differ", "skipped")


def judge(case: Case) -> tuple[str, str]:
    """The verdict on a case and its reason."""
    if case.function in EFFECT_SIZES:
        verdict = effect_sizes.check(case)
        return verdict.outcome, verdict.detail
    if case.function in univariate.ANSWER:
        return univariate.judge(case)
    if case.function in counts.FUNCTIONS:
        return counts.judge(case)
    return "skipped", LATER


def run(path: Path) -> tuple[dict[str, Counter[str]], list[str]]:
    """Verdicts counted by function, and a line for every case that failed."""
    tally: dict[str, Counter[str]] = {}
    failed = []
    for case in load(path):
        verdict, detail = judge(case)
        tally.setdefault(case.function, Counter())[verdict] += 1
        if verdict == "failed":
            failed.append(f"{case.id}  {detail}")
    return tally, failed


def lines(tally: dict[str, Counter[str]]) -> Iterator[str]:
    for function, count in sorted(tally.items()):
        yield f"{function:24}" + "".join(f"  {count[v]:5} {v}" for v in VERDICTS)
    total = sum(tally.values(), Counter[str]())
    yield ", ".join(f"{total[v]} {v}" for v in VERDICTS)


PAGE = """# How the statistics were validated

Written by `python -m tests.reference FILE --write docs/validation.md`; not edited by hand.

Each case holds inputs (public data sets of the metadat collection, and edge cases), the arguments
of one call, and what metafor 3.8-1, clubSandwich or robumeta answered with their tolerances
tightened. A case passes when every number agrees within the tolerance stated in the case: 1e-10
relative for closed forms, 1e-7 for iterations, 1e-6 for refits.

*Differ* is not a pass: the numbers disagree, and a rule for that function and measure gives the
reason, never for a case by name. Most rules prove for the case at hand that ours is nearer to what
both compute, by exact rational arithmetic, by the defining equation or by an independent integral:
tetrachoric correlations whose fitted table misses the observed one, an unbiased correlation against
its power series, interval limits. Some are argued and not proved: a refit that metafor gave up, the
root of a between-study variance of 1e-16, R2 where that variance is zero; and for designs that are
nearly collinear only the between-study variance by DL, HS and REML, Q and the coefficients are
checked exactly, the rest to 1e-4. The rules stand in `tests/reference/effect_sizes.py` and
`tests/reference/univariate_rules.py`.

| function | passed | differ | failed | not built yet |
|---|---|---|---|---|
"""


def page(tally: dict[str, Counter[str]]) -> str:
    rows = [
        f"| {f} | {c['passed']} | {c['differ']} | {c['failed']} | {c['skipped']} |"
        for f, c in sorted(tally.items())
    ]
    total = sum(tally.values(), Counter[str]())
    rows.append(
        f"| **all** | {total['passed']} | {total['differ']} | {total['failed']} "
        f"| {total['skipped']} |"
    )
    return PAGE + "\n".join(rows) + "\n"


def main(words: list[str]) -> int:
    tally, failed = run(Path(words[0]))
    print("\n".join([*failed, *lines(tally)]))
    if "--write" in words:
        Path(words[words.index("--write") + 1]).write_text(page(tally), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
