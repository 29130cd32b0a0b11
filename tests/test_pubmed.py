"""PubMed: complete searches, records that are all accounted for, XML and NBIB to `Record`."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import gzip
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from evidence.errors import SourceError, SourceIncomplete
from evidence.fetch import Eutils, Limiter, Passing
from evidence.model import Record
from evidence.pubmed import (
    Deleted,
    NotWhole,
    details,
    find,
    parse_articles,
    read_nbib,
    served,
    stream_articles,
)
from evidence.pubmed.replies import read_page
from tests import eutils_query
from tests.eutils_records import FIRST_PMID, Article, invent
from tests.eutils_server import EutilsServer, Fault

QUERY = "(exercise[tiab] OR training[tiab]) NOT animals[mh]"


@pytest.fixture
def server() -> Iterator[EutilsServer]:
    with EutilsServer(invent(40)) as server:
        yield server


@pytest.fixture
def eutils(server: EutilsServer, tmp_path: Path) -> Iterator[Eutils]:
    limiter = Limiter(tmp_path / "limiter", 10_000)
    eutils = Eutils(server.url, limiter=limiter, sleep=lambda seconds: None)
    with contextlib.closing(eutils):
        yield eutils


# --- find ------------------------------------------------------------------------------------


def test_a_search_brings_all_pmids_in_order_with_one_request(server, eutils):
    found = find(QUERY, eutils)
    wanted = [
        pmid
        for pmid, article in server.records.items()
        if (" exercise " in article.words or " training " in article.words)
        and "animals" not in article.headings
    ]
    assert len(wanted) > 5
    assert found.pmids == tuple(wanted)
    assert found.count == len(wanted)
    assert found.translation == QUERY.replace("[tiab]", "[Title/Abstract]")
    assert found.query == QUERY
    assert len(server.requests) == 1


def test_a_restriction_is_joined_to_the_whole_query(server, eutils):
    found = find("exercise[tiab] OR walking[tiab]", eutils, extra="2025/09/01:3000[lr]")
    assert found.query == "(exercise[tiab] OR walking[tiab]) AND 2025/09/01:3000[lr]"
    assert found.pmids
    assert all(server.records[p].revised >= dt.date(2025, 9, 1) for p in found.pmids)


def test_warnings_of_the_service_are_kept(eutils):
    found = find("exercise[tiab] OR nosuchword[tiab] OR walking[foo]", eutils)
    assert found.count > 0
    assert found.warnings == ("not found: nosuchword", "unknown field: foo")


def test_a_true_zero_is_an_answer_with_its_reason(eutils):
    found = find("nosuchword[tiab]", eutils)
    assert (found.count, found.pmids) == (0, ())
    assert found.warnings == ("not found: nosuchword", "No items found.")


def test_a_search_beyond_the_window_is_split_until_every_pmid_has_arrived(server, eutils):
    many = [Article(str(1_600 * n + 1), title="many") for n in range(25_000)]
    server.records = {article.pmid: article for article in many}
    found = find("many[ti]", eutils)
    assert found.count == 25_000
    assert found.pmids == tuple(server.records)
    ranges = [r.fields["term"].partition(" AND ")[2] for r in server.requests]
    assert ranges[0] == ""
    bounds = [tuple(map(int, r.removesuffix("[uid]").split(":"))) for r in ranges[1:]]
    assert bounds[0] == (1, 2**26 - 1)  # the power of two above the highest PMID: the same each day
    for low, high in bounds[1:]:  # half of a range that was asked for before
        size = high + 1 - (low if low > 1 else 0)
        assert size & (size - 1) == 0
        assert (low if low > 1 else 0) % size == 0
    assert len(bounds) == len(set(bounds)) == 9


def test_exactly_the_window_needs_no_splitting(server, eutils):
    few = [Article(str(FIRST_PMID + n), title="many") for n in range(9_999)]
    server.records = {article.pmid: article for article in few}
    assert find("many[ti]", eutils).count == 9_999
    assert len(server.requests) == 1


@pytest.mark.parametrize("kind", ["lost-id", "count-high"])
def test_a_count_that_does_not_agree_is_searched_once_more(server, eutils, kind):
    server.faults.append(Fault(kind))
    assert len(find(QUERY, eutils).pmids) > 5
    assert len(server.requests) == 2


@pytest.mark.parametrize("kind", ["lost-id", "count-high"])
def test_a_count_that_never_agrees_is_incomplete(server, eutils, kind):
    server.faults.append(Fault(kind, times=9))
    with pytest.raises(SourceIncomplete, match=r"\d+ records announced, \d+ received"):
        find(QUERY, eutils)
    assert len(server.requests) == 2


@pytest.mark.parametrize("after", [1, 3, 5])
def test_a_lie_in_any_part_of_a_large_search_is_noticed(server, eutils, after):
    many = [Article(str(4_000 * n + 1), title="many") for n in range(10_500)]
    server.records = {article.pmid: article for article in many}
    server.faults.append(Fault("count-high", after=after))
    assert find("many[ti]", eutils).pmids == tuple(server.records)
    server.faults.append(Fault("lost-id", times=99))
    with pytest.raises(SourceIncomplete):
        find("many[ti]", eutils)


def test_a_service_that_ignores_ranges_is_noticed(server, eutils, monkeypatch):
    many = [Article(str(FIRST_PMID + n), title="many") for n in range(10_500)]
    server.records = {article.pmid: article for article in many}
    monkeypatch.setattr(eutils_query, "_predicate", lambda term, tag: lambda article: True)
    with pytest.raises(SourceIncomplete):
        find("many[ti]", eutils)


def test_a_record_that_no_range_holds_is_noticed(server, eutils, monkeypatch):
    many = [Article(str(4_000 * n + 1), title="many") for n in range(10_500)]
    server.records = {article.pmid: article for article in many}
    real = eutils_query._predicate

    def hiding(term: str, tag: str) -> Callable[[Article], bool]:
        has = real(term, tag)
        return lambda article: has(article) and (tag != "uid" or article.pmid != "40000001")

    monkeypatch.setattr(eutils_query, "_predicate", hiding)
    with pytest.raises(SourceIncomplete, match=r"PMIDs from \d+ to \d+, [\d,]+ expected"):
        find("many[ti]", eutils)


def test_an_empty_query_is_never_sent(server, eutils):
    with pytest.raises(SourceError, match="the query is empty"):
        find("  ", eutils)
    assert not server.requests


@pytest.mark.parametrize(
    "body",
    [
        b'{"esearchresult":{"idlist":[]}}',
        b'{"esearchresult":{"count":"","idlist":[]}}',
        b'{"esearchresult":{"ERROR":"Unable to obtain query #1"}}',
        b'{"esearchresult":["odd"]}',
        b'{"error":"API rate limit exceeded","count":"4","limit":"3"}',
        b"[]",
        b"<eSearchResult><Count>3</Count>",
        b"<other/>",
    ],
)
def test_a_reply_that_is_no_count_is_never_taken_for_zero(body):
    with pytest.raises(Passing):
        read_page(body)


@pytest.mark.parametrize("words", ["Empty term and query_key - nothing todo", "Invalid db name"])
def test_an_error_that_stays_is_told_as_such(words):
    with pytest.raises(SourceError, match=words):
        read_page(f'{{"esearchresult":{{"ERROR":"{words}"}}}}'.encode())


def test_an_xml_reply_is_understood_like_a_json_one(server, eutils):
    body = eutils.call("esearch", {"term": f"{QUERY} OR zzz[tiab]", "retmax": "9999"}, bytes)
    assert body.startswith(b"<?xml")
    page = read_page(body)
    assert page.count == len(page.pmids) == find(QUERY, eutils).count
    assert page.warnings == ("not found: zzz",)


# --- details ---------------------------------------------------------------------------------


def test_records_arrive_in_batches_of_two_hundred(server, eutils):
    server.records = {article.pmid: article for article in invent(450)}
    batches = list(details(server.records, eutils))
    assert [len(batch.records) for batch in batches] == [200, 200, 50]
    assert [r.pmid for b in batches for r in b.records] == list(server.records)
    assert len(server.requests) == 3


def test_a_record_missing_from_a_reply_is_asked_for_again_by_itself(server, eutils):
    lost = list(server.records)[5:8]
    server.faults.append(Fault("missing", pmids=lost))
    (batch,) = details(server.records, eutils)
    assert [r.pmid for r in batch.records] == list(server.records)
    assert batch.not_served == ()
    assert [r.pmids for r in server.requests] == [list(server.records), lost]


def test_records_that_pubmed_does_not_serve_are_listed(server, eutils):
    pmids = [*server.records, "99999998", "99999999"]
    (batch,) = details(pmids, eutils)
    assert len(batch.records) == 40
    assert batch.not_served == ("99999998", "99999999")


def test_one_lost_and_one_unknown_record_are_told_apart(server, eutils):
    lost = next(iter(server.records))
    server.faults.append(Fault("missing", pmids=[lost]))
    (batch,) = details([*server.records, "99999999"], eutils)
    assert batch.not_served == ("99999999",)
    assert {r.pmid for r in batch.records} == set(server.records)


def test_a_record_without_its_pmid_is_incomplete_and_named(server, eutils):
    broken = server.records[str(FIRST_PMID)]
    broken.xml = lambda: "<PubmedArticle><MedlineCitation/></PubmedArticle>"
    batches = details(server.records, eutils)
    assert len(next(batches).records) == 39
    with pytest.raises(SourceIncomplete, match="did not deliver 1 of 40 records") as caught:
        next(batches)
    assert caught.value.places == (f"PMID {FIRST_PMID}", "article 1 of the reply: no PMID")


def test_control_characters_do_not_cost_a_record(server, eutils):
    server.faults.append(Fault("control"))
    (batch,) = details(server.records, eutils)
    assert len(batch.records) == 40
    assert len(server.requests) == 1


def test_serving_asks_once_and_names_nothing(server, eutils):
    wanted = [str(FIRST_PMID), "99999999"]
    assert list(served(wanted, eutils)) == [str(FIRST_PMID)]
    assert served(["99999999"], eutils) == {}
    assert served([], eutils) == {}
    assert len(server.requests) == 2


# --- XML -------------------------------------------------------------------------------------


def parsed(article: Article) -> Record:
    (record,), refused = parse_articles(
        f"<PubmedArticleSet>{article.xml()}</PubmedArticleSet>".encode()
    )
    assert refused == []
    return record


def test_inline_markup_and_mathml_are_kept_as_text():
    math = '<m:math xmlns:m="urn:m"><m:mi>R</m:mi> <m:mn>2</m:mn></m:math>'
    record = parsed(
        Article(
            "7", title="The <i>in vitro</i> H<sub>2</sub>O test", abstract=f"P&lt;0.001 {math}."
        )
    )
    assert record.title == "The in vitro H2O test"
    assert record.abstract == "P<0.001 R 2."


def test_sections_keep_their_labels_on_lines_of_their_own():
    record = parsed(Article("7", abstract=(("AIMS", "To try."), ("", "Plain."), ("DATA", ""))))
    assert record.abstract == "AIMS: To try.\nPlain."


def test_only_the_articles_own_ids_are_taken():
    record = parsed(Article("7", references=("10.0000/cited",)))
    assert record.doi is None
    assert record.pmcid is None
    own = Article("7", doi="10.0000/own", pmcid="PMC7", references=("10.0000/cited",))
    assert (parsed(own).doi, parsed(own).pmcid) == ("10.0000/own", "PMC7")


def test_a_date_in_words_gives_its_first_year():
    assert parsed(Article("7", medline_date="1998 Dec-1999 Jan")).year == 1998
    assert parsed(Article("7", medline_date="Winter")).year is None


def test_groups_stand_among_the_authors():
    record = parsed(Article("7", authors=("Testa AB", "The Invented Trial Group", "Muster C")))
    assert record.authors == ("Testa AB", "The Invented Trial Group", "Muster C")


def test_headings_keep_qualifiers_and_major_topics():
    record = parsed(Article("7", mesh=("*Exercise", "Brain/*metabolism/physiology")))
    assert record.mesh == ("*Exercise", "Brain/*metabolism/physiology")


def test_notices_about_an_article_are_read_and_other_links_are_not():
    notices = (
        ("ErratumIn", "J Inv. 2022;1:2", "8"),
        ("ExpressionOfConcernIn", "J Inv. 2023;1:3", "9"),
        ("CommentIn", "J Inv. 2023;1:4", "10"),
        ("Cites", "J Inv. 2000;1:4", "11"),
    )
    record = parsed(Article("7", notices=notices))
    assert record.notices == (
        "ErratumIn: J Inv. 2022;1:2 (PMID 8)",
        "ExpressionOfConcernIn: J Inv. 2023;1:3 (PMID 9)",
    )
    assert not record.retracted


def test_a_retraction_is_seen_by_its_notice_or_by_its_publication_type():
    assert parsed(Article("7", notices=(("RetractionIn", "J Inv. 2024;1:1", "8"),))).retracted
    assert parsed(Article("7", kinds=("Journal Article", "Retracted Publication"))).retracted
    notice = Article(
        "8", kinds=("Retraction of Publication",), notices=(("RetractionOf", "J", "7"),)
    )
    assert not parsed(notice).retracted
    assert parsed(notice).notices == ("RetractionOf: J (PMID 7)",)


def test_a_book_chapter_is_a_record_too():
    record = parsed(Article("7", book=True, journal="A Book", title="A chapter", year=2009))
    assert (record.pmid, record.title, record.journal, record.year) == (
        "7",
        "A chapter",
        "A Book",
        2009,
    )
    assert record.revised == "2021-06-01"


def test_version_language_status_and_revision_are_read():
    record = parsed(Article("7", version=2, language="fre", revised=dt.date(2024, 2, 29)))
    assert (record.version, record.language, record.status) == (2, "fre", "MEDLINE")
    assert record.revised == "2024-02-29"


def test_an_empty_title_is_kept_and_the_original_one_is_shown():
    xml = Article("7", title="[Not Available].").xml()
    xml = xml.replace("<Language>", "<VernacularTitle>Un titre</VernacularTitle><Language>")
    (record,), _ = parse_articles(f"<PubmedArticleSet>{xml}</PubmedArticleSet>".encode())
    assert (record.title, record.vernacular_title) == ("[Not Available].", "Un titre")
    assert record.shown_title == "Un titre"


def test_entities_are_never_resolved_and_no_dtd_is_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("leaked")
    article = Article("7", title="A &x; B &y; C").xml()
    document = (
        '<!DOCTYPE PubmedArticleSet SYSTEM "http://127.0.0.1:9/none.dtd" ['
        f'<!ENTITY x SYSTEM "file://{secret}"><!ENTITY y "{"boom " * 3}">]>'
        f"<PubmedArticleSet>{article}</PubmedArticleSet>"
    )
    records, (refused,) = parse_articles(document.encode())
    assert records == []
    assert (refused.pmid, refused.why) == ("7", "it refers to the entity 'x'; none is expanded")
    assert b"leaked" not in refused.data


def test_streaming_and_parsing_agree_and_a_broken_file_is_a_fault():
    body = "".join(article.xml() for article in invent(25))
    document = f"<PubmedArticleSet>{body}</PubmedArticleSet>".encode()
    records, _ = parse_articles(document)
    assert list(stream_articles(io.BytesIO(document))) == records
    assert len(records) == 25
    cut = stream_articles(io.BytesIO(document[: len(document) // 2]))
    assert isinstance(next(cut), Record)
    with pytest.raises(NotWhole, match="ends before </PubmedArticleSet>"):
        list(cut)


# --- NBIB ------------------------------------------------------------------------------------

NBIB = """\
PMID- 90000011
OWN - NLM
STAT- MEDLINE
LR  - 20240131
DP  - 2019 Winter
TI  - An invented title that goes on
      in a second line.
