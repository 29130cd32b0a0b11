"""Files of references: every record read or refused by name, and back again without a loss.

The records are invented; the formats are those of the databases that the tests name.
"""

from __future__ import annotations

import codecs
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.errors import SourceError, UnknownName
from evidence.formats import FORMATS, Reference, guess, kept, loses, make, read, write
from evidence.formats.latex import to_unicode
from evidence.formats.records import from_reference
from evidence.formats.reference import KINDS, clean_doi, inverted
from evidence.formats.text import decode, lines

WRITTEN = [name for name, f in FORMATS.items() if f.write is not None]


def one(text: str | bytes, **options: str) -> Reference:
    data = text.encode() if isinstance(text, str) else text
    found = read(data, file="x", **options)
    assert not found.refused
    (reference,) = found.references
    return reference


# RIS, database by database

OVID = """1.
TY  - JOUR
ID  - 31234567
T1  - Rowing and the resting heart rate: a trial
A1  - Lindqvist, Åsa
A1  - O'Brien, S
Y1  - 2019//
JF  - Journal of Invented Rowing
JA  - J Invent Row
VL  - 12
IS  - 3
SP  - 145
EP  - 52
N2  - BACKGROUND: Rowing is tiring. METHODS: We rowed.
KW  - *Rowing
KW  - Heart Rate
SN  - 1234-5679
DO  - http://dx.doi.org/10.5555/row.2019.3
DB  - Ovid MEDLINE(R) <1946 to June 2019>
UR  - http://ovidsp.ovid.com/ovidweb.cgi?T=JS&AN=31234567
ER  -
"""

EMBASE = """TY  - JOUR
M1  - L2001234567
A1  - Moreau J.-P.
A1  - Silva M.A.
Y1  - 2020
N2  - Aim: to see.
T1  - Swimming for knees
JF  - Aquatic Joints
VL  - 7
SP  - e12
LA  - English
M3  - Conference Abstract
DB  - Embase
DB  - Medline
C5  - 31000001
U2  - L2001234567
DO  - 10.5555/aj.2020.7
UR  - https://www.embase.com/search/results?subaction=viewrecord&id=L2001234567
ER  -
"""

WOS_RIS = """TY  - JOUR
AU  - Kowalska, M
TI  - Walking uphill
T2  - JOURNAL OF SLOPES
SN  - 1111-2226
PY  - 2021
DA  - 2021 MAR
VL  - 4
AR  - 77
DO  - 10.5555/slopes.77
AN  - WOS:000111222333444
ER  -
"""

SCOPUS = """TY  - JOUR
TI  - Sleep after late meals
T2  - Nights
J2  - Nights
VL  - 3
IS  - 1
C7  - 1005
PY  - 2018
DO  - 10.5555/nights.1005
AU  - Tanaka, H.
AU  - Díaz-Ruiz, P.
AB  - They slept.
KW  - meals
M3  - Article
DB  - Scopus
N1  - Export Date: 3 May 2024; Cited By: 4
UR  - https://www.scopus.com/inward/record.uri?eid=2-s2.0-1
ER  -
"""

COCHRANE = """Record #1 of 2
Provider: John Wiley & Sons, Ltd.
Content:text/plain; charset="UTF-8"

TY  -  JOUR
AN  -  CN-01234567
TI  -  Tea against sadness
AU  -  Baker AB
JA  -  Journal of infusions
PY  -  2011
SP  -  10‐19
VL  -  8
C3  -  PUBMED 22222222,EMBASE 1234567
ER  -

Record #2 of 2
Provider: John Wiley & Sons, Ltd.
Content:text/plain; charset="UTF-8"

TY  - JOUR
AN  - CN-01234568
TI  - Coffee against sadness
PY  - 2012
ER  -
"""

EBSCO = """TY  - JOUR
AU  - Nowak, Ewa
TI  - Night shifts of nurses
JO  - Shift Work Today
JF  - Shift Work Today
J1  - Shift Work Today
PY  - 2017/03//
VL  - 5
IS  - 2
SP  - 33
EP  - 39
N2  - They worked.
KW  - Nurses
DB  - CINAHL
DP  - EBSCOhost
AN  - 121212121
C2  - PMID: 28000001
ER  -
"""

RAYYAN = """TY  - JOUR
AN  - rayyan-1
TI  - Cold feet
T2  - Feet
SN  - ["1234-5679", "2222-333X"]
DO  - 10.5555/feet.1     LK  - https://example.org/link
ER  -
"""

PROQUEST = """TY  - JOUR
T1  - Counting sheep
AN  - 2233445566
AU  - Li, Wei
JF  - Sleep Science Quarterly
PY  - 2016/07/15/
Y1  - 2016///
SP  - 101
EP  - 110
N1  - Copyright invented 2016
DB  - APA PsycInfo
DP  - ProQuest
ID  - 2233445566
UR  - https://www.proquest.com/docview/2233445566
ER  -
"""

ENDNOTE_RIS = """TY  - CHAP
AU  - Weiß, Jürgen, Jr
ED  - Ångström, Bo
T2  - Handbook of Lungs
TI  - Breathing out
PY  - 2005
SP  - 12-20
CY  - Graz
PB  - Verlag der Luft
SN  - 978-3-16-148410-0
ST  - Breathing out
KW  - lungs
air
L1  - internal-pdf://1/breathing.pdf
ID  - 42
ER  -
"""

ZOTERO = """TY  - JOUR
TI  - Cold water and mood
AU  - Smith, Jane
T2  - Waves
AB  - First paragraph.
Second paragraph.
DA  - 2022/05/12/
PY  - 2022
DO  - 10.5555/waves.1
VL  - 1
IS  - 1
SP  - 5
EP  - 9
LA  - en
L1  - files/12/Smith - 2022.pdf
N1  - <p>Read again</p>
ER  -
"""


