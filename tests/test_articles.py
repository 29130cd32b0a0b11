"""Every field of PubMed XML, odd forms, damage and attacks; two readings of every real file."""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime as dt
import gzip
import io
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from evidence.cli import main
from evidence.errors import SourceError
from evidence.formats.lines import json_line
from evidence.formats.records import read_records
from evidence.model import (
    AbstractSection,
    Author,
    Chemical,
    Cited,
    Correction,
    DataBank,
    Grant,
    Heading,
    HistoryDate,
    Journal,
    Keyword,
    Location,
    PubDate,
    Qualifier,
    Record,
    Term,
)
from evidence.pubmed import Deleted, NotWhole, Unreadable, parse_articles, stream_articles
from evidence.pubmed.articles import read
from evidence.pubmed.citations import citation_record
from evidence.pubmed.regular import COMPILED, regular_record
from evidence.pubmed.xml_dates import dated, in_words, iso
from evidence.pubmed.xml_split import pieces, read_chunks
from evidence.pubmed.xml_text import tree
from evidence.store import MIGRATIONS, Store
from tests import second_reading
from tests.eutils_records import invent
from tests.full_record import FULL


def in_set(*articles: str, name: str = "PubmedArticleSet") -> bytes:
    return f"<{name}>{''.join(articles)}</{name}>".encode()


def only(xml: str | bytes) -> Record:
    records, unreadable = parse_articles(xml.encode() if isinstance(xml, str) else xml)
    assert unreadable == []
    (record,) = records
    return record


def by_tree(article: bytes) -> Record:
    """The record as the reader with the XML parser has it."""
    element = tree(article)
    citation = element if element.tag == "MedlineCitation" else element.find("MedlineCitation")
    return citation_record(citation, element.find("PubmedData"))


def changed(old: str, new: str, xml: str = FULL) -> Record:
    assert old in xml
    return only(xml.replace(old, new))


@pytest.fixture(scope="module")
def full() -> Record:
    return only(in_set(FULL))


# --- fields ----------------------------------------------------------------------------------


def test_the_title_is_flat_and_the_original_one_is_beside_it(full):
    assert full.title == "[The in vitro CO2 & p<0.05 test]."
    assert full.vernacular_title == "Der in vitro-Test"
    assert full.shown_title == full.title


def test_an_abstract_keeps_labels_categories_formulas_and_copyright(full):
    assert full.sections == (
        AbstractSection("To try two lines.", "AIMS & SCOPE", "OBJECTIVE"),
        AbstractSection("R=2, P\u2009=\u20091.", "RESULTS", "RESULTS"),
    )
    assert full.abstract == "AIMS & SCOPE: To try two lines.\nRESULTS: R=2, P\u2009=\u20091."
    assert full.copyright == "© 2023 Nobody."


def test_further_abstracts_have_their_language_and_kind(full):
    german, plain = full.other_abstracts
    assert (german.language, german.kind, german.text) == ("ger", "Publisher", "ZIEL: Zu prüfen.")
    assert german.copyright == "© Niemand."
    assert (plain.language, plain.kind) == ("eng", "plain-language-summary")


def test_authors_are_whole_and_their_names_leave_out_withdrawn_spellings(full):
    assert full.authors == ("Testa AB Jr", "Probst C", "The Invented Trial Group")
    assert full.people[0] == Author(
        last="Testa",
        fore="Ada B",
        initials="AB",
        suffix="Jr",
        orcid="0000-0002-1825-009X",
        affiliations=("Institute A & B, Nowhere.", "Institute C."),
        equal=True,
        position=1,
        identifiers=(("ORCID", "https://orcid.org/0000-0002-1825-009X"),),
        affiliation_ids=(("ROR", "https://ror.org/000000000"),),
    )
    assert [(p.name, p.valid, p.position) for p in full.people[1:]] == [
        ("Probts C", False, 2),
        ("Probst C", True, 3),
        ("The Invented Trial Group", True, 4),
    ]
    assert full.people[3].collective == "The Invented Trial Group"
    assert not full.people_complete


@pytest.mark.parametrize(
    ("written", "orcid"),
    [
        ("0000-0002-1825-0097", "0000-0002-1825-0097"),
        ("0000000218250097", "0000-0002-1825-0097"),
        ("http://orcid.org/0000-0002-1825-009x ", "0000-0002-1825-009X"),
        ("0000-0002-1825-009", None),
        ("", None),
    ],
)
def test_an_orcid_is_the_same_whatever_stands_around_it(written, orcid):
    record = changed("https://orcid.org/0000-0002-1825-009X", written)
    assert record.people[0].orcid == orcid


def test_investigators_and_people_written_about_are_no_authors(full):
    assert [(p.name, p.affiliations) for p in full.investigators] == [("Fictor M", ("Site 1.",))]
    assert [p.name for p in full.subjects] == ["Muster E"]


def test_the_journal_is_known_by_all_its_names_and_numbers(full):
    assert full.journal == "Journal of Invented Results"
    assert full.periodical == Journal(
        title="Journal of Invented Results",
        iso="J. Invent. Res.",
        medline="J Invent Res",
        issn_electronic="0000-000X",
        issn_linking="0000-0001",
        nlm_id="0000001",
        country="Germany",
    )
    assert (full.volume, full.issue, full.pages) == ("12 Suppl 1", "3", "101-9")
    assert (full.medium, full.model) == ("Internet", "Print-Electronic")


def test_pages_are_made_of_first_and_last_where_nothing_else_is_given():
    assert changed("<MedlinePgn>101-9</MedlinePgn>", "").pages == "101-109"
    empty = FULL.replace("<MedlinePgn>101-9</MedlinePgn>", "<MedlinePgn/>")
    assert changed("<EndPage>109</EndPage>", "", empty).pages == "101"


def test_dates_say_as_much_as_is_known(full):
    assert full.pubdate == PubDate("2023 Dec 7", "2023-12-07", "2023-12-07")
    assert (full.year, full.electronic) == (2023, "2023-11-01")
    assert (full.completed, full.revised, full.created) == ("2024-02-29", "2024-05-06", None)
    assert full.history == (
        HistoryDate("received", "2023-01-02"),
        HistoryDate("accepted", "2023-10-03"),
        HistoryDate("entrez", "2023-11-01", "06:05"),
    )
    assert full.publication_status == "ppublish"


def test_headings_have_ids_major_topics_and_the_mark_of_the_machine(full):
    exercise = Heading(
        "Exercise",
        "D015444",
        qualifiers=(
            Qualifier("physiology", "Q000502", major=True),
            Qualifier("psychology", "Q000523", auto=True),
        ),
        auto=True,
    )
    assert full.headings == (exercise, Heading("Germany", "D005858", True, "Geographic"))
    assert full.mesh == ("Exercise/*physiology/psychology", "*Germany")


