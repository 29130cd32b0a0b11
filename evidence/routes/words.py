"""Numbers as a derivation writes them: the row's own as they are, results with four decimals."""

from __future__ import annotations


def as_is(value: float) -> str:
    return f"{value:.10g}".replace("-", "−")


def rounded(value: float) -> str:
    return f"{value:.4f}".replace("-", "−")


def difference(a: float, b: float) -> str:
    return f"{as_is(a)} − {as_is(b)}" if b >= 0 else f"{as_is(a)} − ({as_is(b)})"
