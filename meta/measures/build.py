"""From columns of a table to the effects that an analysis takes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta import results  # as a module: it imports the registry, so names come later
from meta.errors import InputError, UnknownName
from meta.measures.checks import BadRows, checked, columns_of_one_length, shown
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
    known = _options(chosen)
    given = dict(columns_and_options)
    for name in given:
        if name not in chosen.needs and name not in known:
            raise UnknownName(f"column or option of {measure}", name, [*chosen.needs, *known])
    columns = {
        name: _column(given.get(name), name, data)
        for name in chosen.needs
        if name in given or (data is not None and name in data)
    }
    options = {name: value for name, value in given.items() if name in known}
    if is_legacy(compat) and "compat" in known:
        options["compat"] = compat
    named = _names(study, data)
    try:
        y, v = chosen.compute(**columns, whole=whole, **options)
        sound = checked(columns, whole=False)
    except BadRows as fault:
        raise (fault.named(named) if named else fault) from None
    k = len(y)
    labels = named or tuple(f"study {i + 1}" for i in range(k))
    if len(labels) != k:
        raise InputError(
            f"{len(labels)} studies are named, but the columns have {k} rows",
            remedy="give one name per study",
        )
    groups = _names(cluster, data) or labels
    if len(groups) != k:
        raise InputError(
            f"{len(groups)} clusters are named, but the columns have {k} rows",
            remedy="give one cluster per study",
        )
    notes = [*_zero_notes(chosen, sound, options, labels), *_option_notes(options)]
    undefined = [name for name, e, w in zip(labels, y, v, strict=True) if np.isnan(e + w)]
    if undefined:
        notes.append(f"undefined for {', '.join(undefined)}")
    return results.Effects(chosen, labels, y, v, groups, tuple(notes))


def given(
    yi: Any,
    vi: Any,
    *,
    study: Sequence[Any] | None = None,
    cluster: Sequence[Any] | None = None,
    measure: str = "GEN",
) -> results.Effects:
    """Effects that are already computed, with their sampling variances.

    Parameters
    ----------
    yi, vi : array of float, shape (k,)
        Effects on the measure's scale of analysis (log for ratios), and their variances (squared
        standard errors), all positive.
    study, cluster : sequence of str, shape (k,), optional
        As for ``effects``.
    measure : str
        What the effects are, so that they are labelled and back-transformed; "GEN" for anything.

    Raises
    ------
    InputError
        If a value is missing, not finite, or a variance is not positive; names every study.
    """
    ready = effects("GEN", yi=yi, vi=vi, study=study, cluster=cluster)
    return results.Effects(
        measure_named(measure), ready.study, ready.yi, ready.vi, ready.cluster, ready.notes
    )


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
    chosen: Measure, columns: Mapping[str, Array], options: Mapping[str, Any], study: Sequence[str]
) -> list[str]:
    """What was added to zero counts, and where."""
    defaults = _options(chosen)
    if "to" not in defaults or (options.get("compat") and "compat" in defaults):
        return []
    add, to = options.get("add", defaults["add"]), options.get("to", defaults["to"])
    columns = columns_of_one_length(columns)
    cells = []
    for name in chosen.needs:
        if name.startswith("events"):
            cells.append(columns[name])
            total = columns.get(name.replace("events", "total"))
            if total is not None:
                cells.append(total - columns[name])
    touched = adjusted_rows(tuple(cells), add=add, to=to)
    if not touched.any():
        return []
    where = ", ".join(name for name, hit in zip(study, touched, strict=True) if hit)
    return [f"zero counts: {shown(add)} added to each count of {TO[to]} ({where})"]


def _option_notes(options: Mapping[str, Any]) -> list[str]:
    told = {name: value for name, value in options.items() if name not in {"add", "to"}}
    return [f"{name} = {value}" for name, value in told.items()]