def test_substances_types_keywords_and_genes_are_kept(full):
    assert full.chemicals == (Chemical("Oxygen", "D010100", "S88TT14065"),)
    assert full.supplementary == (Term("Invented protocol", "C000000", "Protocol"),)
    assert full.kinds == ("Journal Article", "Randomized Controlled Trial")
    assert full.publication_types[1] == Term("Randomized Controlled Trial", "D016449")
    assert full.keyword_list == (
        Keyword("Treg cells", "NOTNLM", True),
        Keyword("invention", "NOTNLM"),
        Keyword("Bioethics", "KIE"),
    )
    assert full.keywords == ("Treg cells", "invention", "Bioethics")
    assert full.genes == ("bdnf",)


def test_grants_and_registrations_are_kept(full):
    assert full.grants == (
        Grant("R00 XX000000", "XX", "NIXX NIH HHS", "United States"),
        Grant(agency="Nobody & Sons"),
    )
    assert not full.grants_complete
    assert full.databanks == (DataBank("ClinicalTrials.gov", ("NCT00000000", "NCT00000001")),)


def test_ids_are_those_of_the_article_and_never_of_its_references(full):
    assert (full.doi, full.pmcid) == ("10.0000/own.1", "PMC9000001")
    assert full.ids == (
        ("pubmed", "90000011"),
        ("mid", "NIHMS0"),
        ("pmc", "PMC9000001"),
        ("doi", "10.0000/own.1"),
    )
    assert full.locations == (Location("pii", "S0000-1"), Location("doi", "10.0000/own.1"))
    own = re.sub(r"<ArticleIdList>.*?</ArticleIdList>", "", FULL, count=1, flags=re.DOTALL)
    assert (only(own).doi, only(own).pmcid) == ("10.0000/own.1", "PMC9000001")
    bare = own.replace('EIdType="doi" ValidYN="Y"', 'EIdType="doi" ValidYN="N"')
    bare = bare.replace("PMC9000001", "NIHMS1")
    assert (only(bare).doi, only(bare).pmcid) == (None, None)


def test_links_to_other_publications_keep_kind_source_and_number(full):
    assert full.corrections[0] == Correction(
        "ErratumIn", "J Invent Res. 2024 Jan;13(1):1", "90000012", 1, "Author name"
    )
    assert [c.kind for c in full.corrections] == ["ErratumIn", "Cites"]
    assert full.notices == ("ErratumIn: J Invent Res. 2024 Jan;13(1):1 (PMID 90000012)",)


def test_references_have_their_numbers_for_the_chase_after_citations(full):
    assert full.references == (
        Cited("Nobody A. J Old. 1998 & 1999.", "90000014", "10.0000/cited", "PMC9000014"),
        Cited("Nobody B."),
        Cited("Nobody C.", "90000015", ids=(("sici", "0000(1)"),)),
    )
    assert full.cites == ("90000014", "90000015", "90000013")
    assert full.references_stated == 41


def test_what_else_a_citation_says_is_kept(full):
    assert (full.pmid, full.version, full.version_date) == ("90000011", 2, "2024/05/06")
    assert (full.status, full.owner, full.indexing) == ("MEDLINE", "NLM", "Automated")
    assert full.subsets == ("IM", "H")
    assert (full.language, full.languages) == ("ger, eng", ("ger", "eng"))
    assert full.conflict_of_interest == "None & never."
    assert full.notes == (("KIE", "A note."),)
    assert full.missions == ("Flight 0",)
    assert full.other_ids == (("NLM", "PMC9000001"),)


def test_the_dtd_says_what_a_missing_attribute_means():
    bare = re.sub(r' (ValidYN|CompleteYN|MajorTopicYN|Owner|Language)="[^"]*"', "", FULL)
    record = only(bare)
    assert all(p.valid for p in record.people)
    assert record.people_complete
    assert record.owner == "NLM"
    assert record.keyword_list[0] == Keyword("Treg cells", "NLM")
    assert record.other_abstracts[0].language == "eng"
    assert not record.headings[1].major


def test_everything_survives_the_way_through_json(full):
    assert Record.from_json(json.loads(json.dumps(full.json()))) == full


# --- books -----------------------------------------------------------------------------------

BOOK = """\
<PubmedBookArticle>
  <BookDocument>
    <PMID Version="1">90000021</PMID>
    <ArticleIdList><ArticleId IdType="bookaccession">NBK0</ArticleId>\
<ArticleId IdType="doi">10.0000/chapter</ArticleId></ArticleIdList>
    <Book>
      <Publisher><PublisherName>Invented Press</PublisherName>\
<PublisherLocation>Nowhere (NW)</PublisherLocation></Publisher>
      <BookTitle book="b">The <i>Invented</i> Handbook</BookTitle>
      <PubDate><Year>2009</Year><Season>Spring</Season></PubDate>
      <BeginningDate><Year>2001</Year></BeginningDate>
      <EndingDate><Year>2009</Year><Month>03</Month></EndingDate>
      <AuthorList Type="editors"><Author><LastName>Esempio</LastName><Initials>E</Initials>\
</Author></AuthorList>
      <Volume>2</Volume><VolumeTitle>Part two</VolumeTitle><Edition>3rd</Edition>
      <CollectionTitle>Invented Series</CollectionTitle>
      <Isbn>9780000000000</Isbn><Isbn>0000000000</Isbn>
      <ELocationID EIdType="doi" ValidYN="Y">10.0000/book</ELocationID>
      <Medium>Internet</Medium><ReportNumber>Report 7</ReportNumber>
    </Book>
    <LocationLabel Type="chapter">Chapter 12</LocationLabel>
    <ArticleTitle book="b" part="ch12">A chapter.</ArticleTitle>
    <Pagination><StartPage>7</StartPage><EndPage>9</EndPage></Pagination>
    <Language>eng</Language>
    <AuthorList Type="authors"><Author><LastName>Testa</LastName><ForeName>A</ForeName>\
<Initials>A</Initials></Author></AuthorList>
    <PublicationType UI="D016454">Review</PublicationType>
    <Abstract><AbstractText>Invented.</AbstractText></Abstract>
    <Sections><Section><LocationLabel Type="section">1</LocationLabel>\
<SectionTitle book="b">One</SectionTitle><Section><SectionTitle>One A</SectionTitle></Section>\
</Section></Sections>
    <KeywordList Owner="NLM"><Keyword>k</Keyword></KeywordList>
    <ContributionDate><Year>2008</Year><Month>1</Month><Day>5</Day></ContributionDate>
    <DateRevised><Year>2012</Year><Month>3</Month><Day>27</Day></DateRevised>
    <GrantList><Grant><Agency>Nobody</Agency></Grant></GrantList>
    <ItemList ListType="Synonyms"><Item>one</Item><Item>two</Item></ItemList>
    <ReferenceList><Reference><Citation>Nobody D.</Citation></Reference>\
<ReferenceList><Title>More</Title><Reference><Citation>Nobody E.</Citation></Reference>\
</ReferenceList></ReferenceList>
  </BookDocument>
  <PubmedBookData>
    <History><PubMedPubDate PubStatus="pubmed"><Year>2010</Year><Month>1</Month><Day>1</Day>\
</PubMedPubDate></History>
    <PublicationStatus>ppublish</PublicationStatus>
    <ArticleIdList><ArticleId IdType="pubmed">90000021</ArticleId></ArticleIdList>
  </PubmedBookData>
</PubmedBookArticle>"""


