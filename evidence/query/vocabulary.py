"""Closed lists of PubMed: subheadings, languages, publication types, subsets and stopwords.

From the PubMed User Guide (16 April 2024) and, for language codes, MARC 21, which NLM uses
(https://www.nlm.nih.gov/bsd/language_table.html).
"""

from __future__ import annotations

_SUBHEADINGS = """
AB abnormalities|AD administration & dosage|AE adverse effects|AG agonists|AA analogs & derivatives
AN analysis|AH anatomy & histology|AI antagonists & inhibitors|BI biosynthesis|BS blood supply
BL blood|CF cerebrospinal fluid|CS chemical synthesis|CI chemically induced|CH chemistry
CL classification|CO complications|CN congenital|CY cytology|DF deficiency|DI diagnosis
DH diet therapy|DG diagnostic imaging|DE drug effects|DT drug therapy|EC economics|ED education
EM embryology|EN enzymology|EP epidemiology|ES ethics|EH ethnology|ET etiology|GE genetics
GD growth & development|HI history|IM immunology|IN injuries|IR innervation|IS instrumentation
IP isolation & purification|LJ legislation & jurisprudence|ME metabolism|MT methods|MI microbiology
MO mortality|NU nursing|OG organization & administration|PS parasitology|PY pathogenicity
PA pathology|PK pharmacokinetics|PD pharmacology|PH physiology|PP physiopathology|PO poisoning
PC prevention & control|PX psychology|RE radiation effects|RT radiotherapy|RH rehabilitation
SC secondary|ST standards|SN statistics & numerical data|SD supply & distribution|SU surgery
TU therapeutic use|TH therapy|TO toxicity|TM transmission|TR transplantation|TD trends
UL ultrastructure|UR urine|VE veterinary|VI virology
"""
SUBHEADINGS = {
    entry[:2].lower(): entry[3:]
    for line in _SUBHEADINGS.split("\n")
    for entry in line.split("|")
    if entry
}

PUBLICATION_TYPES = tuple(
    """Adaptive Clinical Trial|Address|Autobiography|Bibliography|Biography|Case Reports
Classical Article|Clinical Conference|Clinical Study|Clinical Trial|Clinical Trial, Phase I
Clinical Trial, Phase II|Clinical Trial, Phase III|Clinical Trial, Phase IV|Clinical Trial Protocol
Clinical Trial, Veterinary|Collected Work|Collected Works|Comment|Comparative Study|Congress
Consensus Development Conference|Consensus Development Conference, NIH|Controlled Clinical Trial
Corrected and Republished Article|Dataset|Dictionary|Directory|Duplicate Publication|Editorial
Electronic Supplementary Materials|English Abstract|Equivalence Trial|Evaluation Study
Expression of Concern|Festschrift|Government Publication|Guideline|Historical Article
Interactive Tutorial|Interview|Introductory Journal Article|Journal Article|Lecture|Legal Case
Legislation|Letter|Meta-Analysis|Multicenter Study|Network Meta-Analysis|News|Newspaper Article
Observational Study|Observational Study, Veterinary|Overall|Patient Education Handout
Periodical Index|Personal Narrative|Portrait|Practice Guideline|Pragmatic Clinical Trial|Preprint
Published Erratum|Randomized Controlled Trial|Randomized Controlled Trial, Veterinary
Research Support, American Recovery and Reinvestment Act|Research Support, N.I.H., Extramural
Research Support, N.I.H., Intramural|Research Support, Non-U.S. Gov't
Research Support, U.S. Gov't, Non-P.H.S.|Research Support, U.S. Gov't, P.H.S.
Research Support, U.S. Government|Retracted Publication|Retraction of Publication|Review
Scientific Integrity Review|Scoping Review|Systematic Review|Technical Report|Twin Study
Validation Study|Video-Audio Media|Webcast""".replace("\n", "|").split("|")
)

_LANGUAGES = """
afr Afrikaans|alb Albanian|amh Amharic|ara Arabic|arm Armenian|aze Azerbaijani|ben Bengali
bos Bosnian|bul Bulgarian|cat Catalan|chi Chinese|cze Czech|dan Danish|dut Dutch|eng English
epo Esperanto|est Estonian|fin Finnish|fre French|geo Georgian|ger German|gla Scottish Gaelic
gre Greek, Modern|heb Hebrew|hin Hindi|hrv Croatian|hun Hungarian|ice Icelandic|ind Indonesian
ita Italian|jpn Japanese|kin Kinyarwanda|kor Korean|lat Latin|lav Latvian|lit Lithuanian
mac Macedonian|mal Malayalam|mao Maori|may Malay|mul Multiple languages|nor Norwegian|per Persian
pol Polish|por Portuguese|pus Pushto|rum Romanian|rus Russian|san Sanskrit|slo Slovak|slv Slovenian
spa Spanish|srp Serbian|swe Swedish|tha Thai|tur Turkish|ukr Ukrainian|und Undetermined|urd Urdu
vie Vietnamese|wel Welsh
"""
LANGUAGES = {
    entry[:3]: entry[4:] for line in _LANGUAGES.split("\n") for entry in line.split("|") if entry
}

