"""Titles, names, journals and pages brought into forms that can be compared across databases."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache

_LETTERS = str.maketrans(
    {
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "ł": "l",
        "þ": "th",
        "ß": "ss",
        "æ": "ae",
        "œ": "oe",
        "ı": "i",
        "ŋ": "n",
        "µ": " mu ",
        "’": "'",
        "‘": "'",
        "ʼ": "'",
        "®": " ",
        "™": " ",
        "©": " ",
        "\u00ad": "",
        "\u200b": "",
    }
)
_GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho"
    " sigma sigma tau upsilon phi chi psi omega"
)
_GREEK = str.maketrans(
    {chr(0x3B1 + place): f" {name} " for place, name in enumerate(_GREEK_NAMES.split())}
)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,40}>")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_NUMBERED = re.compile(r"\d+|[^\W\d_]+")


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """Lower case, no accents, Greek letters by name: "β-Blocker" is " beta -blocker"."""
    if text.isascii():
        return text.casefold()
    text = text.casefold().translate(_LETTERS).translate(_GREEK)
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


_BRITISH = (
    (re.compile(r"(?<=[a-z])aem"), "em"),
    (re.compile(r"oe(?=[dmps])"), "e"),
    (re.compile(r"ae(?=[dmst])"), "e"),
    (re.compile(r"(?<=[a-z]{2})our(?=$|s|al|e|i|a)"), "or"),
    (re.compile(r"(?<=[a-z]{2})is(?=ation|e$|ed$|es$|ing$)"), "iz"),
    (re.compile(r"ys(?=e$|ed$|es$|ing$)"), "yz"),
    (re.compile(r"(?<=[a-z]{3})tre$"), "ter"),
    (re.compile(r"(?<=[a-z]{2})ll(?=ed$|ing$)"), "l"),
    (re.compile(r"gramme"), "gram"),
    (re.compile(r"sulph"), "sulf"),
)


@lru_cache(maxsize=200_000)
def american(word: str) -> str:
    """British spelling as American, roughly; both sides of a comparison go through it."""
    for pattern, to in _BRITISH:
        word = pattern.sub(to, word)
    return word


def title_words(title: str) -> tuple[str, ...]:
    """The words of a title; markup, brackets around it and marks of its state are left out."""
    text = html.unescape(_TAG.sub("", title)) if "<" in title or "&" in title else title
    text = _STATE.sub("", text.strip().strip("[]").strip())
    words = []
    for word in _WORD.findall(fold(text)):
        word = word.replace("'s", "s").replace("'", "")
        parts = _NUMBERED.findall(word) if any(c.isdigit() for c in word) else (word,)
        words += [american(part) for part in parts]
    while len(words) > 1 and words[0] in ("the", "a", "an"):
        del words[0]
    return tuple(words)


# The article itself, marked by its journal or its database; the notice about it says "retraction".
_STATE = re.compile(
    r"(?i)^(?:\W*(?:retracted(?: article| paper)?|withdrawn|expired|temporary removal)"
    r"\W*[:.\]]\s*)+"
    r"|\s*\[(?:abstract|review|corrected|see comments?|editorial|letter|published erratum[^\]]*"
    r"|article in [a-z ]+|in process citation|retracted)\]\W*$"
)

# What makes one of two works with the same words another work: an erratum, a reply, a protocol.
_MARKERS = (
    (
        "erratum",
        r"^(?:(?:author|publisher|editorial) )?(?:erratum|errata|corrigend(?:um|a)|correction"
        r"|addendum)\b|\b(?:erratum|corrigendum|addendum)$"
        r"|^correct(?:ion|ed|ing)s? (?:to|of|for)\b",
    ),
    ("retraction", r"^(?:notice of )?retraction\b|\bretraction notice\b|^removal notice\b"),
    ("concern", r"\bexpression of concern\b"),
    (
        "reply",
        r"^(?:the )?(?:authors?|in|a)?\s?(?:reply|response|rejoinder)\b"
        r"|\bauthors? (?:reply|response)\b|\breply$",
    ),
    (
        "comment",
        r"^(?:re|comments?|commentary|invited commentary|editorial comment(?:ary)?|discussion"
        r"|letter|letters|letter to the editor|editorial|critique)\b(?: (?:on|to|regarding|of|re))?"
        r"|\bcomment(?:ary)? on\b|\b(?:letter to the editor|commentary|editorial)$",
    ),
    ("protocol", r"\b(?:study |trial |review )?protocol\b|\bstatistical analysis plan\b"),
    ("follow-up", r"\b(?:follow ?up|long ?term results?|extension study|secondary analysis)\b"),
    ("update", r"\bupdated?\b"),
    ("pilot", r"\bpilot\b"),
    ("abstract", r"^(?:abstract|poster|oral|op|p|o)s? ?\d+\b|\bconference abstract\b"),
    ("summary", r"\b(?:executive summary|plain language summary|summary for patients|synopsis)\b"),
)
_MARKED = tuple((name, re.compile(pattern)) for name, pattern in _MARKERS)


def markers(words: tuple[str, ...]) -> frozenset[str]:
    """What a title says that the work is, beside its subject."""
    text = " ".join(words)
    return frozenset(name for name, pattern in _MARKED if pattern.search(text))


_ROMAN = {
    name: str(number)
    for number, name in enumerate(
        ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii"), 1
    )
}
_ORDINAL = {
    "first": "1",
    "second": "2",
    "third": "3",
    "fourth": "4",
    "fifth": "5",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
}
_BEFORE_NUMBER = frozenset(
    {"part", "phase", "stage", "type", "grade", "class", "no", "paper", "case"}
)


def numbers(words: tuple[str, ...]) -> tuple[str, ...]:
    """The numbers of a title in order: figures, Roman numerals, "part two"."""
    found: list[str] = []
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        if word.isdigit():
            found.append(word.lstrip("0") or "0")
        elif word in _ROMAN and (
            len(word) > 1 or before in _BEFORE_NUMBER or place == len(words) - 1
        ):
            found.append(_ROMAN[word])
        elif before in _BEFORE_NUMBER and word in _ORDINAL:
            found.append(_ORDINAL[word])
        elif before in _BEFORE_NUMBER and len(word) == 1:
            found.append(word)
    return tuple(found)


Person = tuple[frozenset[str], str]  # words of the family name, initials

_PARTICLE_WORDS = "da de del della den der di do dos das du el ibn bin la le al ten ter van von"
_PARTICLES = frozenset(_PARTICLE_WORDS.split())
_SUFFIX = frozenset({"jr", "sr", "ii", "iii", "iv", "2nd", "3rd", "md", "phd", "msc", "dr", "prof"})
_UMLAUTS = (("ae", "a"), ("oe", "o"), ("ue", "u"))


def person(name: str) -> Person:
    """A name in any usual order: the words that may be the family name, and initials.

    "Smith, John A", "Smith JA", "John A. Smith" and "SMITH J.A." are all ({smith}, "ja"). Without
    a comma and without initials either end may be the family name, and both are kept.
    """
    head, comma, tail = name.partition(",")
    if comma:
        family = _name_words(head)
        return frozenset(family) - _PARTICLES or frozenset(family), _initials(tail)
    raw = name.replace(".", ". ").split()
    raw = [w for w in raw if fold(w).strip(".") not in _SUFFIX]
    short = [_is_initials(w) for w in raw]
    if len(raw) > 1 and any(short) and not all(short):
        family = [f for w, s in zip(raw, short, strict=True) if not s for f in _name_words(w)]
        given = [w for w, s in zip(raw, short, strict=True) if s]
        if (short[0] and not short[-1]) or (short[1:-1].count(True) and not short[-1]):
            last = _name_words(raw[-1])  # "John A. Smith", "J. A. Smith"
            first = list(raw[:-1])
            return frozenset(last), _initials(" ".join(first))
        return frozenset(family) - _PARTICLES or frozenset(family), _initials(" ".join(given))
    words = [f for w in raw for f in _name_words(w)]
    return frozenset(words) - _PARTICLES or frozenset(words), ""


def _is_initials(word: str) -> bool:
    bare = word.replace(".", "").replace("-", "")
    return 0 < len(bare) <= 3 and bare.isupper() and bare.isalpha()


def _initials(given: str) -> str:
    """First letters; capitals that stand together are initials each: "JA" is "ja"."""
    letters = []
    for word in re.findall(r"[^\W\d_]+", given):
        if word.isupper() and len(word) <= 3:
            letters.append(fold(word))
        elif fold(word) not in _SUFFIX:
            letters.append(fold(word)[:1])
    return "".join(letters)


def _name_words(text: str) -> list[str]:
    folded = fold(text).replace("'", "")
    words = re.findall(r"[^\W\d_]+", folded)
    for two, one in _UMLAUTS:
        words = [w.replace(two, one) for w in words]
    return [w for w in words if w not in _SUFFIX]


_SMALL_WORDS = "the a an of and for in on to de la le les des du der die das und et y e di"
_SMALL = frozenset(_SMALL_WORDS.split())


def journal_words(name: str) -> tuple[str, ...]:
    """The words of a journal's name; a subtitle and a place in brackets are left out."""
    text = re.sub(r"\([^)]*\)|\[[^\]]*\]", " ", fold(name))
    text = re.split(r"\s[:=/]\s|: |;", text)[0].replace("&", " ").replace("'", "")
    return tuple(w for w in re.findall(r"[^\W_]+", text) if w not in _SMALL)