def test_a_chapter_names_its_book_and_its_own_authors():
    record = only(in_set(BOOK))
    assert (record.title, record.journal) == ("A chapter.", "The Invented Handbook")
    assert (record.doi, record.year, record.pages) == ("10.0000/chapter", 2009, "7-9")
    assert record.authors == ("Testa A",)
    assert record.revised == "2012-03-27"
    assert record.history == (HistoryDate("pubmed", "2010-01-01"),)
    book = record.book
    assert book is not None
    assert (book.title, book.accession) == ("The Invented Handbook", "NBK0")
    assert (book.publisher, book.place) == ("Invented Press", "Nowhere (NW)")
    assert (book.collection, book.volume, book.volume_title) == ("Invented Series", "2", "Part two")
    assert (book.edition, book.medium, book.report) == ("3rd", "Internet", "Report 7")
    assert book.isbns == ("9780000000000", "0000000000")
    assert book.locations == (Location("doi", "10.0000/book"),)
    assert book.pubdate == PubDate("2009 Spring", "2009", "2009", "Spring")
    assert (book.beginning.first, book.ending.first) == ("2001", "2009-03")
    assert book.contributed.first == "2008-01-05"
    assert [p.name for p in book.editors] == ["Esempio E"]
    assert book.labels == (("chapter", "Chapter 12"),)
    assert book.contents == ("One", "One A")
    assert book.items == (("Synonyms", "one"), ("Synonyms", "two"))
    assert [c.citation for c in record.references] == ["Nobody D.", "Nobody E."]
    assert Record.from_json(record.json()) == record


def test_a_whole_book_has_its_own_title_authors_and_doi():
    whole = re.sub(r"<ArticleTitle.*?</ArticleTitle>", "", BOOK)
    whole = whole.replace('<AuthorList Type="authors">', '<AuthorList Type="editors">')
    whole = whole.replace('<AuthorList Type="editors">', '<AuthorList Type="authors">', 1)
    whole = re.sub(r'<ArticleId IdType="doi">.*?</ArticleId>', "", whole)
    record = only(in_set(whole, name="PubmedBookArticleSet"))
    assert (record.title, record.journal) == ("The Invented Handbook", "Invented Series")
    assert (record.authors, record.doi) == (("Esempio E",), "10.0000/book")


# --- old and odd forms -----------------------------------------------------------------------


def test_files_of_medline_alone_are_read(full):
    citation = re.search(r"<MedlineCitation.*</MedlineCitation>", FULL, re.DOTALL)
    assert citation is not None
    for xml in (citation.group(), in_set(citation.group(), name="MedlineCitationSet").decode()):
        record = only(xml)
        assert record.sections == full.sections
        assert record.headings == full.headings
        assert (record.doi, record.pmcid) == ("10.0000/own.1", "PMC9000001")
        assert record.history == ()


# nlmmedlinecitation_011101.dtd: names of elements that later changed.
OLD = """\
<MedlineCitationSet><MedlineCitation Owner="NLM" Status="Completed">
<MedlineID>00000001</MedlineID><PMID>90000031</PMID>
<DateCreated><Year>1999</Year><Month>12</Month><Day>31</Day></DateCreated>
<Article><Journal><ISSN>0000-0000</ISSN><JournalIssue><Volume>1</Volume>
<PubDate><MedlineDate>1998 Dec-1999 Jan</MedlineDate></PubDate></JournalIssue></Journal>
<ArticleTitle>Old.</ArticleTitle><Pagination><MedlinePgn>1-2</MedlinePgn></Pagination>
<Affiliation>Of the first author.</Affiliation>
<AuthorList><Author><LastName>Testa</LastName><FirstName>Ada</FirstName>
<MiddleName>B</MiddleName><Initials>AB</Initials></Author>
<Author><LastName>Probst</LastName><Initials>C</Initials></Author></AuthorList>
<Language>eng</Language><PublicationTypeList><PublicationType>JOURNAL ARTICLE</PublicationType>
</PublicationTypeList></Article>
<MedlineJournalInfo><Country>Nowhere</Country><MedlineTA>J Old</MedlineTA>
<MedlineCode>JXX</MedlineCode></MedlineJournalInfo>
<ChemicalList><Chemical><CASRegistryNumber>0</CASRegistryNumber>
<NameOfSubstance>Old things</NameOfSubstance></Chemical></ChemicalList>
<CommentsCorrections><RetractionIn><RefSource>J Old. 2000;3:4</RefSource><PMID>90000032</PMID>
</RetractionIn><CommentIn><RefSource>J Old. 2000;3:5</RefSource></CommentIn></CommentsCorrections>
<MeshHeadingList><MeshHeading><Descriptor MajorTopicYN="N">Exercise</Descriptor>
<SubHeading MajorTopicYN="Y">physiology</SubHeading></MeshHeading></MeshHeadingList>
</MedlineCitation></MedlineCitationSet>"""


def test_elements_of_old_dtds_are_understood():
    record = only(OLD)
    assert record.people[0].fore == "Ada B"
    assert record.people[0].affiliations == ("Of the first author.",)
    assert record.people[1].affiliations == ()
    assert (record.created, record.year) == ("1999-12-31", 1998)
    assert record.pubdate == PubDate("1998 Dec-1999 Jan", "1998-12", "1999-01")
    assert (record.journal, record.periodical.issn) == ("J Old", "0000-0000")
    assert record.periodical.nlm_id == "JXX"
    assert record.chemicals == (Chemical("Old things", registry="0"),)
    assert record.mesh == ("Exercise/*physiology",)
    assert [c.kind for c in record.corrections] == ["RetractionIn", "CommentIn"]
    assert record.retracted


@pytest.mark.parametrize(
    ("text", "first", "last", "season"),
    [
        ("1998 Dec-1999 Jan", "1998-12", "1999-01", ""),
        ("2000 Nov-Dec", "2000-11", "2000-12", ""),
        ("1999 Apr 21-27", "1999-04-21", "1999-04-27", ""),
        ("2003 Aug 28-Sep 3", "2003-08-28", "2003-09-03", ""),
        ("1976-1977", "1976", "1977", ""),
        ("1978-79", "1978", "1979", ""),
        ("2007-2008 Fall-Winter", "2007", "2008", "Fall-Winter"),
        ("1976 Winter", "1976", "1976", "Winter"),
        ("Winter 1976", "1976", "1976", "Winter"),
        ("2016 3rd Quarter", "2016", "2016", "3rd Quarter"),
        ("Nov-Dec 1992", "1992-11", "1992-12", ""),
        ("1992 Apr-Jun 15", "1992-04", "1992-06-15", ""),
        ("2020 Mar", "2020-03", "2020-03", ""),
        ("Winter", None, None, "Winter"),
        ("not a date", None, None, ""),
        ("", None, None, ""),
    ],
)
def test_dates_in_words_give_their_span(text, first, last, season):
    assert in_words(text) == PubDate(text, first, last, season)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("2019", "03", "05"), "2019-03-05"),
        (("2019", "Mar", "5"), "2019-03-05"),
        (("2019", "March", ""), "2019-03"),
        (("2019", "", "5"), "2019"),
        (("2019", "13", "5"), "2019"),
        (("2019", "2", "30"), "2019-02"),
        (("2020", "2", "29"), "2020-02-29"),
        (("19", "2", "3"), None),
        (("", "2", "3"), None),
    ],
)
def test_a_date_says_no_more_than_the_calendar_has(parts, expected):
    assert iso(*parts) == expected


