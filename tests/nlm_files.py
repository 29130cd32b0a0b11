"""Invented records in files of NLM's form, and queries on them."""

from __future__ import annotations

import datetime as dt
import gzip
import itertools
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from hypothesis import strategies as st

DAY = dt.date(2026, 1, 15)

TEXT = "pain back exercise exercises exercising rats rat café brain derived factor co2 α β"
WORDS = TEXT.split()
NAMES = ["Smith", "Smithson", "O'Brien", "van der Berg", "Berg", "Łoś", "Ng"]
HEADINGS = ["Exercise", "Hypertension", "Back Pain", "Benzo(a)pyrene", "Rats"]
UNDER = ["drug therapy", "therapy", "physiology"]
TYPES = ["Journal Article", "Review", "Randomized Controlled Trial", "Letter"]
LINKS = ["RetractionIn", "ErratumFor", "CommentOn", "CorrectedandRepublishedIn"]


def article(pmid: int, version: int = 1, title: str | None = None, seed: int = 0) -> str:
    """A record in PubMed's form, all of it drawn from short lists."""
    draw = random.Random(f"{pmid}/{version}/{seed}")

    def some(low: int, high: int) -> str:
        return " ".join(draw.choice(WORDS) for _ in range(draw.randint(low, high)))

    def date(tag: str, attributes: str = "") -> str:
        year, month, day = draw.choice((2019, 2020, 2021)), draw.randint(1, 12), draw.randint(1, 28)
        parts = f"<Year>{year}</Year><Month>{month:02}</Month><Day>{day:02}</Day>"
        return f"<{tag}{attributes}>{parts}</{tag}>"

    def maybe(text: str) -> str:
        return text if draw.random() < 0.5 else ""

    def many(high: int, text: Iterable[str]) -> str:
        return "".join(itertools.islice(text, draw.randint(0, high)))

    def people(tag: str) -> Iterator[str]:
        while True:
            initials = draw.choice(("J", "JA", "A", "B C"))
            fore = draw.choice(("John", "Jane Ann", "A", ""))
            places = maybe(
                f"<AffiliationInfo><Affiliation>{some(2, 6)}</Affiliation></AffiliationInfo>"
            )
            places += maybe(
                f"<AffiliationInfo><Affiliation>{some(2, 4)}</Affiliation></AffiliationInfo>"
            )
            yield (
                f"<{tag} ValidYN='Y'><LastName>{draw.choice(NAMES)}</LastName>"
                + (f"<ForeName>{fore}</ForeName>" if fore else "")
                + maybe(f"<Initials>{initials}</Initials>")
                + maybe("<Suffix>Jr</Suffix>")
                + f"{places}</{tag}>"
            )

    def headings() -> Iterator[str]:
        while True:
            under = many(
                2,
                (
                    f"<QualifierName MajorTopicYN='{draw.choice('YN')}'>{name}</QualifierName>"
                    for name in draw.sample(UNDER, 2)
                ),
            )
            yield (
                f"<MeshHeading><DescriptorName MajorTopicYN='{draw.choice('YNN')}'>"
                f"{draw.choice(HEADINGS)}</DescriptorName>{under}</MeshHeading>"
            )

    def words_in(tag: str, low: int = 1, high: int = 3) -> Iterator[str]:
        while True:
            yield f"<{tag}>{some(low, high)}</{tag}>"

    status = draw.choice(("MEDLINE", "Publisher", "In-Process"))
    links = "".join(
        f"<CommentsCorrections RefType='{kind}'><RefSource>{some(1, 3)}</RefSource>"
        "</CommentsCorrections>"
        for kind in draw.sample(LINKS, draw.choice((0, 0, 1, 2)))
    )
    types = "".join(
        f"<PublicationType>{kind}</PublicationType>"
        for kind in draw.sample(TYPES, draw.randint(1, 2))
    )
    return f"""<PubmedArticle><MedlineCitation Status="{status}" Owner="{
        draw.choice(("NLM", "NASA"))
    }"
 IndexingMethod="{draw.choice(("Automated", "Curated"))}">
<PMID Version="{version}">{pmid}</PMID>{maybe(date("DateCompleted"))}{date("DateRevised")}
<Article PubModel="{draw.choice(("Print", "Print-Electronic", "Electronic"))}"><Journal>
<ISSN IssnType="Print">0000-000{draw.randint(0, 3)}</ISSN>
<JournalIssue CitedMedium="Print"><Volume>{draw.randint(1, 4)}</Volume>{maybe("<Issue>2</Issue>")}
{date("PubDate")}</JournalIssue><Title>Annals of {draw.choice(WORDS)}</Title></Journal>
<ArticleTitle>{some(1, 9) if title is None else title}</ArticleTitle>
<Pagination><MedlinePgn>{draw.randint(1, 9)}-19</MedlinePgn></Pagination>
<ELocationID EIdType="doi" ValidYN="Y">10.1000/x.{pmid}</ELocationID>
{maybe(f'<Abstract><AbstractText Label="METHODS">{some(4, 20)}</AbstractText></Abstract>')}
<AuthorList>{many(4, people("Author"))}
{maybe(f"<Author ValidYN='Y'><CollectiveName>{some(1, 3)}</CollectiveName></Author>")}</AuthorList>
<Language>{draw.choice(("eng", "fre", "jpn"))}</Language>
<DataBankList><DataBank><DataBankName>GENBANK</DataBankName><AccessionNumberList>
<AccessionNumber>X{
        draw.randint(1, 5)
    }</AccessionNumber></AccessionNumberList></DataBank></DataBankList>
<GrantList><Grant><GrantID>R{draw.randint(1, 5)}</GrantID><Agency>{some(1, 2)}</Agency>
<Country>Nowhere</Country></Grant></GrantList>
<PublicationTypeList>{types}</PublicationTypeList>
{maybe(f"<VernacularTitle>{some(1, 5)}</VernacularTitle>")}
{maybe(date("ArticleDate", ' DateType="Electronic"'))}</Article>
<MedlineJournalInfo><Country>{draw.choice(("Norway", "Peru"))}</Country>
<MedlineTA>Ann {draw.choice(WORDS)}</MedlineTA><NlmUniqueID>{draw.randint(1, 9)}</NlmUniqueID>
</MedlineJournalInfo>
{
        maybe(
            "<ChemicalList><Chemical><RegistryNumber>EC 1.1.1</RegistryNumber>"
            "<NameOfSubstance>Brain factor</NameOfSubstance></Chemical></ChemicalList>"
        )
    }
{maybe("<SupplMeshList><SupplMeshName Type='Disease'>Back Pain</SupplMeshName></SupplMeshList>")}
<CitationSubset>IM</CitationSubset>{
        f"<CommentsCorrectionsList>{links}</CommentsCorrectionsList>" if links else ""
    }
<MeshHeadingList>{many(3, headings())}</MeshHeadingList>
{
        maybe(
            f"<OtherAbstract Type='Publisher' Language='fre'>"
            f"<AbstractText>{some(3, 9)}</AbstractText></OtherAbstract>"
        )
    }
<KeywordList Owner="NOTNLM">{many(4, words_in("Keyword"))}</KeywordList>
{maybe(f"<CoiStatement>{some(2, 5)}</CoiStatement>")}
<InvestigatorList>{many(1, people("Investigator"))}</InvestigatorList></MedlineCitation>
<PubmedData><History>{date("PubMedPubDate", ' PubStatus="pubmed"')}
{date("PubMedPubDate", ' PubStatus="entrez"')}</History>
<PublicationStatus>{draw.choice(("ppublish", "aheadofprint"))}</PublicationStatus>
<ArticleIdList><ArticleId IdType="pubmed">{pmid}</ArticleId>
{
        maybe(f'<ArticleId IdType="pmc">PMC{pmid}</ArticleId>')
    }</ArticleIdList></PubmedData></PubmedArticle>
"""


