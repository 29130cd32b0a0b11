"""Literature: finds papers, remembers them, sets pooled effects beside the claims they bear on."""

__version__ = "0.1.0"
