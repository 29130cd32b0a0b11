"""Missing PMIDs of ``studies.csv``: proposed with their evidence, written only with a yes."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path

from evidence import files
from evidence.errors import SchemaError
from evidence.fetch import Eutils
from evidence.model import Record, Study
from evidence.pubmed.citations_match import Citation, by_doi, match, plain_doi
from evidence.pubmed.records import details

IDENTIFY_COLUMNS = ("study_id", "pmid", "score", "how", "evidence", "title", "link")
# What agreement of a field is worth; only fields that both sides have are counted.
WEIGHTS = {
    "DOI": 5.0,
    "title": 3.0,
    "first author": 1.0,
    "year": 1.0,
    "first page": 1.0,
    "volume": 0.5,
    "journal": 0.5,
}
MATCHER, CROSSREF = "citation matcher", "citation matcher by Crossref's citation"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that may be a study of the table."""

    study_id: str
    record: Record
    how: str  # "DOI", `MATCHER`, `CROSSREF`, or both
    score: float  # 0 to 1: the weighted share of the shared fields that agree
    evidence: str  # each field with how it agrees


@dataclass(frozen=True, slots=True)
class Identified:
    """What was proposed for one claim, and for which studies nothing was found."""

    claim: str
    candidates: tuple[Candidate, ...]
    without: tuple[tuple[str, str], ...]  # study id, why
    requests: int


Look = Callable[[Sequence[str]], Mapping[str, Record]]


def identify(
    claim: str, studies: Sequence[Study], eutils: Eutils, *, look: Look | None = None
) -> Identified:
    """Look for the PMIDs of studies that have none: by DOI, then with NLM's citation matcher.

    The matcher is asked with volume and first page where the table has them or ``look`` gives
    them, and once more without where it then knows nothing: one wrong page must not hide a study.

    Parameters
    ----------
    look : callable, optional
        From DOIs that PubMed does not have to what is known of these works elsewhere, by DOI.

    Raises
    ------
    SourceError
        See `Eutils.call`.
    """
    before = eutils.requests
    open_ = [s for s in studies if not s.pmid]
    dois = by_doi([s.doi for s in open_ if s.doi], eutils)
    found: dict[str, dict[str, tuple[Record, str]]] = {s.study_id: {} for s in open_}
    for study in open_:
        for record in dois.get(plain_doi(study.doi or ""), ()):
            found[study.study_id][record.pmid] = (record, "DOI")
    lacking = [s for s in open_ if s.doi and not found[s.study_id]]
    works: Mapping[str, Record] = {}
    if look is not None and lacking:
        works = look([plain_doi(s.doi or "") for s in lacking])
    of_study = {s.study_id: works.get(plain_doi(s.doi or "")) for s in open_}
    citations = [c for s in open_ if (c := citation_of(s, of_study[s.study_id])) is not None]
    answers = match(citations, eutils)
    plainer = [
        replace(c, volume="", page="")
        for c in citations
        if (c.volume or c.page) and not answers[c.key].pmid
    ]
    for key, answer in match(plainer, eutils).items():
        if answer.pmid:
            answers[key] = answer
    matched = {a.key: a.pmid for a in answers.values() if a.pmid}
    why = {key: answer.answer for key, answer in answers.items() if not answer.pmid}
    records = {
        r.pmid: r
        for batch in details(dict.fromkeys(matched.values()), eutils)
        for r in batch.records
    }
    for study_id, pmid in matched.items():
        how = CROSSREF if of_study[study_id] else MATCHER
        if pmid in found[study_id]:
            found[study_id][pmid] = (found[study_id][pmid][0], f"DOI, {how}")
        elif pmid in records:
            found[study_id][pmid] = (records[pmid], how)
    candidates = [
        Candidate(study.study_id, record, how, *compare(study, record, of_study[study.study_id]))
        for study in open_
        for record, how in found[study.study_id].values()
    ]
    candidates.sort(key=lambda c: (c.study_id, -c.score, int(c.record.pmid)))
    without = tuple(
        (s.study_id, _reason(s, why.get(s.study_id))) for s in open_ if not found[s.study_id]
    )
    return Identified(claim, tuple(candidates), without, eutils.requests - before)


