"""PubMed's query language once more, in another way: text by text, record by record, no index.

It shares nothing with the package but the files. Queries are read by one regular expression and
joined strictly from left to right; records are read with the standard library's ElementTree; a
word search is a search in one long text. What is said of fields is said in the PubMed User Guide
(16 April 2024); where the guide is silent the choice stands beside it.
"""

from __future__ import annotations

import calendar
import gzip
import re
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

# ---------------------------------------- texts


@cache
def _letter(char: str) -> str:
    """What is left of a character: letters and digits without accents and case, else a space."""
    if char == "_":
        return " "
    parts = [c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c)]
    return "".join(c.casefold() if c.isalnum() else " " for c in parts)


def flat(text: str) -> str:
    """The words of a text with one space around each."""
    words = "".join(map(_letter, text)).split()
    return f" {' '.join(words)} " if words else ""


def text_of(element: ET.Element | None) -> str:
    return "" if element is None else "".join(element.itertext())


# ---------------------------------------- records

MONTHS = {name.lower(): i for i, name in enumerate(calendar.month_abbr) if name}
SEASONS = {"winter": 1, "spring": 4, "summer": 7, "fall": 10, "autumn": 10}
Day = tuple[int, int, int]


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isdigit() else None


def _day(element: ET.Element | None) -> list[Day]:
    """A date of three elements; a missing month is January, a missing day the first."""
    if element is None:
        return []
    year = _number(element.findtext("Year"))
    if year is None:
        return []
    month = element.findtext("Month") or ""
    number = _number(month) or MONTHS.get(month.strip().lower()[:3]) or 1
    return [(year, number, _number(element.findtext("Day")) or 1)]


def _issue_day(element: ET.Element | None) -> list[Day]:
    """PubDate: also a season, or free text; of several months the first."""
    if element is None:
        return []
    free = element.findtext("MedlineDate")
    if free is None:
        found = _day(element)
        season = (element.findtext("Season") or "").strip().lower()
        for name, month in SEASONS.items():
            if found and element.find("Month") is None and season.startswith(name):
                found = [(found[0][0], month, 1)]
        return found
    year = re.search(r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)", free)
    if year is None:
        return []
    # "1998 Dec-1999 Jan", "2020 Jan 5-12", "1979-1980 Fall", "1979 Winter", "Fall 2019"
    later = re.match(r"(?:-\d{4})?\s+([A-Za-z]+)(?:\s+(\d{1,2})\b)?", free[year.end() :])
    before = re.search(r"([A-Za-z]+)\s*$", free[: year.start()])
    name = (later or before).group(1).lower() if later or before else ""
    month = MONTHS.get(name[:3]) or next((m for s, m in SEASONS.items() if name.startswith(s)), 1)
    day = later.group(2) if later and later.group(2) and name[:3] in MONTHS else 1
    return [(int(year.group()), month, int(day))]


