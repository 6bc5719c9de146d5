"""From a person at a site to projections: what the camera would count, window by window.

Counts of the main window (159 keV +- 10 %) are the sum of three: photons that came straight through the collimator's
holes (attenuated, blurred with depth), photons scattered in the head, and photons of the 529 keV line that went
through septa.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dopascope import geometry
from dopascope.errors import UsageError
from dopascope.phantom.anatomy import Head, StriatumMaps
from dopascope.phantom.camera import Pose
from dopascope.phantom.collimators import COLLIMATORS, INTRINSIC_MM, Collimator
from dopascope.phantom.people import Person
from dopascope.phantom.sites import Site
from dopascope.physics.blur import PointSpread
from dopascope.physics.maps import HeadMaps, attenuation_on, centred_grid, fine_grid, head_maps, head_reach
from dopascope.physics.orbit import Geometry, circle
from dopascope.physics.projector import Projector
from dopascope.physics.stray import stray
from dopascope.volume import Grid

if TYPE_CHECKING:
    import torch

SCATTER_SHARE: Final = 0.30
"""Share of scattered photons among the window's 159 keV ones (.25 to .35 in brain studies)."""
SIDE_WINDOW: Final = 0.15
"""Width of each of the two side windows for scatter correction, as a share of the main window's (3 % of 159 keV)."""


@dataclass(frozen=True)
class Move:
    """From the share `start` of the views on, the head lies turned about the camera's middle and shifted."""

    start: float
    tilt_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def matrix(self) -> geometry.Affine:
        """(4, 4): scan mm before to scan mm after."""
        moved: geometry.Affine = geometry.translation(self.shift_mm) @ geometry.rotation(self.tilt_deg)
        return moved


@dataclass(frozen=True, eq=False)
class Projections:
    """Counts of one acquisition, (A, nu, nz) each: views, pixels across, pixels along the camera's axis."""

    window: torch.Tensor
    """Main window, which is reconstructed."""
    lower: torch.Tensor
    upper: torch.Tensor
    """Side windows just below and above, `SIDE_WINDOW` as wide."""
    mu: torch.Tensor
    """(nx, ny, nz), the head's attenuation in 1/mm on the camera's grid, as a perfect CT in the first pose gives it."""
    per_unit: float
    """Counts that activity 1 over 1 mm of depth gives in one pixel of one view."""
    grid: Grid


@dataclass(frozen=True, eq=False)
class Expected:
    """Mean counts of an acquisition by their origin, (A, nu, nz) each; `drawn` makes an acquisition of them."""

    primary: torch.Tensor
    scatter: torch.Tensor
    penetration: torch.Tensor
    mu: torch.Tensor
    per_unit: float
    grid: Grid

    def noise_free(self) -> Projections:
        """The means themselves. See `drawn`."""
        lower = SIDE_WINDOW * (2 * self.scatter + self.penetration)
        window = self.primary + self.scatter + self.penetration
        return Projections(window, lower, SIDE_WINDOW * self.penetration, self.mu, self.per_unit, self.grid)

    def drawn(self, seed: int) -> Projections:
        """Poisson counts of the three windows: of the same means and seed the same, drawn on the processor.

        Scatter falls linearly with energy, from twice its mean in the main window at the lower edge to nothing at the
        upper edge; septal penetration is the same at all energies (Ogawa et al., IEEE TMI 1991;10:408: the trapezoid
        of the triple-energy-window method is then right on average).
        """
        import torch

        rng = np.random.default_rng([seed, 17])
        mean = self.noise_free()
        window, lower, upper = (
            torch.from_numpy(rng.poisson(part.cpu().numpy().clip(min=0)).astype(np.float32)).to(part.device)
            for part in (mean.window, mean.lower, mean.upper)
        )
        return Projections(window, lower, upper, self.mu, self.per_unit, self.grid)


def acquire(
    person: Person,
    site: Site,
    pose: Pose | None = None,
    seed: int = 0,
    *,
    motion: Sequence[Move] = (),
    striatum: StriatumMaps | None = None,
    device: str = "cpu",
) -> Projections:
    """The counts of `person` at `site` in `pose`, with Poisson noise from `seed`: see `expect`.

    Raises:
        UsageError: a move does not start between the first and the last view.
    """
    return expect(person, site, pose, motion=motion, striatum=striatum, device=device).drawn(seed)


