"""From columns of a table to the effects that an analysis takes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta import results  # as a module: it imports the registry, so names come later
from meta.errors import InputError, UnknownName
from meta.frames import check_missing, complete_rows, left_out, length, rows_of
from meta.measures.checks import BadRows, columns_of_one_length, shown
from meta.measures.registry import Measure, measure_named
from meta.measures.small_sample import Compat, is_legacy
from meta.measures.zero_cells import TO, adjusted_rows

Array = NDArray[np.float64]


def effects(
    measure: str,
    *,
    data: Mapping[str, Any] | None = None,
    study: Sequence[Any] | str | None = None,
    cluster: Sequence[Any] | str | None = None,
    compat: Compat = None,
    whole: bool = True,
    missing: str = "refuse",
    **columns_and_options: Any,
) -> results.Effects:
    """Effect sizes of k studies from their raw numbers.

    Parameters
    ----------
    measure : str
        Key of a registered measure: "SMD", "OR", "ZCOR", ... (``meta.measures.MEASURES``).
    data : mapping of column name to values, optional
        A dict of columns or a data frame. Columns are then given by name (``mean_1="m_hiit"``),
        and those that already bear our names need not be given.
    study, cluster : sequence of str, shape (k,), or a column's name, optional
        Names of the studies (``study 1``, ... if left out), and what rows belong together because
        they share people (each study by itself if left out).
    compat : {"metafor-3.8"}, optional
        Formulas of that version where today's differ.
    whole : bool
        Refuse fractions in counts; turn off for effective sample sizes.
    missing : {"refuse", "drop"}
        What happens to rows with an empty cell: an error that names them, or they are left out and
        named in ``notes``; ``dropped`` then says which rows of the table they were.
    **columns_and_options
        The columns that the measure needs, one number per study or one for all, and its options
        (``vtype``, ``add``, ``to``, ``drop00``, ``exact_j``, ``correct``), as its own function
        documents them.

    Returns
    -------
    Effects
        On the scale of analysis; NaN where a study's effect is undefined. ``notes`` repeats the
        choices that matter: what was added to zero cells and where, options that are not the
        default, and which effects are undefined.

    Raises
    ------
    UnknownName
        If there is no such measure, column, option or choice.
    InputError
        If a column is absent, or values cannot be used; names every study and column.
    """
    chosen = measure_named(measure)
    return _built(chosen, chosen, data, study, cluster, compat, whole, missing, columns_and_options)


def _built(
    chosen: Measure,
    shown_as: Measure,
    data: Mapping[str, Any] | None,
    study: Sequence[Any] | str | None,
    cluster: Sequence[Any] | str | None,
    compat: Compat,
    whole: bool,
    missing: str,
    given: Mapping[str, Any],
) -> results.Effects:
    """Effects by the formula of one measure, labelled and back-transformed as another."""
    known = _options(chosen)
    for name in given:
        if name not in chosen.needs and name not in known:
            raise UnknownName(f"column or option of {chosen.key}", name, [*chosen.needs, *known])
    columns = {
        name: _column(given.get(name), name, data)
        for name in chosen.needs
        if name in given or (data is not None and name in data)
    }
    options = {name: value for name, value in given.items() if name in known}
    if is_legacy(compat) and "compat" in known:
        options["compat"] = compat
    named, groups = _names(study, data), _names(cluster, data)
    dropped: tuple[int, ...] = ()
    if check_missing(missing) == "drop":
        k = length(columns.values())
        keep = complete_rows(columns, k)
        if not keep.all():
            labels = named if len(named) == k else _numbered(k)
            gone = left_out(labels, columns, keep)
            named = tuple(rows_of(labels, keep))
            groups = tuple(rows_of(groups, keep))
            columns = {name: rows_of(values, keep) for name, values in columns.items()}
            dropped = tuple(np.flatnonzero(~keep).tolist())
    try:
        y, v = chosen.compute(**columns, whole=whole, **options)
    except BadRows as fault:
        raise (fault.named(named) if named else fault) from None
    k = len(y)
    if named and len(named) != k:
        raise InputError(
            f"{len(named)} studies are named, but the columns have {k} rows",
            remedy="give one name per study",
        )
    if groups and len(groups) != k:
        raise InputError(
            f"{len(groups)} clusters are named, but the columns have {k} rows",
            remedy="give one cluster per study",
        )
    notes = [*_zero_notes(chosen, columns, options, named), *_option_notes(options)]
    undefined = np.flatnonzero(np.isnan(y + v))
    if len(undefined):
        notes.append(f"undefined for {_listed(undefined, named)}")
    if dropped:
        notes.append(gone)
    if named:
        return results.Effects(shown_as, named, y, v, groups or named, tuple(notes), dropped)
    return results.Effects.begun(
        partial(_unnamed, k, groups),
        measure=shown_as,
        yi=y,
        vi=v,
        notes=tuple(notes),
        dropped=dropped,
    )


def _unnamed(k: int, groups: tuple[str, ...], field: str) -> dict[str, tuple[str, ...]]:
    """The names of studies that were given none, which most analyses never ask for."""
    labels = _numbered(k)
    return {"study": labels, "cluster": groups or labels}


def _listed(at: NDArray[np.intp], named: Sequence[str]) -> str:
    """The studies at these rows, by name or by number."""
    return ", ".join(named[i] if named else f"study {i + 1}" for i in at.tolist())


def given(
    yi: Any,
    vi: Any,
    *,
    data: Mapping[str, Any] | None = None,
    study: Sequence[Any] | str | None = None,
    cluster: Sequence[Any] | str | None = None,
    measure: str = "GEN",
    missing: str = "refuse",
) -> results.Effects:
    """Effects that are already computed, with their sampling variances.

    Parameters
    ----------
    yi, vi : array of float, shape (k,), or a column's name
        Effects on the measure's scale of analysis (log for ratios), and their variances (squared
        standard errors), all positive.
    data, study, cluster, missing
        As for ``effects``.
    measure : str
        What the effects are, so that they are labelled and back-transformed; "GEN" for anything.

    Raises
    ------
    InputError
        If a value is missing, not finite, or a variance is not positive; names every study.
    """
    columns = {"yi": yi, "vi": vi}
    shown_as, ready_made = measure_named(measure), measure_named("GEN")
    return _built(ready_made, shown_as, data, study, cluster, None, True, missing, columns)


def _numbered(k: int) -> tuple[str, ...]:
    return tuple(f"study {i + 1}" for i in range(k))


@cache
def _options(chosen: Measure) -> dict[str, Any]:
    """The options of a measure with their defaults."""
    signature = inspect.signature(chosen.compute)  # follows the check to the formula itself
    return {
        name: parameter.default
        for name, parameter in signature.parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _column(value: Any, name: str, data: Mapping[str, Any] | None) -> Any:
    """A column itself, or the one of ``data`` that a name stands for."""
    if data is None:
        return value
    wanted = name if value is None else value
    if isinstance(wanted, str):
        if wanted not in data:
            raise UnknownName("column in the data", wanted, map(str, data))
        return data[wanted]
    return wanted


def _names(values: Sequence[Any] | str | None, data: Mapping[str, Any] | None) -> tuple[str, ...]:
    if isinstance(values, str):
        values = _column(values, values, data)
        if isinstance(values, str):
            values = [values]
    return () if values is None else tuple(str(value) for value in values)


def _zero_notes(
    chosen: Measure, columns: Mapping[str, Any], options: Mapping[str, Any], named: Sequence[str]
) -> list[str]:
    """What was added to zero counts, and where."""
    defaults = _options(chosen)
    if "to" not in defaults or (options.get("compat") and "compat" in defaults):
        return []
    add, to = options.get("add", defaults["add"]), options.get("to", defaults["to"])
    found = columns_of_one_length(columns)
    cells = []
    for name in chosen.needs:
        if name.startswith("events"):
            cells.append(found[name])
            total = found.get(name.replace("events", "total"))
            if total is not None:
                cells.append(total - found[name])
    touched = adjusted_rows(tuple(cells), add=add, to=to)
    zero = np.any([cell == 0 for cell in cells], axis=0)
    if options.get("drop00"):  # studies that are left out get nothing
        events = [found[name] for name in chosen.needs if name.startswith("events")]
        rest = [cell for cell in cells if not any(cell is one for one in events)]
        for side in (events, rest):
            if side:
                touched &= ~np.all([cell == 0 for cell in side], axis=0)
    if not touched.any():
        if not (zero.any() and {"add", "to"} & set(options)):
            return []
        return [f"zero counts: nothing added ({_listed(np.flatnonzero(zero), named)})"]
    where = _listed(np.flatnonzero(touched), named)
    return [f"zero counts: {shown(add)} added to each count of {TO[to]} ({where})"]


def _option_notes(options: Mapping[str, Any]) -> list[str]:
    told = {name: value for name, value in options.items() if name not in {"add", "to"}}
    return [f"{name} = {value}" for name, value in told.items()]