class Brute:
    """One PubmedArticle, every searched part read out of it once."""

    def __init__(self, record: ET.Element) -> None:
        citation = record.find("MedlineCitation")
        data = record.find("PubmedData")
        article = citation.find("Article")
        if data is None:
            data = ET.Element("PubmedData")

        def texts(path: str) -> list[str]:
            return [text_of(e) for e in citation.findall(path)]

        def people(path: str) -> list[tuple[str, str, str, str]]:
            """Last name, initials, suffix, forename; corrected spellings do not count."""
            return [
                (
                    flat(e.findtext("LastName")).strip(),
                    flat(e.findtext("Initials") or "").replace(" ", ""),
                    flat(e.findtext("Suffix") or "").strip(),
                    flat(e.findtext("ForeName") or "").strip(),
                )
                for e in citation.findall(path)
                if e.findtext("LastName") and e.get("ValidYN") != "N"
            ]

        def history(status: str) -> list[Day]:
            found = data.findall("History/PubMedPubDate")
            return [day for e in found if e.get("PubStatus") == status for day in _day(e)]

        self.pmid = int(citation.findtext("PMID"))
        self.version = int(citation.find("PMID").get("Version", "1"))
        self.status = citation.get("Status")
        self.owner = citation.get("Owner", "NLM").lower()
        self.indexing = citation.get("IndexingMethod", "").lower()
        self.publication_status = data.findtext("PublicationStatus") or ""
        self.subsets = [t.lower() for t in texts("CitationSubset")]
        found = citation.findall("CommentsCorrectionsList/CommentsCorrections")
        self.links = {e.get("RefType", "").lower() for e in found}
        # A label without text makes no section, in the abstract and here.
        self.is_structured = any(
            e.get("Label") and text_of(e).strip()
            for e in citation.findall("Article/Abstract/AbstractText")
        )
        self.has_foreign = any(
            e.get("Language", "eng") != "eng" for e in citation.findall("OtherAbstract")
        )
        # Words: each text apart, so that no phrase spans two.
        self.title = _flats(texts("Article/ArticleTitle"))
        self.abstract = _flats(_abstracts(citation.findall("Article/Abstract")))
        self.keywords = _flats(texts("KeywordList/Keyword"))
        self.has_keyword = any(t.strip() for t in texts("KeywordList/Keyword"))
        self.tiab = [
            *self.title,
            *self.abstract,
            *_flats(_abstracts(citation.findall("OtherAbstract"))),
            *self.keywords,
        ]
        self.vernacular = _flats(texts("Article/VernacularTitle"))
        self.affiliations = _flats(
            text_of(t)
            for path in ("Article/AuthorList/Author", "InvestigatorList/Investigator")
            for e in citation.findall(path)
            if e.get("ValidYN") != "N"
            for t in e.findall(".//Affiliation")
        )
        self.groups = _flats(texts("Article/AuthorList/Author/CollectiveName"))
        self.conflicts = _flats(texts("CoiStatement"))
        self.subjects = _flats(
            form
            for last, initials, suffix, fore in people(
                "PersonalNameSubjectList/PersonalNameSubject"
            )
            for form in (f"{last} {initials} {suffix}", f"{fore} {last}" if fore else "")
        )
        self.headings = [
            (
                flat(text_of(e.find("DescriptorName"))),
                e.find("DescriptorName").get("MajorTopicYN") == "Y",
                [
                    (flat(text_of(q)), q.get("MajorTopicYN") == "Y")
                    for q in e.findall("QualifierName")
                ],
            )
            for e in citation.findall("MeshHeadingList/MeshHeading")
        ]
        self.supplementary = _flats(texts("SupplMeshList/SupplMeshName"))
        self.substances = _flats(texts("ChemicalList/Chemical/NameOfSubstance"))
        self.numbers = _flats(texts("ChemicalList/Chemical/RegistryNumber"))
        self.kinds = _flats(texts("Article/PublicationTypeList/PublicationType"))
        self.databanks = _flats(
            f"{bank.findtext('DataBankName')}/{text_of(number)}"
            for bank in citation.findall("Article/DataBankList/DataBank")
            for number in bank.findall("AccessionNumberList/AccessionNumber")
        )
        self.notes = _flats(text_of(e.find("RefSource")) for e in found)
        self.grants = _flats(
            text_of(e.find(part))
            for e in citation.findall("Article/GrantList/Grant")
            for part in ("GrantID", "Acronym", "Agency", "Country")
        )
        self.text_words = [
            *self.tiab,
            *(name for name, _, _ in self.headings),
            *(q for _, _, qualifiers in self.headings for q, _ in qualifiers),
            *self.kinds,
            *self.substances,
            *self.supplementary,
            *self.subjects,
            *self.groups,
            *self.databanks,
            *self.notes,
        ]
        # A line for each text: a search for words is a search in one string.
        self.words = {
            "tiab": "\n".join(self.tiab),
            "ti": "\n".join(self.title),
            "tw": "\n".join(self.text_words),
            "ot": "\n".join(self.keywords),
            "tt": "\n".join(self.vernacular),
            "ad": "\n".join(self.affiliations),
            "cn": "\n".join(self.groups),
            "cois": "\n".join(self.conflicts),
            "gr": "\n".join(self.grants),
            "si": "\n".join(self.databanks),
        }
        # People and values.
        self.authors = people("Article/AuthorList/Author")
        self.investigators = people("InvestigatorList/Investigator")
        paths = (
            "MedlineJournalInfo/MedlineTA",
            "Article/Journal/Title",
            "Article/Journal/ISOAbbreviation",
            "Article/Journal/ISSN",
            "MedlineJournalInfo/ISSNLinking",
        )
        self.journals = _flats(t for path in paths for t in texts(path))
        self.journal_id = _flats(texts("MedlineJournalInfo/NlmUniqueID"))
        self.country = _flats(texts("MedlineJournalInfo/Country"))
        self.volume = _flats(texts("Article/Journal/JournalIssue/Volume"))
        self.issue = _flats(texts("Article/Journal/JournalIssue/Issue"))
        pages = citation.findtext("Article/Pagination/MedlinePgn")
        if pages is None:
            pages = citation.findtext("Article/Pagination/StartPage") or ""
        self.first_page = _flats([re.split("[-,;]", pages)[0]])
        self.languages = [t.strip().lower() for t in texts("Article/Language")]
        self.article_ids = [
            (e.get("IdType", ""), text_of(e)) for e in data.findall("ArticleIdList/ArticleId")
        ]
        self.ids = _flats(text for _, text in self.article_ids)
        self.locations = _flats(texts("Article/ELocationID"))
        # Days.
        model = article.get("PubModel", "Print")
        published = _issue_day(article.find("Journal/JournalIssue/PubDate"))
        electronic = _day(article.find("ArticleDate"))
        if not electronic and model == "Electronic":
            electronic = published
        self.published, self.electronic = published, electronic
        self.days = {
            "dp": [*published, *electronic],
            "epdat": electronic,
            "ppdat": published if "Print" in model else [],
            "edat": history("pubmed"),
            "crdt": history("entrez"),
            "mhda": history("medline"),
            "dcom": _day(citation.find("DateCompleted")),
            "lr": _day(citation.find("DateRevised")),
        }


