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
    # Each step only where the last letters allow it: most words are through in a moment.
    if word[-1] == "s":
        word = _plural(word)
    if word[-1] in "dg":
        word = _past(word)
    if word[-1] == "y":
        word = _final_y(word)
    for rules, above in ((_RULES_2, 0), (_RULES_3, 0), (_RULES_4, 1)):
        if word[-2:] in rules:
            word = _replaced(word, rules[word[-2:]], above)
    return _final_e(word) if word[-1] in "el" else word


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


Rules = tuple[tuple[str, str], ...]


def _by_end(rules: Rules) -> dict[str, Rules]:
    """Rules by the last two letters of the suffix."""
    ends = {suffix[-2:] for suffix, _ in rules}
    return {end: tuple(rule for rule in rules if rule[0].endswith(end)) for end in ends}


_RULES_2, _RULES_3 = _by_end(STEP_2), _by_end(STEP_3)
_RULES_4 = _by_end(tuple((suffix, "") for suffix in STEP_4))


def _replaced(word: str, rules: Rules, above: int) -> str:
    # Only the first suffix that fits is tried, even when its condition then fails.
    for suffix, new in rules:
        if word.endswith(suffix):
            rest = word.removesuffix(suffix)
            fits = _measure(rest) > above and (suffix != "ion" or rest.endswith(("s", "t")))
            return rest + new if fits else word
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
