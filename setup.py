"""What of the package is compiled; all else stands in pyproject.toml.

The fast reader of PubMed's XML is optional: where there is no C compiler, lxml reads all of it.
"""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension("evidence.pubmed._shapes", ["evidence/pubmed/_shapes.c"], optional=True),
    ]
)