def test_a_date_without_anything_is_none():
    assert dated("") is None
    assert dated("2004", season="Spring") == PubDate("2004 Spring", "2004", "2004", "Spring")
    assert changed("<Year>2023</Year><Month>Dec</Month><Day>07</Day>", "").pubdate is None


@given(st.text(alphabet="0123456789 -/JanFebSpringWintrQua3d", max_size=24))
def test_any_words_are_a_date_or_none(text):
    found = in_words(text)
    for day in (found.first, found.last):
        assert day is None or re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?", day)
    if found.first and len(found.first) == 10:
        dt.date.fromisoformat(found.first)


def test_empty_and_odd_elements_are_nothing():
    empty = re.sub(r'(?<!PMID Version="2")>[^<>]*[^<>\s][^<>]*<', "><", FULL)
    record = only(empty)
    assert record.pmid == "90000011"
    assert (record.title, record.abstract, record.authors, record.year) == ("", "", (), None)
    assert (record.doi, record.pmcid, record.kinds, record.keywords) == (None, None, (), ())
    assert record.history == ()
    assert record.periodical == Journal()


def test_spaces_of_other_kinds_are_part_of_the_text():
    record = changed("Journal of Invented Results", "\u00a0Journal\u00a0 of\u200b\tResults\u2009")
    assert record.journal == "\u00a0Journal\u00a0 of\u200b Results\u2009"


@pytest.mark.parametrize("wrapper", ["PubmedArticleSet", "eFetchResult", "Some.thing-else"])
def test_the_element_around_records_does_not_matter(wrapper, full):
    assert only(in_set(FULL, name=wrapper)) == full


def test_documents_one_after_the_other_are_read_as_one():
    head = '<?xml version="1.0" ?>\n<!DOCTYPE PubmedArticleSet PUBLIC "a" "https://b/c.dtd">\n'
    document = f"{head}{in_set(FULL).decode()}\n{head}{in_set(BOOK).decode()}{OLD}"
    records, unreadable = parse_articles(document.encode())
    assert [r.pmid for r in records] == ["90000011", "90000021", "90000031"]
    assert unreadable == []


def test_prefixes_and_a_namespace_of_the_set_reach_the_records(full):
    math = FULL.replace(' xmlns:mml="http://www.w3.org/1998/Math/MathML"', "").replace("mml:", "q:")
    document = in_set(math).replace(b"<PubmedArticleSet", b'<PubmedArticleSet xmlns:q="urn:q"')
    assert only(document) == full
    named = in_set(FULL.replace("<PubmedArticle>", '<PubmedArticle xmlns="urn:x">'))
    assert only(named) == full


def test_a_comment_cdata_and_instructions_change_nothing(full):
    odd = FULL.replace("<Language>ger", "<!-- </PubmedArticle> --><Language><![CDATA[ger]]>")
    odd = odd.replace("<History>", "<?pmcsd </PubmedArticle> ?><History>")
    assert only(in_set("<!-- <PubmedArticle> -->", odd)) == full
    alone = FULL.replace("<History>", "<?pmcsd </PubmedArticle> ?><History>")
    first, second = parse_articles(in_set(FULL, alone))[0]
    assert first == second == full
    cdata = FULL.replace("Der <i>in vitro</i>-Test", "<![CDATA[</PubmedArticle> a < b]]>")
    assert only(in_set(cdata)).vernacular_title == "</PubmedArticle> a < b"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "iso-8859-1", "cp1252"])
def test_every_encoding_that_is_declared_is_read(encoding, full):
    declared = "utf-16" if encoding.startswith("utf-16") else encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{declared}"?>\n{in_set(FULL).decode()}'
    assert only(text.encode(encoding)) == full


def test_an_unknown_encoding_is_a_fault():
    with pytest.raises(NotWhole, match="no encoding 'klingon'"):
        parse_articles(b'<?xml version="1.0" encoding="klingon"?><PubmedArticleSet/>')


def test_deleted_records_are_listed():
    deletions = '<DeleteCitation><PMID Version="1">7</PMID>\n<PMID>8</PMID><PMID>x</PMID>'
    found = list(stream_articles(io.BytesIO(in_set(FULL, f"{deletions}</DeleteCitation>"))))
    assert isinstance(found[0], Record)
    assert found[1:3] == [Deleted("7", 1), Deleted("8", None)]
    assert isinstance(found[3], Unreadable)
    books = in_set("<DeleteDocument><PMID>9</PMID></DeleteDocument>", name="BookDocumentSet")
    assert list(stream_articles(io.BytesIO(books))) == [Deleted("9", None)]


# --- damage ----------------------------------------------------------------------------------


def until_broken(document: bytes, why: str) -> list[Record | Unreadable | Deleted]:
    """What a file gives before it says that it is not whole."""
    found: list[Record | Unreadable | Deleted] = []
    answers = stream_articles(io.BytesIO(document))
    with pytest.raises(NotWhole, match=why):
        collections.deque(map(found.append, answers), maxlen=0)
    return found


def numbered(number: int) -> str:
    return FULL.replace("90000011", str(number))


def test_a_damaged_record_is_set_apart_with_its_bytes_and_the_rest_is_read():
    bad = numbered(2).replace("</ArticleTitle>", "")
    document = in_set("\n", numbered(1), "\n", bad, "\n", numbered(3))
    first, broken, last = stream_articles(io.BytesIO(document))
    assert (first.pmid, last.pmid) == ("1", "3")
    assert isinstance(broken, Unreadable)
    assert (broken.number, broken.pmid) == (2, "2")
    assert broken.data == bad.encode()
    assert broken.line == 2 + FULL.count("\n") + 1
    assert broken.why.startswith("not well-formed: ")
    assert "line" not in broken.why


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("</PubmedArticle>", "", "not well-formed"),
        ("<PMID", "<PMIDX", "not well-formed"),
        (' Version="2">90000011<', ' Version="2">x1<', "PMID 'x1'"),
        ("Nobody & Sons", "Nobody & Sons", "not well-formed"),
        ("Oxygen", "Oxy\udcffgen", "not well-formed"),
        ('Status="MEDLINE"', 'Status="MEDLINE" Status="x"', "not well-formed"),
    ],
)
def test_each_kind_of_damage_costs_one_record_and_is_told(old, new, why):
    bad = FULL.replace("&amp; Sons", "& Sons") if old.startswith("Nobody") else FULL
    bad = bad.replace(old, new, 1)
    document = f"<PubmedArticleSet>{bad}{numbered(3)}</PubmedArticleSet>"
    records, (broken,) = parse_articles(document.encode("utf-8", "surrogateescape"))
    assert [r.pmid for r in records] == ["3"]
    assert why in broken.why


