"""What each field of two references says, in bits, for or against one work.

The weights are explained in `evidence.duplicates.compare`. Each function adds to ``found`` what its
fields say, and to ``against`` the fields that one work cannot have in two ways.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from evidence.duplicates.signature import Signature
from evidence.duplicates.words import fold, same_journal

SPELLED = 0.98  # how close titles are that differ in spelling only
PLENTY = 40.0  # bits of a title that tells enough


@dataclass(frozen=True, slots=True)
class Finding:
    """What one field says."""

    field: str
    bits: float
    words: str

    def __str__(self) -> str:
        return f"{self.field}: {self.words} ({self.bits:+.1f})"


# Titles


def titles(
    a: Signature,
    b: Signature,
    count: Mapping[str, int],
    found: list[Finding],
    against: list[str],
) -> float:
    """Adds what the titles say; gives how close they are, 0 to 1."""
    if not a.words or not b.words:
        return 0.5
    scale = min(1.0, min(a.bits, b.bits) / PLENTY)
    if a.key == b.key:
        found.append(Finding("title", 10 * scale, "the same"))
        return 1.0
    dice = _dice(a.key, b.key)
    if dice < 0.45:
        found.append(Finding("title", -12.0, "other"))
        return dice
    only_a, only_b, spelled, doubtful = _unlike(a.words, b.words, count)
    short, long = sorted((a, b), key=lambda s: len(s.key))
    tail: tuple[str, ...] = ()
    if long.words[: len(short.words)] == short.words:
        tail = long.words[len(short.words) :]
        only_a, only_b, spelled = (list(tail), [], []) if long is a else ([], list(tail), [])
    elif not (only_a and only_b):
        tail = _tail(long.words, only_a or only_b)
    if only_a or only_b:
        _title_numbers(a, b, tail, found, against)
    if not only_a and not only_b:
        said = f"the same but for spelling ({_shown(spelled)})" if spelled else "the same words"
        found.append(Finding("title", (4 if doubtful else 9) * scale, said))
        return SPELLED
    if not (only_a and only_b):
        missing = only_a or only_b
        share = len("".join(missing)) / len(long.key)
        if tail and len(short.key) >= 25:
            found.append(Finding("title", 8 * scale, "one is the beginning of the other"))
            return 0.95
        bits = 7 - 12 * share
        found.append(Finding("title", bits * scale, f"one has {_shown(missing)} besides"))
        return min(1 - share / 2, 0.97)
    replaced = max(len(only_a), len(only_b))
    share = replaced / max(len(a.words), len(b.words))
    bits = 3.0 - 3 * replaced if dice >= 0.75 else -6.0 if dice >= 0.6 else -10.0
    found.append(Finding("title", max(bits, -12.0), f"{_shown(only_a)} against {_shown(only_b)}"))
    return min(dice, 1 - share / 2)


def _tail(words: tuple[str, ...], missing: list[str]) -> tuple[str, ...]:
    """The end of a title, where that is all that the other one lacks."""
    size = len(missing)
    for end in range(size, min(size + 4, len(words)) + 1):  # small words are not in ``missing``
        if [w for w in words[-end:] if w not in _SMALL] == missing:
            return words[-end:]
    return ()


def _title_numbers(
    a: Signature,
    b: Signature,
    tail: tuple[str, ...],
    found: list[Finding],
    against: list[str],
) -> None:
    """Numbers that each has and the other has not: part I and part II, phase 2 and phase 3.

    What one title lacks because it was cut off before a number speaks against nothing.
    """
    of_a, of_b = Counter(a.numbers), Counter(b.numbers)
    more_a, more_b = of_a - of_b, of_b - of_a
    if more_a and more_b:
        said = f"{_shown(sorted(more_a))} against {_shown(sorted(more_b))}"
        found.append(Finding("numbers", -4.0, said))
        against.append("numbers")
    elif (more_a or more_b) and (len("".join(tail)) < 12 or tail[0] in _PARTS):
        found.append(Finding("numbers", -4.0, f"{_shown(sorted(more_a or more_b))} in one"))
        against.append("numbers")


_PARTS = frozenset({"part", "phase", "stage", "section", "chapter", "paper", "study", "case"})


def _shown(words: object) -> str:
    listed = list(words) if isinstance(words, (list, tuple)) else [str(words)]
    text = " ".join(map(str, listed[:6]))
    return f"{text} ..." if len(listed) > 6 else text


@lru_cache(maxsize=8192)
def _grams(key: str) -> frozenset[str]:
    return frozenset(key[i : i + 3] for i in range(max(1, len(key) - 2)))


@lru_cache(maxsize=65_536)
def _dice(a: str, b: str) -> float:
    """Share of common trigrams; of the longer title only as much as it may have lost at its end."""
    one, two = _grams(a), _grams(b)
    common = len(one & two)
    dice = 2 * common / (len(one) + len(two))
    inside = common / min(len(one), len(two)) if min(len(a), len(b)) >= 25 else 0.0
    return max(dice, inside - 0.1)


def _unlike(
    a: tuple[str, ...], b: tuple[str, ...], count: Mapping[str, int]
) -> tuple[list[str], list[str], list[str], bool]:
    """Words of each that the other has not; those that are the other's in another spelling, and
    whether that is in doubt, for short words differ by one letter often: rat, cat."""
    left, right = Counter(a) - Counter(b), Counter(b) - Counter(a)
    only_a = [w for w in a if w in left]
    only_b = [w for w in b if w in right]
    spelled: list[str] = []
    # "follow up" and "followup": the same letters, divided otherwise
    if only_a and only_b and "".join(only_a) == "".join(only_b):
        return [], [], only_a, False
    doubtful = False
    for word in list(only_a):
        other = next((w for w in only_b if _misspelled(word, w, count)), None)
        if other is not None:
            only_a.remove(word)
            only_b.remove(other)
            spelled.append(f"{word}/{other}")
            swapped = sorted(word) == sorted(other)
            doubtful = doubtful or (min(len(word), len(other)) < 5 and not swapped)
    for one, other_side in ((only_a, only_b), (only_b, only_a)):
        for word in list(one):
            parts = _joined(word, other_side)
            if parts:
                one.remove(word)
                for part in parts:
                    other_side.remove(part)
                spelled.append(word)
    only_a = [w for w in only_a if w not in _SMALL]
    only_b = [w for w in only_b if w not in _SMALL]
    return only_a, only_b, spelled, doubtful


_SMALL_WORDS = "the a an of and in on for to with by from as at s is are et und de"
_SMALL = frozenset(_SMALL_WORDS.split())


def _joined(word: str, parts: list[str]) -> tuple[str, ...]:
    for i in range(len(parts) - 1):
        if parts[i] + parts[i + 1] == word:
            return parts[i], parts[i + 1]
    return ()


_OPPOSITES = frozenset(
    frozenset(pair)
    for pair in (
        ("hyper", "hypo"),
        ("intra", "inter"),
        ("intra", "extra"),
        ("men", "women"),
        ("male", "female"),
        ("males", "females"),
        ("pre", "post"),
        ("anti", "ante"),
        ("adult", "adults"),
        ("macro", "micro"),
        ("mono", "poly"),
        ("ab", "ad"),
        ("left", "right"),
    )
)


def _misspelled(a: str, b: str, count: Mapping[str, int]) -> bool:
    """Whether two words are one in two spellings, rather than two words of the language."""
    if a.isdigit() or b.isdigit() or min(len(a), len(b)) < 3:
        return False
    if a[0] == b[0] and (a.rstrip("s") == b.rstrip("s")):
        return True
    short, long = sorted((a, b), key=len)
    if len(long) - len(short) > 2:
        return len(short) >= 4 and long.startswith(short)  # cut off: "exerc" of "exercise"
    if (
        any(frozenset((a[:n], b[:m])) in _OPPOSITES for n in (3, 4, 5) for m in (3, 4, 5))
        or frozenset((a, b)) in _OPPOSITES
    ):
        return False
    if count.get(a, 0) > 2 and count.get(b, 0) > 2:
        return False  # both are in use
    known = count.get(a, 0) > 1 and count.get(b, 0) > 1
    return _edits(a, b) <= (1 if len(short) < 6 else 2 if len(short) < 9 or known else 3)


def _edits(a: str, b: str) -> int:
    """Letters that were changed, left out, put in or swapped; exact up to two, else more."""
    steps = difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    total = sum(max(j - i, m - k) for tag, i, j, k, m in steps if tag != "equal")
    if total > 1 and len(a) == len(b) and sorted(a) == sorted(b):
        return total - 1  # two neighbours that changed places
    return total


# Authors


def people(a: Signature, b: Signature, found: list[Finding], against: list[str]) -> None:
    if not a.people or not b.people:
        return
    one, two = a.people, b.people
    names_a = [p[0] for p in one]
    names_b = [p[0] for p in two]
    short, long = sorted((names_a, names_b), key=len)
    common = _common(short, long)
    if len(short) == len(long):
        common = min(common, _common(long, short))
    share = common / min(len(short), 30)
    first = _one_family(names_a[0], names_b[0])
    if first:
        initials_a, initials_b = one[0][1], two[0][1]
        clash = bool(initials_a and initials_b and initials_a[0] != initials_b[0])
        if (clash and share < 1) or (clash and len(short) == 1):
            found.append(Finding("authors", -1.5, "the first has other initials"))
        else:
            bits = 4.0 + (1.5 if len(short) > 2 and share >= 0.7 else 0.0)
            if len(short) > 2 and share < 0.4:
                bits = 1.0
            found.append(Finding("authors", bits, f"{common} of {len(short)}, and the first"))
    elif share >= 0.5:
        found.append(Finding("authors", 1.5 + share, f"{common} of {len(short)} in other order"))
    elif common:
        found.append(Finding("authors", -2.0, f"{common} of {len(short)}, but not the first"))
    else:
        found.append(Finding("authors", -8.0, "no common one"))
        against.append("authors")


def _common(short: list[frozenset[str]], long: list[frozenset[str]]) -> int:
    """How many of the first authors of one list stand in the other."""
    words = frozenset[str]().union(*long)
    common = sum(1 for n in short[:30] if n & words)
    if 2 * common < min(len(short), 30):  # else a misspelled name or two change nothing
        common = sum(
            1 for n in short[:30] if n & words or any(_one_family(n, m) for m in long[:30])
        )
    return common


def _one_family(a: frozenset[str], b: frozenset[str]) -> bool:
    if a & b:
        return True
    return any(
        len(x) > 4
        and len(y) > 4
        and abs(len(x) - len(y)) < 3
        and (x.startswith(y[:3]) or x.endswith(y[-3:]))
        and _edits(x, y) <= (1 if min(len(x), len(y)) < 8 else 2)
        for x in a
        for y in b
    ) or bool("".join(sorted(a)) == "".join(sorted(b)) and a)


# Year, journal, volume, issue, pages


def same_place(a: Signature, b: Signature) -> bool:
    """Volume and first page agree, and the journal does not speak against it."""
    return bool(
        a.volume
        and a.volume == b.volume
        and a.first_page
        and a.first_page == b.first_page
        and (len(a.first_page) > 1 or a.last_page == b.last_page)
        and _journal_bits(a, b)[0] >= 0
    )


def when_and_where(a: Signature, b: Signature, found: list[Finding], against: list[str]) -> None:
    if a.year is not None and b.year is not None:
        apart = abs(a.year - b.year)
        wrong = apart == 2 and same_place(a, b)  # then it is the year that is mistaken
        bits = (1.5, -0.5, -4.0, -8.0)[min(apart, 3)]
        said = "the same" if not apart else f"{a.year} against {b.year}"
        found.append(Finding("year", bits, said))
        if apart > 1 and not wrong:
            against.append("year")
    bits, said = _journal_bits(a, b)
    if said:
        found.append(Finding("journal", bits, said))
    if a.volume and b.volume and not {a.volume, b.volume} & {str(a.year), str(b.year)}:
        if a.volume == b.volume:
            found.append(Finding("volume", 2.5, "the same"))
        elif not (a.volume.startswith(b.volume) or b.volume.startswith(a.volume)) or (
            a.volume.isdigit() and b.volume.isdigit()
        ):
            found.append(Finding("volume", -6.0, f"{a.volume} against {b.volume}"))
            against.append("volume")
    if a.issue and b.issue:
        same = a.issue == b.issue or a.issue in b.issue.split("s") or b.issue in a.issue.split("s")
        said = "the same" if same else f"{a.issue} against {b.issue}"
        found.append(Finding("issue", 1.0 if same else -1.5, said))
    _pages(a, b, found, against)


def _journal_bits(a: Signature, b: Signature) -> tuple[float, str]:
    if a.issn & b.issn:
        return 2.0, "the same ISSN"
    if not a.journals or not b.journals:
        return 0.0, ""
    if any(same_journal(x, y) for x in a.journals for y in b.journals):
        return 2.0, "the same"
    said = f"{' '.join(a.journals[0])[:40]} against {' '.join(b.journals[0])[:40]}"
    return -2.5, said


def _pages(a: Signature, b: Signature, found: list[Finding], against: list[str]) -> None:
    one, two = a.first_page, b.first_page
    if not one or not two:
        return
    if one == two:
        telling = 4.0 if len(one) > 1 else 1.0
        if a.last_page and b.last_page and a.last_page != b.last_page:
            found.append(Finding("pages", telling - 2, f"both begin on {one}"))
        else:
            found.append(Finding("pages", telling, f"both begin on {one}"))
    elif (
        one == b.last_page
        or two == a.last_page
        or one.strip("abcdefghijklmnopqrstuvwxyz") == (two.strip("abcdefghijklmnopqrstuvwxyz"))
    ):
        found.append(Finding("pages", 1.0, f"{one} and {two}"))
    elif _kind_of_page(one) != _kind_of_page(two):
        found.append(Finding("pages", 0.0, f"{one} and {two} are counted in two ways"))
    else:
        found.append(Finding("pages", -6.0, f"{one} against {two}"))
        against.append("pages")


def _kind_of_page(page: str) -> str:
    """Pages of a volume, a number of an article, or counted from 1 within the article."""
    if not page.isdigit():
        return page.rstrip("0123456789")[:1] or "number"
    return "from 1" if page == "1" else "number" if len(page) > 4 else "page"


# Numbers


def ids(a: Signature, b: Signature, found: list[Finding], against: list[str]) -> None:
    for name, one, two in (("PMID", a.pmid, b.pmid), ("PMC id", a.pmcid, b.pmcid)):
        if one and two:
            said = "the same" if one == two else f"{one} against {two}"
            found.append(Finding(name, 20.0 if one == two else -20.0, said))
            if one != two:
                against.append(name)
    if a.doi and b.doi:
        if a.doi == b.doi:
            found.append(Finding("doi", 12.0, "the same"))
        else:
            found.append(Finding("doi", -9.0, f"{a.doi} against {b.doi}"))
            against.append("doi")


def abstracts(a: Signature, b: Signature, found: list[Finding], against: list[str]) -> None:
    one, two = a.reference.abstract, b.reference.abstract
    if len(one) < 200 or len(two) < 200:
        return
    words_a, words_b = _abstract_words(one), _abstract_words(two)
    if min(len(words_a), len(words_b)) < 20:
        return
    share = len(words_a & words_b) / min(len(words_a), len(words_b))
    if share >= 0.85:
        found.append(Finding("abstract", 5.0, f"{share:.0%} of the words in common"))
    elif share >= 0.65:
        found.append(Finding("abstract", 1.0, f"{share:.0%} of the words in common"))
    elif share < 0.4:
        found.append(Finding("abstract", -6.0, f"{share:.0%} of the words in common"))
        against.append("abstract")
    else:
        found.append(Finding("abstract", -2.0, f"{share:.0%} of the words in common"))


@lru_cache(maxsize=2048)
def _abstract_words(text: str) -> frozenset[str]:
    return frozenset(w for w in fold(text).replace("-", " ").split() if len(w) > 3)
