"""How NLM writes a record: one pattern for each part, without a gap from one to the next.

Each element is matched as a whole. What a text or an attribute may hold is not looked at here, but
where it is read (`regular_text`): all but one character are matched many times as fast as all but
two.
"""

from __future__ import annotations

import re

S = "\n?+ *+"  # between elements
A = "([^>]*+)"  # attributes; `regular_text.ATTRIBUTES` looks at what they are
YMD = f"<Year>([0-9]{{4}})</Year>{S}<Month>([0-9A-Za-z]+)</Month>{S}<Day>([0-9]{{1,2}})</Day>{S}"


def compiled(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts), re.ASCII)


def member(*parts: str) -> re.Pattern[str]:
    """A member of a list, for `findall`. Its last group is what follows and is no member: as long
    as it is empty, none was left out and nothing stands between them."""
    return compiled("(?:", *parts, ")|((?s:.+))")


def element(name: str, *inner: str, attributes: str = "") -> str:
    return f"<{name}{attributes}>{S}{''.join(inner)}</{name}>{S}"


def text(name: str, attributes: str = "") -> str:
    return f"<{name}{attributes}>([^<]*+)</{name}>{S}"


def marked(name: str, attributes: str = "") -> str:
    """An element whose text may hold markup: up to the first end tag of its name."""
    return f"<{name}{attributes}>([^<]*+(?:<(?!/{name}>)[^<]*+)*+)</{name}>{S}"


def marked_or_empty(name: str) -> str:
    """The same, with attributes; a short form of an element without text is one too."""
    text = f">([^<]*+(?:<(?!/{name}>)[^<]*+)*+)</{name}>{S}"
    return f"<{name}([^/>]*+(?:/(?!>)[^/>]*+)*+)(?:{text}|/>{S})"


def maybe(*parts: str) -> str:
    return f"(?:{''.join(parts)})?+"


def maybe_texts(*names: str) -> str:
    """Elements in this order, each with text, empty, or not there."""
    return "".join(f"(?:{text(name)}|<{name} ?/>{S})?+" for name in names)


def whole(*parts: str) -> str:
    """As one group; what is in it is matched again by itself, once for each way to write it."""
    return f"({re.sub('[(](?![?])', '(?:', ''.join(parts))})"


def every(*parts: str) -> str:
    """Any number of an element, as one group."""
    return whole(f"(?:{''.join(parts)})*+")


IDENTIFIER = text("Identifier", A)
PLACE = element("AffiliationInfo", marked("Affiliation"), every(IDENTIFIER))
ARTICLE_ID = text("ArticleId", A)
ISSN = text("ISSN", A)
JOURNAL = maybe_texts("Title", "ISOAbbreviation")
CATALOGUE = maybe_texts("Country") + text("MedlineTA") + maybe_texts("NlmUniqueID", "ISSNLinking")
PUB_DATE = "".join(
    (
        f"(?:<Year>([0-9]{{4}})</Year>{S}",
        f"(?:<Month>([0-9A-Za-z]+)</Month>{S}(?:<Day>([0-9]{{1,2}})</Day>{S})?",
        f"|<Season>([A-Za-z]+)</Season>{S})?|",
        text("MedlineDate"),
        ")",
    )
)

# --- what comes one after the other ----------------------------------------------------------