def test_what_lies_between_records_is_set_apart():
    document = in_set(numbered(1), "Error 502\n", "<PubmedArticl>", FULL[15:], numbered(3))
    records, unreadable = parse_articles(document)
    assert [r.pmid for r in records] == ["1", "3"]
    (stray,) = unreadable
    assert stray.data.startswith(b"Error 502")
    assert stray.data.endswith(b"</PubmedArticle>")
    assert (stray.why, stray.pmid) == ("it belongs to no record", "90000011")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_of_a_file_that_is_cut_off_all_whole_records_are_given(share):
    document = in_set(*[numbered(n) for n in range(1, 11)])
    cut = document[: int(len(document) * share)]
    found = until_broken(cut, "ends before </PubmedArticleSet>")
    whole = cut.count(b"</PubmedArticle>")
    assert [r.pmid for r in found if isinstance(r, Record)] == [str(n + 1) for n in range(whole)]
    (rest,) = [r for r in found if isinstance(r, Unreadable)]
    assert rest.why == "the file ends within this record"
    assert rest.data == cut.rpartition(b"</PubmedArticle>")[2]


@pytest.mark.parametrize("size", [1, 7, 100, 5000])
def test_the_size_of_the_parts_that_arrive_does_not_matter(size):
    document = in_set(*[numbered(n) for n in range(1, 4)])
    parts = [document[n : n + size] for n in range(0, len(document), size)]
    assert list(read(pieces(parts))) == parse_articles(document)[0]


def compressed(document: bytes) -> bytes:
    return gzip.compress(document, mtime=0)


def test_compressed_files_in_several_members_are_read():
    data = compressed(in_set(numbered(1))) + compressed(in_set(numbered(2)))
    assert [r.pmid for r in stream_articles(io.BytesIO(data))] == ["1", "2"]
    assert b"".join(read_chunks(io.BytesIO(data + b"\0" * 600), size=64)).count(b"</PMID>") == 6


@pytest.mark.parametrize("damage", ["cut", "flipped", "checksum"])
def test_of_a_damaged_compressed_file_the_records_before_are_given(damage):
    data = bytearray(compressed(in_set(*[numbered(n) for n in range(1, 200)])))
    if damage == "cut":
        del data[len(data) * 3 // 4 :]
    elif damage == "flipped":
        data[len(data) * 3 // 4] ^= 0xFF
    else:
        data[-6] ^= 0xFF
    found = until_broken(bytes(data), "not whole: the compressed data")
    records = [r.pmid for r in found if isinstance(r, Record)]
    assert len(records) > (100 if damage != "checksum" else 198)
    assert records[:100] == [str(n) for n in range(1, 101)]


@pytest.mark.parametrize("document", [b"", b"  \n", b"no XML", b"<?xml version='1.0'?>", b"{}"])
def test_what_is_no_xml_is_a_fault_and_no_empty_answer(document):
    with pytest.raises(NotWhole):
        parse_articles(document)


def test_control_characters_are_dropped_and_names_of_characters_understood():
    odd = "J\x01o\ufffeu\uffffr&#x1;nal &eacute;&Lmidot;&LT;"
    assert changed("Journal of Invented Results", odd).journal == "Journal éĿ<"


# --- attacks ---------------------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[tuple[str, list[bytes]]]:
    """A port of this machine, and whatever is sent to it."""
    heard: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)
    stop = threading.Event()

    def listen() -> None:
        while not stop.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            heard.append(connection.recv(100))
            connection.close()

    thread = threading.Thread(target=listen)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}", heard
    stop.set()
    thread.join()
    server.close()


LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 30))


@pytest.mark.parametrize(
    "subset",
    [
        f'<!ENTITY a0 "ha">{LAUGHS}<!ENTITY x "&a29;">',
        '<!ENTITY x SYSTEM "file:///etc/passwd">',
        '<!ENTITY x SYSTEM "{url}/x">',
        '<!ENTITY % p SYSTEM "{url}/p.dtd">%p;',
        "<!ENTITY x \"<PubmedArticle>']>\"><!-- ]> ' -->",
        '<!ATTLIST PMID Version CDATA "9"><!ENTITY x "90000011">',
    ],
)
@pytest.mark.parametrize("place", ["text", "attribute"])
def test_no_entity_is_expanded_nothing_is_fetched_and_the_record_is_refused(
    subset, place, listener
):
    url, heard = listener
    head = f'<!DOCTYPE PubmedArticleSet SYSTEM "{url}/d.dtd" [{subset.replace("{url}", url)}]>'
    old, new = (
        ("Journal of Invented Results", "J &x;")
        if place == "text"
        else ('IndexingMethod="Automated"', 'IndexingMethod="&x;"')
    )
    hostile = in_set(FULL.replace(old, new), numbered(3)).decode()
    (record,), (refused,) = parse_articles(f"{head}\n{hostile}".encode())
    assert (record.pmid, record.version) == ("3", 2)
    assert (refused.pmid, refused.why) == (
        "90000011",
        "it refers to the entity 'x'; none is expanded",
    )
    assert heard == []


def test_an_entity_in_place_of_records_or_around_them_is_told():
    head = '<!DOCTYPE PubmedArticleSet [<!ENTITY x "<PubmedArticle/>">]>'
    _, (stray,) = parse_articles(f"{head}<PubmedArticleSet>&x;</PubmedArticleSet>".encode())
    assert (stray.data, stray.why) == (b"&x;", "it belongs to no record")
    _, (stray,) = parse_articles(f"<!DOCTYPE a [<!ENTITY a0 'ha'>{LAUGHS}]><a>&a29;</a>".encode())
    assert stray.data == b"&a29;"


def test_a_file_that_grows_without_end_is_read_in_little_memory():
    # 2 GB of blanks in 2 MB, then a record; more than 64 MB of a record that never ends.
    inner = gzip.compress(b" " * (1 << 20), mtime=0)
    bomb = compressed(b"<PubmedArticleSet>") + inner * 200 + compressed(in_set(FULL)[18:])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (record,) = stream_articles(io.BytesIO(bomb))
    assert record.pmid == "90000011"
    endless = compressed(b"<PubmedArticleSet><PubmedArticle>") + inner * 100
    found = until_broken(endless + compressed(in_set(FULL)[18:])[:-40], "not whole")
    assert len(found[0].data) <= 1 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000


# --- two readers, one answer -----------------------------------------------------------------

fast = pytest.mark.skipif(not COMPILED, reason="no C compiler when the package was installed")


@fast
def test_records_as_nlm_writes_them_need_no_tree(full):
    assert regular_record(FULL.encode()) == by_tree(FULL.encode()) == full
    compact = re.sub(r">\s+<", "><", FULL).encode()
    assert regular_record(compact) == by_tree(compact)
    for article in invent(30):
        xml = article.xml().encode()
        if b"<BookDocument>" not in xml and b"<Pagination>" in xml:
            assert regular_record(xml) in (None, by_tree(xml))


