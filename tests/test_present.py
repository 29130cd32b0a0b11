"""How results show themselves, and how tables come in."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import warnings
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st
from matplotlib.mathtext import MathTextParser

import meta
import meta.conversions
from meta.errors import InputError, UnknownName
from meta.present import Column, Presented, Table, latex, show, show_p, table_of
from tests.conftest import ROOT

COLUMNS = {"events_1": "tpos", "total_1": "n1", "events_2": "cpos", "total_2": "n2"}


@pytest.fixture(scope="module")
def bcg():
    """Thirteen trials of Colditz et al. (1994), JAMA 271:698-702."""
    table = pd.read_csv(ROOT / "docs/data/bcg.csv")
    return table.assign(n1=table.tpos + table.tneg, n2=table.cpos + table.cneg)


@pytest.fixture(scope="module")
def effects(bcg):
    return meta.effects("RR", data=bcg, study="study", **COLUMNS)


@pytest.fixture(scope="module")
def results(bcg, effects):
    """One result of each kind that an analysis of the trials gives."""
    model = meta.regress(effects, bcg[["ablat"]], tau2="ML")
    everything = meta.gosh(effects, tau2="DL")
    found = [
        effects,
        meta.pool(effects),
        model,
        model.moderators,
        meta.predict(model),
        meta.compare(model, meta.regress(effects, tau2="ML")),
        meta.subgroups(effects, bcg.alloc),
        meta.tau2_interval(effects),
        meta.egger(effects),
        meta.rank_test(effects),
        meta.fail_safe_n(effects),
        meta.excess_significance(effects),
        meta.pet_peese(effects),
        meta.trim_and_fill(effects),
        meta.henmi_copas(effects),
        meta.leave_one_out(effects),
        meta.influence(effects),
        meta.shrink(effects),
        meta.mantel_haenszel(data=bcg, study="study", **COLUMNS),
        meta.glmm("OR", data=bcg, study="study", **COLUMNS),
        everything,
        meta.gosh_clusters(everything),
        meta.permutation_test(effects),
        meta.bootstrap(effects, draws=20, rng=np.random.default_rng(1)),
        meta.location_scale(effects, scale=bcg[["ablat"]]),
        meta.power_of_studies(effects),
        meta.power_of_pool(effects, -0.3),
        meta.sign_test(7, 2),
        meta.combine_p([0.01, 0.2, 0.3]),
    ]
    return {type(result).__name__: result for result in found}


class _Reader(HTMLParser):
    """Checks that tags close in order, and collects the texts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(page: str) -> list[str]:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader.texts


def test_every_result_shows_a_block_a_page_a_latex_table_and_a_frame(results):
    for name, result in results.items():
        assert isinstance(result, Presented), name
        assert result.summary().strip(), name
        assert str(result) == result.summary(), name
        assert any(text.strip() for text in read(result._repr_html_())), name
        tables = result.to_latex()
        assert tables.count(r"\begin{tabular}") == tables.count(r"\end{tabular}") >= 1, name
        frame = result.frame()
        assert len(frame) == len(result.rows()), name
        assert list(frame.columns) == list(dict.fromkeys(k for r in result.rows() for k in r)), name


def test_no_text_for_people_has_a_hyphen_for_a_minus_or_shows_nan(results):
    for name, result in results.items():
        shown = [result.summary(), "\n".join(t.text() for t in result._tables())]
        for text in shown:
            assert not re.search(r"(^|[\s(])-\d", text), name
            assert "nan" not in text.lower().split(), name


def test_every_result_class_of_the_package_can_show_itself():
    missing = []
    for module in pkgutil.walk_packages(meta.__path__, "meta."):
        if module.name.startswith("meta.plots"):
            continue
        for name, found in inspect.getmembers(
            importlib.import_module(module.name), inspect.isclass
        ):
            documented = hasattr(found, "summary") and found.__module__ == module.name
            if documented and not issubclass(found, Presented):
                missing.append(f"{module.name}.{name}")
    assert missing == []


