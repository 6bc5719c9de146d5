"""The large-volume method: counts are recovered whatever the resolution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dopascope import geometry
from dopascope.atlas import striatum_weights
from dopascope.quant import quantify
from dopascope.quant.ratios import STRIATAL_VOLUME_ML
from dopascope.volume import Grid, Volume

SPECIFIC = 6.0


@pytest.fixture(scope="module")
def striata():
    grid = Grid((160, 184, 160), np.array([[1.0, 0, 0, -79.5], [0, 1, 0, -109.5], [0, 0, 1, -69.5], [0, 0, 0, 1]]))
    return sum(striatum_weights(grid).values()), grid


def measured(striata, pose_class, fwhm_mm, specific=SPECIFIC, matrix=None):
    filled, grid = striata
    image = gaussian_filter(1 + specific * filled.astype(float), fwhm_mm / np.sqrt(8 * np.log(2)))
    matrix = np.eye(4) if matrix is None else matrix
    placed = Volume(image, Grid(grid.shape, matrix @ grid.affine))
    return quantify(placed, pose_class(matrix))


@pytest.fixture
def pose_class(scan, healthy_head):
    return type(scan(healthy_head, spacing=(6.0, 6.0, 6.0)).pose)


@pytest.mark.parametrize(("fwhm_mm", "least"), [(8.0, 0.985), (10.0, 0.97), (14.0, 0.91)])
def test_counts_of_a_striatum_are_recovered(striata, pose_class, fwhm_mm, least):
    found = measured(striata, pose_class, fwhm_mm)
    filled, _ = striata
    true_counts = SPECIFIC * filled[:80].sum() / 1000  # ml of reference concentration, left half
    counts = found.indices["sbr_large_left"].value * STRIATAL_VOLUME_ML
    assert least <= counts / true_counts <= 1.02
    assert found.indices["sbr_large_right"].value == pytest.approx(found.indices["sbr_large_left"].value, rel=1e-3)


def test_resolution_moves_it_far_less_than_the_anatomical_ratio(striata, pose_class):
    sharp, dull = (measured(striata, pose_class, fwhm) for fwhm in (8.0, 14.0))
    large = dull.indices["sbr_large_left"].value / sharp.indices["sbr_large_left"].value
    anatomical = dull.regions["striatum_left"].sbr / sharp.regions["striatum_left"].sbr
    assert large > 0.91
    assert anatomical < 0.75


def test_it_is_linear_in_binding_and_zero_without(striata, pose_class):
    none, some = (measured(striata, pose_class, 10.0, specific) for specific in (0.0, 3.0))
    full = measured(striata, pose_class, 10.0)
    assert none.indices["sbr_large_left"].value == pytest.approx(0, abs=1e-4)
    assert some.indices["sbr_large_left"].value == pytest.approx(full.indices["sbr_large_left"].value / 2, rel=0.01)


def test_counts_go_with_the_size_of_the_head(striata, pose_class):
    """A head 10 % larger each way holds 1.331 times the counts; concentrations stay."""
    grown = geometry.from_parts(np.eye(3), [1.1, 1.1, 1.1], [3, 4, 5])
    plain, large = measured(striata, pose_class, 10.0), measured(striata, pose_class, 10.0, matrix=grown)
    assert large.indices["sbr_large_left"].value == pytest.approx(
        1.331 * plain.indices["sbr_large_left"].value, rel=1e-3
    )
    assert "80 ml" in large.indices["sbr_large_left"].definition
    assert large.regions["putamen_left"].sbr == pytest.approx(plain.regions["putamen_left"].sbr, rel=1e-3)
