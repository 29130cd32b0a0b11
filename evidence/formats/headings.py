"""Headings of CSV exports and what they mean, database by database."""

from __future__ import annotations

import re


def plain(heading: str) -> str:
    """A heading without case, blanks and marks: "Art. No." is "artno"."""
    return re.sub(r"[^a-z0-9#]", "", heading.casefold())


# Heading, as `plain` has it: field. Where two headings of a file mean the same field, the first
# that has a value wins and the other is kept in `extra`; lists take all.
HEADINGS = {
    # titles
    "title": "title",
    "titles": "title",
    "articletitle": "title",
    "primarytitle": "title",
    "documenttitle": "title",
    # people; of several, full names come first
    "authorfullnames": "authors",
    "authors": "authors",
    "author": "authors",
    "authornames": "authors",
    "authorsnames": "authors",
    "editors": "editors",
    # when
    "year": "year",
    "publicationyear": "year",
    "publishedyear": "year",
    "pubyear": "year",
    "yearofpublication": "year",
    "date": "date",
    "publicationdate": "date",
    "dateofpublication": "date",
    "pubdate": "date",
    "month": "month",
    "publishedmonth": "month",
    "day": "day",
    # where
    "journal": "journal",
    "journalbook": "journal",
    "journaltitle": "journal",
    "source": "journal",
    "sourcetitle": "journal",
    "publicationtitle": "journal",
    "secondarytitle": "journal",
    "abbreviatedsourcetitle": "journal_short",
    "journalabbreviation": "journal_short",
    "journalshort": "journal_short",
    "volume": "volume",
    "issue": "issue",
    "number": "issue",
    "pages": "pages",
    "pagestart": "first_page",
    "startpage": "first_page",
    "firstpage": "first_page",
    "pageend": "last_page",
    "endpage": "last_page",
    "lastpage": "last_page",
    "artno": "article_number",
    "articlenumber": "article_number",
    # what
    "abstract": "abstract",
    "abstracts": "abstract",
    "abstractnote": "abstract",
    "keywords": "keywords",
    "authorkeywords": "keywords",
    "indexkeywords": "keywords",
    "mesh": "mesh",
    "meshterms": "mesh",
    "meshheadings": "mesh",
    "documenttype": "types",
    "publicationtype": "types",
    "publicationtypes": "types",
    "types": "types",
    "language": "language",
    "languageoforiginaldocument": "language",
    "articlelanguage": "language",
    "publisher": "publisher",
    "location": "place",
    "place": "place",
    # numbers
    "doi": "doi",
    "dois": "doi",
    "digitalobjectidentifier": "doi",
    "pmid": "pmid",
    "pubmedid": "pmid",
    "medlinepmid": "pmid",
    "pmcid": "pmcid",
    "pmc": "pmcid",
    "issn": "issn",
    "eissn": "issn",
    "printissn": "issn",
    "isbn": "isbn",
    "accession": "accession",
    "accessionnumber": "accession",
    "embaseaccessionid": "accession",
    "eid": "accession",
    "utuniquewosid": "accession",
    "database": "database",
    # the rest
    "url": "urls",
    "urls": "urls",
    "link": "urls",
    "links": "urls",
    "fulltextlink": "urls",
    "notes": "notes",
    "kind": "kind",
    "included": "included",
    "labelincluded": "included",
    "includedlabel": "included",
    "label": "included",
    "finalincluded": "included",
    "includedfinal": "included",
    "include": "included",
    "asreviewlabel": "included",
    "key": "source_id",
    "recordid": "source_id",
    "covidence#": "source_id",
    "sourceid": "source_id",
}

# The database is known by headings that no other has; all of a row must be there.
SIGNATURES = (
    ("living-evidence", ("kind", "sourceid", "extra", "journalshort")),
    ("PubMed", ("pmid", "citation", "journalbook")),
    ("Scopus", ("eid", "sourcetitle", "artno")),
    ("Covidence", ("covidence#",)),
    ("Rayyan", ("key", "pubmedid", "pmcid")),
    ("Rayyan", ("key", "issn", "authors", "location")),
    ("Embase", ("embaseaccessionid",)),
    ("Embase", ("medlinepmid", "authornames")),
    ("ASReview", ("asreviewlabel",)),
    ("ASReview", ("labelincluded",)),
    ("Web of Science", ("pt", "au", "ti", "so", "ut")),
    ("Web of Science, full headings", ("articletitle", "sourcetitle", "utuniquewosid")),
)

# In these files the heading "Source" is the database, not the journal.
SOURCE_IS_DATABASE = frozenset({"Scopus"})


def dialect(headings: list[str]) -> str:
    """Whose export a row of headings belongs to; "" where that is not known."""
    have = {plain(h) for h in headings}
    return next((name for name, needs in SIGNATURES if have >= set(needs)), "")
