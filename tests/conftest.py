"""Shared fixtures. Test images never have equal axis lengths: a swapped axis must show."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest

from dopascope.volume import Grid, Volume

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--regenerate",
        action="store_true",
        help="write generated files (docs tables, the JSON Schema) anew, then check them",
    )


LONG = (
    "web/test_kills.py",
    "formats/test_fuzz.py",
    "quant/test_phantoms.py",
    "study/test_run.py",
    "study/test_grades.py",
    "web/test_browser.py",
    "web/test_uploads.py",
    "test_real_brains.py",
    "reading/test_selftest.py",
    "simulate/test_run.py",
)
"""Files that take longest, begun first, so that the workers end together."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; within a file nothing moves."""
    here = Path(__file__).parent
    first = {here / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: first.get(item.path, len(first)))


def pytest_collection_finish() -> None:
    """Thousands of collected tests stay to the end: no collection of garbage need walk through them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of licensed scans named by DOPASCOPE_DATA; skips without it, fails without it in CI."""
    named = os.environ.get("DOPASCOPE_DATA")
    if named and Path(named).is_dir():
        return Path(named)
    message = "set DOPASCOPE_DATA to the folder of licensed scans (docs/testing.md) to run this test"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def oblique_volume() -> Volume:
    """A small random volume with unequal axes, unequal spacing and an oblique affine."""
    from dopascope import geometry

    rng = np.random.default_rng(7)
    affine = geometry.rotation([11, -7, 5]) @ np.diag([2.1, 3.2, 4.3, 1.0])
    affine[:3, 3] = [-8, 12, -20]
    return Volume(rng.normal(100, 20, (7, 8, 9)), Grid((7, 8, 9), affine))
