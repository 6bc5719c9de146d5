"""What a perfect measurement of a phantom would give: region means of the noise-free image, far finer than any scan.

Made to test quantification, so it shares none of its code: the activity is looked up every 0.5 mm around the striata,
blurred by the camera's Gaussian, and read at the atlas's points mapped by an affine.
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
from dopascope.volume import Grid

FINE_MM: Final = 0.5
REFERENCE_MM: Final = 2.0
"""The reference regions are large and smooth: a coarser look-up does."""
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
) -> dict[str, float]:
    """Mean of the ideal image (grey matter 1) over each region of `atlas.sample_points`.

    `mni_to_scan` (4, 4) places the regions; without it they are placed by the true affine. Costs seconds and 200 MB.

    Raises:
        UsageError: a region that the atlas does not have.
    """
    head = Head(person, striatum)
    true = pose.matrix() @ head.matrix
    placed = {
        region: geometry.apply_affine(true if mni_to_scan is None else mni_to_scan, atlas.sample_points(region))
        for region in regions
    }
    sigma = camera.fwhm_mm / (2 * np.sqrt(2 * np.log(2)))
    small = {name: points for name, points in placed.items() if name not in atlas.REFERENCES}
    means = {}
    for group, spacing in ((small, FINE_MM), ({n: p for n, p in placed.items() if n not in small}, REFERENCE_MM)):
        if group:
            grid = _around(np.concatenate(list(group.values())), spacing, REACH_SIGMAS * sigma)
            means.update(_read(_blurred(head, true, grid, sigma), grid, group))
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


def _around(points: NDArray[np.float64], spacing: float, margin_mm: float) -> Grid:
    low, high = points.min(0) - margin_mm, points.max(0) + margin_mm
    i, j, k = (int(n) for n in np.ceil((high - low) / spacing) + 1)
    return Grid((i, j, k), geometry.from_parts(np.eye(3), [spacing] * 3, low))


def _blurred(head: Head, matrix: geometry.Affine, grid: Grid, sigma_mm: float) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    back = np.linalg.inv(matrix)
    activity = np.empty(grid.shape, np.float32)
    for start in range(0, grid.shape[0], _CHUNK):
        planes = np.arange(start, min(start + _CHUNK, grid.shape[0]))
        index = np.stack(np.meshgrid(planes, *(np.arange(n) for n in grid.shape[1:]), indexing="ij"), -1).reshape(-1, 3)
        aligned = geometry.apply_affine(back, grid.to_world(index)).astype(np.float32)
        activity[planes] = _activity(head, aligned).reshape(len(planes), *grid.shape[1:])
    smooth: NDArray[np.float32] = gaussian_filter(
        activity, sigma_mm / grid.spacing_mm[0], mode="nearest", truncate=REACH_SIGMAS
    )
    return smooth


def _activity(head: Head, aligned: NDArray[np.float32]) -> NDArray[np.float32]:
    template = head.to_template(aligned)
    values = head.background(template) * head.in_head(aligned)
    near = head.near_striatum(template)
    shares = head.fractions(template[near])
    values[near] = values[near] * (1 - shares.sum(1)) + head.bound(shares)
    return values


def _read(image: NDArray[np.float32], grid: Grid, groups: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    from scipy.ndimage import map_coordinates

    return {
        name: float(map_coordinates(image, grid.to_index(points).T, order=1, mode="nearest").mean())
        for name, points in groups.items()
    }