def test_ovid_ris_is_read_with_the_pmid_that_is_its_accession_number():
    r = one(OVID)
    assert (r.title, r.authors) == (
        "Rowing and the resting heart rate: a trial",
        ("Lindqvist, Åsa", "O'Brien, S"),
    )
    assert (r.year, r.volume, r.issue, r.pages) == (2019, "12", "3", "145-52")
    assert (r.doi, r.pmid, r.issn) == ("10.5555/row.2019.3", "31234567", ("1234-5679",))
    assert r.keywords == ("*Rowing", "Heart Rate")
    assert (r.journal, r.journal_short) == ("Journal of Invented Rowing", "J Invent Row")
    assert r.abstract.startswith("BACKGROUND: ")
    assert read(OVID.encode(), file="x").dialect == "Ovid"


def test_embase_ris_keeps_its_numbers_and_the_type_of_publication():
    r = one(EMBASE)
    assert (r.authors, r.types) == (("Moreau J.-P.", "Silva M.A."), ("Conference Abstract",))
    assert (r.doi, r.pages, r.database) == ("10.5555/aj.2020.7", "e12", "Embase")
    assert r.accession == "L2001234567"
    assert (r.pmid, ("ris:DB", "Medline") in r.extra) == ("31000001", True)
    assert read(EMBASE.encode(), file="x").dialect == "Embase"


def test_web_of_science_ris_keeps_its_number_and_a_date_in_words():
    r = one(WOS_RIS)
    assert (r.accession, r.date, r.year) == ("WOS:000111222333444", "2021 MAR", 2021)
    assert ("ris:AR", "77") in r.extra
    assert read(WOS_RIS.encode(), file="x").dialect == "Web of Science"


def test_scopus_ris_has_the_number_of_an_article_in_place_of_pages():
    r = one(SCOPUS)
    assert (r.pages, r.types, r.database) == ("1005", ("Article",), "Scopus")
    assert r.notes == ("Export Date: 3 May 2024; Cited By: 4",)


def test_cochrane_ris_has_lines_between_its_records_and_says_how_many_there_are():
    found = read(COCHRANE.encode(), file="central.ris")
    assert [r.accession for r in found.references] == ["CN-01234567", "CN-01234568"]
    assert (found.dialect, found.warnings) == ("Cochrane", ())
    first = found.references[0]
    assert (first.pmid, first.journal, first.pages) == ("22222222", "Journal of infusions", "10-19")
    short = COCHRANE.replace("of 2", "of 3")
    (warning,) = read(short.encode(), file="central.ris").warnings
    assert warning == "central.ris numbers its records up to 3 and holds 2"


def test_ebsco_ris_has_the_pmid_beside_a_number_of_its_own():
    r = one(EBSCO)
    assert (r.pmid, r.accession, r.date) == ("28000001", "121212121", "2017-03")
    assert (r.journal, r.journal_short) == ("Shift Work Today", "Shift Work Today")


def test_ebsco_ris_may_have_its_number_in_a_note_and_its_doi_in_a_link():
    text = EBSCO.replace("AN  - 121212121", "N1  - Accession Number: 77; Nowak, Ewa 1; Source: x")
    r = one(text.replace("C2  - PMID: 28000001", "L3  - 10.5555/shift.1"))
    assert (r.accession, r.doi) == ("77", "10.5555/shift.1")


def test_rayyan_ris_has_lists_and_tags_within_values():
    r = one(RAYYAN)
    assert (r.doi, r.issn) == ("10.5555/feet.1", ("1234-5679", "2222-333X"))
    assert ("ris:DO", "10.5555/feet.1 LK - https://example.org/link") in r.extra


def test_proquest_ris_has_the_day_in_its_year():
    r = one(PROQUEST)
    assert (r.year, r.date, r.accession) == (2016, "2016-07-15", "2233445566")
    assert (r.pmid, r.source_id) == (None, "2233445566")


def test_endnote_ris_has_keywords_on_lines_without_a_tag():
    r = one(ENDNOTE_RIS)
    assert (r.kind, r.journal, r.editors) == ("chapter", "Handbook of Lungs", ("Ångström, Bo",))
    assert r.authors == ("Weiß, Jürgen, Jr",)
    assert (r.keywords, r.isbn) == (("lungs", "air"), ("9783161484100",))
    assert {"ris:ST", "ris:L1"} <= {key for key, _ in r.extra}


def test_zotero_ris_has_paragraphs_on_lines_without_a_tag():
    r = one(ZOTERO)
    assert r.abstract == "First paragraph.\nSecond paragraph."
    assert (r.date, r.pages) == ("2022-05-12", "5-9")


def test_a_ris_entry_that_says_nothing_is_refused_with_its_line_and_bytes():
    text = "TY  - JOUR\nER  -\n\nTY  - JOUR\nTI  - Good\nER  -\n\nTY  - JOUR\nPY  - 2001\nER  - \n"
    found = read(text.encode(), file="odd.ris")
    assert found.summary() == "odd.ris (ris, utf-8): 3 records in the file = 1 read + 2 refused"
    assert list(map(str, found.refused)) == [
        "odd.ris:1  says nothing but its type",
        "odd.ris:8  has no title, author, DOI, number or address",
    ]
    assert found.refused[1].data == b"TY  - JOUR\nPY  - 2001\nER  - \n"
    assert found.accounted
    assert found.counted == 3


