"""The pages as text: whole, linked, accessible, escaped, and the same twice."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import posixpath
import re
import subprocess
import sys
from urllib.parse import unquote, urlsplit

import lxml.html
import pytest

from evidence.site import Figure, Stale, downloads, mark_stale, render
from evidence.site.drawings import Bar, inline, strip, ticks
from evidence.site.words import capital, day, p_words, plural, safe_url, sentence, split_urls
from meta.errors import ToolkitError
from meta.measures import measure_named
from meta.results import show
from tests import site_rows

SPACE = re.compile(r"\s+")


@pytest.fixture(scope="module")
def rows():
    return site_rows.rows()


@pytest.fixture(scope="module")
def pages(rows):
    return render(rows, site_rows.figures(), on=site_rows.DAY, version="0.1.0")


@pytest.fixture(scope="module")
def trees(pages):
    return {p: lxml.html.document_fromstring(t) for p, t in pages.items() if p.endswith(".html")}


BLOCKS = ("td", "th", "tr", "dt", "dd", "li", "p", "h1", "h2", "h3", "h4", "caption", "summary")


def words(element) -> str:
    """The text as it is read: blocks are apart, spans are not."""
    return SPACE.sub(" ", "".join(_pieces(element))).strip()


def _pieces(element):
    yield element.text or ""
    for child in element:
        if isinstance(child.tag, str):
            yield from _pieces(child)
            yield " " if child.tag in BLOCKS else ""
        yield child.tail or ""


def of(trees, claim):
    return trees[f"claims/{claim}.html"]


def section(tree, ident):
    """The section or analysis that a heading names."""
    return tree.xpath(f"//*[@aria-labelledby='{ident}']")[0]


# ---- the whole ------------------------------------------------------------------------------


def test_a_page_for_every_claim_and_the_three_that_hold_them_together(pages):
    assert set(pages) == {
        "index.html",
        "about.html",
        "style.css",
        "claims/walking-sleep.html",
        "claims/tea-dreams.html",
        "claims/light-naps.html",
        "claims/cold-focus.html",
    }


def test_the_same_rows_give_the_same_bytes(pages):
    again = render(site_rows.rows(), site_rows.figures(), on=site_rows.DAY, version="0.1.0")
    assert again == pages


def test_the_bytes_do_not_hang_on_the_order_of_hashes(pages, root):
    code = (
        "import sys, hashlib; sys.path.insert(0, '.'); from tests import site_rows as s; "
        "from evidence.site import render; "
        "p = render(s.rows(), s.figures(), on=s.DAY, version='0.1.0'); "
        "print(hashlib.sha256(repr(sorted(p.items())).encode()).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={"PYTHONHASHSEED": seed, "MPLBACKEND": "Agg"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_every_internal_link_and_anchor_leads_somewhere(pages, trees, rows):
    figures = site_rows.figures()
    promised = {d for r in rows for d in downloads(r, figures.get(r.claim.id, ()))}
    ids = {path: {e.get("id") for e in tree.xpath("//*[@id]")} for path, tree in trees.items()}
    followed = 0
    for path, tree in trees.items():
        for href in tree.xpath("//@href"):
            parts = urlsplit(href)
            if parts.scheme:
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), parts.path))
            target = path if not parts.path else target
            assert target in pages or target in promised, f"{path}: {href}"
            if parts.fragment:
                assert unquote(parts.fragment) in ids[target], f"{path}: {href}"
            followed += 1
    assert followed > 100


def test_every_promised_download_is_linked(trees, rows):
    figures = site_rows.figures()
    for row in rows:
        hrefs = set(of(trees, row.claim.id).xpath("//a[@download]/@href"))
        assert hrefs == {"../" + d for d in downloads(row, figures.get(row.claim.id, ()))}


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(pages, trees):
    for path, tree in trees.items():
        assert not tree.xpath("//script | //iframe | //object | //img | //video | //audio"), path
        assert all(h.endswith("style.css") for h in tree.xpath("//link/@href")), path
        assert not [a for e in tree.iter() for a in e.attrib if a.lower().startswith("on")], path
        for use in tree.xpath("//*[local-name()='use' or local-name()='image']"):
            assert next(v for k, v in use.items() if k.endswith("href")).startswith("#")
    assert "@import" not in pages["style.css"]
    assert "url(" not in pages["style.css"]


def test_titles_are_shown_and_never_run(pages):
    text = pages["claims/walking-sleep.html"]
    assert "<script" not in text.lower()
    assert "&lt;script&gt;alert(&#34;sleep&#34;)&lt;/script&gt; &amp; other" in text


def test_an_address_that_is_no_web_address_is_never_linked(pages, trees):
    assert "javascript:" not in pages["claims/walking-sleep.html"]
    assert words(section(of(trees, "walking-sleep"), "direction")).count("Wu 2021") >= 1
    assert safe_url("https://example.org/a") == "https://example.org/a"
    for bad in (None, "", "javascript:alert(1)", "data:text/html,x", "//example.org", "http://["):
        assert safe_url(bad) is None


# ---- structure ------------------------------------------------------------------------------


def test_each_page_has_its_language_one_heading_landmarks_and_a_skip_link(trees):
    for path, tree in trees.items():
        assert tree.get("lang") == "en-GB"
        assert len(tree.xpath("//h1")) == len(tree.xpath("//main")) == 1, path
        assert tree.xpath("//header")
        assert tree.xpath("//footer")
        assert tree.xpath("//nav")
        skip = tree.xpath("//body/a[1]")[0]
        assert skip.get("href") == "#main"
        assert tree.xpath("//main/@id") == ["main"]
        assert tree.xpath("//title")[0].text
        assert tree.xpath("//meta[@name='viewport']")


def test_headings_go_down_one_step_at_a_time(trees):
    for path, tree in trees.items():
        levels = [int(h.tag[1]) for h in tree.xpath("//h1 | //h2 | //h3 | //h4 | //h5")]
        assert levels[0] == 1
        for before, after in itertools.pairwise(levels):
            assert after <= before + 1, f"{path}: h{before} then h{after}"


def test_every_table_has_a_caption_and_every_heading_cell_its_scope(trees):
    tables = 0
    for path, tree in trees.items():
        for table in tree.xpath("//table"):
            tables += 1
            assert words(table.xpath("./caption")[0]), path
            assert table.xpath("./thead/tr/th"), path
            for th in table.xpath(".//th"):
                assert th.get("scope") in ("col", "row", "rowgroup"), lxml.html.tostring(th)
            wide = len(table.xpath("./thead/tr/th"))
            for tr in table.xpath("./tbody/tr"):
                assert wide == sum(int(c.get("colspan", 1)) for c in tr.xpath("./th | ./td"))
    assert tables > 30


def test_a_table_that_becomes_cards_keeps_its_roles(trees):
    roles = {"thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "td": "cell"}
    for tree in trees.values():
        for table in tree.xpath("//table[contains(@class, 'cards')]"):
            assert table.get("role") == "table"
            for element in table.iter(*roles):
                assert element.get("role") == roles[element.tag]
            for th in table.iter("th"):
                assert th.get("role") == (
                    "columnheader" if th.get("scope") == "col" else "rowheader"
                )


def test_ids_are_unique_though_two_figures_use_the_same_ones(trees):
    for path, tree in trees.items():
        ids = tree.xpath("//@id")
        assert len(ids) == len(set(ids)), path
    tree = of(trees, "walking-sleep")
    for name, prefix in (("forest-trials", "f0"), ("forest-published", "f1")):
        figure = tree.xpath(f"//figure[@id='figure-{name}']")[0]
        assert (
            figure.xpath(".//*[local-name()='use']/@*[contains(name(), 'href')]")[0]
            == f"#{prefix}-box"
        )
        assert figure.xpath(".//*[@clip-path]/@clip-path") == [f"url(#{prefix}-c1)"]


def test_every_picture_says_in_words_what_it_shows(trees):
    for path, tree in trees.items():
        for svg in tree.xpath("//*[local-name()='svg']"):
            assert svg.get("role") in ("img", "group"), path
            assert len(svg.get("aria-label")) > 10, path
    assert (
        "Forest plot: Evening walks"
        in of(trees, "walking-sleep").xpath(
            "//figure[@id='figure-forest-trials']//*[local-name()='svg']/@aria-label"
        )[0]
    )


def test_regions_that_scroll_can_be_reached_by_keyboard_and_have_a_name(trees):
    for tree in trees.values():
        for region in tree.xpath("//*[contains(concat(' ', @class, ' '), ' scroll ')]"):
            assert region.get("tabindex") == "0"
            assert region.get("role") == "region"
            name = region.get("aria-label") or words(
                tree.xpath(f"//*[@id='{region.get('aria-labelledby')}']")[0]
            )
            assert name


# ---- numbers and their rows -------------------------------------------------------------------


def test_each_estimate_stands_in_a_row_that_carries_its_id_source_and_line(trees, rows):
    seen = 0
    for row in rows:
        tree = of(trees, row.claim.id)
        for analysis in row.analyses:
            measure = measure_named(analysis.plan.measure)
            for estimate in (*analysis.estimates, *analysis.extra):
                (line,) = tree.xpath(f"//tr[@id='row-{estimate.row.effect_id}']")
                text = words(line)
                assert show(measure.natural(estimate.yi)) in text
                assert str(estimate.row.at) in text
                assert estimate.row.effect_id in text
                hand = words(line.getnext())
                assert estimate.derivation in hand
                assert f"yi = {show(estimate.yi, 4)}, vi = {show(estimate.vi, 4)}" in hand
                for assumption in estimate.assumptions:
                    assert sentence(assumption) in hand
                seen += 1
    assert seen == 10


def test_a_row_without_a_number_has_its_place_too(trees, rows):
    for row in rows:
        tree = of(trees, row.claim.id)
        for effect in row.extraction.effects:
            (line,) = tree.xpath(f"//tr[@id='row-{effect.effect_id}']")
            assert str(effect.at) in words(line)


def test_a_row_that_nobody_listed_is_shown_with_the_reason(rows):
    forgotten = dataclasses.replace(rows[0], direction_rows=())
    page = render([forgotten], {}, on=site_rows.DAY, version="1")["claims/walking-sleep.html"]
    table = lxml.html.document_fromstring(page).xpath("//*[@id='other-rows-table']/..")[0]
    lines = {tr.get("id"): words(tr) for tr in table.xpath("./tbody/tr")}
    assert set(lines) == {"row-Fálki2020_8", "row-Wu2021_10", "row-Wu2021_11"}
    assert "The paper was retracted" in lines["row-Fálki2020_8"]
    assert "Belongs to no analysis of the plan" in lines["row-Wu2021_11"]


def test_a_pooled_number_leads_to_the_rows_that_went_in(trees, rows):
    tree, trials = of(trees, "walking-sleep"), rows[0].analyses[0]
    pooled = show(trials.result.estimate)
    links = [a for a in tree.xpath("//a[@href='#rows-trials']") if words(a) == pooled]
    assert len(links) >= 2
    front = trees["index.html"].xpath("//a[@href='claims/walking-sleep.html#rows-trials']")
    assert [words(a) for a in front] == [pooled]
    table = tree.xpath("//*[@id='rows-trials']/ancestor::table")[0]
    linked = [unquote(h) for h in table.xpath(".//tbody//a/@href")]
    assert linked == [f"#row-{e.row.effect_id}" for e in (*trials.estimates, *trials.extra)]
    weights = [words(td) for td in table.xpath(".//tbody/tr/td[last()]")]
    assert weights[:-1] == [f"{100 * w:.1f}%" for w in trials.result.weights]
    assert weights[-1] == "not pooled"


def test_a_pooled_analysis_says_how_and_on_which_scale(trees, rows):
    text = words(section(of(trees, "walking-sleep"), "analysis-trials"))
    result = rows[0].analyses[0].result
    assert result.heterogeneity() in text
    assert "Random effects, DL, Knapp-Hartung" in text
    assert "Three or more estimates and τ² above zero. Wald instead:" in text
    assert "t distribution, 3 degrees of freedom" in text
    assert "Leaving out one study at a time: the estimate runs from 0.36 to 0.50" in text
    assert "Without Trần 2023" in text
    assert "τ² by Paule-Mandel" in text
    assert "1 study left: nothing to pool." in text


def test_correlations_and_ratios_are_turned_back_and_both_scales_are_named(trees):
    text = words(section(of(trees, "tea-dreams"), "analysis-correlation"))
    assert "0.50 (95% CI 0.23 to 0.70)" in text  # tanh(0.5493), tanh(0.5493 ± 1.96/√38)
    assert "0.549" in text
    assert "Fisher’s z" in text
    text = words(section(of(trees, "light-naps"), "analysis-naps"))
    assert "0.55 (95% CI 0.36 to 0.85)" in text
    assert "−0.598" in text
    assert "Natural logarithm" in text


def test_two_stand_side_by_side_and_their_pool_is_a_note(trees, rows):
    note = rows[1].analyses[0].note_only
    tree = of(trees, "tea-dreams")
    big = tree.xpath("//*[@class='side-by-side']//a")
    assert [words(a) for a in big] == ["0.50", "−0.10"]
    assert "Pool, as a note only" in words(section(tree, "analysis-correlation"))
    front = words(trees["index.html"].xpath("//tr[@id='claim-tea-dreams']")[0])
    assert "2 estimates side by side, not pooled" in front
    assert show(measure_named("ZCOR").natural(note.estimate)) not in front


def test_without_a_number_the_reason_and_the_directions_are_said(trees):
    front = words(trees["index.html"].xpath("//tr[@id='claim-cold-focus']")[0])
    assert "No poolable effect" in front
    assert "No effect size can be computed from what was reported" in front
    assert "4 positive, 1 negative, 0 mixed, 2 of unknown direction" in front
    block = section(of(trees, "cold-focus"), "direction")
    tallies = [[words(td) for td in t.xpath(".//td")] for t in block.xpath(".//table")[:2]]
    assert tallies == [["4", "1", "0", "2"], ["4", "6"]]
    listing = block.xpath(".//details//table")[0]
    assert [words(th) for th in listing.xpath("./thead//th")][2:4] == [
        "Direction",
        "Reported significant",
    ]
    assert len(listing.xpath("./tbody/tr")) == 14


def test_published_results_stand_below_ours(trees):
    block = section(of(trees, "walking-sleep"), "published")
    firsts = [words(th) for th in block.xpath(".//tbody/tr/th")]
    assert firsts == ["This page", "Rossi 2022", "Yamada 2018"]
    assert "extracted/walking-sleep/published.csv:2" in words(block)
    assert "“most trials favoured exercise”" in words(block)


# ---- what is not there ------------------------------------------------------------------------


def test_three_kinds_of_nothing_are_told_apart(trees):
    facts = words(trees["index.html"].xpath("//tr[@id='claim-cold-focus']/td[last()]")[0])
    assert "Risk of bias not assessed" in facts
    assert "Certainty not rated" in facts
    assert "never searched from this copy" in facts
    people = words(trees["index.html"].xpath("//tr[@id='claim-cold-focus']/td[2]")[0])
    assert "People in them not applicable" in people
    row = words(of(trees, "tea-dreams").xpath("//tr[@id='row-Müller-Lüdenscheidt2020_3']")[0])
    assert "not reported" in row  # the population
    about = words(trees["about.html"])
    assert all(word in about for word in ("Not assessed", "Not reported", "Not applicable"))


def test_never_searched_and_searched_are_said_differently(trees):
    never = words(section(of(trees, "tea-dreams"), "search"))
    assert "never searched from this copy" in never
    assert "Records found" not in never
    ran = words(section(of(trees, "walking-sleep"), "search"))
    assert "Date 11 March 2026" in ran
    assert "Records found 60" in ran
    assert '"walking"[MeSH Terms] OR "walk*"[Title/Abstract]' in ran
    assert "Phrase not found: evening exercise." in ran
    assert "3 February 2026: 55 records, full search" in ran
    half = words(trees["index.html"].xpath("//tr[@id='claim-light-naps']")[0])
    assert "12 March 2026 (incomplete; the earlier state is kept)" in half


def test_a_retraction_is_at_the_head_and_at_the_row(trees):
    tree = of(trees, "walking-sleep")
    assert "Fálki 2020 was retracted" in words(tree.xpath("//aside")[0])
    assert "Fálki 2020 was retracted" in words(trees["index.html"])
    assert "Retracted" in words(tree.xpath("//tr[@id='row-Fálki2020_8']")[0])


def test_a_retraction_that_a_notice_names_is_said_once(rows):
    told = dataclasses.replace(rows[0], notices=("Fálki 2020 (PMID 1) was retracted: it is out.",))
    page = render([told], {}, on=site_rows.DAY, version="1")["claims/walking-sleep.html"]
    assert page.count("was retracted: ") == 1


def test_the_strategy_is_numbered_line_by_line_with_its_reasons(trees):
    block = section(of(trees, "walking-sleep"), "search")
    table = block.xpath(".//table[caption='Search strategy, line by line']")[0]
    lines = [words(tr) for tr in table.xpath(".//tr[not(contains(@class, 'group'))]")[1:]]
    assert lines[0] == "#1 walking[mh] OR walk*[tiab] The plain words."
    assert lines[2].startswith("#3 #1 OR #2")
    assert lines[-1].startswith("#6 #3 AND #4 NOT #5")


def test_the_reading_order_shows_fifty_and_leads_to_all(trees):
    block = section(of(trees, "walking-sleep"), "reading")
    assert len(block.xpath(".//tbody/tr")) == 50
    assert words(block).startswith("Reading order 60 records in the order")
    assert "Ranked by: likeness to the claim's own protocol." in words(block)
    assert "0.980" in words(block.xpath(".//tbody/tr[1]")[0])
    assert block.xpath(".//a[@download]/@href") == ["../data/walking-sleep/reading-order.csv"]
    assert "Not applicable" in words(section(of(trees, "tea-dreams"), "reading"))


def test_the_plan_says_when_it_was_written_against_the_data(trees):
    text = words(section(of(trees, "walking-sleep"), "plan"))
    assert "Written on 2 February 2026, after the data were seen." in text
    assert "0.40, 0.80" in text
    assert "Öztürk 2011 implies 0.58." in text


def test_screening_and_bias_are_not_assessed_until_a_person_did_it(trees):
    none = words(section(of(trees, "walking-sleep"), "appraisal"))
    assert "Not assessed: no reviewer has screened" in none
    assert "2 studies came in with the founding collection" in none
    judged = words(section(of(trees, "tea-dreams"), "appraisal"))
    assert "some concerns" in judged
    assert "A. Reader, 12 March 2026" in judged


def test_an_analysis_without_a_figure_is_drawn_small_and_says_so(trees):
    text = words(section(of(trees, "walking-sleep"), "analysis-before-after"))
    assert "No full forest plot was drawn for this build." in text
    assert "Cannot decide: no control group" in text


def test_the_about_page_traces_a_real_number(trees, rows):
    text = words(trees["about.html"].xpath("//p[@class='worked']")[0])
    first = rows[0].analyses[0].estimates[0]
    assert first.label in text
    assert str(first.row.at) in text


def test_a_site_without_claims_says_so():
    page = render([], {}, on=site_rows.DAY, version="1")["index.html"]
    assert "No claim has been published yet." in page


# ---- a claim that could not be rebuilt ----------------------------------------------------------


def test_a_stale_claim_keeps_its_page_and_says_since_when(pages, rows):
    old = Stale(
        "tea-dreams", "Tea and <dreams>", "Uncertain", dt.date(2026, 3, 1), "cell 9\n  is empty"
    )
    page = pages["claims/tea-dreams.html"]
    marked = mark_stale(page, old)
    said = "This claim could not be rebuilt; the state of 1 March 2026 is shown."
    assert said in words(lxml.html.document_fromstring(marked))
    assert mark_stale(marked, old) == marked
    assert '<meta name="built" content="2026-03-12">' in page
    site = render(rows[:1], {}, on=site_rows.DAY, version="1", stale=[old])
    front = lxml.html.document_fromstring(site["index.html"])
    line = front.xpath("//tr[@id='claim-tea-dreams']")[0]
    assert said + " Reason: cell 9 is empty." in words(line)
    assert "Tea and <dreams>" in words(line)
    assert "2 claims" in words(front)
    assert "claims/tea-dreams.html" not in site


# ---- small parts ---------------------------------------------------------------------------------


def test_an_address_inside_a_place_gets_a_link_of_its_own():
    assert split_urls("Table 2") == [("Table 2", None)]
    assert split_urls("") == []
    assert split_urls("row 4, values: https://example.org/a/long/path.csv.") == [
        ("row 4, values: ", None),
        ("example.org/…", "https://example.org/a/long/path.csv"),
        (".", None),
    ]


@pytest.mark.parametrize(
    ("text", "p", "said"),
    [
        ("<0.05", None, "p <0.05"),
        ("0.012", None, "p = 0.012"),
        ("ns", None, "as printed: ns"),
        ("", 0.0123, "p = 0.012"),
    ],
)
def test_p_is_said_as_it_was_printed(text, p, said):
    assert p_words(text, p) == said


def test_words_keep_to_english():
    assert plural(1, "study") == "1 study"
    assert plural(1234, "study") == "1,234 studies"
    assert capital("τ² by Paule-Mandel") == "τ² by Paule-Mandel"
    assert capital("p = 0.03") == "p = 0.03"
    assert capital("a pool") == "A pool"
    assert str(day(dt.date(2026, 3, 2))) == '<time datetime="2026-03-02">2 March 2026</time>'


@pytest.mark.parametrize(
    ("key", "axis", "labels"),
    [
        ("SMD", (-0.6, 1.3), ["−0.5", "0.0", "0.5", "1.0"]),
        ("RR", (-1.2, 0.2), ["0.5", "1"]),
        ("ZCOR", (-0.5, 1.0), ["0", "0.5", "0.7"]),
    ],
)
def test_ticks_are_round_numbers_on_the_scale_that_people_read(key, axis, labels):
    assert [label for _, label in ticks(axis, measure_named(key))] == labels


def test_a_miniature_without_width_still_has_an_axis():
    drawn = strip([Bar(0.0, 0.0, 0.0, "study")], measure_named("SMD"), alt="nothing <at> all")
    assert "nan" not in drawn
    assert "nothing &lt;at&gt; all" in drawn


@pytest.mark.parametrize(
    "svg",
    [
        "<svg",
        '<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" onload="1"/>',
        '<svg xmlns="http://www.w3.org/2000/svg"><image href="https://example.org/x.png"/></svg>',
    ],
)
def test_a_drawing_that_is_broken_or_would_load_something_is_refused(svg):
    with pytest.raises(ToolkitError, match="figure bad"):
        inline(svg, prefix="bad", alt="x")


def test_a_figure_of_no_analysis_stands_with_the_published(rows):
    figure = Figure("funnel", "A funnel", "a funnel plot of five", site_rows.SVG)
    pages = render(rows[:1], {"walking-sleep": [figure]}, on=site_rows.DAY, version="1")
    tree = lxml.html.document_fromstring(pages["claims/walking-sleep.html"])
    assert section(tree, "published").xpath(".//*[@id='figure-funnel']")
