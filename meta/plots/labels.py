"""Names beside points: as many as fit without touching a point, another name or the frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from meta.plots.sheet import Sheet
from meta.plots.style import INK, fit, text_width

Array = NDArray[np.float64]
Flush = Literal["left", "center", "right"]

# Where a name may stand, best first: across and down, in steps from the point.
_PLACES: tuple[tuple[int, int, Flush], ...] = (
    (1, 0, "left"),
    (-1, 0, "right"),
    (1, -1, "left"),
    (1, 1, "left"),
    (-1, -1, "right"),
    (-1, 1, "right"),
    (0, -1, "center"),
    (0, 1, "center"),
)
SHARE = 0.34  # of the width of the plot that a name may take


def label_points(
    page: Sheet,
    x: Array,
    y: Array,
    names: Sequence[str],
    order: Sequence[int],
    *,
    radius: float | Array | None = None,
    lines: Sequence[tuple[Array, Array]] = (),
    boxes: Sequence[tuple[float, float, float, float]] = (),
) -> list[int]:
    """Write names beside their points, in the order given; those without room are left out.

    ``radius`` is of the points on the page; ``lines`` (points of each, on the plot, close together)
    are not crossed by names; nor are ``boxes`` (left, top, right, bottom, on the page), where other
    words stand. Gives the numbers of the points named.
    """
    size = page.small
    places = page.at(x, y)
    radius = 2.3 * page.size / 6 if radius is None else radius
    reach = np.broadcast_to(np.asarray(radius, float), (len(places),))
    taken = np.column_stack((places - reach[:, None], places + reach[:, None]))
    frame = (page.x0 + 1, page.top, page.page.size_points[0] - 1.5, page.bottom - 1)
    drawn = [np.tile(page.at(*line), 2) for line in lines]
    taken = np.vstack((taken, *drawn, *np.array(boxes).reshape(-1, 4)))
    done: list[int] = []
    for i in order:
        text = fit(names[i], SHARE * (page.x1 - page.x0), size, lines=1)[0]
        wide = text_width(text, size)
        others = np.delete(taken, i, axis=0)
        for across, down, flush in _PLACES:
            diagonal = 0.7 if across and down else 1.0
            cx = float(places[i, 0]) + across * diagonal * (reach[i] + 2)
            cy = float(places[i, 1]) + down * (diagonal * reach[i] + 0.75 * size)
            left = cx - {"left": 0.0, "center": wide / 2, "right": wide}[flush]
            box = (left, cy - 0.55 * size, left + wide, cy + 0.55 * size)
            inside = (
                box[0] >= frame[0]
                and box[1] >= frame[1]
                and box[2] <= frame[2]
                and box[3] <= frame[3]
            )
            if inside and not _touches(np.array(box), others):
                named = (f"point-{i}-name", names[i]) if text != names[i] else None
                page.page.write(cx, cy, text, size=size, colour=INK, align=flush, name=named)
                taken = np.vstack((taken, box))
                done.append(i)
                break
    return done


def _touches(box: Array, others: Array) -> bool:
    apart = (
        (others[:, 0] >= box[2])
        | (others[:, 2] <= box[0])
        | (others[:, 1] >= box[3])
        | (others[:, 3] <= box[1])
    )
    return not bool(apart.all())