HEAD = compiled(
    f"{S}<PubmedArticle>{S}<MedlineCitation{A}>{S}<PMID{A}>([0-9]{{1,9}})</PMID>{S}",
    maybe(element("DateCreated", whole(YMD))),
    maybe(element("DateCompleted", whole(YMD))),
    maybe(element("DateRevised", whole(YMD))),
    f"<Article{A}>{S}<Journal>{S}",
    whole(maybe(ISSN)),
    f"<JournalIssue{A}>{S}",
    maybe_texts("Volume", "Issue"),
    element("PubDate", whole(PUB_DATE)),
    f"</JournalIssue>{S}",
    whole(JOURNAL),
    f"</Journal>{S}(?:<ArticleTitle ?/>{S}|",
    marked("ArticleTitle"),
    ")",
    maybe(element("Pagination", maybe_texts("StartPage", "EndPage", "MedlinePgn"))),
    maybe(text("ELocationID", A)),
    maybe(text("ELocationID", A)),
)
ABSTRACT = compiled(f"<Abstract>{S}")
AUTHORS = compiled(f"<AuthorList{A}>{S}")
TAIL = compiled(  # of the article
    every(text("Language")),
    maybe(f"(<DataBankList[^<]*+(?:<(?!/DataBankList>)[^<]*+)*+</DataBankList>){S}"),
    maybe(f"<GrantList{A}>{S}([^<]*+(?:<(?!/GrantList>)[^<]*+)*+)</GrantList>{S}"),
    element("PublicationTypeList", every(text("PublicationType", A))),
    maybe(marked("VernacularTitle")),
    maybe(element("ArticleDate", whole(YMD), attributes=A)),
    f"</Article>{S}",
    element("MedlineJournalInfo", whole(CATALOGUE)),
    maybe(f"<ChemicalList>{S}([^<]*+(?:<(?!/ChemicalList>)[^<]*+)*+)</ChemicalList>{S}"),
    every(text("CitationSubset")),
)
NEXT = compiled(f"{S}<(/?[A-Za-z]+){A}>{S}")
COUNT = compiled(text("NumberOfReferences"))
CONFLICT = compiled(marked("CoiStatement"))
SUBSETS = compiled(every(text("CitationSubset")))
HISTORY = compiled(f"</MedlineCitation>{S}<PubmedData>{S}<History>{S}")
IDS = compiled(f"</History>{S}", text("PublicationStatus"), f"<ArticleIdList>{S}")
# An instruction, such as "<?pmcsd ?>", says nothing about the article.
AFTER_IDS = compiled(
    f"</ArticleIdList>{S}(?:<[?](?!xml)[a-z]+(?: [^?<>]*)?[?]>{S})*",
    f"(</PubmedData>{S}</PubmedArticle>{S}$)?",
)
REFERENCES = compiled(f"<ReferenceList>{S}", maybe_texts("Title"))
END = compiled(f"</PubmedData>{S}</PubmedArticle>{S}$")

# --- parts that come again and again ---------------------------------------------------------

DAY = compiled(YMD)
PUBLISHED = compiled(PUB_DATE)
PERIODICAL = compiled(maybe(ISSN), JOURNAL, CATALOGUE)
LANGUAGE = member(text("Language"))
SUBSET = member(text("CitationSubset"))
KIND = member(text("PublicationType", A))
CHEMICAL = compiled(f"{S}<Chemical>{S}", text("RegistryNumber"), text("NameOfSubstance", A), "$")
DESCRIPTOR = compiled(f"{S}<MeshHeading>{S}<DescriptorName{A}>([^<]*+)")
USUAL_DESCRIPTOR = compiled(
    f'{S}<MeshHeading>{S}<DescriptorName UI="([0-9A-Z]*+)" MajorTopicYN="([YN])">([^<]*+)'
)
QUALIFIER = compiled(f"{S}<QualifierName{A}>([^<]*+)")
STEP = compiled(
    f"{S}<PubMedPubDate{A}>{S}{YMD}",
    maybe(f"<Hour>([0-9]{{1,2}})</Hour>{S}", maybe(f"<Minute>([0-9]{{1,2}})</Minute>{S}")),
    "$",
)

# --- lists -----------------------------------------------------------------------------------

SECTION = member(marked_or_empty("AbstractText"), "|", text("CopyrightInformation"))
PLAIN_AUTHOR = member(
    element(
        "Author",
        text("LastName"),
        text("ForeName"),
        text("Initials"),
        attributes=' ValidYN="Y"',
    )
)
AUTHOR = member(
    element(
        "Author",
        "(?:",
        text("LastName"),
        maybe_texts("ForeName", "Initials", "Suffix"),
        "|",
        text("CollectiveName"),
        ")",
        every(IDENTIFIER),
        maybe(element("AffiliationInfo", text("Affiliation"))),
        every(PLACE),
        attributes=A,
    )
)
ORCID = compiled(
    '<Identifier Source="ORCID">((?:https?://orcid[.]org/)?',
    f"([0-9]{{4}}-[0-9]{{4}}-[0-9]{{4}}-[0-9]{{3}}[0-9X]))</Identifier>{S}",
)
KNOWN_AS = member(IDENTIFIER)
PLACED = member(PLACE)
GRANT = member(element("Grant", maybe_texts("GrantID", "Acronym", "Agency", "Country")))
KEYWORD = member(marked_or_empty("Keyword"))
ID = member(ARTICLE_ID)
REFERENCE = member(
    f"<Reference>{S}",
    marked("Citation"),
    f"(?:<ArticleIdList>{S}(?:",
    f'(?:<ArticleId IdType="doi">([^<]*+)</ArticleId>{S})?+',
    f'(?:<ArticleId IdType="pubmed">([0-9]+)</ArticleId>{S})?+',
    f'(?:<ArticleId IdType="pmc(?:id)?">([^<]*+)</ArticleId>{S})?</ArticleIdList>{S}|',
    every(ARTICLE_ID),
    f"</ArticleIdList>{S}))?</Reference>{S}",
)
