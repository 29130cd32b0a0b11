"""PubMed: what a query finds, the records behind PMIDs, and files exported from its page."""

from __future__ import annotations

from evidence.pubmed.articles import (
    Deleted,
    NotWhole,
    Unreadable,
    parse_articles,
    stream_articles,
)
from evidence.pubmed.nbib import NbibFile, read_nbib
from evidence.pubmed.records import Batch, details, served
from evidence.pubmed.search import Found, find

__all__ = [
    "Batch",
    "Deleted",
    "Found",
    "NbibFile",
    "NotWhole",
    "Unreadable",
    "details",
    "find",
    "parse_articles",
    "read_nbib",
    "served",
    "stream_articles",
]