def citation_of(study: Study, work: Record | None) -> Citation | None:
    """The study as the matcher wants it: the table's words first, then those of ``work``.

    None where that is too little: a journal with a year or an author is the least.
    """
    journal = study.journal or ""
    year, author, volume, page = study.year, study.first_author, study.volume, study.page
    if work is not None:
        short = work.periodical.iso if work.periodical else ""
        journal = journal or short or work.journal
        year, author = year or work.year, author or next(iter(work.authors), "")
        volume, page = volume or work.volume, page or _first_page(work.pages)
    if not journal or not (year or author):
        return None
    return Citation(
        study.study_id,
        journal=journal,
        year=str(year or ""),
        volume=volume or "",
        page=page or "",
        author=author or "",
    )


def _first_page(pages: str) -> str:
    """ "145" of "145-52"; the number of an article is its page."""
    return re.split(r"[-\u2010-\u2015,;]", pages, maxsplit=1)[0].strip()


def _reason(study: Study, answer: str | None) -> str:
    parts = ["its DOI is not in PubMed" if study.doi else "no DOI is known"]
    parts.append(f"citation matcher: {answer}" if answer else "too little for the citation matcher")
    return "; ".join(parts)


def compare(study: Study, record: Record, work: Record | None = None) -> tuple[float, str]:
    """How well a record agrees with a study's row: a score from 0 to 1, and each field in words.

    What the row does not say is taken from ``work``, another database's record of its DOI.
    """
    parts: list[tuple[str, float, str]] = []
    if study.doi and record.doi:
        same = plain_doi(study.doi) == plain_doi(record.doi)
        parts.append(("DOI", float(same), "the same" if same else f"other ({record.doi})"))
    title = study.title or (work.title if work else "")
    if title and record.shown_title:
        ratio = SequenceMatcher(None, _words(title), _words(record.shown_title)).ratio()
        parts.append(("title", ratio, f"{ratio:.0%} alike"))
    author = study.first_author or (next(iter(work.authors), "") if work else "")
    if author and record.authors:
        same = _words(record.authors[0]).startswith(_words(author).split(" ")[0])
        words = "the same" if same else f"other ({record.authors[0]})"
        parts.append(("first author", float(same), words))
    year = study.year or (work.year if work else None)
    if year and record.year:
        apart = abs(year - record.year)
        # Ahead of print and print may lie a year apart.
        value = {0: 1.0, 1: 0.5}.get(apart, 0.0)
        parts.append(("year", value, "the same" if apart == 0 else f"other ({record.year})"))
    page = study.page or (_first_page(work.pages) if work else "")
    for name, mine, theirs in (
        ("first page", page, _first_page(record.pages)),
        ("volume", study.volume or (work.volume if work else ""), record.volume),
    ):
        if mine and theirs:
            same = _words(mine) == _words(theirs)
            parts.append((name, float(same), "the same" if same else f"other ({theirs})"))
    journals = {study.journal} if study.journal else set()
    if work and not journals:
        journals = {work.journal, work.periodical.iso if work.periodical else ""} - {""}
    if journals and (record.journal or record.periodical):
        names = [record.journal]
        if record.periodical:
            names += [record.periodical.iso, record.periodical.medline]
        same = bool({_words(j) for j in journals} & {_words(name) for name in names if name})
        parts.append(("journal", float(same), "the same" if same else f"other ({names[0]})"))
    weight = sum(WEIGHTS[name] for name, _, _ in parts)
    score = sum(WEIGHTS[name] * value for name, value, _ in parts) / weight if weight else 0.0
    return score, "; ".join(f"{name} {words}" for name, _, words in parts)