ODD = (
    "<",
    ">",
    "&",
    '"',
    "&amp;",
    "&lt;",
    "&#65;",
    "&#0;",
    "&x;",
    " ",
    "  ",
    "\n",
    "\t",
    "\r\n",
    "\u00a0",
    "\x01",
    "\ufffe",
    "é",
    "<i>",
    "</i>",
    "<b>x</b>",
    "<!-- x -->",
    "<![CDATA[<]]>",
    "<?p x?>",
    "<Year>1900</Year>",
    "<PMID>1</PMID>",
    "<Keyword>k</Keyword>",
    "</PubmedData>",
    ' Type="x"',
    " x",
    ' x="&"',
    "]]>",
    "<CitationSubset>X</CitationSubset>",
    "<CoiStatement>second</CoiStatement>",
    "<ArticleTitle>second</ArticleTitle>",
    "<i/>",
    "<sup><i>x</i></sup>",
    "<mml:mi>x</mml:mi>",
    "&<i>amp;</i>",
    "<Suffix>Jr</Suffix>",
    "<unknown/>",
    "\u2028",
)


@fast
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(ODD)), max_size=3))
def test_whatever_is_changed_in_a_record_both_readers_agree_or_the_fast_one_declines(changes):
    xml = FULL
    for place, cut, put in changes:
        at = int(place * len(xml))
        xml = xml[:at] + put + xml[at + cut :]
    assert_agreed(xml.encode())


@fast
@given(st.integers(0, 70), st.integers(0, 12), st.sampled_from(ODD))
def test_a_spoilt_citation_subset_is_never_passed_over(place, cut, put):
    at = FULL.index("<CitationSubset>") + place
    assert_agreed((FULL[:at] + put + FULL[at + cut :]).encode())


@fast
@pytest.mark.parametrize("spoilt", ["I<x/>M</CitationSubset>", "I</i></CitationSubset>", "IM</C"])
def test_a_citation_subset_that_is_not_whole_is_left_to_the_parser(spoilt):
    assert regular_record(FULL.encode()) is not None
    data = FULL.replace("IM</CitationSubset>", spoilt, 1).encode()
    if (found := regular_record(data)) is not None:
        assert found == by_tree(data)


@fast
@given(st.floats(0, 1), st.sampled_from(ODD))
def test_what_is_put_between_two_tags_is_never_lost_by_the_fast_reader(place, put):
    gaps = [m.start() + 1 for m in re.finditer(r">\s*<", FULL)]
    at = gaps[int(place * (len(gaps) - 1))]
    assert_agreed((FULL[:at] + put + FULL[at:]).encode())


def assert_agreed(data: bytes) -> None:
    """The fast reader declines, or says what the tree says."""
    fast = regular_record(data)
    if fast is not None:
        assert fast == by_tree(data)


def moved(root: ET.Element, kind: str, at: float, other: float, said: str) -> None:
    """One change of a tree, at a place from 0 to 1."""
    parents = {child: parent for parent in root.iter() for child in parent}
    children = list(parents)
    if not children:  # all was dropped before
        return
    element = children[int(at * (len(children) - 1))]
    target = children[int(other * (len(children) - 1))]
    around = parents[element]
    if kind == "double":
        around.insert(int(other * len(around)), copy.deepcopy(element))
    elif kind == "drop":
        around.remove(element)
    elif kind == "turn":
        around[:] = reversed(around)
    elif kind == "elsewhere":
        target.append(copy.deepcopy(element))
    elif kind == "say" and element.attrib:
        element.set(sorted(element.attrib)[0], said)
    elif kind == "write" and not len(element):
        element.text = said


SAID = (
    "",
    "Y",
    "N",
    "doi",
    "pubmed",
    "pmc",
    "pmcid",
    "NLM",
    "1",
    "0",
    "ORCID",
    " a  b\n",
    "&",
    "é",
)


@fast
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("double", "drop", "turn", "elsewhere", "say", "write")),
            st.floats(0, 1),
            st.floats(0, 1),
            st.sampled_from(SAID),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_is_moved_doubled_or_dropped_both_readers_agree(changes):
    root = ET.fromstring(FULL.replace("<mml:", "<").replace("</mml:", "</"))
    for change in changes:
        moved(root, *change)
    assert_agreed(ET.tostring(root, encoding="unicode").encode())


@fast
def test_a_reference_within_a_text_is_not_taken_for_its_words():
    inner = "<Reference><Citation>within</Citation></Reference>"
    data = FULL.replace("<Citation>", f"<Citation>{inner}", 1).encode()
    assert data != FULL.encode()
    assert len(by_tree(data).references) == len(by_tree(FULL.encode()).references) + 1
    assert regular_record(data) is None


def test_the_reader_is_compiled_wherever_it_can_be():
    """Or its tests would be passed over, and nobody would know that it does not build."""
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    if not shutil.which("cc") or not header.is_file():
        pytest.skip("there is no C compiler, or Python is without its headers")
    assert COMPILED


