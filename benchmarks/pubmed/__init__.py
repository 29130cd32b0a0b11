"""PubMed files read, kept and searched."""
