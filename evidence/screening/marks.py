"""Decisions that exported references carry, in the ways of other programs.

What is read, and where its layout is described:

- Rayyan, in the notes of its CSV and RIS: "RAYYAN-INCLUSION: {"A"=>"Included"} | RAYYAN-LABELS: ...
  | RAYYAN-EXCLUSION-REASONS: ... | USER-NOTES: {"A"=>["..."]}".
  https://help.rayyan.ai/hc/en-us/articles/45958666246161-Understanding-Your-Rayyan-Export-Files
- ASReview, in columns of its CSV (``asreview_label``, ``_note``, ``_time``, ``_user_name``; version
  1: ``included``, ``exported_notes_1``) and as notes of its RIS ("ASReview_relevant").
  https://asreview.readthedocs.io/en/latest/lab/data_format.html
- Covidence, which exports a file for each of its lists, with the reason in the column Notes
  ("Exclusion reason: ...; "). Which list a file is says its name or the reader.
  https://support.covidence.org/help/tagging
- Any column of a CSV and any tag of a RIS file that holds words such as "include" or "no". RIS
  leaves U1 to U5 and C1 to C8 to its users; no program has a tag of its own for decisions.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from evidence.formats.headings import plain
from evidence.formats.reference import Reference, line
from evidence.model import Decision, Stage

WORDS: dict[str, Decision] = {
    **dict.fromkeys(("include", "included", "yes", "y", "1", "1.0", "true", "relevant"), "include"),
    **dict.fromkeys(
        ("exclude", "excluded", "no", "n", "0", "0.0", "false", "irrelevant", "not relevant"),
        "exclude",
    ),
    **dict.fromkeys(("unsure", "maybe", "unclear", "?"), "unsure"),
    **dict.fromkeys(("not retrieved", "not-retrieved", "no full text"), "not-retrieved"),
}
NO_DECISION = frozenset({"", "-1", "-1.0", "undecided", "unscreened", "not seen", "pending", "nan"})

# Covidence's lists, by the word in the name of the file: the stage, and what being there means.
COVIDENCE: dict[str, tuple[Stage, Decision | None]] = {
    "screen": ("title-abstract", None),
    "irrelevant": ("title-abstract", "exclude"),
    "select": ("title-abstract", "include"),  # waits for the full text
    "excluded": ("full-text", "exclude"),
    "included": ("full-text", "include"),
    "extract": ("full-text", "include"),
}
_COVIDENCE_FILE = re.compile(r"^review_\d+_([a-z]+)")

_NAMES = "(RAYYAN-INCLUSION|RAYYAN-LABELS|RAYYAN-EXCLUSION-REASONS|USER-NOTES)"
_PREFIX = re.compile(rf"[\s|]*{_NAMES}:\s*", re.IGNORECASE)
_NEXT = re.compile(rf"\s*\|\s*{_NAMES}:", re.IGNORECASE)
_HASH = re.compile(r'\{(?:"(?:[^"\\]|\\.)*"|[^"}])*\}')  # what is quoted may hold anything
_ESCAPED = re.compile(r"\\(.)")
_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"\s*=>\s*"((?:[^"\\]|\\.)*)"')
_NOTES_OF = re.compile(r'"((?:[^"\\]|\\.)*)"\s*=>\s*\[((?:"(?:[^"\\]|\\.)*"|[^\]"])*)\]')
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_RAYYAN_WORDS: dict[str, Decision] = {
    "included": "include",
    "excluded": "exclude",
    "maybe": "unsure",
}
_ASREVIEW_NOTES: dict[str, Decision | None] = {
    "ASReview_relevant": "include",
    "ASReview_irrelevant": "exclude",
    "ASReview_not_seen": None,
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One decision in a file. ``reviewer`` is "" where the file names nobody."""

    decision: Decision
    reviewer: str = ""
    reason: str = ""
    note: str = ""
    time: dt.datetime | None = None


def covidence_list(file: str) -> tuple[Stage, Decision | None] | None:
    """What Covidence's name of a file says of the decisions in it: "review_1_irrelevant_..."."""
    match = _COVIDENCE_FILE.match(file)
    return COVIDENCE.get(match.group(1)) if match else None


def has_label_column(reference: Reference) -> bool:
    """Whether ASReview's label stands beside another column of labels, which is then no decision.

    A data set that was labelled before has both; only ``asreview_label`` is the screening's.
    """
    return any(plain(key.partition(":")[2]) == "asreviewlabel" for key, _ in reference.extra)


def marks_of(
    reference: Reference,
    *,
    field: str = "",
    all_are: Decision | None = None,
    label_column: bool = False,
) -> tuple[Mark, ...]:
    """The decisions that a reference carries; none where nobody has decided.

    Parameters
    ----------
    field : str, optional
        A heading or a tag that holds the decision in words; it takes the place of what is found.
    all_are : str, optional
        The decision on every reference of the file.
    label_column : bool
        Whether other references of the file have ASReview's own label; see `has_label_column`.

    Raises
    ------
    ValueError
        If there is something that means a decision and cannot be read as one; says what.
    """
    extra = _extra(reference)
    if all_are is not None:
        return (Mark(all_are, reason=_covidence_reason(reference, all_are)),)
    if field:
        return _of_field(reference, extra, field)
    notes = "\n".join(reference.notes)
    if re.search("RAYYAN-INCLUSION", notes, re.IGNORECASE):
        return tuple(_rayyan(notes))
    if status := extra.get("status", ""):  # of our own export in Covidence's columns
        found = COVIDENCE.get(status.casefold())
        decision = found[1] if found else _word(status)
        if decision is None:
            return ()
        return (Mark(decision, reason=_covidence_reason(reference, decision)),)
    if label_column and not has_label_column(reference):
        return ()
    return _asreview(reference, extra)