def test_a_pooled_effect_shows_the_scale_that_people_read_and_hands_back_the_other(effects):
    pooled = meta.pool(effects)
    text = pooled._tables()[0].text()
    assert "Risk ratio, random effects, REML, Knapp-Hartung" in text
    assert re.search(r"^pooled +0\.49  0\.33 to 0\.73  100\.0%$", text, re.M)
    assert re.search(r"^prediction interval +–  0\.13 to 1\.79 +–$", text, re.M)
    frame = pooled.frame().set_index("study")
    assert frame.loc["pooled", "yi"] == pooled.estimate
    assert frame.loc["Aronson 1948", "vi"] == effects.vi[0]


def test_effects_come_back_from_their_own_frame(effects):
    frame = effects.frame()
    again = meta.given(data=frame, yi="yi", vi="vi", study="study", measure="RR")
    assert again.yi.tolist() == effects.yi.tolist()
    assert again.study == effects.study


def test_a_gosh_result_shows_quantiles_and_not_every_subset(results):
    text = results["GoshResult"]._tables()[0].text()
    assert "8,191 subsets" in text
    assert len(text.splitlines()) < 12


def test_a_long_table_says_how_many_rows_it_does_not_show():
    table = table_of("Many", [{"study": f"s{i}", "yi": 0.0} for i in range(500)])
    assert len(table.rows) == 200
    assert table.notes == ("300 further rows are not shown; frame() has them all",)


def test_a_long_pooled_table_still_ends_with_the_pool():
    many = meta.given(np.linspace(-1, 1, 300), np.full(300, 0.1))
    rows = meta.pool(many)._tables()[0].cells()
    assert len(rows) == 200
    assert [row[0] for row in rows[-2:]] == ["pooled", "prediction interval"]


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        (-0.0001, Column("x"), "−1.00e−04"),
        (-0.0001, Column("x", digits=2), "0.00"),
        (float("nan"), Column("x"), "–"),
        (None, Column("x"), "–"),
        (True, Column("x"), "yes"),
        (np.bool_(False), Column("x"), "no"),
        (12345, Column("x"), "12,345"),
        (-3.0, Column("x", "count"), "−3"),
        (0.00001, Column("p", "p"), "<0.001"),
        (0.0321, Column("p", "p"), "0.032"),
        (0.9222, Column("x", "percent"), "92.2%"),
        ((-1.0, 2.0), Column("x", "interval"), "−1.000 to 2.000"),
        ((float("nan"), float("nan")), Column("x", "interval"), "–"),
        ((float("-inf"), 1.0), Column("x", "interval", 1), "−inf to 1.0"),
        ((0.5, -0.25), Column("x", digits=1), "0.5, −0.2"),
        (3e9, Column("x"), "3.00e+09"),
    ],
)
def test_a_cell_is_written_for_people(value, column, text):
    assert column.cell(value) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a_b & 5% #1 $2 {x} ~ ^ \\",
            r"a\_b \& 5\% \#1 \$2 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{}",
        ),
        ("−0.71", "$-$0.71"),
        ("τ² = 0.3", r"$\tau^2$ = 0.3"),
        ("p < 0.001", "p $<$ 0.001"),
        ("–", "--"),
        ("$−1", r"\$$-$1"),
        ("Müller 2019", "Müller 2019"),
    ],
)
def test_latex_escapes_what_is_special_and_sets_signs_as_mathematics(text, expected):
    assert latex(text) == expected


@forall(st.text(alphabet="ab_&%$#{}~^\\−<>τ²χ–|×≥ 1", max_size=30))
def test_no_text_breaks_a_latex_table(text):
    made = latex(text)
    assert made.count("$") % 2 == made.count(r"\$") % 2
    parser = MathTextParser("path")
    for part in re.findall(r"(?<!\\)\$((?:\\.|[^$\\])*)\$", made):
        parser.parse(f"${part}$")
    bare = re.sub(r"\\(textbackslash|textasciitilde|textasciicircum)\{\}", "", made)
    assert not re.search(r"(?<!\\)[&%#_{}]", re.sub(r"(?<!\\)\$(?:\\.|[^$\\])*\$", "", bare))


@forall(st.text(max_size=40), st.floats(allow_nan=True), st.text(max_size=10))
def test_no_name_escapes_its_cell_in_html(name, value, note):
    table = Table(name, (Column(name, "text"), Column("x")), ((name, value),), (note,), apart=1)
    texts = "".join(read(table.html()))
    if name.isprintable():
        assert texts.count(name) >= 3 or not name
    assert "<script" not in table.html().lower()


