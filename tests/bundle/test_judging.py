"""Saved predictors as judges of images of known people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dopascope.bundle import Bundle
from dopascope.generate.classes import reader
from dopascope.generate.synthetic import Synthetic
from made_material import material


def test_one_that_only_grades_regions_says_nothing_of_classes(make_bundle: Callable[..., Bundle], models: Any) -> None:
    model = models.linear({"grades": np.zeros((models.side**2, 2))}, {"grades": np.zeros((1, 1, 2))})
    whole = material("slab", training=1, held_out=2)
    same = Synthetic(whole.frame, whole.held_out.scans, whole.held_out.images, {})
    found = reader(make_bundle(model, **models.grading), whole, same)
    assert "gives no probability" in found["why_not"]
    assert found["classes"] == []
