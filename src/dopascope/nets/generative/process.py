"""The course from an image to noise, and what a network has to say about each place on it.

Both courses here are x_t = signal(t) x_0 + noise(t) e with e standard normal and t from 0 (image) to 1 (noise), and in
both the network predicts the velocity dx/dc along a clock c(t) on which the course of fixed x_0 and e is smooth:

- `cosine`: diffusion in 1000 steps with a cosine schedule (Nichol and Dhariwal 2021, arXiv:2102.09672, equation 17, by
  MONAI). signal = cos(c) and noise = sin(c), so v = cos(c) e - sin(c) x_0 (Salimans and Ho 2022, arXiv:2202.00512,
  appendix D).
- `straight`: rectified flow (Liu, Gong and Liu 2023, arXiv:2209.03003, equation 1; time runs the other way there).
  signal = 1 - t, noise = t, c = t, so v = e - x_0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from math import atan2
from typing import Final, Literal

import torch
from torch import Tensor

from dopascope.errors import UsageError
from dopascope.nets.torchvision_operators import declare

STEPS: Final = 1000
"""Of the discrete course, and the most that a sampler may take."""
Name = Literal["cosine", "straight"]


class Process(ABC):
    """One course. Times may be numbers or tensors `(B,)`; what is computed is in double precision."""

    @abstractmethod
    def signal(self, time: Tensor) -> Tensor:
        """How much of the image is left at each time."""

    @abstractmethod
    def noise(self, time: Tensor) -> Tensor:
        """How much noise there is at each time."""

    @abstractmethod
    def clock(self, time: float) -> float:
        """The variable that the velocity is a derivative to."""

    @abstractmethod
    def draw_times(self, count: int, generator: torch.Generator) -> Tensor:
        """Times `(count,)` to learn at."""

    @abstractmethod
    def times(self, steps: int) -> list[float]:
        """Times from 1 down to 0 of a sampler that takes `steps` steps, both ends counted.

        Raises:
            UsageError: so many steps cannot be taken.
        """

    @abstractmethod
    def velocity(self, clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """What a network shall predict at `time` (B,) of the images `clean` and the noise put on them."""

    @abstractmethod
    def clean(self, x: Tensor, velocity: Tensor, time: Tensor) -> Tensor:
        """The image that a predicted velocity means."""

    def at(self, clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """The noisy images at `time` (B,)."""
        return beside(self.signal(time), clean) * clean + beside(self.noise(time), clean) * noise


class Cosine(Process):
    """Diffusion in 1000 steps with a cosine schedule."""

    def signal(self, time: Tensor) -> Tensor:
        """The root of the schedule's cumulative product; 1 at time 0."""
        return _cumulative().to(time.device)[self._step(time)].sqrt()

    def noise(self, time: Tensor) -> Tensor:
        """What makes the squares sum to 1."""
        return (1 - _cumulative().to(time.device)[self._step(time)]).sqrt()

    def clock(self, time: float) -> float:
        """The angle whose cosine is the signal."""
        place = torch.tensor(time)
        return atan2(float(self.noise(place)), float(self.signal(place)))

    def draw_times(self, count: int, generator: torch.Generator) -> Tensor:
        """Any of the 1000 steps (Ho, Jain and Abbeel 2020, arXiv:2006.11239, algorithm 1)."""
        return torch.randint(1, STEPS + 1, (count,), generator=generator, device=generator.device) / STEPS

    def times(self, steps: int) -> list[float]:
        """Evenly spaced steps of the 1000, the first counted (Lin et al. 2024, arXiv:2305.08891, section 3.3)."""
        _check_steps(steps)
        return [round(STEPS * (1 - number / steps)) / STEPS for number in range(steps + 1)]

    def velocity(self, clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """v = signal e - noise x_0."""
        return beside(self.signal(time), clean) * noise - beside(self.noise(time), clean) * clean

    def clean(self, x: Tensor, velocity: Tensor, time: Tensor) -> Tensor:
        """x_0 = signal x - noise v."""
        return beside(self.signal(time), x) * x - beside(self.noise(time), x) * velocity

    @staticmethod
    def _step(time: Tensor) -> Tensor:
        return (time * STEPS).round().long()


class Straight(Process):
    """Rectified flow."""

    def signal(self, time: Tensor) -> Tensor:
        """1 - t."""
        return 1 - time.double()

    def noise(self, time: Tensor) -> Tensor:
        """The time itself."""
        return time.double()

    def clock(self, time: float) -> float:
        """The time itself."""
        return time

    def draw_times(self, count: int, generator: torch.Generator) -> Tensor:
        """More in the middle: the logistic of a standard normal (Esser et al. 2024, arXiv:2403.03206, section 3.1)."""
        return torch.randn(count, generator=generator, device=generator.device).sigmoid()

    def times(self, steps: int) -> list[float]:
        """Evenly spaced."""
        _check_steps(steps)
        return [1 - number / steps for number in range(steps + 1)]

    def velocity(self, clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """v = e - x_0, at every time."""
        del time
        return noise - clean

    def clean(self, x: Tensor, velocity: Tensor, time: Tensor) -> Tensor:
        """x_0 = x - t v."""
        return x - beside(time, x) * velocity


PROCESSES: Final[dict[Name, Process]] = {"cosine": Cosine(), "straight": Straight()}


def beside(values: Tensor, images: Tensor) -> Tensor:
    """Numbers `(B,)` or `()` in the shape and precision that multiplies images `(B, C, ...)`."""
    return values.to(images).reshape(-1, *[1] * (images.ndim - 1))


@cache
def _cumulative() -> Tensor:
    """The cumulative products of the cosine schedule, `(STEPS + 1,)`, the first one 1."""
    declare()
    from monai.networks.schedulers.scheduler import NoiseSchedules

    _, _, products = NoiseSchedules["cosine"](STEPS)
    return torch.cat([torch.ones(1, dtype=torch.float64), products.double()])


def _check_steps(steps: int) -> None:
    if not 1 <= steps <= STEPS:
        raise UsageError(
            "A sampler cannot take so many steps.",
            where="steps",
            found=steps,
            expected=f"1 to {STEPS}",
            fix="Ask for fewer or more.",
        )
