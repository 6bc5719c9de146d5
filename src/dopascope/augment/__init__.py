"""Random changes of images, whole batches at once on the device that holds them (torch).

Drawing and applying are two steps: what was drawn is plain tensors, so any change can be repeated or looked at.
"""

from __future__ import annotations

from dopascope.augment.pipeline import AUGMENTATIONS, Augmentation, Pipeline, parse

__all__ = ["AUGMENTATIONS", "Augmentation", "Pipeline", "parse"]
