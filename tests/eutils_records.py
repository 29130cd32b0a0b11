"""Invented PubMed records in the real format."""

from __future__ import annotations

import datetime as dt
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from xml.sax.saxutils import escape, quoteattr

FIRST_PMID = 90_000_001  # above every PMID that exists
_INTERVENTIONS = (
    ("high-intensity interval training", "High-Intensity Interval Training"),
    ("sprint interval exercise", "Exercise"),
    ("aerobic exercise", "Exercise"),
    ("a lactate infusion", "Lactic Acid"),
    ("repetitive transcranial magnetic stimulation", "Transcranial Magnetic Stimulation"),
    ("a walking programme", "Walking"),
)
_OUTCOMES = (
    ("serum brain-derived neurotrophic factor (BDNF)", "Brain-Derived Neurotrophic Factor"),
    ("plasma BDNF", "Brain-Derived Neurotrophic Factor"),
    ("hippocampal volume", "Hippocampus"),
    ("dorsolateral prefrontal cortex (DLPFC) thickness", "Dorsolateral Prefrontal Cortex"),
    ("blood lactate", "Lactic Acid"),
    ("working memory", "Memory, Short-Term"),
)
_PEOPLE = ("older adults", "young men", "healthy women", "patients with depression", "rats")
_FAMILIES = ("Testa", "Probst", "Esempio", "Muster", "Fictor", "Inventi", "Placebsky", "Dummer")


@dataclass
class Article:
    """An invented record; ``xml`` renders it as EFetch does. Texts may hold inline markup.

    To change a text that searches look at, put a changed copy (``dataclasses.replace``) into the
    server's records.
    """

    pmid: str
    title: str = "An invented title."
    abstract: str | Sequence[tuple[str, str]] = "An invented abstract."
    authors: Sequence[str] = ("Testa A", "Probst BC")
    year: int = 2021
    medline_date: str | None = None
    journal: str = "Journal of Invented Results"
    doi: str | None = None
    pmcid: str | None = None
    mesh: Sequence[str] = ()  # "Exercise/*physiology"
    kinds: Sequence[str] = ("Journal Article",)
    keywords: Sequence[str] = ()
    language: str = "eng"
    revised: dt.date = dt.date(2021, 6, 1)
    retracted_in: str | None = None  # PMID of the retraction notice
    notices: Sequence[tuple[str, str, str]] = ()  # RefType, RefSource, PMID
    references: Sequence[str] = ()  # DOIs of works that it cites
    book: bool = False
    version: int = 1

    @property
    def all_kinds(self) -> list[str]:
        return [*self.kinds, *(["Retracted Publication"] if self.retracted_in else [])]

    @property
    def sections(self) -> list[tuple[str, str]]:
        return [("", self.abstract)] if isinstance(self.abstract, str) else list(self.abstract)

    @property
    def headings(self) -> set[str]:
        return {heading.split("/")[0].lstrip("*").lower() for heading in self.mesh}

    @cached_property
    def title_words(self) -> str:
        return _words(self.title)

    @cached_property
    def words(self) -> str:
        return _words(" ".join([self.title, *(t for _, t in self.sections), *self.keywords]))

    def xml(self) -> str:
        return self._book_xml() if self.book else self._article_xml()

    def _article_xml(self) -> str:
        notices = list(self.notices)
        if self.retracted_in:
            notices.append(("RetractionIn", f"{self.journal}. 2024;9(9):99", self.retracted_in))
        date = f"<Year>{self.year}</Year>"
        if self.medline_date:
            date = f"<MedlineDate>{self.medline_date}</MedlineDate>"
        ids = [("pubmed", self.pmid), ("doi", self.doi), ("pmc", self.pmcid)]
        return "".join(
            (
                '<PubmedArticle><MedlineCitation Status="MEDLINE" Owner="NLM">',
                f'<PMID Version="{self.version}">{self.pmid}</PMID>',
                f"<DateRevised>{_date(self.revised)}</DateRevised>",
                '<Article PubModel="Print"><Journal><ISSN IssnType="Print">0000-0000</ISSN>',
                f'<JournalIssue CitedMedium="Print"><PubDate>{date}</PubDate></JournalIssue>',
                f"<Title>{escape(self.journal)}</Title></Journal>",
                f"<ArticleTitle>{self.title}</ArticleTitle>",
                self._abstract_xml(),
                self._authors_xml(),
                f"<Language>{self.language}</Language><PublicationTypeList>",
                *(
                    f'<PublicationType UI="D0">{escape(k)}</PublicationType>'
                    for k in self.all_kinds
                ),
                "</PublicationTypeList></Article>",
                "<MedlineJournalInfo><MedlineTA>J Invent</MedlineTA></MedlineJournalInfo>",
                _wrapped("CommentsCorrectionsList", (_notice(*notice) for notice in notices)),
                _wrapped("MeshHeadingList", (_heading(heading) for heading in self.mesh)),
                _wrapped(
                    "KeywordList",
                    (f'<Keyword MajorTopicYN="N">{escape(k)}</Keyword>' for k in self.keywords),
                ),
                "</MedlineCitation><PubmedData><ArticleIdList>",
                *(
                    f'<ArticleId IdType="{kind}">{escape(text)}</ArticleId>'
                    for kind, text in ids
                    if text
                ),
                "</ArticleIdList>",
                _wrapped(
                    "ReferenceList",
                    (
                        f"<Reference><Citation>Cited.</Citation><ArticleIdList><ArticleId "
                        f'IdType="doi">{escape(doi)}</ArticleId></ArticleIdList></Reference>'
                        for doi in self.references
                    ),
                ),
                "</PubmedData></PubmedArticle>",
            )
        )

    def _book_xml(self) -> str:
        return "".join(
            (
                f'<PubmedBookArticle><BookDocument><PMID Version="1">{self.pmid}</PMID>',
                '<ArticleIdList><ArticleId IdType="bookaccession">NBK0</ArticleId></ArticleIdList>',
                "<Book><Publisher><PublisherName>Invented Press</PublisherName></Publisher>",
                f'<BookTitle book="b">{escape(self.journal)}</BookTitle>',
                f"<PubDate><Year>{self.year}</Year></PubDate></Book>",
                f"<ArticleTitle>{self.title}</ArticleTitle><Language>{self.language}</Language>",
                self._authors_xml(),
                *(
                    f'<PublicationType UI="D0">{escape(k)}</PublicationType>'
                    for k in self.all_kinds
                ),
                self._abstract_xml(),
                f"<DateRevised>{_date(self.revised)}</DateRevised></BookDocument>",
                f'<PubmedBookData><ArticleIdList><ArticleId IdType="pubmed">{self.pmid}'
                "</ArticleId></ArticleIdList></PubmedBookData></PubmedBookArticle>",
            )
        )

    def _abstract_xml(self) -> str:
        return _wrapped(
            "Abstract",
            (
                f"<AbstractText{label and f' Label={quoteattr(label)}'}>{text}</AbstractText>"
                for label, text in self.sections
                if text
            ),
        )

    def _authors_xml(self) -> str:
        authors = []
        for name in self.authors:
            family, _, initials = name.rpartition(" ")
            if family and initials.isupper() and len(initials) <= 3:
                authors.append(
                    f'<Author ValidYN="Y"><LastName>{escape(family)}</LastName>'
                    f"<Initials>{escape(initials)}</Initials></Author>"
                )
            else:
                authors.append(
                    f'<Author ValidYN="Y"><CollectiveName>{escape(name)}</CollectiveName></Author>'
                )
        return _wrapped("AuthorList", authors)