def test_without_the_compiled_reader_the_parser_reads_everything(tmp_path, full):
    path = tmp_path / "one.xml"
    path.write_bytes(in_set(FULL))
    code = (
        "import sys; sys.modules['evidence.pubmed._shapes'] = None\n"
        "import json; from evidence.pubmed import stream_articles\n"
        "from evidence.pubmed.regular import COMPILED; assert not COMPILED\n"
        "for record in stream_articles(open(sys.argv[1], 'rb')): print(json.dumps(record.json()))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
    assert Record.from_json(json.loads(done.stdout)) == full


@fast
def test_line_ends_of_other_systems_and_tabs_change_nothing(full):
    assert only(in_set(FULL).replace(b"\n", b"\r\n")) == full
    assert only(in_set(FULL.replace("    ", "\t"))) == full
    assert regular_record(FULL.replace("\n", "\r\n").encode()) == full


# --- store and terminal ----------------------------------------------------------------------


def test_a_store_of_an_older_version_is_read_and_its_records_are_not_told_as_changed(
    tmp_path, full
):
    """Before, a record had the seventeen fields up to ``revised``."""
    fields = [field.name for field in dataclasses.fields(Record)]
    old = {name: full.json()[name] for name in fields[: fields.index("revised") + 1]}
    day = dt.date(2026, 3, 2)
    with Store(tmp_path / "x.sqlite") as store:
        assert store.add([full], on=day).new == (full.pmid,)
        store._db.execute("UPDATE records SET body = ?", (json.dumps(old, sort_keys=True),))
        held = store.get([full.pmid])[full.pmid]
        assert (held.title, held.mesh, held.people) == (full.title, full.mesh, ())
        assert store.add([full], on=day).changed == ()
        assert store.get([full.pmid]) == {full.pmid: full}
        other = dataclasses.replace(full, title="Other.")
        assert store.add([other], on=day).changed == (full.pmid,)
    assert len(MIGRATIONS) >= 1


def run(*words: str) -> tuple[int, bytes, str]:
    result = CliRunner().invoke(main, ["records", *words])
    return result.exit_code, result.stdout_bytes, result.stderr


def test_records_are_printed_one_line_each(tmp_path, full):
    path = tmp_path / "set.xml.gz"
    deletions = '<DeleteCitation><PMID Version="1">7</PMID></DeleteCitation>'
    path.write_bytes(compressed(in_set(FULL, BOOK, deletions)))
    code, out, err = run(str(path), "--jsonl")
    first, second = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert Record.from_json({k: v for k, v in first.items() if k != "cites"}) == full
    assert first["cites"] == list(full.cites)
    assert first["corrections"][0]["kind"] == "ErratumIn"
    assert second["book"]["accession"] == "NBK0"
    assert "2 records, 1 withdrawn PMIDs, nothing unreadable" in err
    _, out, _ = run(str(path), "--jsonl", "--deleted")
    assert json.loads(out.splitlines()[2]) == {"pmid": "7", "version": 1, "deleted": True}


def test_records_are_counted_and_what_cannot_be_read_is_named_and_kept(tmp_path):
    path = tmp_path / "bad.xml"
    bad = numbered(2).replace("</ArticleTitle>", "")
    path.write_bytes(in_set("\n", numbered(1), bad, numbered(3))[:-10])
    code, out, err = run(str(path), "--quarantine", str(tmp_path / "kept"))
    assert code == 1
    assert b"2 records, 1 unreadable" in out
    assert re.search(r"bad\.xml:\d+  PMID 2: not well-formed", err)
    assert "bad.xml is not whole: the document ends before </PubmedArticleSet>" in err
    (kept,) = (tmp_path / "kept").iterdir()
    assert kept.read_bytes() == bad.encode()


def test_nbib_and_ris_files_give_the_same_keys(tmp_path):
    (tmp_path / "a.nbib").write_text("PMID- 7\nTI  - One.\nAU  - Testa A\n\nTI  - None.\n")
    (tmp_path / "b.ris").write_text(
        "TY  - JOUR\nTI  - Two.\nAU  - Testa, Ada\nPY  - 2020\nDO  - 10.0000/x\nER  - \n"
    )
    code, out, err = run(str(tmp_path / "a.nbib"), str(tmp_path / "b.ris"), "--jsonl")
    one, two = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert "a.nbib:5  no PMID" in err
    assert (one["pmid"], one["authors"]) == ("7", ["Testa A"])
    assert (two["pmid"], two["doi"], two["year"]) == (None, "10.0000/x", 2020)
    assert two["people"][0]["last"] == "Testa"
    assert one.keys() == two.keys()


def test_a_line_is_what_json_makes_of_the_record(full):
    odd = dataclasses.replace(
        full,
        title='"\\ \t\u2028 \U0001f642',
        # Equal as tuples, and not the same.
        supplementary=(Term("x", "D1"),),
        chemicals=(Chemical("x", "D1"),),
        history=(HistoryDate("x", "D1"),),
    )
    for record in (full, odd, only(BOOK), only(OLD)):
        body = record.json() | {"cites": list(record.cites)}
        assert json_line(record).decode() == json.dumps(body, ensure_ascii=False) + "\n"
    assert json.loads(json_line(dataclasses.replace(full, pmid="")))["pmid"] is None


NBIB = "PMID- 7\nTI  - Eine Übung.\nAU  - Testa A\n"
RIS = "TY  - JOUR\nTI  - Eine Übung.\nER  - \n"


@pytest.mark.parametrize("text", [NBIB, RIS, in_set(FULL).decode()])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_format_is_read_in_its_encodings_and_compressed(tmp_path, text, encoding, packed):
    data = text.encode(encoding)
    (tmp_path / "x").write_bytes(compressed(data) if packed else data)
    (record,) = read_records(tmp_path / "x")
    assert isinstance(record, Record)
    assert record.title.startswith(("Eine Übung.", "[The"))


def test_a_pipe_is_read_once_from_its_beginning(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for data, pmid in ((compressed(in_set(FULL)), "90000011"), (NBIB.encode(), "7")):
        writer = threading.Thread(target=pipe.write_bytes, args=(data,))
        writer.start()
        assert [r.pmid for r in read_records(pipe)] == [pmid]
        writer.join()


def test_a_dash_is_standard_input():
    result = CliRunner().invoke(main, ["records", "-", "--jsonl"], input=in_set(FULL))
    assert result.exit_code == 0
    assert json.loads(result.stdout_bytes)["pmid"] == "90000011"


def test_of_a_compressed_file_that_is_cut_off_the_cut_record_is_named_and_kept(tmp_path):
    data = compressed(in_set(*[f"\n{numbered(n)}" for n in range(1, 40)]))
    (tmp_path / "cut.xml.gz").write_bytes(data[: len(data) * 9 // 10])
    words = [str(tmp_path / "cut.xml.gz"), "--jsonl", "--quarantine", str(tmp_path / "kept")]
    code, out, err = run(*words)
    count = len(out.splitlines())
    assert code == 1
    assert count > 3
    assert f"PMID {count + 1}: the file ends within this record" in err
    assert "cut.xml.gz is not whole: the compressed data end early" in err
    (kept,) = (tmp_path / "kept").iterdir()
    assert numbered(count + 1).encode().startswith(kept.read_bytes())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "x.txt is empty"),
        (b" \n", "x.txt is empty"),
        (b"neither\n", "x.txt is in none of the formats PubMed XML, NBIB and RIS"),
        (b"@article{x, title={y}}", "x.txt is in none of the formats"),
        (b"PK\x03\x04 zip", "x.txt is a zip archive"),
        (b"BZh91AY", "x.txt is compressed with bzip2"),
        (b"<html><body>Error</body></html>", "it belongs to no record"),
        (b"\x1f\x8b broken", "x.txt is not whole: the compressed data are damaged"),
    ],
)
def test_a_file_without_records_is_a_fault_that_says_what_it_is(tmp_path, data, why):
    (tmp_path / "x.txt").write_bytes(data)
    code, out, err = run(str(tmp_path / "x.txt"), "--jsonl")
    assert (code, out) == (1, b"")
    assert why in err


def test_a_file_that_is_missing_is_a_fault(tmp_path):
    with pytest.raises(SourceError, match=r"missing\.xml cannot be read"):
        list(read_records(tmp_path / "missing.xml"))


def test_an_entry_of_nbib_that_cannot_be_read_is_kept_with_its_lines(tmp_path):
    (tmp_path / "a.nbib").write_text(f"{NBIB}\nTI  - None.\nAU  - Testa A\n", encoding="utf-8")
    code, _, err = run(str(tmp_path / "a.nbib"), "--quarantine", str(tmp_path / "kept"))
    assert code == 1
    assert "a.nbib:5  no PMID" in err
    (kept,) = (tmp_path / "kept").iterdir()
    assert kept.read_bytes() == b"TI  - None.\nAU  - Testa A"


def test_every_key_of_a_line_is_described(root):
    text = (root / "docs/reference/records.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", text))
    missing = {field.name for field in dataclasses.fields(Record)} | {"cites"}
    assert missing - named == set()


# --- real files ------------------------------------------------------------------------------


def differences(record: Record, element: ET.Element) -> list[str]:
    return second_reading.differences(json.loads(json_line(record)), element)