def test_a_ris_entry_without_its_end_is_read_and_pointed_out():
    found = read(b"TY  - JOUR\nTI  - One\nTY  - JOUR\nTI  - Two", file="cut.ris")
    assert [r.title for r in found.references] == ["One", "Two"]
    assert found.warnings == (
        "cut.ris:1  has no ER line: is the end of it missing?",
        "cut.ris:3  has no ER line: is the end of it missing?",
    )


def test_text_outside_of_any_ris_entry_is_pointed_out():
    found = read(b"Search of 3 May\n\nTY  - JOUR\nTI  - One\nER  - \n", file="x.ris")
    assert found.warnings == ("x.ris:1  stands outside of any record: 'Search of 3 May'",)


def test_a_ris_tag_that_competes_for_a_field_is_not_lost():
    r = one("TY  - JOUR\nTI  - Long title\nT1  - Short title\nAB  - A\nN2  - B\nZZ  - ?\nER  - \n")
    assert r.title == "Long title"
    assert set(r.extra) == {("ris:T1", "Short title"), ("ris:N2", "B"), ("ris:ZZ", "?")}


def test_a_doi_that_is_none_is_kept_as_it_is():
    r = one("TY  - JOUR\nTI  - T\nDO  - pending\nSN  - 12\nER  - \n")
    assert (r.doi, r.issn) == (None, ())
    assert {("ris:DO", "pending"), ("ris:SN", "12")} <= set(r.extra)


def test_the_decisions_that_asreview_writes_into_ris_are_understood():
    r = one("TY  - JOUR\nTI  - T\nN1  - ASReview_irrelevant\nN1  - mine\nER  - \n")
    assert (r.included, r.notes) == (False, ("mine",))


# MEDLINE

NBIB = """
PMID- 31234567
OWN - NLM
STAT- MEDLINE
IS  - 1234-5679 (Electronic)
IS  - 1234-5679 (Linking)
VI  - 12
IP  - 3
DP  - 2019 May 12
TI  - Rowing and the resting heart rate, with a title that is so long that it goes
      on in a second line.
PG  - 145-52
LID - 10.5555/row.2019.3 [doi]
AB  - BACKGROUND: Rowing is tiring.
FAU - Lindqvist, Åsa
AU  - Lindqvist Å
FAU - King, Martin L
AU  - King ML Jr
CN  - Rowing Trial Group
AD  - Uppsala.
LA  - eng
LA  - swe
PT  - Journal Article
PT  - Randomized Controlled Trial
TA  - J Invent Row
JT  - Journal of invented rowing
MH  - *Rowing/physiology
OT  - heart rate
PMC - PMC7654321
RIN - J Invent Row. 2020;1:2. PMID: 32345678

PMID- 99
TI  - Second
"""


def test_medline_gives_full_names_a_suffix_and_groups_in_order():
    found = read(NBIB.encode(), file="set.nbib")
    r, second = found.references
    assert r.authors == ("Lindqvist, Åsa", "King, Martin L, Jr", "Rowing Trial Group")
    assert r.title.endswith("it goes on in a second line.")
    assert (r.volume, r.issue, r.pages, r.date) == ("12", "3", "145-52", "2019 May 12")
    assert (r.doi, r.pmid, r.pmcid) == ("10.5555/row.2019.3", "31234567", "PMC7654321")
    assert (r.issn, r.language) == (("1234-5679",), "eng, swe")
    assert (r.mesh, r.keywords) == (("*Rowing/physiology",), ("heart rate",))
    assert ("nbib:RIN", "J Invent Row. 2020;1:2. PMID: 32345678") in r.extra
    assert ("nbib:AD", "Uppsala.") in r.extra
    assert (second.pmid, found.dialect) == ("99", "PubMed")


def test_a_medline_entry_with_a_broken_line_is_refused_and_the_next_one_read():
    text = NBIB.replace("AD  - Uppsala.", "Uppsala, no tag")
    found = read(text.encode(), file="set.nbib")
    assert [r.pmid for r in found.references] == ["99"]
    (refused,) = found.refused
    assert str(refused) == ("set.nbib:2  line 20, 'Uppsala, no tag', is not in the MEDLINE format")
    assert b"31234567" in refused.data


def test_a_pubmed_name_is_turned_about_only_where_it_ends_in_initials():
    assert inverted("King ML Jr") == "King, ML, Jr"
    assert inverted("de la Cruz J") == "de la Cruz, J"
    assert inverted("Rowing Trial Group") == "Rowing Trial Group"
    assert inverted("Plato") == "Plato"


# Web of Science, tagged

WOS = """FN Clarivate Analytics Web of Science
VR 1.0
PT J
AU Kowalska, M
   Nowak, E
AF Kowalska, Maria
   Nowak, Ewa
TI Walking uphill
   in two lines
SO JOURNAL OF SLOPES
LA English
DT Article; Early Access
DE hills; legs
AB They walked.
SN 1111-2226
EI 2222-3337
J9 J SLOPES
PD MAR
PY 2021
VL 4
AR 77
DI 10.5555/slopes.77
PM 33333333
Z9 12
UT WOS:000111222333444
ER

PT J
SO NOTHING ELSE
ER

EF
"""


def test_the_tagged_export_of_web_of_science_is_read():
    found = read(WOS.encode("utf-8-sig"), file="savedrecs.txt")
    (r,) = found.references
    assert (r.title, r.authors) == (
        "Walking uphill in two lines",
        ("Kowalska, Maria", "Nowak, Ewa"),
    )
    assert (r.pages, r.pmid, r.date) == ("77", "33333333", "2021 Mar")
    assert (r.keywords, r.types) == (("hills", "legs"), ("Article", "Early Access"))
    assert (r.issn, r.accession) == (("1111-2226", "2222-3337"), "WOS:000111222333444")
    assert {("wos:Z9", "12"), ("wos:AU", "Nowak, E")} <= set(r.extra)
    assert [str(x) for x in found.refused] == ["savedrecs.txt:28  has no title, author or number"]
    assert found.encoding == "utf-8-sig"


