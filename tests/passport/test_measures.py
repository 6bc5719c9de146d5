"""The measures behind the checks, against closed forms; and the grammar of checks and verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from dopascope import geometry
from dopascope.passport.head import measure, sharpness_mm, uptake
from dopascope.passport.result import Check, issue, within
from dopascope.volume import Grid, Volume


def field(shape: tuple[int, int, int], spacing: float) -> Grid:
    return Grid(shape, geometry.from_parts(np.eye(3), [spacing] * 3, -spacing * (np.array(shape) - 1) / 2))


def head(grid: Grid, fwhm: float, axes: tuple[float, float, float] = (72, 90, 75)) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    inside = ((grid.centres_mm() / axes) ** 2).sum(-1) < 1
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.uniform(0.5, 1.5, (16, 16, 16)), np.ones((10, 10, 10)))[tuple(slice(n) for n in grid.shape)]
    return gaussian_filter(inside * blocks, fwhm / 2.3548 / grid.spacing_mm[0])


@pytest.mark.parametrize("fwhm", [5.0, 8.0, 12.0, 16.0])
def test_sharpness_is_the_width_of_the_gaussian_that_blurred_edges(fwhm: float) -> None:
    grid = field((110, 120, 100), 2.0)
    measured = measure(Volume(head(grid, fwhm), grid))
    assert sharpness_mm(measured) == pytest.approx(fwhm, rel=0.2)


def test_one_straight_edge_gives_its_width_exactly() -> None:
    """The integral of the squared first derivative of an error function over that of the second is 2 s2."""
    from scipy.special import erf

    grid = field((200, 64, 60), 1.0)
    sigma = 4.0
    x = grid.centres_mm()[..., 0]
    edges = 50 * (erf((x + 70) / sigma / np.sqrt(2)) - erf((x - 70) / sigma / np.sqrt(2)))
    measured = measure(Volume(edges, grid))
    assert sharpness_mm(measured) == pytest.approx(2.3548 * sigma, rel=0.08)


@pytest.mark.parametrize("axes", [(65.0, 85.0, 70.0), (80.0, 100.0, 90.0)])
@pytest.mark.parametrize("tilt", [0.0, 90.0])
def test_extent_is_that_of_the_ellipsoid_in_world_axes(axes: tuple[float, float, float], tilt: float) -> None:
    grid = field((80, 84, 76), 3.0)
    turned = Grid(grid.shape, geometry.rotation([0, 0, tilt]) @ grid.affine)
    measured = measure(Volume(head(grid, 6.0, axes), turned))
    expected = np.array(axes) * 2 if tilt == 0 else 2 * np.array([axes[1], axes[0], axes[2]])
    np.testing.assert_allclose(measured.extent_mm, expected, atol=9)
    assert measured.one_piece == 1.0
    assert max(measured.cut.values()) == 0.0
    assert measured.head.volume_ml == pytest.approx(4 / 3 * np.pi * np.prod(axes) / 1000, rel=0.12)


def test_each_face_is_named_by_the_subject_and_not_by_the_array() -> None:
    grid = field((80, 84, 76), 3.0)
    data = head(grid, 6.0)
    faces = {(0, 0): "left", (0, -1): "right", (1, 0): "back", (1, -1): "front", (2, 0): "bottom", (2, -1): "top"}
    for (axis, end), name in faces.items():
        middle = grid.shape[axis] // 2
        keep = [slice(None)] * 3
        keep[axis] = slice(middle, None) if end == 0 else slice(None, middle)
        affine = grid.affine.copy()
        affine[:3, 3] = grid.to_world([one.start or 0 for one in keep])
        part = data[tuple(keep)]
        for flip in (1, -1):
            flipped = affine.copy()
            if flip < 0:
                flipped[:3, 3] += flipped[:3, 0] * (part.shape[0] - 1)
                flipped[:3, 0] *= -1
            cut = measure(Volume(part[::flip], Grid(part.shape, flipped))).cut
            assert max(cut, key=lambda face: cut[face]) == name
            assert cut[name] > 0.9


def test_uptake_measures_contrast_and_volume_of_two_hot_balls() -> None:
    grid = field((100, 110, 96), 2.0)
    at = grid.centres_mm()
    inside = ((at / (72, 90, 75)) ** 2).sum(-1) < 1
    middle = np.array([0, 0, 75 - 78 + 0.0])  # the crown less the distance to the middle of the brain
    balls = sum((np.linalg.norm(at - middle - [side, 5, 0], axis=-1) < 14).astype(float) for side in (-20, 20))
    found = uptake(measure(Volume(100 * inside + 300 * balls, grid)))
    assert found.peak == pytest.approx(4.0, rel=0.1)
    assert found.surround == pytest.approx(4.0, rel=0.1)
    assert found.hot_ml == pytest.approx(2 * 4 / 3 * np.pi * 1.4**3, rel=0.25)
    plain = uptake(measure(Volume(100.0 * inside, grid)))
    assert (plain.peak, plain.surround) == pytest.approx((1.0, 1.0), abs=0.02)


def test_within_includes_its_limits_and_is_unusual_between() -> None:
    for value, verdict in (
        (5, "in-distribution"),
        (10, "in-distribution"),
        (4.9, "unusual"),
        (12, "unusual"),
        (13, "refused"),
    ):
        found = within("x", value, "mm", usual=(5, 10), possible=(4, 12), explanation="because")
        assert found.verdict == verdict
        assert found.expected == "5 to 10 mm"
    for value in (float("nan"), float("inf")):
        found = within("x", value, "", usual=(0, float("inf")), possible=(0, float("inf")), explanation="")
        assert (found.verdict, found.value) == ("refused", "not measurable")


def test_the_passport_is_as_bad_as_its_worst_check_and_names_the_worst_first() -> None:
    def check(name: str, verdict: str) -> Check:
        return Check(name, 1.0, "mm", verdict, "2 mm", "it is so")

    assert issue([]).verdict == "in-distribution"
    assert issue([check("a", "not stated"), check("b", "in-distribution")]).reasons == ()
    found = issue([check("a_b", "unusual"), check("c", "refused"), check("d", "in-distribution")])
    assert found.verdict == "refused"
    assert [reason.split()[0] for reason in found.reasons] == ["c", "a"]
    assert found.reasons[1] == "a b 1 mm (expected 2 mm): it is so"
    assert found.check("d").value == 1.0
    with pytest.raises(KeyError):
        found.check("e")
