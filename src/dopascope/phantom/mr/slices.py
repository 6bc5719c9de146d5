"""Slices of painted heads as no scanner makes them: any plane, contrast, resolution and fault, with their masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.atlas.brain import BRAIN, Tissue
from dopascope.phantom.mr.contrast import SEQUENCES, draw_means
from dopascope.phantom.mr.fields import spread
from dopascope.volume import LabelMap

Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]
Rng = np.random.Generator

PIXEL_MM: Final = (0.9, 2.4)
THICKEST_MM: Final = 6.0
LAYERS_MM: Final = 2.5
"""A thick slice is the mean of layers that lie so far apart at the most."""
PLANES: Final = ("axial", "coronal", "sagittal")
_ACROSS: Final = {"axial": 2, "coronal": 1, "sagittal": 0}
BRAIN_MM: Final = ((-70.0, 70.0), (-113.0, 77.0), (-78.0, 78.0))
HEAD_MM: Final = ((-92.0, 92.0), (-130.0, 108.0), (-132.0, 106.0))
BASE_MM: Final = (-132.0, -40.0)
BRAIN_SHARE: Final = 0.6
BASE_SHARE: Final = 0.15
"""Where slices lie by the axis they are stacked along (template mm): so many meet the brain's box, so many axial ones
the base of the skull and the neck, the rest any part of the head. In slices of scalp, face or neck alone a network must
have learned to say nothing."""
NOWHERE: Final = np.uint8(Tissue.AIR)


@dataclass(frozen=True, eq=False)
class Slice:
    """A picture and its mask."""

    image: Floats
    """(rows, columns), as it would be stored: any scale."""
    mask: NDArray[np.bool_]
    pixel_mm: float


def draw_slice(heads: list[LabelMap], rng: Rng, size: int) -> Slice:
    """One slice of one of `heads`, `size` pixels square."""
    head = heads[int(rng.integers(len(heads)))]
    pixel = float(np.exp(rng.uniform(*np.log(PIXEL_MM))))
    labels = _layers(head, rng, size, pixel)
    mask = np.isin(labels, BRAIN).mean(0) >= 0.5
    if rng.random() < 0.04:
        labels, mask = _brainless(labels, mask, rng)
    image = _painted(labels, rng)
    image, mask = _cut(image, mask, rng)
    image = _scanned(image, rng, pixel)
    return Slice(image, mask, pixel)


def _layers(head: LabelMap, rng: Rng, size: int, pixel: float) -> Labels:
    """Labels (layers, size, size) of a thick, bent, tilted slice."""
    across = _ACROSS[PLANES[int(rng.integers(3))]]
    along = [a for a in range(3) if a != across]
    thickness = pixel if rng.random() < 0.5 else float(rng.uniform(pixel, THICKEST_MM))
    layers = int(np.ceil(thickness / LAYERS_MM))
    span = (np.arange(size) - (size - 1) / 2) * pixel
    points = np.zeros((layers, size, size, 3), np.float32)
    points[..., along[0]] = span[None, :, None]
    points[..., along[1]] = span[None, None, :]
    points[..., across] = ((np.arange(layers) - (layers - 1) / 2) * thickness / layers)[:, None, None]
    turn = geometry.rotation(rng.normal(0, 12, 3))[:3, :3]
    scale = np.diag(np.exp(rng.normal(0, 0.09, 3)))
    centre = np.array([0.0, -20.0, 0.0]) + rng.normal(0, 1, 3) * (8, 10, 14)
    reach = _reach(across, float(rng.random()))
    centre[across] = rng.uniform(*reach)
    if rng.random() < 0.3:
        centre[along] += rng.uniform(-35, 35, 2)
    world = points @ (turn @ scale).T.astype(np.float32) + centre.astype(np.float32)
    world += _bend(world, rng)
    inverse = np.linalg.inv(head.grid.affine).astype(np.float32)
    index = np.rint(world @ inverse[:3, :3].T + inverse[:3, 3]).astype(np.int32)
    within = ((index >= 0) & (index < head.grid.shape)).all(-1)
    i, j, k = np.moveaxis(np.where(within[..., None], index, 0), -1, 0)
    return np.where(within, head.data[i, j, k], NOWHERE)


def _reach(across: int, chance: float) -> tuple[float, float]:
    """Where the slice may lie."""
    if chance < BRAIN_SHARE:
        return BRAIN_MM[across]
    return BASE_MM if across == _ACROSS["axial"] and chance < BRAIN_SHARE + BASE_SHARE else HEAD_MM[across]


KNOT_PIXELS: Final = 8
"""Smooth fields are computed at every eighth pixel."""


def _bend(world: Floats, rng: Rng) -> Floats:
    """A smooth displacement in mm: a few waves of random direction and length."""
    size = world.shape[1]
    knots = np.unique(np.r_[0:size:KNOT_PIXELS, size - 1])
    at = world[:, knots][:, :, knots]
    moved = np.zeros_like(at)
    for _ in range(5):
        wave = (rng.normal(0, 1, 3) / rng.uniform(25, 90)).astype(np.float32)
        push = (rng.normal(0, 1, 3) * float(rng.uniform(0.3, 2.2))).astype(np.float32)
        moved += np.sin(at @ wave + np.float32(rng.uniform(0, 6.3)))[..., None] * push
    between = _between(knots, size)
    layers, n = moved.shape[:2]
    rows = (between @ moved.reshape(layers, n, -1)).reshape(layers, size, n, 3)
    return np.asarray(between @ rows, np.float32)


def _between(knots: NDArray[Any], size: int) -> Floats:
    """Weights (size, knots) of linear interpolation."""
    return np.stack([np.interp(np.arange(size), knots, row) for row in np.eye(len(knots))], 1).astype(np.float32)


def _brainless(labels: Labels, mask: NDArray[np.bool_], rng: Rng) -> tuple[Labels, NDArray[np.bool_]]:
    """What is no head: an ellipse with seeds, such as a fruit or a phantom, or nothing."""
    size = labels.shape[-1]
    y, x = np.mgrid[:size, :size].astype(np.float32) - size / 2
    a, b = rng.uniform(0.15, 0.45, 2) * size
    found = np.zeros_like(labels)
    if rng.random() < 0.8:
        radius = (x / a) ** 2 + (y / b) ** 2
        kinds = rng.permutation(np.arange(1, len(Tissue))).astype(np.uint8)
        rings = int(rng.integers(1, 4))
        for ring in range(rings):
            found[:, radius < 1 - ring / (rings + 1)] = kinds[ring]
        for _ in range(int(rng.integers(0, 12))):
            at = rng.uniform(-0.7, 0.7, 2) * (a, b)
            spot = ((x - at[0]) / rng.uniform(2, 9)) ** 2 + ((y - at[1]) / rng.uniform(2, 9)) ** 2 < 1
            found[:, spot & (radius < 1)] = kinds[-1]
    return found, np.zeros_like(mask)


def _painted(labels: Labels, rng: Rng) -> Floats:
    """Grey values (size, size): means of tissues with texture, averaged over the layers."""
    names = [None, *SEQUENCES]
    sequence = names[int(rng.choice(len(names), p=(0.36, 0.22, 0.12, 0.11, 0.1, 0.06, 0.03)))]
    means = draw_means(rng, sequence, spread=float(rng.uniform(0.02, 0.12)))
    spreads = np.abs(rng.normal(0, 0.06, len(Tissue))).astype(np.float32)
    image = means[labels]
    grain = rng.standard_normal(labels.shape, np.float32)
    smooth = _blur(rng.standard_normal(labels.shape[1:], np.float32), float(rng.uniform(1, 5)))
    image += spreads[labels] * (0.7 * grain + 0.7 * smooth / max(float(smooth.std()), 1e-6))
    if rng.random() < 0.25:
        image += _lesions(labels, rng)
    return np.asarray(image.mean(0), np.float32)


def _lesions(labels: Labels, rng: Rng) -> Floats:
    """Spots of another grey value within the brain."""
    size = labels.shape[-1]
    y, x = np.mgrid[:size, :size].astype(np.float32)
    spots = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(1, 10))):
        cy, cx = rng.uniform(0.2, 0.8, 2) * size
        a, b = rng.uniform(1, 9, 2)
        spots[((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 < 1] = float(rng.normal(0, 0.3))
    return np.asarray(spots * np.isin(labels, (*BRAIN,)), np.float32)


def _cut(image: Floats, mask: NDArray[np.bool_], rng: Rng) -> tuple[Floats, NDArray[np.bool_]]:
    """Defaced, stripped of the skull, or cut by the field of view."""
    size = image.shape[0]
    chance = rng.random()
    if chance < 0.06:
        image = np.where(mask, image, 0)
    elif chance < 0.10:
        keep = _blur(mask.astype(np.float32), float(rng.uniform(2, 6))) > float(rng.uniform(0.05, 0.3))
        image = np.where(keep, image, 0)
    elif chance < 0.18:
        y, x = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
        angle = rng.uniform(0, 2 * np.pi)
        beyond = x * np.cos(angle) + y * np.sin(angle) > rng.uniform(0.12, 0.4)
        image = np.where(beyond & ~mask, 0, image)
    elif chance < 0.30:
        low, high = rng.integers(0, size // 3, 2)
        rows = np.ones(size, bool)
        rows[:low] = rows[size - high :] = False
        if rng.random() < 0.5:
            image, mask = image * rows[:, None], mask & rows[:, None]
        else:
            image, mask = image * rows[None], mask & rows[None]
    return np.asarray(image, np.float32), mask


def _scanned(image: Floats, rng: Rng, pixel: float) -> Floats:
    """Coil shading, blur, lower resolution, ghosts, noise, gamma and scale."""
    size = image.shape[0]
    if rng.random() < 0.8:
        knots = rng.normal(0, float(rng.uniform(0.02, 0.45)), (7, 7)).astype(np.float32)
        image = image * np.exp(_enlarged(knots, size))
    if rng.random() < 0.6:
        image = _blur(image, float(rng.uniform(0.2, 1.1)) / min(pixel, 1.5))
    if rng.random() < 0.3:
        image = _coarser(image, float(rng.uniform(1.2, 3.0)), int(rng.integers(2)), bool(rng.random() < 0.5))
    if rng.random() < 0.08:
        shift = int(rng.integers(size // 6, size // 2))
        image = image + float(rng.uniform(0.03, 0.2)) * np.roll(image, shift, axis=int(rng.integers(2)))
    noise = float(np.abs(rng.normal(0, 0.04)))
    real = image + noise * rng.standard_normal(image.shape, np.float32)
    image = np.hypot(real, noise * rng.standard_normal(image.shape, np.float32))
    top = float(np.percentile(image, 99.5)) or 1.0
    image = np.clip(image / top, 0, 1.5) ** float(np.exp(rng.normal(0, 0.25)))
    return np.asarray(image, np.float32)


def _enlarged(knots: Floats, size: int) -> Floats:
    """Knots (n, n) spread over (size, size) by cubic splines."""
    at = np.linspace(1, knots.shape[0] - 3, size)
    return spread(spread(knots, at, 0), at, 1)


def _coarser(image: Floats, times: float, axis: int, nearest: bool) -> Floats:
    """As if pixels were `times` longer along one axis, and repeated or interpolated since."""
    n = image.shape[axis]
    knots = np.arange(0, n, times)
    blurred = np.moveaxis(_blur1(image, times / 2.4, axis), axis, 0)
    low = blurred[np.round(knots).astype(int).clip(0, n - 1)]
    weights = _between(knots, n)
    if nearest:
        weights = np.eye(len(knots), dtype=np.float32)[weights.argmax(1)]
    return np.asarray(np.moveaxis(np.tensordot(weights, low, 1), 0, axis), np.float32)


def _blur(image: Floats, sigma: float) -> Floats:
    from scipy import ndimage

    out: Floats = ndimage.gaussian_filter(image, sigma, truncate=3)
    return out


def _blur1(image: Floats, sigma: float, axis: int) -> Floats:
    from scipy import ndimage

    out: Floats = ndimage.gaussian_filter1d(image, sigma, axis=axis, truncate=3)
    return out
