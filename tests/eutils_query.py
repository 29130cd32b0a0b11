"""Enough of PubMed's query language for the loopback server: left to right, tags, truncation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from tests.eutils_records import Article

_TOKEN = re.compile(
    r"""\s*(?: (?P<open>\() | (?P<close>\)) | (?P<op>AND\b|OR\b|NOT\b)
      | (?P<term>"[^"]*" | [^\s()"\[\]]+) \s* (?P<tag>\[[^\]]*\])? )""",
    re.VERBOSE,
)
_TEXT = ("", "tiab", "title/abstract", "tw", "text word", "all", "all fields")
_MESH = ("mh", "mesh", "mesh terms", "majr", "mesh major topic")


class QueryError(ValueError):
    """A query that cannot be read."""


class Query:
    """A parsed query. ``not_found`` and ``unknown_tags`` are filled by `run`."""

    def __init__(self, text: str) -> None:
        self._tokens = self._lex(text)
        self._at = 0
        self.not_found: list[str] = []
        self.unknown_tags: list[str] = []
        self._tree = self._expression()
        if self._at < len(self._tokens):
            raise QueryError("syntax error: unbalanced parentheses")

    def run(
        self, articles: list[Article], matches: Callable[[str, Article], bool] | None = None
    ) -> set[str]:
        """The PMIDs found; ``matches`` decides all terms but ``[uid]`` and ``[lr]``."""
        self.not_found, self.unknown_tags = [], []
        if matches is not None:
            return self._with_callback(articles, matches)
        everything = {a.pmid: a for a in articles}
        return self._find(self._tree, everything)

    def _with_callback(
        self, articles: Iterable[Article], matches: Callable[[str, Article], bool]
    ) -> set[str]:
        words = " ".join(
            t[1] if t[0] == "term" else t[0]
            for t in self._tokens
            if not (t[0] == "term" and t[2] in ("uid", "lr"))
        )
        narrowing = [
            _predicate(t[1], t[2]) for t in self._tokens if t[0] == "term" and t[2] in ("uid", "lr")
        ]
        return {a.pmid for a in articles if all(has(a) for has in narrowing) and matches(words, a)}

    @staticmethod
    def _lex(text: str) -> list[tuple[str, str, str]]:
        tokens, position = [], 0
        text = text.strip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if not match:
                raise QueryError(f"syntax error at {text[position : position + 20]!r}")
            position = match.end()
            if match["open"] or match["close"]:
                tokens.append((match["open"] or match["close"], "", ""))
            elif match["op"]:
                tokens.append((match["op"], "", ""))
            else:
                tag = (match["tag"] or "[]")[1:-1].strip().lower()
                tokens.append(("term", match["term"], tag))
        return _joined(tokens)

    def _expression(self) -> tuple[object, ...]:
        left = self._operand()
        while self._at < len(self._tokens) and self._tokens[self._at][0] != ")":
            operator = "AND"
            if self._tokens[self._at][0] in ("AND", "OR", "NOT"):
                operator = self._tokens[self._at][0]
                self._at += 1
            left = (operator, left, self._operand())
        return left

    def _operand(self) -> tuple[object, ...]:
        if self._at >= len(self._tokens):
            raise QueryError("syntax error: something is missing at the end")
        kind, text, tag = self._tokens[self._at]
        self._at += 1
        if kind == "(":
            inside = self._expression()
            if self._at >= len(self._tokens):
                raise QueryError("syntax error: unbalanced parentheses")
            self._at += 1
            return inside
        if kind != "term":
            raise QueryError(f"syntax error at {kind}")
        return ("term", text, tag)

    def _find(self, node: tuple[object, ...], within: dict[str, Article]) -> set[str]:
        kind, left, right = node
        if kind == "term":
            text, tag = str(left), str(right)
            known = tag.split(":")[0] in (*_TEXT, *_MESH, "ti", "title", "pt", "la", "uid", "lr")
            if not known and tag not in (
                "doi",
                "aid",
                "edat",
                "crdt",
                "pmid",
                "dp",
                "ab",
                "mdat",
                "sb",
                "ot",
                "nm",
            ):
                self.unknown_tags.append(tag)
            has = _predicate(text, tag)
            found = {pmid for pmid, article in within.items() if has(article)}
            if not found and tag not in ("uid", "lr", "edat", "dp", "sb"):
                self.not_found.append(text)
            return found
        a, b = self._find(left, within), self._find(right, within)  # type: ignore[arg-type]
        return a & b if kind == "AND" else a | b if kind == "OR" else a - b


def _joined(tokens: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Words that stand side by side and end in a tag are one term: ``interval training[ti]``."""
    result: list[tuple[str, str, str]] = []
    for kind, text, tag in tokens:
        before = result[-1] if result else ("", "", "")
        plain = not text.startswith('"') and not before[1].startswith('"')
        if kind == "term" and before[0] == "term" and not before[2] and plain:
            result[-1] = ("term", f"{before[1]} {text}", tag)
        else:
            result.append((kind, text, tag))
    return result


def _predicate(term: str, tag: str) -> Callable[[Article], bool]:
    """Whether an article has the term in the field of the tag."""
    text = term.strip('"').lower()
    name, _, option = tag.partition(":")
    if name in ("uid", "pmid"):
        first, _, last = text.partition(":")
        low, high = int(first), int(last or first)
        return lambda article: low <= int(article.pmid) <= high
    if name in ("doi", "aid"):
        return lambda article: text in (article.doi or "").lower().split()
    if name in ("lr", "mdat", "edat", "crdt"):  # an invented record has one date for all
        since, _, until = text.replace("/", "-").partition(":")
        return lambda article: since <= article.revised.isoformat() <= (until or since)
    if name == "dp":
        years = [int(part[:4]) for part in text.split(":")]
        return lambda article: years[0] <= article.year <= years[-1]
    if name == "sb":
        return lambda article: True
    if name in _MESH:
        return lambda article: text in article.headings
    if name == "pt":
        return lambda article: text in [kind.lower() for kind in article.all_kinds]
    if name == "la":
        return lambda article: article.language.startswith(text[:3])
    # A final * ends a stem; "a b"[tiab:~3] asks for its words wherever they stand.
    words = re.findall(r"\w+", text)
    parts = words if option.startswith("~") else [" ".join(words)]
    needles = [f" {part}" if text.endswith("*") else f" {part} " for part in parts]
    if not words:
        return lambda article: False
    if name in ("ti", "title"):
        return lambda article: all(needle in article.title_words for needle in needles)
    return lambda article: all(needle in article.words for needle in needles)
