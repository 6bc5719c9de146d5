"""Photons that do not come straight: scattered in the head, or of the 529 keV line through the collimator's septa.

Both are smooth, so they are projected from a coarse grid and laid over the camera's pixels by linear interpolation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.phantom.anatomy import Head
from dopascope.phantom.sites import Site
from dopascope.physics.maps import MU_529_SHARE, MU_PER_CM, HeadMaps, centred_grid, head_maps, head_reach
from dopascope.physics.orbit import Geometry, circle
from dopascope.physics.projector import Projector
from dopascope.volume import Grid

if TYPE_CHECKING:
    import torch

COARSE_MM: Final = 8.0
MARGIN_MM: Final = 64.0
"""Length of head beyond each end of the axial field that still scatters into it."""
PENETRATION_FWHM_MM: Final = 120.0
PENETRATION_OFFSET: Final = 0.3
"""Share of the septal counts that is the same all over the detector; the rest follows the head, blurred broadly (a
Gaussian describes it within 2 %: Cot et al., IEEE Trans Nucl Sci 2006)."""


def stray(head: Head, matrix: geometry.Affine, site: Site, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Scattered and septal photons (A, nu, nz) each in the site's pixels, on a scale of their own.

    `matrix` (4, 4) maps aligned mm to scan mm.
    """
    import torch

    field = centred_grid(site.shape, site.spacing_mm)
    half = field.extent_mm[2] / 2 + MARGIN_MM
    across, planes = (2 * int(np.ceil(reach / COARSE_MM)) for reach in (head_reach(head, matrix, half), half))
    maps = head_maps(head, matrix, centred_grid((across, across, planes), (COARSE_MM,) * 3))
    orbit = Geometry(maps.grid.shape, maps.grid.spacing_mm, circle(site.angles), site.radius_mm)
    source = torch.from_numpy(effective_scatter_source(maps))
    scattered = Projector(orbit, torch.from_numpy(maps.mu), device=device).forward(source[None])[0]
    mu = torch.from_numpy(maps.mu * np.float32(MU_529_SHARE))
    through = Projector(orbit, mu, device=device).forward(torch.from_numpy(maps.activity)[None])[0]
    laid = _laid(scattered, *(_linear(_distances(maps.grid, field, axis)) for axis in (0, 2)))
    broad = _laid(through, *(_gaussian(_distances(maps.grid, field, axis)) for axis in (0, 2)))
    return laid, broad * ((1 - PENETRATION_OFFSET) / broad.mean()) + PENETRATION_OFFSET


def effective_scatter_source(maps: HeadMaps) -> NDArray[np.float32]:
    """Where photons set out after one scattering (I, J, K): an effective source, as of Frey and Tsui (1996).

    The activity is spread by exp(-mu r) / r^2, the chance to reach a point unhindered, and multiplied by the matter
    there, mu over that of water. Its direct, attenuated projection stands for the scatter; the loss of energy with
    the angle is left out, and so is a second scattering.
    """
    import torch

    water = MU_PER_CM["soft"] / 10
    spacing = np.array(maps.grid.spacing_mm)
    sizes = zip(maps.grid.shape, spacing, strict=True)
    axes = [step * np.minimum(np.arange(2 * n), np.arange(2 * n, 0, -1)) for n, step in sizes]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    squared = x**2 + y**2 + z**2
    # The mean of 1 / r^2 over a ball of the voxel's volume is 3 / radius^2.
    ball = (3 * spacing.prod() / (4 * np.pi)) ** (2 / 3)
    kernel = torch.from_numpy(np.exp(-water * np.sqrt(squared)) / np.where(squared > 0, squared, ball / 3))
    # Twice as long axes, the rest zero: nothing wraps round.
    spectrum = torch.fft.rfftn(torch.from_numpy(maps.activity).double(), kernel.shape) * torch.fft.rfftn(kernel)
    i, j, k = maps.grid.shape
    reached = torch.fft.irfftn(spectrum, kernel.shape)[:i, :j, :k].clamp(min=0).numpy()
    return np.asarray(reached * maps.mu / water, np.float32)


def _distances(coarse: Grid, field: Grid, axis: int) -> NDArray[np.float64]:
    """(fine, coarse): mm between the places of both grids along `axis`."""
    places, wanted = (
        grid.affine[axis, 3] + grid.spacing_mm[axis] * np.arange(grid.shape[axis]) for grid in (coarse, field)
    )
    return np.asarray(np.abs(wanted[:, None] - places))


def _linear(away_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    """Weights of linear interpolation between coarse places, 0 beyond the last."""
    return np.clip(1 - away_mm / COARSE_MM, 0, None).astype(np.float32)


def _gaussian(away_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(np.exp(-4 * np.log(2) * (away_mm / PENETRATION_FWHM_MM) ** 2), np.float32)


def _laid(coarse: torch.Tensor, over: NDArray[np.float32], along: NDArray[np.float32]) -> torch.Tensor:
    import torch

    u, z = (torch.from_numpy(matrix).to(coarse.device) for matrix in (over, along))
    return torch.einsum("uc,acd,zd->auz", u, coarse, z)
