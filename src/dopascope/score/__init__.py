"""Figures about answers: each with its n and its interval."""

from __future__ import annotations

from dopascope.score.agreement import weighted_kappa, weighted_kappa_of_people
from dopascope.score.auroc import auroc, auroc_of_people
from dopascope.score.bootstrap import Estimate, estimates_of_people
from dopascope.score.bracket import Bracket, fit_bracket
from dopascope.score.calibrate import Calibration, fit_calibration
from dopascope.score.compare import (
    Difference,
    delong,
    difference_over_people,
    holm,
    mcnemar,
    p_words,
    paired_permutation,
)
from dopascope.score.conformal import Conformal, fit_conformal
from dopascope.score.confusion import ClassFigures, Confusion, class_report, exact_interval, wilson_interval
from dopascope.score.curves import Curve, average_precision, net_benefit, precision_recall_curve, roc_curve
from dopascope.score.folds import allowing_for_folds
from dopascope.score.probability import Slope, adaptive_ece, brier, calibration_slope, chance_ece, log_loss
from dopascope.score.segmentation import (
    ObjectCounts,
    Objects,
    find_objects,
    hausdorff_mm,
    object_average_precision,
    object_counts,
    object_map,
    pixel_figures,
)

__all__ = [
    "Bracket",
    "Calibration",
    "ClassFigures",
    "Conformal",
    "Confusion",
    "Curve",
    "Difference",
    "Estimate",
    "ObjectCounts",
    "Objects",
    "Slope",
    "adaptive_ece",
    "allowing_for_folds",
    "auroc",
    "auroc_of_people",
    "average_precision",
    "brier",
    "calibration_slope",
    "chance_ece",
    "class_report",
    "delong",
    "difference_over_people",
    "estimates_of_people",
    "exact_interval",
    "find_objects",
    "fit_bracket",
    "fit_calibration",
    "fit_conformal",
    "hausdorff_mm",
    "holm",
    "log_loss",
    "mcnemar",
    "net_benefit",
    "object_average_precision",
    "object_counts",
    "object_map",
    "p_words",
    "paired_permutation",
    "pixel_figures",
    "precision_recall_curve",
    "roc_curve",
    "weighted_kappa",
    "weighted_kappa_of_people",
    "wilson_interval",
]
