"""Pictures as they should look, from invented data, and how two pictures are compared.

``python -m tests.pictures`` draws the baselines beside this file again; look at each before it is
committed. They are small (90 dpi) and set in the font that matplotlib brings along.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import norm, t

from meta.measures.registry import Measure
from meta.plots.forest_plot import Group, Row, forest
from meta.plots.funnel_plot import funnel
from meta.plots.style import Page, render
from meta.results import Effects, PooledEffect

FOLDER = Path(__file__).parent
DPI = 90
# A local mean of 3 x 3 pixels may differ by this much of 255 (of 12 x 12 by a quarter): rounding at
# edges stays below, the loss of an arrow, another digit or another shade does not (measured in
# test_plots).
TOLERANCE = 24


def _unused(*_: object) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    raise AssertionError("pictures are drawn from effects, not computed")


SMD = Measure("SMD", "Standardised mean difference", "identity", (), _unused)
RISK = Measure("RR", "Risk ratio", "log", (), _unused)
CORRELATION = Measure("ZCOR", "Correlation", "fisher-z", (), _unused)
PROPORTION = Measure("PLO", "Proportion", "logit", (), _unused, null=float("nan"))

NAMES = (
    "Alder 2004",
    "García-Suárez 2011",
    "Çelik & Østergård 2013",
    "Hawthorn-Willoughby, Rowan & Maple 2016",
    "Yew 2018a",
    "Yew 2018b",
    "Linden 2020",
    "Spindle $1 2021",
)


def names(k: int) -> list[str]:
    return [NAMES[i] if i < len(NAMES) else f"Hazel {i} 20{i % 25:02d}" for i in range(k)]


def pooled(
    study: Sequence[str],
    yi: Sequence[float],
    vi: Sequence[float],
    measure: Measure = SMD,
    *,
    tau2: float = 0.04,
    level: float = 0.95,
) -> PooledEffect:
    """A pooled effect with a given tau2, whole enough to draw; not a test of pooling."""
    y, v = np.asarray(yi, float), np.asarray(vi, float)
    k, w = len(y), 1 / (np.asarray(vi, float) + tau2)
    estimate, se = float(w @ y / w.sum()), float(w.sum() ** -0.5)
    df = k - 1.0 if k > 2 else None
    crit = float(norm.ppf(0.5 + level / 2) if df is None else t.ppf(0.5 + level / 2, df))
    ci = (estimate - crit * se, estimate + crit * se)
    reach = crit * float(np.hypot(se, tau2**0.5))
    prediction = (estimate - reach, estimate + reach) if k > 2 else None
    q = float((1 / v) @ (y - estimate) ** 2)
    return PooledEffect(
        effects=Effects(measure, tuple(study), y, v, tuple(study)),
        model="random",
        weights=w / w.sum(),
        estimate=estimate,
        se=se,
        ci=ci,
        ci_method="Wald" if df is None else "Knapp-Hartung",
        ci_reason="k = 2" if df is None else "k ≥ 3 and τ² > 0",
        wald_ci=ci,
        knapp_hartung_ci=ci,
        statistic=estimate / se,
        df=df,
        p=0.021,
        level=level,
        prediction=prediction,
        prediction_df=df,
        prediction_method="t",
        tau2=tau2,
        tau2_se=0.03,
        tau2_ci=(0.0, 0.31),
        tau2_method="REML",
        q=q,
        q_df=k - 1,
        q_p=0.08,
        i2=0.41,
        h2=1.7,
    )


def group(
    k: int,
    *,
    seed: int = 1,
    measure: Measure = SMD,
    mean: float = 0.4,
    title: str = "",
    note: str = "",
    kinds: bool = False,
) -> Group:
    """An analysis of k invented studies; one alone is not pooled."""
    random = np.random.default_rng(seed)
    n = random.integers(8, 90, k)
    vi = 4 / n
    yi = random.normal(mean, np.sqrt(vi + 0.04))
    study = names(k)
    result = pooled(study, yi.tolist(), vi.tolist(), measure) if k > 1 else None
    kind = ("interval", "sprint", "moderate continuous")
    rows = tuple(
        Row(
            study[i],
            float(yi[i]),
            (float(yi[i] - 1.96 * vi[i] ** 0.5), float(yi[i] + 1.96 * vi[i] ** 0.5)),
            float(result.weights[i]) if result else None,
            (str(n[i]), kind[i % 3]) if kinds else (str(n[i]),),
            "primary" if result else "unpooled",
            f"https://example.org/{i}" if i % 2 else None,
        )
        for i in range(k)
    )
    totals = (str(n.sum()), "") if kinds else (str(n.sum()),)
    return Group(title, rows, result, note, totals if result else ())


def everything() -> list[Group]:
    """All that a forest plot can show: four groups, every role, an interval beyond the axis."""
    main = group(3, title="Chronic training against control", seed=3, kinds=True)
    more = (
        Row("Juniper 2019 (ramp)", 0.9, (-0.1, 1.9), None, ("14", "graded"), "sensitivity"),
        Row("Sorrel 2009", 4.5, (-2.0, 11.0), None, ("6", "sprint"), "sensitivity"),
    )
    published = (
        Row("Ash 2017", 0.59, (0.40, 0.78), None, ("280", ""), "published", "https://example.org"),
        Row("Birch 2021", 0.28, (0.05, 0.5), None, ("1180", ""), "published"),
    )
    return [
        Group(main.title, main.rows + more, main.result, main.note, main.totals),
        group(
            2, title="One session, before and after (uncontrolled)", seed=5, mean=-0.5, kinds=True
        ),
        group(1, title="Against other exercise", note="One study: shown, not pooled.", kinds=True),
        Group("Published meta-analyses", published, None, "Trials overlap; not pooled again."),
    ]


def _forest() -> Page:
    return forest([group(7)], measure=SMD, left="lower after exercise", right="higher")


def _forest_groups() -> Page:
    return forest(
        everything(),
        measure=SMD,
        columns=("n", "Exercise type"),
        left="BDNF lower after exercise",
        right="BDNF higher after exercise",
        smallest_effect=0.2,
        width_mm=89,
    )


def _forest_ratio() -> Page:
    return forest(
        [group(5, measure=RISK, mean=-0.4, seed=9)],
        measure=RISK,
        left="fewer falls",
        right="more falls",
        limits=(-1.2, 0.9),
        width_mm=120,
    )


def _funnel() -> Page:
    result = group(14, seed=4).result
    assert result is not None
    return funnel(result)


CASES: dict[str, Callable[[], Page]] = {
    "forest": _forest,
    "forest_groups": _forest_groups,
    "forest_ratio": _forest_ratio,
    "funnel": _funnel,
}


def pixels(picture: Page | Figure) -> NDArray[np.uint8]:
    """A picture as an array (height, width, 3), 0 to 255."""
    with Image.open(io.BytesIO(render(picture, dpi=DPI))) as image:
        return np.asarray(image.convert("RGB"))


def read(name: str) -> NDArray[np.uint8]:
    with Image.open(FOLDER / f"{name}.png") as image:
        return np.asarray(image.convert("RGB"))


def renew(cases: Mapping[str, Callable[[], Page | Figure]]) -> list[Path]:
    """Draw these baselines again, each with as few shades as leave it as it is."""
    paths = []
    for name, draw in cases.items():
        drawn = pixels(draw())
        for shades in (64, 128, 256):
            image = Image.fromarray(drawn).quantize(shades, kmeans=2, dither=Image.Dither.NONE)
            if difference(drawn, np.asarray(image.convert("RGB"))) < TOLERANCE / 1.5:
                break
        paths.append(FOLDER / f"{name}.png")
        image.save(paths[-1], optimize=True)
    return paths


def difference(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> float:
    """The largest difference between local means, 0 to 255.

    Means are of 3 x 3 pixels; and of 12 x 12, where a faint change of an area counts four times,
    since it is seen as well as a strong one of a line.
    """
    if one.shape != two.shape:
        return 255.0
    apart = one.astype(float) - two.astype(float)
    windows = np.lib.stride_tricks.sliding_window_view(apart, (3, 3), axis=(0, 1))
    near = float(np.abs(windows.mean(axis=(-1, -2))).max())
    high, wide = (side - side % 12 for side in apart.shape[:2])
    blocks = apart[:high, :wide].reshape(high // 12, 12, wide // 12, 12, 3)
    return max(near, 4 * float(np.abs(blocks.mean(axis=(1, 3))).max()))
