"""Warps: splines with their own slopes, without an affine part, and an inverse that comes back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dopascope.phantom.mr import template
from dopascope.phantom.mr.warp import LATTICE, Basis, Warp, draw_displacement, slopes, weights

RMS_MM = 2.0


@pytest.fixture(scope="module")
def warp() -> Warp:
    return Warp(draw_displacement(np.random.default_rng(3), RMS_MM, 28.0, template().inside))


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return np.random.default_rng(4).uniform((-60, -95, -60), (60, 65, 70), (200, 3))


@given(st.floats(0, 1))
def test_weights_are_a_partition_that_reproduces_straight_lines(t: float) -> None:
    found = weights(np.array(t))
    assert found.sum() == pytest.approx(1)
    assert found @ np.arange(-1, 3) == pytest.approx(t)
    assert slopes(np.array(t)).sum() == pytest.approx(0, abs=1e-12)
    assert slopes(np.array(t)) @ np.arange(-1, 3) == pytest.approx(1)


def test_two_ways_to_look_up_agree(warp: Warp, points: np.ndarray) -> None:
    moved = warp.forward(points)
    assert np.abs(moved - points - Basis(points).displacement(warp.coefficients)).max() < 1e-4


def test_slopes_are_those_of_small_steps(warp: Warp, points: np.ndarray) -> None:
    found = Basis(points).slopes(warp.coefficients)
    for axis in range(3):
        step = 0.05 * np.eye(3)[axis]
        rise = (warp.forward(points + step) - warp.forward(points - step)) / 0.1 - np.eye(3)[axis]
        assert np.abs(found[..., axis] - rise).max() < 2e-3


def test_the_inverse_comes_back(warp: Warp) -> None:
    place = LATTICE.centres_mm()
    back = warp.inverse_on_lattice()
    inner = template().inside
    again = warp.forward((place + back)[inner])
    assert np.abs(again - place[inner]).max() < 0.02


def test_a_random_displacement_has_its_length_and_no_affine_part(warp: Warp) -> None:
    inner = template().inside
    moved, place = warp.coefficients[inner].astype(float), LATTICE.centres_mm()[inner]
    assert np.sqrt((moved**2).sum(-1).mean()) == pytest.approx(RMS_MM, rel=1e-3)
    design = np.concatenate([place, np.ones((len(place), 1))], 1)
    fitted = np.linalg.lstsq(design, moved, rcond=None)[0]
    assert np.abs(design @ fitted).max() < 1e-3


def test_every_brain_lies_within_the_lattice() -> None:
    inner = np.argwhere(template().inside)
    assert (inner >= 2).all()
    assert (inner < np.array(LATTICE.shape) - 3).all()
