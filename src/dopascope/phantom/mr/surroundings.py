"""What lies around a brain: fluid, meninges, skull, scalp, face, eyes, sinuses and neck, painted from numbers alone.

Shells follow the brain's surface with thicknesses that vary smoothly; face and neck are ellipsoids filled with patches
of muscle, fat, bone and air. The shapes are simple and the variety is wide, so that real heads lie inside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.atlas.brain import BRAIN, Tissue
from dopascope.phantom.mr.fields import smooth_noise
from dopascope.volume import Grid, LabelMap

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

HEAD_BOX_MM: Final = ((-104.0, -140.0, -134.0), (104.0, 116.0, 112.0))
"""Box in template mm that holds every head down to the upper neck."""
FACE_MM: Final = ((0.0, 22.0, -62.0), (58.0, 66.0, 66.0))
NECK_MM: Final = ((0.0, -28.0, -110.0), (56.0, 60.0, 90.0))
"""Centre and semi-axes of face and neck."""
EYE_MM: Final = (33.0, 56.0, -36.0)
EYE_RADIUS_MM: Final = 12.0
SINUSES_MM: Final = (
    ((14.0, 66.0, -18.0), (13.0, 6.0, 12.0)),
    ((24.0, 42.0, -66.0), (13.0, 16.0, 15.0)),
    ((7.0, 24.0, -40.0), (8.0, 13.0, 9.0)),
    ((9.0, 50.0, -42.0), (6.0, 14.0, 9.0)),
    ((5.0, 46.0, -66.0), (4.0, 24.0, 16.0)),
    ((52.0, -30.0, -48.0), (10.0, 12.0, 12.0)),
    ((4.0, 2.0, -72.0), (8.0, 9.0, 26.0)),
)
"""Frontal, maxillary, sphenoid, ethmoid, nose, mastoid, pharynx: centre (x of the right side) and semi-axes."""


@dataclass(frozen=True)
class Habitus:
    """Thicknesses in mm and shares that make one head unlike another."""

    fluid: float
    meninges: float
    bone: float
    marrow_share: float
    scalp: float
    fat_share: float
    face: float
    """Size of face and neck."""
    air: float
    """How much of the sinuses holds air; the rest is mucosa or fluid."""
    variation: float
    """Relative variation of thicknesses over the head."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Habitus:
        """One of many; wider than life, so that real heads lie inside."""
        return cls(
            fluid=float(rng.gamma(2.0, 0.9)),
            meninges=float(rng.uniform(0.4, 1.8)),
            bone=float(rng.uniform(3.5, 11.0)),
            marrow_share=float(rng.uniform(0.0, 0.65)),
            scalp=float(rng.uniform(2.5, 14.0)),
            fat_share=float(rng.uniform(0.2, 0.85)),
            face=float(rng.uniform(0.85, 1.1)),
            air=float(rng.uniform(0.3, 1.0)),
            variation=float(rng.uniform(0.1, 0.45)),
        )


def dress(brain: NDArray[np.uint8], grid: Grid, rng: np.random.Generator, habitus: Habitus | None = None) -> LabelMap:
    """A whole head around `brain` (I, J, K), labels of `Tissue` on an RAS `grid` in template mm.

    The brain's own labels stay as they are; everything else is filled.
    """
    from scipy import ndimage

    body = habitus or Habitus.draw(rng)
    inside = np.isin(brain, BRAIN)
    outward = ndimage.distance_transform_edt(~inside, sampling=grid.spacing_mm).astype(np.float32)
    points = np.moveaxis(grid.centres_mm().astype(np.float32), -1, 0)
    wobble = [1 + body.variation * smooth_noise(grid, rng, float(rng.uniform(15, 40))) for _ in range(4)]
    labels = np.zeros(grid.shape, np.uint8)
    soft = _soft_parts(points, body, rng)
    _fill_face(labels, soft, grid, rng)
    _shells(labels, outward, soft, wobble, body, grid, rng)
    _sinuses(labels, points, outward, body, grid, rng)
    _eyes(labels, points, outward, rng)
    _spine(labels, points, inside, rng)
    _vessels(labels, outward, grid, rng)
    labels[inside] = brain[inside]
    return LabelMap(labels, grid, names={int(one): one.name.lower() for one in Tissue})


