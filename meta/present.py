"""How results show themselves: a block to paste, HTML, LaTeX, a data frame.

A result class inherits ``Presented`` and says in ``rows`` what its numbers are, one plain dict a
row; everything else follows. One that wants its table to look otherwise gives ``_tables``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import pandas as pd

DASH = "–"
MOST = 200  # rows of a table that is shown; a data frame has them all
CI = "CI"  # heading of an interval where its level is not known


def show(value: float | None, digits: int = 2) -> str:
    """A number for people: fixed digits, a true minus sign, and a dash for what is undefined."""
    if value is None or math.isnan(value):
        return DASH
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", "−")


def show_p(p: float | None) -> str:
    """A p-value with its sign: ``p = 0.032``, ``p < 0.001``."""
    if p is None or math.isnan(p):
        return f"p {DASH}"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def counted(k: int, one: str, many: str = "") -> str:
    """A number with its noun: ``1 cluster``, ``17 clusters``."""
    return f"{k:,} {one if k == 1 else many or one + 's'}"


def studies(k: int) -> str:
    """A number of studies in words: ``1 study``, ``13 studies``."""
    return counted(k, "study", "studies")


class Column(NamedTuple):
    """A heading, and how the cells under it are written."""

    head: str
    kind: str = "number"  # "text", "number", "count", "p", "percent", "interval"
    digits: int = 3

    def cell(self, value: Any) -> str:
        """A value as people read it; a dash for what is absent or undefined."""
        if value is None:
            return DASH
        if isinstance(value, str):
            return value
        if isinstance(value, (bool,)) or type(value).__name__ == "bool":  # also NumPy's
            return "yes" if value else "no"
        if self.kind == "interval":
            low, high = value
            ends = show(low, self.digits), show(high, self.digits)
            return DASH if ends == (DASH, DASH) else " to ".join(ends)
        if isinstance(value, (tuple, list)):
            return ", ".join(map(self.cell, value))
        if self.kind == "count" or isinstance(value, int):
            return DASH if math.isnan(value) else f"{value:,.0f}".replace("-", "−")
        if self.kind == "p":
            return show_p(value).removeprefix("p ").removeprefix("= ").replace("< ", "<")
        if self.kind == "percent":
            return DASH if math.isnan(value) else f"{value:.1%}".replace("-", "−")
        if 0 < abs(value) < 0.5 * 10**-self.digits <= 5e-4 or abs(value) >= 1e7:
            return f"{value:.2e}".replace("-", "−")
        return show(value, self.digits)


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption; the last ``apart`` rows stand under a rule of their own."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    notes: tuple[str, ...] = ()
    apart: int = 0

    def cells(self) -> list[list[str]]:
        """What the rows say, as texts."""
        return [
            [column.cell(value) for column, value in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]

    def text(self) -> str:
        """Caption, aligned columns and notes, to paste."""
        body = self.cells()
        heads = [column.head for column in self.columns]
        widths = [max(map(len, texts)) for texts in zip(heads, *body, strict=True)]

        def line(texts: Sequence[str]) -> str:
            parts = [
                f"{text:<{width}}" if column.kind == "text" else f"{text:>{width}}"
                for text, width, column in zip(texts, widths, self.columns, strict=True)
            ]
            return "  ".join(parts).rstrip()

        rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
        lines = [line(texts) for texts in body]
        if self.apart:
            lines.insert(len(lines) - self.apart, rule)
        return "\n".join([self.caption, line(heads), rule, *lines, *self.notes])

    def html(self) -> str:
        """A ``<table>`` that needs no style sheet; every text escaped."""
        from html import escape  # takes longer to load than all of this module

        def row(texts: Sequence[str], tag: str, scope: str) -> str:
            cells = []
            for i, (text, column) in enumerate(zip(texts, self.columns, strict=True)):
                name = "th" if tag == "th" or i == 0 else "td"
                said = f' scope="{scope if tag == "th" else "row"}"' if name == "th" else ""
                side = "left" if column.kind == "text" else "right"
                cells.append(f'<{name}{said} style="text-align:{side}">{escape(text)}</{name}>')
            return f"<tr>{''.join(cells)}</tr>"

        body = [row(texts, "td", "row") for texts in self.cells()]
        cut = len(body) - self.apart
        parts = [
            f'<caption style="text-align:left">{escape(self.caption)}</caption>',
            f"<thead>{row([c.head for c in self.columns], 'th', 'col')}</thead>",
            f"<tbody>{''.join(body[:cut])}</tbody>",
        ]
        if self.apart:
            parts.append(f"<tbody>{''.join(body[cut:])}</tbody>")
        table = f"<table>{''.join(parts)}</table>"
        return table + "".join(f"<p><small>{escape(note)}</small></p>" for note in self.notes)

    def latex(self) -> str:
        """A ``table`` environment for the booktabs package."""
        form = "".join("l" if column.kind == "text" else "r" for column in self.columns)
        body = [" & ".join(map(latex, texts)) + r" \\" for texts in self.cells()]
        if self.apart:
            body.insert(len(body) - self.apart, r"\midrule")
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex(self.caption)}}}",
            rf"\begin{{tabular}}{{{form}}}",
            r"\toprule",
            " & ".join(latex(column.head) for column in self.columns) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            *(rf"\par\footnotesize {latex(note)}" for note in self.notes),
            r"\end{table}",
        ]
        return "\n".join(lines)


# Signs that LaTeX sets in mathematics, and those that it needs escaped.
_MATHS = {
    "−": "-",
    "<": "<",
    ">": ">",
    "|": "|",
    "²": "^2",
    "τ": r"\tau",
    "χ": r"\chi",
    "σ": r"\sigma",
    "ρ": r"\rho",
    "α": r"\alpha",
    "β": r"\beta",
    "ω": r"\omega",
    "×": r"\times",
    "±": r"\pm",
    "≥": r"\geq",
    "≤": r"\leq",
    "∞": r"\infty",
}
_TEXTS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
}


@cache
def _special() -> re.Pattern[str]:
    signs, texts = (re.escape("".join(known)) for known in (_MATHS, _TEXTS))
    return re.compile(f"([{signs}]+)|([{texts}])")


def latex(text: str) -> str:
    """Text for LaTeX: special characters escaped, a true minus and Greek letters as mathematics."""

    def put(match: re.Match[str]) -> str:
        if match[2]:
            return _TEXTS[match[2]]
        signs = "".join(_MATHS[sign] for sign in match[1])
        return "$" + re.sub(r"\^2(?=\^2)", "^2{}", signs) + "$"

    return _special().sub(put, text)


# Columns that are known by the names of the rows' cells.
_KNOWN = {
    "study": Column("Study", "text"),
    "label": Column("Study", "text"),
    "coefficient": Column("Coefficient", "text"),
    "part": Column("Part", "text"),
    "group": Column("Group", "text"),
    "quantity": Column("Quantity", "text"),
    "yi": Column("Effect"),
    "vi": Column("Variance", digits=4),
    "estimate": Column("Estimate"),
    "se": Column("SE"),
    "statistic": Column("Statistic", digits=2),
    "p": Column("p", "p"),
    "weight": Column("Weight", "percent"),
    "i2": Column("I²", "percent"),
    "tau2": Column("τ²"),
    "h2": Column("H²", digits=2),
    "q": Column("Q", digits=2),
    "q_p": Column("p of Q", "p"),
    "r2": Column("R²", "percent"),
    "df": Column("df"),
    "k": Column("k", "count"),
    "n": Column("n", "count"),
    "level": Column("Level", "percent"),
    "rstudent": Column("Deleted residual", digits=2),
    "rstandard": Column("Standardised residual", digits=2),
    "dffits": Column("DFFITS", digits=2),
    "cook": Column("Cook's distance"),
    "cov_ratio": Column("COVRATIO", digits=2),
    "tau2_deleted": Column("τ² without"),
    "q_deleted": Column("Q without", digits=2),
    "hat": Column("Leverage"),
    "dfbetas": Column("DFBETAS", digits=2),
    "blup": Column("BLUP"),
    "blup_interval": Column("Interval", "interval"),
    "prediction": Column("Prediction interval", "interval"),
}
_SIGNS = {"tau2": "τ²", "i2": "I²", "h2": "H²", "r2": "R²"}
_LOW, _HIGH = "_low", "_high"


def column_for(name: str) -> Column:
    """The column of a cell's name; an unknown one is its own heading, a p-value by its ending."""
    if name in _KNOWN:
        return _KNOWN[name]
    if name.endswith("_se") and name.removesuffix("_se"):
        return Column(f"SE of {column_for(name.removesuffix('_se')).head}")
    words = " ".join(_SIGNS.get(word, word) for word in name.split("_"))
    words = words if words.startswith("τ") else words[:1].upper() + words[1:]
    return Column(words, "p") if name.startswith("p_") or name.endswith("_p") else Column(words)