def _abstracts(elements: Iterable[ET.Element]) -> Iterator[str]:
    """Each abstract as one text, the labels of its sections in it."""
    for element in elements:
        parts = []
        for section in element.findall("AbstractText"):
            label, text = section.get("Label", ""), text_of(section)
            if text.strip():
                parts.append(f"{label}: {text}" if label else text)
        yield "\n".join(parts)


def _flats(texts: Iterable[str]) -> list[str]:
    return [f for t in texts if (f := flat(t))]


def read(*paths: Path) -> list[Brute]:
    """The records of NLM's files in their order: a later version replaces, a deletion deletes."""
    held: dict[int, Brute] = {}
    for path in paths:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            context = ET.iterparse(file, events=("start", "end"))
            _, root = next(context)
            for event, element in context:
                if event == "end" and element.tag == "PubmedArticle":
                    record = Brute(element)
                    before = held.get(record.pmid)
                    if before is None or before.version <= record.version:
                        held[record.pmid] = record
                    root.clear()
                elif event == "end" and element.tag == "DeleteCitation":
                    for pmid in element.findall("PMID"):
                        held.pop(int(pmid.text or 0), None)
    return list(held.values())


# ---------------------------------------- queries

Test = Callable[[Brute], bool]
_TOKEN = re.compile(
    r'\s*(?:("[^"]*")|(\[[^\]]*\])|([()&|])|(:)(?=\s)|((?:[^\s()\[\]"&|]+\([^\s()\[\]]*\))*[^\s()\[\]"&|]+))'
)
_SAME = {"&": "AND", "|": "OR"}
_TAGS = """
tiab: title/abstract | ti: title, titl | tw: text word, text words, word | mh: mesh, mesh terms
majr: mj, mesh major topic | sh: subheading, mesh subheading | nm: supplementary concept
nm: substance name | rn: ec/rn number | pt: publication type, ptyp | ot: other term | au: author
1au: author - first | lastau: author - last | fau: full author name, author - full
cn: corporate author | ir: investigator | ad: affiliation, affl | ta: jour, journal, jo
jid: nlm unique id | vi: volume, vol | ip: issue, iss | pg: pagination, page
la: language, lang | pl: place of publication | aid: doi, article identifier | lid: location id
pmid: uid | dp: pdat, date - publication | epdat: | ppdat: | edat: date - entry
crdt: date - create | mhda: date - mesh | dcom: date - completion | lr: mdat, date - modification
gr: grant number, grants and funding | si: secondary source id | ps: personal name as subject
cois: conflict of interest statements | tt: transliterated title | sb: filter, subset
"""
TAGS = {
    alias.strip(): name.strip()
    for line in _TAGS.strip().split("\n")
    for entry in line.split("|")
    for name, _, aliases in (entry.partition(":"),)
    for alias in (name, *filter(str.strip, aliases.split(",")))
}
_WORDS = frozenset(("tiab", "ti", "tw", "ot", "tt", "ad", "cn", "cois", "gr", "si"))
_VALUES: dict[str, Callable[[Brute], list[str]]] = {
    "pt": lambda r: r.kinds,
    "nm": lambda r: [*r.substances, *r.supplementary],
    "rn": lambda r: r.numbers,
    "ta": lambda r: r.journals,
    "jid": lambda r: r.journal_id,
    "pl": lambda r: r.country,
    "vi": lambda r: r.volume,
    "ip": lambda r: r.issue,
    "pg": lambda r: r.first_page,
    "aid": lambda r: r.ids,
    "lid": lambda r: r.locations,
}
_LANGUAGES = {
    "english": "eng", "french": "fre", "german": "ger", "japanese": "jpn", "russian": "rus",
    "spanish": "spa", "italian": "ita", "chinese": "chi", "polish": "pol", "portuguese": "por",
    "dutch": "dut", "danish": "dan", "swedish": "swe", "norwegian": "nor", "czech": "cze",
    "hungarian": "hun", "korean": "kor", "turkish": "tur", "hebrew": "heb", "finnish": "fin",
}  # fmt: skip
_CODES = {
    "dt": "drug therapy",
    "th": "therapy",
    "dh": "diet therapy",
    "me": "metabolism",
    "pd": "pharmacology",
    "su": "surgery",
    "di": "diagnosis",
    "bl": "blood",
    "ph": "physiology",
    "statistics and numerical data": "statistics & numerical data",
}
_STATUS = {
    "medline": "MEDLINE",
    "publisher": "Publisher",
    "pubmednotmedline": "PubMed-not-MEDLINE",
    "inprocess": "In-Process",
    "in process": "In-Process",
}
DATES = frozenset(("dp", "epdat", "ppdat", "edat", "crdt", "mhda", "dcom", "lr"))


