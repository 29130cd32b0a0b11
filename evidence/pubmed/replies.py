"""What an E-utilities reply says: a page of PMIDs, or a fault hidden in HTTP 200."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lxml import etree

from evidence.errors import SourceError
from evidence.fetch import BOM, Passing, json_object

TOP = 999_999_999  # above every PMID
_NUMBER = re.compile(r"[0-9]{1,15}")
# Faults that no repetition mends; every other one is worth a retry.
_FINAL = re.compile(
    r"retstart|empty term|invalid db|unknown db|syntax|not supported field", re.IGNORECASE
)
_JSON_WARNINGS = (
    ("errorlist", "phrasesnotfound", "not found: {}"),
    ("errorlist", "fieldsnotfound", "unknown field: {}"),
    ("warninglist", "phrasesignored", "ignored: {}"),
    ("warninglist", "quotedphrasesnotfound", "quoted phrase not found: {}"),
    ("warninglist", "outputmessages", "{}"),
)
_XML_WARNINGS = (
    ("ErrorList/PhraseNotFound", "not found: {}"),
    ("ErrorList/FieldNotFound", "unknown field: {}"),
    ("WarningList/PhraseIgnored", "ignored: {}"),
    ("WarningList/QuotedPhraseNotFound", "quoted phrase not found: {}"),
    ("WarningList/OutputMessage", "{}"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """One ESearch reply."""

    count: int  # announced, of which this page may hold only the first 9,999
    pmids: tuple[int, ...]
    translation: str
    warnings: tuple[str, ...]


def fault(text: str) -> Exception:
    """The exception that an ERROR of the service stands for."""
    text = " ".join(text.split())
    if _FINAL.search(text) and "Database is not supported" not in text:
        return SourceError(
            f"PubMed refuses the search: {text}",
            remedy="correct the query in the claim's file",
        )
    return Passing(f'PubMed says "{text}"')


def read_page(body: bytes) -> Page:
    """Read an ESearch reply, JSON or XML. A zero is only a zero when no ERROR came with it.

    Raises
    ------
    Passing
        Unreadable, or a fault that may pass.
    SourceError
        A fault that no repetition mends.
    """
    body = body.removeprefix(BOM).strip()
    return _xml_page(body) if body.startswith(b"<") else _json_page(body)


def _json_page(body: bytes) -> Page:
    reply = json_object(body)
    if "error" in reply:
        raise fault(str(reply["error"]))
    result = reply.get("esearchresult")
    if not isinstance(result, dict):
        raise Passing("a search reply without a result")
    if error := result.get("ERROR") or result.get("error"):
        raise fault(str(error))
    warnings: list[str] = []
    for group, name, words in _JSON_WARNINGS:
        holder = result.get(group)
        texts = holder.get(name) if isinstance(holder, dict) else None
        if texts:
            listed = texts if isinstance(texts, list) else [texts]
            warnings += [words.format(_line(text)) for text in listed]
    ids = result.get("idlist") or []
    if not isinstance(ids, list):
        raise Passing("a search reply without a list of PMIDs")
    return _page(
        result.get("count"),
        ids,
        str(result.get("querytranslation") or ""),
        warnings,
    )


def _xml_page(body: bytes) -> Page:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        raise Passing("a search reply that is no whole XML") from None
    if errors := [_line(e.text) for e in root.iter("ERROR")]:
        raise fault("; ".join(errors))
    if root.tag != "eSearchResult":
        raise Passing("a search reply without a result")
    warnings = [
        words.format(_line(element.text))
        for path, words in _XML_WARNINGS
        for element in root.findall(path)
    ]
    ids = [element.text for element in root.findall("IdList/Id")]
    return _page(root.findtext("Count"), ids, root.findtext("QueryTranslation") or "", warnings)


def _page(count: Any, ids: list[Any], translation: str, warnings: list[str]) -> Page:
    if not _NUMBER.fullmatch(str(count)):
        raise Passing("a search reply without a count")
    if not all(_NUMBER.fullmatch(str(i)) and 0 < int(str(i)) <= TOP for i in ids):
        raise Passing("a search reply with PMIDs that are none")
    return Page(
        int(str(count)),
        tuple(int(str(i)) for i in ids),
        _line(translation),
        tuple(dict.fromkeys(warnings)),
    )


def _line(text: Any) -> str:
    return " ".join(str(text or "").split())
