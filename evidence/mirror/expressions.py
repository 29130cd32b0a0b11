"""Questions in the words of FTS5."""

from __future__ import annotations

from collections.abc import Sequence

from evidence.mirror.rows import OTHER, TIAB, WIDTH
from evidence.query.plan import InWords, Joined, Near, Plan


def expression(asked: Plan, depth: int) -> str | None:
    """A question as an expression on title, abstract and keywords; None if it is about more."""
    if isinstance(asked, InWords):
        if asked.pattern.words and set(asked.parts) <= set(TIAB):
            return within("tiab", asked.parts, phrase(asked))
        return None
    if isinstance(asked, Near):
        if is_exact(asked) and set(asked.parts) <= set(TIAB):
            return within("tiab", asked.parts, near(asked.words, asked))
        return None
    if isinstance(asked, Joined) and depth > 0:
        parts = []
        for part in asked.parts:
            text = expression(part, depth - 1)
            if text is None:
                return None
            parts.append(text)
        if asked.operator == "NOT":
            return f"({parts[0]} NOT ({' OR '.join(parts[1:])}))"
        return f"({f' {asked.operator} '.join(parts)})"
    return None


def within(index: str, parts: Sequence[str], text: str) -> str:
    """The expression, restricted to parts unless they are all that the index has."""
    every = TIAB if index == "tiab" else OTHER
    if set(every) <= set(parts):
        return text
    return f"{{{' '.join(parts)}}} : {text}"


def phrase(asked: InWords) -> str:
    # The words are letters and digits only.
    text = f'"{" ".join(asked.pattern.words)}"'
    return f"{text} *" if asked.pattern.is_prefix else text


def near(words: Sequence[str], asked: Near) -> str:
    """Records that may answer: all words in a stretch, in FTS5's way of counting.

    FTS5 counts every word between the first and the last, PubMed only those that were not asked
    for: N becomes N + k - 2.
    """
    if len(words) == 1:
        return f'"{words[0]}"'
    if asked.across:
        return f"({' AND '.join(map(quoted, words))})"
    most = min(asked.most + len(asked.words) - 2, 1_000_000)
    return f"NEAR({' '.join(map(quoted, words))}, {most})"


def is_exact(asked: Near) -> bool:
    """Whether the index decides by itself.

    It takes one place for a word that is wanted twice, and two texts of a part for one if so many
    words may stand between that the borders count as such.
    """
    size = len(asked.words)
    return not asked.across and size == len(set(asked.words)) and asked.most + size - 2 < WIDTH


def quoted(word: str) -> str:
    return f'"{word[:-1]}" *' if word.endswith("*") else f'"{word}"'