# Ovid, tagged

OVID_TAGGED = """<12. >
VN  - Ovid Technologies
DB  - Embase
UI  - 612345678
ST  - CONFERENCE ABSTRACT
TI  - Rowing at altitude.
SO  - Journal of Invented Rowing. Conference: Rowing 2018. Spain. 12 (Supplement 3) (pp 7-9), 2018.
AU  - Behan L.
AU  - Rubbo B.
MH  - *rowing
AB  - Background: they rowed.
Method(s): upwards.
IS  - 1234-5679
DO  - http://dx.doi.org/10.5555/row.2018.s3
LG  - English
PT  - Conference Abstract
YR  - 2018

<13. >
VN  - Ovid Technologies

"""


def test_the_tagged_export_of_ovid_is_read_with_the_place_from_its_source_line():
    found = read(OVID_TAGGED.encode(), file="rows.cgi")
    (r,) = found.references
    assert (found.format, found.dialect) == ("ovid", "Ovid")
    assert (r.journal, r.volume, r.issue, r.pages, r.year) == (
        "Journal of Invented Rowing",
        "12",
        "Supplement 3",
        "7-9",
        2018,
    )
    assert (r.accession, r.pmid, r.doi) == ("612345678", None, "10.5555/row.2018.s3")
    assert r.abstract == "Background: they rowed.\nMethod(s): upwards."
    assert ("ovid:ST", "CONFERENCE ABSTRACT") in r.extra
    assert [str(x) for x in found.refused] == ["rows.cgi:19  has no title, author or number"]
    medline = one(OVID_TAGGED.partition("<13")[0].replace("Embase", "Ovid MEDLINE(R) ALL"))
    assert (medline.pmid, medline.accession) == ("612345678", "")


# BibTeX

BIBTEX = r"""
% exported by hand
@string{waves = "Waves and Water"}
@comment{ @article{no, title={Not a record}} }
@article{smith2022,
  author = {Smith, Jane and van der Berg, Jan and {World Rowing Group} and Jos{\'e} Garc\'{\i}a},
  title  = {The {NaCl} of {$\beta$}-waves \& \emph{cold} water: 50\,\% more},
  journal = waves # ", Series B",
  year = 2022, month = may,
  pages = "145--52",
  keywords = {cold, water},
  doi = {10.5555/w\_1},
  file = {a.pdf:files/a.pdf},
}
@misc{broken, title = {Never closed
@inproceedings(talk,
  title = "A {``quoted''} talk",
  author = "M{\"u}ller, J. and others",
  booktitle = {Proc.\ of Talks})
"""


def test_bibtex_reads_macros_accents_groups_and_parentheses():
    found = read(BIBTEX.encode(), file="refs.bib")
    r, talk = found.references
    assert r.authors == ("Smith, Jane", "van der Berg, Jan", "World Rowing Group", "García, José")
    assert r.title == "The NaCl of β-waves & cold water: 50\u2009% more"
    assert (r.journal, r.date, r.pages) == ("Waves and Water, Series B", "2022-05", "145-52")
    assert (r.doi, r.keywords) == ("10.5555/w_1", ("cold", "water"))
    assert ("bibtex:file", "a.pdf:files/a.pdf") in r.extra
    assert (talk.kind, talk.journal) == ("conference", "Proc. of Talks")
    assert talk.authors == ("Müller, J.", "others")
    assert [str(x) for x in found.refused] == ["refs.bib:15  @misc: has braces that do not balance"]
    assert found.refused[0].data.startswith(b"@misc{broken")


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\'e\`e\^e\"e\~n\c{c}\v{s}\H{o}\k{a}\r{a}", "éèêëñçšőąå"),
        (r"{\'{\i}} \'\i{} {\ss} {\O} \o{} \AE\ and \L", "í í ß Ø ø Æ and Ł"),
        (r"$\alpha$-\textit{in vitro} x$_2$ $\geq$ 5", "α-in vitro x2 ≥ 5"),
        (r"50\% \& \$5 \#1 a\_b \{x\}", "50% & $5 #1 a_b {x}"),
        (r"\unknown{thing}", r"\unknownthing"),
        ("no commands at all", "no commands at all"),
        ("costs $5", "costs $5"),
        ("ends with \\", "ends with \\"),
    ],
)
def test_latex_becomes_the_text_that_it_prints(latex, text):
    assert to_unicode(latex) == text


# EndNote XML

ENDNOTE = """<?xml version="1.0" encoding="UTF-8"?>
<xml><records><record>
<database name="My.enl" path="My.enl">My.enl</database>
<source-app name="EndNote" version="20.0">EndNote</source-app>
<rec-number>7</rec-number>
<ref-type name="Journal Article">17</ref-type>
<contributors><authors>
<author><style face="normal">Smith, Jane</style></author><author>Weiß, J.</author>
</authors></contributors>
<titles>
<title><style face="normal">Cold </style><style face="italic">water</style></title>
<secondary-title>Waves</secondary-title><short-title>Cold</short-title>
</titles>
<periodical><full-title>Waves</full-title><abbr-1>Wav</abbr-1></periodical>
<pages>5-9</pages><volume>1</volume><number>2</number>
<keywords><keyword>cold</keyword><keyword>water</keyword></keywords>
<dates><year>2022</year><pub-dates><date>May 12</date></pub-dates></dates>
<isbn>1234-5679 (Print)&#xD;2222-3337 (Electronic)</isbn>
<accession-num>31234567</accession-num>
<electronic-resource-num>10.5555/waves.1</electronic-resource-num>
<remote-database-provider>NLM</remote-database-provider>
<urls><related-urls><url>https://example.org/1</url></related-urls></urls>
<research-notes>mine</research-notes>
</record></records></xml>
"""