def _words(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(re.findall(r"\w+", plain))


def identify_rows(found: Identified) -> list[dict[str, object]]:
    """The candidates as rows for CSV."""
    return [
        {
            "study_id": c.study_id,
            "pmid": c.record.pmid,
            "score": f"{c.score:.2f}",
            "how": c.how,
            "evidence": c.evidence,
            "title": c.record.shown_title,
            "link": f"https://pubmed.ncbi.nlm.nih.gov/{c.record.pmid}/",
        }
        for c in found.candidates
    ]


def chosen(yes: Iterable[str], proposed: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What a reviewer said yes to: ``STUDY``, or ``STUDY=PMID`` where several were proposed.

    Raises
    ------
    SchemaError
        If nothing, something else, or more than one PMID was proposed for the study.
    """
    taken: dict[str, str] = {}
    for text in yes:
        study_id, _, pmid = (part.strip() for part in text.partition("="))
        if study_id not in proposed:
            raise SchemaError(
                f"no PMID is proposed for {study_id!r}",
                [f"proposed for: {', '.join(sorted(proposed)) or 'no study'}"],
                remedy="ask without --yes first, then accept what is proposed; a PMID of your own "
                "goes into studies.csv by hand",
            )
        pmids = list(proposed[study_id])
        if pmid and pmid not in pmids:
            raise SchemaError(
                f"PMID {pmid!r} was not proposed for {study_id}",
                [f"proposed: {', '.join(pmids)}"],
                remedy="accept one of these; a PMID of your own goes into studies.csv by hand",
            )
        if not pmid and len(pmids) > 1:
            raise SchemaError(
                f"{len(pmids)} PMIDs are proposed for {study_id}",
                [f"PMID {p}" for p in pmids],
                remedy=f"say which: --yes {study_id}={pmids[0]}",
            )
        taken[study_id] = pmid or pmids[0]
    return taken


def write_pmids(path: Path, pmids: Mapping[str, str]) -> tuple[str, ...]:
    """Write PMIDs into the empty cells of a studies table; every other byte stays.

    Returns
    -------
    tuple of str
        The studies whose row was changed.

    Raises
    ------
    SchemaError
        If a study is not in the table or has a PMID already.
    """
    text = files.read_bytes(path).decode("utf-8-sig")
    bom = files.read_bytes(path).startswith(b"\xef\xbb\xbf")
    reader = csv.reader(io.StringIO(text, newline=""))
    header = next(reader)
    at_id, at_pmid = header.index("study_id"), header.index("pmid")
    written: list[str] = []
    faults: list[str] = []
    start = reader.line_num
    physical = _physical(text)
    pieces = ["".join(physical[:start])]
    for row in reader:
        span = "".join(physical[start : reader.line_num])
        start = reader.line_num
        study_id = row[at_id].strip() if len(row) > at_id else ""
        if study_id in pmids:
            if row[at_pmid].strip():
                faults.append(f"{study_id} has PMID {row[at_pmid].strip()} already")
            row[at_pmid] = pmids[study_id]
            ending = span[len(span.rstrip("\r\n")) :]
            cell = io.StringIO(newline="")
            csv.writer(cell, lineterminator=ending).writerow(row)
            span = cell.getvalue()
            written.append(study_id)
        pieces.append(span)
    pieces.append("".join(physical[start:]))
    faults += [f"{study_id} is not in the table" for study_id in pmids if study_id not in written]
    if faults:
        raise SchemaError(
            f"{path} was not changed", faults, remedy="correct the table or the choice by hand"
        )
    files.write_bytes(path, ("\ufeff" * bom + "".join(pieces)).encode())
    return tuple(written)


def _physical(text: str) -> list[str]:
    """Lines as the csv reader counts them: only line breaks, no other separators of Unicode."""
    return list(io.StringIO(text, newline=""))
