from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dopascope import geometry
from dopascope.phantom import ORIENTATIONS
from dopascope.space import canonical
from dopascope.volume import Grid, LabelMap, Volume


def stored(volume: Volume, axes: str) -> Volume:
    """`volume` (RAS) stored in another axis order, built by looking up every new voxel's position in the old one."""
    letters = ("LR", "PA", "IS")
    order = [next(n for n, pair in enumerate(letters) if letter in pair) for letter in axes]
    shape = tuple(volume.grid.shape[o] for o in order)
    affine = np.eye(4)
    affine[:3, :3] = 0
    for new, (old, letter) in enumerate(zip(order, axes, strict=True)):
        sign = -1 if letter in "LPI" else 1
        affine[:3, new] = sign * volume.grid.affine[:3, old]
        if sign < 0:
            affine[:3, 3] += volume.grid.affine[:3, old] * (volume.grid.shape[old] - 1)
    affine[:3, 3] += volume.grid.affine[:3, 3]
    grid = Grid((shape[0], shape[1], shape[2]), affine)
    index = np.rint(volume.grid.to_index(grid.centres_mm())).astype(int)
    return Volume(volume.data[tuple(np.moveaxis(index, -1, 0))], grid)


@pytest.mark.parametrize("axes", ORIENTATIONS)
def test_any_axis_order_of_an_oblique_scan_comes_back_exactly(axes: str, oblique_volume: Volume) -> None:
    other = stored(oblique_volume, axes)
    assert other.grid.axis_codes == axes
    back = canonical(other)
    assert np.array_equal(back.data, oblique_volume.data)
    assert back.grid.same_as(oblique_volume.grid, 1e-9)
    assert back.grid.axis_codes == "RAS"


def test_a_canonical_image_is_returned_as_it_is(oblique_volume: Volume) -> None:
    assert canonical(oblique_volume) is oblique_volume


def test_labels_keep_their_kind_and_names_and_the_step_is_recorded(oblique_volume: Volume) -> None:
    flipped = Grid(oblique_volume.grid.shape, oblique_volume.grid.affine @ np.diag([-1, -1, 1, 1]))
    labels = LabelMap((oblique_volume.data > 100).astype(np.uint8), flipped, names={1: "bright"})
    turned = canonical(labels)
    assert isinstance(turned, LabelMap)
    assert turned.data.dtype == np.uint8
    assert turned.mask("bright").sum() == (oblique_volume.data > 100).sum()
    assert turned.history[-1].params == {"from": "LPS", "to": "RAS"}


def test_every_voxel_keeps_its_world_position(oblique_volume: Volume) -> None:
    other = stored(oblique_volume, "SPR")
    voxel = (2, 3, 4)
    found = np.rint(canonical(other).grid.to_index(other.grid.to_world(voxel))).astype(int)
    assert canonical(other).data[tuple(found)] == other.data[voxel]


@pytest.mark.data
def test_the_48_stored_orders_of_one_head_are_one_image(data_dir: Path) -> None:
    import nibabel

    files = sorted((data_dir / "edge_cases" / "niivue_orientations").glob("*.nii.gz"))
    assert len(files) == 48
    images = [nibabel.load(file) for file in files]
    volumes = [
        canonical(Volume(np.asarray(i.dataobj, np.float32), Grid(i.shape[:3], np.asarray(i.affine, float))))
        for i in images
    ]
    assert {v.grid.axis_codes for v in volumes} == {"RAS"}
    for file, volume in zip(files, volumes, strict=True):
        assert np.array_equal(volume.data, volumes[0].data), file.name
        assert volume.grid.distance_mm(volumes[0].grid) < geometry.SAME_AFFINE_MM, file.name
