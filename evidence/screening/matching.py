"""Which record of a claim a reference of another program's file is."""

from __future__ import annotations

from collections.abc import Mapping

from evidence.duplicates import Signature, compare, signatures
from evidence.formats.reference import Reference


class NoMatch(ValueError):
    """A reference that is none of the claim's records, or may be several; says why."""


class Matcher:
    """Finds records by PMID, then DOI, then title and year with the reasons of deduplication.

    Parameters
    ----------
    records : mapping of str to Reference
        The claim's records by the name that decisions give them.
    names : mapping of str to str, optional
        Other names of records, such as "doi:10.1/x" of what is known by its PMID now.
    """

    def __init__(
        self, records: Mapping[str, Reference], names: Mapping[str, str] | None = None
    ) -> None:
        self._records = dict(records)
        self._by_pmid = {r.pmid: name for name, r in records.items() if r.pmid}
        self._by_doi: dict[str, list[str]] = {}
        for name, r in records.items():
            if r.doi:
                self._by_doi.setdefault(r.doi.casefold(), []).append(name)
        for other, name in (names or {}).items():
            if other.startswith("doi:") and name in self._records:
                found = self._by_doi.setdefault(other.removeprefix("doi:").casefold(), [])
                if name not in found:
                    found.append(name)
        self._by_title: dict[str, list[tuple[str, Signature]]] | None = None
        self._count: Mapping[str, int] = {}

    def find(self, reference: Reference) -> str:
        """The name of the record.

        Raises
        ------
        NoMatch
            If there is none, or if it cannot be told which one.
        """
        by_pmid = self._by_pmid.get(reference.pmid or "")
        by_doi = self._by_doi.get((reference.doi or "").casefold(), [])
        if by_pmid is not None:
            if by_doi and by_pmid not in by_doi:
                raise NoMatch(
                    f"its PMID is that of {by_pmid}, its DOI that of {' and '.join(by_doi)}"
                )
            return by_pmid
        if len(by_doi) == 1:
            return by_doi[0]
        if by_doi:
            raise NoMatch(f"its DOI is that of {len(by_doi)} records: {', '.join(by_doi)}")
        return self._by_words(reference)

    def _by_words(self, reference: Reference) -> str:
        if not reference.title:
            raise NoMatch("it has no title, and no PMID or DOI of a record of the claim")
        if self._by_title is None:
            found, self._count = signatures(list(self._records.values()))
            self._by_title = {}
            for name, signature in zip(self._records, found, strict=True):
                self._by_title.setdefault(signature.key, []).append((name, signature))
        ((own,), _) = signatures([reference])
        alike = [
            name for name, other in self._by_title.get(own.key, ()) if self._one_work(own, other)
        ]
        if len(alike) == 1:
            return alike[0]
        if alike:
            raise NoMatch(f"its title is that of {len(alike)} records: {', '.join(alike[:5])}")
        if own.key in self._by_title:
            near = ", ".join(name for name, _ in self._by_title[own.key][:5])
            raise NoMatch(f"it has the title of {near}, but another year, author or number")
        raise NoMatch("it is no record of the claim")

    def _one_work(self, one: Signature, two: Signature) -> bool:
        """Same title; and same year, or enough besides for deduplication to merge them."""
        made = compare(one, two, self._count)
        if made.decision == "merge":
            return True
        apart = made.contradictions or made.relation
        return one.year is not None and one.year == two.year and not apart
