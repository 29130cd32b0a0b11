"""Evidence rows in, pages out: a static site that an editor can read and trace."""

from evidence.site.pages import Figure, downloads, render
from evidence.site.stale import Stale, mark_stale

__all__ = ["Figure", "Stale", "downloads", "mark_stale", "render"]
