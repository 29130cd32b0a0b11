"""A claim's search strategy as a document: checked, numbered for a paper, explained in numbers."""
