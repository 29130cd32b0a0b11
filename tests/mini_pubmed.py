"""A small reader of PubMed lines for tests: strictly left to right, exact headings, no mapping."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r'\s*(\(|\)|AND\b|OR\b|NOT\b|"[^"]*"\[[^\]]*\]|[^\s()\[\]"]+\[[^\]]*\]|[^()\[\]"]+?\[[^\]]*\])'
)


@dataclass(frozen=True)
class Paper:
    """What a record offers to the line: its text and its headings with their parents."""

    text: str
    headings: frozenset[str] = frozenset()

    @property
    def words(self) -> list[str]:
        return re.findall(r"\w+", self.text.lower())


def matches(query: str, paper: Paper) -> bool:
    """Whether the paper is in the set of the query."""
    tokens = _tokens(query)
    found, rest = _expression(tokens, paper)
    assert not rest, rest
    return found


def _tokens(query: str) -> list[str]:
    tokens, at = [], 0
    query = query.strip()
    while at < len(query):
        match = _TOKEN.match(query, at)
        assert match, query[at : at + 40]
        tokens.append(match.group(1))
        at = match.end()
    return tokens


def _expression(tokens: list[str], paper: Paper) -> tuple[bool, list[str]]:
    value, tokens = _operand(tokens, paper)
    while tokens and tokens[0] in ("AND", "OR", "NOT"):
        operator = tokens[0]
        right, tokens = _operand(tokens[1:], paper)
        if operator == "AND":
            value = value and right
        elif operator == "OR":
            value = value or right
        else:
            value = value and not right
    return value, tokens


def _operand(tokens: list[str], paper: Paper) -> tuple[bool, list[str]]:
    if tokens[0] == "(":
        value, tokens = _expression(tokens[1:], paper)
        assert tokens[0] == ")"
        return value, tokens[1:]
    return _term(tokens[0], paper), tokens[1:]


def _term(token: str, paper: Paper) -> bool:
    text, _, tag = token.rstrip("]").rpartition("[")
    text = text.strip().strip('"').lower()
    name, _, suffix = tag.partition(":")
    if name in ("mh", "pt", "sh"):
        return text in {heading.lower() for heading in paper.headings}
    assert name == "tiab", token
    wanted = re.findall(r"[\w*]+", text)
    words = paper.words
    if suffix.startswith("~"):
        return _near(wanted, words, int(suffix[1:]))
    return any(
        all(_same(w, word) for w, word in zip(wanted, words[i:], strict=False))
        for i in range(len(words) - len(wanted) + 1)
    )


def _same(wanted: str, word: str) -> bool:
    return word.startswith(wanted[:-1]) if wanted.endswith("*") else word == wanted


def _near(wanted: list[str], words: list[str], distance: int) -> bool:
    """All words, in any order, within a window that holds ``distance`` others."""
    size = len(wanted) + distance
    return any(all(w in words[i : i + size] for w in wanted) for i in range(max(1, len(words) - 1)))
