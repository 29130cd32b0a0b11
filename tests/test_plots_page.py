"""The gallery: its code runs, and the pictures beside it are what it draws.

``python -m tests.test_plots_page`` draws them again, to be looked at and committed.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

import meta.plots
from tests import doc_blocks
from tests.conftest import ROOT
from tests.pictures import difference

PAGE = ROOT / "docs/plots.md"
GALLERY = Path("docs/pictures/gallery")
SHADES = 40  # of 255 that a local mean may differ: the committed pictures have 128 shades


def drawn(folder: Path) -> list[doc_blocks.Ran]:
    """Run the page in a folder; its pictures are left there."""
    (folder / GALLERY).mkdir(parents=True)
    return list(doc_blocks.run(PAGE, folder))


def test_the_gallery_runs_and_its_pictures_are_what_it_draws(tmp_path):
    assert doc_blocks.differences(PAGE, drawn(tmp_path)) == []
    found = {p.name for p in (tmp_path / GALLERY).glob("*.png")}
    assert found == set(re.findall(r"\]\(pictures/gallery/([^)]*)\)", PAGE.read_text()))
    assert found == {p.name for p in (ROOT / GALLERY).glob("*.png")}
    for name in found:
        pictures = []
        for folder in (tmp_path, ROOT):
            with Image.open(folder / GALLERY / name) as image:
                pictures.append(np.asarray(image.convert("RGB")))
        assert difference(*pictures) < SHADES, (
            f"{name}: renew with `python -m tests.test_plots_page`"
        )


def test_the_gallery_shows_every_plot():
    text = PAGE.read_text()
    plots = set(meta.plots.__all__) - {"Direction", "Group", "Picture", "Row", "StudyDirections"}
    assert [name for name in sorted(plots) if f"plots.{name}(" not in text] == ["describe"]


def main() -> None:
    matplotlib.use("Agg")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        PAGE.write_text(doc_blocks.renewed(PAGE, drawn(folder)), encoding="utf-8")
        for picture in sorted((folder / GALLERY).glob("*.png")):
            doc_blocks.small(picture)
            shutil.copy(picture, ROOT / GALLERY / picture.name)
            print(f"{GALLERY / picture.name}  {picture.stat().st_size / 1000:.1f} kB")


if __name__ == "__main__":
    main()
