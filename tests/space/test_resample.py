from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from dopascope import geometry
from dopascope.errors import UsageError
from dopascope.space import resample
from dopascope.volume import Grid, LabelMap, Volume


def ramp(grid: Grid) -> np.ndarray:
    """A function that linear interpolation must reproduce: 3 + x - 2 y + 0.5 z."""
    x, y, z = np.moveaxis(grid.centres_mm(), -1, 0)
    return 3 + x - 2 * y + 0.5 * z


STORED = Grid((13, 11, 9), geometry.from_parts(np.eye(3), (3.0, 4.0, 5.0), (-18, -20, -20)))
PARALLEL = Grid((10, 9, 8), geometry.from_parts(np.eye(3), (1.7, 2.3, 2.9), (-7, -8, -9)))
SWAPPED = Grid((8, 10, 9), geometry.from_parts(np.eye(3)[:, [2, 0, 1]] * [-1, 1, 1], (2.9, 1.7, 2.3), (-7, -8, 9)))
OBLIQUE = Grid((6, 7, 8), geometry.rotation([10, -6, 4]) @ geometry.from_parts(np.eye(3), (1.5, 2, 2), (-5, -6, -7)))


@pytest.mark.parametrize("grid", [PARALLEL, SWAPPED, OBLIQUE], ids=["parallel", "swapped", "oblique"])
@pytest.mark.parametrize("method", ["linear", "cubic"])
def test_a_linear_function_is_reproduced_on_any_grid(grid: Grid, method: str) -> None:
    volume = Volume(ramp(STORED), STORED)
    moved = resample(volume, grid, method=method)  # type: ignore[arg-type]
    inside = np.ones(grid.shape, bool)
    if method == "cubic":  # a spline's ends assume a mirror, so only the middle is linear
        index = STORED.to_index(grid.centres_mm())
        inside = ((index > 2.5) & (index < np.array(STORED.shape) - 3.5)).all(-1)
        assert inside.any()
    error = np.abs(moved.data - ramp(grid))[inside].max()
    assert error < (1e-4 if method == "linear" else 0.2)


@pytest.mark.parametrize("grid", [PARALLEL, SWAPPED], ids=["parallel", "swapped"])
def test_the_fast_path_agrees_with_the_general_one(grid: Grid) -> None:
    volume = Volume(np.random.default_rng(3).normal(size=STORED.shape), STORED)
    index = np.moveaxis(STORED.to_index(grid.centres_mm()), -1, 0)
    expected = map_coordinates(volume.data.astype(float), index, order=1, mode="nearest")
    assert np.abs(resample(volume, grid, outside="nearest").data - expected).max() < 1e-5


def test_to_image_moves_the_image_against_the_grid() -> None:
    volume = Volume(ramp(STORED), STORED)
    move = geometry.translation([1, 2, 3]) @ geometry.rotation([3, 4, 5])
    moved = resample(volume, PARALLEL, to_image=move)
    x, y, z = np.moveaxis(geometry.apply_affine(move, PARALLEL.centres_mm()), -1, 0)
    assert np.abs(moved.data - (3 + x - 2 * y + 0.5 * z)).max() < 1e-3
    assert moved.history[-1].params["to_image"] == move.tolist()


@pytest.mark.parametrize("turn", [0.0, 1.0], ids=["parallel", "turned"])
def test_outside_begins_at_the_outer_face_of_the_edge_voxel(turn: float) -> None:
    volume = Volume(np.full((4, 4, 4), 7.0), Grid((4, 4, 4), np.eye(4)))
    line = Grid((5, 1, 1), geometry.from_parts(np.eye(3), (0.3, 1, 1), (2.9, 1.5, 1.5)))  # x = 2.9, 3.2, 3.5, 3.8, 4.1
    move = geometry.about(geometry.rotation([turn, 0, 0]), (0, 1.5, 1.5))
    values = resample(volume, line, to_image=move, outside=-1.0).data.ravel()
    assert values.tolist() == pytest.approx([7, 7, 7, -1, -1])
    assert resample(volume, line, to_image=move, outside="nearest").data.ravel().tolist() == pytest.approx([7] * 5)


def test_labels_are_never_interpolated() -> None:
    rng = np.random.default_rng(5)
    labels = LabelMap(rng.choice([0, 3, 200], size=STORED.shape).astype(np.uint8), STORED, names={3: "a", 200: "b"})
    moved = resample(labels, OBLIQUE)
    assert isinstance(moved, LabelMap)
    assert set(np.unique(moved.data)) <= {0, 3, 200}
    index = np.floor(STORED.to_index(OBLIQUE.centres_mm()) + 0.5).astype(int)
    assert np.array_equal(moved.data, labels.data[tuple(np.moveaxis(index, -1, 0))])
    with pytest.raises(UsageError):
        resample(labels, OBLIQUE, method="cubic")


def test_a_nan_stays_where_it_is() -> None:
    data = ramp(STORED).astype(np.float32)
    data[6, 5, 4] = np.nan
    moved = resample(Volume(data, STORED), PARALLEL)
    near = (np.abs(STORED.to_index(PARALLEL.centres_mm()) - (6, 5, 4)) < 1).all(-1)
    assert np.isnan(moved.data[near]).all()
    assert np.isfinite(moved.data[~near]).all()


def test_a_single_slice_and_an_unknown_method() -> None:
    flat = Volume(np.arange(12.0).reshape(3, 4, 1), Grid((3, 4, 1), np.eye(4)))
    assert np.array_equal(resample(flat, flat.grid).data, flat.data)
    with pytest.raises(UsageError, match="interpolation"):
        resample(flat, flat.grid, method="sinc")  # type: ignore[arg-type]
