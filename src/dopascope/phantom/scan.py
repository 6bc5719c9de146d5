"""From a person, a camera and a pose to a scan, and the truth about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas, geometry
from dopascope.phantom.anatomy import Head, StriatumMaps
from dopascope.phantom.camera import Camera, Pose, stored_as
from dopascope.phantom.people import BINDING_REGIONS, Person
from dopascope.volume import Acquisition, Grid, Step, Volume

FWHM_PER_SIGMA: Final = 2.0 * np.sqrt(2.0 * np.log(2.0))
HEAD_BOX_MM: Final = ((-96.0, -135.0, -180.0), (96.0, 98.0, 98.0))
"""Box in aligned mm that holds head and neck; the neck goes on below every field of view."""
VOXELS_PER_FWHM: Final = 3.0
"""Cameras with fewer voxels in their FWHM are rendered on a finer grid: at 3, what a grid folds back is under 0.1 %."""
SUBPOINT_MM: Final = 0.9
"""Largest distance of the points at which striatal borders are counted."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What is true of a simulated scan."""

    person: Person
    camera: Camera
    pose: Pose
    mni_to_scan: geometry.Affine
    """(4, 4), RAS mm to RAS mm: the affine part of the true mapping (the warp has none of its own)."""
    landmarks: Mapping[str, NDArray[np.float64]]
    """Region of `atlas.PARTS` -> centre of mass (3,) of its true, warped self in scan mm."""
    striatum: StriatumMaps | None = None

    @property
    def sbr(self) -> Mapping[str, float]:
        """True specific binding ratio of each region before any camera."""
        return self.person.sbr

    @property
    def worse_side(self) -> str | None:
        """`left` or `right`, the side with less binding in the putamen; None for healthy people."""
        return self.person.worse_side


def scan(
    person: Person, camera: Camera, pose: Pose | None = None, seed: int = 0, *, striatum: StriatumMaps | None = None
) -> tuple[Volume, Truth]:
    """The scan of `person` by `camera` in `pose`, and what is true of it.

    Activity is averaged over the voxels of the camera's grid or a finer one (striatal borders counted at points
    `SUBPOINT_MM` apart), blurred, averaged to the camera's voxels, given noise from `seed` and stored in the order of
    the pose's axes. The same arguments give the same bytes.

    Raises:
        UsageError: the pose's axes or cut cannot be meant.
    """
    pose = pose or Pose()
    head = Head(person, striatum)
    matrix = pose.matrix() @ head.matrix
    grid = camera.grid(pose.cut)
    clean = render(head, matrix, grid, camera.fwhm_mm)
    data = camera.scale * _noisy(clean, grid, camera, seed)
    stored, affine = stored_as(data.astype(np.float32), grid.affine, pose.axes)
    facts = Acquisition(
        modality="NM",
        image_type=("DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"),
        manufacturer="dopascope phantom",
        model=camera.name,
        radiopharmaceutical="Ioflupane",
        radionuclide="I-123",
        age_years=person.age,
        sex=person.sex,
    )
    step = Step("phantom.scan", {"person": person.seed, "group": person.group, "camera": camera.name, "seed": seed})
    volume = Volume(stored, Grid((stored.shape[0], stored.shape[1], stored.shape[2]), affine), facts, history=(step,))
    return volume, Truth(person, camera, pose, matrix, _landmarks(head, matrix), striatum)


def render(head: Head, matrix: geometry.Affine, grid: Grid, fwhm_mm: float) -> NDArray[np.float32]:
    """The noise-free scan of `head` on an axis-aligned RAS `grid`, grey matter near 1: float32 (I, J, K).

    `matrix` (4, 4) maps aligned mm to scan mm.
    """
    from scipy.ndimage import gaussian_filter

    spacing = np.array(grid.spacing_mm)
    factor = np.ceil(spacing * VOXELS_PER_FWHM / fwhm_mm).astype(int)
    sigma = fwhm_mm / FWHM_PER_SIGMA
    margin = np.ceil(3.5 * sigma / spacing).astype(int)
    first, last = _head_range(matrix, grid, margin)
    fine = spacing / factor
    start = grid.to_world(first) - (spacing - fine) / 2
    activity = _activity(head, matrix, start, fine, (last - first) * factor)
    # Averaging over the camera's voxel blurs too, by a variance of spacing^2 / 12; the rest is the Gaussian's share.
    rest = np.sqrt(np.maximum(sigma**2 - spacing**2 / 12, 0)) / fine
    blurred = gaussian_filter(activity, rest, mode="constant", truncate=3.5)
    shape = [n for a in range(3) for n in (last[a] - first[a], factor[a])]
    coarse = blurred.reshape(shape).mean(axis=(1, 3, 5))
    whole = np.zeros(grid.shape, np.float32)
    low, high = np.maximum(first, 0), np.minimum(last, grid.shape)
    inner = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    whole[inner] = coarse[tuple(slice(a - f, b - f) for a, b, f in zip(low, high, first, strict=True))]
    return whole


