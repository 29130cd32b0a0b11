"""The SQLite store: records, which claim's search found them when, and the log of searches.

It is a cache. Nothing that a person decided is in it; deleted, the next update fills it again.
"""

from __future__ import annotations

from evidence.store.nouns import Added, Other, Settled, State, StoreCounts
from evidence.store.records import NEVER, STALE_DAYS, Store
from evidence.store.schema import MIGRATIONS

__all__ = [
    "MIGRATIONS",
    "NEVER",
    "STALE_DAYS",
    "Added",
    "Other",
    "Settled",
    "State",
    "Store",
    "StoreCounts",
]
