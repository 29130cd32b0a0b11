"""Invented PubMed records with everything that a query can ask for, drawn from short lists.

Every name, number and sentence is made up; PMIDs lie above all real ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

FIRST_PMID = 95_000_001
_WORDS = """
pain back exercise exercises exercising rats rat café naïve Sjögren's o'clock factor α β-blocker
TNF-α co2 H2O2 covid-19 the of and low-dose 2 25-hydroxy p53 growth Growth brain-derived x-ray
μm Straße ﬁbrosis (18F)FDG Na+/K+ 0.05 95% Ménière follow-up up follow
"""
WORDS = tuple(_WORDS.split())
NAMES = (
    ("Smith", "J", "John"), ("Smith", "JA", "John Adam"), ("Smithson", "J", "J"),
    ("O'Brien", "JC", "James Charles"), ("van der Berg", "A", "Anna"), ("Berg", "A", "Alva"),
    ("Łoś", "K", "Kasia"), ("Müller", "HP", "Hans-Peter"), ("Ng", "", ""), ("Li", "X", "Xi"),
    ("de la Cruz", "M", "María"), ("Berg Smith", "J", "June"),
)  # fmt: skip
HEADINGS = (
    "Exercise", "Exercise Therapy", "Hypertension", "Back Pain", "Benzo(a)pyrene", "Rats",
    "Animals", "Humans", "Diabetes Mellitus, Type 2", "Receptors, Tumor Necrosis Factor",
)  # fmt: skip
UNDER = ("drug therapy", "therapy", "physiology", "blood", "statistics & numerical data")
KINDS = (
    "Journal Article", "Review", "Letter", "Case Reports", "Randomized Controlled Trial",
    "Research Support, U.S. Gov't, P.H.S.", "Published Erratum", "English Abstract",
)  # fmt: skip
SUBSTANCES = (("Ethanol", "3K9958V90M"), ("Calcium", "SY7Q814VUP"), ("Adenosine Triphosphatases",
              "EC 3.6.1.-"), ("Tumor protein, human", "0"))  # fmt: skip
JOURNALS = (
    ("Lancet", "Lancet (London, England)", "0140-6736"),
    ("Ann Pain", "Annals of pain", "0000-0001"),
    ("Front Pain (Lausanne)", "Frontiers in pain", "0000-0002"),
    ("Sci Pain", "Science of pain", ""),
)
LINKS = ("CommentOn", "CommentIn", "ErratumIn", "RetractionIn", "UpdateOf",
         "CorrectedandRepublishedFrom", "Cites")  # fmt: skip
GRANTS = (("R01 CA101211", "CA", "NCI NIH HHS", "United States"), ("", "", "Wellcome Trust",
          "United Kingdom"))  # fmt: skip
TRIALS = (("ClinicalTrials.gov", "NCT01234567"), ("GENBANK", "AF001892"), ("ISRCTN", "12345678"))
STATUSES = ("MEDLINE", "Publisher", "PubMed-not-MEDLINE", "In-Process")
MODELS = ("Print", "Print-Electronic", "Electronic", "Electronic-eCollection")
FREE_DATES = ("1998 Dec-1999 Jan", "1979 Winter", "Fall 2019", "1979-1980", "2020 Jan 5-12",
              "2020 Spring-Summer", "1979 Mar-Apr")  # fmt: skip
PLACES = ("Department of Surgery, Bern, Switzerland.", "School of Public Health, Utrecht.",
          "1 Clinic of Pain; 2 Institute of Back Research, Ghent")  # fmt: skip


def article(pmid: int, *, seed: int = 0, version: int = 1) -> str:
    """One record, the same for the same numbers."""
    draw = random.Random(f"{pmid}/{version}/{seed}")

    def some(low: int, high: int) -> str:
        return escape(" ".join(draw.choice(WORDS) for _ in range(draw.randint(low, high))))

    def perhaps(make: Callable[[], str], share: float = 0.5) -> str:
        return make() if draw.random() < share else ""

    def many(most: int, make: Callable[[], str]) -> str:
        return "".join(make() for _ in range(draw.randint(0, most)))

    def tag(name: str, inside: str, **attributes: str) -> str:
        written = "".join(f' {key}="{value}"' for key, value in attributes.items())
        return f"<{name}{written}>{inside}</{name}>"

    def parts(day: tuple[int, int | str | None, int | None]) -> str:
        year, month, number = day
        return (
            tag("Year", str(year))
            + (tag("Month", str(month)) if month else "")
            + (tag("Day", str(number)) if number else "")
        )

    def day(*, exact: bool = True) -> tuple[int, int | str | None, int | None]:
        year = draw.choice((1979, 1980, 2019, 2020, 2021))
        month: int | str | None = draw.randint(1, 12)
        if exact:
            return year, month, draw.randint(1, 28)
        month = draw.choice((None, "Jan", "Mar", "12", "7"))
        return year, month, draw.choice((None, 3, 28)) if month else None

    def person(name: str, *, valid: bool = True) -> str:
        last, initials, fore = draw.choice(NAMES)
        return tag(
            name,
            tag("LastName", escape(last))
            + (tag("ForeName", fore) if fore else "")
            + (tag("Initials", initials) if initials else "")
            + perhaps(lambda: tag("Suffix", "Jr"), 0.15)
            + many(2, lambda: tag("AffiliationInfo", tag("Affiliation", draw.choice(PLACES)))),
            **({"ValidYN": "Y"} if valid else {"ValidYN": "N"}),
        )

    def heading() -> str:
        below = draw.sample(UNDER, draw.choice((0, 0, 1, 2)))
        return tag(
            "MeshHeading",
            tag("DescriptorName", draw.choice(HEADINGS), MajorTopicYN=draw.choice("YNNN"))
            + "".join(
                tag("QualifierName", escape(u), MajorTopicYN=draw.choice("YNN")) for u in below
            ),
        )

    def abstract() -> str:
        if draw.random() < 0.5:
            return tag("Abstract", tag("AbstractText", some(3, 25)))
        return tag(
            "Abstract",
            tag("AbstractText", some(3, 9), Label="METHODS")
            + tag("AbstractText", some(2, 9), Label="RESULTS"),
        )

    def issued() -> str:
        if draw.random() < 0.25:
            return tag("MedlineDate", draw.choice(FREE_DATES))
        if draw.random() < 0.2:
            season = draw.choice(("Spring", "Fall-Winter", "Winter"))
            return tag("Year", str(draw.choice((1979, 2020)))) + tag("Season", season)
        return parts(day(exact=False))

    medline, full, issn = draw.choice(JOURNALS)
    title = some(1, 9)
    if draw.random() < 0.2:
        title = title.replace("co2", "CO<sub>2</sub>") + "<i>in</i> vivo."
    chemicals = draw.sample(SUBSTANCES, draw.choice((0, 1, 2)))
    links = draw.sample(LINKS, draw.choice((0, 0, 1, 2)))
    grants = draw.sample(GRANTS, draw.choice((0, 0, 1)))
    citation = "".join(
        (
            tag("PMID", str(pmid), Version=str(version)),
            perhaps(lambda: tag("DateCompleted", parts(day()))),
            tag("DateRevised", parts(day())),
            tag(
                "Article",
                tag(
                    "Journal",
                    (tag("ISSN", issn, IssnType="Print") if issn else "")
                    + tag(
                        "JournalIssue",
                        perhaps(lambda: tag("Volume", draw.choice(("1", "12", "12A", "1 Suppl"))))
                        + perhaps(lambda: tag("Issue", draw.choice(("1", "2 Pt 1", "3"))))
                        + tag("PubDate", issued()),
                        CitedMedium="Print",
                    )
                    + tag("Title", full)
                    + tag("ISOAbbreviation", medline),
                )
                + tag("ArticleTitle", title)
                + perhaps(
                    lambda: tag(
                        "Pagination",
                        tag("MedlinePgn", draw.choice(("101-9", "e12", "S1-5, 7", "1", "iv-x"))),
                    )
                )
                + perhaps(
                    lambda: tag("ELocationID", f"10.1000/x.{pmid}", EIdType="doi", ValidYN="Y")
                )
                + perhaps(abstract, 0.7)
                + tag(
                    "AuthorList",
                    many(3, lambda: person("Author"))
                    + perhaps(lambda: person("Author", valid=False), 0.1)
                    + perhaps(
                        lambda: tag("Author", tag("CollectiveName", "Back Pain Study Group")), 0.2
                    ),
                )
                + tag("Language", draw.choice(("eng", "eng", "fre", "jpn")))
                + "".join(
                    tag(
                        "DataBankList",
                        tag(
                            "DataBank",
                            tag("DataBankName", bank)
                            + tag("AccessionNumberList", tag("AccessionNumber", number)),
                        ),
                    )
                    for bank, number in draw.sample(TRIALS, draw.choice((0, 0, 1)))
                )
                + tag(
                    "GrantList",
                    "".join(
                        tag(
                            "Grant",
                            (tag("GrantID", i) if i else "")
                            + (tag("Acronym", a) if a else "")
                            + tag("Agency", agency)
                            + tag("Country", country),
                        )
                        for i, a, agency, country in grants
                    ),
                )
                + tag(
                    "PublicationTypeList",
                    "".join(
                        tag("PublicationType", escape(kind))
                        for kind in draw.sample(KINDS, draw.randint(1, 3))
                    ),
                )
                + perhaps(lambda: tag("VernacularTitle", some(1, 4)), 0.2)
                + perhaps(lambda: tag("ArticleDate", parts(day()), DateType="Electronic"), 0.4),
                PubModel=draw.choice(MODELS),
            ),
            tag(
                "MedlineJournalInfo",
                tag("Country", draw.choice(("England", "United States")))
                + tag("MedlineTA", medline)
                + tag("NlmUniqueID", draw.choice(("0000001", "2985121R")))
                + (tag("ISSNLinking", issn) if issn else ""),
            ),
            tag(
                "ChemicalList",
                "".join(
                    tag("Chemical", tag("RegistryNumber", number) + tag("NameOfSubstance", name))
                    for name, number in chemicals
                ),
            ),
            perhaps(
                lambda: tag(
                    "SupplMeshList", tag("SupplMeshName", "COVID-19 stress", Type="Disease")
                ),
                0.1,
            ),
            "".join(
                tag("CitationSubset", subset)
                for subset in draw.sample(("IM", "AIM", "K"), draw.choice((0, 1, 2)))
            ),
            tag(
                "CommentsCorrectionsList",
                "".join(
                    tag("CommentsCorrections", tag("RefSource", some(1, 3)), RefType=kind)
                    for kind in links
                ),
            ),
            tag("MeshHeadingList", many(4, heading)),
            perhaps(
                lambda: tag(
                    "PersonalNameSubjectList", person("PersonalNameSubject").replace(
                        ' ValidYN="Y"', ""
                    )
                ),
                0.1,
            ),
            perhaps(
                lambda: tag(
                    "OtherAbstract",
                    tag("AbstractText", some(2, 6)),
                    Type="Publisher",
                    Language=draw.choice(("eng", "fre")),
                ),
                0.2,
            ),
            tag(
                "KeywordList",
                many(3, lambda: tag("Keyword", some(1, 3), MajorTopicYN="N")),
                Owner="NOTNLM",
            ),
            perhaps(lambda: tag("CoiStatement", "None of the authors has back pain."), 0.2),
            tag("InvestigatorList", many(1, lambda: person("Investigator"))),
        )
    )  # fmt: skip
    ids = [("pubmed", str(pmid)), ("doi", f"10.1000/x.{pmid}")]
    ids += draw.choice(([], [("pmc", f"PMC{pmid % 7}")], [("mid", "NIHMS1")]))
    history = "".join(
        tag("PubMedPubDate", parts(day()), PubStatus=status)
        for status in ("pubmed", "medline", "entrez")
        if draw.random() < 0.9
    )
    return tag(
        "PubmedArticle",
        tag(
            "MedlineCitation",
            citation,
            Status=draw.choice(STATUSES),
            Owner=draw.choice(("NLM", "NASA")),
            IndexingMethod=draw.choice(("Automated", "Curated")),
        )
        + tag(
            "PubmedData",
            tag("History", history)
            + tag("PublicationStatus", draw.choice(("ppublish", "aheadofprint")))
            + tag("ArticleIdList", "".join(tag("ArticleId", v, IdType=k) for k, v in ids)),
        ),
    )


def articles(count: int, *, seed: int = 0) -> bytes:
    """A file of that many records."""
    made = (article(FIRST_PMID + i, seed=seed) for i in range(count))
    return f"<PubmedArticleSet>{''.join(made)}</PubmedArticleSet>".encode()


# ---------------------------------------- queries about them


class Asking:
    """Random queries in words that the records may have; the same for the same seed.

    Parameters
    ----------
    words, phrases : sequence of str
        Running text to draw from; phrases are runs of words as a record writes them.
    """

    def __init__(
        self, seed: int, words: Sequence[str] = WORDS, phrases: Sequence[str] = ()
    ) -> None:
        self.draw = random.Random(seed)
        self.vocabulary = [w for w in words if not set(w) & set('()[]"&|*:/')]
        self.phrases = [p for p in phrases if not set(p) & set('()[]"&|*:/')]

    def query(self, depth: int = 3) -> str:
        """Terms joined by operators, in parentheses or not."""
        if depth == 0 or self.draw.random() < 0.3:
            return self.term()
        size = self.draw.randint(2, 3)
        parts = [self.query(depth - 1) if self.draw.random() < 0.5 else self.term()
                 for _ in range(size)]  # fmt: skip
        parts = [f"({p})" if self.draw.random() < 0.4 else p for p in parts]
        made = parts[0]
        for part in parts[1:]:
            operator = self.draw.choice(("AND", "AND", "OR", "OR", "NOT", "&", "|"))
            made += f" {operator} {part}"
        return made

    def term(self) -> str:
        kinds = (
            self.in_words, self.in_words, self.in_words, self.near, self.heading, self.author,
            self.date, self.date, self.value, self.number,
        )  # fmt: skip
        return self.draw.choice(kinds)()

    def some(self, low: int, high: int) -> str:
        if self.phrases and self.draw.random() < 0.7:
            words = self.draw.choice(self.phrases).split()
            size = min(len(words), self.draw.randint(low, high))
            begin = self.draw.randint(0, len(words) - size)
            return " ".join(words[begin : begin + size])
        return " ".join(
            self.draw.choice(self.vocabulary) for _ in range(self.draw.randint(low, high))
        )

    def in_words(self) -> str:
        tags = ("tiab", "tiab", "Title/Abstract", "ti", "Title", "tw", "Text Word", "ot", "tt")
        text = self.some(1, self.draw.choice((1, 1, 2, 3)))
        last = text.split()[-1]
        if self.draw.random() < 0.3 and last.isalnum() and len(last) >= 4:
            text = text[: -self.draw.randint(0, len(last) - 4) or None] + "*"
        text = self.draw.choice((text, text, text.upper()))
        if self.draw.random() < 0.5 or "and" in text.lower().split():
            text = f'"{text}"'  # else the word would be taken for an operator
        return f"{text}{self.draw.choice(('', ' '))}[{self.draw.choice(tags)}]"

    def near(self) -> str:
        text = self.some(2, 3)
        words = text.split()
        if self.draw.random() < 0.5:
            self.draw.shuffle(words)
        field, most = self.draw.choice(("tiab", "ti", "tiab")), self.draw.randint(0, 6)
        return f'"{" ".join(words)}"[{field}:~{most}]'

    def heading(self) -> str:
        name = self.draw.choice(HEADINGS)
        tag = self.draw.choice(("mh:noexp", "MeSH Terms:noexp", "majr:noexp", "mh:noexp"))
        chance = self.draw.random()
        if chance < 0.4:
            below = self.draw.choice((*UNDER[:4], "dt", "bl", "statistics and numerical data"))
            return f"{name}/{below}[{tag}]"
        if chance < 0.55 and "(" not in name:
            return f'"{name[:4]}*"[{tag.partition(":")[0]}]'
        if chance < 0.65:
            return f"{self.draw.choice((*UNDER[:4], 'ph'))}[sh:noexp]"
        return self.draw.choice((f'"{name}"[{tag}]', f"{name}[{tag}]"))

    def author(self) -> str:
        last, initials, fore = self.draw.choice(NAMES)
        tag = self.draw.choice(("au", "au", "Author", "1au", "lastau", "ir"))
        forms = [
            last,
            f"{last} {initials}".strip(),
            f"{last} {initials[:1]}".strip(),
            " ".join(f"{last} {initials} jr".split()),
            last[:4] + "*" if last[:4].isalpha() and len(last) > 4 else last,
        ]
        name = self.draw.choice(forms)
        if fore and self.draw.random() < 0.3:
            name, tag = self.draw.choice((f"{fore} {last}", f"{last} {fore}")), "fau"
        if self.draw.random() < 0.4 and not name.endswith("*"):
            name = f'"{name}"'
        return f"{name}[{tag}]"

    def date(self) -> str:
        tag = self.draw.choice(
            ("dp", "dp", "PDAT", "edat", "crdt", "mhda", "dcom", "lr", "epdat", "ppdat", "mdat")
        )

        def day() -> str:
            year = str(self.draw.choice((1979, 1980, 1998, 2019, 2020, 2021)))
            month, number = self.draw.randint(1, 12), self.draw.randint(1, 28)
            return self.draw.choice(
                (
                    year,
                    year,
                    f"{year}/{month:02}",
                    f"{year}/{month}",
                    f"{year}/{month:02}/{number:02}",
                )
            )

        low, high = sorted((day(), day()), key=lambda d: [int(p) for p in d.split("/")])
        match self.draw.randint(0, 4):
            case 0 | 1:
                return f"{low}[{tag}]"
            case 2:
                return f"{low}:{self.draw.choice((high, '3000', '3000/12/31'))}[{tag}]"
            case 3:
                return f"{low}[{tag}] : {high}[{tag}]"
            case _:
                return f'"{low}"[{tag}] : "{high}"[{tag}]'

    def value(self) -> str:
        medline, full, issn = self.draw.choice(JOURNALS)
        substance, number = self.draw.choice(SUBSTANCES)
        bank, trial = self.draw.choice(TRIALS)
        kind = self.draw.choice(KINDS)
        return self.draw.choice(
            (
                f"{kind}[pt:noexp]", f'"{kind}"[pt:noexp]', f'"{kind.split()[0][:5]}*"[pt]',
                "english[la]", "jpn[la]", "fre[la]", "french[Language]",
                f'"{medline}"[ta]', f'"{full}"[jour]', f"{issn or '0140-6736'}[ta]",
                "Front Pain (Lausanne)[jo]", "2985121R[jid]",
                "12[vi]", "1[ip]", "101[pg]", "e12[pg]", "12A[vi]", "1 Suppl[vi]", "S1[pg]",
                f"{substance}[nm]", f'"{substance[:5].strip()}*"[nm]', f"{number}[rn]",
                f'"{number}"[rn]',
                f"{trial}[si]", f"{bank}[si]", f'"{bank}/{trial}"[si]', "NCI[gr]", "CA101211[gr]",
                '"Wellcome Trust"[gr]', "bern[ad]", '"public health"[ad]', '"health school"[ad:~3]',
                "study group[cn]", '"back pain"[cois]', "England[pl]",
                "medline[sb]", "publisher[sb]", "inprocess[sb]", "pubmednotmedline[sb]", "all[sb]",
                '"pubmed pmc"[sb]', "hasabstract", "hasstructuredabstract", "haskeyword", "hascois",
                "hasdatabanklist", "hascommenton", "haserratumin", "hasretractionin", "hasupdateof",
                "hascorrectedrepublishedfrom", "indexingmethod_curated", "pubstatusaheadofprint",
                "ownernasa", "jsubsetaim", "jsubsetk", "hasnonenglishabstract", "PMC3",
            )
        )  # fmt: skip

    def number(self) -> str:
        first = FIRST_PMID + self.draw.randint(0, 60)
        return self.draw.choice(
            (
                f"{first}", f"{first} {first + 7}", f"{first}[pmid]", f"{first}:{first + 30}[uid]",
                f"10.1000/x.{first}[doi]", f'"10.1000/x.{first}"[lid]', f"10.1000/x.{first}[aid]",
            )
        )  # fmt: skip
