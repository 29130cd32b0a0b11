"""A PubMed of one's own: NLM's baseline and update files in SQLite, searched as PubMed searches.

`add` takes files in, `Mirror` answers queries, `add_mesh` reads NLM's descriptor file for narrower
headings; `find` and `details` have the shape of their namesakes in `evidence.pubmed`.
"""

from __future__ import annotations

from evidence.mirror.add import Outcome, add
from evidence.mirror.descriptors import add_mesh
from evidence.mirror.search import Answer, Mirror
from evidence.mirror.source import details, find
from evidence.mirror.writing import Added

__all__ = ["Added", "Answer", "Mirror", "Outcome", "add", "add_mesh", "details", "find"]