def _ellipsoid(points: Floats, centre: tuple[float, ...], axes: tuple[float, ...]) -> Floats:
    """Squared elliptic radius (I, J, K)."""
    parts = (((points[a] - centre[a]) / axes[a]) ** 2 for a in range(3))
    return np.asarray(sum(parts), np.float32)


def _soft_parts(points: Floats, body: Habitus, rng: np.random.Generator) -> Mask:
    """Face and neck."""
    found = np.zeros(points.shape[1:], bool)
    for centre, axes in (FACE_MM, NECK_MM):
        moved = tuple(c + float(rng.normal(0, 5)) * (a > 0) for a, c in enumerate(centre))
        sized = tuple(s * body.face * float(rng.uniform(0.9, 1.1)) for s in axes)
        found |= _ellipsoid(points, moved, sized) < 1
    return found


def _fill_face(labels: NDArray[np.uint8], soft: Mask, grid: Grid, rng: np.random.Generator) -> None:
    """Patches of muscle, fat, bone and marrow, as two smooth fields say."""
    coarse, fine = smooth_noise(grid, rng, 9.0), smooth_noise(grid, rng, float(rng.uniform(3.0, 6.0)))
    choice = np.digitize(coarse + 0.7 * fine, [-1.1, -0.5, 0.15, 0.7, 1.3])
    kinds = np.array(
        rng.permutation([Tissue.MUSCLE, Tissue.FAT, Tissue.MUSCLE, Tissue.BONE, Tissue.SOFT, Tissue.MARROW])
    )
    labels[soft] = kinds.astype(np.uint8)[choice[soft]]


def _shells(
    labels: NDArray[np.uint8],
    outward: Floats,
    soft: Mask,
    wobble: list[Floats],
    body: Habitus,
    grid: Grid,
    rng: np.random.Generator,
) -> None:
    """From the brain outward: fluid, meninges, bone with marrow between its tables, muscle and fat, skin."""
    fluid = np.maximum(body.fluid * wobble[0], 0.0)
    dura = fluid + np.maximum(body.meninges * wobble[1], 0.3)
    thick = np.maximum(body.bone * wobble[2], 1.5)
    bone = dura + thick
    scalp = bone + np.maximum(body.scalp * wobble[3], 1.5)
    from scipy import ndimage

    head = (outward < scalp) | soft
    depth = ndimage.distance_transform_edt(np.pad(head, 1), sampling=grid.spacing_mm)[1:-1, 1:-1, 1:-1]
    within = outward < bone
    labels[(outward < scalp) & ~within & ~soft] = Tissue.FAT
    under = (outward < bone + (scalp - bone) * (1 - body.fat_share)) & ~within & ~soft
    labels[under] = Tissue.MUSCLE
    labels[within] = Tissue.BONE
    middle = np.abs(outward - (dura + thick / 2)) < thick * body.marrow_share / 2
    labels[within & middle & (outward > dura)] = Tissue.MARROW
    labels[outward < dura] = Tissue.MENINGES
    labels[outward < fluid] = Tissue.OUTER_FLUID
    labels[head & (depth < float(rng.uniform(1.0, 2.5))) & ~within] = Tissue.SKIN
    labels[~head] = Tissue.AIR


