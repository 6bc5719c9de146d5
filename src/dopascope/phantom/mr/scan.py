"""A T1-weighted scan of a simulated person at a simulated place, with its brain labels and what is true of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.atlas.brain import BRAIN, Tissue
from dopascope.phantom.camera import Pose, stored_as
from dopascope.phantom.mr.body import Body
from dopascope.phantom.mr.contrast import draw_means
from dopascope.phantom.mr.fields import smooth_noise
from dopascope.phantom.mr.heads import head_grid
from dopascope.phantom.mr.scanners import Scanner
from dopascope.phantom.mr.surroundings import dress
from dopascope.phantom.people import Person
from dopascope.phantom.render import FWHM_PER_SIGMA
from dopascope.space import resample
from dopascope.volume import Grid, LabelMap, Step, Volume

Floats32 = NDArray[np.float32]

SURROUNDINGS_MM: Final = 2.5
"""Skull, scalp and face are painted so coarsely: nothing is measured in them."""
FINEST_MM: Final = 1.0
"""The template's own voxels; finer ones are interpolated."""
BRAIN_BOX_MM: Final = ((-94.0, -130.0, -92.0), (94.0, 98.0, 106.0))
"""Template mm that hold every brain; it lies within `surroundings.HEAD_BOX_MM`."""
MEANS_SD: Final = 0.02
"""Spread of tissues' signal between people at one place."""
NUCLEI: Final = {Tissue.CAUDATE: 0.10, Tissue.PUTAMEN: 0.25, Tissue.DEEP: 0.55}
"""How far the signal of nuclei with iron lies on the way from grey to white matter."""
BRAIN_STEM: Final = 0.85
"""The same of the brain stem."""
SHADING_MM: Final = 90.0
LARGEST: Final = 32767
"""Of a stored value."""


@dataclass(frozen=True, eq=False)
class HeadScan:
    """One scan and its truth."""

    volume: Volume
    """Whole numbers, 0 to `LARGEST`."""
    brain: LabelMap
    """Labels of `Tissue` within the brain, 0 outside, on the scan's grid."""
    body: Body
    mni_to_scan: geometry.Affine
    """(4, 4), RAS mm to RAS mm: pose and size, without the warp."""

    def to_scan(self, template_mm: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Where points (N, 3) of the template lie in the scan, warp included."""
        return geometry.apply_affine(self.mni_to_scan, self.body.warp.forward(np.asarray(template_mm, np.float64)))

    def landmarks_mm(self, pose: Pose) -> dict[str, NDArray[np.float64]]:
        """Structure -> centre of mass (3,) in scan mm."""
        return {name: geometry.apply_affine(pose.matrix(), place) for name, place in self.body.centres_mm.items()}


def scan_head(body: Body, person: Person, scanner: Scanner, pose: Pose, seed: int) -> HeadScan:
    """The scan of `body` in `pose`: painted, blurred, sampled, shaded, with Rician noise, as whole numbers.

    The same arguments give the same bytes. The pose's scale must be 1 and its cut 0: a head's size is the body's.
    """
    rng = np.random.default_rng([seed, 43])
    fine = _grid(max(min(scanner.voxel_mm), FINEST_MM), body)
    labels = body.labels_on(fine)
    image = _painted(labels, fine, scanner, rng)
    fine_mm = np.array(fine.spacing_mm) * body.anatomy.axes
    sigma = scanner.blur * np.array(scanner.voxel_mm) / FWHM_PER_SIGMA / fine_mm
    matrix = pose.matrix() @ body.matrix
    grid = scanner.grid()
    back = np.linalg.inv(matrix)
    seen = resample(Volume(_blurred(image.data, sigma), image.grid), grid, to_image=back).data
    stored = np.rint(_received(seen, grid, scanner, rng)).clip(0, LARGEST)
    inside = resample(LabelMap(labels, fine), grid, to_image=back).data
    data, affine = stored_as(stored, grid.affine, scanner.axes)
    kept, _ = stored_as(inside, grid.affine, scanner.axes)
    placed = Grid((data.shape[0], data.shape[1], data.shape[2]), affine)
    step = Step(
        "phantom.mr.scan", {"person": person.seed, "group": person.group, "scanner": scanner.name, "seed": seed}
    )
    names = {int(one): one.name.lower() for one in BRAIN}
    return HeadScan(
        Volume(data, placed, scanner.acquisition(person.age, person.sex), history=(step,)),
        LabelMap(kept, placed, names=names),
        body,
        matrix,
    )


def _grid(spacing_mm: float, body: Body) -> Grid:
    """RAS over `BRAIN_BOX_MM` in template mm; voxels are cubes of `spacing_mm` in the person's mm."""
    low, high = (np.array(corner) for corner in BRAIN_BOX_MM)
    steps = spacing_mm / np.array(body.anatomy.axes)
    shape = np.floor((high - low) / steps).astype(int) + 1
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), geometry.from_parts(np.eye(3), steps, low))