# [sb]: what a record decides by itself, and what only PubMed knows.
STATUSES = {
    "medline": ("MEDLINE",),
    "inprocess": ("In-Process",),
    "in process": ("In-Process",),
    "publisher": ("Publisher",),
    "pubmednotmedline": ("PubMed-not-MEDLINE",),
}
SUBSETS_OF_PUBMED = frozenset(
    (
        "systematic",
        "systematic review",
        "free full text",
        "full text",
        "loall",
        "loprovcmc",
        "data",
        "preventive medicine",
        "aids",
        "cancer",
        "tox",
        "cam",
        "bioethics",
        "space",
        "veterinary",
        "history",
        "dietsuppl",
    )
)

_STOPWORDS = """
a about again all almost also although always among an and another any are as at be because
    been before being between both but by can could did do does done due during each either enough
    especially etc for found from further had has have having here how however i if in into is it
    its itself just kg km made mainly make may mg might ml mm most mostly must nearly neither no nor
    obtained of often on our overall perhaps pmid quite rather really regarding seem seen several
    should show showed shown shows significantly since so some such than that the their theirs them
    then there therefore these they this those through thus to upon various very was we were what
    when which while with within without would
"""
STOPWORDS = frozenset(_STOPWORDS.split())

_NAMES = {name.replace("&", "and"): name for name in SUBHEADINGS.values()}


def subheading_of(text: str) -> str | None:
    """A subheading's name, from its name ("and" or "&") or its two letters; None if unknown."""
    text = " ".join(text.lower().split())
    if text in SUBHEADINGS:
        return SUBHEADINGS[text]
    return _NAMES.get(text.replace("&", "and"))


def language_of(text: str) -> str | None:
    """A language's three letters, from its letters or its English name; None if unknown."""
    text = " ".join(text.lower().split())
    if text in LANGUAGES:
        return text
    for code, name in LANGUAGES.items():
        if text == name.lower() or text == name.lower().partition(",")[0]:
            return code
    return None


def publication_type_of(text: str) -> str | None:
    """A publication type as PubMed writes it, whatever the case and punctuation."""
    wanted = _letters(text)
    return next((name for name in PUBLICATION_TYPES if _letters(name) == wanted), None)


def _letters(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())


# Publication types under others in category V of MeSH; PubMed adds the narrower ones.
_RANDOMIZED = ("Randomized Controlled Trial", "Equivalence Trial", "Pragmatic Clinical Trial")
_CONTROLLED = ("Controlled Clinical Trial", *_RANDOMIZED)
_TRIALS = (
    "Clinical Trial",
    "Adaptive Clinical Trial",
    "Clinical Trial, Phase I",
    "Clinical Trial, Phase II",
    "Clinical Trial, Phase III",
    "Clinical Trial, Phase IV",
    *_CONTROLLED,
)
NARROWER_TYPES = {
    "randomized controlled trial": _RANDOMIZED,
    "controlled clinical trial": _CONTROLLED,
    "clinical trial": _TRIALS,
    "clinical study": (
        "Clinical Study",
        *_TRIALS,
        "Observational Study",
        "Clinical Trial Protocol",
        "Clinical Trial, Veterinary",
        "Observational Study, Veterinary",
        "Randomized Controlled Trial, Veterinary",
    ),
    "clinical trial veterinary": (
        "Clinical Trial, Veterinary",
        "Randomized Controlled Trial, Veterinary",
    ),
    "review": ("Review", "Systematic Review", "Scoping Review"),
    "meta analysis": ("Meta-Analysis", "Network Meta-Analysis"),
    "guideline": ("Guideline", "Practice Guideline"),
    "biography": ("Biography", "Autobiography"),
    "consensus development conference": (
        "Consensus Development Conference",
        "Consensus Development Conference, NIH",
    ),
}
# Of these it is certain that nothing stands below them.
_LOWEST = """
case reports|comment|editorial|letter|news|published erratum|retracted publication|preprint
retraction of publication|expression of concern|practice guideline|comparative study|webcast
multicenter study|systematic review|twin study|validation study|english abstract|portrait
clinical trial phase i|clinical trial phase ii|clinical trial phase iii|clinical trial phase iv
equivalence trial|pragmatic clinical trial|adaptive clinical trial|observational study|interview
duplicate publication|corrected and republished article|lecture|historical article
research support n i h extramural|research support n i h intramural
research support non u s gov t|research support u s gov t p h s
research support u s gov t non p h s
"""
LOWEST_TYPES = frozenset(_LOWEST.strip().replace("\n", "|").split("|"))