def _head_range(
    matrix: geometry.Affine, grid: Grid, margin: NDArray[np.int_]
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """First and one past the last voxel (3,) of the head's box in `grid`, up to `margin` voxels beyond the grid."""
    low, high = np.array(HEAD_BOX_MM)
    corners = np.array([[(low, high)[b][a] for a, b in enumerate(bits)] for bits in np.ndindex(2, 2, 2)])
    index = grid.to_index(geometry.apply_affine(matrix, corners))
    first = np.clip(np.floor(index.min(0)).astype(int) - margin, -margin, np.array(grid.shape) - 1)
    last = np.clip(np.ceil(index.max(0)).astype(int) + margin + 1, first + 1, grid.shape + margin)
    return first, last


def _activity(
    head: Head,
    matrix: geometry.Affine,
    start: NDArray[np.float64],
    spacing: NDArray[np.float64],
    shape: NDArray[np.int_],
) -> NDArray[np.float32]:
    """Activity on a fine scan grid whose first voxel centre is `start`."""
    back = np.asarray(np.linalg.inv(matrix), np.float64)
    aligned = _affine_points(back, start, spacing, shape)
    activity = np.zeros(tuple(shape), np.float32)
    head_voxels = np.argwhere(head.in_head(aligned))
    template = head.to_template(aligned[tuple(head_voxels.T)])
    values = head.background(template, float(spacing.mean()))
    near = head.near_striatum(template)
    shares = _mean_shares(head, back, start, spacing, head_voxels[near])
    values[near] = values[near] * (1 - shares.sum(1)) + head.bound(shares)
    activity[tuple(head_voxels.T)] = values
    return activity


def _mean_shares(
    head: Head,
    back: geometry.Affine,
    start: NDArray[np.float64],
    spacing: NDArray[np.float64],
    voxels: NDArray[np.int_],
) -> NDArray[np.float32]:
    """Share (N, 8) of each region in the given fine voxels (N, 3), counted at points at most `SUBPOINT_MM` apart."""
    offsets = [(np.arange(n) + 0.5) / n - 0.5 for n in np.ceil(spacing / SUBPOINT_MM).astype(int)]
    steps = np.stack(np.meshgrid(*offsets, indexing="ij"), -1).reshape(-1, 3)
    centres = geometry.apply_affine(back, start + voxels * spacing).astype(np.float32)
    shares = np.zeros((len(voxels), len(BINDING_REGIONS)), np.float32)
    for step in steps:
        shares += head.fractions(head.to_template(centres + (back[:3, :3] @ (step * spacing)).astype(np.float32)))
    return shares / np.float32(len(steps))


def _affine_points(
    back: geometry.Affine, start: NDArray[np.float64], spacing: NDArray[np.float64], shape: NDArray[np.int_]
) -> NDArray[np.float32]:
    """Grid points through `back`: float32 (I, J, K, 3), summed from three axes to save time."""
    origin = geometry.apply_affine(back, start)
    i, j, k = ((np.arange(shape[a])[:, None] * (back[:3, a] * spacing[a])).astype(np.float32) for a in range(3))
    points: NDArray[np.float32] = i[:, None, None] + j[None, :, None] + (k + origin.astype(np.float32))[None, None]
    return points


def _noisy(clean: NDArray[np.float32], grid: Grid, camera: Camera, seed: int) -> NDArray[np.float32]:
    """`clean` with the noise of the camera's counts: variance in proportion to activity, with the filter's grain.

    Counts spread over the volume as activity does, so a voxel of volume v and activity a holds a v N / T of the N
    counts, T the integral of activity; its relative variance is the inverse, times the amplification squared. The
    field is then smoothed.
    """
    from scipy.ndimage import gaussian_filter

    if camera.counts is None:
        return clean
    spread = np.sqrt(clean * (clean.sum() / camera.counts)) * camera.amplification
    # Drawn for the whole field of view and then cut, so that missing slices do not change the others' noise.
    white = np.random.default_rng([seed, 13]).standard_normal(camera.shape, np.float32)
    below = round((grid.affine[2, 3] - camera.grid().affine[2, 3]) / grid.spacing_mm[2])
    white = white[:, :, below : below + grid.shape[2]]
    sigma = camera.noise_fwhm_mm / FWHM_PER_SIGMA / np.array(grid.spacing_mm)
    noisy: NDArray[np.float32] = clean + gaussian_filter(white * spread, sigma)
    return noisy.clip(min=0) if camera.clipped else noisy


def _landmarks(head: Head, matrix: geometry.Affine) -> dict[str, NDArray[np.float64]]:
    """Centres of mass of the true regions in scan mm, from a 1 mm lattice around both striata."""
    axes = [np.arange(low + 0.5, high, 1.0) for low, high in ((-52, 52), (-42, 44), (-34, 42))]
    aligned = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    aligned = aligned[head.near_striatum(aligned, head.slack_mm)]
    shares = head.fractions(head.to_template(aligned))
    column = {region: n for n, region in enumerate(BINDING_REGIONS)}
    found = {}
    for region, parts in atlas.PARTS.items():
        weight = shares[:, [column[part] for part in parts]].sum(1)
        if weight.any():
            found[region] = geometry.apply_affine(matrix, (aligned * weight[:, None]).sum(0) / weight.sum())
    return found


def describe(truth: Truth) -> dict[str, Any]:
    """The truth as JSON-ready data, for a file beside the scan."""
    return {
        "person": truth.person.as_dict(),
        "camera": truth.camera.name,
        "mni_to_scan": truth.mni_to_scan.round(6).tolist(),
        "landmarks_mm": {region: place.round(3).tolist() for region, place in truth.landmarks.items()},
    }
