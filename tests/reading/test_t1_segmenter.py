"""T1 MRI with the segmenter that ships: a simulated head, things that are no head, and real scans of every contrast."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dopascope import formats
from dopascope.bundle import store
from dopascope.bundle.segmenter import SHIPPED_SEGMENTER
from dopascope.reading import Choices, Examination, examine
from dopascope.volume import Grid, SliceImage, Volume
from t1_head import as_file, simulated, true_mask
from wrong_scans import box, cylinder

T1 = Choices(modality="t1")


@pytest.fixture(autouse=True, scope="module")
def _ships() -> None:
    if not (store.SHIPPED / SHIPPED_SEGMENTER).is_dir():
        message = f"the segmenter {SHIPPED_SEGMENTER} does not ship in this tree"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


def dice(found: Examination) -> float:
    assert not isinstance(found.images, SliceImage)
    assert found.images.brain is not None
    one, other = found.images.brain.data > 0, true_mask().data > 0
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.mark.slow
def test_a_simulated_head_is_read_from_its_file_alone() -> None:
    found = examine(as_file(simulated().volume), Choices())
    assert found.reading.verdict is None, found.reading.verdict_reasons
    assert found.reading.brain is not None
    assert found.reading.brain.model == SHIPPED_SEGMENTER
    assert found.reading.morphometry is not None
    assert dice(found) > 0.93


def fruit() -> Volume:
    """A ball of 120 mm with a rind and a dozen seeds."""
    grid = box((90, 96, 92), 2.0)
    away = np.linalg.norm(grid.centres_mm(), axis=-1)
    data = np.where(away < 60, 300.0, 0.0)
    data[(away < 60) & (away > 52)] = 900.0
    for angle in np.arange(0, 2 * np.pi, np.pi / 6):
        centre = 25 * np.array([np.cos(angle), np.sin(angle), 0.0])
        data[np.linalg.norm(grid.centres_mm() - centre, axis=-1) < 5] = 60.0
    return _grainy(data, grid)


def phantom() -> Volume:
    """A bottle of water."""
    grid = box((90, 96, 92), 2.0)
    return _grainy(np.where(cylinder(grid, 70, 80), 500.0, 0.0), grid)


def _grainy(data: np.ndarray, grid: Grid) -> Volume:
    return Volume(np.abs(data + np.random.default_rng(2).normal(0, 12, grid.shape)), grid)


@pytest.mark.slow
@pytest.mark.parametrize("made", [fruit, phantom])
def test_what_is_no_head_is_refused_with_the_reason(made: Callable[[], Volume]) -> None:
    reading = examine(made(), T1).reading
    assert reading.verdict == "refused"
    assert reading.verdict_reasons
    assert reading.morphometry is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["mne_ecog_subject/T1.mgz", "cstar_stroke/T1.nii.gz", "openms_longitudinal/patient12_study1_T1W.nii.gz"]
)
def test_real_heads_are_measured(data_dir: Path, name: str) -> None:
    reading = examine(formats.load(data_dir / "t1_mri" / name), T1).reading
    assert reading.verdict is None, reading.verdict_reasons
    assert reading.passport.verdict != "refused"
    assert reading.morphometry is not None
    assert 1.0 < reading.morphometry.volumes["putamen"].ml < 20.0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cstar_stroke/T2.nii.gz", "cstar_stroke/FLAIR.nii.gz"])
def test_other_contrasts_are_refused_by_the_order_of_tissues(data_dir: Path, name: str) -> None:
    reading = examine(formats.load(data_dir / "t1_mri" / name), T1).reading
    assert reading.verdict == "refused"
    assert any("white over grey" in one for one in reading.verdict_reasons)