def _painted(labels: NDArray[np.uint8], fine: Grid, scanner: Scanner, rng: np.random.Generator) -> Volume:
    """The whole head's signal on a grid of `fine`'s voxels that goes on down to the neck."""
    coarse = head_grid(SURROUNDINGS_MM)
    near = resample(LabelMap(labels, fine), coarse).data.astype(np.uint8)
    around = dress(near, coarse, rng).data.copy()
    around[np.isin(around, BRAIN)] = Tissue.OUTER_FLUID  # beside a brain that is drawn finer than its surroundings
    means = _means(scanner, rng)
    grid = _continued(fine, coarse)
    low = np.rint((fine.affine[:3, 3] - grid.affine[:3, 3]) / np.array(fine.spacing_mm)).astype(int)
    nearest = [
        np.rint((step * np.arange(n) + first - start) / SURROUNDINGS_MM).astype(int).clip(0, size - 1)
        for n, step, first, start, size in zip(
            grid.shape, grid.spacing_mm, grid.affine[:3, 3], coarse.affine[:3, 3], coarse.shape, strict=True
        )
    ]
    image = means[around][np.ix_(*nearest)]
    window = image[tuple(slice(first, first + n) for first, n in zip(low, fine.shape, strict=True))]
    inside = labels > 0
    window[inside] = means[labels[inside]]
    return Volume(image, grid)


def _continued(fine: Grid, coarse: Grid) -> Grid:
    """`fine`'s voxels over all of `coarse`'s box."""
    steps = np.array(fine.spacing_mm)
    end = coarse.to_world(np.array(coarse.shape) - 1)
    before = np.floor((fine.affine[:3, 3] - coarse.affine[:3, 3]) / steps).astype(int)
    first = fine.affine[:3, 3] - before * steps
    shape = np.maximum(np.floor((end - first) / steps).astype(int) + 1, before + np.array(fine.shape))
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), geometry.from_parts(np.eye(3), steps, first))


def _means(scanner: Scanner, rng: np.random.Generator) -> Floats32:
    """Signal of each tissue, (len(Tissue),)."""
    means = draw_means(rng, "t1", MEANS_SD)
    grey, white = (value * (1 + MEANS_SD * float(rng.normal())) for value in (scanner.grey, scanner.white))
    means[[Tissue.GREY, Tissue.CEREBELLAR_GREY]] = grey
    means[[Tissue.WHITE, Tissue.CEREBELLAR_WHITE]] = white
    means[[Tissue.FLUID, Tissue.VENTRICLE, Tissue.OUTER_FLUID]] = scanner.fluid
    means[[Tissue.MIDBRAIN, Tissue.PONS, Tissue.STEM, Tissue.CORD]] = grey + BRAIN_STEM * (white - grey)
    for tissue, way in NUCLEI.items():
        means[tissue] = grey + way * (white - grey)
    return means


def _blurred(image: Floats32, sigma: NDArray[np.float64]) -> Floats32:
    from scipy import ndimage

    found: Floats32 = ndimage.gaussian_filter(image, sigma, truncate=3)
    return found


def _received(seen: Floats32, grid: Grid, scanner: Scanner, rng: np.random.Generator) -> Floats32:
    """Signal with the coil's shading and the noise of two channels, in stored values."""
    shading = smooth_noise(grid, rng, SHADING_MM)
    shading *= np.float32(scanner.shading)
    real = seen * np.exp(shading, out=shading)
    noise = np.float32(scanner.noise * scanner.white)
    real += noise * rng.standard_normal(grid.shape, np.float32)
    other = noise * rng.standard_normal(grid.shape, np.float32)
    stored: Floats32 = np.hypot(real, other, out=real) * np.float32(scanner.gain / scanner.white)
    return stored
