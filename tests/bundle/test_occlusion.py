from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from dopascope import atlas
from dopascope.bundle import Bundle, occlusion
from dopascope.errors import UnsuitableError, UsageError
from dopascope.volume import MNI_2MM, Volume


def watching(models, make_bundle: Callable[..., Bundle], weight: np.ndarray, **changes: object) -> Bundle:
    """Two networks whose logit is the sum of `weight` (in RAS, `(91, 109)`) times the picture."""
    seen = weight[::-1][9:81, 29:101].reshape(-1, 1)
    return make_bundle(models.linear({"acc": np.repeat(seen, 2, axis=1)}, {"acc": np.zeros(2)}), **changes)


@pytest.fixture
def picture() -> np.ndarray:
    """Background 1, with a warm spot in the left putamen."""
    flat = np.ones((91, 109), np.float32)
    flat[28:34, 62:72] = 3.0
    return flat


def test_the_change_is_the_closed_form_for_one_patch(models, make_bundle, picture: np.ndarray) -> None:
    weight = np.zeros((91, 109))
    weight[30, 66] = 0.25
    found = occlusion(watching(models, make_bundle, weight), picture)
    assert found.score == pytest.approx(0.25 * 3.0)
    # Covering the pixel puts background 1 in the place of 3; the mean over its patches is the same for each.
    at = np.unravel_index(np.abs(found.map).argmax(), found.map.shape)
    assert found.map[30, 66] == pytest.approx(found.map[at])
    assert found.map[at] <= 0.25 * 2.0 + 1e-6
    half = round(found.patch_mm / 2)
    rows, columns = np.nonzero(found.map)
    assert max(abs(rows - 30).max(), abs(columns - 66).max()) <= half + 1


def test_the_map_is_in_ras_and_mirrors_with_the_picture(models, make_bundle, picture: np.ndarray) -> None:
    weight = np.zeros((91, 109))
    weight[28:34, 62:72] = 0.01
    left = occlusion(watching(models, make_bundle, weight), picture)
    middle = np.average(np.arange(91), weights=np.abs(left.map).sum(1))
    assert MNI_2MM.to_world([middle, 0, 0])[0] < -15  # the subject's left
    right = occlusion(watching(models, make_bundle, weight[::-1], name="mirror"), picture[::-1])
    # Patches stand symmetrically about the midline, so the mirror is exact.
    np.testing.assert_allclose(right.map, left.map[::-1], atol=1e-5)


def test_shares_inside_the_striatum(models, make_bundle, picture: np.ndarray) -> None:
    inside, outside = np.zeros((91, 109)), np.zeros((91, 109))
    inside[28:34, 62:72] = 0.01
    outside[40:50, 20:30] = 0.01
    lit = picture.copy()
    lit[40:50, 20:30] = 3.0
    at_striatum = occlusion(watching(models, make_bundle, inside), lit)
    elsewhere = occlusion(watching(models, make_bundle, outside, name="outside"), lit)
    assert at_striatum.share_inside_striatum > 2.5 * at_striatum.area_inside_striatum
    assert elsewhere.share_inside_striatum == 0.0
    assert 0.1 < at_striatum.area_inside_striatum < 0.3


def test_a_picture_that_is_all_background_has_no_evidence(models, make_bundle) -> None:
    found = occlusion(watching(models, make_bundle, np.full((91, 109), 0.01)), np.ones((91, 109)))
    assert not found.map.any()
    assert found.share_inside_striatum == 0.0


def test_filling_with_another_picture_asks_what_it_would_change(models, make_bundle, picture: np.ndarray) -> None:
    weight = np.zeros((91, 109))
    weight[28:34, 62:72] = -0.01
    bundle = watching(models, make_bundle, weight)
    gone = np.ones((91, 109), np.float32)
    assert not occlusion(bundle, gone).map.any()
    restored = occlusion(bundle, gone, fill=picture)
    # Normal uptake put back lowers the logit of 'reduced': its absence speaks for 'reduced'.
    assert restored.map.max() > 0.2
    assert restored.map.min() == 0.0
    assert "another picture" in restored.meaning


def test_a_volume_gives_the_map_on_its_slab(models, make_bundle, scan: Volume) -> None:
    bundle = watching(models, make_bundle, np.full((91, 109), 1e-3))
    found = occlusion(bundle, scan)
    volume = found.as_volume(scan)
    assert volume.grid == MNI_2MM
    lit = np.flatnonzero(np.abs(volume.data).sum((0, 1)))
    assert MNI_2MM.to_world([[0, 0, lit[0]], [0, 0, lit[-1]]])[:, 2].tolist() == [-2.0, 8.0]
    np.testing.assert_array_equal(volume.data[:, :, 37], found.map)
    assert volume.history[-1].name == "occlusion"
    assert found.as_volume().history[0].params["bundle"] == "linear"
    # Patches are centred on brain, so nothing is painted further from it than half a patch's diagonal.
    brain = atlas.tissue("brain").data[:, :, 35:41].mean(-1) >= 0.5
    far = distance_transform_edt(~brain, sampling=2.0) > found.patch_mm * 0.5**0.5
    assert not found.map[far].any()


def test_regional_networks_are_asked_for_their_expected_grade(models, make_bundle, picture: np.ndarray) -> None:
    weight = np.zeros((91, 109))
    weight[28:34, 62:72] = 0.01
    seen = weight[::-1][9:81, 29:101].reshape(-1, 1)
    model = models.linear({"grades": seen * np.array([-1.0, 1.0])}, {"grades": np.zeros((1, 1, 2))})
    found = occlusion(make_bundle(model, **models.grading), picture)
    assert found.score == pytest.approx(1 / (1 + np.exp(-2 * 0.01 * 60 * 3)), rel=1e-4)
    # All of the weight covered at once would leave the background's grade; no patch covers more than that.
    assert 0.01 < found.map.max() <= found.score - 1 / (1 + np.exp(-2 * 0.01 * 60))
    assert "grade" in found.unit


@pytest.mark.parametrize(("patch", "stride"), [(8.0, 12.0), (8.0, 0.0), (0.0, 0.0)])
def test_gaps_between_patches_are_refused(
    models, make_bundle, picture: np.ndarray, patch: float, stride: float
) -> None:
    bundle = watching(models, make_bundle, np.ones((91, 109)))
    with pytest.raises(UsageError, match="stride"):
        occlusion(bundle, picture, patch_mm=patch, stride_mm=stride)


def test_what_cannot_be_judged_is_refused(models, make_bundle, picture: np.ndarray) -> None:
    bundle = watching(models, make_bundle, np.ones((91, 109)))
    with pytest.raises(UnsuitableError):
        occlusion(bundle, np.full((91, 109), np.nan))
    segmenter = watching(models, make_bundle, np.ones((91, 109)), name="segmenter", kind="segmenter", vote=None)
    with pytest.raises(UsageError, match="classify"):
        occlusion(segmenter, picture)
