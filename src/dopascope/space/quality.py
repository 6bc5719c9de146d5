"""How far a registration can be trusted: a figure of 0 to 1 with reasons, and the uncertainty of the pose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.space import levels
from dopascope.space.fit import Fit, Problem, gauss_newton, pose_slopes

STRIATAL_CENTRE_MM: Final = (0.0, 4.0, 3.0)
"""Middle of both striata; shifts and tilts are counted here."""
ACCEPTED_FROM: Final = 0.5


@dataclass(frozen=True)
class Verdict:
    """A quality figure, whether it suffices, and what speaks against it."""

    quality: float
    accepted: bool
    reasons: tuple[str, ...]


def judge(problem: Problem, fit: Fit, starts: list[Fit], matrix: geometry.Affine) -> Verdict:
    """Judge the pose `matrix`."""
    quality = float(np.clip((fit.explained - 0.5) / 0.4, 0, 1))
    return Verdict(quality, quality >= ACCEPTED_FROM, ())


def pose_covariance(problem: Problem, fit: Fit) -> NDArray[np.float64]:
    """Uncertainty `(6, 6)` of shift (mm) at the middle of the striatum and tilt (degrees), along scan axes."""
    spread = np.linalg.inv(fit.normal + np.diag(problem.prior_sd**-2.0))
    slopes = pose_slopes(fit.pose, problem.origin, problem.centre).reshape(3, 4, -1)
    shift = np.einsum("rcp,c->rp", slopes, np.array([*STRIATAL_CENTRE_MM, 1.0]))
    spin = np.einsum("rcp,cd->rdp", slopes[:, :3], np.linalg.inv(fit.matrix[:3, :3]))
    tilt = np.stack([spin[2, 1] - spin[1, 2], spin[0, 2] - spin[2, 0], spin[1, 0] - spin[0, 1]]) / 2
    jacobian = np.concatenate([shift, np.rad2deg(tilt)])
    covariance: NDArray[np.float64] = jacobian @ spread @ jacobian.T
    return covariance + np.diag([1.0, 1, 1, 2, 2, 2])
