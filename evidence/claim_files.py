"""Claim files: TOML in, claims out; every fault of every file with its line."""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from evidence.claims import Claim
from evidence.errors import InputError, SchemaError, UnknownName
from evidence.scaffold import FILL_IN, scaffold
from evidence.strategy.lint import Fault as LineFault
from evidence.strategy.lint import lint_combine, lint_terms
from evidence.toml_positions import Path as Keys
from evidence.toml_positions import positions

SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_PATTERNS_IN_WORDS = {
    SLUG: "lower-case letters, digits and single hyphens, such as hiit-bdnf",
    r"^[a-z][a-z0-9_]*$": "lower-case letters, digits and _, beginning with a letter, such as hiit",
    r"^[1-9][0-9]{0,8}$": "a PMID between quotation marks, such as '21282661'",
}
_TYPES_IN_WORDS = {
    "string_type": "a text between quotation marks",
    "bool_type": "true or false, without quotation marks",
    "int_type": "a whole number, without quotation marks",
    "float_type": "a number, without quotation marks",
    "finite_number": "a finite number",
    "date_type": "a date such as 2026-11-24, without quotation marks",
    "date_from_datetime_parsing": "a date such as 2026-11-24, without quotation marks",
    "date_from_datetime_inexact": "a date such as 2026-11-24, without a time",
    "date_parsing": "a date such as 2026-11-24, without quotation marks",
    "tuple_type": "a list in square brackets",
    "dict_type": "a table with named parts",
    "model_type": "a table",
    "model_attributes_type": "a table",
}
_DOES_NOT_EXIST = object()


@dataclasses.dataclass(frozen=True, slots=True)
class _Fault:
    """A fault in one file: the key, a part of its value to find the line by, and what to do."""

    keys: Keys
    problem: str
    remedy: str
    within: str = ""


def read_claim(path: Path) -> Claim:
    """Read and check one claim file.

    Parameters
    ----------
    path : Path
        A file ``queries/NAME.toml``; the claim's ``id`` must be NAME.

    Returns
    -------
    Claim

    Raises
    ------
    SchemaError
        With every fault of the file, each as ``file:line  key = value: what is wrong; what to do``.
    """
    claim, places = _read(path)
    if claim is None:
        raise _error([path], places)
    return claim


def read_claims(root: Path) -> list[Claim]:
    """Read every ``queries/*.toml`` below ``root``, in alphabetical order.

    Raises
    ------
    SchemaError
        With every fault of every file.
    """
    paths = sorted((root / "queries").glob("*.toml"))
    claims: list[Claim] = []
    faulty: list[Path] = []
    places: list[str] = []
    for path in paths:
        claim, found = _read(path)
        if claim is None:
            faulty.append(path)
            places += found
        else:
            claims.append(claim)
    if faulty:
        raise _error(faulty, places)
    return claims


