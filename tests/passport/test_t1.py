"""The passport of a T1 MRI: what is none, or is not whole, is refused or named, with the value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dopascope.passport import BrainFound, Passport, inspect_t1
from dopascope.space.brain_registration import BrainRegistration
from dopascope.volume import Acquisition, Grid, Volume
from t1_head import simulated, true_mask


def placed() -> BrainRegistration:
    """The truth of the simulated head's pose and size."""
    return BrainRegistration(simulated().mni_to_scan, 1.0, True, (), (8.0, -5.0, 6.0), (0.95, 0.95, 0.95), 0.95, 0.8)


def judged(data: np.ndarray, *, whole: bool = True, modality: str | None = None) -> Passport:
    volume = Volume(data, simulated().volume.grid, Acquisition(modality=modality))
    return inspect_t1(volume, BrainFound(true_mask(), whole, volume, placed()))


def head() -> np.ndarray:
    return np.asarray(simulated().volume.data)


def test_a_head_is_in_distribution_with_each_check_in_words() -> None:
    found = judged(head(), modality="MR")
    assert found.verdict == "in-distribution", found.reasons
    assert all(one.explanation and one.expected for one in found.checks)


def test_an_inverted_head_is_refused_by_the_order_of_its_tissues() -> None:
    data = head()
    inverted = np.where(true_mask().data > 0, data.max() - data, data)
    found = judged(inverted)
    assert found.verdict == "refused"
    assert found.check("white_over_grey").verdict == "refused"
    assert found.check("fluid_over_grey").verdict == "refused"
    straight = judged(head())
    for name in ("white_over_grey", "fluid_over_grey"):
        now, before = found.check(name).value, straight.check(name).value
        assert now == pytest.approx(-float(before or 0), abs=2.0)  # type: ignore[arg-type]


def test_the_order_does_not_depend_on_the_scale_of_values() -> None:
    once, scaled = judged(head()), judged(3.7 * head() + 40)
    for name in ("white_over_grey", "fluid_over_grey"):
        assert once.check(name).value == pytest.approx(scaled.check(name).value, abs=0.1)


def test_a_brain_without_its_head_is_told() -> None:
    assert judged(head()).check("head_around").verdict == "in-distribution"
    stripped = judged(np.where(true_mask().data > 0, head(), 0))
    assert stripped.check("head_around").verdict == "unusual"
    assert stripped.verdict == "unusual"


def test_a_brain_that_is_cut_is_told() -> None:
    assert judged(head(), whole=False).check("whole_brain").verdict == "unusual"


@pytest.mark.parametrize(
    ("shape", "spacing", "name"),
    [
        ((200, 220, 1), (1.0, 1.0, 5.0), "field_of_view"),
        ((200, 220, 18), (1.0, 1.0, 10.0), "slice_thickness"),
        ((60, 66, 62), (3.0, 3.0, 3.0), "pixel"),
    ],
    ids=["one slice", "slices of 10 mm", "voxels of 3 mm"],
)
def test_grids_that_show_too_little_are_refused_before_a_brain_is_sought(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], name: str
) -> None:
    grid = Grid(shape, np.diag([*spacing, 1.0]))
    data = np.random.default_rng(1).normal(100, 20, shape)
    found = inspect_t1(Volume(data, grid))
    assert found.verdict == "refused"
    assert found.check(name).verdict == "refused"


def test_empty_scans_labels_and_other_modalities_are_refused() -> None:
    volume = simulated().volume
    assert inspect_t1(replace(volume, data=np.zeros_like(volume.data))).check("maximum").verdict == "refused"
    assert inspect_t1(replace(volume, data=np.full_like(volume.data, np.nan))).verdict == "refused"
    assert inspect_t1(replace(volume, data=(volume.data > 500).astype(np.float32))).verdict == "refused"
    for said in ("NM", "CT", "PT"):
        assert (
            inspect_t1(replace(volume, acquisition=Acquisition(modality=said))).check("modality").verdict == "refused"
        )