def test_names_with_markup_are_shown_and_not_run():
    study = ["<script>alert(1)</script>", "A & B", "C_1 50%"]
    pooled = meta.pool(meta.given([0.1, 0.2, 0.3], [0.1, 0.1, 0.2], study=study))
    assert "<script>alert(1)</script>" in read(pooled._repr_html_())
    assert "&lt;script&gt;" in pooled._repr_html_()
    assert r"A \& B" in pooled.to_latex()
    assert r"C\_1 50\%" in pooled.to_latex()


def test_one_study_and_identical_effects_show_dashes_where_nothing_is_defined():
    one = meta.pool(meta.given([0.3], [0.1], study=["Only 2001"]))
    assert "nan" not in one._tables()[0].text()
    assert "prediction interval" not in one._tables()[0].text()
    same = meta.pool(meta.given([0.3] * 3, [0.1] * 3), ci="Knapp-Hartung")
    assert "nan" not in same._repr_html_()


def test_numbers_and_p_values_are_shown_as_before():
    assert (show(-0.0001), show(-1.5), show(None)) == ("0.00", "−1.50", "–")
    assert (show_p(0.0004), show_p(0.5), show_p(float("nan"))) == ("p < 0.001", "p = 0.500", "p –")


def test_importing_and_showing_needs_no_pandas():
    code = (
        "import sys, meta\n"
        "r = meta.pool(meta.given([.1, .2, .4], [.1, .1, .2]))\n"
        "str(r), r._repr_html_(), r.to_latex()\n"
        "print('pandas' in sys.modules)\n"
        "r.frame()\n"
        "print('pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]


def test_a_function_keeps_its_name_when_the_module_of_that_name_is_imported():
    for name in ("gosh", "influence", "glmm", "subgroups", "location_scale"):
        module = importlib.import_module(f"meta.{name}")
        assert inspect.ismodule(module)
        assert inspect.isfunction(getattr(meta, name)), name


def test_every_name_that_the_package_offers_is_there():
    assert [name for name in dir(meta) if getattr(meta, name, None) is None] == []


# Tables that come in.


@pytest.mark.parametrize("kind", ["Int64", "Float64", "object", "string", "category"])
def test_columns_of_every_kind_give_the_same_effects(bcg, effects, kind):
    table = bcg.assign(**{name: bcg[name].astype(kind) for name in ("tpos", "n1", "cpos", "n2")})
    found = meta.effects("RR", data=table, study="study", **COLUMNS)
    assert found.yi.tolist() == effects.yi.tolist()


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA, "", "  "])
def test_an_empty_cell_is_an_error_that_names_the_study(bcg, gap):
    table = bcg.assign(tpos=bcg.tpos.astype(object))
    table.loc[3, "tpos"] = gap
    with pytest.raises(InputError) as fault:
        meta.effects("RR", data=table, study="study", **COLUMNS)
    assert fault.value.places == ("Hart & Sutherland 1977  events_1 is missing",)


@pytest.mark.parametrize(
    ("cell", "said"),
    [("2,5", "'2,5'"), ("n/a", "'n/a'"), (pd.Timestamp("2020-01-02"), "2020-01-02 00:00:00")],
)
def test_a_cell_that_is_no_number_is_named_with_its_study(bcg, cell, said):
    table = bcg.assign(tpos=bcg.tpos.astype(object))
    table.loc[3, "tpos"] = cell
    with pytest.raises(InputError) as fault:
        meta.effects("RR", data=table, study="study", **COLUMNS)
    assert fault.value.places == (f"Hart & Sutherland 1977  events_1 = {said} is not a number",)


def test_dates_are_not_taken_for_numbers():
    dates = pd.Series(pd.to_datetime(["2020-01-01", "2021-01-01"]))
    with pytest.raises(InputError, match="2 values cannot be used") as fault:
        meta.given(dates, [0.1, 0.1], study=["A", "B"])
    assert fault.value.places[0].startswith("A  yi = 2020-01-01")


