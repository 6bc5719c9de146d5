"""Random numbers that belong to an image, whatever batch and device it is made on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class ImageNoise:
    """Standard normal numbers, each image's from its own generator, seeded by `seed` and the image's number.

    They are drawn on the CPU: the same on every device.
    """

    def __init__(self, seed: int, numbers: Sequence[int], device: torch.device) -> None:
        self.device = device
        self.generators = [torch.Generator().manual_seed(_seed(seed, number)) for number in numbers]

    def __call__(self, shape: tuple[int, ...]) -> Tensor:
        """The next numbers `(B, *shape)`."""
        return torch.stack([torch.randn(shape, generator=one) for one in self.generators]).to(self.device)


def _seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1)
