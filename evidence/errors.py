"""Faults of schema, source and store."""

from __future__ import annotations

from meta.errors import InputError, NotConverged, ToolkitError, UnknownName

__all__ = [
    "InputError",
    "NotConverged",
    "SchemaError",
    "SourceBusy",
    "SourceError",
    "SourceIncomplete",
    "SourceUnreachable",
    "StoreError",
    "ToolkitError",
    "UnknownName",
]


class SchemaError(ToolkitError):
    """A claim file or an extracted table that does not keep to its format."""


class SourceError(ToolkitError):
    """A literature source that answered with a fault (bad query, bad key, malformed reply)."""


class SourceBusy(SourceError):
    """A source that kept answering "later" (429, 5xx, broken transfers) after all retries."""


class SourceIncomplete(SourceError):
    """A source that answered with less than it announced; the last good state is kept."""


class SourceUnreachable(SourceError):
    """No connection at all (DNS, refused, no route): not a fault of the project, never retried."""


class StoreError(ToolkitError):
    """The local database cannot be read or written."""
