"""The screening page in a real browser: by keyboard, by two people, through a crash."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from evidence.screen import opening
from evidence.screen.serve import server_of
from evidence.workspace import Workspace
from tests import screen_rows as rows
from tests.test_site_browser import LOW_CONTRAST

pytestmark = pytest.mark.browser

WIDE, PHONE = (1280, 800), (360, 740)
ROOT = Path(__file__).resolve().parents[1]
PAGES = ("", "records", "decided", "second-look", "conflicts", "agreement", "progress", "settings")

# Buttons and links that stand alone and are lower than a finger.
SMALL_TARGETS = """() => [...document.querySelectorAll(
    'button, .menu a, select, summary, textarea, .links a, .pager a, .line-title, .case h3 a,'
    + 'input:not([type=radio], [type=checkbox], [type=hidden]),'
    + 'label:has([type=radio], [type=checkbox])')]
  .filter(e => e.checkVisibility() && !e.closest('.visually-hidden'))
  .map(e => [e.textContent.trim().slice(0, 30), e.getBoundingClientRect().height])
  .filter(([, height]) => height < 43.5)"""
STICKING_OUT = """() => [...document.querySelectorAll('body *')]
  .filter(e => !e.closest('.scroll, .visually-hidden, .skip, dialog:not([open]), svg'))
  .filter(e => e.checkVisibility())
  .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(e => e.tagName + ' ' + e.className + ' ' + e.textContent.trim().slice(0, 40))"""


@pytest.fixture(scope="module")
def chromium():
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("chromium is not installed")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


class Running:
    """The command in a process of its own, as a person starts it."""

    def __init__(self, folder: Path, *options: str, port: int | None = None) -> None:
        self.folder, self.options = folder, options
        self.port = port or free_port()
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "evidence", "--root", str(self.folder), "screen"]
        command += [rows.CLAIM, "--no-browser", "--port", str(self.port), *self.options]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1"), self.url

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=20)
        self.process.stdout.close()
        return code

    def decided(self) -> dict[str, str]:
        """Record to decision, as the log has it; fails where a record is there twice."""
        lines = [line.split(",") for line in rows.log_rows(self.folder)]
        assert len({cells[0] for cells in lines}) == len(lines)
        return {cells[0]: cells[3] for cells in lines}


class Here(Running):
    """The same in a thread of this process: where nothing is killed, and much faster."""

    def start(self) -> None:
        given = list(self.options)
        reviewer = given[given.index("--reviewer") + 1] if "--reviewer" in given else None
        self.ready = opening.prepare(
            Workspace.at(self.folder),
            rows.CLAIM,
            opening.Where(port=self.port),
            reviewer=reviewer,
        )
        self.url = self.ready.url
        self.server = server_of(self.ready.app)
        self.thread = threading.Thread(target=self.server.run, args=([self.ready.bound],))
        self.thread.start()
        wait_for(lambda: self.server.started)

    def kill(self) -> None:
        self.server.should_exit = self.server.force_exit = True
        self.thread.join()
        self.ready.session.stop()
        self.ready.bound.close()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def running(tmp_path):
    started: list[Running] = []

    def run(count: int = 12, *options: str, kind: type[Running] = Here) -> Running:
        started.append(kind(rows.review(tmp_path / f"review-{len(started)}", count), *options))
        return started[-1]

    yield run
    for each in started:
        if isinstance(each, Here) or each.process.poll() is None:
            each.kill()


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """A server with a few decisions of two people, for tests that only look."""
    folder = rows.review(tmp_path_factory.mktemp("standing") / "review", 30)
    with rows.serving(folder) as server:
        ana, ben = server.browser("Ana"), server.browser("Ben")
        ana.post("/api/words", include=["sprint interval", "serum"], exclude=["rats"])
        for n in range(1, 13):
            ana.decide(1000 + n, "include" if n % 5 == 0 else "exclude", reason="animals")
            ben.decide(1000 + n, "include" if n in (5, 7) else "exclude", reason="cells", note="?")
    found = Here(folder, "--reviewer", "Ana")
    yield found
    found.kill()


@pytest.fixture
def person(chromium):
    """Windows of their own cookies; whatever the console says is a failure."""
    contexts = []
    said: list[str] = []

    def come(running: Running, size=WIDE, scheme="light", name: str | None = None, **more):
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, **more
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda fault: said.append(f"fault: {fault}"))
        page.goto(running.url)
        if name is not None:
            page.get_by_label("Your name").fill(name)
            page.wait_for_selector("#name-form button:enabled")
            page.keyboard.press("Enter")
        page.wait_for_selector("#record:not([aria-busy])")
        return page

    def bare(running: Running, size, **more):
        contexts.append(
            chromium.new_context(viewport={"width": size[0], "height": size[1]}, **more)
        )
        page = contexts[-1].new_page()
        page.goto(running.base)
        return page

    come.said, come.bare = said, bare
    yield come
    for context in contexts:
        context.close()
    # A server that was killed on purpose leaves refused connections in the console.
    assert [words for words in said if "ERR_CONNECTION" not in words] == []


def until(page, condition: str, arg: object = None, seconds: float = 15.0) -> None:
    """Wait for a condition in the page, which must not be asked to evaluate text itself."""
    wait_for(lambda: page.evaluate(condition, arg), seconds)


def shown(page) -> str:
    """The number of the record on the screen."""
    return re.search(r"PMID (\d+)", page.locator("#facts").inner_text())[1]


def wait_for_next(page, before: str) -> None:
    until(
        page,
        "before => !document.querySelector('#end').hidden"
        " || !document.querySelector('#facts').textContent.includes(before)",
        arg=before,
    )


def wait_for(work, seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not work():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_fifty_records_by_keyboard_alone(running, person):
    server = running(50)
    page = person(server, name="Ana")
    expected = {}
    while page.locator("#end").is_hidden():
        record = shown(page)
        assert page.evaluate("document.activeElement.id") == "title"
        number = int(record)
        if number % 5 == 0:
            page.keyboard.press("i")
            expected[record] = "include"
        elif number % 7 == 0:
            page.keyboard.press("u")
            expected[record] = "unsure"
        else:
            page.keyboard.press("e")
            page.keyboard.press("e" if number % 2 else "1")
            expected[record] = "exclude"
        wait_for_next(page, f"PMID {record}")
    wait_for(lambda: len(rows.log_rows(server.folder)) == 50)
    assert server.decided() == expected
    until(page, "document.querySelector('#counts').textContent.includes('50 of 50 screened')")
    assert "decided on every record" in page.locator("#end-title").inner_text()
    assert any("animal and cell studies" in line for line in rows.log_rows(server.folder))


def test_undo_note_skip_and_looking_back_by_keyboard(running, person):
    server = running(8, "--reviewer", "Ana")
    page = person(server)
    first = shown(page)
    page.keyboard.press("i")
    wait_for_next(page, f"PMID {first}")
    until(page, "document.querySelector('#status').textContent.includes('Saved')")
    page.keyboard.press("z")
    until(page, "first => document.querySelector('#facts').textContent.includes(first)", arg=first)
    assert "Taken back" in page.locator("#status").inner_text()
    page.keyboard.press("n")
    page.keyboard.type("ask Ben about i, e and z?")  # letters that are keys outside
    page.keyboard.press("Control+Enter")
    until(page, "document.querySelector('#mine').textContent.includes('ask Ben')")
    assert shown(page) == first
    page.keyboard.press("s")
    wait_for_next(page, f"PMID {first}")
    second = shown(page)
    page.keyboard.press("ArrowLeft")
    until(page, "first => document.querySelector('#facts').textContent.includes(first)", arg=first)
    page.keyboard.press("ArrowRight")
    until(page, "id => document.querySelector('#facts').textContent.includes(id)", arg=second)
    seen = set()
    while page.locator("#end").is_hidden():
        record = shown(page)
        seen.add(record)
        page.keyboard.press("u")
        wait_for_next(page, f"PMID {record}")
    assert first in seen  # what was skipped came again
    assert len(seen) == 8


def test_keys_rest_while_somebody_types_and_when_they_are_off(standing, person):
    page = person(standing)
    record, before = shown(page), len(rows.log_rows(standing.folder))
    page.keyboard.press("h")
    page.keyboard.type("iuez")
    assert page.locator("#words-include").input_value().startswith("iuez")
    page.keyboard.press("Escape")
    page.locator("#title").focus()
    for combination in ("Control+i", "Alt+u", "Meta+z", "Shift+I"):
        page.keyboard.press(combination)
    page.keyboard.press("?")
    page.keyboard.press("i")  # a dialog is open
    page.locator("#help-dialog #keys-switch").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("i")
    page.keyboard.press("u")
    page.wait_for_timeout(200)
    assert shown(page) == record
    assert len(rows.log_rows(standing.folder)) == before
    page.reload()
    page.wait_for_selector("#record:not([aria-busy])")
    assert page.evaluate("document.documentElement.dataset.keys") == "off"


def test_a_key_that_is_held_down_decides_once(running, person):
    server = running(8, "--reviewer", "Ana")
    page = person(server)
    first = shown(page)
    for _ in range(5):
        page.keyboard.down("i")  # without a release these count as repeats
    wait_for_next(page, f"PMID {first}")
    page.keyboard.up("i")
    page.wait_for_timeout(300)
    assert len(rows.log_rows(server.folder)) == 1


def test_nothing_is_lost_or_doubled_when_the_server_is_killed_in_the_middle(running, person):
    server = running(24, "--reviewer", "Ana", kind=Running)
    page = person(server)
    expected = {}

    def decide(key: str, decision: str) -> None:
        record = shown(page)
        expected[record] = decision
        page.keyboard.press(key)
        wait_for_next(page, f"PMID {record}")

    for _ in range(4):
        decide("i", "include")
    server.kill()
    for _ in range(3):
        decide("u", "unsure")
    until(page, "!document.querySelector('#trouble').hidden")
    said = page.locator("#trouble").inner_text()
    assert "does not answer" in said
    assert "not saved yet" in said
    assert "Saved" not in page.locator("#status").inner_text()
    assert len(rows.log_rows(server.folder)) <= 4
    server.start()
    page.keyboard.press("Tab")
    page.locator("#retry").press("Enter")
    wait_for(lambda: len(rows.log_rows(server.folder)) == 7)
    until(page, "document.querySelector('#trouble').hidden")
    assert server.decided() == expected
    for _ in range(2):
        decide("i", "include")
    wait_for(lambda: len(rows.log_rows(server.folder)) == 9)
    assert server.decided() == expected


def test_what_was_not_sent_outlives_the_window(running, person):
    server = running(12, "--reviewer", "Ana")
    page = person(server)
    record = shown(page)
    server.kill()
    page.keyboard.press("i")
    until(page, "!document.querySelector('#trouble').hidden")
    page.close(run_before_unload=False)
    server.start()
    again = page.context.new_page()
    again.goto(server.url)
    wait_for(lambda: server.decided() == {record: "include"})


def test_two_windows_of_one_person_see_each_others_decisions(running, person):
    server = running(8, "--reviewer", "Ana")
    one = person(server)
    two = one.context.new_page()
    two.goto(server.base)
    two.wait_for_selector("#record:not([aria-busy])")
    record = shown(one)
    assert shown(two) == record
    one.keyboard.press("i")
    until(two, "document.querySelector('#mine').textContent.includes('included')")
    assert "In another window" in two.locator("#quiet").inner_text()
    until(two, "document.querySelector('#counts').textContent.includes('1 of 8')")


def test_new_records_join_without_disturbing_the_one_on_the_screen(running, person):
    server = running(3, "--reviewer", "Ana")
    page = person(server)
    record = shown(page)
    rows.add(server.folder, [rows.record(n) for n in (21, 22)])
    until(page, "document.querySelector('#quiet').textContent.includes('2 new records')")
    assert shown(page) == record
    until(page, "document.querySelector('#counts').textContent.includes('of 5')")


def test_two_people_disagree_and_settle_it(running, person):
    server = running(6)
    ana = person(server, name="Ana")
    ben = person(server, name="Ben")
    record = shown(ana)
    ana.keyboard.press("i")
    until(ana, "document.querySelector('#status').textContent.includes('Saved')")
    assert shown(ben) == record  # nothing moved for Ben
    ben.goto(f"{server.base}/conflicts")
    assert "0 to resolve" in ben.locator("main").inner_text()
    ben.goto(server.base)
    ben.wait_for_selector("#record:not([aria-busy])")
    assert shown(ben) == record
    ben.keyboard.press("e")
    ben.keyboard.press("2")
    until(ben, "document.querySelector('#status').textContent.includes('Saved')")
    for page in (ana, ben):
        page.goto(f"{server.base}/conflicts")
        assert "1 to resolve" in page.locator("main").inner_text()
    ana.get_by_label("Why, in a few words").fill("talked over")
    ana.keyboard.press("Tab")
    ana.keyboard.press("Tab")
    ana.keyboard.press("Enter")  # the button "Include"
    until(ana, "document.querySelector('.outcome').textContent.includes('Resolved')")
    last = rows.log_rows(server.folder)[-1]
    assert last.startswith(f"{record},title-abstract,Ana,include,")
    assert ",resolution,talked over," in last
    ben.reload()
    assert "Resolved by Ana" in ben.locator("main").inner_text()
    ben.goto(f"{server.base}/agreement")
    assert "Ana and Ben" in ben.locator("main").inner_text()


def looks_right(page) -> None:
    """At both widths, in both schemes; ends as it began."""
    for size in (PHONE, WIDE):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
            assert page.evaluate(STICKING_OUT) == []
            assert page.evaluate(LOW_CONTRAST) == []
            assert size == WIDE or page.evaluate(SMALL_TARGETS) == []


def test_a_certificate_is_drawn_and_read_by_keyboard(running, person):
    server = running(40, "--reviewer", "Ana")
    page = person(server)
    for _ in range(3):
        record = shown(page)
        page.keyboard.press("i")
        wait_for_next(page, f"PMID {record}")
    until(page, "document.querySelector('#counts').textContent.includes('3 of 40')")
    assert page.locator("#sample").is_hidden()
    page.goto(f"{server.base}/progress")
    page.wait_for_selector("[data-draw] button:enabled")
    button = page.locator("[data-draw] button")
    size = int(re.search(r"Draw (\d+) records", button.inner_text())[1])
    assert f"{size} records to read" in " ".join(page.locator(".offer").inner_text().split())
    button.press("Enter")
    page.wait_for_url("**drawn=1**")
    assert f"0 of {size} read, none relevant" in page.locator("main").inner_text()
    assert page.locator("[data-draw]").count() == 0
    looks_right(page)
    page.get_by_role("link", name="Read the sample").press("Enter")
    page.wait_for_selector("#record:not([aria-busy])")
    until(page, "!document.querySelector('#sample').hidden")
    looks_right(page)
    for at in range(3):
        until(page, "!document.querySelector('#sample').hidden")
        assert page.locator("#title").get_attribute("aria-describedby") == "sample"
        until(
            page,
            "words => document.querySelector('#certificate').textContent.includes(words)",
            arg=f"{at} of {size} read, none relevant",
        )
        record = shown(page)
        if at == 1:  # what is taken back is to be read again
            page.keyboard.press("i")
            until(page, "document.querySelector('#quiet').textContent.includes('has failed')")
            until(page, "document.querySelector('#sample').hidden")
            page.keyboard.press("z")
            until(page, "!document.querySelector('#sample').hidden")
            assert shown(page) == record
        page.keyboard.press("u" if at == 2 else "e")
        if at < 2:
            page.keyboard.press("e")
        wait_for_next(page, f"PMID {record}")
    until(page, "document.querySelector('#certificate').textContent.includes('1 unsure')")
    record = shown(page)
    page.keyboard.press("i")
    until(page, "document.querySelector('#certificate').textContent.includes('failed')")
    until(page, "document.querySelector('#sample').hidden")
    page.locator("#certificate").press("Enter")
    page.wait_for_url("**/progress**")
    text = page.locator("main").inner_text()
    assert "Not certified: 1 of" in text
    looks_right(page)
    assert "This would be attempt 2" in text


def test_the_progress_page_says_what_was_foretold_and_what_came(running, person):
    server = running(40, "--reviewer", "Ana")
    page = person(server)
    for at in range(12):
        record = shown(page)
        for key in "i" if at % 3 == 0 else "ee":
            page.keyboard.press(key)
        wait_for_next(page, f"PMID {record}")
    until(page, "document.querySelector('#counts').textContent.includes('12 of 40')")

    def told() -> bool:
        page.goto(f"{server.base}/progress")
        return "As of 12 decisions" in page.locator("main").inner_text()

    wait_for(told)
    page.locator(".calibration summary").press("Enter")
    looks_right(page)
    decided = page.locator(".foretold tbody td:nth-child(2)").all_inner_texts()
    included = page.locator(".foretold tbody td:nth-child(3)").all_inner_texts()
    assert (sum(map(int, decided)), sum(map(int, included))) == (12, 4)
    assert page.locator(".depths tbody th").all_inner_texts() == ["95%", "99%", "100%"]


def test_words_are_marked_in_two_shapes(standing, person):
    page = person(standing, scheme="light")
    page.goto(f"{standing.base}/?record=1015")
    page.wait_for_selector("mark.include")
    page.goto(f"{standing.base}/?record=1014")
    page.wait_for_selector("mark.exclude")
    styles = [
        page.evaluate(
            "kind => { const m = document.body.appendChild(document.createElement('mark'));"
            "m.className = kind; const s = getComputedStyle(m);"
            "return [s.borderBottomStyle, s.fontStyle]; }",
            kind,
        )
        for kind in ("include", "exclude")
    ]
    assert styles[0][0] != styles[1][0]
    assert styles[0][1] != styles[1][1]


def test_reasons_and_similar_records_are_a_key_away(standing, person):
    page = person(standing)
    page.keyboard.press("w")
    page.wait_for_selector("#why-words .reasons-list li")
    page.keyboard.press("r")
    page.wait_for_selector("#similar-words li a")
    page.keyboard.press("/")
    page.wait_for_url("**/records**")
    page.keyboard.type("sprint")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=sprint**")
    assert "6 records" in page.locator(".found").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_every_page_fits_and_can_be_read(standing, person, size, scheme):
    page = person(standing, size, scheme)
    for name in PAGES:
        page.goto(f"{standing.base}/{name}")
        if not name:
            page.wait_for_selector("#record:not([aria-busy])")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], name
        assert page.evaluate(STICKING_OUT) == [], name
        assert page.evaluate(LOW_CONTRAST) == [], name
        if size == PHONE:
            assert page.evaluate(SMALL_TARGETS) == [], name
    page.goto(standing.base)
    page.wait_for_selector("#record:not([aria-busy])")
    for key, dialog in (("e", "reasons"), ("n", "note"), ("?", "help")):
        page.keyboard.press(key)
        page.wait_for_selector(f"#{dialog}-dialog[open]")
        assert page.evaluate(STICKING_OUT) == [], dialog
        assert page.evaluate(LOW_CONTRAST) == [], dialog
        if size == PHONE:
            assert page.evaluate(SMALL_TARGETS) == [], dialog
        page.keyboard.press("Escape")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == (scheme == "dark")


def test_the_switch_overrules_the_scheme_of_the_system(standing, person):
    page = person(standing, scheme="light")
    page.goto(f"{standing.base}/settings")
    page.get_by_label("dark", exact=True).check()
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(21, 23, 26)"
    page.goto(standing.base)
    assert page.evaluate(ground) == "rgb(21, 23, 26)"


def test_what_a_key_opens_is_seen_and_the_record_stays_where_it_is(standing, person):
    page = person(standing)
    inside = """id => { const [a, b, bar] = [`#${id}`, '.beside', '.bar']
        .map(place => document.querySelector(place).getBoundingClientRect());
        return a.top >= b.top - 1 && b.bottom <= bar.top
          && (a.bottom <= b.bottom + 1 || Math.abs(a.top - b.top) < 2) && scrollY === 0; }"""
    for key, name in (("w", "why"), ("r", "similar"), ("h", "words")):
        page.keyboard.press(key)
        until(page, f"document.querySelector('#{name} li, #{name} textarea') !== null")
        until(page, inside, arg=name)
    assert page.evaluate("document.activeElement.id") == "words-include"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "title"
    assert page.evaluate("scrollY") == 0


def test_on_a_phone_what_a_key_opens_is_on_the_screen(standing, person):
    page = person(standing, PHONE)
    page.keyboard.press("w")
    page.wait_for_selector("#why-words li")
    until(
        page,
        "(b => b.top >= 0 && b.bottom < innerHeight / 2)"
        "(document.querySelector('#why summary').getBoundingClientRect())",
    )


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_without_a_script_everything_can_be_read_and_nothing_pretends(standing, person, size):
    cookies = person(standing).context.storage_state()
    page = person.bare(standing, size, storage_state=cookies, java_script_enabled=False)
    assert "Deciding needs JavaScript" in page.locator("main").inner_text()
    assert page.locator(".bar").is_hidden()
    assert page.locator("#title").is_hidden()
    page.get_by_role("link", name="All records").click()
    page.wait_for_load_state()
    assert page.locator(".line").count() == 30
    page.get_by_label("Words", exact=True).fill("sprint")
    page.get_by_label("Words", exact=True).press("Enter")
    assert "6 records" in page.locator(".found").inner_text()
    page.get_by_role("link", name="Progress").click()
    page.wait_for_load_state()  # until then no style says what is hidden
    assert "records to read" in " ".join(page.locator(".offer").inner_text().split())
    assert page.locator("[data-draw]").is_hidden()
    page.get_by_label("At least found").select_option("0.9")
    page.get_by_role("button", name="Work out the size").click()
    assert page.locator("#target").input_value() == "0.9"


def test_who_wants_less_motion_gets_none(standing, person):
    page = person(standing, reduced_motion="reduce")
    style = "getComputedStyle(document.querySelector('#meter')).transitionProperty"
    assert page.evaluate(style) == "none"
    assert person(standing).evaluate(style) == "width"


def test_at_the_width_of_four_times_magnification_nothing_sticks_out(standing, person):
    """WCAG 2.2, 1.4.10: a window of 1280 pixels, magnified four times, is 320 wide."""
    page = person(standing, (320, 640))
    for name in PAGES:
        page.goto(f"{standing.base}/{name}")
        if not name:
            page.wait_for_selector("#record:not([aria-busy])")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, name
        assert page.evaluate(STICKING_OUT) == [], name


def test_after_a_record_from_a_list_a_reload_goes_on_where_one_was(running, person):
    server = running(8, "--reviewer", "Ana")
    page = person(server)
    page.goto(f"{server.base}/?record=1003")
    page.wait_for_selector("#record:not([aria-busy])")
    assert shown(page) == "1003"
    page.keyboard.press("u")
    wait_for_next(page, "PMID 1003")
    after = shown(page)
    until(page, "document.querySelector('#status').textContent.includes('Saved')")
    page.reload()
    page.wait_for_selector("#record:not([aria-busy])")
    assert shown(page) != "1003"
    assert after


def test_on_a_phone_the_decisions_are_within_reach_of_a_thumb(standing, person):
    page = person(standing, PHONE, has_touch=True)
    boxes = [
        page.locator(f"[data-do={name}]").bounding_box()
        for name in ("include", "unsure", "exclude")
    ]
    assert all(box["y"] > PHONE[1] * 0.8 and box["height"] >= 48 for box in boxes)
    page.locator("[data-do=exclude]").tap()
    assert page.locator("#reasons-dialog").is_visible()
    page.get_by_role("button", name="Cancel").tap()
    page.get_by_role("button", name="Menu").tap()
    assert page.get_by_role("link", name="Conflicts").is_visible()
    page.touchscreen.tap(20, 200)
    assert page.get_by_role("link", name="Conflicts").is_hidden()
    page.get_by_role("button", name="Menu").press("Enter")
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.get_by_role("link", name="Conflicts").is_visible()
    page.keyboard.press("Tab")  # past its last line
    assert page.get_by_role("link", name="Conflicts").is_hidden()


def test_the_page_is_a_tree_that_a_screen_reader_can_walk(standing, person):
    page = person(standing)
    tree = page.locator("body").aria_snapshot()
    for line in (
        "- banner:",
        '- navigation "Screening"',
        "- main:",
        "- article ",
        '- complementary "Criteria and help"',
        '- region "Your decision"',
        '- button "Include"',
        '- button "Exclude"',
        '- button "Unsure"',
        '- button "Undo"',
        '- list "Full text and identifiers"',
    ):
        assert line in tree, line
    assert page.locator("h1:visible").count() == 1
    assert page.locator("[data-do=include]").get_attribute("aria-keyshortcuts") == "i"
    for name in PAGES[1:]:
        page.goto(f"{standing.base}/{name}")
        assert page.locator("h1:visible").count() == 1
        assert page.locator("main").count() == 1
        unnamed = page.evaluate(
            "[...document.querySelectorAll('input, select, textarea, button')]"
            ".filter(e => e.type !== 'hidden' && e.checkVisibility() && !e.labels?.length"
            " && !e.textContent.trim()).map(e => e.outerHTML)"
        )
        assert unnamed == []


def test_tab_goes_through_the_page_in_the_order_of_reading(standing, person):
    page = person(standing)
    page.evaluate("document.body.tabIndex = -1; document.body.focus()")
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(e => [e.textContent.trim().slice(0, 20), e.id, e.dataset.do ?? '',"
                "getComputedStyle(e).outlineStyle])(document.activeElement)"
            )
        )
        if reached[-1][2] == "help":
            break
    names = [name for name, *_ in reached]
    assert names[0] == "Skip to the content"
    assert [do for *_, do, _ in reached if do][:3] == ["include", "unsure", "exclude"]
    assert reached[-1][2] == "help"
    assert all(style == "solid" for *_, style in reached)


def test_ctrl_c_ends_it_cleanly_and_a_port_in_use_is_said(running):
    server = running(3, kind=Running)
    second = subprocess.run(
        [
            *(sys.executable, "-m", "evidence", "--root", str(server.folder), "screen"),
            *(rows.CLAIM, "--no-browser", "--port", str(server.port)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert second.returncode == 1
    assert f"port {server.port} is in use" in second.stderr
    assert "Traceback" not in second.stderr
    assert server.end() == 0
