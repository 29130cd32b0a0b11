"""The page on which people screen records: a local server, its pages and its script."""
