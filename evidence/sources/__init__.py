"""Further sources behind PubMed's shape: `find` lists what a query finds, `details` the records.

They are optional: nothing asks them unless it is told to. A record of theirs that is in PubMed has
its PMID; others have none, and are told apart by their identifier.
"""

from __future__ import annotations

from evidence.sources.web import Batch, Hits, Web

__all__ = ["Batch", "Hits", "Web"]
