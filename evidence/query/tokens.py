"""A query cut into tokens, each with its place; look-alike characters read as what was meant.

Special characters are those of the PubMed User Guide, "PubMed character conversions".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from evidence.query.fields import field_of, is_flag
from evidence.query.findings import Finding, Places
from evidence.query.tree import Operator

TokenKind = Literal["word", "quoted", "tag", "open", "close", "operator", "colon", "set"]

# Characters that look like one that PubMed knows. Measured for U+2217, which is not truncation.
LOOK_ALIKES = {
    **dict.fromkeys("\u2217\uff0a\u204e\ufe61", "*"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\uff02", '"'),
    **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
    **dict.fromkeys("\u00a0\u2007\u202f\u2009\u3000", " "),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **dict.fromkeys("\u200b\u200c\u200d\ufeff\u00ad", ""),
    **dict.fromkeys("\uff08", "("),
    **dict.fromkeys("\uff09", ")"),
    **dict.fromkeys("\uff3b", "["),
    **dict.fromkeys("\uff3d", "]"),
}
_INVISIBLE = "".join(char for char, plain in LOOK_ALIKES.items() if not plain)
_ONE_FOR_ONE = {ord(char): plain for char, plain in LOOK_ALIKES.items() if plain}
_WITHOUT_INVISIBLE = dict.fromkeys(map(ord, _INVISIBLE))

OPERATORS: dict[str, Operator] = {"AND": "AND", "OR": "OR", "NOT": "NOT", "&": "AND", "|": "OR"}
_WORD = re.compile(r'[^\s"()\[\]&|]+')
_SET = re.compile(r"#(\d+)(?!\w)")
_NAMED_SET = re.compile(r"#(\d+|[a-z][a-z0-9_]*)(?![\w-])")
# Parentheses within a word, as in benzo(a)pyrene: no spaces around or inside.
_WITHIN = re.compile(r"\([^\s()\[\]\"&|]*\)")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text. ``text`` has no quotes, brackets, look-alikes or runs of spaces."""

    kind: TokenKind
    text: str
    start: int
    end: int


def tokens(
    text: str, places: Places, findings: list[Finding], *, named_sets: bool = False
) -> list[Token]:
    """Cut ``text`` into tokens; what cannot be read is reported and left out, never raised."""
    _look_alikes(text, places, findings)
    plain = text.translate(_ONE_FOR_ONE)
    found: list[Token] = []
    token: Token | None
    odd = plain.count('"') % 2 == 1
    at = 0
    while at < len(plain):
        char = plain[at]
        if char.isspace() or char in _INVISIBLE:
            at += 1
            continue
        if char == '"':
            token = _quoted(plain, at, places, findings, odd=odd)
            odd = odd and token.end > at and plain[token.end - 1] == '"'
        elif char == "[":
            token = _tag(plain, at, places, findings)
        elif char == "]":
            findings.append(
                places.finding(
                    "unbalanced-bracket",
                    "error",
                    at,
                    at + 1,
                    "a closing square bracket has no opening one",
                    "remove it or open it",
                    "",
                )
            )
            at += 1
            continue
        elif char in "()":
            token = Token("open" if char == "(" else "close", char, at, at + 1)
        elif char in "&|":
            token = _symbol(plain, at, places, findings)
        elif char == ":" and found and found[-1].kind in ("tag", "quoted"):
            token = Token("colon", ":", at, at + 1)
        elif match := (_NAMED_SET if named_sets else _SET).match(plain, at):
            token = Token("set", match.group(1), at, match.end())
        else:
            token = _word(plain, at)
        if token is None:
            at += 1
            continue
        if token.text or token.kind in ("quoted", "tag"):
            found.append(token)
        at = max(token.end, at + 1)
    return found


def clean(text: str) -> str:
    """A stretch of the text as it was meant: no look-alikes, no runs of spaces."""
    return " ".join(text.translate(_ONE_FOR_ONE).translate(_WITHOUT_INVISIBLE).split())


def tag_within(inside: str) -> re.Match[str] | None:
    """The first known tag in a quoted text: a quotation mark is missing before it."""
    for match in re.finditer(r"\[([^\[\]]*)\]", inside):
        if field_of(match.group(1).partition(":")[0]):
            return match
    return None