def search(records: Iterable[Brute], query: str) -> set[int]:
    """The PMIDs that a query finds."""
    test = compiled(query)
    return {record.pmid for record in records if test(record)}


def compiled(query: str) -> Test:
    """A query as a question to one record; strictly from left to right."""
    tokens = [next(filter(None, match.groups())) for match in _TOKEN.finditer(query)]
    test, rest = _expression(tokens)
    if rest:
        raise ValueError(f"cannot read {rest[:5]} in {query!r}")
    return test


def _expression(tokens: list[str]) -> tuple[Test, list[str]]:
    left, tokens = _operand(tokens)
    while tokens and tokens[0] != ")":
        operator = _SAME.get(tokens[0], tokens[0])
        if operator in ("AND", "OR", "NOT"):
            tokens = tokens[1:]
        else:
            operator = "AND"  # side by side
        right, tokens = _operand(tokens)
        left = _join(left, operator, right)
    return left, tokens


def _join(a: Test, operator: str, b: Test) -> Test:
    if operator == "AND":
        return lambda r: a(r) and b(r)
    if operator == "OR":
        return lambda r: a(r) or b(r)
    return lambda r: a(r) and not b(r)


def _operand(tokens: list[str]) -> tuple[Test, list[str]]:
    if tokens[0] == "(":
        inner = tokens[1 : tokens.index(")")] if ")" in tokens else []
        after = tokens[len(inner) + 2 :]
        plain = not {"(", "AND", "OR", "NOT"} & set(inner) and not any(t[0] == "[" for t in inner)
        if plain and after and after[0].startswith("["):  # parentheses around words
            return _tagged(" ".join(inner), after[0]), after[1:]
        test, rest = _expression(tokens[1:])
        return test, rest[1:]
    words: list[str] = []
    while tokens and tokens[0] not in ("(", ")", "AND", "OR", "NOT", "&", "|"):
        if tokens[0].startswith("["):
            tag, tokens = tokens[0], tokens[1:]
            if tokens and tokens[0] == ":":  # a range with its tag on both ends
                end = tokens[1].strip('"')
                return _tagged(f"{' '.join(words).strip(chr(34))}:{end}", tag), tokens[3:]
            return _tagged(" ".join(words), tag), tokens
        if tokens[0].startswith('"') and words:
            break
        words.append(tokens[0])
        tokens = tokens[1:]
        if words[-1].startswith('"') and (not tokens or tokens[0][0] not in "[:"):
            break
        # Within a name, as in Front Endocrinol (Lausanne)[ta].
        if tokens and tokens[0] == "(" and ")" in tokens:
            close = tokens.index(")")
            if tokens[close + 1 : close + 2] and tokens[close + 1].startswith("["):
                words += tokens[1:close]
                tokens = tokens[close + 1 :]
    return _untagged(words), tokens


