"""Faults in a PubMed line that PubMed itself swallows without a word.

Rules of the PubMed User Guide (https://pubmed.ncbi.nlm.nih.gov/help/): operators are upper case and
read strictly from left to right; a tag belongs to one term, never to a group; truncation needs four
characters, on the last word; proximity takes a quoted phrase without truncation in title,
title/abstract or affiliation.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

_TAG_NAMES = """
    all | all fields | ti | title | titl | tiab | title/abstract | tw | text word | text words |
    word | mh | mesh | mesh terms | majr | mj | mesh major topic | sh | subheading |
    mesh subheading | nm | supplementary concept | substance name | pa | pharmacological action |
    rn | ec/rn number | pt | ptyp | publication type | ot | other term | au | author | 1au |
    author - first | lastau | author - last | fau | full author name | auid |
    author - identifier | cn | corporate author | ir | investigator | fir |
    full investigator name | ed | editor | isbn | book | pubn | ad | affiliation | affl | ta |
    jour | journal | jo | jid | nlm unique id | vi | volume | ip | issue | pg | pagination | la |
    lang | language | pl | place of publication | aid | article identifier | lid | location id |
    doi | pmid | uid | dp | pdat | date - publication | epdat | electronic date of publication |
    ppdat | print date of publication | edat | date - entry | crdt | date - create | mhda |
    mesh date | date - mesh | dcom | date - completion | lr | mdat | date - modification | gr |
    grants and funding | grant number | si | secondary source id | ps |
    personal name as subject | cois | conflict of interest statements | tt |
    transliterated title | sb | subset | filter
"""
TAGS = frozenset(" ".join(name.split()) for name in _TAG_NAMES.split("|"))
PROXIMITY_TAGS = frozenset(
    ("ti", "title", "titl", "tiab", "title/abstract", "ad", "affiliation", "affl")
)
_NO_EXPLOSION_TAG_NAMES = """
    mh | mesh | mesh terms | majr | mj | mesh major topic | sh | subheading | mesh subheading |
    pt | ptyp | publication type
"""
NO_EXPLOSION_TAGS = frozenset(" ".join(name.split()) for name in _NO_EXPLOSION_TAG_NAMES.split("|"))
SHORTEST_STEM = 4  # characters before *; below it PubMed reads the * as a space

LOOK_ALIKES = {
    **dict.fromkeys("\u2217\uff0a\u204e\ufe61", "*"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\uff02", '"'),
    **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
    **dict.fromkeys("\u00a0\u2007\u202f\u2009\u3000", " "),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **dict.fromkeys("\u200b\u200c\u200d\ufeff\u00ad", ""),
    **dict.fromkeys("\uff08", "("),
    **dict.fromkeys("\uff09", ")"),
}

_OPERATORS = frozenset(("AND", "OR", "NOT"))
_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<quoted>"[^"]*")
    | (?P<tag>\[[^\[\]]*\])
    | (?P<open>\() | (?P<close>\))
    | (?P<word>[^\s"()\[\]]+)
    | (?P<stray>["\[\]])
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, the text in which it stands (to find its line), and what to write."""

    at: str
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Term:
    """A term as written: its text, whether it was quoted, and its tag without brackets."""

    text: str
    quoted: bool
    tag: str | None


def lint_terms(terms: str, *, alone: bool) -> list[Fault]:
    """Check one line of a block.

    Parameters
    ----------
    terms : str
        The line as PubMed would receive it.
    alone : bool
        Whether its block has no other line. Several lines are joined by OR, so that an AND or a NOT
        outside parentheses would take in the lines before it.

    Returns
    -------
    list of Fault
        In the order in which they stand; empty for a sound line.
    """
    faults = list(_look_alikes(terms))
    if faults:
        return faults  # a curly quote makes nonsense of all that follows
    unbalanced = list(_unbalanced(terms))
    if unbalanced:
        return unbalanced
    tokens = list(_tokens(terms, faults))
    for term in tokens:
        if isinstance(term, _Term):
            faults += _term_faults(term)
    faults += _structure(tokens, joined_by_or=not alone)
    return faults