def deleted(*pmids: int, version: int = 1) -> str:
    listed = "".join(f'<PMID Version="{version}">{pmid}</PMID>' for pmid in pmids)
    return f"<DeleteCitation>{listed}</DeleteCitation>"


def file_of(folder: Path, name: str, *parts: str) -> Path:
    body = f"<?xml version='1.0'?>\n<PubmedArticleSet>\n{''.join(parts)}</PubmedArticleSet>\n"
    path = folder / name
    path.write_bytes(gzip.compress(body.encode(), mtime=0))
    return path


def tagged(texts: st.SearchStrategy[str], *tags: str) -> st.SearchStrategy[str]:
    return st.tuples(texts, st.sampled_from(tags)).map(lambda pair: f"{pair[0]}[{pair[1]}]")


A_WORD = st.sampled_from([*WORDS, "exerci*", "missing"])
PHRASE = st.lists(st.sampled_from(WORDS), min_size=2, max_size=3).map(" ".join)
STEM = st.tuples(st.sampled_from(WORDS), st.sampled_from(["exer*", "deri*", "fact*"])).map(" ".join)
QUOTED = (PHRASE | STEM).map(lambda text: f'"{text}"')
SURNAME = st.sampled_from([n.lower() for n in NAMES] + ["van der", "ng j", "smith"])
NAME = st.tuples(
    SURNAME, st.sampled_from(["", " j", " ja", " j jr", " jr", " jane ann", " a", " bc", " b c"])
).map("".join)
DATES = st.sampled_from(["2020", "2020/03", "2020/03/05", "2019/06:2020/02", "2021:3000"])
HEADING = st.sampled_from([h.lower() for h in HEADINGS])
SWITCHES = """
hasabstract hasretractionin haserratumfor hascommenton hascorrectedrepublishedin hascois
hasstructuredabstract haskeyword hasdatabanklist hasnonenglishabstract pmcbook PMC1005
indexingmethod_automated pubstatusaheadofprint ownernasa jsubsetim all[sb]
"""
LEAF = st.one_of(
    tagged(A_WORD | QUOTED, "tiab", "ti", "tw", "ot", "ad", "tt", "cois", "cn"),
    tagged(QUOTED, "gr", "si", "auid", "all"),
    st.tuples(
        PHRASE, st.sampled_from(["ti", "tiab", "ad"]), st.sampled_from([0, 1, 2, 4, 14, 15, 16, 40])
    ).map(lambda t: f'"{t[0]}"[{t[1]}:~{t[2]}]'),
    PHRASE.map(lambda text: f'"{text}"[ad:~2000]'),
    tagged(NAME | NAME.map(lambda n: f'"{n}"'), "au", "1au", "lastau", "fau", "ir", "fir"),
    tagged(
        st.sampled_from(["smit*", "van der*", "van der b*", "smith j*", "berg*"]), "au", "lastau"
    ),
    tagged(HEADING, "mh:noexp", "majr:noexp"),
    st.tuples(HEADING, st.sampled_from(UNDER), st.sampled_from(["mh:noexp", "majr:noexp"])).map(
        lambda t: f"{t[0]}/{t[1]}[{t[2]}]"
    ),
    st.sampled_from(["hyper*[mh]", "back*[majr]", "thera*[sh]", "therapy[sh:noexp]"]),
    tagged(st.sampled_from([t.lower() for t in TYPES]), "pt", "pt:noexp"),
    st.sampled_from(["random*[pt]", "english[la]", "jpn[la]", "norway[pl]", "medline[sb]"]),
    st.sampled_from(['"ann pain"[ta]', "0000-0001[ta]", "3[jid]", "2[vi]", "2[ip]", "5[pg]"]),
    st.sampled_from(["brain factor[nm]", "EC 1.1.1[rn]", "10.1000/x.1004[doi]", "x1[si]"]),
    tagged(DATES, "dp", "epdat", "ppdat", "edat", "crdt", "dcom", "lr"),
    st.sampled_from(
        ['"last 5 years"[dp]', '"last 70 months"[crdt]', "1004 1005", "1000:1050[uid]"]
    ),
    st.sampled_from(SWITCHES.split()),
)
QUERY = st.recursive(
    LEAF,
    lambda q: st.tuples(q, st.sampled_from(["AND", "OR", "NOT"]), q, st.booleans()).map(
        lambda t: f"({t[0]}) {t[1]} ({t[2]})" if t[3] else f"{t[0]} {t[1]} {t[2]}"
    ),
    max_leaves=8,
)


