"""Augmentations against closed forms and other programs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dopascope.augment import AUGMENTATIONS, parse, pose
from dopascope.augment.blur import gaussian
from dopascope.errors import UsageError

FLAT = (4, 2, 21, 26)
SOLID = (3, 1, 13, 17, 15)


def smooth(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(ndimage.gaussian_filter(rng.random(shape), (0, 0, *[1.5] * (len(shape) - 2)))).float()


@pytest.mark.parametrize("shape", [FLAT, SOLID])
def test_no_amount_changes_nothing(shape: tuple[int, ...]) -> None:
    images = smooth(shape)
    generator = torch.Generator().manual_seed(1)
    still = pose.affine(generator, shape[0], shape[2:])
    torch.testing.assert_close(pose.resample(images, still), images, rtol=0, atol=1e-5)
    torch.testing.assert_close(gaussian(images, torch.zeros(shape[0])), images)


@pytest.mark.parametrize("shape", [FLAT, SOLID])
def test_an_affine_is_what_scipy_makes_of_it(shape: tuple[int, ...]) -> None:
    """Unequal axes, turns about every axis, a scale and a shift: output voxel to input voxel about the centre."""
    images = smooth(shape)
    generator = torch.Generator().manual_seed(5)
    axes = len(shape) - 2
    drawn = pose.affine(generator, shape[0], shape[2:], rotation_deg=12.0, scale=0.1, shift=[2.0] * axes)
    found = pose.resample(images, drawn).numpy()
    centre = (np.array(shape[2:]) - 1) / 2
    for number in range(shape[0]):
        matrix, moved = drawn[number, :, :-1].double().numpy(), drawn[number, :, -1].double().numpy()
        offset = centre + moved - matrix @ centre
        for channel in range(shape[1]):
            expected = ndimage.affine_transform(
                images[number, channel].double().numpy(), matrix, offset, order=1, mode="nearest"
            )
            np.testing.assert_allclose(found[number, channel], expected, atol=2e-5)


def test_a_turn_keeps_lengths_and_a_scale_multiplies_them() -> None:
    generator = torch.Generator().manual_seed(2)
    turned = pose.affine(generator, 50, (9, 9, 9), rotation_deg=30.0)[:, :, :-1]
    torch.testing.assert_close(turned @ turned.transpose(1, 2), torch.eye(3).expand(50, 3, 3), atol=1e-5, rtol=0)
    scaled = pose.affine(generator, 50, (9, 9), scale=0.2)[:, :, :-1]
    sizes = 1 / scaled[:, 0, 0]
    assert sizes.min() >= 0.8
    assert sizes.max() <= 1.2
    assert sizes.std() > 0.05


def test_a_crop_stays_inside_the_picture() -> None:
    drawn = pose.affine(torch.Generator().manual_seed(3), 200, (20, 30), crop=0.4)
    half = (torch.tensor([20.0, 30.0]) - 1) / 2
    corners = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]) * half
    seen = corners @ drawn[:, :, :-1].transpose(1, 2) + drawn[:, None, :, -1]
    assert (seen.abs() <= half + 0.5).all()
    assert drawn[:, 0, 0].min() < 0.7
    assert drawn[:, 0, 0].max() <= 1.0


@pytest.mark.parametrize("shape", [FLAT, SOLID])
def test_blur_is_scipys_gaussian(shape: tuple[int, ...]) -> None:
    images = smooth(shape)
    sd = torch.tensor([0.0, 0.7, 1.4, 2.1][: shape[0]])
    found = gaussian(images, sd).numpy()
    for number, width in enumerate(sd.tolist()):
        reach = max(1, round(3 * width))
        expected = images[number].double().numpy()
        if width:
            widths = (0, *[width] * (len(shape) - 2))
            expected = ndimage.gaussian_filter(expected, widths, mode="nearest", truncate=reach / width)
        np.testing.assert_allclose(found[number], expected, atol=1e-4)


def test_a_flip_exchanges_left_and_right_and_says_so() -> None:
    pipeline = parse([{"kind": "flip", "chance": 0.5}])
    images = smooth((40, 1, 8, 9))
    drawn = pipeline.draw(40, (1, 8, 9), 4)
    changed, mirrored = pipeline.apply(images, drawn, 4)
    assert 5 < int(mirrored.sum()) < 35
    torch.testing.assert_close(changed[mirrored], images[mirrored].flip(2))
    torch.testing.assert_close(changed[~mirrored], images[~mirrored])


def test_two_flips_are_none() -> None:
    pipeline = parse([{"kind": "flip", "chance": 1.0}, {"kind": "flip", "chance": 1.0}])
    images = smooth((3, 1, 8, 9))
    changed, mirrored = pipeline.apply(images, pipeline.draw(3, (1, 8, 9), 1), 1)
    torch.testing.assert_close(changed, images)
    assert not mirrored.any()


@pytest.mark.parametrize("kind", sorted(AUGMENTATIONS))
@pytest.mark.parametrize("shape", [FLAT, SOLID])
def test_every_augmentation_keeps_the_shape_and_follows_its_seed(kind: str, shape: tuple[int, ...]) -> None:
    pipeline = parse([{"kind": kind}])
    images = smooth(shape)

    def once(seed: int) -> torch.Tensor:
        return pipeline.apply(images, pipeline.draw(shape[0], shape[1:], seed), seed)[0]

    first = once(1)
    assert first.shape == images.shape
    assert torch.isfinite(first).all()
    torch.testing.assert_close(first, once(1), rtol=0, atol=0)
    assert any(not torch.equal(first, once(seed)) for seed in range(2, 8))


def test_a_share_of_a_batch_is_drawn_as_in_the_whole() -> None:
    """Two processes that hold every other image see what one process sees."""
    pipeline = parse([{"kind": "pose"}, {"kind": "flip"}, {"kind": "brightness"}, {"kind": "blur"}])
    images = smooth((6, 1, 16, 18))
    drawn = pipeline.draw(6, (1, 16, 18), 9)
    whole = pipeline.apply(images, drawn, 9)[0]
    for rank in range(2):
        own = [{name: value[rank::2] for name, value in one.items()} for one in drawn]
        torch.testing.assert_close(pipeline.apply(images[rank::2], own, 9)[0], whole[rank::2], atol=1e-5, rtol=0)


def test_brightness_multiplies_and_jitter_keeps_the_mean() -> None:
    images = smooth((5, 2, 9, 11))
    bright = AUGMENTATIONS["brightness"]
    drawn = bright.draw(torch.Generator().manual_seed(1), 5, (2, 9, 11), amount=0.3)
    changed = bright.apply(images, drawn, torch.Generator())
    torch.testing.assert_close(changed / images, drawn["factor"].reshape(5, 1, 1, 1).expand_as(images))
    contrast = AUGMENTATIONS["jitter"]
    drawn = contrast.draw(torch.Generator().manual_seed(1), 5, (2, 9, 11), brightness=0.0, contrast=0.5)
    changed = contrast.apply(images, drawn, torch.Generator())
    torch.testing.assert_close(changed.mean((1, 2, 3)), images.mean((1, 2, 3)))
    torch.testing.assert_close(changed.std((1, 2, 3)) / images.std((1, 2, 3)), drawn["contrast"])


def test_fewer_counts_add_noise_in_proportion() -> None:
    counts = AUGMENTATIONS["counts"]
    images = torch.full((2, 1, 200, 200), 2.0)
    drawn = {"kept": torch.tensor([1.0, 0.25])}
    changed = counts.apply(images, drawn, torch.Generator().manual_seed(1))
    torch.testing.assert_close(changed[0], images[0])
    assert float(changed[1].var()) == pytest.approx(2.0 * 0.01 * 3, rel=0.03)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.0, 1.0), st.integers(0, 1000))
def test_erasing_leaves_at_most_its_share_out(largest: float, seed: int) -> None:
    pipeline = parse([{"kind": "erasing", "chance": 1.0, "largest": largest}])
    images = torch.ones(4, 1, 30, 40)
    changed, _ = pipeline.apply(images, pipeline.draw(4, (1, 30, 40), seed), seed)
    erased = (changed == 0).float().mean((1, 2, 3))
    assert (erased <= largest + 2 / 30 + 2 / 40 + 0.01).all()


@pytest.mark.parametrize(
    ("entry", "where", "expected"),
    [
        ({"kind": "warp"}, "entry 1", "blur"),
        ({"kind": "blur", "sigma": 3}, "entry 1 (blur)", "fwhm_mm"),
        ({"chance": 0.5}, "entry 1", "flip"),
    ],
)
def test_unknown_kinds_and_settings_are_named(entry: dict[str, object], where: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse([entry])
    assert where in caught.value.where
    assert expected in caught.value.expected