def test_rows_with_empty_cells_are_left_out_when_asked_and_named(bcg, effects):
    table = bcg.astype({"tpos": "Int64", "n2": "Float64"})
    table.loc[3, "tpos"] = pd.NA
    table.loc[[3, 7], "n2"] = pd.NA
    found = meta.effects("RR", data=table, study="study", missing="drop", **COLUMNS)
    assert found.notes == (
        "left out for missing values: Hart & Sutherland 1977 (events_1, total_2); "
        "TPT Madras 1980 (total_2)",
    )
    assert found.dropped == (3, 7)
    rest = [i for i in range(13) if i not in (3, 7)]
    assert found.yi.tolist() == effects.yi[rest].tolist()
    assert found.study == tuple(effects.study[i] for i in rest)
    # Columns of the whole table still fit.
    slope = meta.regress(found, bcg[["ablat"]]).beta
    assert slope == pytest.approx(meta.regress(found, bcg.ablat[rest].to_numpy()).beta)
    groups = meta.subgroups(found, bcg.alloc)
    assert sum(part.effects.k for part in groups.pooled) == 11
    by_year = meta.cumulative(found, bcg.year).label
    assert by_year == tuple(bcg.study[rest].iloc[np.argsort(bcg.year[rest], kind="stable")])
    sized = meta.regression_test(found, predictor="ni", n=bcg.n1 + bcg.n2)
    assert (
        sized.slope == meta.regression_test(found, predictor="ni", n=(bcg.n1 + bcg.n2)[rest]).slope
    )


def test_nothing_is_dropped_where_nothing_is_missing(bcg, effects):
    found = meta.effects("RR", data=bcg, study="study", missing="drop", **COLUMNS)
    assert (found.notes, found.dropped) == ((), ())
    assert found.yi.tolist() == effects.yi.tolist()


def test_unnamed_rows_that_are_dropped_leave_the_others_their_numbers():
    found = meta.given([0.1, None, 0.3], [0.1, 0.1, None], missing="drop")
    assert found.study == ("study 1",)
    assert found.notes == ("left out for missing values: study 2 (yi); study 3 (vi)",)


def test_models_of_dependent_effects_read_the_whole_table_of_the_rows_that_are_left():
    table = pd.read_csv(ROOT / "docs/data/assink2016.csv").astype({"esid": "Int64"})
    gaps = table.assign(vi=table.vi.where(table.id != 7))
    rest = table[table.id != 7]

    def fitted(source, data, **choices):
        columns = {"yi": "yi", "vi": "vi", "study": "id", "cluster": "study"}
        effects = meta.given(data=source, **columns, **choices)
        v = meta.covariance(effects, obs="esid", data=data, rho=0.6)
        model = meta.multilevel(
            effects, "study/esid", data=data, covariance=v, moderators=data[["year"]]
        )
        return model.beta.tolist(), meta.correlated_effects(effects, data[["year"]]).beta.tolist()

    assert fitted(gaps, table, missing="drop") == fitted(rest, rest)


def test_methods_for_counts_leave_out_the_same_rows(bcg):
    gaps = bcg.astype({"tpos": "Int64"})
    gaps.loc[3, "tpos"] = pd.NA
    rest = bcg.drop(index=3)
    for pooled_by in (meta.mantel_haenszel, meta.peto, meta.glmm):
        found = pooled_by(data=gaps, study="study", missing="drop", **COLUMNS)
        again = pooled_by(data=rest, study="study", **COLUMNS)
        assert (found.estimate, found.se) == (again.estimate, again.se)
    assert found.study == tuple(rest.study)
    assert meta.peto(data=gaps, study="study", missing="drop", **COLUMNS).notes == (
        "left out for missing values: Hart & Sutherland 1977 (events_1)",
    )


def test_predictions_need_no_column_of_ones(bcg, effects):
    model = meta.regress(effects, bcg[["ablat"]])
    found, again = meta.predict(model, [[13], [55]]), meta.predict(model, [[1, 13], [1, 55]])
    assert found.estimate.tolist() == again.estimate.tolist()
    with pytest.raises(InputError, match="rows of 3 numbers for 2 coefficients"):
        meta.predict(model, [[1, 2, 3]])


