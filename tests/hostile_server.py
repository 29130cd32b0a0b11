"""A second loopback PubMed, on bare sockets, that does wrong down to the single byte.

It is written from NLM's protocol alone and shares nothing with `tests.eutils_server`, so that the
two cannot be mistaken in the same way. Every record is invented.

    with HostileServer(papers(60, TOPICS), topics=TOPICS) as server:
        server.plan = Plan(seed=3)
        ...  # EVIDENCE_EUTILS_URL = server.url
"""

from __future__ import annotations

import datetime as dt
import random
import re
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from tests.hostile_faults import FAULTS, LASTING, SLOW, Asked, Reply, article_set, page

FIRST = 95_000_001  # above every PMID that exists


@dataclass(frozen=True)
class Paper:
    """An invented record; ``topics`` are the words whose strategies find it."""

    pmid: int
    topics: frozenset[str]
    title: str
    revised: dt.date = dt.date(2024, 5, 6)
    retracted: bool = False

    def xml(self) -> str:
        day = f"<Year>{self.revised:%Y}</Year><Month>{self.revised:%m}</Month>"
        day += f"<Day>{self.revised:%d}</Day>"
        kinds = ["Journal Article", *(["Retracted Publication"] if self.retracted else [])]
        notice = (
            '<CommentsCorrectionsList><CommentsCorrections RefType="RetractionIn"><RefSource>'
            f"J Fabric. 2025;3:4</RefSource><PMID>{self.pmid + 5_000_000}</PMID>"
            "</CommentsCorrections></CommentsCorrectionsList>"
        )
        return (
            f'<PubmedArticle><MedlineCitation Status="MEDLINE"><PMID Version="1">{self.pmid}</PMID>'
            f"<DateRevised>{day}</DateRevised><Article><Journal><JournalIssue><PubDate><Year>2023"
            "</Year></PubDate></JournalIssue><Title>Journal of Fabrications</Title></Journal>"
            f"<ArticleTitle>{escape(self.title)}</ArticleTitle><Abstract><AbstractText>No such "
            f"people &amp; no such trial: {self.pmid}.</AbstractText></Abstract><AuthorList>"
            "<Author><LastName>Nemo</LastName><Initials>N</Initials></Author></AuthorList>"
            "<Language>eng</Language><PublicationTypeList>"
            + "".join(f"<PublicationType>{k}</PublicationType>" for k in kinds)
            + "</PublicationTypeList></Article>"
            + (notice if self.retracted else "")
            + "</MedlineCitation><PubmedData><ArticleIdList>"
            f'<ArticleId IdType="pubmed">{self.pmid}</ArticleId></ArticleIdList></PubmedData>'
            "</PubmedArticle>"
        )


def papers(count: int, topics: tuple[str, ...], *, seed: int = 1) -> list[Paper]:
    """Invented records, each with at least one of the topics."""
    rng = random.Random(seed)
    return [
        Paper(
            FIRST + 11 * n,
            frozenset(rng.sample(topics, rng.randint(1, len(topics)))),
            f"Invented trial {n} < of {rng.choice(topics)}",
        )
        for n in range(count)
    ]


class Plan:
    """Which fault each request meets, decided by a seed: episodes of 1 to 9 requests.

    Parameters
    ----------
    rate : float
        How likely a request begins an episode.
    kinds : iterable of str
        Names in `FAULTS`; by default all that a repetition can mend.
    down_after : int, optional
        Requests after which the server refuses every connection.
    """

    KINDS = tuple(sorted(set(FAULTS) - LASTING - SLOW))

    def __init__(
        self,
        seed: int,
        *,
        rate: float = 0.3,
        kinds: Iterable[str] | None = None,
        longest: int = 9,
        down_after: int | None = None,
    ) -> None:
        self.rng = random.Random(seed)
        self.rate, self.longest, self.down_after = rate, longest, down_after
        self.kinds = tuple(self.KINDS if kinds is None else kinds)
        self.met: list[str] = []
        self._kind, self._left = "", 0

    def next(self) -> str | None:
        if self._left == 0 and self.rng.random() < self.rate:
            self._kind = self.rng.choice(self.kinds)
            self._left = min(self.rng.randint(1, 9), self.rng.randint(1, 9), self.longest)
        if self._left == 0:
            return None
        self._left -= 1
        self.met.append(self._kind)
        return self._kind


class HostileServer:
    """Serves ``papers`` to strategies that hold one of ``topics``; change both while it runs."""

    def __init__(
        self, records: Iterable[Paper], *, topics: tuple[str, ...], plan: Plan | None = None
    ) -> None:
        self.papers = {p.pmid: p for p in records}
        self.topics, self.plan = topics, plan
        self.asked: list[Asked] = []
        self.delay_s = 0.0
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/entrez/eutils"
        self._thread = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)

    def __enter__(self) -> HostileServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.down()
        self._thread.join()

    def down(self) -> None:
        """Refuse every connection from now on."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def up(self) -> None:
        """Listen again at the same address."""
        listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        with self._lock:
            self._listener = listener
        self._thread.join()
        self._thread = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        self._thread.start()

    def linger(self) -> None:
        self.closing.wait(600)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as file:
            try:
                while self._one(sock, file):
                    pass
            except (OSError, ValueError):
                return  # the client went away

    def _one(self, sock: socket.socket, file: object) -> bool:
        """Answer one request; false when the connection is to end."""
        line = file.readline()  # type: ignore[attr-defined]
        if not line:
            return False
        length = 0
        while header := file.readline().strip():  # type: ignore[attr-defined]
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = file.read(length).decode()  # type: ignore[attr-defined]
        utility = line.split()[1].decode().rpartition("/")[2].partition(".")[0]
        with self._lock:
            asked = self._understood(utility, dict(parse_qsl(body, keep_blank_values=True)))
            self.asked.append(asked)
            kind = self.plan.next() if self.plan else None
            down = self.plan is not None and self.plan.down_after == len(self.asked)
            reply = FAULTS[kind](self, asked, self.plan.rng) if kind and self.plan else None
        if self.delay_s:
            time.sleep(self.delay_s)
        if down:
            self.down()
            return False
        reply = reply or self.truth(asked)
        if reply.wire is not None:
            reply.wire(sock, reply)
            return False
        sock.sendall(reply.head() + reply.body)
        return True

    def _understood(self, utility: str, fields: dict[str, str]) -> Asked:
        if utility != "esearch":
            return Asked(utility, fields)
        term = fields.get("term", "")
        low, high = 0, 10**9
        for first, last in re.findall(r"(\d+):(\d+)\[uid\]", term):
            low, high = max(low, int(first)), min(high, int(last))
        since = dt.date.min
        if day := re.search(r"(\d{4})/(\d\d)/(\d\d):3000\[lr\]", term):
            since = dt.date(int(day[1]), int(day[2]), int(day[3]))
        words = term.casefold()
        topic = next((t for t in self.topics if t in words), None)
        found = [
            p.pmid
            for p in self.papers.values()
            if topic in p.topics and low <= p.pmid <= high and p.revised >= since
        ]
        return Asked(utility, fields, tuple(sorted(found, reverse=True)), low, high)

    def held(self, ids: Iterable[int]) -> list[Paper]:
        return [self.papers[i] for i in ids if i in self.papers]

    def truth(self, asked: Asked) -> Reply:
        """What PubMed would say."""
        if asked.utility == "esearch":
            return page(asked)
        if asked.utility == "efetch":
            return article_set(p.xml() for p in self.held(asked.ids))
        return Reply(b"", "404 Not Found")
