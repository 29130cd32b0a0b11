"""The albatross plot: p-values and sizes of studies whose effects cannot be pooled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.stats import norm

from meta.errors import InputError, UnknownName
from meta.plots.axis import Tick, power
from meta.plots.labels import label_points
from meta.plots.sheet import POINT, Scale, Sheet, sheet, sized
from meta.plots.style import (
    REFERENCE,
    RULE,
    SOFT,
    Page,
    room_of,
    styled,
    text_width,
    type_size,
)

Array = NDArray[np.float64]
Kind = Literal["SMD", "COR", "OR", "RR"]
KINDS: dict[str, tuple[str, tuple[float, ...]]] = {  # what the contours are, and those drawn
    "SMD": ("standardised mean differences", (0.1, 0.25, 0.5, 1.0)),
    "COR": ("correlations", (0.05, 0.1, 0.25, 0.5)),
    "OR": ("odds ratios", (1.2, 1.5, 2.0, 4.0)),
    "RR": ("risk ratios", (1.1, 1.25, 1.5, 2.0)),
}
_DASHES = ((0, (1, 1.6)), (0, (2.5, 1.6)), (0, (5, 2)), "-")  # longer with a larger effect
_CONTOUR = "#7A7A7A"
NAMED = 20  # names at most, those with the smallest p-values


def albatross(
    p: Any,
    n: Any,
    positive: Any,
    *,
    study: Sequence[str],
    effect: Kind = "SMD",
    contours: Sequence[float] | None = None,
    ratio: float = 1.0,
    risk: float | None = None,
    left: str = "negative association",
    right: str = "positive association",
    names: bool = True,
    title: str | None = None,
    width_mm: float = 89,
    ax: Axes | None = None,
) -> Page:
    """Draw each study by its p-value and size, among contours of the effects that would give them.

    Parameters
    ----------
    p : array, shape (k,)
        Two-sided p-values, above 0 and at most 1.
    n : array, shape (k,)
        People in all.
    positive : array of bool, shape (k,)
        The direction of each effect.
    study : names of the studies.
    effect : what the contours are: standardised mean differences, correlations, odds or risk
        ratios (these need ``risk``).
    contours : up to four effects, ascending; positive, for ratios above 1. The left side shows
        their negatives or inverses.
    ratio : size of the intervention arm over that of the comparator.
    risk : risk in the comparator, 0 to 1.
    left, right : what the directions mean.
    ax : axes whose place the plot takes, in a figure with others.

    Raises
    ------
    InputError
        If a p-value or size cannot be drawn (every study is named), or contours are not effects.

    References
    ----------
    Harrison et al. (2017), Res Synth Methods 8:281-289.
    """
    values, sizes, up = _checked(p, n, positive, study)
    if effect not in KINDS:
        raise UnknownName("effect of the contours", effect, KINDS)
    label, usual = KINDS[effect]
    drawn = tuple(usual if contours is None else contours)
    _check_contours(effect, drawn, ratio, risk)
    x = np.where(up, 1.0, -1.0) * -np.log10(values)
    y = np.log10(sizes)
    width_mm, _ = room_of(ax, width_mm)
    with styled():
        size = type_size(width_mm)
        far = [max(2.2, 1.06 * float((s * x).max())) for s in (-1, 1)]
        ends = (-far[0], far[1])
        tall = (float(y.min()) - 0.15, float(y.max()) + 0.15)
        notes = [
            f"Contours: {label} of {', '.join(f'{c:g}' for c in drawn)}, "
            + ("negative on the left" if effect in ("SMD", "COR") else "inverted on the left")
            + (f"; risk {risk:.0%} in the comparator" if risk is not None else "")
            + (f"; arms {ratio:g} to 1" if ratio != 1 and effect != "COR" else "")
            + ". Effects are what p and n imply, not estimates."
        ]
        page = sheet(
            width_mm,
            Scale(ends, partial(_p_ticks, ends), "Two-sided p-value", (f"← {left}", f"{right} →")),
            Scale(tall, partial(_n_ticks, tall), "People (log scale)"),
            heading="Albatross plot",
            alt=_alt(values, sizes, up, study, left, right, notes),
            title=title,
            ratio=0.8,
            notes=notes,
            above=1.2 * size,
            right=max(text_width(f"{c:g}", size) for c in drawn) + 5,
            ax=ax,
        )
        page.plot.plot([0, 0], tall, color=REFERENCE, lw=RULE, zorder=1)
        lines, boxes = _contours(page, effect, drawn, ratio, risk, np.stack((x, y), axis=-1))
        page.plot.plot(
            x, y, ls="none", clip_on=False, zorder=3, gid="studies", **sized(POINT, page.size)
        )
        page.plot.set_xlim(*ends)
        page.plot.set_ylim(*tall)
        if names:
            order = [int(i) for i in np.argsort(-np.abs(x), kind="stable")][:NAMED]
            lines.append((np.zeros(60), np.linspace(*tall, 60)))
            label_points(page, x, y, study, order, lines=lines, boxes=boxes)
        return page.page


def _checked(
    p: Any, n: Any, positive: Any, study: Sequence[str]
) -> tuple[Array, Array, NDArray[np.bool_]]:
    values, sizes = np.asarray(p, dtype=float), np.asarray(n, dtype=float)
    up, k = np.asarray(positive, dtype=bool), len(study)
    if not k or values.shape != (k,) or sizes.shape != (k,) or up.shape != (k,):
        raise InputError(
            f"{values.size} p-values, {sizes.size} sizes and {up.size} directions for {k} studies",
            remedy="give one of each for every study",
        )
    wrong = [f"{s}: p = {a:g}" for s, a in zip(study, values, strict=True) if not 0 < a <= 1]
    wrong += [
        f"{s}: n = {a:g}"
        for s, a in zip(study, sizes, strict=True)
        if not (a >= 1 and math.isfinite(a))
    ]
    if wrong:
        raise InputError(
            "p-values must be above 0 and at most 1, sizes at least 1",
            wrong,
            remedy="compute p from the test statistic where it is given as zero",
        )
    return values, sizes, up


def _check_contours(
    effect: str, drawn: tuple[float, ...], ratio: float, risk: float | None
) -> None:
    least, most = {"SMD": (0.0, math.inf), "COR": (0.0, 1.0)}.get(effect, (1.0, math.inf))
    sound = all(least < c < most for c in drawn) and list(drawn) == sorted(set(drawn))
    if not (sound and 1 <= len(drawn) <= len(_DASHES)):
        raise InputError(
            f"contours {drawn} cannot be drawn",
            remedy=f"give up to four values above {least:g}, ascending",
        )
    if not (math.isfinite(ratio) and ratio > 0):
        raise InputError(f"ratio = {ratio} is not a ratio of sizes")
    if effect in ("OR", "RR"):
        if risk is None or not 0 < risk < 1:
            raise InputError("contours of ratios need the comparator's risk", remedy="give risk=")
        if effect == "RR" and risk * drawn[-1] >= 1:
            raise InputError(
                f"a risk of {risk:.0%} times {drawn[-1]:g} is more than everyone",
                remedy="give lower contours",
            )


def people_for(z: Array, effect: str, value: float, ratio: float, risk: float | None) -> Array:
    """How many people in all would give |z| if their effect were ``value`` (Harrison 2017).

    From z = effect/se with the large-sample variance of each measure, solved for the total.
    """
    z2 = z**2
    if effect == "SMD":
        return np.asarray(z2 * ((1 + ratio) ** 2 / (ratio * value**2) + 0.5))
    if effect == "COR":
        return np.asarray(3 + z2 / math.atanh(value) ** 2)
    assert risk is not None
    arm_1, arm_2 = ratio / (1 + ratio), 1 / (1 + ratio)
    if effect == "RR":
        other = risk * value
        unit = (1 - other) / other / arm_1 + (1 - risk) / risk / arm_2
    else:
        odds = risk / (1 - risk) * value
        other = odds / (1 + odds)
        unit = 1 / (other * (1 - other) * arm_1) + 1 / (risk * (1 - risk) * arm_2)
    return np.asarray(z2 * unit / math.log(value) ** 2)


def _contours(
    page: Sheet,
    effect: str,
    drawn: tuple[float, ...],
    ratio: float,
    risk: float | None,
    points: Array,
) -> tuple[list[tuple[Array, Array]], list[tuple[float, float, float, float]]]:
    """The contours with their effects at their ends; gives their lines and the words' places."""
    (low, high), (floor, roof) = page.plot.get_xlim(), page.plot.get_ylim()
    size = page.size
    lines: list[tuple[Array, Array]] = []
    boxes: list[tuple[float, float, float, float]] = []
    studies = page.at(*points.T)
    taken = -math.inf
    for sign, end in ((-1, -low), (1, high)):
        places = np.linspace(0.002, end, 1200)
        z = norm.isf(0.5 * 10.0**-places)
        order = list(zip(drawn, _DASHES, strict=False))
        for value, dash in order if sign < 0 else reversed(order):
            other = value if sign > 0 or effect in ("SMD", "COR") else 1 / value
            up = np.log10(people_for(z, effect, other, ratio, risk))
            inside = (up >= floor) & (up <= roof)
            if not inside.any():
                continue
            line = sign * places[inside], up[inside]
            lines.append(line)
            page.plot.plot(*line, color=_CONTOUR, lw=0.8, ls=dash, zorder=1)
            text = f"{other:.2g}" if effect in ("OR", "RR") else f"{sign * value:g}"
            text = text.replace("-", "−")
            x, y = page.at(line[0][-1], line[1][-1])
            wide = text_width(text, size)
            if up[inside][-1] < roof - 0.01 * (roof - floor):  # it leaves by the side
                # On the left it stands inside, over its contour, where no study is.
                at = (page.x1 + 3, y) if sign > 0 else (page.x0 + 3, y - 0.8 * size)
                box = (at[0] - 2, at[1] - 0.6 * size, at[0] + wide + 2, at[1] + 0.6 * size)
                crossed = any(_within(page.at(*other), box).any() for other in lines[:-1])
                wider = (box[0] - 3, box[1] - 3, box[2] + 3, box[3] + 3)
                near = _within(studies, wider)
                clear = all(box[1] >= other[3] or box[3] <= other[1] for other in boxes)
                if sign > 0 or (clear and not (crossed or near.any()) and box[1] > page.top):
                    page.page.write(*at, text, size=size, colour=SOFT)
                    boxes.append(box)
            elif x - wide / 2 > taken + 0.5 * size or sign > 0:
                page.page.write(
                    x, page.top - 0.8 * size, text, size=size, colour=SOFT, align="center"
                )
                taken = x + wide / 2
    return lines, boxes


