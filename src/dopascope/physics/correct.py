"""A site's corrections: scatter by three energy windows, attenuation by Chang's factors of a uniform ellipse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.phantom.sites import Site
from dopascope.physics.acquire import SIDE_WINDOW, Projections
from dopascope.physics.maps import MU_PER_CM
from dopascope.physics.orbit import Geometry, circle
from dopascope.physics.reconstruct import chang

if TYPE_CHECKING:
    import torch

TEW_FWHM_MM: Final = 16.0
"""Smoothing of the scatter estimate, whose narrow windows hold few counts."""
CHANG_PER_CM: Final = {"tew": 0.15, "none": 0.11}
"""Attenuation that Chang's correction assumes: narrow-beam once scatter is taken off, less with it inside."""
CHANG_VIEWS: Final = 36
OUTLINE_SHARE: Final = 0.5
"""A voxel with at least this share of water's attenuation belongs to the head."""


def scatter_estimate(projections: Projections) -> torch.Tensor:
    """Counts (A, nu, nz) that are not primary, by triple energy window: the trapezoid under the main window.

    (C_lower / w_lower + C_upper / w_upper) w_main / 2 (Ogawa et al., IEEE TMI 1991;10:408), smoothed.
    """
    import torch

    side = (projections.lower + projections.upper) / (2 * SIDE_WINDOW)
    pixel, _, slice_mm = projections.grid.spacing_mm
    across, along = (
        torch.from_numpy(_smoothing(n, step)).to(side.device)
        for n, step in ((side.shape[1], pixel), (side.shape[2], slice_mm))
    )
    return torch.einsum("vu,auz,wz->avw", across, side, along)


def _smoothing(places: int, step_mm: float) -> NDArray[np.float32]:
    """(n, n): a Gaussian of `TEW_FWHM_MM` whose rows sum to 1."""
    away = step_mm * (np.arange(places)[:, None] - np.arange(places))
    weights = np.exp(-4 * np.log(2) * (away / TEW_FWHM_MM) ** 2)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def attenuation_corrected(
    image: torch.Tensor, mu: torch.Tensor, site: Site, chang_per_cm: float | None = None
) -> torch.Tensor:
    """`image` (B, nx, ny, nz) times Chang's factors: of a uniform ellipse in each slice, or of `mu` itself.

    `mu` (nx, ny, nz) is the head's map in 1/mm; of it, "chang" knows the outline only, and fills it with
    `chang_per_cm` or, where that is None, with the `CHANG_PER_CM` of the site's scatter correction.
    """
    import torch

    if site.attenuation == "chang":
        assumed = CHANG_PER_CM[site.scatter] if chang_per_cm is None else chang_per_cm
        uniform = ellipses(mu.cpu().numpy()) * np.float32(assumed / 10)
        mu = torch.from_numpy(uniform).to(image.device)
    return chang(image, mu, Geometry(site.shape, site.spacing_mm, circle(CHANG_VIEWS), site.radius_mm))


def ellipses(mu: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 inside the ellipse that has the second moments of the head's outline in each slice, else 0: (I, J, K)."""
    inside = mu > OUTLINE_SHARE * MU_PER_CM["soft"] / 10
    i, j = np.meshgrid(*(np.arange(n) for n in mu.shape[:2]), indexing="ij")
    places = np.stack([i, j], -1).astype(float)
    found = np.zeros(mu.shape, np.float32)
    for k in range(mu.shape[2]):
        own = places[inside[:, :, k]]
        if len(own) < 3:
            continue
        away = places - own.mean(0)
        # A uniform ellipse with semi-axis a has the variance a^2 / 4 along it; a voxel's own extent is 1 / 12.
        spread = np.cov(own.T) + np.eye(2) / 12
        found[:, :, k] = np.einsum("ija,ab,ijb->ij", away, np.linalg.inv(spread), away) <= 4
    return found