def lint_combine(combine: str) -> list[Fault]:
    """Check the line that combines blocks and filters by ``#name``."""
    faults = list(_look_alikes(combine)) or list(_unbalanced(combine))
    if faults:
        return faults
    tokens: list[_Term | str] = []
    for word in re.findall(r"[()]|[^\s()]+", combine):
        if word in _OPERATORS or word in "()":
            tokens.append(word)
        elif re.fullmatch(r"#[a-z][a-z0-9_]*", word):
            tokens.append(_Term(word, False, None))
        elif word.upper() in _OPERATORS:
            faults.append(Fault(word, f"the operator {word!r} is not upper case", word.upper()))
            tokens.append(word.upper())
        else:
            faults.append(
                Fault(
                    word,
                    f"{word!r} is neither an operator nor the #name of a block or filter",
                    "give the terms a block of their own and name it, such as #bdnf",
                )
            )
            tokens.append(_Term(word, False, None))
    return faults + _structure(tokens, joined_by_or=False)


def _look_alikes(text: str) -> Iterator[Fault]:
    for char in dict.fromkeys(text):
        if char in LOOK_ALIKES:
            plain = LOOK_ALIKES[char]
            name = f"U+{ord(char):04X}"
            what = repr(plain) if plain.strip() else ("a plain space" if plain else "nothing")
            yield Fault(
                char,
                f"the character {name} only looks like one that PubMed knows, and PubMed is silent",
                f"write {what} in its place",
            )


def _unbalanced(text: str) -> Iterator[Fault]:
    if text.count('"') % 2:
        yield Fault('"', "a quotation mark has no partner", "close the phrase")
        return
    bare = re.sub(r'"[^"]*"', lambda m: " " * len(m.group()), text)
    for opening, closing, name in (("(", ")", "parenthesis"), ("[", "]", "square bracket")):
        depth = 0
        for char in bare:
            depth += (char == opening) - (char == closing)
            if depth < 0:
                yield Fault(closing, f"a closing {name} has no opening one", "remove it or open it")
                break
        if depth > 0:
            yield Fault(opening, f"an opening {name} is never closed", "close it")


def _tokens(terms: str, faults: list[Fault]) -> Iterator[_Term | str]:
    """Terms with their tags, operators in upper case and parentheses, in order."""
    words: list[str] = []
    quoted: str | None = None
    last = ""

    def pending(tag: str | None) -> Iterator[_Term]:
        nonlocal quoted
        if quoted is not None:
            yield _Term(quoted, True, tag)
        elif words:
            yield _Term(" ".join(words), False, tag)
        quoted = None
        words.clear()

    for match in _TOKEN.finditer(terms):
        kind, text = match.lastgroup, match.group()
        if kind == "space":
            continue
        if kind == "tag":
            if quoted is None and not words:
                where = "a group in parentheses" if last == "close" else "no term"
                faults.append(
                    Fault(
                        text,
                        f"the tag {text} stands after {where}, where PubMed does not apply it",
                        "tag each term",
                    )
                )
            yield from pending(text[1:-1].strip().lower())
        elif kind in ("open", "close"):
            yield from pending(None)
            yield text
        elif kind == "word" and (text in _OPERATORS or text in ("&", "|")):
            yield from pending(None)
            yield {"&": "AND", "|": "OR"}.get(text, text)
        elif kind == "word" and text.upper() in _OPERATORS:
            faults.append(
                Fault(
                    f" {text} ",
                    f"the operator {text!r} is not upper case, so PubMed takes it for a word",
                    f"write {text.upper()}, or quote the phrase",
                )
            )
            yield from pending(None)
            yield text.upper()
        elif kind == "quoted":
            yield from pending(None)
            quoted = text[1:-1]
        else:
            if quoted is not None:
                yield from pending(None)
            words.append(text)
        last = kind or ""
    yield from pending(None)


def _term_faults(term: _Term) -> Iterator[Fault]:
    text, shown = term.text, f'"{term.text}"' if term.quoted else term.text
    if term.tag is None:
        # A heading with its subheading needs no tag; hasabstract and the like are flags.
        is_plain = "/" in text or re.fullmatch(r"has[a-z]{4,}", text)
        if not is_plain:
            yield Fault(
                text,
                f"{shown} has no field tag, so PubMed would map and widen it in ways of its own",
                "tag it, such as [tiab] or [mh]",
            )
        name, suffix = "all", ""
    else:
        name, _, suffix = term.tag.partition(":")
        name = name.strip()
        yield from _tag_faults(term, shown, name, suffix.strip())
    if not text.strip():
        yield Fault('""' if term.quoted else text, "a term is empty", "write it or remove it")
    if "*" in text:
        yield from _truncation_faults(text, shown, is_proximity=suffix.startswith("~"))


