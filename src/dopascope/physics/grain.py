"""The noise of a site's images: how much voxels vary between repeated scans, and over what distance alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas, geometry
from dopascope.phantom.anatomy import Head
from dopascope.phantom.camera import Camera, Pose
from dopascope.phantom.people import Person
from dopascope.phantom.render import FWHM_PER_SIGMA
from dopascope.volume import MNI_2MM, Grid

PROBE_FWHM_MM: Final = 12.0
"""Blur that averages noise about as far as a striatal region does."""


@dataclass(frozen=True)
class Grain:
    """Noise in the whole-brain reference, where activity is nearly even."""

    relative_sd: float
    """Root mean variance of a voxel between scans over the mean."""
    fwhm_mm: float
    """Of the Gaussian that makes of white noise one that averages out alike under `PROBE_FWHM_MM`."""


def grain_of(images: Sequence[NDArray[np.float32]], person: Person, camera: Camera) -> Grain:
    """The noise of two or more `images` (I, J, K) of `person` in the neutral pose, alike but for their counts.

    White noise blurred by a Gaussian of variance n in each axis and then by one of s keeps (n / (n + s))^(3/2) of its
    variance in the second blur.
    """
    from scipy.ndimage import gaussian_filter

    stack = np.stack(images).astype(np.float64)
    mean = stack.mean(0)
    noise = (stack - mean) * np.sqrt(len(stack) / (len(stack) - 1))
    grid = camera.grid()
    inside = uniform_brain(person, grid)
    sigma = PROBE_FWHM_MM / FWHM_PER_SIGMA
    blurred = gaussian_filter(noise, (0, *(sigma / np.array(grid.spacing_mm))))
    variance, left = (float((part[:, inside] ** 2).mean()) for part in (noise, blurred))
    kept = (left / variance) ** (2 / 3)
    fwhm = PROBE_FWHM_MM * float(np.sqrt(kept / (1 - kept)))
    return Grain(float(np.sqrt(variance) / mean[inside].mean()), fwhm)


def uniform_brain(person: Person, grid: Grid) -> NDArray[np.bool_]:
    """Voxels (I, J, K) of `grid` in the whole-brain reference of `person` in the neutral pose."""
    matrix = Pose().matrix() @ Head(person).matrix
    aligned = geometry.apply_affine(np.asarray(np.linalg.inv(matrix), np.float64), grid.centres_mm())
    index = np.rint(MNI_2MM.to_index(aligned)).astype(int)
    valid = np.asarray(((index >= 0) & (index < MNI_2MM.shape)).all(-1))
    i, j, k = np.moveaxis(np.where(valid[..., None], index, 0), -1, 0)
    return np.asarray(atlas.reference_mask("whole_brain")[i, j, k] & valid)