def _untagged(words: list[str]) -> Test:
    if all(re.fullmatch(r"\d+", w) for w in words):
        wanted = {int(w) for w in words}
        return lambda r: r.pmid in wanted
    assert len(words) == 1, words
    name = words[0].lower()
    if name.startswith("pmc"):
        return lambda r: any(kind == "pmc" and text.lower() == name for kind, text in r.article_ids)
    return _flag(name)


def _flag(name: str) -> Test:
    if name == "hasabstract":
        return lambda r: bool(r.abstract)
    if name == "hasstructuredabstract":
        return lambda r: r.is_structured
    if name == "haskeyword":
        return lambda r: r.has_keyword
    if name == "hasnihmsid":
        return lambda r: any(kind == "mid" for kind, _ in r.article_ids)
    if name == "hascois":
        return lambda r: bool(r.conflicts)
    if name == "hasdatabanklist":
        return lambda r: bool(r.databanks)
    if name == "hasnonenglishabstract":
        return lambda r: r.has_foreign
    if name == "pubstatusaheadofprint":
        return lambda r: r.publication_status == "aheadofprint"
    if name.startswith("indexingmethod_"):
        return lambda r: r.indexing == name.partition("_")[2]
    if name.startswith("jsubset"):
        return lambda r: name[7:] in r.subsets
    if name.startswith("owner"):
        return lambda r: r.owner == name[5:]
    kind = name.removeprefix("has").replace("correctedrepublished", "correctedandrepublished")
    return lambda r: kind in r.links


def _tagged(words: str, tag: str) -> Test:
    name, _, suffix = tag[1:-1].lower().partition(":")
    field = TAGS[" ".join(name.split())]
    suffix = suffix.strip()
    quoted = words.startswith('"')
    words = words.strip('"').strip()
    if field in DATES:
        return _dates(words, field)
    if field == "pmid":
        low, _, high = words.partition(":")
        if high:
            return lambda r: int(low) <= r.pmid <= int(high)
        wanted = {int(w) for w in words.replace(",", " ").split()}
        return lambda r: r.pmid in wanted
    if suffix.startswith("~"):
        return _near(flat(words).split(), int(suffix[1:]), field)
    if field in ("au", "1au", "lastau", "fau", "ir"):
        return _author(words, field, quoted)
    if field in ("mh", "majr"):
        return _heading(words, major=field == "majr")
    if field == "sh":
        return _subheading(words)
    if field == "la":
        code = _LANGUAGES.get(words.lower(), words.lower())
        return lambda r: code in r.languages
    if field == "sb":
        return _subset(words.lower())
    begins = words.endswith("*") and len(flat(words.split()[-1]).strip().split()[-1]) >= 4
    wanted = flat(words)
    if begins:
        wanted = wanted[:-1]
    if field in _WORDS:
        if all(word in STOPWORDS for word in wanted.split()) and not begins:
            return lambda r: False
        return lambda r: wanted in r.words[field]
    values = _VALUES[field]
    if begins:
        return lambda r: any(value.startswith(wanted) for value in values(r))
    return lambda r: wanted in values(r)


def _near(wanted: list[str], most: int, field: str) -> Test:
    """All words in any order with at most so many others between, over the whole stretch."""

    def test(record: Brute) -> bool:
        whole = record.words[field]
        if not all(f" {word} " in whole for word in wanted):
            return False
        for text in whole.split("\n"):
            if not all(f" {word} " in text for word in wanted):
                continue
            cut = text.split()
            size = len(wanted) + most
            for begin in range(len(cut)):
                window = cut[begin : begin + size]
                if all(window.count(w) >= wanted.count(w) for w in wanted):
                    return True
        return False

    return test