AB  - BACKGROUND: None. RESULTS: P < 0.05,
      invented.
AU  - Testa A
AU  - Muster BC
CN  - The Invented Trial Group
LA  - eng
PT  - Journal Article
TA  - J Invent
JT  - Journal of Invented Results
MH  - *Exercise
MH  - Brain-Derived Neurotrophic Factor/blood/*drug
      effects
OT  - a keyword so long that it has to go on
      in a second line
PMC - PMC7
RIN - J Invent. 2024;9(9):99. PMID: 90000012
LID - S0000-0 [pii]
LID - 10.0000/own [doi]

TI  - An entry without its number

PMID- 90000013
this line is not in the format

PMID- 90000014
TI  - Followed at once by another entry
PMID- 90000015
TI  - The last
"""


def test_an_export_of_the_pubmed_page_becomes_records(tmp_path):
    path = tmp_path / "set.nbib"
    path.write_text(NBIB, encoding="utf-8")
    read = read_nbib(path)
    assert [record.pmid for record in read.records] == ["90000011", "90000014", "90000015"]
    assert read.refused == (
        f"{path}:27  no PMID",
        f"{path}:30  'this line is not in the format' is not in the MEDLINE format",
    )
    expected = {
        "pmid": "90000011",
        "title": "An invented title that goes on in a second line.",
        "abstract": "BACKGROUND: None. RESULTS: P < 0.05, invented.",
        "authors": ("Testa A", "Muster BC", "The Invented Trial Group"),
        "year": 2019,
        "journal": "Journal of Invented Results",
        "doi": "10.0000/own",
        "pmcid": "PMC7",
        "mesh": ("*Exercise", "Brain-Derived Neurotrophic Factor/blood/*drug effects"),
        "kinds": ("Journal Article",),
        "keywords": ("a keyword so long that it has to go on in a second line",),
        "language": "eng",
        "status": "MEDLINE",
        "version": 1,
        "retracted": True,
        "notices": ("RetractionIn: J Invent. 2024;9(9):99 (PMID 90000012)",),
        "revised": "2024-01-31",
    }
    record = read.records[0]
    assert {name: getattr(record, name) for name in expected} == expected


WHOLE = """\
PMID- 90000021
OWN - NLM
STAT- MEDLINE
DA  - 20120101
DCOM- 20120229
IS  - 0000-0000 (Print)
IS  - 0000-0001 (Linking)
VI  - 12
IP  - 3
DP  - 2011 Nov-Dec
TI  - An invented title.
PG  - 101-9
LID - S0000-1 [pii]
AB  - First paragraph.
     \x20
      Second paragraph.
CI  - Copyright Nobody.
FAU - Testa, Ada B Jr
AU  - Testa AB Jr
AUID- ORCID: https://orcid.org/0000-0002-1825-0097
AD  - Institute A,
      Nowhere.
AD  - Institute B.
FAU - Probst, C
AU  - Probst C
CN  - The Invented Trial Group
LA  - ger
LA  - eng
SI  - ClinicalTrials.gov/NCT00000000
SI  - ClinicalTrials.gov/NCT00000001
GR  - R00 XX000000/XX/NIXX NIH HHS/United States
GR  - 00/Z/00/Z/Nobody/United Kingdom
GR  - Nobody
PT  - Journal Article
DEP - 20111101
TT  - Ein Titel.
PL  - Germany
TA  - J Invent
JT  - Journal of Invented Results
JID - 0000001
RN  - 0 (Invented Substances)
RN  - EC 0.0.0.0 (An Enzyme)
NM  - Invented protocol
SB  - IM
EIN - J Invent. 2012 Jan;13(1):1. PMID: 90000022
CON - J Old. 1999;1(1):1. doi: 10.0000/x.
MH  - *Exercise/physiology/*psychology
OTO - NOTNLM
OT  - *invention
OT  - nothing
PS  - Muster E
FPS - Muster, Eva
FIR - Fictor, Max
IR  - Fictor M
IRAD- Site 1.
OAB - Publisher: Zusammenfassung.
OABL- ger
OID - NLM: PMC7
GS  - bdnf
GN  - KIE: A note.
SFM - Flight 0
RF  - 41
COIS- None.
EDAT- 2011/11/02 06:00
MHDA- 2012/03/01 06:00
CRDT- 2011/11/01 06:00
PHST- 2011/01/02 00:00 [received]
PHST- 2011/11/02 06:00 [pubmed]
AID - 10.0000/own [doi]
MID - NIHMS0
PMC - PMC7
PST - ppublish
"""


def test_every_line_of_an_export_has_its_place(tmp_path):
    (tmp_path / "x.nbib").write_text(WHOLE, encoding="utf-8")
    read = read_nbib(tmp_path / "x.nbib")
    assert read.refused == ()
    (r,) = read.records
    assert r.abstract == "First paragraph. Second paragraph."
    assert r.authors == ("Testa AB Jr", "Probst C", "The Invented Trial Group")
    first = r.people[0]
    assert (first.last, first.fore, first.initials, first.suffix) == ("Testa", "Ada B", "AB", "Jr")
    assert first.affiliations == ("Institute A, Nowhere.", "Institute B.")
    assert (first.orcid, r.people[2].position) == ("0000-0002-1825-0097", 3)
    assert [(p.name, p.affiliations) for p in r.investigators] == [("Fictor M", ("Site 1.",))]
    assert [p.name for p in r.subjects] == ["Muster E", "Muster Eva"]
    assert (r.year, r.pubdate.first, r.pubdate.last) == (2011, "2011-11", "2011-12")
    assert (r.electronic, r.created, r.completed) == ("2011-11-01", "2012-01-01", "2012-02-29")
    assert [(h.event, h.date, h.time) for h in r.history] == [
        ("received", "2011-01-02", "00:00"),
        ("pubmed", "2011-11-02", "06:00"),
        ("entrez", "2011-11-01", "06:00"),
        ("medline", "2012-03-01", "06:00"),
    ]
    assert r.ids == (
        ("pubmed", "90000021"),
        ("doi", "10.0000/own"),
        ("mid", "NIHMS0"),
        ("pmc", "PMC7"),
    )
    assert (r.doi, r.pmcid, r.locations[0].id) == ("10.0000/own", "PMC7", "S0000-1")
    assert (r.volume, r.issue, r.pages) == ("12", "3", "101-9")
    journal = r.periodical
    assert (journal.medline, journal.issn_print, journal.issn_linking) == (
        "J Invent",
        "0000-0000",
        "0000-0001",
    )
    assert (journal.country, journal.nlm_id) == ("Germany", "0000001")
    assert r.databanks == (("ClinicalTrials.gov", ("NCT00000000", "NCT00000001")),)
    assert [tuple(g) for g in r.grants] == [
        ("R00 XX000000", "XX", "NIXX NIH HHS", "United States"),
        ("00/Z/00/Z", "", "Nobody", "United Kingdom"),
        ("", "", "Nobody", ""),
    ]
    assert [(c.registry, c.name) for c in r.chemicals] == [
        ("0", "Invented Substances"),
        ("EC 0.0.0.0", "An Enzyme"),
    ]
    assert [(c.kind, c.source, c.pmid) for c in r.corrections] == [
        ("ErratumIn", "J Invent. 2012 Jan;13(1):1", "90000022"),
        ("CommentOn", "J Old. 1999;1(1):1. doi: 10.0000/x.", None),
    ]
    assert r.headings[0].qualifiers == (
        ("physiology", "", False, False),
        ("psychology", "", True, False),
    )
    assert r.keyword_list == (("invention", "NOTNLM", True), ("nothing", "NOTNLM", False))
    assert r.keywords == ("invention", "nothing")
    assert (r.other_abstracts[0].language, r.other_abstracts[0].text) == ("ger", "Zusammenfassung.")
    assert (r.vernacular_title, r.copyright) == ("Ein Titel.", "Copyright Nobody.")
    assert (r.languages, r.language) == (("ger", "eng"), "ger, eng")
    assert (r.genes, r.missions, r.subsets) == (("bdnf",), ("Flight 0",), ("IM",))
    assert (r.notes, r.other_ids) == ((("KIE", "A note."),), (("NLM", "PMC7"),))
    assert (r.references_stated, r.conflict_of_interest) == (41, "None.")
    assert [t.name for t in r.supplementary] == ["Invented protocol"]
    assert Record.from_json(r.json()) == r


def test_a_book_in_the_medline_format_is_known_by_its_title(tmp_path):
    (tmp_path / "x.nbib").write_text(
        "PMID- 7\nDP  - 2009\nBTI - A Book\nCTI - A Series\nEN  - 2\nISBN- ISBN 978-0\n"
        "PB  - Invented Press\nPL  - Nowhere\nFED - Esempio, Eva\nED  - Esempio E\n"
        "CTDT- 2008/01/05\nAID - NBK0 [bookaccession]\n\nPMID- 8\nBTI - A Book\nTI  - A chapter\n"
    )
    whole, chapter = read_nbib(tmp_path / "x.nbib").records
    assert (whole.title, whole.journal, whole.year) == ("A Book", "", 2009)
    book = whole.book
    assert (book.collection, book.edition, book.isbns) == ("A Series", "2", ("978-0",))
    assert (book.publisher, book.place, book.accession) == ("Invented Press", "Nowhere", "NBK0")
    assert [e.name for e in book.editors] == ["Esempio E"]
    assert (chapter.title, chapter.journal) == ("A chapter", "A Book")


def test_the_one_affiliation_of_an_old_export_is_of_the_first_author(tmp_path):
    (tmp_path / "x.nbib").write_text("PMID- 7\nAD  - Institute.\nAU  - Testa A\nAU  - Probst C\n")
    (record,) = read_nbib(tmp_path / "x.nbib").records
    assert [p.affiliations for p in record.people] == [("Institute.",), ()]


@pytest.mark.parametrize("content", [b"", b"\n \n", b"PMID- 7\xff\n"])
def test_a_file_without_records_or_in_another_encoding_is_a_fault(tmp_path, content):
    (tmp_path / "set.nbib").write_bytes(content)
    with pytest.raises(SourceError, match=r"set\.nbib"):
        read_nbib(tmp_path / "set.nbib")


# --- real files ------------------------------------------------------------------------------


@pytest.mark.shared
def test_every_small_real_file_is_read_or_refused_by_name(shared):
    with (shared / "pubmed/manifest.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["file"].startswith("records/")]
    refused: Counter[str] = Counter()
    total = 0
    for row in rows:
        path = shared / "pubmed" / row["file"]
        if row["kind"] == "medline":
            nbib = read_nbib(path)
            total += len(nbib.records)
            refused["medline"] += len(nbib.refused)
            continue
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        records, bad = parse_articles(data)
        assert [r for r in stream_articles(io.BytesIO(data)) if isinstance(r, Record)] == records
        assert len(records) + len(bad) == int(row["n_records"]), path.name
        refused.update("PMID" if "PMID" in b.why else b.why.partition(":")[0] for b in bad)
        total += len(records)
    # Hand-made: five PMIDs that are none ("11119751-a"), one article without content, one without
    # end tag, and the entries of two MEDLINE files that exist to be refused.
    assert refused == {"PMID": 5, "no MedlineCitation": 1, "not well-formed": 1, "medline": 9}
    assert total > 900


@pytest.mark.shared
@pytest.mark.parametrize("name", ["pubmed20n0014", "pubmed21n1298"])
def test_a_slice_of_a_complete_nlm_file_has_no_holes(shared, name):
    with gzip.open(shared / f"pubmed/{name}.xml.gz", "rt", encoding="utf-8") as file:
        raw = "".join(islice(file, 400_000)).rpartition("</PubmedArticle>")[0]
    document = f"{raw}</PubmedArticle></PubmedArticleSet>".encode()
    records, refused = parse_articles(document)
    # The same facts by another way: the text of each article, without its references and the
    # abstracts in other languages.
    texts = [text.partition("<ReferenceList>")[0] for text in raw.split("<PubmedArticle>")[1:]]
    texts = [re.sub(r"<OtherAbstract.*?</OtherAbstract>", "", t, flags=re.DOTALL) for t in texts]
    assert refused == []
    assert len(records) == len(texts) > 1_400
    for record, text in zip(records, texts, strict=True):
        assert f">{record.pmid}</PMID>" in text
        assert bool(record.abstract) == bool(re.search(r"<AbstractText[^>]*>\s*\S", text))
        assert bool(record.authors) == ("<Author " in text)
        assert len(record.mesh) == text.count("<DescriptorName")
        assert len(record.kinds) == text.count("<PublicationType ")
        assert (record.doi is not None) == bool(re.search(r'(IdType|EIdType)="doi"[^>/]*>1', text))
        assert (record.pmcid is not None) == ('IdType="pmc"' in text)
        assert all((record.journal, record.year, record.language, record.status))
        assert record.shown_title or "<ArticleTitle/>" in text or "<ArticleTitle></" in text
        assert "\n" not in record.title
        assert "  " not in record.title


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "expected"),
    # Counts of the manifest beside the files; "empty" adds elements that stand there without text.
    [
        (
            "pubmed20n0014",
            {"records": 30_000, "no abstract": 15_168, "no authors": 497, "no DOI": 14_878 + 1}
            | {"PMC": 2_193, "not English": 7_719, "retracted": 2, "withdrawn": 0},
        ),
        (
            "pubmed21n1298",
            {"records": 20_788, "no abstract": 2_342 + 1, "no authors": 156, "no DOI": 183}
            | {"PMC": 5_313, "not English": 449, "retracted": 4, "withdrawn": 20},
        ),
    ],
)
def test_a_complete_nlm_file_gives_the_counts_of_its_manifest(shared, name, expected):
    counts = dict.fromkeys(expected, 0)
    with gzip.open(shared / f"pubmed/{name}.xml.gz") as file:
        for record in stream_articles(file):
            if isinstance(record, Deleted):
                counts["withdrawn"] += 1
                continue
            assert isinstance(record, Record)
            counts["records"] += 1
            counts["no abstract"] += not record.abstract
            counts["no authors"] += not record.authors
            counts["no DOI"] += record.doi is None
            counts["PMC"] += record.pmcid is not None
            counts["not English"] += record.language != "eng"
            counts["retracted"] += record.retracted
    assert counts == expected


@pytest.mark.shared
def test_real_search_replies_are_understood(shared):
    folder = shared / "pubmed/eutils/biopython"
    page = read_page((folder / "esearch3.xml").read_bytes())
    assert (page.count, len(page.pmids)) == (2651, 6)
    nothing = read_page((folder / "esearch8.xml").read_bytes())
    assert (nothing.count, nothing.warnings) == (0, ("not found: abcXYZ", "No items found."))
    with pytest.raises(SourceError, match="Invalid db name specified"):
        read_page((folder / "epost2.xml").read_bytes())
