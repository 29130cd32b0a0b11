"""``kill -9`` between decisions, over two processes and several people: none lost, none doubled."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from dataclasses import dataclass, field

from tests import screen_rows as rows
from tests.test_screen_browser import Running

COUNT, ROUNDS = 40, 4
DECISIONS = ("include", "exclude", "unsure")


@dataclass
class Tab:
    """A page that sends decisions as the script does: again with the same key, until an answer."""

    server: Running
    name: str
    records: list[str]
    said: dict[str, str] = field(default_factory=dict)  # what was called saved
    wanted: dict[str, str] = field(default_factory=dict)
    again: int = 0
    cookie: str = ""
    token: str = ""

    def ask(self, method: str, path: str, content: object = None) -> tuple[int, dict]:
        wire = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=5)
        headers = {"cookie": self.cookie, "content-type": "application/json"}
        headers["x-write-token"] = self.token
        try:
            body = None if content is None else json.dumps(content)
            wire.request(method, path, body, headers)
            reply = wire.getresponse()
            data = reply.read()
            if new := reply.getheader("set-cookie"):
                self.cookie = new.partition(";")[0]
            is_json = reply.getheader("content-type", "").startswith("application/json")
            return reply.status, json.loads(data) if is_json else {}
        finally:
            wire.close()

    def come(self) -> None:
        self.ask("GET", self.server.url.removeprefix(self.server.base))
        self.token = self.ask("GET", "/api/visit")[1]["token"]
        assert self.ask("POST", "/api/name", {"name": self.name})[0] == 200
        self.token = self.ask("GET", "/api/visit")[1]["token"]

    def run(self, records: list[str]) -> None:
        for record in records:
            decision = DECISIONS[(int(record) + len(self.name)) % 3]
            self.wanted[record] = decision
            content = {
                "reviewer": self.name,
                "key": f"key-{self.name}-{record}",
                "stage": "title-abstract",
                "record": record,
                "decision": decision,
            }
            end = time.monotonic() + 30
            while True:
                assert time.monotonic() < end
                try:
                    status, data = self.ask("POST", "/api/decide", content)
                except (OSError, http.client.HTTPException):
                    self.again += 1
                    time.sleep(0.05)
                    continue
                assert (status, data["saved"]) == (200, True)
                self.said[record] = decision
                break


def test_killed_processes_lose_and_double_nothing_that_several_tabs_decide(tmp_path):
    folder = rows.review(tmp_path / "review", COUNT)
    servers = [Running(folder) for _ in range(2)]
    everything = [str(1000 + n) for n in range(1, COUNT + 1)]
    # Two tabs of Ana at one process, sharing her records; Ben at the other, on all of them.
    tabs = [
        Tab(servers[0], "Ana", everything[::2]),
        Tab(servers[0], "Ana", everything[1::2]),
        Tab(servers[1], "Ben", everything),
    ]
    chance = random.Random(1)
    try:
        for tab in tabs:
            tab.come()
        for at in range(ROUNDS):
            threads = [
                threading.Thread(target=tab.run, args=(tab.records[at::ROUNDS],), daemon=True)
                for tab in tabs
            ]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.01, 0.08))
            server = servers[at % 2]
            server.kill()
            saved = {(tab.name, *pair) for tab in tabs for pair in tuple(tab.said.items())}
            assert saved <= on_disk(folder)  # whatever was called saved is there now
            server.start()
            for thread in threads:
                thread.join()
    finally:
        for server in servers:
            if server.process.poll() is None:
                server.kill()
    lines = [line.split(",") for line in rows.log_rows(folder)]
    found = sorted((cells[2], cells[0], cells[3]) for cells in lines)
    assert found == sorted((tab.name, *pair) for tab in tabs for pair in tab.wanted.items())
    assert sum(tab.again for tab in tabs), "nothing was under way when the processes were killed"


def on_disk(folder) -> set[tuple[str, str, str]]:
    lines = [line.split(",") for line in rows.log_rows(folder)]
    return {(cells[2], cells[0], cells[3]) for cells in lines if len(cells) > 3}
