"""Saved predictors: a folder with an ONNX model and what it wants to see, run without torch."""

from __future__ import annotations

from dopascope.bundle.answer import Prediction, RegionGrade, Vote
from dopascope.bundle.occlusion import Evidence, occlusion
from dopascope.bundle.predictor import Bundle
from dopascope.bundle.spec import SCHEMA, BundleSpec
from dopascope.bundle.store import InstalledModel, default_readers

__all__ = [
    "SCHEMA",
    "Bundle",
    "BundleSpec",
    "Evidence",
    "InstalledModel",
    "Prediction",
    "RegionGrade",
    "Vote",
    "default_readers",
    "occlusion",
]