def test_endnote_xml_is_read_through_its_styles():
    r = one(ENDNOTE)
    assert (r.title, r.authors) == ("Cold water", ("Smith, Jane", "Weiß, J."))
    assert (r.journal, r.journal_short, r.date) == ("Waves", "Wav", "2022 May 12")
    assert (r.pmid, r.accession, r.issn) == ("31234567", "", ("1234-5679", "2222-3337"))
    assert {("endnote:research-notes", "mine"), ("endnote:titles/short-title", "Cold")} <= set(
        r.extra
    )
    assert (r.urls, r.source_id) == (("https://example.org/1",), "7")


def test_of_a_broken_endnote_file_only_the_broken_records_are_refused():
    good = "<record><ref-type name='Book'>6</ref-type><titles><title>{}</title></titles></record>"
    bad = "<record><titles><title>a & b</title></titles></record>"
    text = f"<xml><records>\n{good.format('One')}\n{bad}\n{good.format('Two')}\n<record><titles>"
    found = read(text.encode(), file="lib.xml")
    assert [r.title for r in found.references] == ["One", "Two"]
    assert [x.line for x in found.refused] == [3, 5]
    assert found.refused[0].data == bad.encode()
    assert found.in_file == found.counted == 4


def test_an_entity_of_xml_is_never_followed(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret", encoding="utf-8")
    text = (
        f'<!DOCTYPE x [<!ENTITY e SYSTEM "{secret.as_uri()}">]>'
        "<xml><records><record><titles><title>T &e;</title></titles></record></records></xml>"
    )
    assert "secret" not in one(text).title


# PubMed XML


def test_pubmed_xml_gives_the_record_and_where_it_was_published():
    text = """<PubmedArticleSet><PubmedArticle><MedlineCitation Status="MEDLINE">
    <PMID Version="1">31234567</PMID><Article><Journal><ISSN IssnType="Print">1234-5679</ISSN>
    <JournalIssue><Volume>12</Volume><Issue>3</Issue><PubDate><Year>2019</Year><Month>May</Month>
    </PubDate></JournalIssue><Title>Journal of invented rowing</Title></Journal>
    <ArticleTitle>Rowing <i>in vivo</i></ArticleTitle>
    <Pagination><MedlinePgn>145-52</MedlinePgn></Pagination>
    <AuthorList><Author><LastName>Lindqvist</LastName><ForeName>Åsa</ForeName>
    <Initials>Å</Initials></Author></AuthorList></Article></MedlineCitation></PubmedArticle>
    <PubmedArticle><MedlineCitation><PMID>x</PMID></MedlineCitation></PubmedArticle>
    </PubmedArticleSet>"""
    found = read(gzip.compress(text.encode()), file="a.xml.gz")
    (r,) = found.references
    assert (r.pmid, r.title, r.authors) == ("31234567", "Rowing in vivo", ("Lindqvist, Åsa",))
    assert (r.volume, r.issue, r.pages, r.issn) == ("12", "3", "145-52", ("1234-5679",))
    assert r.record is not None
    assert r.record.pmid == "31234567"
    assert len(found.refused) == 1
    assert b"<PMID>x</PMID>" in found.refused[0].data


# CSV, database by database


def test_the_csv_of_pubmed_has_the_issue_in_its_citation():
    r = one(
        "PMID,Title,Authors,Citation,First Author,Journal/Book,Publication Year,Create Date,"
        "PMCID,NIHMS ID,DOI\n"
        '31234567,Rowing,"Lindqvist Å, King ML Jr.","J Invent Row. 2019 May;12(3):145-52. doi: '
        '10.5555/row.2019.3.",Lindqvist Å,J Invent Row,2019,2019/05/13,PMC7654321,,'
        "10.5555/row.2019.3\n"
    )
    assert r.authors == ("Lindqvist, Å", "King, ML, Jr")
    assert (r.volume, r.issue, r.pages) == ("12", "3", "145-52")
    assert ("csv:First Author", "Lindqvist Å") in r.extra
    assert r.database == "PubMed"


def test_the_csv_of_scopus_has_full_names_and_the_database_under_source():
    r = one(
        "Authors,Author full names,Author(s) ID,Title,Year,Source title,Volume,Issue,Art. No.,"
        "Page start,Page end,Cited by,DOI,Link,Abstract,Author Keywords,Index Keywords,ISSN,"
        "PubMed ID,Document Type,Source,EID\n"
        '"Tanaka H.; Díaz P.","Tanaka, Hana (1); Díaz, Pía (2)",1; 2,Sleep,2018,Nights,3,1,1005,'
        ",,4,10.5555/n.1,https://x.org,They slept.,meals; night,Human; Sleep,1234567X,28000001,"
        "Article,Scopus,2-s2.0-1\n"
    )
    assert r.authors == ("Tanaka, Hana", "Díaz, Pía")
    assert (r.pages, r.database, r.journal) == ("1005", "Scopus", "Nights")
    assert r.keywords == ("meals", "night", "Human", "Sleep")
    assert (r.pmid, r.issn) == ("28000001", ("1234-567X",))
    assert ("csv:Authors", "Tanaka H.; Díaz P.") in r.extra


def test_the_tab_file_of_web_of_science_has_its_tags_as_headings():
    r = one(
        "PT\tAU\tAF\tTI\tSO\tLA\tDT\tAB\tSN\tPY\tVL\tBP\tEP\tDI\tUT\n"
        'J\tKowalska, M; Nowak, E\tKowalska, Maria; Nowak, Ewa\tWalking "uphill\tSLOPES\tEnglish\t'
        "Article\tThey walked.\t1111-2226\t2021\t4\t7\t9\t10.5555/s.7\tWOS:1\n"
    )
    assert r.authors == ("Kowalska, Maria", "Nowak, Ewa")
    assert (r.title, r.pages, r.accession) == ('Walking "uphill', "7-9", "WOS:1")


def test_the_csv_files_of_covidence_rayyan_and_asreview_are_known_by_their_headings():
    covidence = read(
        b"Title,Authors,Abstract,Published Year,Published Month,Journal,Volume,Issue,Pages,"
        b"Accession Number,DOI,Ref,Covidence #,Study,Notes,Tags\n"
        b'T,"Smith, J; Li, W",A,2020,3,J,1,2,3-4,9,10.5555/a,,#12,Smith 2020,,\n',
        file="c.csv",
    )
    assert covidence.dialect == "Covidence"
    r = covidence.references[0]
    assert (r.authors, r.date, r.source_id) == (("Smith, J", "Li, W"), "2020-03", "#12")

    rayyan = read(
        b"key,title,year,month,day,journal,issn,volume,issue,pages,authors,url,language,"
        b"publisher,location,abstract,notes,doi,keywords,pubmed_id,pmc_id\n"
        b'rayyan-1,T,2019,5,12,J,1234-5679,1,2,3-4,"Smith, J. and Li, W.",https://x.org,eng,P,L,'
        b'A,"RAYYAN-INCLUSION: {""me""=>""Included""}",10.5555/a,"a; b",31234567,PMC1\n',
        file="r.csv",
    )
    assert rayyan.dialect == "Rayyan"
    r = rayyan.references[0]
    assert (r.authors, r.date, r.pmid) == (("Smith, J.", "Li, W."), "2019-05-12", "31234567")
    assert r.notes == ('RAYYAN-INCLUSION: {"me"=>"Included"}',)

    asreview = read(
        b"record_id,title,abstract,asreview_label\n0,T,A,1\n1,U,B,0\n2,V,C,\n", file="a.csv"
    )
    assert asreview.dialect == "ASReview"
    assert [r.included for r in asreview.references] == [True, False, None]


def test_a_row_with_more_cells_than_headings_is_refused_and_a_shorter_one_pointed_out():
    found = read(b"title,year\nA,2001,x\nB,2002\n\nC\n", file="x.csv")
    assert [r.title for r in found.references] == ["B", "C"]
    assert [str(x) for x in found.refused] == ["x.csv:2  has 3 cells under 2 headings"]
    assert found.refused[0].data == b"A,2001,x\n"
    assert found.warnings == ("x.csv:5  has 1 cells under 2 headings",)
    assert found.counted == found.in_file == 3


def test_a_quotation_mark_that_is_never_closed_costs_one_row_only():
    found = read(b'title,year\n"A,2001\nB,2002\nC,2003\n', file="x.csv")
    assert [r.title for r in found.references] == ["B", "C"]
    assert [x.line for x in found.refused] == [2]


def test_a_table_without_titles_or_numbers_is_refused_as_a_whole():
    with pytest.raises(SourceError, match="no column of titles"):
        read(b"name,size\na,1\n", file="x.csv")


def test_a_list_of_pubmed_ids_names_what_is_none():
    found = read(b"31234567\nPMID: 99\nabc\n", file="ids.txt", format="pmids")
    assert [r.pmid for r in found.references] == ["31234567", "99"]
    assert [str(x) for x in found.refused] == ["ids.txt:3  'abc' is no PubMed id"]


# Encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le"])
def test_the_encoding_is_found_and_the_bytes_of_a_refused_entry_are_its_own(encoding):
    text = ENDNOTE_RIS.replace("Å", "A") + "TY  - JOUR\nZZ  - ä\nER  - \n"
    found = read(text.encode(encoding), file="x.ris")
    assert found.references[0].authors == ("Weiß, Jürgen, Jr",)
    plain = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(encoding, encoding)
    assert found.refused[0].data == "TY  - JOUR\nZZ  - ä\nER  - \n".encode(plain)


def test_an_encoding_that_was_guessed_is_said():
    found = read(ENDNOTE_RIS.replace("Å", "A").encode("latin-1"), file="x.ris")
    assert found.encoding == "cp1252"
    assert "name its encoding if that is wrong" in found.warnings[-1]
    named = read(ENDNOTE_RIS.replace("Å", "A").encode("latin-1"), file="x.ris", encoding="latin-1")
    assert named.warnings == ()


def test_a_wrong_encoding_is_told_with_its_line():
    with pytest.raises(SourceError) as fault:
        read(b"TY  - JOUR\nTI  - \xe9\n", file="x.ris", encoding="utf-8")
    assert fault.value.places[0].startswith("x.ris:2  ")
    with pytest.raises(SourceError, match="no encoding 'klingon'"):
        decode(b"", "klingon")


@given(st.text())
def test_every_character_of_a_text_is_in_one_of_its_lines(text):
    assert "".join(lines(text)) == text


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_utf8_is_read_as_utf8(text):
    if not text.startswith("\ufeff") and "\x00" not in text:
        assert decode(text.encode())[0] == text
    assert decode(codecs.BOM_UTF8 + text.encode()) == (text, "utf-8-sig")


# Choosing


def test_formats_are_known_by_their_content():
    for text, name in (
        (OVID, "ris"),
        (NBIB, "nbib"),
        (WOS, "wos"),
        (BIBTEX, "bibtex"),
        (ENDNOTE, "endnote"),
        ("<PubmedArticleSet></PubmedArticleSet>", "pubmed-xml"),
        ("title,year\na,1\n", "csv"),
        ("31234567\n99\n", "pmids"),
    ):
        assert guess(text.encode(), file="anything") == name
    with pytest.raises(SourceError, match="in no format that is known"):
        guess(b"Dear reader", file="letter.doc")


def test_a_file_without_any_record_and_a_format_that_is_none_are_faults():
    with pytest.raises(SourceError, match="holds no record"):
        read(b"Dear reader\n", file="x", format="ris")
    with pytest.raises(SourceError, match="x is empty"):
        read(b"\n", file="x", format="ris")
    with pytest.raises(UnknownName):
        read(b"", file="x", format="word")
    with pytest.raises(UnknownName):
        write([], "pubmed-xml")


@given(st.binary(max_size=300), st.sampled_from(sorted(FORMATS)))
@settings(max_examples=300)
def test_no_bytes_break_a_reader(data, name):
    try:
        found = read(data, file="x", format=name)
    except SourceError:
        return
    assert found.in_file == len(found.references) + len(found.refused) > 0


PIECES = st.lists(
    st.sampled_from(
        [
            "TY  - JOUR\n",
            "TI  - A title\n",
            "ER  - \n",
            "no tag\n",
            "\n",
            "DO  - 10.5555/a\n",
            "TY - BOOK\n",
            "ER  -\n",
            "ZZ  - z\n",
        ]
    ),
    max_size=25,
)


@given(PIECES)
def test_every_beginning_of_a_ris_entry_is_read_or_refused(pieces):
    text = "".join(pieces)
    try:
        found = read(text.encode(), file="x", format="ris")
    except SourceError:
        return
    assert found.accounted


# There and back

PLAIN = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])
TEXT = st.text(PLAIN, max_size=40)
WORD = st.text(st.characters(categories=["Lu", "Ll", "Lo"]), min_size=1, max_size=8)
NAME = st.one_of(
    st.tuples(WORD, WORD).map(", ".join),
    st.tuples(WORD, WORD, st.just("Jr")).map(", ".join),
    TEXT,
)
NAMES = st.lists(NAME, max_size=4)
DIGITS = st.integers(1, 99999999).map(str)
PAGES = st.one_of(TEXT, st.tuples(DIGITS, DIGITS).map("-".join), DIGITS.map("e{}".format))
URL = st.text("abcdefghijklmnop./:_-%~0123456789?&=", min_size=1, max_size=30)
OWN = {"ris": "ris:C4", "nbib": "nbib:AD", "bibtex": "bibtex:annote", "endnote": "endnote:label"}
EXTRA = st.lists(st.tuples(st.sampled_from([*OWN.values(), "csv:Funding"]), TEXT), max_size=1)