def _look_alikes(text: str, places: Places, findings: list[Finding]) -> None:
    if text.isascii():
        return
    for at, char in enumerate(text):
        if char not in LOOK_ALIKES:
            continue
        plain = LOOK_ALIKES[char]
        what = repr(plain) if plain.strip() else ("a plain space" if plain else "nothing")
        findings.append(
            places.finding(
                "look-alike",
                "warning" if plain == "'" else "error",
                at,
                at + 1,
                f"the character U+{ord(char):04X} only looks like one that PubMed knows, "
                "and PubMed is silent",
                f"write {what} in its place",
                plain,
            )
        )


def _quoted(plain: str, at: int, places: Places, findings: list[Finding], *, odd: bool) -> Token:
    """A phrase in quotation marks; without a partner it ends where its tag begins."""
    close = plain.find('"', at + 1)
    inside = plain[at + 1 : close] if close >= 0 else plain[at + 1 :]
    tag = tag_within(inside) if odd else None
    if tag is not None:  # one of the marks has no partner, and it is this one
        close = -1
        inside = inside[: tag.start()]
    if close >= 0:
        return Token("quoted", clean(inside), at, close + 1)
    end = at + 1 + len(inside.split("\n\n")[0].rstrip())
    findings.append(
        places.finding(
            "unbalanced-quote",
            "error",
            at,
            end,
            "a quotation mark has no partner",
            "close the phrase",
            plain[at:end] + '"',
        )
    )
    return Token("quoted", clean(plain[at + 1 : end]), at, end)


def _tag(plain: str, at: int, places: Places, findings: list[Finding]) -> Token | None:
    match = re.compile(r"\[([^\[\]\"]*)\]").match(plain, at)
    if match:
        return Token("tag", clean(match.group(1)), at, match.end())
    name = re.compile(r"\[([^\[\]()\"\s]*)").match(plain, at)
    end = name.end() if name else at + 1
    text = name.group(1) if name else ""
    known = field_of(text.partition(":")[0]) is not None
    findings.append(
        places.finding(
            "unbalanced-bracket",
            "error",
            at,
            end if known else at + 1,
            "an opening square bracket is never closed",
            "close it",
            f"[{text}]" if known else None,
        )
    )
    return Token("tag", clean(text), at, end) if known else None


def _symbol(plain: str, at: int, places: Places, findings: list[Finding]) -> Token:
    """& and | are operators wherever they stand, also in the middle of a word."""
    before, after = plain[at - 1 : at], plain[at + 1 : at + 2]
    if before.isalnum() and after.isalnum():
        findings.append(
            places.finding(
                "operator-in-word",
                "warning",
                at,
                at + 1,
                f"PubMed reads {plain[at]} as {OPERATORS[plain[at]]}, also within a word",
                "write a space where it is part of a name, or the operator in letters",
                " ",
            )
        )
    return Token("operator", OPERATORS[plain[at]], at, at + 1)


def _is_plain(word: str) -> bool:
    """Whether a word is nothing else: no operator in any case, no switch, no history line."""
    word = clean(word)
    return bool(word) and not (word.upper() in OPERATORS or is_flag(word) or word[0] in "#:")


def _word(plain: str, at: int) -> Token:
    match = _WORD.match(plain, at)
    assert match is not None  # the caller saw a character that may stand in a word
    end = match.end()
    text = match.group()
    if text in OPERATORS:
        return Token("operator", OPERATORS[text], at, end)
    while _is_plain(text) and (within := _WITHIN.match(plain, end)):
        following = _WORD.match(plain, within.end())
        inside, tail = within.group()[1:-1], following.group() if following else ""
        if not _is_plain(inside) or (tail and not _is_plain(tail)):
            break
        end = following.end() if following else within.end()
        text = tail or inside
    cleaned = clean(plain[at:end].replace("(", " ").replace(")", " "))
    if cleaned in OPERATORS:  # with an invisible character in it
        return Token("operator", OPERATORS[cleaned], at, end)
    return Token("word", cleaned, at, end)