def _author(words: str, field: str, quoted: bool) -> Test:
    """Last name and initials: as typed if quoted, else further initials may follow.

    A full name stands either way round. A truncated one is a beginning of either form.
    """
    begins = words.endswith("*")
    wanted = flat(words).strip()

    def named(person: tuple[str, str, str, str]) -> bool:
        last, initials, suffix, fore = person
        if not begins and last not in wanted:
            return False
        listed = " ".join(filter(None, (last, initials, suffix)))
        if begins:
            forms = [f"{last} {fore}"] + ([listed] if field != "fau" else [])
            return any(form.startswith(wanted) for form in forms)
        if fore and _full(wanted, last, fore, quoted):
            return True
        if field == "fau":
            return wanted == last
        if quoted:
            return wanted in {" ".join(filter(None, (last, initials))), listed}
        if wanted == last or wanted in (listed, f"{last} {suffix}"):
            return True
        match = re.fullmatch(re.escape(last) + r" (\w+)(?: (.+))?", wanted)
        if not match or not initials.startswith(match.group(1)):
            return False
        return match.group(2) is None or match.group(2) == suffix

    def test(record: Brute) -> bool:
        people = record.investigators if field == "ir" else record.authors
        if field in ("1au", "lastau"):
            people = people[:1] if field == "1au" else people[-1:]
        return any(map(named, people))

    return test


def _full(wanted: str, last: str, fore: str, quoted: bool) -> bool:
    """Forename and last name in either order; unquoted, later forenames may be left out."""
    names = fore.split()
    sizes = [len(names)] if quoted else range(1, len(names) + 1)
    return any(
        wanted in (" ".join([*names[:n], last]), " ".join([last, *names[:n]])) and len(names[0]) > 1
        for n in sizes
    )


def _heading(words: str, *, major: bool) -> Test:
    """A heading, not exploded; major if the descriptor or any of its qualifiers is."""
    name, _, under = words.partition("/")
    under = flat(_CODES.get(under.lower().strip(), under))
    begins, wanted = name.endswith("*"), flat(name)
    if begins:
        wanted = wanted[:-1]

    def is_name(text: str) -> bool:
        return text.startswith(wanted) if begins else text == wanted

    def test(record: Brute) -> bool:
        for descriptor, starred, qualifiers in record.headings:
            if not is_name(descriptor):
                continue
            if under:
                if any(q == under and (not major or starred or m) for q, m in qualifiers):
                    return True
            elif not major or starred or any(m for _, m in qualifiers):
                return True
        return not major and not under and any(map(is_name, record.supplementary))

    return test


def _subheading(words: str) -> Test:
    wanted = flat(_CODES.get(words.lower().strip(), words))
    return lambda r: any(q == wanted for _, _, qualifiers in r.headings for q, _ in qualifiers)


def _subset(name: str) -> Test:
    name = " ".join(name.split())
    if name == "all":
        return lambda r: True
    if name in _STATUS:
        return lambda r: r.status == _STATUS[name]
    if name == "pubmed pmc":
        return lambda r: any(kind == "pmc" for kind, _ in r.article_ids)
    if name in ("aim", "core clinical journals"):
        return lambda r: "aim" in r.subsets
    raise ValueError(f"no subset {name}")


def _dates(words: str, field: str) -> Test:
    low, _, high = words.replace('"', "").partition(":")
    first, last = _first(low.strip()), _last((high or low).strip())

    def test(record: Brute) -> bool:
        for day in record.days[field]:
            if first <= day <= last:
                break
        else:
            return False
        if field != "dp" or high:
            return True
        # One day, month or year: print before electronic.
        printed = record.published
        return any(first <= day <= last for day in printed) or any(
            first <= day <= last and (not printed or day <= min(printed))
            for day in record.electronic
        )

    return test


def _first(text: str) -> Day:
    year, month, day = ([int(part) for part in text.split("/")] + [1, 1])[:3]
    return year, month, day


def _last(text: str) -> Day:
    parts = [int(part) for part in text.split("/")]
    return parts[0], parts[1] if len(parts) > 1 else 12, parts[2] if len(parts) > 2 else 31


_STOPWORDS = """
a about again all almost also although always among an and another any are as at be because been
before being between both but by can could did do does done due during each either enough
especially etc for found from further had has have having here how however i if in into is it its
itself just kg km made mainly make may mg might ml mm most mostly must nearly neither no nor
obtained of often on our overall perhaps pmid quite rather really regarding seem seen several
should show showed shown shows significantly since so some such than that the their theirs them
then there therefore these they this those through thus to upon various very was we were what when
which while with within without would
"""
STOPWORDS = frozenset(_STOPWORDS.split())
