"""Generated images judged: are they like real ones, as varied, and not copies? Each figure with its n and its range.

Features come as arrays, a row for each image; nothing here needs a network. What each figure can and cannot say:
docs/judging.md.
"""

from __future__ import annotations

from dopascope.score.generated.coverage import Coverage, coverage, expected_coverage, outside, uncovered
from dopascope.score.generated.features import Projection, principal_components, random_projection
from dopascope.score.generated.floors import FEATURE_FIGURES, AgainstFloor, against_floor
from dopascope.score.generated.frechet import Frechet, frechet, frechet_squared
from dopascope.score.generated.kid import KernelDistance, kernel_distance, kernel_distance_value
from dopascope.score.generated.memorisation import Memorisation, copy_scores, memorisation
from dopascope.score.generated.mmd import MMD, mmd, mmd_squared
from dopascope.score.generated.ms_ssim import (
    Diversity,
    Scales,
    diversity,
    diversity_difference,
    fitting_scales,
    ms_ssim,
)
from dopascope.score.generated.result import Measured, Result
from dopascope.score.generated.wasserstein import Wasserstein, wasserstein, wasserstein_distance, wasserstein_of_each

__all__ = [
    "FEATURE_FIGURES",
    "MMD",
    "AgainstFloor",
    "Coverage",
    "Diversity",
    "Frechet",
    "KernelDistance",
    "Measured",
    "Memorisation",
    "Projection",
    "Result",
    "Scales",
    "Wasserstein",
    "against_floor",
    "copy_scores",
    "coverage",
    "diversity",
    "diversity_difference",
    "expected_coverage",
    "fitting_scales",
    "frechet",
    "frechet_squared",
    "kernel_distance",
    "kernel_distance_value",
    "memorisation",
    "mmd",
    "mmd_squared",
    "ms_ssim",
    "outside",
    "principal_components",
    "random_projection",
    "uncovered",
    "wasserstein",
    "wasserstein_distance",
    "wasserstein_of_each",
]