def expect(
    person: Person,
    site: Site,
    pose: Pose | None = None,
    *,
    motion: Sequence[Move] = (),
    striatum: StriatumMaps | None = None,
    device: str = "cpu",
) -> Expected:
    """Mean counts of `person` at `site` in `pose`; the main window's total is the site's counts.

    Activity outside the axial field blurs and scatters into it, and is cut off with it. Photons scattered or let
    through by septa come from the first position of a head that moves.

    Raises:
        UsageError: a move does not start between the first and the last view.
    """
    import torch

    head = Head(person, striatum)
    matrix = (pose or Pose()).matrix() @ head.matrix
    field = centred_grid(site.shape, site.spacing_mm)
    angles = circle(site.angles)
    primary = torch.empty(site.angles, site.matrix[0], site.slices, device=device)
    for move, first, last in _positions(motion, site.angles):
        placed = matrix if move is None else move.matrix() @ matrix
        reach = head_reach(head, placed, field.extent_mm[2] / 2)
        maps = head_maps(head, placed, fine_grid(field, reach))
        primary[first:last] = _primary(maps, site, reach, angles[first:last], device)
    scattered, through = stray(head, matrix, site, device)
    factors = [
        site.counts * share / float(part.sum())
        for part, share in zip((primary, scattered, through), window_shares(site), strict=True)
    ]
    mu = torch.from_numpy(attenuation_on(head, matrix, field)).to(device)
    return Expected(
        primary * factors[0], scattered * factors[1], through * factors[2], mu=mu, per_unit=factors[0], grid=field
    )


def window_shares(site: Site) -> tuple[float, float, float]:
    """Shares of primary, scattered and septal counts in the site's main window; they sum to 1."""
    through = COLLIMATORS[site.collimator].penetration
    return (1 - through) * (1 - SCATTER_SHARE), (1 - through) * SCATTER_SHARE, through


def geometry_of(site: Site) -> Geometry:
    """The site's orbit, detector and image: views evenly over a whole turn."""
    return Geometry(site.shape, site.spacing_mm, circle(site.angles), site.radius_mm)


def point_spread(collimator: Collimator) -> PointSpread:
    """The blur of `collimator` at 159 keV, with the detector's own."""
    return PointSpread.from_holes(10 * collimator.hole_cm, 10 * collimator.effective_length_cm, INTRINSIC_MM)


def _positions(motion: Sequence[Move], angles: int) -> list[tuple[Move | None, int, int]]:
    """The positions of the head, None for the first, each with its first view and the one past its last."""
    starts = [round(move.start * angles) for move in motion]
    if any(not 0 < start < angles for start in starts) or sorted(set(starts)) != starts:
        raise UsageError(
            "The moves of the head do not follow one another between the first and the last view.",
            where="motion",
            found=[move.start for move in motion],
            expected=f"rising shares of the {angles} views, above 0 and below 1",
            fix="Give the moves in the order of their views, each at a view of its own.",
        )
    return list(zip((None, *motion), [0, *starts], [*starts, angles], strict=True))


def _primary(maps: HeadMaps, site: Site, reach_mm: float, angles: tuple[float, ...], device: str) -> torch.Tensor:
    """Line integrals of activity in mm, attenuated and blurred: (angles, nu, nz) in the site's pixels."""
    import torch

    orbit = Geometry(
        maps.grid.shape,
        maps.grid.spacing_mm,
        angles,
        site.radius_mm,
        bins=site.matrix[0],
        bin_mm=site.pixel_mm,
        support_mm=reach_mm,
    )
    projector = Projector(
        orbit, torch.from_numpy(maps.mu), point_spread(COLLIMATORS[site.collimator]), device, keep_attenuation=False
    )
    seen = projector.forward(torch.from_numpy(maps.activity)[None])[0]
    margin = (seen.shape[2] - site.slices) // 2
    return seen[:, :, margin : margin + site.slices]
