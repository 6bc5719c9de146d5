"""Heads with a closed form: blurred balls on a flat brain, known at every point without any resampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy.special import erf

from dopascope import geometry
from dopascope.atlas import PARTS, inside
from dopascope.atlas.striatum import bounds_mm
from dopascope.volume import Grid, Volume


def blurred_ball(distance, radius, fwhm_mm):
    """Height of a unit ball of `radius` blurred by a Gaussian, at `distance` from its centre (closed form)."""
    s = fwhm_mm / np.sqrt(8 * np.log(2))
    r = np.maximum(np.asarray(distance, float), 1e-6)
    near, far = (radius - r) / (np.sqrt(2) * s), (radius + r) / (np.sqrt(2) * s)
    return 0.5 * (erf(near) + erf(far)) - s / (r * np.sqrt(2 * np.pi)) * (np.exp(-(near**2)) - np.exp(-(far**2)))


@dataclass(frozen=True)
class Head:
    """Balls (centre MNI mm, radius, height) over a flat background, blurred; a function of MNI position."""

    balls: tuple[tuple[tuple[float, float, float], float, float], ...]
    background: float = 100.0
    fwhm_mm: float = 10.0

    def __call__(self, points_mni):
        found = np.full(points_mni.shape[:-1], self.background)
        for centre, radius, height in self.balls:
            away = np.linalg.norm(points_mni - np.array(centre), axis=-1)
            found = found + height * blurred_ball(away, radius, self.fwhm_mm)
        return found

    def mean(self, region: str, spacing_mm: float = 0.5) -> float:
        """Mean over an atlas region, evaluated point by point on a lattice of `spacing_mm`."""
        low, high = bounds_mm(region)
        if len(PARTS[region]) > 1:
            low, high = low - 2, high + 2
        axes = [np.arange(a, b, spacing_mm) + spacing_mm / 3 for a, b in zip(low, high, strict=True)]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
        return float(self(points[inside(region, points)]).mean())


@dataclass(frozen=True, eq=False)
class Pose:
    mni_to_scan: np.ndarray
    pose_covariance: np.ndarray = field(default_factory=lambda: np.diag([0.25, 0.25, 0.25, 0.5, 0.5, 0.5]))


@dataclass(frozen=True, eq=False)
class Scanned:
    volume: Volume
    pose: Pose


@pytest.fixture(scope="session")
def healthy_head() -> Head:
    right = (((13.5, 9, 9), 6.5, 420.0), ((24.5, 7, -1), 7.0, 380.0), ((29.5, -8, 2.5), 6.0, 350.0))
    left = tuple(((-x, y, z), r, 0.9 * h) for (x, y, z), r, h in right)
    return Head(right + left)


@pytest.fixture(scope="session")
def scan() -> Callable[..., Scanned]:
    """Put a head into a scan: `scan(head, pose=4x4, spacing=(i, j, k), noise=share, fwhm=mm, seed=n)`."""

    def make(head, *, matrix=None, spacing=(2.9, 3.1, 3.4), noise=0.0, noise_fwhm=8.0, seed=0, covariance=None):
        from scipy.ndimage import gaussian_filter

        matrix = np.eye(4) if matrix is None else matrix
        shape = tuple(round(n / s) for n, s in zip((190, 226, 196), spacing, strict=True))
        middle = geometry.apply_affine(matrix, [0, -18, 8])
        grid = Grid(shape, geometry.from_parts(np.eye(3), spacing, middle - (np.array(shape) - 1) / 2 * spacing))
        data = head(geometry.apply_affine(np.linalg.inv(matrix), grid.centres_mm()))
        if noise:
            draw = np.random.default_rng(seed).normal(size=shape)
            sigma = noise_fwhm / np.sqrt(8 * np.log(2))
            draw = gaussian_filter(draw, sigma / np.array(spacing), mode="wrap")
            data = data + noise * head.background * draw / draw.std()
        pose = Pose(matrix) if covariance is None else Pose(matrix, covariance)
        return Scanned(Volume(data, grid), pose)

    return make


@pytest.fixture(scope="session")
def tilted() -> np.ndarray:
    """A pose with tilt, shift and anisotropic scale."""
    matrix = geometry.rotation([7, -5, 9]) @ np.diag([0.93, 1.05, 0.98, 1])
    return geometry.translation([6, -9, 12]) @ matrix
