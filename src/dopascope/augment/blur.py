"""Gaussian blur of a batch, another width for each image, as grouped convolutions along each axis."""

from __future__ import annotations

from math import log, sqrt
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

SD_OF_FWHM: Final = 1 / sqrt(8 * log(2))
REACH: Final = 3.0
"""Standard deviations that a kernel reaches on either side."""


def gaussian(images: Tensor, sd: Tensor) -> Tensor:
    """Images `(B, C, I, J[, K])` blurred by kernels of standard deviation `sd` `(B,)` in voxels; 0 leaves them.

    Edges are continued by their nearest value.
    """
    widest = float(sd.max())
    if widest <= 0:
        return images
    reach = max(1, round(REACH * widest))
    places = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    width = sd.to(images).clamp_min(1e-3)[:, None]
    # Each image's kernel ends at its own reach, so that its neighbours in the batch change nothing.
    own_reach = (REACH * width).round().clamp_min(1)
    kernels = torch.exp(-0.5 * (places / width) ** 2) * (places.abs() <= own_reach)
    kernels = kernels / kernels.sum(1, keepdim=True)
    for axis in range(2, images.ndim):
        images = _along(images, kernels, axis)
    return images


def _along(images: Tensor, kernels: Tensor, axis: int) -> Tensor:
    moved = images.movedim(axis, -1)
    shape = moved.shape
    rows = moved.reshape(shape[0], -1, shape[-1]).transpose(0, 1)  # (rows, B, length): a group for each image
    reach = kernels.shape[1] // 2
    padded = functional.pad(rows, (reach, reach), mode="replicate")
    done = functional.conv1d(padded, kernels[:, None], groups=shape[0])
    return done.transpose(0, 1).reshape(shape).movedim(-1, axis)
