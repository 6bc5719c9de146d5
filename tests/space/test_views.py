from __future__ import annotations

import numpy as np
import pytest

from dopascope import geometry
from dopascope.errors import UsageError
from dopascope.space import views
from dopascope.volume import MNI_2MM, Grid, Volume


@pytest.fixture(scope="module")
def numbered() -> Volume:
    """Every voxel holds 10 000 i + 100 j + k, exact in float32: a swapped or shifted axis shows."""
    i, j, k = np.indices(MNI_2MM.shape)
    return Volume(10_000 * i + 100 * j + k, MNI_2MM)


def test_rgb_slices_are_the_published_three(numbered: Volume) -> None:
    picture = views.rgb_slices(numbered)
    assert picture.shape == (91, 109, 3)
    assert picture[12, 34].tolist() == [123_440, 123_441, 123_442]
    heights = [MNI_2MM.to_world((0, 0, k))[2] for k in views.RGB_SLICES]
    assert heights == [8, 10, 12]


def test_the_slab_is_the_mean_of_six_slices_in_the_safe_range(numbered: Volume) -> None:
    slab = views.slab_12mm(numbered)
    assert slab.shape == (91, 109)
    assert slab[12, 34] == pytest.approx(123_400 + np.mean(range(35, 41)), abs=0.01)
    assert MNI_2MM.to_world((0, 0, views.SLAB_12MM.start))[2] == -2


def test_three_slabs_follow_each_other_without_gap(numbered: Volume) -> None:
    slabs = views.slabs_8mm(numbered)
    assert slabs.shape == (91, 109, 3)
    assert np.allclose(slabs[12, 34], [123_433.5, 123_437.5, 123_441.5], atol=0.01)
    stops = [slab.stop for slab in views.SLABS_8MM[:2]]
    assert stops == [slab.start for slab in views.SLABS_8MM[1:]]


def test_projections_find_a_hot_voxel_on_all_three_planes() -> None:
    data = np.zeros(MNI_2MM.shape)
    data[60, 70, 40] = 5
    planes = views.projections(Volume(data, MNI_2MM))
    assert np.argwhere(planes["sagittal"]).tolist() == [[70, 40]]
    assert np.argwhere(planes["coronal"]).tolist() == [[60, 40]]
    assert np.argwhere(planes["axial"]).tolist() == [[60, 70]]


@pytest.mark.parametrize("view", [views.rgb_slices, views.slab_12mm, views.slabs_8mm, views.projections])
def test_views_refuse_another_grid(view: object) -> None:
    shifted = Grid(MNI_2MM.shape, geometry.translation([1, 0, 0]) @ MNI_2MM.affine)
    with pytest.raises(UsageError, match="MNI grid"):
        view(Volume(np.zeros(shifted.shape), shifted))  # type: ignore[operator]


@pytest.mark.parametrize("name", sorted(views.VIEWS))
def test_every_view_has_its_stated_shape_and_follows_the_scale(name: str, numbered: Volume) -> None:
    one = views.VIEWS[name]
    taken = one.take(numbered)
    assert taken.shape == one.shape
    assert taken.dtype == np.float32
    assert one.description
    doubled = one.take(Volume(numbered.data * 2, MNI_2MM))
    np.testing.assert_allclose(doubled, 2 * taken, rtol=1e-6)


def test_channels_are_the_slices_and_slabs_in_their_order(numbered: Volume) -> None:
    rgb = views.VIEWS["rgb_slices"].take(numbered)
    assert rgb[:, 12, 34].tolist() == [123_440, 123_441, 123_442]
    slices = views.VIEWS["striatal_slices"].take(numbered)
    assert slices[:, 12, 34].tolist() == [123_400 + k for k in range(32, 44)]
    slabs = views.VIEWS["slabs_8mm"].take(numbered)
    np.testing.assert_allclose(slabs[:, 12, 34], slices[:, 12, 34].reshape(3, 4).mean(1))


def test_four_millimetres_are_means_of_eight_voxels(numbered: Volume) -> None:
    block = views.VIEWS["volume_4mm"].take(numbered)
    assert block[0, 3, 5, 7] == pytest.approx(numbered.data[7:9, 11:13, 15:17].mean(dtype=np.float64), rel=1e-6)


def test_projections_lie_in_the_corner_of_their_channel(numbered: Volume) -> None:
    shown = views.VIEWS["projections"].take(numbered)
    apart = views.projections(numbered)
    for channel, name in enumerate(("sagittal", "coronal", "axial")):
        rows, columns = apart[name].shape
        np.testing.assert_array_equal(shown[channel, :rows, :columns], apart[name])
        assert not shown[channel, rows:].any()
        assert not shown[channel, :, columns:].any()