MESH = """<?xml version="1.0"?><!DOCTYPE DescriptorRecordSet SYSTEM "https://nowhere.invalid/d.dtd">
<DescriptorRecordSet>
{}</DescriptorRecordSet>"""


def descriptor(ui: str, name: str, numbers: str, terms: str = "", kind: str = "1") -> str:
    trees = "".join(f"<TreeNumber>{n}</TreeNumber>" for n in numbers.split())
    listed = "".join(f"<Term><String>{t}</String></Term>" for t in filter(None, terms.split("|")))
    return (
        f'<DescriptorRecord DescriptorClass="{kind}"><DescriptorUI>{ui}</DescriptorUI>'
        f"<DescriptorName><String>{name}</String></DescriptorName>"
        f"<TreeNumberList>{trees}</TreeNumberList><ConceptList><Concept><TermList>{listed}"
        "</TermList></Concept></ConceptList></DescriptorRecord>\n"
    )


DESCRIPTORS = MESH.format(
    descriptor("D1", "Complaints", "C01", "Ailments|Back Pain")
    + descriptor("D2", "Back Pain", "C01.100 F02", "Backache")
    + descriptor("D3", "Hypertension", "C01.100.500")
    + descriptor("D4", "Exercise", "C01.1005")
    + descriptor("D5", "Rats", "F02.3")
    + descriptor("D6", "Review", "V03.1", kind="2")
    + descriptor("D7", "Letter", "V03.1.5", kind="2")
)