def test_a_conversion_shows_its_derivation():
    found = meta.conversions.sd_from_se(2.0, 25)
    assert str(found) == found.summary() == found.text()
    assert found.frame().loc[0, "formula"] == "sd-from-se"
    assert "sd-from-se" in found._repr_html_()


def test_a_table_of_which_no_row_is_complete_is_an_error():
    with pytest.raises(InputError, match="every row has a missing value") as fault:
        meta.given([None, 0.1], [0.1, None], study=["A", "B"], missing="drop")
    assert fault.value.places == ("A (yi)", "B (vi)")


def test_a_way_with_missing_values_that_is_not_known_is_refused():
    with pytest.raises(UnknownName, match="missing values 'omit'"):
        meta.given([0.1], [0.1], missing="omit")


@forall(st.lists(st.booleans(), min_size=2, max_size=8).filter(any))
def test_dropping_rows_is_the_same_as_never_having_had_them(present):
    y = [0.1 * i if here else None for i, here in enumerate(present)]
    found = meta.given(y, [0.1] * len(y), missing="drop")
    assert found.yi.tolist() == [v for v in y if v is not None]
    assert len(found.dropped) == present.count(False)
    assert found.study == tuple(f"study {i + 1}" for i, here in enumerate(present) if here)


def test_studies_without_a_moderator_are_named_or_left_out_when_asked():
    writing = pd.read_csv(ROOT / "docs/data/bangertdrowns2004.csv")
    some = meta.given(data=writing, yi="yi", vi="vi", study="study")
    with pytest.raises(InputError, match="2 moderator values are missing") as fault:
        meta.regress(some, writing[["length"]])
    gone = writing.study[writing.length.isna()].tolist()
    assert fault.value.places == tuple(f"{name}: length is missing" for name in gone)
    found = meta.regress(some, writing[["length", "wic"]], missing="drop")
    assert found.effects.k == len(writing.dropna(subset=["length", "wic"]))
    assert found.notes[0].startswith("left out for missing values: ")
    assert all(name in found.notes[0] for name in gone)
    whole = writing.dropna(subset=["length", "wic"])
    again = meta.regress(meta.given(whole.yi, whole.vi), whole[["length", "wic"]])
    assert found.beta.tolist() == again.beta.tolist()


def test_a_category_is_a_factor_whose_first_category_is_the_reference(bcg, effects):
    order = ["systematic", "random", "alternate"]
    table = bcg[["alloc"]].astype(pd.CategoricalDtype(order))
    found = meta.regress(effects, table)
    assert found.design.levels["alloc"] == tuple(order)
    numbers = pd.Series(pd.Categorical([1, 2] * 6 + [1]))
    assert meta.regress(effects, {"arm": numbers}).names == ("intercept", "arm: 2")


def test_numbers_that_are_written_as_text_do_not_become_a_factor(bcg, effects):
    with pytest.raises(InputError) as fault:
        meta.regress(effects, {"ablat": bcg.ablat.astype(str)})
    assert str(fault.value) == (
        "moderator 'ablat' holds numbers, but as text\n"
        "try: make it numeric, or say factors=['ablat'] if its values are names"
    )
    mixed = bcg.ablat.astype(object)
    mixed[4] = "n/a"
    with pytest.raises(InputError, match="but for 1 of 13") as fault:
        meta.regress(effects, {"ablat": mixed})
    assert fault.value.places == ("Frimodt-Moller et al 1973: ablat = 'n/a'",)
    years = bcg.year.astype(str)
    assert len(meta.regress(effects, {"y": years.str[:3]}, factors=["y"]).names) > 2


def test_nullable_moderators_name_the_study_that_lacks_one(bcg, effects):
    table = bcg[["ablat"]].astype("Int64")
    table.loc[5, "ablat"] = pd.NA
    with pytest.raises(InputError) as fault:
        meta.regress(effects, table)
    assert fault.value.places == ("Stein & Aronson 1953: ablat is missing",)
    groups = bcg.alloc.astype("string")
    groups[5] = pd.NA
    with pytest.raises(InputError, match="every study needs a group"):
        meta.subgroups(effects, groups)


def test_showing_warns_of_nothing(results):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for result in results.values():
            result.summary(), result._repr_html_(), result.to_latex(), result.frame()
