"""A site's way from projections to the image it stores, and whole scans through it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dopascope.phantom.anatomy import Head, StriatumMaps
from dopascope.phantom.camera import Camera, Pose, stored_as
from dopascope.phantom.collimators import COLLIMATORS
from dopascope.phantom.people import Person
from dopascope.phantom.scan import Truth, truth_of
from dopascope.phantom.sites import Site, calibration
from dopascope.physics.acquire import Move, Projections, acquire, geometry_of, point_spread
from dopascope.physics.correct import attenuation_corrected, scatter_estimate
from dopascope.physics.filters import butterworth, gaussian
from dopascope.physics.projector import Projector
from dopascope.physics.reconstruct import fbp, osem
from dopascope.volume import Grid, Step, Volume

if TYPE_CHECKING:
    import torch


def reconstruct(projections: Projections, site: Site, *, chang_per_cm: float | None = None) -> NDArray[np.float32]:
    """The site's image (I, J, K) on its grid, corrected and filtered: grey matter is 1 if nothing is lost or added.

    Scatter is taken off before FBP and added to the model of OSEM. A map is part of OSEM's model; after FBP, Chang's
    factors of the map stand for it. `chang_per_cm` is the attenuation that Chang's ellipse is given; None: the
    `CHANG_PER_CM` of the site's scatter correction.
    """
    orbit = geometry_of(site)
    data = projections.window[None]
    device = data.device
    scattered = scatter_estimate(projections)[None] if site.scatter == "tew" else None
    modelled = site.reconstruction == "osem" and site.attenuation == "map"
    if site.reconstruction == "fbp":
        image = fbp(data if scattered is None else data - scattered, orbit, device)
    else:
        spread = point_spread(COLLIMATORS[site.collimator]) if site.resolution_model else None
        projector = Projector(orbit, projections.mu if modelled else None, spread, device)
        image = osem(data, projector, site.iterations, site.subsets, additive=scattered)
    if site.attenuation != "none" and not modelled:
        image = attenuation_corrected(image, projections.mu, site, chang_per_cm)
    image = _filtered(image, site)[0] / projections.per_unit
    return np.asarray((image.clamp(min=0) if site.clipped else image).cpu().numpy(), np.float32)


def _filtered(image: torch.Tensor, site: Site) -> torch.Tensor:
    post = site.filter
    if post.kind == "butterworth" and post.cutoff_per_cm is not None and post.order is not None:
        return butterworth(image, site.spacing_mm, post.cutoff_per_cm, post.order)
    if post.kind == "gaussian" and post.fwhm_mm is not None:
        return gaussian(image, site.spacing_mm, post.fwhm_mm)
    return image


def scan(
    person: Person,
    site: Site,
    pose: Pose | None = None,
    seed: int = 0,
    *,
    motion: Sequence[Move] = (),
    striatum: StriatumMaps | None = None,
    device: str = "cpu",
) -> tuple[Volume, Truth]:
    """The scan of `person` at `site` in `pose` through projections, and what is true of it.

    The same arguments give the same bytes on one machine. As `dopascope.phantom.scan`, by another way.

    Raises:
        UsageError: the pose's axes or cut cannot be meant, or a move does not start during the views.
    """
    pose = pose or Pose()
    camera = _camera(site)
    kept = camera.grid(pose.cut)
    projections = acquire(person, site, pose, seed, motion=motion, striatum=striatum, device=device)
    image = site.scale * reconstruct(projections, site)
    cut = image[:, :, pose.cut[0] : pose.cut[0] + kept.shape[2]]
    stored, affine = stored_as(np.ascontiguousarray(cut), kept.affine, pose.axes)
    facts = site.acquisition(age_years=person.age, sex=person.sex)
    step = Step("physics.scan", {"person": person.seed, "group": person.group, "site": site.name, "seed": seed})
    grid = Grid((stored.shape[0], stored.shape[1], stored.shape[2]), affine)
    return Volume(stored, grid, facts, history=(step,)), truth_of(Head(person, striatum), camera, pose)


def _camera(site: Site) -> Camera:
    """The site's calibrated camera; without a calibration one of the collimator's resolution at the axis."""
    if site.name in calibration()["sites"]:
        return site.camera
    blur = COLLIMATORS[site.collimator].fwhm_at(site.radius_mm)
    return Camera(site.name, site.shape, site.spacing_mm, blur, site.counts, scale=site.scale, clipped=site.clipped)
