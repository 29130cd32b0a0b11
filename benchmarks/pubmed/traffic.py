"""Requests that an update sends, beside the fewest that could bring the same.

PubMed is a loopback server with invented records. The fewest are: searches that list every PMID
once (9,999 in one), one search more a claim for what was revised, replies of 200 records, and one
look at the included studies. A search of more than 9,999 needs further ones to learn where to cut,
here more than with real PMIDs: invented ones lie close together, far above all real ones.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

from evidence.fetch import Eutils, Limiter
from evidence.pubmed.records import BATCH
from evidence.pubmed.search import WINDOW
from evidence.retrieval import update_all
from evidence.store import Store
from tests.eutils_query import Query
from tests.eutils_records import invent
from tests.eutils_server import EutilsServer

DAY = dt.date(2026, 3, 2)
CLAIMS = (
    ("interval", "sprint[tiab] OR interval[tiab]"),
    ("exercise", "exercise[tiab]"),
    ("lactate", "lactate[tiab]"),
    ("brain", "hippocampal[tiab] OR dlpfc[tiab]"),
)
SIZES = (120, 2_000, 25_000)
REVISED = 5


def run(sizes: Sequence[int] = SIZES) -> None:
    """Print a line for each update."""
    print(f"   {'':<44}{'found':>8}{'searches':>12}{'fetches':>12}{'all':>12}")
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            _updates(Path(name), size)


def _updates(folder: Path, size: int) -> None:
    records = invent(size)
    claims = (
        (("all", " OR ".join(f"({query})" for _, query in CLAIMS)),) if size > WINDOW else CLAIMS
    )
    with (
        EutilsServer(records) as server,
        contextlib.closing(
            Eutils(server.url, limiter=Limiter(folder / "limiter", 10_000), sleep=lambda s: None)
        ) as eutils,
        Store(folder / "evidence.sqlite") as store,
    ):

        def update(words: str, day: int, included: Sequence[str], fetched: int) -> None:
            before = len(server.requests)
            found = update_all(claims, included, eutils, store, on=DAY + dt.timedelta(day))
            counts = [claim.run.count for claim in found.claims]
            lists = sum(max(1, math.ceil(n / WINDOW)) for n in counts)
            fewest = lists + len(claims) * (day > 0)
            fetches = math.ceil(fetched / BATCH) + bool(included)
            sent = [request.endpoint for request in server.requests[before:]]
            searched, got = sent.count("esearch"), sent.count("efetch")
            print(
                f"   {words:<44}{sum(counts):>8,}{_beside(searched, fewest)}"
                f"{_beside(got, fetches)}{_beside(len(sent), fewest + fetches)}",
                flush=True,
            )

        everything = {
            p for _, query in claims for p in Query(query).run([*server.records.values()])
        }
        update(f"{size:,} records, first", 0, (), len(everything))
        included = sorted(everything)[:3]
        update(f"{size:,} records, no news", 1, included, 0)
        later = DAY + dt.timedelta(2)
        for pmid in sorted(everything)[10 : 10 + REVISED]:
            server.records[pmid] = dataclasses.replace(
                server.records[pmid], title="Revised", revised=later
            )
        update(f"{size:,} records, {REVISED} revised", 2, included, REVISED)


def _beside(sent: int, fewest: int) -> str:
    return f"{f'{sent:,} ({fewest:,})':>12}"