def _sinuses(
    labels: NDArray[np.uint8], points: Floats, outward: Floats, body: Habitus, grid: Grid, rng: np.random.Generator
) -> None:
    rough = smooth_noise(grid, rng, 4.0)
    for (x, y, z), axes in SINUSES_MM:
        for side in (-1, 1):
            centre = (side * x, y + float(rng.normal(0, 3)), z + float(rng.normal(0, 3)))
            size = tuple(a * float(rng.uniform(0.6, 1.25)) for a in axes)
            radius = _ellipsoid(points, centre, size) + 0.25 * rough
            cavity = (radius < 1) & (outward > 2.5) & (labels != Tissue.AIR)
            labels[cavity] = Tissue.MUCOSA if rng.random() > body.air else Tissue.SINUS
            labels[(radius >= 1) & (radius < 1 + 2.5 / min(size)) & (outward > 2.5) & (labels != Tissue.AIR)] = (
                Tissue.MUCOSA
            )


def _eyes(labels: NDArray[np.uint8], points: Floats, outward: Floats, rng: np.random.Generator) -> None:
    x, y, z = EYE_MM
    radius = EYE_RADIUS_MM * float(rng.uniform(0.9, 1.1))
    shift = rng.normal(0, 2.5, 3)
    for side in (-1, 1):
        centre = (side * (x + shift[0]), y + shift[1], z + shift[2])
        apart = np.sqrt(_ellipsoid(points, centre, (1.0, 1.0, 1.0)))
        orbit = _ellipsoid(points, (centre[0] * 0.92, centre[1] - 12, centre[2]), (18.0, 27.0, 17.0)) < 1
        labels[orbit & (outward > 2) & (labels != Tissue.AIR)] = Tissue.FAT
        nerve = _ellipsoid(points, (centre[0] * 0.78, centre[1] - 20, centre[2]), (5.0, 22.0, 4.0)) < 1
        labels[nerve & (outward > 2)] = Tissue.SOFT
        free = outward > 1.0
        labels[(apart < radius + 1.2) & free] = Tissue.SKIN
        labels[(apart < radius) & free] = Tissue.EYE
        lens = _ellipsoid(points, (centre[0], centre[1] + 0.75 * radius, centre[2]), (4.5, 2.5, 4.5)) < 1
        labels[lens & free] = Tissue.SOFT


def _spine(labels: NDArray[np.uint8], points: Floats, inside: Mask, rng: np.random.Generator) -> None:
    """Cord, fluid and vertebrae below the lowest stem: the cord is no brain, though it goes on from it."""
    stem = points[2][inside]
    if stem.size == 0:
        return
    lowest = float(stem.min())
    end = inside & (points[2] < lowest + 4)
    x, y = (float(points[a][end].mean()) for a in (0, 1))
    slope = float(rng.normal(0.1, 0.15))
    away = np.hypot(points[0] - x, (points[1] - y - slope * (lowest - points[2])) / 1.1)
    cord, canal, bone = (float(rng.uniform(*pair)) for pair in ((4.5, 7.0), (8.0, 12.0), (15.0, 24.0)))
    below = points[2] < lowest + 1
    disc = np.sin((points[2] - lowest) * 2 * np.pi / float(rng.uniform(14, 22))) > 0.8
    labels[below & (away < bone) & (labels != Tissue.AIR)] = Tissue.BONE
    labels[below & (away < bone - 2) & ~disc & (labels != Tissue.AIR)] = Tissue.MARROW
    labels[below & (away < canal)] = Tissue.OUTER_FLUID
    labels[below & (away < cord)] = Tissue.CORD


def _vessels(labels: NDArray[np.uint8], outward: Floats, grid: Grid, rng: np.random.Generator) -> None:
    """Sinuses of the dura and vessels of the neck: thin sheets where a smooth field crosses zero, near the bone."""
    one, two = smooth_noise(grid, rng, 10.0), smooth_noise(grid, rng, 10.0)
    tubes = one**2 + two**2 < float(rng.uniform(0.005, 0.03))
    where = np.isin(labels, (Tissue.MENINGES, Tissue.OUTER_FLUID, Tissue.MUSCLE, Tissue.SOFT, Tissue.FAT))
    labels[tubes & where & (outward > 0)] = Tissue.VESSEL
