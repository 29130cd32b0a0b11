"""Porter's suffix stripping: English words to stems.

Written from the rules in Porter (1980), An algorithm for suffix stripping, Program 14(3):130-137,
with the two departures that the author later recommended: ``-abli`` is handled as ``-bli`` and
``-logi`` loses its last letter; words of one or two letters stay as they are.
"""

from __future__ import annotations

from functools import lru_cache

# Suffix to replacement, longest first where one ends in another. Applied when the rest of the word
# has at least one vowel-consonant pair (m > 0).
STEP_2 = (
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("logi", "log"),
)
STEP_3 = (
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
)
# Removed when the rest has more than one vowel-consonant pair (m > 1).
STEP_4 = (
    "al",
    "ance",
    "ence",
    "er",
    "ic",
    "able",
    "ible",
    "ant",
    "ement",
    "ment",
    "ent",
    "ion",
    "ou",
    "ism",
    "ate",
    "iti",
    "ous",
    "ive",
    "ize",
)


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """The stem of one word in lower case.

    Parameters
    ----------
    word : str
        Letters in lower case. Words with anything but a to z (digits, accents, other scripts) come
        back unchanged: the rules are about English.

    Returns
    -------
    str
        A stem that inflected forms share; not always a word itself.
    """
    if len(word) <= 2 or not (word.isascii() and word.isalpha()):
        return word
    for step in (_plural, _past, _final_y, _double_suffix, _suffix_3, _suffix_4, _final_e):
        word = step(word)
    return word


_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_KINDS = str.maketrans(
    _LETTERS, "".join("v" if x in "aeiou" else "y" if x == "y" else "c" for x in _LETTERS)
)


def _kinds(text: str) -> str:
    """The word as a string of v (vowel) and c (consonant); y after a consonant is a vowel."""
    kinds = text.translate(_KINDS)
    while "y" in kinds:
        before, _, after = kinds.partition("y")
        kinds = f"{before}{'v' if before.endswith('c') else 'c'}{after}"
    return kinds


def _measure(text: str) -> int:
    """Porter's m: how often a run of vowels is followed by a consonant."""
    return _kinds(text).count("vc")


def _has_vowel(text: str) -> bool:
    return "v" in _kinds(text)


def _doubled(text: str) -> bool:
    return len(text) > 1 and text[-1] == text[-2] and _kinds(text).endswith("c")


def _short_end(text: str) -> bool:
    """Consonant, vowel, consonant at the end (Porter's *o), the last not w, x or y."""
    return _kinds(text).endswith("cvc") and text[-1] not in "wxy"


def _plural(word: str) -> str:
    if word.endswith(("sses", "ies")):
        return word[:-2]
    if word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word


def _past(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for suffix in ("ed", "ing"):
        if word.endswith(suffix):
            rest = word.removesuffix(suffix)
            return _mended(rest) if _has_vowel(rest) else word
    return word


def _mended(rest: str) -> str:
    """What remains after -ed or -ing: hopp to hop, fil to file, conflat to conflate."""
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if _doubled(rest) and rest[-1] not in "lsz":
        return rest[:-1]
    if _measure(rest) == 1 and _short_end(rest):
        return rest + "e"
    return rest


def _final_y(word: str) -> str:
    return word[:-1] + "i" if word.endswith("y") and _has_vowel(word[:-1]) else word


_ENDS_2, _ENDS_3 = (tuple(suffix for suffix, _ in step) for step in (STEP_2, STEP_3))


def _double_suffix(word: str) -> str:
    return _replaced(word, STEP_2) if word.endswith(_ENDS_2) else word


def _suffix_3(word: str) -> str:
    return _replaced(word, STEP_3) if word.endswith(_ENDS_3) else word


def _replaced(word: str, rules: tuple[tuple[str, str], ...]) -> str:
    # Only the first suffix that fits is tried, even when its condition then fails.
    for suffix, new in rules:
        if word.endswith(suffix):
            rest = word.removesuffix(suffix)
            return rest + new if _measure(rest) > 0 else word
    return word


def _suffix_4(word: str) -> str:
    if not word.endswith(STEP_4):
        return word
    for suffix in STEP_4:
        if word.endswith(suffix):
            rest = word.removesuffix(suffix)
            removable = _measure(rest) > 1 and (suffix != "ion" or rest.endswith(("s", "t")))
            return rest if removable else word
    return word


def _final_e(word: str) -> str:
    if word.endswith("e"):
        rest = word[:-1]
        m = _measure(rest)
        if m > 1 or (m == 1 and not _short_end(rest)):
            word = rest
    if word.endswith("ll") and _measure(word) > 1:
        word = word[:-1]
    return word
