"""Samplers against closed forms: of Gaussian images the best denoiser is known, so every way back must end in them.

Then each sampler is a linear map of the noise that it is given. Fed with unit vectors instead of random numbers it
tells that map, and so mean and covariance of what it makes, without any chance.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dopascope.errors import UsageError
from dopascope.nets.generative.process import PROCESSES, STEPS, Name, Process
from dopascope.nets.generative.samplers import (
    SAMPLERS,
    Sampler,
    Velocity,
    ancestral,
    ddim,
    dpm_solver,
    euler,
    evaluations,
    heun,
    invert,
)
from dopascope.nets.torchvision_operators import declare

MEAN = torch.tensor([0.7, -0.4], dtype=torch.float64)
COVARIANCE = torch.tensor([[0.8, 0.3], [0.3, 0.25]], dtype=torch.float64)
FIRST_ORDER = ("ancestral", "ddim", "euler")
SECOND_ORDER = ("dpm++", "heun")
COURSES = pytest.mark.parametrize("course", sorted(PROCESSES))


def best(process: Process, mean: Tensor = MEAN, covariance: Tensor = COVARIANCE) -> Velocity:
    """The velocity at the expected image, given a noisy one: of normal images, ordinary regression."""

    def velocity(x: Tensor, time: float) -> Tensor:
        place = torch.tensor(time, dtype=torch.float64)
        signal, noise = process.signal(place), process.noise(place)
        total = signal**2 * covariance + noise**2 * torch.eye(len(mean), dtype=torch.float64)
        gain = signal * covariance @ torch.linalg.inv(total)
        clean = mean + (x - signal * mean) @ gain.T
        return process.velocity(clean, (x - signal * clean) / noise, place)

    return velocity


class UnitNoise:
    """Instead of random numbers the n-th unit vector for the n-th image, after one of zeros."""

    def __init__(self, calls: int, size: int) -> None:
        self.calls, self.size, self.called = calls, size, 0

    def __call__(self) -> Tensor:
        numbers = torch.zeros(1 + self.calls * self.size, self.size, dtype=torch.float64)
        start = 1 + self.called * self.size
        numbers[start : start + self.size] = torch.eye(self.size, dtype=torch.float64)
        self.called += 1
        return numbers


def reached(
    sampler: Sampler, process: Process, steps: int, mean: Tensor = MEAN, covariance: Tensor = COVARIANCE
) -> tuple[Tensor, Tensor]:
    """Exact mean and covariance of what a sampler makes with the best denoiser."""
    made = sampler(best(process, mean, covariance), process, UnitNoise(steps + 1, len(mean)), steps)
    directions = made[1:] - made[0]
    return made[0], directions.T @ directions


def error(name: str, course: Name, steps: int) -> float:
    """Relative distance of mean and covariance from those of the images."""
    mean, covariance = reached(SAMPLERS[name], PROCESSES[course], steps)
    return float((mean - MEAN).norm() / MEAN.norm() + (covariance - COVARIANCE).norm() / COVARIANCE.norm())


@COURSES
@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_more_steps_come_closer_to_the_images(name: str, course: Name) -> None:
    errors = [error(name, course, steps) for steps in (20, 80, 320)]
    assert errors[0] > 1.5 * errors[1] > 1.5**2 * errors[2]
    assert errors[2] < 0.02


@COURSES
def test_the_error_of_second_order_falls_faster(course: Name) -> None:
    """With four times the steps, an error of first order falls to a quarter, of second order to a sixteenth."""
    falls = {name: error(name, course, 20) / error(name, course, 80) for name in SAMPLERS}
    assert max(falls[name] for name in FIRST_ORDER) < 4.5
    assert min(falls[name] for name in SECOND_ORDER) > 6
    at_20 = {name: error(name, course, 20) for name in SAMPLERS}
    assert max(at_20[name] for name in SECOND_ORDER) < 0.02
    assert min(at_20[name] for name in FIRST_ORDER) > 3 * max(at_20[name] for name in SECOND_ORDER)


def test_all_ancestral_steps_reach_the_images_themselves() -> None:
    assert error("ancestral", "cosine", STEPS) < 0.01


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from(sorted(PROCESSES)))
def test_the_second_order_reaches_any_normal_images(seed: int, size: int, course: Name) -> None:
    rng = np.random.default_rng(seed)
    root = rng.uniform(-1, 1, (size, size)) / size**0.5
    covariance = torch.from_numpy(root @ root.T + 0.05 * np.eye(size))
    mean = torch.from_numpy(rng.uniform(-1, 1, size))
    found_mean, found = reached(heun, PROCESSES[course], 100, mean, covariance)
    assert found_mean.tolist() == pytest.approx(mean.tolist(), abs=5e-3)
    torch.testing.assert_close(found, covariance, atol=5e-3, rtol=0)


def test_on_the_straight_course_ddim_is_euler() -> None:
    process, x = PROCESSES["straight"], torch.randn(5, 2, dtype=torch.float64)
    one, other = (sampler(best(process), process, lambda: x, 7) for sampler in (ddim, euler))
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_with_full_noise_ddim_is_ancestral_and_between_it_is_between() -> None:
    process = PROCESSES["cosine"]
    _, full = reached(lambda *given: ddim(*given, eta=1.0), process, 40)
    _, chain = reached(ancestral, process, 40)
    assert torch.equal(full, chain)
    variances = [float(reached(lambda *g, e=eta: ddim(*g, eta=e), process, 40)[1].trace()) for eta in (0.0, 0.5, 1.0)]
    assert variances == sorted(variances, reverse=True)
    assert variances[0] > variances[1] > variances[2]


@COURSES
def test_a_perfect_course_is_undone_in_one_step(course: Name) -> None:
    """Images that are one and the same are found at once by what asks for the expected image."""
    process = PROCESSES[course]
    certain = best(process, MEAN, 1e-12 * torch.eye(2, dtype=torch.float64))
    for sampler in (ancestral, ddim, dpm_solver):
        made = sampler(certain, process, lambda: torch.ones(1, 2, dtype=torch.float64), 1)
        torch.testing.assert_close(made[0], MEAN, atol=1e-6, rtol=0)


@COURSES
def test_the_course_and_the_velocity_tell_image_and_noise(course: Name) -> None:
    process = PROCESSES[course]
    generator = torch.Generator().manual_seed(3)
    clean, noise = torch.randn(2, 64, 1, 3, 4, generator=generator, dtype=torch.float64)
    time = process.draw_times(64, generator)
    assert ((time > 0) & (time <= 1)).all()
    x = process.at(clean, noise, time)
    velocity = process.velocity(clean, noise, time)
    torch.testing.assert_close(process.clean(x, velocity, time), clean, atol=1e-6, rtol=1e-5)
    ends = torch.tensor([0.0, 1.0])
    assert process.signal(ends).tolist() == pytest.approx([1.0, 0.0], abs=1e-3)
    assert process.noise(ends).tolist() == pytest.approx([0.0, 1.0], abs=1e-3)


@COURSES
def test_the_velocity_is_the_slope_of_the_course(course: Name) -> None:
    process = PROCESSES[course]
    clean, noise = torch.tensor([[0.3, -2.0]]), torch.tensor([[1.1, 0.4]])
    for time in (0.1, 0.5, 0.9):
        ahead = time + 0.001
        x, later = (process.at(clean, noise, torch.tensor([place])) for place in (time, ahead))
        slope = (later - x) / (process.clock(ahead) - process.clock(time))
        middle = process.velocity(clean, noise, torch.tensor([time]))
        torch.testing.assert_close(slope, middle, atol=2e-3, rtol=2e-3)


@COURSES
def test_inverting_tells_the_noise_that_images_are_made_of(course: Name) -> None:
    process = PROCESSES[course]
    noise = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    images = heun(best(process), process, lambda: noise, 100)
    found = invert(best(process), process, images, 100)
    torch.testing.assert_close(heun(best(process), process, lambda: found, 100), images, atol=5e-3, rtol=0)
    assert (found - noise).abs().max() < 0.1


def monai_steps(name: str) -> tuple[Tensor, list[Tensor]]:
    """What MONAI makes of one noise in all 1000 steps, and the noise in order of its use."""
    declare()
    from monai.networks.schedulers import DDIMScheduler, DDPMScheduler, RFlowScheduler

    generator = torch.Generator().manual_seed(5)
    replay = torch.Generator().manual_seed(5)
    x = torch.randn(3, 2, generator=generator)
    used = [torch.randn(3, 2, generator=replay)]
    if name == "rflow":
        flow = RFlowScheduler(num_train_timesteps=STEPS, use_discrete_timesteps=False)
        flow.set_timesteps(20)
        velocity = best(PROCESSES["straight"])
        for time in flow.timesteps:
            # Its velocity points from noise to image.
            x, _ = flow.step(-velocity(x.double(), float(time) / STEPS).float(), time, x)
        return x, used
    kind = {"ddpm": DDPMScheduler, "ddim": DDIMScheduler}[name]
    scheduler = kind(STEPS, "cosine", clip_sample=False, prediction_type="v_prediction")
    velocity = best(PROCESSES["cosine"])
    for time in range(STEPS - 1, -1, -1):
        x, _ = scheduler.step(velocity(x.double(), (time + 1) / STEPS).float(), time, x, generator=generator)
        if name == "ddpm" and time:
            used.append(torch.randn(3, 2, generator=replay))
    return x, used


@pytest.mark.parametrize(
    ("name", "sampler", "course", "steps"),
    [("ddpm", ancestral, "cosine", STEPS), ("ddim", ddim, "cosine", STEPS), ("rflow", euler, "straight", 20)],
)
def test_monai_makes_the_same_of_the_same_noise(name: str, sampler: Sampler, course: Name, steps: int) -> None:
    expected, used = monai_steps(name)
    process, noises = PROCESSES[course], iter(used)
    found = sampler(best(process), process, lambda: next(noises).double(), steps)
    torch.testing.assert_close(found.float(), expected, atol=2e-3, rtol=0)
    assert next(noises, None) is None


@pytest.mark.parametrize("name", sorted(SAMPLERS))
@COURSES
def test_the_network_is_asked_as_often_as_is_said(name: str, course: Name) -> None:
    asked = []
    process = PROCESSES[course]

    def velocity(x: Tensor, time: float) -> Tensor:
        asked.append(time)
        return best(process)(x, time)

    SAMPLERS[name](velocity, process, lambda: torch.ones(1, 2, dtype=torch.float64), 12)
    assert len(asked) == evaluations(name, 12)
    assert asked[0] == 1.0
    assert min(asked) > 0


@COURSES
@given(st.integers(1, STEPS))
def test_times_fall_from_noise_to_image(course: Name, steps: int) -> None:
    times = PROCESSES[course].times(steps)
    assert (len(times), times[0], times[-1]) == (steps + 1, 1.0, 0.0)
    assert all(one > later for one, later in pairwise(times))


@COURSES
@pytest.mark.parametrize("steps", [0, -3, STEPS + 1])
def test_steps_out_of_range_are_refused(course: Name, steps: int) -> None:
    with pytest.raises(UsageError) as caught:
        PROCESSES[course].times(steps)
    assert (caught.value.where, caught.value.found, caught.value.expected) == ("steps", str(steps), "1 to 1000")


@pytest.mark.parametrize("eta", [-0.1, 1.1])
def test_more_noise_than_the_chain_has_is_refused(eta: float) -> None:
    with pytest.raises(UsageError, match="so much noise"):
        ddim(best(PROCESSES["cosine"]), PROCESSES["cosine"], lambda: torch.ones(1, 2), 5, eta=eta)
