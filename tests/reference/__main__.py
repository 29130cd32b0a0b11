"""Run a file of reference cases: ``python -m tests.reference FILE [--write docs/validation.md]``.

One line for each function, then ``N passed, N failed, N differ, N skipped``.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.reference import counts, dependent, effect_sizes, robust, univariate
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
    if case.function in dependent.FUNCTIONS:
        return dependent.judge(case)
    if case.function in robust.FUNCTIONS:
        return robust.judge(case)
    return "skipped", LATER


def run(path: Path) -> tuple[dict[str, Counter[str]], list[str], Counter[tuple[str, str]]]:
    """Verdicts counted by function, a line for every case that failed, and the rules that held.

    A rule's reason counts without the figures in brackets at its end.
    """
    tally: dict[str, Counter[str]] = {}
    failed = []
    rules: Counter[tuple[str, str]] = Counter()
    for case in load(path):
        try:
            verdict, detail = judge(case)
        except Exception as fault:  # one case that cannot be computed must not hide the others
            verdict, detail = "failed", f"{type(fault).__name__}: {fault}".splitlines()[0]
        tally.setdefault(case.function, Counter())[verdict] += 1
        if verdict == "failed":
            failed.append(f"{case.id}  {detail}")
        if verdict == "differ":
            rules[case.function, detail.split(" (")[0]] += 1
    return tally, failed, rules


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

*Differ* is not a pass: the numbers disagree, and a rule for that function and measure proves for
the case at hand, when it is judged and never by its name, that ours are right and the reference's
are not:

- **Univariate models, intervals of tau2, diagnostics, refits** (`tests/reference/exact.py`): the
  definitions in arithmetic of sixty digits, which share no code with `meta`. tau2 is the root of
  its estimating equation (or zero, where the likelihood falls), and everything else follows from
  it. Ours must lie within half the tolerance of the exact number and at least twice as near as the
  reference's. This covers designs on which metafor's explicit inverses lose digits, refits that its
  Fisher scoring gave up (null in the reference), a tau2 of 1e-16 in place of zero, and searches
  that ended at their ceiling.
- **Intervals by the generalised Q**: the distribution at our limits, by an integral over
  eigenvalues, has the tails asked for to 1e-9, and at the reference's limits it has not.
- **Henmi and Copas**: the coverage of our critical value, by quadrature over dense matrices, is
  95% to 1e-11.
- **Tetrachoric correlation**: our correlation reproduces the first cell of the table, the
  reference's misses it at least a hundred times further (R's `optimize` stops at 1e-4).
  **Unbiased correlation**: the power series of 2F1.
- **Models of counts** (`tests/reference/count_rules.py`): our log-likelihood at the reference's
  own estimates is the one that it states, so that both maximise one function, and lower than at
  ours; second differences of it give our standard error; scipy's noncentral hypergeometric
  distribution gives our Wald statistic.

| function | passed | differ | failed | not built yet |
|---|---|---|---|---|
"""


def page(tally: dict[str, Counter[str]], rules: Counter[tuple[str, str]]) -> str:
    rows = [
        f"| {f} | {c['passed']} | {c['differ']} | {c['failed']} | {c['skipped']} |"
        for f, c in sorted(tally.items())
    ]
    total = sum(tally.values(), Counter[str]())
    rows.append(
        f"| **all** | {total['passed']} | {total['differ']} | {total['failed']} "
        f"| {total['skipped']} |"
    )
    rows += ["", "| function | why it differs | cases |", "|---|---|---|"]
    rows += [f"| {function} | {why} | {n} |" for (function, why), n in sorted(rules.items())]
    return PAGE + "\n".join(rows) + "\n"


def main(words: list[str]) -> int:
    tally, failed, rules = run(Path(words[0]))
    print("\n".join([*failed, *lines(tally)]))
    if "--write" in words:
        Path(words[words.index("--write") + 1]).write_text(page(tally, rules), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