def table_of(
    caption: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    level: float | None = None,
    notes: Iterable[str] = (),
    apart: int = 0,
) -> Table:
    """A table of plain dicts with the same keys; ``x_low`` and ``x_high`` become one interval."""
    told = tuple(notes)
    if len(rows) > MOST:
        told = (*told, f"{len(rows) - MOST:,} further rows are not shown; frame() has them all")
        rows = rows[:MOST]
    columns: list[Column] = []
    keys: list[tuple[str, ...]] = []
    for name in dict.fromkeys(key for row in rows for key in row):
        if name.endswith(_HIGH):
            continue
        if name.endswith(_LOW):
            stem = name.removesuffix(_LOW)
            columns.append(Column(_interval_head(stem, level), "interval"))
            keys.append((name, stem + _HIGH))
            continue
        column = column_for(name)
        if any(isinstance(row.get(name), str) for row in rows):
            column = column._replace(kind="text")
        columns.append(column)
        keys.append((name,))
    cells = tuple(
        tuple(
            row.get(key[0]) if len(key) == 1 else _ends(row.get(key[0]), row.get(key[1]))
            for key in keys
        )
        for row in rows
    )
    return Table(caption, tuple(columns), cells, told, apart)


class Scaled(Protocol):
    """What is asked of an effect measure: its name, and the way back to the scale people read."""

    @property
    def label(self) -> str: ...
    def natural(self, y: Any) -> Any: ...


