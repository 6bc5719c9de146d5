"""PyTomography (Polson et al., SoftwareX 2025; rotate and sum) as an oracle of projections and images.

Skipped where it is not installed: `pip install pytomography==3.4.0` into an environment that has torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dopascope.physics import Geometry, PointSpread, Projector, circle, osem

pytestmark = pytest.mark.oracle
pytest.importorskip("pytomography", reason="PyTomography, the oracle, is not installed")

SPREAD = PointSpread.from_holes(1.11, 23.0, 3.6)
GEOMETRY = Geometry((64, 64, 20), (4.0, 4.0, 4.0), circle(48), 125.0)
MODES = {"plain": (False, False), "attenuated": (True, False), "blurred": (False, True), "both": (True, True)}


def head() -> tuple[Tensor, Tensor]:
    """Activity and mu in 1/mm, (nx, ny, nz): an ellipsoid off centre with two hot spots and a cold one.

    Voxels at a surface hold the share that is inside: where a sharp edge falls between two voxels is a matter of
    either program's interpolation, not of the model.
    """
    finer = 3
    x, y, z = (
        torch.from_numpy(((np.arange(n * finer) + 0.5) / finer - n / 2) * v).float()
        for n, v in zip(GEOMETRY.shape, GEOMETRY.voxel_mm, strict=True)
    )

    def share(centre: tuple[float, float, float], semi: tuple[float, float, float]) -> Tensor:
        squares = [((axis - c) / s) ** 2 for axis, c, s in zip((x, y, z), centre, semi, strict=True)]
        inside = (squares[0][:, None, None] + squares[1][:, None] + squares[2] <= 1).float()
        return torch.nn.functional.avg_pool3d(inside[None], finer)[0]

    body = share((5, -6, 0), (72, 90, 70))
    striata = 4 * share((-24, 12, 0), (10, 20, 14)) + 2.5 * share((24, 12, 0), (10, 20, 14))
    return body + striata - 0.9 * share((3, -30, 0), (12, 16, 20)), 0.0147 * body


def peer_matrix(mode: str, mu: Tensor) -> Any:
    """Its system matrix; lengths in cm, angles clockwise from below."""
    import pytomography
    from pytomography.metadata.SPECT import SPECTObjectMeta, SPECTProjMeta, SPECTPSFMeta
    from pytomography.projectors.SPECT import SPECTSystemMatrix
    from pytomography.transforms.SPECT import SPECTAttenuationTransform, SPECTPSFTransform

    pytomography.set_device("cpu")
    attenuated, blurred = MODES[mode]
    cm = [v / 10 for v in GEOMETRY.voxel_mm]
    views = SPECTProjMeta((64, 20), cm[1:], [270 - a for a in GEOMETRY.angles_deg], radii=[12.5] * GEOMETRY.views)
    transforms: list[Any] = []
    if attenuated:
        transforms.append(SPECTAttenuationTransform(10 * mu))
    if blurred:
        parameters = (SPREAD.slope, SPREAD.sigma0_mm / 10, SPREAD.intrinsic_mm / 10)
        spread = SPECTPSFMeta(parameters, lambda r, a, b, c: np.sqrt((a * r + b) ** 2 + c**2), min_sigmas=4)
        transforms.append(SPECTPSFTransform(spread))
    return SPECTSystemMatrix(
        transforms, [], SPECTObjectMeta(cm, list(GEOMETRY.shape)), views, object_initial_based_on_camera_path=True
    )


def ours(mode: str, mu: Tensor) -> Projector:
    attenuated, blurred = MODES[mode]
    return Projector(GEOMETRY, mu if attenuated else None, SPREAD if blurred else None)


def relative(found: Tensor, truth: Tensor) -> float:
    return float((found - truth).norm() / truth.norm())


@pytest.mark.parametrize("mode", MODES)
def test_projections_agree(mode: str) -> None:
    activity, mu = head()
    theirs = peer_matrix(mode, mu).forward(activity) * GEOMETRY.voxel_mm[0]
    found = ours(mode, mu).forward(activity[None])[0]
    assert relative(found, theirs) <= 0.02


@pytest.mark.parametrize("mode", MODES)
def test_osem_images_agree_inside_the_object(mode: str) -> None:
    from pytomography.algorithms import OSEM
    from pytomography.likelihoods import PoissonLogLikelihood

    activity, mu = head()
    projector = ours(mode, mu)
    clean = projector.forward(activity[None])
    scale = 3e6 / float(clean.sum())
    scatter = torch.full_like(clean, 0.15 * scale * float(clean.mean()))
    counts = torch.poisson(scale * clean + scatter, generator=torch.Generator().manual_seed(5))
    likelihood = PoissonLogLikelihood(peer_matrix(mode, mu), counts[0], scatter[0])
    theirs = OSEM(likelihood)(n_iters=4, n_subsets=8)
    found = osem(counts, projector, 4, 8, scatter, order=range(8))[0] * GEOMETRY.voxel_mm[0]
    inside = mu > 0.5 * mu.max()
    assert relative(found[inside], theirs[inside]) <= 0.02
