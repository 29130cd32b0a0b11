"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest
from hypothesis import HealthCheck, settings

matplotlib.use("Agg")

# Deterministic and without a time limit: the same examples on a laptop and in CI.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's own folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference material that only developers and CI have beside the project."""
    folder = ROOT.parent / "shared"
    if not (folder / "README.md").is_file():
        pytest.skip(
            "the reference material is not beside this checkout (developers and CI have it)"
        )
    return folder