@pytest.mark.shared
def test_every_key_of_every_small_real_file_agrees_with_a_second_reading(shared):
    compared = 0
    told: list[str] = []
    for path in sorted((shared / "pubmed/records").glob("*/*")):
        if path.suffix in (".txt", ".nbib") or "MalformedEntry" in path.name:
            continue
        with path.open("rb") as file:
            records = [r for r in stream_articles(file) if isinstance(r, Record)]
        elements = [
            e
            for e in second_reading.records(path)
            if second_reading.words(next(e.iter("PMID"), None)).isdigit()
        ]
        for record, element in zip(records, elements, strict=True):
            compared += 1
            told += [f"{record.pmid} {each}" for each in differences(record, element)]
    assert told == []
    assert compared == 910


def test_the_second_reading_answers_every_key_of_an_invented_record_and_book():
    for xml in (FULL, BOOK, OLD):
        root = ET.fromstring(xml)
        element = root if root.tag in second_reading.RECORDS else root[0]
        line = json.loads(json_line(only(xml)))
        assert second_reading.line(element).keys() == line.keys()
        assert second_reading.differences(line, element) == []


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(("name", "count"), [("pubmed20n0014", 30_000), ("pubmed21n1298", 20_788)])
def test_every_key_of_a_complete_nlm_file_agrees_with_a_second_reading(shared, name, count):
    path = shared / f"pubmed/{name}.xml.gz"
    compared = 0
    with path.open("rb") as file:
        records = (r for r in stream_articles(file) if isinstance(r, Record))
        for record, element in zip(records, second_reading.stream(path), strict=True):
            compared += 1
            assert differences(record, element) == [], record.pmid
    assert compared == count


@fast
@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("name", ["pubmed20n0014", "pubmed21n1298"])
def test_the_fast_reader_and_the_tree_agree_on_a_complete_nlm_file(shared, name):
    declined = total = 0
    with (shared / f"pubmed/{name}.xml.gz").open("rb") as file:
        for piece in pieces(read_chunks(file)):
            if piece.kind != "record":
                continue
            total += 1
            fast = regular_record(piece.data)
            declined += fast is None
            assert fast is None or fast == by_tree(piece.data)
    assert total >= 20_788
    assert declined < 30


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("name", ["pubmed20n0014", "pubmed21n1298"])
def test_a_complete_nlm_file_is_streamed_in_less_than_200_megabytes(shared, name):
    # Of this process alone: what getrusage says begins with the memory of the one that started it.
    code = (
        "import sys; from evidence.pubmed import stream_articles\n"
        "n = sum(1 for _ in stream_articles(open(sys.argv[1], 'rb')))\n"
        "status = dict(line.split(':') for line in open('/proc/self/status'))\n"
        "print(n, int(status['VmHWM'].split()[0]) // 1024)"
    )
    path = shared / f"pubmed/{name}.xml.gz"
    words = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    count, megabytes = map(int, done.stdout.split())
    assert count >= 20_788
    assert megabytes < 200


# Bio.Medline puts the wrapped lines of a keyword and of a title together in its own way; the
# texts are compared without blanks.
@pytest.mark.shared
def test_medline_files_are_read_as_biopython_reads_them(shared):
    from Bio import Medline

    from evidence.pubmed import read_nbib

    def bare(value: object) -> str:
        joined = " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "")
        return re.sub(r"\s+", "", joined)

    compared = 0
    for path in sorted((shared / "pubmed/records").glob("*/*")):
        if path.suffix not in (".txt", ".nbib") or "MedlinePlain" in path.name:
            continue
        with path.open(encoding="utf-8") as file:
            theirs = [fields for fields in Medline.parse(file) if "PMID" in fields]
        for record, fields in zip(read_nbib(path).records, theirs, strict=True):
            compared += 1
            assert record.pmid == fields["PMID"]
            assert bare(record.title) == bare(fields.get("TI"))
            assert bare(record.abstract) == bare(fields.get("AB"))
            assert bare(record.authors) == bare(fields.get("AU", []) + fields.get("CN", []))
            assert bare(record.mesh) == bare(fields.get("MH"))
            assert bare(record.keywords) == bare(fields.get("OT"))
            assert bare(record.kinds) == bare(fields.get("PT"))
            assert bare(record.languages) == bare(fields.get("LA"))
            assert bare(record.volume) == bare(fields.get("VI"))
            assert bare(record.issue) == bare(fields.get("IP"))
            assert bare(record.pages) == bare(fields.get("PG"))
            assert bare(record.pubdate.text) == bare(fields.get("DP"))
            assert bare(record.periodical.nlm_id) == bare(fields.get("JID"))
            assert bare([p.last + ", " + p.fore if p.fore else p.last for p in record.people
                         if not p.collective]) == bare(fields.get("FAU"))  # fmt: skip
            places = [place for p in record.people for place in p.affiliations]
            assert bare(places) == bare(fields.get("AD"))
    assert compared == 7


@pytest.mark.shared
def test_xml_files_are_read_as_biopython_reads_them(shared):
    from Bio import Entrez

    def plain(value: object) -> str:
        """Without the markup that Bio.Entrez leaves in texts."""
        text = re.sub(r"<[^<>]*>", "", str(value))
        for name, sign in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
            text = text.replace(name, sign)
        return re.sub(r"\s+", "", text)

    compared = 0
    for path in sorted((shared / "pubmed/records/biopython__biopython").glob("*Entrez*.xml")):
        found = Entrez.read(io.BytesIO(path.read_bytes()))
        records, _ = parse_articles(path.read_bytes())
        for record, article in zip(records, found["PubmedArticle"], strict=True):
            compared += 1
            citation = article["MedlineCitation"]
            body = citation["Article"]
            assert record.pmid == citation["PMID"]
            if "<mml:" not in str(body["ArticleTitle"]):
                assert plain(record.title) == plain(body["ArticleTitle"])
            theirs = body.get("Abstract", {}).get("AbstractText", [])
            if "mml:" not in str(theirs):
                assert plain("".join(s.text for s in record.sections)) == plain("".join(theirs))
            assert [p.last or p.collective for p in record.people] == [
                str(a.get("LastName", a.get("CollectiveName"))) for a in body.get("AuthorList", [])
            ]
            assert [h.name for h in record.headings] == [
                str(h["DescriptorName"]) for h in citation.get("MeshHeadingList", [])
            ]
            assert [q.major for h in record.headings for q in h.qualifiers] == [
                q.attributes["MajorTopicYN"] == "Y"
                for h in citation.get("MeshHeadingList", [])
                for q in h["QualifierName"]
            ]
            assert list(record.kinds) == [str(k) for k in body["PublicationTypeList"]]
            assert [text for _, text in record.ids] == [
                str(i) for i in article["PubmedData"]["ArticleIdList"]
            ]
            assert [c.kind for c in record.corrections] == [
                c.attributes["RefType"] for c in citation.get("CommentsCorrectionsList", [])
            ]
            assert [h.event for h in record.history] == [
                d.attributes["PubStatus"] for d in article["PubmedData"]["History"]
            ]
    assert compared == 8