@st.composite
def references(draw: st.DrawFn) -> Reference:
    day = st.dates().map(lambda d: d.isoformat())
    return make(
        kind=draw(st.sampled_from(KINDS)),
        title=draw(TEXT),
        authors=draw(NAMES),
        editors=draw(NAMES),
        year=draw(st.one_of(st.none(), st.integers(1900, 2100))),
        date=draw(st.one_of(st.just(""), day, day.map(lambda d: d[:7]), st.just("2019 May"))),
        journal=draw(TEXT),
        journal_short=draw(TEXT),
        volume=draw(st.one_of(TEXT, DIGITS)),
        issue=draw(TEXT),
        pages=draw(PAGES),
        abstract="\n".join(draw(st.lists(TEXT, max_size=3))),
        doi=draw(st.one_of(st.none(), DIGITS.map("10.5555/x.({})".format))),
        pmid=draw(st.one_of(st.none(), DIGITS)),
        pmcid=draw(st.one_of(st.none(), DIGITS.map("PMC{}".format))),
        issn=draw(st.lists(st.sampled_from(["1234-5679", "2222-333X"]), max_size=2, unique=True)),
        isbn=draw(st.lists(st.just("9783161484100"), max_size=1)),
        keywords=draw(st.lists(TEXT, max_size=3)),
        mesh=draw(st.lists(TEXT, max_size=2)),
        types=draw(st.lists(TEXT, max_size=2)),
        language=draw(st.sampled_from(["", "eng", "eng, fre"])),
        publisher=draw(TEXT),
        place=draw(TEXT),
        urls=draw(st.lists(URL, max_size=2)),
        notes=draw(st.lists(TEXT, max_size=2)),
        database=draw(st.sampled_from(["", "Embase", "Scopus"])),
        accession=draw(st.sampled_from(["", "L123", "WOS:1"])),
        included=draw(st.sampled_from([None, True, False])),
        extra=draw(EXTRA),
    )