def _extra(reference: Reference) -> dict[str, str]:
    """Columns and tags that have no field of their own, by heading without case and marks."""
    found: dict[str, str] = {}
    for key, value in reference.extra:
        found.setdefault(plain(key.partition(":")[2]), value)
    return found


def _word(text: str) -> Decision | None:
    """A decision in words; a ValueError where the word is not known."""
    word = line(text).casefold().strip(".!")
    if word in NO_DECISION:
        return None
    if word not in WORDS:
        raise ValueError(f"{line(text)[:60]!r} is no decision that is known")
    return WORDS[word]


def _of_field(reference: Reference, extra: dict[str, str], field: str) -> tuple[Mark, ...]:
    key = plain(field)
    texts = [extra[key]] if key in extra else []
    if not texts and key in ("kw", "keywords"):
        texts = [w for w in reference.keywords if line(w).casefold() in WORDS]
    if not texts and key in ("n1", "notes"):
        texts = [n for n in reference.notes if line(n).casefold() in WORDS]
    if not texts and key in ("included", "include", "label", "labelincluded"):
        texts = [] if reference.included is None else [str(int(reference.included))]
    decision = _word(texts[0]) if texts else None
    return () if decision is None else (Mark(decision),)


# --- Rayyan --------------------------------------------------------------------------------------


def _rayyan(notes: str) -> Iterator[Mark]:
    parts = _rayyan_parts(notes)
    inclusion = parts.get("RAYYAN-INCLUSION", "")
    pairs = _PAIR.findall(inclusion)
    if not pairs and inclusion.strip(" {}"):
        raise ValueError(f"RAYYAN-INCLUSION: {inclusion[:60]!r} cannot be read")
    reasons = parts.get("RAYYAN-EXCLUSION-REASONS", "").split(",")
    reason = "; ".join(filter(None, map(line, reasons)))
    labels = line(parts.get("RAYYAN-LABELS", ""))
    own = {
        _plain_text(who): "; ".join(_plain_text(t) for t in _TEXT.findall(texts))
        for who, texts in _NOTES_OF.findall(parts.get("USER-NOTES", ""))
    }
    for who, word in pairs:
        decision = _RAYYAN_WORDS.get(word.casefold())
        if decision is None:
            raise ValueError(f"{word!r} is none of Rayyan's decisions")
        reviewer = _plain_text(who)
        said = [own.get(reviewer, ""), f"labels: {labels}" if labels else ""]
        yield Mark(
            decision,
            reviewer,
            reason if decision == "exclude" else "",
            "; ".join(filter(None, said)),
        )


def _rayyan_parts(notes: str) -> dict[str, str]:
    """Each part under its prefix; what stands before the first is the reference's own note."""
    parts: dict[str, str] = {}
    match = re.search("RAYYAN-INCLUSION:", notes, re.IGNORECASE)
    at = match.start() if match else len(notes)
    while named := _PREFIX.match(notes, at):
        start = named.end()
        hash_ = _HASH.match(notes, start)
        following = _NEXT.search(notes, hash_.end() if hash_ else start)
        end = following.start() if following else len(notes)
        parts[named.group(1).upper()] = notes[start:end].strip()
        at = end
    return parts


def _plain_text(text: str) -> str:
    """A text between quotation marks, as Ruby writes it."""
    return line(_ESCAPED.sub(lambda m: " " if m.group(1) in "nrt" else m.group(1), text))


# --- Covidence -----------------------------------------------------------------------------------


def _covidence_reason(reference: Reference, decision: Decision) -> str:
    if decision != "exclude":
        return ""
    notes = " ".join(reference.notes)
    match = re.search(r"(?i)exclusion reason:\s*(.*?)\s*(?:;|$)", notes)
    return line(match.group(1)) if match else ""


# --- ASReview ------------------------------------------------------------------------------------


def _asreview(reference: Reference, extra: dict[str, str]) -> tuple[Mark, ...]:
    told = dict(_asreview_notes(reference))
    label = extra.get("asreviewlabel", "")
    if label.strip():
        decision = _word(label)
    elif reference.included is not None:
        decision = "include" if reference.included else "exclude"
    else:
        words = (w for n, w in _ASREVIEW_NOTES.items() if n in reference.notes)
        decision = next(words, None)
        if decision is None and "included" in extra:
            decision = _word(extra["included"])
    if decision is None:
        return ()
    exported = [extra[k] for k in extra if k.startswith("exportednotes") and extra[k].strip()]
    note = extra.get("asreviewnote", "") or told.get("asreview_note", "")
    return (
        Mark(
            decision,
            line(extra.get("asreviewusername", "") or told.get("asreview_user_name", "")),
            note=line(note or (exported[-1] if exported else "")),
            time=_time(extra.get("asreviewtime", "") or told.get("asreview_time", "")),
        ),
    )


def _asreview_notes(reference: Reference) -> Iterator[tuple[str, str]]:
    """What its RIS tells in notes such as 'asreview_note: "text"'."""
    for note in reference.notes:
        if match := re.fullmatch(r"(asreview_\w+): (.*)", note):
            try:
                value = json.loads(match.group(2))
            except ValueError:
                continue
            if isinstance(value, str):
                yield match.group(1), value


def _time(text: str) -> dt.datetime | None:
    """ "2026-03-01 10:00:00", which ASReview writes in UTC; None for what is no time."""
    try:
        return dt.datetime.strptime(line(text)[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=dt.UTC)
    except ValueError:
        return None