def _tag_faults(term: _Term, shown: str, name: str, suffix: str) -> Iterator[Fault]:
    tag = f"[{term.tag}]"
    if name in ("ab", "abstract"):
        yield Fault(tag, f"{tag} is not a PubMed tag", "use [tiab], minus [ti] where it matters")
        return
    if name not in TAGS:
        near = difflib.get_close_matches(name, sorted(TAGS), n=1, cutoff=0.5)
        hint = f"did you mean [{near[0]}]?" if near else "use [tiab] or [mh], say"
        yield Fault(tag, f"{tag} is not a PubMed tag, and PubMed would not say so", hint)
        return
    if not suffix:
        return
    if suffix == "noexp":
        if name not in NO_EXPLOSION_TAGS:
            yield Fault(tag, f"{tag}: only headings explode", "remove :noexp or use [mh:noexp]")
    elif re.fullmatch(r"~\d{1,4}", suffix):
        if name not in PROXIMITY_TAGS:
            yield Fault(tag, f"{tag}: no proximity in this field", "use [tiab:~N] or [ti:~N]")
        if not term.quoted or len(term.text.split()) < 2:
            yield Fault(
                tag,
                f"{shown}{tag}: proximity needs a quoted phrase of two words or more",
                'write it as "word word"[tiab:~N]',
            )
    else:
        yield Fault(tag, f"{tag}: {suffix!r} is neither noexp nor ~N", "correct it")


def _truncation_faults(text: str, shown: str, *, is_proximity: bool) -> Iterator[Fault]:
    if is_proximity:
        yield Fault(
            text,
            f"{shown}: PubMed drops proximity beside a *",
            "spell the forms out",
        )
    if not text.endswith("*") or text.count("*") > 1:
        yield Fault(
            text, f"{shown}: only the end of the last word may be truncated", "use one final *"
        )
        return
    # Hyphens and the like become spaces, so that the stem is what follows the last of them.
    stem = re.split(r"[^\w']", text[:-1])[-1]
    if len(stem) < SHORTEST_STEM:
        yield Fault(
            text,
            f"{shown}: the stem before * has {len(stem)} characters and needs {SHORTEST_STEM}, "
            "else PubMed ignores the *",
            "list the forms",
        )


def _structure(tokens: list[_Term | str], *, joined_by_or: bool) -> list[Fault]:
    """Faults of order: operators without terms, terms without operators, mixed operators."""
    faults: list[Fault] = []
    levels: list[set[str]] = [set()]
    before: _Term | str | None = None
    for token in [*tokens, None]:
        is_operand_start = isinstance(token, _Term) or token == "("
        follows_operand = isinstance(before, _Term) or before == ")"
        if isinstance(token, str) and token in _OPERATORS:
            if not follows_operand:
                faults.append(Fault(token, f"{token} has nothing before it", "remove it"))
            levels[-1].add(token)
        elif is_operand_start and follows_operand:
            text = token.text if isinstance(token, _Term) else "("
            faults.append(
                Fault(text, f"no operator before {text!r}: PubMed would read AND", "write it")
            )
            levels[-1].add("AND")
        elif token in (")", None) and isinstance(before, str) and before in _OPERATORS:
            faults.append(Fault(before, f"{before} has nothing after it", "remove it"))
        elif token == ")" and before == "(":
            faults.append(Fault("(", "parentheses with nothing in them", "remove them"))
        if token == "(":
            levels.append(set())
        elif token in (")", None):
            used = levels.pop()
            if "OR" in used and len(used) > 1:
                faults.append(
                    Fault(
                        " OR ",
                        "OR beside AND or NOT without parentheses: PubMed reads strictly from left "
                        "to right",
                        "put parentheses around what belongs together",
                    )
                )
            elif token is None and joined_by_or and used - {"OR"}:
                faults.append(
                    Fault(
                        f" {min(used)} ",
                        f"the lines of a block are joined by OR, so this {min(used)} would take in "
                        "the lines before it",
                        "put parentheses around the whole line",
                    )
                )
        before = token
    return faults