@pytest.mark.parametrize("name", WRITTEN)
@given(some=st.lists(references(), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_again(name, some):
    telling = [r for r in some if says_something(kept(r, name))]
    if not telling:
        return
    found = read(write(telling, name).encode(), file="x", format=name)
    assert found.refused == ()
    assert list(found.references) == [kept(r, name) for r in telling]


def says_something(r: Reference) -> bool:
    return bool(r.title and (r.doi or r.pmid or r.authors)) or bool(
        r == make(pmid=r.pmid) and r.pmid
    )


@pytest.mark.parametrize("name", WRITTEN)
@given(r=references())
@settings(max_examples=30, deadline=None)
def test_what_is_kept_is_kept_for_good(name, r):
    assert kept(kept(r, name), name) == kept(r, name)


def test_our_own_csv_loses_nothing_and_the_others_say_what_they_lose():
    page = (Path(__file__).parents[1] / "docs/reference/formats.md").read_text(encoding="utf-8")
    assert loses("csv") == ()
    assert FORMATS["csv"].drops == frozenset()
    for name in WRITTEN:
        if name != "csv":
            assert f"| `{name}` | {'; '.join(loses(name))} |" in page


@given(st.lists(references(), max_size=3))
@settings(max_examples=30, deadline=None)
def test_references_may_come_one_by_one_and_are_written_the_same(some):
    for name in WRITTEN:
        assert write(iter(some), name) == write(some, name)


def test_records_made_for_asreview_have_its_columns():
    text = write([make(title="T", abstract="A", authors=["Smith, J"], included=True)], "asreview")
    assert text == (
        "title,abstract,authors,keywords,year,journal,doi,pmid,url,label_included\n"
        'T,A,"Smith, J",,,,,,,1\n'
    )


def test_bibtex_keys_are_made_of_author_year_and_title_and_never_twice():
    some = [make(title="Cold water", authors=["Müller, J"], year=2020)] * 2
    text = write(some, "bibtex")
    assert "@article{muller2020cold,\n" in text
    assert "@article{muller2020cold-2,\n" in text


@pytest.mark.parametrize(
    ("text", "doi"),
    [
        ("https://doi.org/10.5555/abc", "10.5555/abc"),
        ("doi: 10.5555/abc.", "10.5555/abc"),
        ("10.5555/S0140-6736(19)1 [doi]", "10.5555/S0140-6736(19)1"),
        ("(10.5555/abc)", "10.5555/abc"),
        ("10.5555%2Fabc", "10.5555/abc"),
        ("10.5/abc", None),
        ("", None),
    ],
)
def test_a_doi_is_found_in_what_stands_around_it(text, doi):
    assert clean_doi(text) == doi


def test_a_receipt_can_be_read_by_machines():
    found = read(b"TY  - JOUR\nER  -\nTY  - JOUR\nTI  - T\nER  -\n", file="x.ris")
    body = json.loads(json.dumps(found.json()))
    assert (body["in_file"], body["read"], body["counted"]) == (2, 1, 2)
    assert body["refused"] == [{"line": 1, "why": "says nothing but its type", "bytes": 17}]
    assert len(body["sha256"]) == 64


@pytest.mark.parametrize(
    ("date", "year", "first"),
    [
        ("2019--05--12", None, "2019"),
        ("Jan-Feb-Mar-Apr 2019", 2019, "2019"),
        ("2019-05-12", None, "2019-05-12"),
        ("1-2-3-4-5", None, None),
    ],
)
def test_a_date_in_any_words_makes_a_record(date, year, first):
    found = from_reference(make(title="T", date=date, year=year)).pubdate
    assert (found.first if found else None) == first


@pytest.mark.parametrize("year", ["²", "2019a", 5000 * "9", "-5"])
def test_a_year_in_our_own_csv_that_is_none_is_left_out(year):
    text = write([make(title="T", year=2019, doi="10.5555/a")], "csv").replace("2019", year)
    (found,) = read(text.encode(), file="a.csv").references
    assert (found.title, found.year) == ("T", None)


def test_endnote_xml_in_utf_16_that_is_cut_off_gives_the_records_that_are_whole():
    whole, half = (f"<record><titles><title>{t}</title></titles></record>" for t in ("A", "B"))
    data = codecs.BOM_UTF16_LE + f"<xml><records>{whole}\n{half[:30]}".encode("utf-16-le")[:-1]
    found = read(data, file="a.xml", format="endnote")
    assert [r.title for r in found.references] == ["A"]
    assert [(r.line, r.why) for r in found.refused] == [(2, "<record> is not closed")]


def test_bibtex_with_accents_nested_by_the_thousand_is_refused_by_name():
    deep = 3000 * "\\'{" + "a" + 3000 * "}"
    found = read(f"@misc{{a, title={{{deep}}}}}\n@misc{{b, title={{B}}}}\n".encode(), file="a.bib")
    assert [r.title for r in found.references] == ["B"]
    assert [str(r) for r in found.refused] == ["a.bib:1  @misc: its commands are nested too deeply"]


@pytest.mark.parametrize("name", ["csv", "asreview"])
@pytest.mark.parametrize("title", ["=1+1", "+omics", "-omics", "@home"])
def test_a_title_that_a_spreadsheet_would_compute_is_written_as_it_is(name, title):
    text = write([make(title=title, doi="10.5555/a")], name)
    assert read(text.encode(), file="a.csv").references[0].title == title
    assert f"'{title}" not in text


def test_what_is_no_text_is_in_no_known_format_and_does_not_reach_the_terminal():
    data = bytes(range(256)) * 2 + b",;\t"
    for name in ("scan.bin", "scan.csv"):
        with pytest.raises(SourceError, match=f"{name} is no text") as caught:
            guess(data, file=name)
        assert caught.value.places == ()


def test_web_of_sciences_export_with_full_headings_is_known():
    text = (
        "Publication Type,Authors,Article Title,Source Title,Publication Year,UT (Unique WOS ID)\n"
        'J,"Testa, A",An invented title,Invented Medicine,2018,WOS:000000000000007\n'
    )
    found = read(text.encode(), file="savedrecs.csv")
    assert found.dialect == "Web of Science, full headings"
    (reference,) = found.references
    assert (reference.title, reference.year) == ("An invented title", 2018)
    assert (reference.journal, reference.accession) == ("Invented Medicine", "WOS:000000000000007")
