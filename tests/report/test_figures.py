"""Which pictures there are, and that left is left in each of them whatever the file's axis order."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from dopascope.reading.images import Examination, Images
from dopascope.report import colour, figures, tiles
from dopascope.volume import MNI_2MM, Grid, SliceImage, Volume


def brightness(tile: tiles.Tile) -> np.ndarray:
    """Levels of a hot tile without the rows that hold letters."""
    return np.asarray(tile.image).astype(float)[40:]


def halves(tile: tiles.Tile, levels: int = 120) -> tuple[float, float]:
    """Sum of what is brighter than `levels` in the left and the right half of the picture."""
    shown = np.clip(brightness(tile) - levels, 0, None)
    middle = shown.shape[1] // 2
    return shown[:, :middle].sum(), shown[:, -middle:].sum()


def test_the_worse_right_side_is_the_dim_left_half_of_every_picture(examinations: dict[str, Examination]) -> None:
    drawn = figures.draw(examinations["reduced"])
    scan = drawn.rows[0].tiles
    assert drawn.planes is not None
    seen = [*scan[1:4], drawn.planes.tiles[0], drawn.planes.tiles[1], *drawn.planes.tiles[4:]]
    for tile in [*seen, figures.thumbnail(examinations["reduced"])]:
        right_of_subject, left_of_subject = halves(tile)
        assert left_of_subject > 1.3 * right_of_subject, tile.label


def test_the_two_sagittal_planes_are_the_sides_they_say(examinations: dict[str, Examination]) -> None:
    planes = figures.draw(examinations["reduced"]).planes
    assert planes is not None
    right, left = planes.tiles[2:4]
    assert right.label.startswith("right x +26")
    assert left.label.startswith("left x −26")
    assert brightness(left).max() > 1.2 * brightness(right).max()


def test_template_and_scan_show_the_same_slices_on_the_same_scale(examinations: dict[str, Examination]) -> None:
    scan, template = figures.draw(examinations["normal"]).rows
    assert [one.label for one in scan.tiles] == [one.label for one in template.tiles]
    assert [one.label for one in scan.tiles] == [f"z {z} mm" for z in ("−8", "−2", "+4", "+10", "+16", "+22")]


def test_a_value_has_the_same_colour_in_every_report() -> None:
    for value in (0.5, 1.0, 3.0):
        volume = Volume(np.full(MNI_2MM.shape, value, np.float32), MNI_2MM)
        level = np.unique(brightness(figures.slab(volume)))
        assert level.tolist() == [round(value / figures.DISPLAY_TOP * (colour.SCALE_LEVELS - 1))]


def spots() -> np.ndarray:
    """A dim box, `(x, y, z)` in RAS, with bright spots on the right, in front and on top of the middle."""
    data = np.full((21, 25, 29), 0.2, np.float32)
    data[14:18, 10:16, 12:17] = 5  # right
    data[8:13, 18:23, 12:17] = 5  # front
    data[8:13, 10:16, 20:26] = 5  # top
    return data


def stored_as(data: np.ndarray, order: tuple[int, ...], flips: tuple[bool, ...]) -> Volume:
    """The same head with its axes permuted and flipped, the affine saying so."""
    affine = np.diag([3.0, 2.5, 2.0, 1.0])
    turned = np.zeros((4, 4))
    turned[3, 3] = 1
    for new, old in enumerate(order):
        turned[old, new] = -1 if flips[new] else 1
        turned[old, 3] += data.shape[old] - 1 if flips[new] else 0
    array = data.transpose(order)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    return Volume(np.ascontiguousarray(array), Grid(array.shape, affine @ turned))


def test_stored_planes_are_the_same_for_all_48_axis_orders() -> None:
    expected = [tile.image.tobytes() for tile in figures.stored_planes(stored_as(spots(), (0, 1, 2), (False,) * 3))]
    for order, flips in product(permutations(range(3)), product((False, True), repeat=3)):
        volume = stored_as(spots(), order, flips)
        shown = [tile.image.tobytes() for tile in figures.stored_planes(volume)]
        assert shown == expected, volume.grid.axis_codes


def test_stored_planes_have_right_left_front_up_and_true_proportions() -> None:
    axial, coronal, sagittal = figures.stored_planes(stored_as(spots(), (0, 1, 2), (False,) * 3))
    for tile in (axial, coronal, sagittal):  # the right spot, twice, and in the side view the front one
        left, right = halves(tile, 150)
        assert left > 1.5 * right
    for tile, up in ((axial, "front"), (coronal, "top"), (sagittal, "top")):
        shown = np.clip(np.asarray(tile.image).astype(float) - 150, 0, None)
        middle = shown.shape[0] // 2
        assert shown[:middle].sum() > 1.5 * shown[-middle:].sum(), up
    assert axial.width_mm / axial.height_mm == pytest.approx(21 * 3 / (25 * 2.5))
    assert axial.image.width / axial.image.height == pytest.approx(21 * 3 / (25 * 2.5), rel=0.01)


def test_what_was_not_read_is_shown_as_stored(examinations: dict[str, Examination]) -> None:
    refused = figures.draw(examinations["refused"])
    assert refused.stored is not None
    assert len(refused.stored.tiles) == 3
    assert not refused.rows
    assert not refused.evidence
    assert refused.planes is None
    assert refused.registration is None
    picture = figures.draw(examinations["picture"])
    assert picture.stored is not None
    assert len(picture.stored.tiles) == 1
    assert not picture.rows


def test_a_scan_refused_after_registration_shows_the_fit_but_no_slices(examinations: dict[str, Examination]) -> None:
    normal = examinations["normal"]
    refused = Examination(examinations["refused"].reading, normal.images)
    drawn = figures.draw(refused)
    assert drawn.registration is not None
    assert drawn.stored is not None
    assert not drawn.rows


def test_no_template_leaves_only_the_scan_row(examinations: dict[str, Examination]) -> None:
    normal = examinations["normal"]
    assert isinstance(normal.images, Images)
    drawn = figures.draw(Examination(normal.reading, Images(normal.images.scan, normal.images.mni, None)))
    assert [strip.name for strip in drawn.rows] == ["This scan"]


@pytest.mark.parametrize("value", [0.0, -3.0, np.nan])
def test_an_empty_or_negative_scan_can_be_shown(value: float) -> None:
    volume = Volume(np.full((5, 6, 7), value, np.float32), Grid((5, 6, 7), np.diag([2.0, 2, 2, 1])))
    for tile in figures.stored_planes(volume):
        assert brightness(tile).max() == 0


@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 3), (3000, 20)])
def test_a_picture_keeps_its_way_up_and_fits(shape: tuple[int, ...]) -> None:
    data = np.zeros(shape, np.float32)
    data[: shape[0] // 2, shape[1] // 2 :] = 255
    shown = np.asarray(figures.picture(SliceImage(data)).image.convert("L")).astype(int)
    assert max(shown.shape) <= figures.MAX_PIXELS
    rows, columns = (n // 2 for n in shown.shape)
    assert shown[: rows - 1, columns + 1 :].min() > 200
    assert shown[rows + 1 :].max() == 0


def test_evidence_lies_on_the_side_it_speaks_of(examinations: dict[str, Examination]) -> None:
    ((_, tile),) = figures.draw(examinations["normal"]).evidence
    pixels = np.asarray(tile.image.convert("RGB")).astype(int)
    orange = np.clip(pixels[..., 0] - pixels[..., 2] - 40, 0, None)
    middle = orange.shape[1] // 2
    assert orange[:, :middle].sum() > 10 * orange[:, middle:].sum()


def test_an_even_evidence_map_of_nothing_stays_grey(examinations: dict[str, Examination]) -> None:
    images = examinations["normal"].images
    assert isinstance(images, Images)
    assert images.mni is not None
    tile = figures.evidence_slab(images.mni, Volume(np.zeros(MNI_2MM.shape, np.float32), MNI_2MM))
    pixels = np.asarray(tile.image.convert("RGB")).astype(int)
    assert np.ptp(pixels, axis=2).max() == 0


def test_outlines_are_drawn_for_every_region_on_both_sides(examinations: dict[str, Examination]) -> None:
    check = figures.draw(examinations["normal"]).registration
    assert check is not None
    axial = np.asarray(check.tiles[0].image.convert("RGB"))
    for name, rgb in colour.OUTLINES.items():
        drawn = (axial == rgb).all(axis=2)
        middle = drawn.shape[1] // 2
        assert drawn[40:, :middle].sum() > 20, name
        assert drawn[40:, middle:].sum() > 20, name
