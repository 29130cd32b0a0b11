"""Duplicates among references: precision, recall, F1 and time, beside bib-dedupe.

The works are records of two complete NLM files, half of them drawn at random, half because another
record has nearly the same title, corrects, answers or updates it. Each gets up to four further
descriptions as other databases give it: names, journals and pages in their forms, missing DOIs and
volumes, cut and misspelled titles, lost accents, a year before or after. No description has a PMID.
Works that must stay apart are added: preprints, conference abstracts, errata, replies, protocols,
second parts. bib-dedupe runs in a virtual environment of its own, made once in the user's cache.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import unicodedata
import venv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from evidence.duplicates import deduplicate
from evidence.duplicates.words import title_words
from evidence.formats.reference import Reference, from_record
from evidence.model import Record
from evidence.pubmed import stream_articles

DATA = Path(__file__).resolve().parents[1] / "../shared/pubmed"
FILES = ("pubmed20n0014.xml.gz", "pubmed21n1298.xml.gz")
SIZES = (2_000, 8_000)  # works, beside bib-dedupe
LARGE = 36_000  # works, ours alone: about 100,000 references
PEER = "bib-dedupe==0.11.0"
PATIENCE = 3_000  # seconds

Labelled = tuple[Reference, str]  # a description, and the work that it is of


def run() -> None:
    """Print one line a size and a tool; a note where the records or the peer are missing."""
    if not (DATA / FILES[0]).is_file():
        print("   skipped: the PubMed files are not beside this checkout")
        return
    records = read_records()
    python = peer()
    heads = f"{'precision':>10}{'recall':>8}{'F1':>8}{'false':>7}{'missed':>8}{'CPU s':>9}"
    print(f"   {'references':>12}{'pairs':>8}  {'':<12}{heads}")
    for title, size, made_apart in (
        ("records as they are", SIZES[0], False),
        ("with works made to be kept apart", SIZES[0], True),
        ("with works made to be kept apart", SIZES[1], True),
    ):
        data = labelled(records, works=size, seed=7, made_apart=made_apart)
        print(f"   {title}")
        _line("here", data, *ours(data))
        if python is not None and (found := bib_dedupe(data, python)) is not None:
            _line("bib-dedupe", data, *found)
    data = labelled(records, works=LARGE, seed=7, made_apart=True)
    print("   at length")
    _line("here", data, *ours(data))


def read_records() -> list[Record]:
    """Every record of the two files that has a title."""
    records: dict[str, Record] = {}
    for name in FILES:
        with gzip.open(DATA / name) as file:
            for answer in stream_articles(file):  # type: ignore[arg-type]
                if isinstance(answer, Record) and len(answer.title) > 5:
                    records[answer.pmid] = answer
    return list(records.values())


def labelled(
    records: Sequence[Record], *, works: int, seed: int, made_apart: bool
) -> list[Labelled]:
    """Descriptions of that many works, in an order of chance."""
    draw = random.Random(seed)
    alike = near(records)
    draw.shuffle(alike)
    chosen = {r.pmid: r for r in alike[: works // 2]}
    rest = [r for r in records if r.pmid not in chosen]
    for record in draw.sample(rest, works - len(chosen)):
        chosen[record.pmid] = record
    made: list[Labelled] = []
    for record in chosen.values():
        work = from_record(record)
        copies = draw.choices((0, 1, 2, 3, 4), (25, 30, 25, 15, 5))[0]
        made.append((bare(work), record.pmid))
        for database in draw.sample(DATABASES, copies):
            made.append((bare(described(work, database, draw)), record.pmid))
        if made_apart and draw.random() < 0.25 and len(work.title) > 40 and work.authors:
            kind, other = another(work, draw)
            label = f"{record.pmid} {kind}"
            made.append((bare(other), label))
            if draw.random() < 0.5:
                made.append((bare(described(other, draw.choice(DATABASES), draw)), label))
    draw.shuffle(made)
    return [(replace(r, source_id=str(n)), work) for n, (r, work) in enumerate(made)]


def near(records: Sequence[Record]) -> list[Record]:
    """Records with nearly the title of another one, or with a notice about another one."""
    by_title: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for record in records:
        words = title_words(record.title)
        by_title[words[:4]].append(record)
        if len(words) > 5:
            by_title[("...", *words[-4:])].append(record)
    known = {r.pmid for r in records}
    found = {
        r.pmid: r
        for group in by_title.values()
        if 1 < len({each.pmid for each in group}) < 30
        for r in group
    }
    for record in records:
        if any(c.pmid in known for c in record.corrections):
            found[record.pmid] = record
    return list(found.values())


def bare(work: Reference) -> Reference:
    """Without what no other database has, or what says where it came from."""
    return replace(work, pmid=None, pmcid=None, database="", mesh=(), record=None, at=None)


# How databases describe the same work

DATABASES = ("embase", "scopus", "wos", "central", "by hand")


def described(work: Reference, database: str, draw: random.Random) -> Reference:
    """The work as another database describes it, with the faults that such descriptions have."""
    r = work
    lost = {"embase": 0.15, "scopus": 0.1, "wos": 0.15, "central": 0.5, "by hand": 0.6}[database]
    if draw.random() < lost:
        r = replace(r, doi=None)
    elif r.doi and draw.random() < 0.3:
        r = replace(r, doi=r.doi.upper())
    r = replace(
        r,
        title=_titled(r.title, database, draw),
        authors=_named(r.authors, database, draw),
        journal=_journal(r, database, draw),
        journal_short="" if draw.random() < 0.5 else r.journal_short,
        pages=_paged(r.pages, database, draw),
        issn=r.issn if draw.random() < 0.6 else (),
    )
    chance = draw.random
    if chance() < (0.4 if database == "by hand" else 0.06):
        r = replace(r, volume="")
    if chance() < 0.2:
        r = replace(r, issue="")
    if chance() < (0.3 if database == "by hand" else 0.08):
        r = replace(r, pages="")
    if r.year and chance() < 0.07:
        r = replace(r, year=r.year + draw.choice((-1, -1, 1)), date="")
    if chance() < 0.03:
        r = replace(r, year=None, date="")
    if chance() < (0.7 if database == "by hand" else 0.2):
        r = replace(r, abstract="")
    elif r.abstract and chance() < 0.25:
        r = replace(r, abstract=f"{r.abstract} Copyright {r.year} the publisher.")
    elif len(r.abstract) > 400 and chance() < 0.1:
        r = replace(r, abstract=r.abstract[: len(r.abstract) // 2])
    if r.volume and chance() < 0.05:
        r = replace(r, volume=f"Vol. {r.volume}" if chance() < 0.5 else f"{r.volume}({r.issue})")
    return r


_GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "κ": "kappa", "μ": "mu"}
_SPELLINGS = (
    ("behavior", "behaviour"),
    ("tumor", "tumour"),
    ("randomized", "randomised"),
    ("anemia", "anaemia"),
    ("pediatric", "paediatric"),
    ("hemo", "haemo"),
    ("follow-up", "follow up"),
    ("health care", "healthcare"),
)


def _titled(title: str, database: str, draw: random.Random) -> str:
    text = title.rstrip(".")
    if text.startswith("[") and draw.random() < 0.5:
        text = text.strip("[]")
    for one, other in _SPELLINGS:
        if draw.random() < 0.5:
            text = text.replace(one, other) if one in text else text.replace(other, one)
    if draw.random() < 0.5:
        for letter, name in _GREEK.items():
            text = text.replace(letter, name)
    if draw.random() < 0.3:
        text = _unaccented(text)
    if database == "wos" and draw.random() < 0.5:
        text = " ".join(w[:1].upper() + w[1:] for w in text.split(" "))
    elif draw.random() < 0.06:
        text = text.upper()
    chance = draw.random()
    if chance < 0.08:
        text = _mistyped(text, draw)
    elif chance < 0.12 and len(text) > 90:
        text = f"{text[: draw.randint(60, 85)].rsplit(' ', 1)[0]}..."
    elif chance < 0.16 and ": " in text and len(text.partition(": ")[0]) > 30:
        text = text.partition(": ")[0]
    elif chance < 0.19:
        text = text.replace(" and ", " & ") if " and " in text else f"The {text}"
    elif chance < 0.22:
        text = text.replace("-", " ") if "-" in text else text.replace(", ", " ")
    return f"{text}." if database == "embase" and draw.random() < 0.3 else text


def _mistyped(text: str, draw: random.Random) -> str:
    letters = list(text)
    places = [i for i, c in enumerate(letters) if c.isalpha() and 3 < i < len(letters) - 1]
    for _ in range(draw.choice((1, 1, 2))):
        if not places:
            break
        at = draw.choice(places)
        way = draw.randrange(4)
        if way == 0:
            letters[at] = ""
        elif way == 1:
            letters[at] = letters[at] * 2
        elif way == 2:
            letters[at] = draw.choice("abcdefghijklmnopqrstuvwxyz")
        else:
            letters[at], letters[at - 1] = letters[at - 1], letters[at]
    return "".join(letters)


def _unaccented(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def _named(authors: tuple[str, ...], database: str, draw: random.Random) -> tuple[str, ...]:
    bare_names = draw.random() < 0.3
    names = []
    for name in authors:
        family, comma, given = name.partition(", ")
        if bare_names:
            family, given = _unaccented(family), _unaccented(given)
        initials = [w[0] for w in re.findall(r"[^\W\d_]+", given.partition(",")[0])]
        if given.isupper() and len(given) <= 3:
            initials = list(given)
        if not comma:
            names.append(family)
        elif database == "embase":
            names.append(f"{family} {'.'.join(initials)}.")
        elif database == "scopus":
            names.append(f"{family}, {'.'.join(initials)}.")
        elif database == "wos":
            names.append(f"{family}, {''.join(initials)}")
        elif database == "central":
            names.append(f"{family} {''.join(initials)}")
        else:
            names.append(f"{given.partition(',')[0]} {family}")
    if database == "by hand" and len(names) > 3 and draw.random() < 0.6:
        names = [*names[:3], "et al."] if draw.random() < 0.5 else names[:1]
    if len(names) > 2 and draw.random() < 0.03:
        names = [names[1], names[0], *names[2:]]
    if draw.random() < 0.03:
        names = []
    if names and draw.random() < 0.02:
        names = [n.upper() for n in names]
    return tuple(names)


def _journal(r: Reference, database: str, draw: random.Random) -> str:
    if database == "wos":
        return r.journal.upper()
    if database in ("central", "by hand") and r.journal_short and draw.random() < 0.6:
        return r.journal_short if draw.random() < 0.7 else r.journal_short.replace(" ", ". ") + "."
    if database == "embase":
        return r.journal.title()
    return "" if draw.random() < 0.03 else r.journal


def _paged(pages: str, database: str, draw: random.Random) -> str:
    match = re.fullmatch(r"(\d+)-(\d+)", pages)
    if match is None:
        return pages if draw.random() < 0.9 else ""
    first, last = match.groups()
    full = first[: max(0, len(first) - len(last))] + last
    if database == "central":
        return f"{first}\u2010{full}"
    if database == "by hand":
        return draw.choice((first, f"pp. {first}-{full}", f"{first}-{last}"))
    return draw.choice((f"{first}-{full}", f"{first}–{full}", f"{first}-{last}"))


def another(work: Reference, draw: random.Random) -> tuple[str, Reference]:
    """Another work that looks much like this one."""
    year = work.year or 2010
    title = work.title.rstrip(".")
    other = replace(work, doi=None, abstract="", issn=())
    kind = draw.choice(
        ("preprint", "abstract", "erratum", "reply", "protocol", "part", "journal", "update")
    )
    if kind == "preprint":
        server = draw.choice(("medRxiv", "bioRxiv", "Research Square"))
        other = replace(
            other,
            journal=server,
            journal_short="",
            volume="",
            issue="",
            pages="",
            year=year - draw.randint(0, 1),
            date="",
            doi=f"10.1101/{year}.0{draw.randint(1, 9)}.11.{draw.randint(10**6, 10**7)}",
            abstract=work.abstract,
        )
    elif kind == "abstract":
        other = replace(
            other,
            journal="Abstracts of the annual scientific meeting",
            journal_short="",
            volume=str(draw.randint(100, 200)),
            issue="Suppl 1",
            pages=f"S{draw.randint(100, 900)}",
            year=year - draw.randint(0, 2),
            date="",
            types=("Conference Abstract",),
        )
    elif kind == "erratum":
        other = replace(
            other,
            title=draw.choice((f"Erratum: {title}", f"Correction to: {title}")),
            pages=str(draw.randint(1000, 3000)),
            year=year + draw.randint(0, 1),
            date="",
        )
    elif kind == "reply":
        other = replace(
            other,
            title=draw.choice((f"Reply to: {title}", f"Comment on: {title}", f"Re: {title}")),
            pages=str(draw.randint(1000, 3000)),
            authors=work.authors[:2] if draw.random() < 0.5 else ("Nowak, Ewa",),
            date="",
        )
    elif kind == "protocol":
        other = replace(
            other,
            title=f"{title}: study protocol",
            journal="Trials",
            journal_short="",
            year=year - 3,
            date="",
            volume=str(draw.randint(5, 20)),
            issue="",
            pages=str(draw.randint(100, 900)),
        )
    elif kind == "part":
        other = replace(
            other,
            title=f"{title}. Part {draw.choice(('II', '2'))}",
            pages=str(draw.randint(3000, 4000)),
            year=year,
        )
    elif kind == "journal":  # the same authors publish the same title again, elsewhere
        other = replace(
            other,
            journal="Acta Medica Lapponica",
            journal_short="",
            volume=str(draw.randint(300, 400)),
            issue="",
            pages=f"{draw.randint(5000, 6000)}-{draw.randint(6001, 7000)}",
            year=year + 1,
            date="",
        )
    else:
        other = replace(
            other,
            title=f"{title}: an updated review",
            year=year + 4,
            date="",
            volume=str(draw.randint(300, 400)),
            pages=f"{draw.randint(5000, 6000)}",
        )
    return kind, other


# Measuring


def ours(data: Sequence[Labelled]) -> tuple[list[set[int]], float]:
    """Groups by number, and CPU seconds."""
    references = [r for r, _ in data]
    start = time.process_time()
    found = deduplicate(references)
    taken = time.process_time() - start
    where = {name: n for n, name in enumerate(found.ids)}
    return [{where[m] for m in g.members} for g in found.groups if len(g.members) > 1], taken


def _line(name: str, data: Sequence[Labelled], groups: Iterable[set[int]], taken: float) -> None:
    said = {pair for group in groups for pair in combinations(sorted(group), 2)}
    by_work: dict[str, list[int]] = defaultdict(list)
    for number, (_, work) in enumerate(data):
        by_work[work].append(number)
    true = {pair for group in by_work.values() for pair in combinations(group, 2)}
    right = len(said & true)
    precision = right / len(said) if said else 1.0
    recall = right / len(true) if true else 1.0
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    scores = f"{precision:>10.4f}{recall:>8.4f}{f1:>8.4f}"
    wrong = f"{len(said - true):>7,}{len(true - said):>8,}"
    print(f"   {len(data):>12,}{len(true):>8,}  {name:<12}{scores}{wrong}{taken:>9.1f}", flush=True)


# bib-dedupe, in its own interpreter

_PROGRAM = """
import json, os, sys
import pandas as pd
from bib_dedupe.bib_dedupe import block, cluster, match, prep
frame = pd.read_json(sys.argv[1], orient="records", dtype=False)
start = sum(os.times()[:4])
prepared = prep(frame, verbosity_level=0, cpu=1)
pairs = block(prepared, verbosity_level=0, cpu=1)
groups = cluster(match(pairs, verbosity_level=0, cpu=1), verbosity_level=0)
taken = sum(os.times()[:4]) - start
json.dump({"groups": [list(map(str, g)) for g in groups], "cpu": taken}, open(sys.argv[2], "w"))
"""


def peer() -> str | None:
    """The interpreter that has bib-dedupe: named, or made; None where that cannot be."""
    if named := os.environ.get("BIB_DEDUPE_PYTHON"):
        return named
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "living-evidence-peers" / re.sub(r"\W+", "-", PEER)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (folder / ".complete").is_file():
        try:
            venv.create(folder, with_pip=True)
            install = [str(python), "-m", "pip", "install", "--quiet", PEER]
            subprocess.run(install, check=True, timeout=900, capture_output=True)
            (folder / ".complete").touch()
        except (OSError, subprocess.SubprocessError) as fault:
            print(f"   bib-dedupe is left out: it cannot be installed ({type(fault).__name__})")
            return None
    return str(python)


def bib_dedupe(data: Sequence[Labelled], python: str) -> tuple[list[set[int]], float] | None:
    """Groups by number, and CPU seconds; the same fields as ours, in its own words."""
    rows = [
        {
            "ID": str(number),
            "ENTRYTYPE": "article",
            "title": r.title,
            "author": " and ".join(r.authors),
            "year": str(r.year or ""),
            "journal": r.journal or r.journal_short,
            "volume": r.volume,
            "number": r.issue,
            "pages": r.pages.replace("-", "--"),
            "abstract": r.abstract,
            "doi": r.doi or "",
        }
        for number, (r, _) in enumerate(data)
    ]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "records.json", Path(folder) / "groups.json"
        source.write_text(json.dumps(rows), encoding="utf-8")
        command = [python, "-W", "ignore", "-c", _PROGRAM, str(source), str(target)]
        try:
            subprocess.run(command, check=True, timeout=PATIENCE, capture_output=True)
        except (OSError, subprocess.SubprocessError) as fault:
            said = getattr(fault, "stderr", b"") or b""
            print(f"   bib-dedupe failed: {said.decode(errors='replace')[-300:]}", file=sys.stderr)
            return None
        answer = json.loads(target.read_text(encoding="utf-8"))
    return [{int(n) for n in group} for group in answer["groups"]], float(answer["cpu"])
