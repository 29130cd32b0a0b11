"""Whether a record satisfies a query, word for word."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.model import Record
from evidence.pubmed.articles import Deleted, parse_articles, stream_articles
from evidence.query.match import Answer, NotAnswerable, Seen, answer, matches
from evidence.query.parse import parse
from evidence.query.plan import plan
from evidence.query.searchable import (
    MeshHeading,
    Paper,
    Person,
    from_record,
    heading,
    person,
)
from evidence.query.words import holds, near, pattern, plain, text, words

DAY = dt.date


def finds(query: str, paper: Paper, **choices: object) -> bool:
    return matches(query, paper, **choices)  # type: ignore[arg-type]


# ---------------------------------------- words


@pytest.mark.parametrize(
    ("raw", "cut"),
    [
        ("Brain-derived neurotrophic factor (BDNF)", "brain derived neurotrophic factor bdnf"),
        ("Sjögren's syndrome", "sjogren s syndrome"),
        ("CO₂ and H2O", "co2 and h2o"),
        ("TNF-α, IL_6", "tnf α il 6"),
        ("ﬁbrosis Straße", "fibrosis strasse"),
        ("  \u00a0 – ", ""),
    ],
)
def test_words_are_letters_and_digits_without_case_and_accents(raw, cut):
    assert text(raw) == cut
    assert words(raw) == cut.split()


@given(st.text())
def test_cutting_twice_changes_nothing(raw):
    assert words(text(raw)) == words(raw)


@given(st.text())
def test_runs_beyond_ascii_are_changed_as_the_whole_text_would_be(raw):
    decomposed = unicodedata.normalize("NFKD", raw)
    whole = "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()
    assert plain(raw) == whole


def test_an_asterisk_needs_four_characters_at_the_end_of_the_last_word():
    # User Guide, "Truncating search terms".
    assert str(pattern("exercis*")) == "exercis*"
    assert str(pattern("breast feed*")) == "breast feed*"
    assert str(pattern("cat*")) == "cat"
    assert str(pattern("co-op*")) == "co op"
    assert str(pattern("wom*n")) == "wom n"


WORD = st.sampled_from(list("abcd"))


@given(st.lists(WORD, min_size=1, max_size=4), st.lists(WORD, max_size=9), st.booleans())
def test_adjacency_is_what_a_search_in_the_joined_text_finds(wanted, field, is_prefix):
    asked = pattern(" ".join(wanted))
    joined = f" {' '.join(field)} "
    assert holds(asked, field) == (f" {' '.join(wanted)} " in joined)


@given(
    st.lists(WORD, min_size=2, max_size=3),
    st.lists(WORD, max_size=9),
    st.integers(0, 4),
)
def test_nearness_is_a_stretch_of_the_text_that_holds_all_words(wanted, field, most):
    size = len(wanted) + most
    expected = any(
        all(field[i : i + size].count(w) >= wanted.count(w) for w in wanted)
        for i in range(len(field))
    )
    assert near(wanted, field, most) == expected


def test_proximity_counts_the_words_between():
    # User Guide, "Proximity searching", and its examples.
    title = Paper(title="Rationing of strictly limited public healthcare")
    assert finds('"rationing healthcare"[ti:~4]', title)
    assert not finds('"rationing healthcare"[ti:~3]', title)
    assert finds('"healthcare rationing"[ti:~4]', title)
    relation = Paper(title="The physician-patient relationship")
    assert finds('"patient physician relationship"[tiab:~0]', relation)


# ---------------------------------------- fields

PAPER = Paper(
    pmid="90000001",
    title="Interval training and Sjögren's syndrome",
    abstract="METHODS: Twelve jugglers ran.\nRESULTS: Exercising helped.",
    other_abstracts=("Les jongleurs",),
    keywords=("physical activity", "clowns"),
    vernacular_title="Jonglage par intervalles",
    headings=(
        MeshHeading("Exercise", True, (("physiology", False),)),
        MeshHeading("Hypertension", False, (("drug therapy", True), ("blood", False))),
        MeshHeading("Benzo(a)pyrene"),
    ),
    supplementary=("COVID-19 post-intensive care syndrome",),
    kinds=("Journal Article", "Randomized Controlled Trial"),
    authors=(
        Person("O'Brien", "JC", "James Charles", "Jr"),
        Person("van der Berg", "A", "Anna"),
        Person("Smith", "J", "J"),
    ),
    groups=("The Juggling Group",),
    investigators=(Person("Janes", "H", "Harry"),),
    subjects=(Person("Varmus", "H", "Harold"),),
    identifiers=("ORCID 0000-0001-5027-4446",),
    affiliations=("Clinic of Circus Arts, Bern.", "School of Public Health, Utrecht."),
    journal_names=("Front Endocrinol (Lausanne)", "Frontiers in endocrinology", "1664-2392"),
    nlm_id="101555782",
    country="Switzerland",
    volume="12",
    issue="3",
    first_page="101",
    languages=("eng", "fre"),
    dates={
        "publication": (DAY(2020, 1, 1),),
        "print": (DAY(2020, 1, 1),),
        "electronic": (DAY(2021, 2, 3),),
        "entry": (DAY(2020, 1, 5),),
        "created": (DAY(2020, 1, 6),),
        "mesh": (DAY(2020, 6, 1),),
        "completed": (DAY(2020, 7, 1),),
        "revised": (DAY(2022, 8, 1),),
    },
    ids={"doi": ("10.1000/j.s0960-9822(00)00336-5",), "pmc": ("PMC2600426",), "mid": ("NIHMS1",)},
    locations=("10.1000/j.s0960-9822(00)00336-5",),
    substances=("Ethanol",),
    numbers=("EC 1.1.1.57", "3K9958V90M"),
    grants=("R01 CA101211", "CA", "NCI NIH HHS", "United States"),
    accessions=("ClinicalTrials.gov/NCT01234567", "GENBANK/AF001892"),
    conflicts="None declared.",
    corrections=("RetractionIn", "CorrectedandRepublishedFrom"),
    subsets=("IM", "AIM"),
    status="MEDLINE",
    owner="NLM",
    indexing="Curated",
    publication_status="aheadofprint",
    is_structured=True,
    has_foreign_abstract=True,
)

YES = """
interval[ti]
"interval training"[ti]
sjogren[tiab]
sjögren's[tiab]
exercis*[tiab]
jongleurs[tiab]
"physical activity"[tiab]
clowns[ot]
results[tiab]
"drug therapy"[tw]
ethanol[tw]
jonglage[tt]
exercise[mh:noexp]
EXERCISE [MeSH:noexp]
hypertens*[mh]
exercise[majr:noexp]
hypertension[majr:noexp]
hypertension/drug therapy[mh:noexp]
hypertension/dt[majr:noexp]
hypertension/blood[mh:noexp]
benzo a pyrene[mh:noexp]
Benzo(a)pyrene[mh:noexp]
covid 19 post intensive care syndrome[mh:noexp]
blood[sh:noexp]
bl[sh:noexp]
randomized controlled trial[pt]
clinical trial[pt]
journal article[pt:noexp]
random*[pt]
ethanol[nm]
ethan*[nm]
EC 1.1.1.57[rn]
3K9958V90M[rn]
o'brien j[au]
o'brien jc jr[au]
o'brien[au]
"o'brien jc"[au]
james charles o'brien[au]
o'brien james[fau]
van der berg[au]
van der berg a[au]
"smith j"[au]
smit*[au]
o'brien j[1au]
smith[lastau]
janes h[ir]
harry janes[fir]
varmus h[ps]
juggling group[cn]
orcid 0000-0001-5027-4446[auid]
bern[ad]
"arts circus"[ad:~0]
Front Endocrinol (Lausanne)[JO]
"frontiers in endocrinology"[ta]
1664-2392[ta]
front endo*[ta]
101555782[jid]
switzerland[pl]
12[vi]
3[ip]
101[pg]
english[la]
fre[la]
10.1000/j.s0960-9822(00)00336-5[doi]
"10.1000/j.s0960-9822(00)00336-5"[lid]
CA101211[gr]
NCI[gr]
NCT01234567[si]
genbank[si]
genbank/AF001892[si]
declared[cois]
90000001
1 90000001 2
90000000:90000002[uid]
2020[dp]
2020/01[dp]
2020:2020[dp]
2021:2021[dp]
2021[epdat]
2020[ppdat]
2020/01/05[edat]
2020/01/06[crdt]
2020/06[mhda]
2020/07[dcom]
2022[lr]
2019/11/01[PDAT] : 3000/12/31[PDAT]
medline[sb]
all[sb]
"pubmed pmc"[sb]
hasabstract
hasstructuredabstract
haskeyword
hascois
hasdatabanklist
hasnihmsid
hasnonenglishabstract
hasretractionin
hascorrectedrepublishedfrom
indexingmethod_curated
pubstatusaheadofprint
ownernlm
jsubsetaim
PMC2600426
"interval training"
jugglers*
x[ti] OR interval[ti] AND training[ti]
interval[ti] NOT pilates[ti]
""".strip().split("\n")

NO = """
training interval[ti]
jugglers[ti]
sjogrens[tiab]
"clowns physical"[tiab]
jonglage[tiab]
jonglage[tw]
drug therapy[tiab]
benzo[mh:noexp]
hypertension/therapy[mh:noexp]
exercise/physiology[mh:noexp] AND hypertension/blood[majr:noexp]
therapy[sh:noexp]
clinical trial[pt:noexp]
brien[au]
"o'brien j"[au]
o'brien jd[au]
"smith"[au]
smith ja[au]
van der[au]
smith j[1au]
o'brien[lastau]
o'brien j[fau]
"circus utrecht"[ad:~9]
front endocrinol[ta]
1[pg]
german[la]
2021[dp]
2021/02[dp]
2019[dp]
2022:2023[dp]
publisher[sb]
haserratumin
hasretractionof
pmcbook
indexingmethod_automated
ownernasa
PMC260042
the[tiab]
switzerland[tw]
""".strip().split("\n")


@pytest.mark.parametrize("query", YES)
def test_a_record_satisfies(query):
    assert finds(query, PAPER)


@pytest.mark.parametrize("query", NO)
def test_a_record_does_not_satisfy(query):
    assert not finds(query, PAPER)


def test_a_phrase_spans_neither_fields_nor_keywords():
    paper = Paper(title="Interval", abstract="training", keywords=("back", "pain"))
    assert not finds('"interval training"[tiab]', paper)
    assert not finds('"back pain"[tiab:~5]', paper)


def test_a_period_until_today_holds_the_future_too():
    # User Guide, "Searching for a relative date range".
    ahead = Paper(dates={"publication": (DAY(2030, 1, 1),)})
    assert finds('"last 5 years"[dp]', ahead, today=DAY(2026, 1, 1))
    assert finds('"last 30 days"[crdt]', PAPER, today=DAY(2020, 2, 5))
    assert not finds('"last 30 days"[crdt]', PAPER, today=DAY(2020, 2, 6))


def test_a_single_day_passes_over_an_electronic_date_after_the_one_in_print():
    # User Guide, "Publication Date": 2000:2000[dp] rather than 2000[dp].
    early = Paper(dates={"publication": (DAY(2021, 3, 1),), "electronic": (DAY(2020, 12, 1),)})
    assert finds("2020[dp]", early)
    assert finds("2021[dp]", early)


# ---------------------------------------- what cannot be answered

REFUSED = {
    "asthma": "term-mapping",
    "heart attack[all]": "term-mapping",
    "Exercise[mh]": "explosion",
    "therapy[sh]": "explosion",
    "neoplasms/dh": "explosion",
    "vasodilator agents[pa]": "unpublished",
    "systematic[sb]": "unpublished",
    "(asthma OR copd)[tiab]": "tag-on-group",
    "asthma[tiabb]": "unknown-tag",
    "asthma[ti:noexp]": "ignored",
    '"asthma attack"[tw:~3]': "ignored",
    '"hip* pain"[tiab:~4]': "ignored",
    "hip pain[tiab:~4]": "ignored",
    "#1": "history",
    '"last 30 days"[crdt]': "clock",
    "()": "no-term",
    "klingon[la]": "unknown-language",
}


@pytest.mark.parametrize("query", REFUSED)
def test_what_the_records_cannot_tell_is_refused_by_name(query):
    with pytest.raises(NotAnswerable) as caught:
        plan(parse(query).tree)
    assert REFUSED[query] in caught.value.reasons


def test_a_refusal_names_every_term():
    with pytest.raises(NotAnswerable) as caught:
        plan(parse("asthma AND Exercise[mh] AND copd[ti]"))
    assert [r.term for r in caught.value.refused] == ["asthma", "Exercise[mh]"]
    assert str(caught.value).startswith("the records alone cannot answer this query\n  asthma: ")


def test_a_malformed_query_is_refused():
    with pytest.raises(NotAnswerable) as caught:
        answer("asthma[ti] OR (copd[ti]", [PAPER])
    assert caught.value.reasons == ("malformed",)


def test_lenient_answers_are_marked():
    found = answer("interval AND Exercise[mh]", [PAPER], strict=False)
    assert found == Answer(frozenset(("90000001",)), found.approximations)
    assert [a.code for a in found.approximations] == ["term-mapping", "explosion"]
    assert "not PubMed-equivalent" in str(found.approximations[0])


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ('"interval training"[ti]', "phrase-index"),
        ("covid-19[ti]", "phrase-index"),
        ("exercise[mh:noexp]", "entry-term"),
        ("lancet[ta]", "journal-table"),
        ("ethanol[nm]", "synonyms"),
        ("clinical trial[pt]", "publication-types"),
        ('"interval"', "all-fields"),
        ("inprocess[sb]", "status"),
        ("the[tiab]", "stopword"),
    ],
)
def test_an_answer_says_where_pubmed_may_differ(query, code):
    assert [a.code for a in answer(query, [PAPER]).approximations] == [code]


def test_an_answer_that_the_records_decide_has_no_reservation():
    for query in ("interval[ti]", '"interval training"[ti:~0]', "smith j[au]", "2020:2021[dp]"):
        assert answer(query, [PAPER]).approximations == ()


def test_the_descriptor_file_answers_explosion_and_entry_terms():
    class Vocabulary:
        def headings(self, name):
            return frozenset(("Sports", "Running")) if name.lower() == "sports" else None

        def heading(self, name):
            return "Exercise" if name.lower() in ("exercise", "physical exercise") else None

        def subheadings(self, name):
            return frozenset((name, "drug therapy")) if name == "therapy" else frozenset((name,))

        def publication_types(self, name):
            return frozenset((name, "Randomized Controlled Trial"))

    vocabulary = Vocabulary()
    runner = Paper(headings=(MeshHeading("Running"),))
    assert finds("sports[mh]", runner, vocabulary=vocabulary)
    assert not finds("sports[mh:noexp]", runner, vocabulary=vocabulary)
    assert finds("physical exercise[mh:noexp]", PAPER, vocabulary=vocabulary)
    assert finds("therapy[sh]", PAPER, vocabulary=vocabulary)
    assert finds("clinical study[pt]", PAPER, vocabulary=vocabulary)


def test_history_lines_stand_for_their_trees():
    sets = {"1": parse("interval[ti]").tree, "2": parse("#1 AND training[ti]").tree}
    assert finds("#2", PAPER, sets=sets)
    with pytest.raises(NotAnswerable):
        finds("#1", PAPER, sets={"1": parse("#1").tree})


# ---------------------------------------- records of the store

RECORD = Record(
    pmid="90000002",
    title="Naps",
    abstract="BACKGROUND: Juggling.",
    authors=("Smith JA Jr", "van der Berg A", "The Group"),
    year=2020,
    journal="Circus studies",
    doi=None,
    pmcid=None,
    mesh=("Exercise/*physiology", "*Sleep"),
    kinds=("Letter",),
    keywords=("nap",),
    language="eng, fre",
    status="In-Process",
    version=1,
    retracted=False,
    notices=("RetractionIn: J. 2020 (PMID 1)",),
    revised="2021-02-03",
)


def test_a_record_of_the_store_is_searched_in_what_it_holds():
    paper = from_record(RECORD)
    for query in (
        "juggling[tiab]",
        "nap[ot]",
        "exercise[majr:noexp]",
        "sleep[majr:noexp]",
        "smith j[au]",
        "van der berg a[au]",
        "letter[pt]",
        "fre[la]",
        "2021[lr]",
        "hasretractionin",
    ):
        assert finds(query, paper), query


def test_a_record_is_refused_in_what_its_source_did_not_hand_on():
    with pytest.raises(NotAnswerable) as caught:
        finds("2020[dp]", from_record(RECORD))
    assert caught.value.reasons == ("not-held",)


# An invented record in PubMed's own form.
XML = """
<PubmedArticleSet><PubmedArticle>
<MedlineCitation Status="MEDLINE" Owner="NLM" IndexingMethod="Curated">
<PMID Version="1">90000003</PMID>
<DateRevised><Year>2022</Year><Month>08</Month><Day>01</Day></DateRevised>
<Article PubModel="Print-Electronic">
<Journal><ISSN IssnType="Electronic">0000-0000</ISSN>
<JournalIssue CitedMedium="Internet"><Volume>12</Volume><Issue>3</Issue>
<PubDate><Year>2021</Year><Season>Spring</Season></PubDate></JournalIssue>
<Title>Annals of invented circus</Title><ISOAbbreviation>Ann Circus</ISOAbbreviation></Journal>
<ArticleTitle>CO<sub>2</sub> and juggling</ArticleTitle>
<Pagination><MedlinePgn>101-9</MedlinePgn></Pagination>
<ELocationID EIdType="doi" ValidYN="Y">10.1000/circus.1</ELocationID>
<Abstract><AbstractText Label="METHODS">Twelve clowns.</AbstractText></Abstract>
<AuthorList CompleteYN="Y">
<Author ValidYN="Y"><LastName>O'Nobody</LastName><ForeName>Jane Ann</ForeName>
<Initials>JA</Initials>
<Identifier Source="ORCID">0000-0001-2345-6789</Identifier>
<AffiliationInfo><Affiliation>School of Circus, Bern.</Affiliation></AffiliationInfo></Author>
<Author ValidYN="Y"><CollectiveName>The Juggling Group</CollectiveName></Author>
</AuthorList>
<Language>eng</Language>
<DataBankList CompleteYN="Y"><DataBank><DataBankName>ClinicalTrials.gov</DataBankName>
<AccessionNumberList><AccessionNumber>NCT00000000</AccessionNumber></AccessionNumberList>
</DataBank></DataBankList>
<GrantList CompleteYN="Y"><Grant><GrantID>C1</GrantID><Agency>Circus Fund</Agency>
<Country>Nowhere</Country></Grant></GrantList>
<PublicationTypeList><PublicationType UI="D016428">Journal Article</PublicationType>
</PublicationTypeList>
<ArticleDate DateType="Electronic"><Year>2020</Year><Month>12</Month><Day>24</Day></ArticleDate>
</Article>
<MedlineJournalInfo><Country>Nowhere</Country><MedlineTA>Ann Circus</MedlineTA>
<NlmUniqueID>0000000</NlmUniqueID><ISSNLinking>0000-0000</ISSNLinking></MedlineJournalInfo>
<ChemicalList><Chemical><RegistryNumber>142M471B3J</RegistryNumber>
<NameOfSubstance UI="D002245">Carbon Dioxide</NameOfSubstance></Chemical></ChemicalList>
<CitationSubset>IM</CitationSubset>
<MeshHeadingList><MeshHeading><DescriptorName UI="D000000" MajorTopicYN="N">Juggling
</DescriptorName><QualifierName UI="Q000000" MajorTopicYN="Y">physiology</QualifierName>
</MeshHeading></MeshHeadingList>
<KeywordList Owner="NOTNLM"><Keyword MajorTopicYN="N">clubs</Keyword></KeywordList>
</MedlineCitation>
<PubmedData><History><PubMedPubDate PubStatus="entrez"><Year>2020</Year><Month>12</Month>
<Day>25</Day></PubMedPubDate></History><PublicationStatus>ppublish</PublicationStatus>
<ArticleIdList><ArticleId IdType="pubmed">90000003</ArticleId>
<ArticleId IdType="pmc">PMC0000001</ArticleId></ArticleIdList></PubmedData>
</PubmedArticle></PubmedArticleSet>
"""


IN_XML = """
co2[ti]
"twelve clowns"[tiab:~0]
clubs[ot]
juggling[majr:noexp]
juggling/physiology[mh:noexp]
o'nobody j[au]
jane o'nobody[fau]
juggling group[cn]
bern[ad]
0000-0001-2345-6789[auid]
"Ann Circus"[ta]
0000-0000[ta]
0000000[jid]
12[vi]
3[ip]
101[pg]
10.1000/circus.1[lid]
nct00000000[si]
circus fund[gr]
carbon dioxide[nm]
142M471B3J[rn]
2021/04[dp]
2020:2020[dp]
2021/04[ppdat]
2020/12/24[epdat]
2020/12/25[crdt]
2022/08/01[lr]
eng[la]
medline[sb]
"pubmed pmc"[sb]
hasstructuredabstract
hasdatabanklist
indexingmethod_curated
nowhere[pl]
""".strip().split("\n")


@pytest.mark.parametrize("query", IN_XML)
def test_a_record_of_pubmed_xml_is_searched_in_every_field(query):
    (record,), refused = parse_articles(XML.encode())
    assert refused == []
    assert finds(query, from_record(record))


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("1979 Jan-Feb", DAY(1979, 1, 1)),
        ("1998 Dec-1999 Jan", DAY(1998, 12, 1)),
        ("1977 Dec 22-29", DAY(1977, 12, 22)),
        ("1977 Fall-Winter", DAY(1977, 10, 1)),
        ("Fall 2019", DAY(2019, 10, 1)),
        ("1977-1978", DAY(1977, 1, 1)),
        # The guide does not say which year; a season belongs to the first here.
        ("1979-1980 Fall", DAY(1979, 10, 1)),
        ("2021 Apr-Jun 01", DAY(2021, 4, 1)),
    ],
)
def test_a_date_in_words_is_filed_under_its_first_month(written, day):
    # User Guide, "Publication Date": of several months the first; fall is October.
    dated = f"<PubDate><MedlineDate>{written}</MedlineDate></PubDate>"
    xml = re.sub(r"<PubDate>.*?</PubDate>", dated, XML, flags=re.DOTALL)
    (record,), _ = parse_articles(xml.encode())
    assert from_record(record).dates["publication"] == (day,)


def test_names_and_headings_in_nlm_notation_are_split():
    assert heading("Exercise/*physiology/drug effects") == MeshHeading(
        "Exercise", False, (("physiology", True), ("drug effects", False))
    )
    assert person("Smith JA Jr") == Person("Smith", "JA", "", "Jr")
    assert person("van der Berg A") == Person("van der Berg", "A")
    assert person("The Group") == Person("The Group")


# ---------------------------------------- laws

QUERY = st.recursive(
    st.sampled_from(["a[ti]", "b[ti]", "c[ti]", '"a b"[ti]', '"b c"[ti:~1]', "hasabstract"]),
    lambda q: st.tuples(q, st.sampled_from(["AND", "OR", "NOT"]), q).map(
        lambda t: f"({t[0]}) {t[1]} ({t[2]})"
    ),
    max_leaves=6,
)
PAPERS = [
    Seen(Paper(str(i), " ".join(w), abstract="x" * (i % 2)))
    for i, w in enumerate(
        ("x1 y1", "y1 x1", "x1 q z1 y1", "z1 y1", "y1 q z1", "q", "x1", "x1 y1 z1", "z1 q q y1")
    )
]


def _spelt(query: str) -> str:
    for old, new in (("a", "x1"), ("b", "y1"), ("c", "z1")):
        query = query.replace(f"{old}[", f"{new}[").replace(f'"{old} ', f'"{new} ')
        query = query.replace(f' {old}"', f' {new}"')
    return query


@given(QUERY, QUERY)
def test_operators_are_those_of_sets(one, two):
    one, two = _spelt(one), _spelt(two)
    a, b = answer(one, PAPERS).pmids, answer(two, PAPERS).pmids
    assert answer(f"({one}) AND ({two})", PAPERS).pmids == a & b
    assert answer(f"({one}) OR ({two})", PAPERS).pmids == a | b
    assert answer(f"({one}) NOT ({two})", PAPERS).pmids == a - b


# ---------------------------------------- two complete files of NLM


@pytest.fixture(scope="module")
def nlm(shared: Path) -> list[Seen]:
    """The 50,783 unique records of one file of the baseline and one of updates."""
    papers: dict[str, Seen] = {}
    for name in ("pubmed20n0014.xml.gz", "pubmed21n1298.xml.gz"):
        with gzip.open(shared / "pubmed" / name) as file:
            for found in stream_articles(file):
                if isinstance(found, Record):  # the later one of a PMID wins
                    papers[found.pmid] = Seen(from_record(found))
                elif isinstance(found, Deleted):
                    papers.pop(found.pmid, None)
    assert len(papers) == 50_783
    return list(papers.values())


# Counts by an independent brute-force evaluator, 22 of them checked with SQLite FTS5.
@pytest.mark.shared
def test_every_golden_count_is_reproduced(shared: Path, nlm: list[Seen]):
    with (shared / "pubmed/golden_counts.csv").open(encoding="utf-8", newline="") as file:
        expected = {row["query"]: int(row["expected_count"]) for row in csv.DictReader(file)}
    assert len(expected) >= 30
    # Those that the description of the counts gives beside the file.
    expected |= {
        '"pain back"[tiab:~0]': 47,
        "rats[tiab] OR (humans[tiab] AND heart[tiab])": 1390,
        '"smith j"[au]': 11,
    }
    found = {query: answer(query, nlm).count for query in expected}
    assert found == expected
