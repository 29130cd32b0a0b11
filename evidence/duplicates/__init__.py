"""Duplicates among references: found with reasons, merged with a log, undone at will."""

from __future__ import annotations

from evidence.duplicates.compare import Comparison, Thresholds, compare
from evidence.duplicates.fields import Finding
from evidence.duplicates.find import Deduplicated, Group, Pair, deduplicate, ids_of, key_of, replay
from evidence.duplicates.log import (
    Judgement,
    Merge,
    decisions_text,
    log_text,
    read_decisions,
    read_log,
    undo,
)
from evidence.duplicates.signature import Signature, signatures

__all__ = [
    "Comparison",
    "Deduplicated",
    "Finding",
    "Group",
    "Judgement",
    "Merge",
    "Pair",
    "Signature",
    "Thresholds",
    "compare",
    "decisions_text",
    "deduplicate",
    "ids_of",
    "key_of",
    "log_text",
    "read_decisions",
    "read_log",
    "replay",
    "signatures",
    "undo",
]