def _within(places: Array, box: tuple[float, float, float, float]) -> NDArray[np.bool_]:
    inside = (places > np.array(box[:2])) & (places < np.array(box[2:]))
    return np.asarray(inside.all(axis=1))


def _p_ticks(ends: tuple[float, float], room: float, size: float) -> list[Tick]:
    """p on both sides of 1, as many as fit from the middle outwards."""
    scale = room / (ends[1] - ends[0])
    ticks: list[Tick] = [(0.0, "1")]
    for sign, end in ((-1, -ends[0]), (1, ends[1])):
        reach = text_width("1", size) / 2
        for p in (0.05, *(10.0**-i for i in range(3, 301))):
            place = -math.log10(p)
            text = f"{p:g}" if p >= 1e-4 else f"10{power(-round(place))}"
            half = text_width(text, size) / 2
            if place > end:
                break
            if place * scale - half >= reach + 1.5 * size:
                ticks.append((sign * place, text))
                reach = place * scale + half
    return sorted(ticks)


def _n_ticks(tall: tuple[float, float], room: float, size: float) -> list[Tick]:
    best: list[Tick] = []
    for steps in ((1,), (1, 3), (1, 2, 5)):
        values = [s * 10**i for i in range(12) for s in steps]
        ticks = [
            (math.log10(v), f"{v:,}".replace(",", "\u202f") if v >= 10_000 else str(v))
            for v in values
            if tall[0] <= math.log10(v) <= tall[1]
        ]
        gaps = np.diff([place for place, _ in ticks]) / (tall[1] - tall[0]) * room
        if len(ticks) > len(best) and (len(ticks) < 2 or gaps.min() >= 1.6 * size):
            best = ticks
    return best


def _alt(
    p: Array,
    n: Array,
    up: NDArray[np.bool_],
    study: Sequence[str],
    left: str,
    right: str,
    notes: list[str],
) -> str:
    listed = "; ".join(
        f"{s}: p = {a:.2g}, n = {b:.0f}, {right if u else left}"
        for s, a, b, u in zip(study, p, n, up, strict=True)
    )
    return f"Albatross plot of {len(study)} studies: {listed}. {' '.join(notes)}"