@lru_cache(maxsize=20_000)
def same_journal(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Whether two names are of one journal: equal, abbreviated word by word, or as initials."""
    if a == b:
        return True
    short, long = sorted((a, b), key=lambda words: (len("".join(words)), words))
    if len(short) == 1 and len(long) > 1 and short[0] == "".join(w[0] for w in long):
        return True  # JAMA, BMJ
    at = 0
    for word in short:
        while at < len(long) and not _abbreviates(word, long[at]):
            at += 1
        if at == len(long):
            return False
        at += 1
    return len(short) >= (2 if len(long) > 1 else 1) and len(long) - len(short) <= 2


def _abbreviates(short: str, long: str) -> bool:
    """ "hosp" of "hospital", "natl" of "national": same beginning, letters in order."""
    if long.startswith(short) or short.startswith(long):
        return True
    if short[:1] != long[:1]:
        return False
    at = 0
    for letter in short:
        at = long.find(letter, at) + 1
        if not at:
            return False
    return True


_PAGE = re.compile(r"([a-z]*)\s*(\d+)([a-z]?\d*)")


def page_range(pages: str) -> tuple[str, str]:
    """First and last page, "123-9" as 123 and 129; ("", "") where there is none."""
    text = re.sub(r"[\u2010-\u2015\u2212]", "-", fold(pages))
    text = re.sub(r"^(?:pp?|pages?|article(?: id| no| number)?)\b[.: ]*", "", text.strip())
    first_text, _, last_text = re.split(r"[;,]", text)[0].partition("-")
    first, last = (_PAGE.search(part) for part in (first_text, last_text))
    if first is None:
        return "", ""
    letters, number, tail = first.groups()
    start = f"{letters}{number.lstrip('0') or '0'}{tail}"
    if last is None:
        return start, ""
    digits = last.group(2)
    if len(digits) < len(number) and (letters or not last.group(1)):
        digits = number[: len(number) - len(digits)] + digits
    return start, f"{letters}{digits.lstrip('0') or '0'}"


def bare_number(text: str) -> str:
    """A volume or an issue without words, zeros and blanks: "Vol. 012" is "12", so is "12(3)"."""
    folded = re.sub(r"^([^()]*\w[^()]*)\(.*", r"\1", fold(text))
    folded = re.sub(r"[\u2010-\u2015\u2212]", "-", folded)
    folded = re.sub(r"\b(?:volume|vol|v|no|number|issue|nr|bd|t)\b\.?", " ", folded)
    folded = re.sub(r"\bsupp?l?(?:ement)?s?\b\.?", "s", folded)
    words = re.findall(r"[^\W_]+", folded)
    return "".join(w.lstrip("0") or "0" if w.isdigit() else w for w in words)
