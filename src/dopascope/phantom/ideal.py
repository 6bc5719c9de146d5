"""What a perfect measurement of a phantom would give: region means of the noise-free image, far finer than any scan.

Made to test quantification, so it shares none of its code: the activity is looked up every 0.5 mm around the striata,
blurred by the camera's Gaussian, and read at the atlas's points mapped by an affine. Haze has its own, coarser look-up
of the whole head; shading is computed at every point.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas, geometry
from dopascope.phantom.anatomy import Head, StriatumMaps
from dopascope.phantom.camera import Camera, Pose
from dopascope.phantom.people import Person
from dopascope.phantom.render import FWHM_PER_SIGMA, HEAD_BOX_MM
from dopascope.phantom.shading import left_by_attenuation
from dopascope.volume import Grid

FINE_MM: Final = 0.5
REFERENCE_MM: Final = 2.0
"""The reference regions are large and smooth: a coarser look-up does."""
HAZE_MM: Final = 3.0
REACH_SIGMAS: Final = 4.0
_CHUNK: Final = 24


def ideal_means(
    person: Person,
    camera: Camera,
    pose: Pose,
    regions: Iterable[str],
    *,
    striatum: StriatumMaps | None = None,
    mni_to_scan: geometry.Affine | None = None,
    fine_mm: float = FINE_MM,
) -> dict[str, float]:
    """Mean of the ideal image (grey matter 1) over each region of `atlas.sample_points`.

    `mni_to_scan` (4, 4) places the regions; without it they are placed by the true affine. Costs seconds and 200 MB;
    with `fine_mm` 0.75 about half of that, and means differ by up to 0.3 %.

    Raises:
        UsageError: a region that the atlas does not have.
    """
    head = Head(person, striatum)
    true = pose.matrix() @ head.matrix
    placed = {
        region: geometry.apply_affine(true if mni_to_scan is None else mni_to_scan, atlas.sample_points(region))
        for region in regions
    }
    images = [_Image(head, true, camera.fwhm_mm, points, fine_mm) for points in _by_fineness(placed)]
    haze = _Haze(head, true, camera.haze_fwhm_mm) if camera.haze else None
    means = {}
    for image in images:
        for name, points in image.regions.items():
            values = image.at(points) + (camera.haze * haze.at(points) if haze else 0.0)
            means[name] = float((values * left_by_attenuation(points, true, camera.attenuation_per_cm)).mean())
    return means


def ideal_sbr(
    person: Person,
    camera: Camera,
    pose: Pose,
    regions: Iterable[str] = tuple(atlas.PARTS),
    *,
    reference: str = "whole_brain",
    striatum: StriatumMaps | None = None,
    mni_to_scan: geometry.Affine | None = None,
) -> dict[str, float]:
    """Ideal measured binding ratio of each region: its mean over the reference region's, less one.

    Raises:
        UsageError: a region or reference that the atlas does not have.
    """
    wanted = tuple(regions)
    means = ideal_means(person, camera, pose, (*wanted, reference), striatum=striatum, mni_to_scan=mni_to_scan)
    return {region: means[region] / means[reference] - 1 for region in wanted}


Regions = dict[str, NDArray[np.float64]]


def _by_fineness(placed: Regions) -> list[Regions]:
    """Striatal regions and references apart: they are looked up at different spacings."""
    references = {name: points for name, points in placed.items() if name in atlas.REFERENCES}
    striatal = {name: points for name, points in placed.items() if name not in references}
    return [regions for regions in (striatal, references) if regions]


class _Image:
    """The blurred activity around `regions`."""

    def __init__(self, head: Head, matrix: geometry.Affine, fwhm_mm: float, regions: Regions, fine_mm: float) -> None:
        self.regions = regions
        spacing = REFERENCE_MM if set(regions) <= set(atlas.REFERENCES) else fine_mm
        sigma = fwhm_mm / FWHM_PER_SIGMA
        self.grid = _around(np.concatenate(list(regions.values())), spacing, REACH_SIGMAS * sigma)
        self.data = _blurred(head, matrix, self.grid, sigma, mode="nearest")

    def at(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values (N,) at scan points (N, 3), trilinear."""
        from scipy.ndimage import map_coordinates

        index = self.grid.to_index(points).T
        return np.asarray(map_coordinates(self.data, index, np.float64, order=1, mode="nearest"))


class _Haze(_Image):
    """The activity of the whole head under a very wide blur."""

    def __init__(self, head: Head, matrix: geometry.Affine, fwhm_mm: float) -> None:
        low, high = np.array(HEAD_BOX_MM)
        corners = np.array([np.where(bits, high, low) for bits in np.ndindex(2, 2, 2)])
        self.grid = _around(geometry.apply_affine(matrix, corners), HAZE_MM, 0.0)
        self.data = _blurred(head, matrix, self.grid, fwhm_mm / FWHM_PER_SIGMA, mode="constant")


def _around(points: NDArray[np.float64], spacing: float, margin_mm: float) -> Grid:
    low, high = points.min(0) - margin_mm, points.max(0) + margin_mm
    i, j, k = (int(n) for n in np.ceil((high - low) / spacing) + 1)
    return Grid((i, j, k), geometry.from_parts(np.eye(3), [spacing] * 3, low))


def _blurred(head: Head, matrix: geometry.Affine, grid: Grid, sigma_mm: float, *, mode: str) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    back = np.linalg.inv(matrix)
    activity = np.empty(grid.shape, np.float32)
    for start in range(0, grid.shape[0], _CHUNK):
        planes = np.arange(start, min(start + _CHUNK, grid.shape[0]))
        index = np.stack(np.meshgrid(planes, *(np.arange(n) for n in grid.shape[1:]), indexing="ij"), -1).reshape(-1, 3)
        aligned = geometry.apply_affine(back, grid.to_world(index)).astype(np.float32)
        activity[planes] = _activity(head, aligned).reshape(len(planes), *grid.shape[1:])
    smooth: NDArray[np.float32] = gaussian_filter(
        activity, sigma_mm / grid.spacing_mm[0], mode=mode, truncate=REACH_SIGMAS
    )
    return smooth


def _activity(head: Head, aligned: NDArray[np.float32]) -> NDArray[np.float32]:
    template = head.to_template(aligned)
    values = head.background(template) * head.in_head(aligned)
    near = head.near_striatum(template)
    shares = head.fractions(template[near])
    values[near] = values[near] * (1 - shares.sum(1)) + head.bound(shares)
    return values
