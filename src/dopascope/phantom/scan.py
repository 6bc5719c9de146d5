"""From a person, a camera and a pose to a scan, and the truth about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas, geometry
from dopascope.phantom.anatomy import Head, StriatumMaps
from dopascope.phantom.camera import Camera, Pose, stored_as
from dopascope.phantom.people import BINDING_REGIONS, Person
from dopascope.phantom.render import FWHM_PER_SIGMA as FWHM_PER_SIGMA
from dopascope.phantom.render import HEAD_BOX_MM as HEAD_BOX_MM
from dopascope.phantom.render import STRIATUM_BOX_MM, image_of, mean_shares
from dopascope.phantom.render import activity_on as activity_on
from dopascope.phantom.render import render as render
from dopascope.phantom.render import shade as shade
from dopascope.phantom.sites import Site
from dopascope.volume import Acquisition, Grid, Step, Volume

LANDMARK_CELL_MM: Final = 1.3
NOISE_SIGMAS: Final = 4.0
"""Where the grain of the noise ends."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What is true of a simulated scan."""

    person: Person
    camera: Camera
    pose: Pose
    mni_to_scan: geometry.Affine
    """(4, 4), RAS mm to RAS mm: the affine part of the true mapping (the warp has none of its own)."""
    striatum: StriatumMaps | None = None

    @cached_property
    def landmarks(self) -> Mapping[str, NDArray[np.float64]]:
        """Region of `atlas.PARTS` -> centre of mass (3,) of its true, warped self in scan mm."""
        return _landmarks(Head(self.person, self.striatum), self.mni_to_scan)

    @property
    def sbr(self) -> Mapping[str, float]:
        """True specific binding ratio of each region before any camera."""
        return self.person.sbr

    @property
    def worse_side(self) -> str | None:
        """`left` or `right`, the side with less binding in the putamen; None for healthy people."""
        return self.person.worse_side


def scan(
    person: Person,
    camera: Camera | Site,
    pose: Pose | None = None,
    seed: int = 0,
    *,
    striatum: StriatumMaps | None = None,
) -> tuple[Volume, Truth]:
    """The scan of `person` by `camera`, or at a site by its image-space camera, in `pose`, and what is true of it.

    Activity is averaged over small cells (striatal borders counted within them), blurred and averaged to the camera's
    voxels (`phantom.render`), given noise from `seed` and stored in the order of the pose's axes. The same arguments
    give the same bytes.

    Raises:
        UsageError: the pose's axes or cut cannot be meant, or the site has no image-space calibration.
    """
    pose = pose or Pose()
    facts = _facts(camera, person)
    camera = camera.camera if isinstance(camera, Site) else camera
    head = Head(person, striatum)
    matrix = pose.matrix() @ head.matrix
    grid = camera.grid(pose.cut)
    clean = image_of(head, matrix, grid, camera)
    data = camera.scale * _noisy(clean, grid, camera, seed)
    stored, affine = stored_as(data.astype(np.float32), grid.affine, pose.axes)
    step = Step("phantom.scan", {"person": person.seed, "group": person.group, "camera": camera.name, "seed": seed})
    volume = Volume(stored, Grid((stored.shape[0], stored.shape[1], stored.shape[2]), affine), facts, history=(step,))
    return volume, truth_of(head, camera, pose)


def _facts(camera: Camera | Site, person: Person) -> Acquisition:
    if isinstance(camera, Site):
        return camera.acquisition(age_years=person.age, sex=person.sex)
    return Acquisition(
        modality="NM",
        image_type=("DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"),
        manufacturer="dopascope phantom",
        model=camera.name,
        radiopharmaceutical="Ioflupane",
        radionuclide="I-123",
        age_years=person.age,
        sex=person.sex,
    )


def truth_of(head: Head, camera: Camera, pose: Pose) -> Truth:
    """What is true of `head` in `pose`, whichever way `camera` scans it."""
    matrix = pose.matrix() @ head.matrix
    return Truth(head.person, camera, pose, matrix, head.striatum)


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
    noisy = clean.copy()
    inner = _around_activity(clean, np.ceil(NOISE_SIGMAS * sigma).astype(int) + 1)
    noisy[inner] += gaussian_filter(white[inner] * spread[inner], sigma, truncate=NOISE_SIGMAS)
    return noisy.clip(min=0) if camera.clipped else noisy


def _around_activity(clean: NDArray[np.float32], margin: NDArray[np.int_]) -> tuple[slice, ...]:
    """The box of voxels with activity, `margin` (3,) voxels wider on all sides."""
    found = []
    for a, more in enumerate(margin):
        filled = np.flatnonzero(clean.any(axis=tuple(other for other in range(3) if other != a)))
        first, last = (filled[0], filled[-1]) if len(filled) else (0, 0)
        found.append(slice(max(0, first - more), last + more + 1))
    return tuple(found)


def _landmarks(head: Head, matrix: geometry.Affine) -> dict[str, NDArray[np.float64]]:
    """Centres of mass of the true regions in scan mm, from small cells around both striata."""
    axes = [np.arange(low, high, LANDMARK_CELL_MM) for low, high in zip(*STRIATUM_BOX_MM, strict=True)]
    aligned = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3).astype(np.float32)
    template = head.to_template(aligned)
    near = head.near_striatum(template, LANDMARK_CELL_MM)
    aligned, edges = aligned[near], LANDMARK_CELL_MM * np.eye(3)
    shares = mean_shares(head, aligned, template[near], edges, LANDMARK_CELL_MM / 2)
    column = {region: n for n, region in enumerate(BINDING_REGIONS)}
    found = {}
    for region, parts in atlas.PARTS.items():
        weight = shares[:, [column[part] for part in parts]].sum(1, dtype=float)
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
