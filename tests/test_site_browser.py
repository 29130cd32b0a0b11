"""The pages in a real browser: nothing overflows, text can be read, targets can be hit."""

from __future__ import annotations

import itertools
import re
import shutil

import pytest

from evidence.site import render
from tests import site_rows

pytestmark = pytest.mark.browser

WIDE, PHONE = 1280, 375
PAGES = ("index", "about", "claims/walking-sleep")

# Text that a reader sees, with its size in CSS pixels; drawings are measured apart.
SMALLEST_TEXT = """() => {
  let smallest = 99, what = '';
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode, box = node.parentElement;
    if (!node.textContent.trim() || box.closest('svg, .visually-hidden')) continue;
    if (!box.checkVisibility()) continue;
    const size = parseFloat(getComputedStyle(box).fontSize);
    if (size < smallest) { smallest = size; what = node.textContent.trim().slice(0, 60); }
  }
  return [smallest, what];
}"""

# Links inside sentences are exempt (WCAG 2.2, 2.5.8); those that stand alone are not.
SMALL_TARGETS = """() => [
    ...document.querySelectorAll('.masthead a, .contents a, summary, .statement')]
  .filter(e => e.checkVisibility())
  .map(e => [e.textContent.trim().slice(0, 40), e.getBoundingClientRect().height])
  .filter(([, height]) => height < 24)"""

# Elements that stick out of the page although no region of their own scrolls them.
STICKING_OUT = """() => [...document.querySelectorAll('main *')]
  .filter(e => !e.closest('.scroll') && !e.closest('svg') && !e.closest('.visually-hidden')
    && !e.closest('.cards > thead') && e.checkVisibility())
  .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(e => e.tagName + ' ' + e.className + ' ' + e.textContent.trim().slice(0, 40))"""

# Contrast of every visible text against the nearest painted background (WCAG 2.2, 1.4.3).
LOW_CONTRAST = """() => {
  const rgb = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = rgb(c).slice(0, 3).map(v => { v /= 255;
    return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b; };
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if ((rgb(c)[3] ?? 1) > .99) return c;
    }
    return 'rgb(255, 255, 255)';
  };
  const low = [];
  for (const e of document.querySelectorAll('body *')) {
    if (e.closest('svg, .visually-hidden') || !e.checkVisibility()) continue;
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    if ((a + .05) / (b + .05) < 4.5) low.push(e.className + ': ' + e.textContent.slice(0, 40));
  }
  return low;
}"""


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


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    pages = render(site_rows.rows(), site_rows.figures(), on=site_rows.DAY, version="0.1.0")
    for path, text in pages.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def contexts(chromium):
    """One window for each width and scheme: opening them is what takes time."""
    known = {}
    yield known
    for context in known.values():
        context.close()


@pytest.fixture
def opened(chromium, site, contexts):
    """Open a page at a width and in a scheme; every page is closed at the end."""
    pages = []

    def opening(name, width, scheme="light"):
        if (width, scheme) not in contexts:
            contexts[width, scheme] = chromium.new_context(
                viewport={"width": width, "height": 800}, color_scheme=scheme
            )
        page = contexts[width, scheme].new_page()
        pages.append(page)
        page.goto((site / f"{name}.html").as_uri())
        return page

    yield opening
    for page in pages:
        page.close()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_no_page_scrolls_sideways_and_no_text_is_tiny(opened, name, width):
    page = opened(name, width)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(STICKING_OUT) == []
    size, what = page.evaluate(SMALLEST_TEXT)
    assert size >= 12, what
    assert page.evaluate(SMALL_TARGETS) == []


@pytest.mark.parametrize("name", ["index", "claims/walking-sleep"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(opened, name, scheme):
    page = opened(name, WIDE, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate(LOW_CONTRAST) == []


def test_on_a_phone_targets_that_stand_alone_are_as_tall_as_a_finger(opened):
    page = opened("claims/walking-sleep", PHONE)
    heights = page.evaluate(
        "[...document.querySelectorAll('.masthead a, .contents a, main > section summary')]"
        ".filter(e => e.checkVisibility()).map(e => e.getBoundingClientRect().height)"
    )
    assert len(heights) > 15
    assert min(heights) >= 44


def test_on_a_phone_wide_tables_are_cards_or_scroll_in_a_region_that_says_so(opened):
    page = opened("claims/walking-sleep", PHONE)
    assert page.locator(".evidence tbody tr td").first.evaluate(
        "e => getComputedStyle(e).display"
    ) == ("block")
    wide = page.evaluate(
        "[...document.querySelectorAll('.scroller')].filter(e => e.checkVisibility()).map(e => ["
        "e.firstElementChild.scrollWidth > e.firstElementChild.clientWidth,"
        "getComputedStyle(e.querySelector('.hint')).visibility])"
    )
    assert any(scrolls for scrolls, _ in wide)
    assert all((seen == "visible") == scrolls for scrolls, seen in wide)


@pytest.mark.parametrize(("width", "side_by_side"), [(WIDE, True), (360, False)])
def test_concepts_stand_side_by_side_where_there_is_room(opened, width, side_by_side):
    page = opened("claims/walking-sleep", width)
    boxes = page.evaluate(
        "[...document.querySelectorAll('.joined.across > .concept')]"
        ".map(e => e.getBoundingClientRect()).map(r => [r.left, r.right, r.top, r.bottom])"
    )
    assert len(boxes) >= 2
    for before, after in itertools.pairwise(boxes):
        if side_by_side:
            assert before[1] <= after[0]
            assert before[2] == after[2]
        else:
            assert before[3] <= after[2]
            assert before[:2] == after[:2]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_skip_link_is_first_and_a_focus_can_be_seen(opened):
    page = opened("claims/walking-sleep", WIDE)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_number_is_traced_by_three_clicks(opened):
    page = opened("index", WIDE)
    page.click("#claim-walking-sleep .estimate a")
    assert "rows-trials" in page.url
    page.click("table:has(#rows-trials) tbody tr:first-child a")
    row = page.locator(":target")
    assert "extracted/walking-sleep/effects.csv:2" in row.inner_text().replace("\n", "")
    hand = row.locator("xpath=following-sibling::tr[1]")
    hand.locator("summary").click()
    assert "J = 1 − 3/" in hand.inner_text()


def test_a_link_to_a_folded_row_opens_what_folds_it(opened):
    page = opened("claims/cold-focus", WIDE)
    page.evaluate("location.hash = 'row-Virtanen2008_2'")
    page.wait_for_function("document.querySelector(':target').checkVisibility()", timeout=2000)


def test_on_paper_everything_folded_is_open_and_the_navigation_is_gone(opened):
    page = opened("claims/walking-sleep", WIDE)
    page.emulate_media(media="print")
    assert not page.locator(".masthead").is_visible()
    assert page.locator(".strategy .formula").first.is_visible()
    assert page.locator(".derivation .formula").first.is_visible()
    content = page.locator("td a[href^='https']").first.evaluate(
        "e => getComputedStyle(e, '::after').content"
    )
    assert "https://" in content
    paper = page.pdf(prefer_css_page_size=True)
    assert paper.startswith(b"%PDF")
    box = re.search(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)", paper)
    assert [round(float(side)) for side in box.groups()] == [595, 842]  # A4 in points


@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (PHONE, "dark")])
def test_a_screenshot_shows_more_than_a_blank_page(opened, tmp_path, width, scheme):
    page = opened("index", width, scheme)
    picture = tmp_path / f"index-{width}.png"
    page.screenshot(path=picture, full_page=True)
    assert picture.stat().st_size > 30_000
