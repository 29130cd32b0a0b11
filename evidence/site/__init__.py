"""Evidence rows in, pages out: a static site that an editor can read and trace."""

from evidence.site.pages import Figure, downloads, render

__all__ = ["Figure", "downloads", "render"]
