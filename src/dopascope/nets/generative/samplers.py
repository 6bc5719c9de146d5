"""Ways back from noise to an image, for any course of `process`.

MONAI's own steps are the oracle where they apply (all 1000 of them). They are not used for fewer: its DDIM looks for
the step before at `timestep - 1000 // steps` while its times lie elsewhere, its DDPM always goes back by one, and all
images of a batch share one generator, so that an image would depend on the batch it is made in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from math import inf, log, sqrt
from typing import Final

import torch
from torch import Tensor

from dopascope.errors import UsageError
from dopascope.nets.generative.process import Process

Velocity = Callable[[Tensor, float], Tensor]
"""Noisy images and their time to the velocity there: a network under its condition and guidance."""
Noise = Callable[[], Tensor]
"""Standard normal numbers in the shape of the images, new ones at each call."""
Sampler = Callable[[Velocity, Process, Noise, int], Tensor]
"""`sampler(velocity, process, noise, steps)`: images made of the first noise in so many steps."""


def ddim(velocity: Velocity, process: Process, noise: Noise, steps: int, *, eta: float = 0.0) -> Tensor:
    """Denoising diffusion implicit model: Song, Meng and Ermon 2021, arXiv:2010.02502, equations 12 and 16.

    Here for any course: the spread of equation 16 is that of x' given x and x_0 on a Markov chain.

    Args:
        velocity: of the images at a time.
        process: the course.
        noise: used at the start, and at each step where `eta` is not 0.
        steps: from 1 to 1000.
        eta: 0 adds no noise on the way, 1 as much as the chain has (`ancestral`).

    Raises:
        UsageError: steps or eta out of range.
    """
    if not 0 <= eta <= 1:
        raise UsageError("No sampler adds so much noise.", where="eta", found=eta, expected="0 to 1", fix="Correct it.")
    x = noise()
    for time, later in pairwise(process.times(steps)):
        signal, spread = _coefficients(process, time)
        signal_to, spread_to = _coefficients(process, later)
        clean = process.clean(x, velocity(x, time), _tensor(time, x))
        predicted_noise = (x - signal * clean) / spread
        added = eta * spread_to * sqrt(max(0.0, 1 - (signal * spread_to / (signal_to * spread)) ** 2))
        x = signal_to * clean + sqrt(max(0.0, spread_to**2 - added**2)) * predicted_noise
        if added:
            x = x + added * noise()
    return x


def ancestral(velocity: Velocity, process: Process, noise: Noise, steps: int) -> Tensor:
    """Denoising diffusion probabilistic model: Ho, Jain and Abbeel 2020, arXiv:2006.11239, equations 6 and 7.

    With 1000 steps their algorithm 2 with the smaller variance; with fewer, the same on a shorter chain.
    """
    return ddim(velocity, process, noise, steps, eta=1.0)


def euler(velocity: Velocity, process: Process, noise: Noise, steps: int) -> Tensor:
    """Euler's method on dx/dc = v. On the straight course the sampler of rectified flow (Liu et al. 2023)."""
    x = noise()
    for time, later in pairwise(process.times(steps)):
        x = x + (process.clock(later) - process.clock(time)) * velocity(x, time)
    return x


def heun(velocity: Velocity, process: Process, noise: Noise, steps: int) -> Tensor:
    """Heun's method on dx/dc = v, second order: two evaluations a step, one in the last.

    As algorithm 1 of Karras et al. 2022, arXiv:2206.00364, without its noise, on another clock.
    """
    x = noise()
    for time, later in pairwise(process.times(steps)):
        x = _heun_step(velocity, process, x, time, later)
    return x


def dpm_solver(velocity: Velocity, process: Process, noise: Noise, steps: int) -> Tensor:
    """DPM-Solver++(2M), second order with one evaluation a step: Lu et al. 2022, arXiv:2211.01095, algorithm 2.

    The last step, which ends without noise, is of first order, as in their section 3.
    """
    x, before, step_before = noise(), None, inf
    for time, later in pairwise(process.times(steps)):
        signal, spread = _coefficients(process, time)
        signal_to, spread_to = _coefficients(process, later)
        step = _half_log_snr(signal_to, spread_to) - _half_log_snr(signal, spread)
        clean = process.clean(x, velocity(x, time), _tensor(time, x))
        extrapolated = clean
        if before is not None and spread_to:
            share = step / step_before / 2
            extrapolated = (1 + share) * clean - share * before
        x = spread_to / spread * x + (signal_to - signal * spread_to / spread) * extrapolated
        before, step_before = clean, step
    return x


def invert(velocity: Velocity, process: Process, images: Tensor, steps: int) -> Tensor:
    """The noise that `heun` makes these images of, up to its error: the same equation the other way.

    The first step uses the velocity at its end, since none is learned at time 0 (as DDIM's inversion does everywhere).
    """
    times = process.times(steps)[::-1]
    first = (process.clock(times[1]) - process.clock(times[0])) * velocity(images, times[1])
    x = images + first
    for time, later in pairwise(times[1:]):
        x = _heun_step(velocity, process, x, time, later)
    return x


SAMPLERS: Final[Mapping[str, Sampler]] = {
    "ancestral": ancestral,
    "ddim": ddim,
    "dpm++": dpm_solver,
    "euler": euler,
    "heun": heun,
}


def evaluations(sampler: str, steps: int) -> int:
    """How often the network is asked for each image, without guidance."""
    return 2 * steps - 1 if sampler == "heun" else steps


def _heun_step(velocity: Velocity, process: Process, x: Tensor, time: float, later: float) -> Tensor:
    ahead = process.clock(later) - process.clock(time)
    slope = velocity(x, time)
    reached = x + ahead * slope
    if later == 0:
        return reached
    return x + ahead * (slope + velocity(reached, later)) / 2


def _coefficients(process: Process, time: float) -> tuple[float, float]:
    place = torch.tensor(time, dtype=torch.float64)
    return float(process.signal(place)), float(process.noise(place))


def _half_log_snr(signal: float, spread: float) -> float:
    if not signal:
        return -inf
    return log(signal / spread) if spread else inf


def _tensor(time: float, x: Tensor) -> Tensor:
    return torch.tensor(time, dtype=torch.float64, device=x.device)