def natural_table(
    caption: str,
    measure: Scaled,
    rows: Sequence[Mapping[str, Any]],
    level: float,
    *,
    notes: Iterable[str] = (),
) -> Table:
    """Studies (``study``, ``yi``, ``ci_low``, ``ci_high``, ``weight``) on the natural scale.

    The rows from ``pooled`` on stand apart.
    """
    told = tuple(notes)
    names = [row["study"] for row in rows]
    apart = len(rows) - names.index("pooled") if "pooled" in names else 0
    if len(rows) > MOST:
        told = (*told, f"{len(rows) - MOST:,} studies are not shown; frame() has them all")
        rows = [*rows[: MOST - apart], *rows[len(rows) - apart :]]
    to = measure.natural
    cells = tuple(
        (
            row["study"],
            to(row["yi"]) if "yi" in row else None,
            (to(row["ci_low"]), to(row["ci_high"])),
            row.get("weight"),
        )
        for row in rows
    )
    columns = (
        Column("Study", "text"),
        Column(measure.label, digits=2),
        Column(f"{level:.0%} CI", "interval", 2),
        Column("Weight", "percent"),
    )
    return Table(caption, columns, cells, told, apart)


def _interval_head(stem: str, level: float | None) -> str:
    """``95% CI``, ``τ² CI``, or the name of what else has two ends."""
    if stem == "ci":
        return CI if level is None else f"{level:.0%} {CI}"
    if stem.endswith("_ci"):
        return f"{column_for(stem.removesuffix('_ci')).head} {CI}"
    return column_for(stem).head


def _ends(low: Any, high: Any) -> tuple[float, float] | None:
    return None if low is None or high is None else (float(low), float(high))


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, bool, int, float))


class Presented:
    """What every result can do with its rows.

    ``summary`` is a block to paste; notebooks show ``_repr_html_``; ``to_latex`` is for a paper,
    and ``frame`` for whatever comes next.
    """

    __slots__ = ()

    def rows(self) -> list[dict[str, Any]]:
        """One plain dict of the numbers and texts that the result holds."""
        row: dict[str, Any] = {}
        for name in (field.name for field in fields(self)):  # type: ignore[arg-type]  # results are dataclasses
            value = getattr(self, name)
            if _plain(value):
                row[name] = value
            elif isinstance(value, tuple) and len(value) == 2 and all(map(_is_float, value)):
                row[name + _LOW], row[name + _HIGH] = value
        return [row]

    def summary(self) -> str:
        """A block to paste: the tables and their notes."""
        return "\n\n".join(table.text() for table in self._tables())

    def _tables(self) -> tuple[Table, ...]:
        """The tables of the result: its rows, or for a single one its names and values."""
        rows, said = self.rows(), ""
        notes, level = getattr(self, "notes", ()), getattr(self, "level", None)
        if type(self).summary is not Presented.summary:
            said = self.summary()
        name = words_of(type(self).__name__) if not said or "\n" in said else said
        if len(rows) == 1:
            return (_standing(name, rows[0], notes, level),)
        return (table_of(name, rows, level=level, notes=notes),)

    def frame(self) -> pd.DataFrame:
        """The rows as a pandas DataFrame, every digit kept."""
        import pandas as pd

        return pd.DataFrame(self.rows())

    def to_latex(self) -> str:
        """The tables for a paper; needs the booktabs package."""
        return "\n\n".join(table.latex() for table in self._tables())

    def _repr_html_(self) -> str:
        return "\n".join(table.html() for table in self._tables())

    def __str__(self) -> str:
        return self.summary()


def _is_float(value: Any) -> bool:
    return isinstance(value, float) and not isinstance(value, bool)


def words_of(name: str) -> str:
    """A class name as words: ``Fail safe``, ``Rank test``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()


def _standing(
    caption: str, row: Mapping[str, Any], notes: Iterable[str], level: float | None
) -> Table:
    """One row as a table of names and values."""
    lying = table_of(caption, [row], level=level, notes=notes)
    texts = lying.cells()[0]
    pairs = tuple((column.head, text) for column, text in zip(lying.columns, texts, strict=True))
    return Table(caption, (Column("", "text"), Column("Value")), pairs, lying.notes)