def claim_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a claim file, for editors and other programs."""
    schema = Claim.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def new_claim_text(id: str, on: dt.date) -> str:
    """The text of a new claim file: complete and commented, with ``FILL IN`` where words are due.

    Parameters
    ----------
    id : str
        The name of the claim and of its file.
    on : date
        The day on which the strategy and the plan are begun.

    Raises
    ------
    InputError
        If the id cannot be the name of a claim.
    """
    if not re.fullmatch(SLUG, id):
        raise InputError(
            f"{id!r} cannot be the name of a claim", remedy=f"use {_PATTERNS_IN_WORDS[SLUG]}"
        )
    return scaffold(id, on)


def _error(paths: Sequence[Path], places: Sequence[str]) -> SchemaError:
    files = ", ".join(_shown(path) for path in paths)
    count = "1 fault" if len(places) == 1 else f"{len(places)} faults"
    return SchemaError(
        f"{count} in {files}",
        places,
        remedy="correct the file, then `evidence check "
        + " ".join(path.stem for path in paths)
        + "`; the format is described in docs/reference/claims.md",
    )


def _shown(path: Path) -> str:
    """``queries/NAME.toml`` wherever the workspace is; any other path as it was given."""
    return f"queries/{path.name}" if path.parent.name == "queries" else str(path)


def _read(path: Path) -> tuple[Claim | None, list[str]]:
    shown = _shown(path)
    try:
        raw = path.read_bytes()
    except OSError as fault:
        reason = fault.strerror or type(fault).__name__
        return None, [f"{shown}:1  cannot be read ({reason}); check its name and permissions"]
    try:
        text = raw.decode()
    except UnicodeDecodeError as fault:
        line = raw.count(b"\n", 0, fault.start) + 1
        byte = f"0x{raw[fault.start]:02X}"
        return None, [f"{shown}:{line}  byte {byte} is not UTF-8; save the file as UTF-8"]
    try:
        # The rules for line ends are TOML's: what is read here is what tomllib reads.
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        return None, [syntax_fault(shown, text, fault)]
    where = positions(text)
    claim, faults = _validated(data)
    faults += _cross_checks(data, path.stem)
    if not faults:
        return claim, []
    faults = _without_repetition(faults)
    located = sorted(
        (where.line(f.keys, f.within), i, f) for i, f in enumerate(faults)
    )  # i keeps the order of equal lines
    return None, [f"{shown}:{line}  {_sentence(f, data)}" for line, _, f in located]


def syntax_fault(shown: str, text: str, fault: tomllib.TOMLDecodeError) -> str:
    """Where a file stops being TOML, and why."""
    said = str(fault)
    at = re.search(r"\(at line (\d+), column (\d+)\)", said)
    line = int(at.group(1)) if at else len(text.splitlines()) or 1
    column = f" at column {at.group(2)}" if at else " at the end of the file"
    problem = re.sub(r"\s*\(at [^)]*\)", "", said)
    remedy = "mend the syntax"
    if text.startswith("\ufeff"):
        remedy = "save the file as UTF-8 without a byte order mark"
    return f"{shown}:{line}  not valid TOML{column}: {problem}; {remedy}"


# ---------------------------------------------------------------- the models' own faults, in words


def _validated(data: Mapping[str, Any]) -> tuple[Claim | None, list[_Fault]]:
    # By way of JSON, where strict means strict and yet lists become tuples: "yes" is no boolean.
    text = json.dumps(data, default=_as_json)
    try:
        return Claim.model_validate_json(text, strict=True), []
    except ValidationError as errors:
        return None, list(_in_words(errors.errors(), data))


def _as_json(value: object) -> str:
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    raise TypeError(f"TOML has no {type(value).__name__}")


def _in_words(errors: Sequence[ErrorDetails], data: Mapping[str, Any]) -> Iterator[_Fault]:
    locs = [error["loc"] for error in errors]
    for error in errors:
        loc, kind, context = error["loc"], error["type"], error.get("ctx", {})
        if _is_unfilled(_value(data, loc)):
            continue  # said once, by the cross-checks
        if kind == "too_short" and any(o != loc and o[: len(loc)] == loc for o in locs):
            continue  # follows from the faults of its elements
        if kind == "missing":
            yield _Fault(loc, "is missing", f"add {loc[-1]}")
        elif kind == "extra_forbidden":
            yield _Fault(loc, "there is no such key here", _nearest(loc))
        elif kind == "string_pattern_mismatch":
            words = _PATTERNS_IN_WORDS.get(context["pattern"], f"a text like {context['pattern']}")
            yield _Fault(loc[:-1] if loc[-1] == "[key]" else loc, "is not allowed", f"use {words}")
        elif kind == "literal_error":
            yield _Fault(loc, "is not among the choices", f"use {context['expected']}")
        elif kind in ("too_short", "string_too_short"):
            yield _Fault(loc, "is empty", "write at least one")
        elif kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
            yield _Fault(loc, "is out of range", error["msg"].replace("Input should be", "use one"))
        elif kind == "value_error":
            said = error["msg"].removeprefix("Value error, ")
            yield _Fault(loc, said, "correct one of the two")
        else:
            words = _TYPES_IN_WORDS.get(kind, error["msg"])
            yield _Fault(loc, "is of the wrong kind", f"write {words}")


def _nearest(loc: Keys) -> str:
    model = _model_at(loc[:-1])
    known = list(model.model_fields) if model else []
    near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(known)}"


def _model_at(loc: Keys) -> type[BaseModel] | None:
    """The model whose keys stand at a place of the file."""
    model: type[BaseModel] | None = Claim
    for key in loc:
        if model is not None and isinstance(key, str) and key in model.model_fields:
            model = _model_in(model.model_fields[key].annotation)
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in get_args(annotation))
    return next((model for model in found if model is not None), None)


# ----------------------------------------------- what no model sees: registries, PubMed, scaffold


def _cross_checks(data: Mapping[str, Any], stem: str) -> list[_Fault]:
    faults = [
        _Fault(keys, "is still to be filled in", f"write {_asked_for(text)}", FILL_IN)
        for keys, text in _texts(data)
        if _is_unfilled(text)
    ]
    if isinstance(data.get("id"), str) and data["id"] != stem:
        faults.append(_Fault(("id",), f"the file is named {stem}.toml", f"use id = '{stem}'"))
    faults += _view_faults(_table(data.get("screening")).get("views"))
    search, plan = data.get("search"), data.get("plan")
    if isinstance(search, dict):
        faults += _search_faults(search)
    if isinstance(plan, dict):
        faults += _plan_faults(plan)
    return faults


def _is_unfilled(value: object) -> bool:
    return isinstance(value, str) and FILL_IN in value


def _asked_for(text: str) -> str:
    """What the scaffold asks for at this place."""
    return " ".join(text.partition(FILL_IN)[2].strip(" :").split()) or "what belongs here"


def _texts(value: object, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    if isinstance(value, str):
        yield keys, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(part, (*keys, key))
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from _texts(part, (*keys, i))


def _view_faults(views: object) -> Iterator[_Fault]:
    if not isinstance(views, list) or not all(isinstance(view, str) for view in views):
        return  # the models' to report
    from evidence.triage.views import chosen, setting  # only where a claim has settings

    for i, view in enumerate(views):
        if _is_unfilled(view):
            return
        try:
            setting(view)
        except UnknownName as fault:
            remedy = "; ".join(filter(None, (fault.remedy, *fault.places)))
            yield _Fault(("screening", "views", i), "there is no such view", remedy)
            return
        except InputError as fault:
            yield _Fault(("screening", "views", i), "is no weight", fault.remedy)
            return
    try:
        chosen(views)
    except InputError as fault:
        yield _Fault(("screening", "views"), fault.problem, fault.remedy)


def _search_faults(search: Mapping[str, Any]) -> Iterator[_Fault]:
    named: list[str] = []
    for kind in ("blocks", "filters"):
        for name, block in _table(search.get(kind)).items():
            named.append(name)
            lines = _elements(_table(block).get("lines"))
            for i, line in lines:
                terms = line.get("terms")
                if isinstance(terms, str) and not _is_unfilled(terms):
                    keys: Keys = ("search", kind, name, "lines", i, "terms")
                    found = lint_terms(" ".join(terms.split()), alone=len(lines) == 1)
                    yield from _from_lines(keys, found)
    combine = search.get("combine")
    if isinstance(combine, str) and not _is_unfilled(combine):
        yield from _combine_faults(" ".join(combine.split()), named, _table(search.get("blocks")))
    pmids = Counter(str(k.get("pmid")) for _, k in _elements(search.get("known")))
    for i, known in _elements(search.get("known")):
        if pmids[str(known.get("pmid"))] > 1 and known.get("pmid") is not None:
            yield _Fault(("search", "known", i, "pmid"), "is listed twice", "keep one")


def _from_lines(keys: Keys, found: Sequence[LineFault]) -> Iterator[_Fault]:
    for fault in found:
        yield _Fault(keys, fault.problem, fault.remedy, fault.at.strip() or fault.at)


def _combine_faults(combine: str, named: list[str], blocks: Mapping[str, Any]) -> Iterator[_Fault]:
    keys: Keys = ("search", "combine")
    yield from _from_lines(keys, lint_combine(combine))
    words = re.findall(r"[^\s()]+", combine)
    used = [word[1:] for word in words if re.fullmatch(r"#[a-z][a-z0-9_]*", word)]
    for name in dict.fromkeys(used):
        if name not in named:
            known = ", ".join(f"#{n}" for n in named)
            yield _Fault(
                keys, f"#{name} is neither a block nor a filter", f"use one of {known}", f"#{name}"
            )
    for name in blocks:
        if name not in used:
            yield _Fault(
                ("search", "blocks", name),
                "this block is not used in search.combine",
                f"combine it as #{name} or remove it",
            )


def _plan_faults(plan: Mapping[str, Any]) -> Iterator[_Fault]:
    # Here, not above: a reader who only wants the format need not load the statistics.
    from evidence.model import EffectRow
    from meta.measures.registry import MEASURES
    from meta.tau2 import TAU2

    import_module("meta.measures")  # its modules fill the register

    columns = [field.name for field in dataclasses.fields(EffectRow)]
    analyses = _elements(plan.get("analyses"))
    ids = [analysis.get("id") for _, analysis in analyses]
    groups: list[str] = []
    outcomes = [c.get("outcome") for _, c in _elements(plan.get("pre_post_r"))]
    for i, analysis in analyses:
        keys: Keys = ("plan", "analyses", i)
        yield from _unknown((*keys, "measure"), "effect measure", analysis.get("measure"), MEASURES)
        yield from _unknown((*keys, "tau2"), "tau2 estimator", analysis.get("tau2"), TAU2)
        subgroups = analysis.get("subgroups")
        for j, column in enumerate(subgroups if isinstance(subgroups, list) else ()):
            yield from _unknown((*keys, "subgroups", j), "column of effects.csv", column, columns)
        if ids.count(analysis.get("id")) > 1:
            yield _Fault((*keys, "id"), "another analysis has the same id", "rename one")
        if analysis.get("decides") is True and analysis.get("design") == "pre-post, one arm":
            yield _Fault(
                (*keys, "decides"),
                "an uncontrolled pre-post analysis cannot decide a claim",
                "use false",
            )
        if analysis.get("pool") is False and not analysis.get("note"):
            yield _Fault((*keys, "pool"), "pool = false needs a reason", "say why in note")
        yield from _dependence_faults(keys, analysis)
        group = analysis.get("outcome_group")
        if not isinstance(group, str):
            continue
        groups.append(group)
        asks = analysis.get("sensitivity")
        is_served = any(isinstance(o, str) and group.startswith(o) for o in outcomes)
        if isinstance(asks, list) and "pre-post-r" in asks and not is_served:
            yield _Fault(
                (*keys, "sensitivity"),
                f"no correlation is planned for outcome_group {group!r}",
                f"add [[plan.pre_post_r]] with outcome = '{group}'",
                "pre-post-r",
            )
    for i, outcome in enumerate(outcomes):
        if isinstance(outcome, str) and not any(group.startswith(outcome) for group in groups):
            yield _Fault(
                ("plan", "pre_post_r", i, "outcome"),
                "begins no outcome_group of an analysis",
                f"use one of {', '.join(dict.fromkeys(groups)) or 'their outcome groups'}",
            )
    primary = plan.get("primary")
    if isinstance(primary, str) and not _is_unfilled(primary) and primary not in ids:
        known = ", ".join(str(n) for n in ids)
        yield _Fault(("plan", "primary"), "is not the id of an analysis", f"use one of {known}")
    smallest: Keys = ("plan", "smallest_effect", "measure")
    measure = _table(plan.get("smallest_effect")).get("measure")
    yield from _unknown(smallest, "effect measure", measure, MEASURES)


def _dependence_faults(keys: Keys, analysis: Mapping[str, Any]) -> Iterator[_Fault]:
    """What rows on the same people need, and what a three-level model has no form of."""
    way = analysis.get("dependent", "refuse")
    given = [key for key in ("rho", "rho_sensitivity", "rho_source") if key in analysis]
    if way == "refuse":
        for key in given:
            remedy = "say dependent = 'three-level' or 'aggregate', or leave it out"
            yield _Fault(
                (*keys, key), "belongs to rows on the same people, which are refused", remedy
            )
        return
    if way not in ("three-level", "aggregate"):
        return  # the models' to report
    for key, remedy in (
        ("rho", "add rho, the assumed sampling correlation, such as 0.6"),
        ("rho_source", "add rho_source; say so if rho is an assumption"),
    ):
        if key not in analysis:
            yield _Fault((*keys, "dependent"), f"needs {key}", remedy)
    if way == "aggregate":
        return
    if analysis.get("model", "random") != "random":
        yield _Fault((*keys, "model"), "a three-level model has random effects", "use random")
    if analysis.get("tau2", "REML") not in ("REML", "ML"):
        yield _Fault((*keys, "tau2"), "a three-level model is fitted otherwise", "use REML or ML")
    if analysis.get("interval") == "Knapp-Hartung":
        problem = "a three-level model has no such interval"
        yield _Fault((*keys, "interval"), problem, "use auto (t) or Wald")
    asks = analysis.get("sensitivity")
    for key in ("tau2-dl", "tau2-pm"):
        if isinstance(asks, list) and key in asks:
            problem = f"{key} is no method of a three-level model"
            yield _Fault((*keys, "sensitivity"), problem, "leave it out", key)


def _unknown(keys: Keys, kind: str, value: object, known: Any) -> Iterator[_Fault]:
    if isinstance(value, str) and value not in known and not _is_unfilled(value):
        near = difflib.get_close_matches(value, list(known), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        yield _Fault(keys, f"there is no such {kind}", f"{hint}known: {', '.join(known)}")


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _elements(value: object) -> list[tuple[int, Mapping[str, Any]]]:
    """The tables of an array with their places; anything else is the models' to report."""
    if not isinstance(value, list):
        return []
    return [(i, part) for i, part in enumerate(value) if isinstance(part, dict)]


