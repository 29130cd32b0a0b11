"""`evidence lint`: every finding stands where the reader sees it, in a claim file or a text."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from evidence.cli import main
from evidence.errors import SchemaError
from evidence.query.lint import lint
from evidence.strategy.files import lint_file

CLAIM = '''
[search]
combine = "#hiit AND #bdnf"

[search.blocks.hiit]
about = "x"
lines = [
  { terms = '"interval training"[tiab] OR sprint*[tiab:~3]', why = "x" },
]

[search.blocks.bdnf]
about = "x"

[[search.blocks.bdnf.lines]]
terms = "\\"brain-derived\\"[tiab] OR bdnf[tiba]"
why = "x"

[[search.blocks.bdnf.lines]]
terms = """
bdnf[tiab] OR
  trkb[tiba]"""
why = "x"
'''


def test_findings_of_a_claim_file_stand_at_their_line_and_column(tmp_path):
    path = tmp_path / "claim.toml"
    path.write_text(CLAIM)
    found = [f for f in lint_file(path, name="claim.toml").findings if f.severity == "error"]
    lines = CLAIM.split("\n")
    for finding in found:
        assert CLAIM[finding.start] == lines[finding.line - 1][finding.column - 1]
    texts = [CLAIM[f.start : f.start + f.length] for f in found]
    assert sum("tiba" in text for text in texts) == 2
    assert "sprint*[tiab:~3]" in texts
    assert [f.line for f in found if "tiba" in CLAIM[f.start : f.start + f.length]] == [15, 21]


def test_a_block_with_words_in_another_line_has_not_headings_alone(tmp_path):
    path = tmp_path / "claim.toml"
    one = '[[search.blocks.a.lines]]\nterms = "Exercise[mh]"\n'
    path.write_text(one)
    codes = {f.code for f in lint_file(path, name="x").findings}
    assert "headings-alone" in codes
    path.write_text(one + '[[search.blocks.a.lines]]\nterms = "exercise[tiab]"\n')
    assert lint_file(path, name="x").findings == ()


def linted(tmp_path, text):
    path = tmp_path / "history.txt"
    path.write_text(text)
    return [(f.line, f.column, f.code) for f in lint_file(path, name="h").findings]


def test_each_line_of_a_search_history_is_linted_by_itself_and_in_its_place(tmp_path):
    text = "#1 bdnf[tiab] OR\n   trkb[tiba]\n#2 exercis*[tiab]\n#3 #1 AND #2 OR #1\n"
    assert linted(tmp_path, text) == [(2, 8, "unknown-tag"), (4, 14, "mixed-operators")]


@pytest.mark.parametrize("name", ["#3", "#4", "#0"])
def test_a_line_that_names_no_line_before_it_is_an_error(tmp_path, name):
    text = f"1. bdnf[tiab]\n2. exercis*[tiab]\n3. #1 AND {name}\n"
    assert linted(tmp_path, text) == [(3, 11, "unknown-line")]


def test_a_concept_of_a_search_history_is_what_or_joins(tmp_path):
    alone = "1 Exercise[mh]\n2 Running[mh]\n3 #1 OR #2\n4 bdnf[tiab]\n5 #3 AND #4\n"
    assert linted(tmp_path, alone) == [(1, 3, "headings-alone")]
    assert linted(tmp_path, alone.replace("Running[mh]", "running[tiab]")) == []
    assert linted(tmp_path, alone.replace("#3 AND #4", "#4 NOT #3")) == []


@given(st.text(alphabet='ab"\\\n\tü[]* é', min_size=1, max_size=30))
def test_a_text_file_is_linted_as_it_is(text):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "query.txt"
        path.write_bytes(text.encode())
        assert lint_file(path, name="q").findings == tuple(lint(text))


def test_a_file_that_is_no_toml_is_a_fault(tmp_path):
    path = tmp_path / "claim.toml"
    path.write_text("a = ")
    with pytest.raises(SchemaError, match="is no TOML"):
        lint_file(path, name="claim.toml")


def test_the_command_ends_with_1_only_for_errors_and_prints_json(tmp_path):
    bad, fair = tmp_path / "bad.txt", tmp_path / "fair.txt"
    bad.write_text("bdnf[tiba]")
    fair.write_text("bdnf[tiab]")
    ran = CliRunner().invoke(main, ["lint", str(bad), "--json"])
    told = json.loads(ran.stdout)
    assert (ran.exit_code, told["counts"]["error"]) == (1, 1)
    assert {"code", "severity", "line", "column", "message", "remedy", "fix"} <= set(
        told["findings"][0]
    )
    ran = CliRunner().invoke(main, ["lint", str(fair)])
    assert (ran.exit_code, ran.output) == (0, f"{fair}: 0 errors, 0 warnings, 0 notes\n")


def test_the_projects_own_strategies_have_no_error(root):
    for path in sorted((root / "queries").glob("*.toml")):
        assert lint_file(path, name=path.name).counts["error"] == 0


def test_a_line_named_by_its_number_alone_is_an_error_as_pubmed_reads_a_pmid(tmp_path):
    path = tmp_path / "history.txt"
    path.write_text("1. exercis*[tiab]\n2. bdnf[tiab] OR 31234567\n3. 1 AND 2\n")
    found = [f for f in lint_file(path, name="history.txt").findings if f.severity == "error"]
    assert [(f.code, f.line, f.column, f.fix) for f in found] == [
        ("bare-number", 3, 4, "#1"),
        ("bare-number", 3, 10, "#2"),
    ]