def invent(count: int, *, seed: int = 1, first_pmid: int = FIRST_PMID) -> list[Article]:
    """``count`` invented records about the subjects of the claims, the same for the same seed.

    Among the first ten are one with a structured abstract, one with inline markup, one by a
    group, one book chapter, one without abstract and one that was retracted.
    """
    rng = random.Random(seed)
    articles = []
    for index in range(count):
        pmid = str(first_pmid + 7 * index)
        intervention, heading = rng.choice(_INTERVENTIONS)
        outcome, outcome_heading = rng.choice(_OUTCOMES)
        people = rng.choice(_PEOPLE)
        n = rng.randrange(12, 90)
        verb = rng.choice(("raised", "did not change", "lowered"))
        species = "Animals" if people == "rats" else "Humans"
        article = Article(
            pmid,
            title=f"Effect of {intervention} on {outcome} in {people}: study {index + 1}.",
            abstract=f"We assigned {n} {people} to {intervention} or rest. After "
            f"{n % 12 + 1} weeks it {verb} {outcome}. These people do not exist.",
            authors=tuple(
                f"{family} {rng.choice('ABCDEFGH')}" for family in rng.sample(_FAMILIES, 3)
            ),
            year=rng.randrange(2005, 2025),
            doi=f"10.0000/invented.{pmid}",
            mesh=(f"*{heading}", f"{outcome_heading}/metabolism", species),
            keywords=(intervention, outcome),
            revised=dt.date(2025, 1 + index % 9, 1 + index % 28),
        )
        _mark_special(article, index)
        articles.append(article)
    return articles


def _mark_special(article: Article, index: int) -> None:
    text = article.sections[0][1]
    match index:
        case 1:
            article.abstract = (("METHODS", text), ("RESULTS", "P &lt; 0.05, all invented."))
        case 2:
            article.abstract = f"{text} It used 10<sup>3</sup> <i>invented</i> units."
        case 3:
            article.authors = ("The Invented Trial Group",)
        case 4:
            article.book, article.doi, article.mesh = True, None, ()
        case 5:
            article.abstract = ""
        case 6:
            article.retracted_in = str(int(article.pmid) + 1)
        case 7:
            article.references = ("10.0000/cited.1", "10.0000/cited.2")
        case 8:
            article.medline_date = f"{article.year} Dec-{article.year + 1} Jan"


def _words(text: str) -> str:
    """Lower-case words between single spaces, without markup."""
    words = re.findall(r"[^\W_]+", re.sub("<[^>]*>", "", text).lower())
    return f" {' '.join(words)} "


def _wrapped(tag: str, inside: Iterable[str]) -> str:
    text = "".join(inside)
    return f"<{tag}>{text}</{tag}>" if text else ""


def _date(day: dt.date) -> str:
    return f"<Year>{day.year}</Year><Month>{day.month:02d}</Month><Day>{day.day:02d}</Day>"


def _notice(kind: str, where: str, pmid: str) -> str:
    return (
        f'<CommentsCorrections RefType="{kind}"><RefSource>{escape(where)}</RefSource>'
        f'<PMID Version="1">{pmid}</PMID></CommentsCorrections>'
    )


def _heading(text: str) -> str:
    def part(tag: str, words: str) -> str:
        major = "Y" if words.startswith("*") else "N"
        return f'<{tag} UI="D0" MajorTopicYN="{major}">{escape(words.lstrip("*"))}</{tag}>'

    descriptor, *qualifiers = text.split("/")
    inner = part("DescriptorName", descriptor)
    inner += "".join(part("QualifierName", q) for q in qualifiers)
    return f"<MeshHeading>{inner}</MeshHeading>"