# --------------------------------------------------------------------------------- faults as text


def _without_repetition(faults: list[_Fault]) -> list[_Fault]:
    """Drop a model's summary of what a cross-check places more exactly, and plain repetitions."""
    exact = [f.keys for f in faults if f.remedy != "correct one of the two"]
    kept = [
        f
        for f in faults
        if f.remedy != "correct one of the two"
        or not any(k[: len(f.keys)] == f.keys for k in exact)
    ]
    return list(dict.fromkeys(kept))


def _value(data: object, keys: Keys) -> object:
    for key in keys:
        in_table = isinstance(data, dict) and key in data
        in_array = isinstance(data, list) and isinstance(key, int) and key < len(data)
        if not (in_table or in_array):
            return _DOES_NOT_EXIST
        data = cast(Any, data)[key]
    return data


def _sentence(fault: _Fault, data: Mapping[str, Any]) -> str:
    name = ".".join(str(key) for key in fault.keys if isinstance(key, str)) or "the file"
    value = _value(data, fault.keys)
    if value is _DOES_NOT_EXIST or isinstance(value, dict | list) or _is_unfilled(value):
        return f"{name} {fault.problem}; {fault.remedy}"
    return f"{name} = {_brief(value)}: {fault.problem}; {fault.remedy}"


def _brief(value: object, longest: int = 60) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if not isinstance(value, str):
        return repr(value)
    line = " ".join(value.split())
    return repr(line if len(line) <= longest else line[: longest - 3] + "...")


def _schema_text() -> str:
    return json.dumps(claim_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":  # python -m evidence.claim_files > docs/reference/claim.schema.json
    print(_schema_text(), end="")
