"""The projector against closed forms, and its adjoint."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dopascope.errors import UsageError
from dopascope.physics import Geometry, PointSpread, Projector, circle
from dopascope.physics.blur import kernel, nodes_between, shares

LEHR = PointSpread.from_holes(1.11, 23.0, 3.6)


@dataclass(frozen=True)
class Ellipsoid:
    centre: tuple[float, float, float]
    semi_axes: tuple[float, float, float]
    turned_deg: tuple[float, float] = (0.0, 0.0)
    """About z, then about x."""

    def unit(self) -> NDArray[np.float64]:
        """(3, 3): maps mm from the centre to a space where the ellipsoid is the unit ball."""
        (cz, sz), (cx, sx) = ((math.cos(math.radians(a)), math.sin(math.radians(a))) for a in self.turned_deg)
        about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
        about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        return np.diag(1 / np.array(self.semi_axes)) @ (about_x @ about_z).T

    def raster(self, geometry: Geometry, finer: int = 4) -> NDArray[np.float32]:
        """Share of every voxel inside, from `finer` samples along each axis."""
        axes = [
            ((np.arange(n * finer) + 0.5) / finer - n / 2) * v - c
            for n, v, c in zip(geometry.shape, geometry.voxel_mm, self.centre, strict=True)
        ]
        unit = self.unit()
        squared = sum(
            (
                unit[r, 0] * axes[0][:, None, None]
                + unit[r, 1] * axes[1][None, :, None]
                + unit[r, 2] * axes[2][None, None, :]
            )
            ** 2
            for r in range(3)
        )
        nx, ny, nz = geometry.shape
        inside = (np.asarray(squared) <= 1).reshape(nx, finer, ny, finer, nz, finer)
        return inside.mean((1, 3, 5)).astype(np.float32)

    def lines(self, geometry: Geometry, finer: int = 6) -> NDArray[np.float64]:
        """(views, nu, nz): lengths inside, averaged over `finer` lines across and along every bin."""
        nz, vz = geometry.shape[2], geometry.voxel_mm[2]
        u = ((np.arange(geometry.nu * finer) + 0.5) / finer - geometry.nu / 2) * geometry.bin_width
        z = ((np.arange(nz * finer) + 0.5) / finer - nz / 2) * vz
        out = np.empty((geometry.views, geometry.nu, nz))
        for view, angle in enumerate(np.radians(geometry.angles_deg)):
            along = self.unit() @ [math.cos(angle), math.sin(angle), 0]
            across = self.unit() @ [-math.sin(angle), math.cos(angle), 0]
            start = self.unit() @ -np.array(self.centre)
            point = start[:, None, None] + across[:, None, None] * u[None, :, None]
            point = point + (self.unit() @ [0, 0, 1])[:, None, None] * z[None, None, :]
            a, b = along @ along, np.einsum("i,iuz->uz", along, point)
            root = np.maximum(b**2 - a * ((point**2).sum(0) - 1), 0)
            lengths = 2 * np.sqrt(root) / a
            out[view] = lengths.reshape(geometry.nu, finer, nz, finer).mean((1, 3))
        return out


def relative(found: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(found - truth) / np.linalg.norm(truth))


@pytest.mark.parametrize(
    ("bodies", "voxel_mm"),
    [
        pytest.param([Ellipsoid((0, 0, 0), (70, 90, 60))], (3.3, 3.3, 3.3), id="head"),
        pytest.param([Ellipsoid((31, -44, 12), (45, 60, 30), (25, 35))], (3.3, 3.3, 3.3), id="tilted-off-centre"),
        pytest.param([Ellipsoid((-20, 30, -15), (60, 40, 40), (70, -20))], (2.4, 3.3, 4.2), id="unequal-voxels"),
        pytest.param(
            [Ellipsoid((0, -10, 0), (75, 95, 70), (8, 12)), Ellipsoid((35, 25, 5), (26, 40, 28), (-30, 20))],
            (2.6, 3.4, 3.9),
            id="two-tilted",
        ),
    ],
)
def test_line_integrals_of_ellipsoids(bodies: list[Ellipsoid], voxel_mm: tuple[float, float, float]) -> None:
    geometry = Geometry((96, 80, 44), voxel_mm, (0.0, 17.0, 45.0, 90.0, 133.7, 180.0, 246.0, 301.5), 130.0)
    image = sum(body.raster(geometry) for body in bodies)
    truth = sum(body.lines(geometry) for body in bodies)
    found = Projector(geometry).forward(np.asarray(image)[None])[0].numpy()
    assert found.shape == (8, 96, 44)
    assert relative(found, np.asarray(truth)) <= 0.01


def test_bins_of_another_width_than_the_voxels() -> None:
    body = Ellipsoid((10, -20, 0), (60, 50, 40), (20, 10))
    geometry = Geometry((90, 90, 30), (2.0, 2.0, 4.0), circle(5), 80.0, bins=64, bin_mm=3.1)
    found = Projector(geometry).forward(body.raster(geometry)[None])[0].numpy()
    assert relative(found, body.lines(geometry)) <= 0.01
    narrow = replace(geometry, bins=16)
    part = Projector(narrow).forward(body.raster(geometry)[None])[0].numpy()
    np.testing.assert_allclose(part, found[:, 24:40], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("mu", [0.005, 0.0147, 0.03])
def test_attenuated_disc(mu: float) -> None:
    """A disc of radius r and activity 1 seen through itself: (1 - exp(-mu chord)) / mu."""
    radius = 82.0
    geometry = Geometry((128, 128, 2), (2.2, 2.2, 3.0), (0.0, 33.0, 90.0, 200.0), 130.0)
    disc = Ellipsoid((0, 0, 0), (radius, radius, 1e6)).raster(geometry)
    found = Projector(geometry, mu * disc).forward(disc[None])[0].numpy()
    u = ((np.arange(geometry.nu * 8) + 0.5) / 8 - geometry.nu / 2) * geometry.bin_width
    chord = 2 * np.sqrt(np.maximum(radius**2 - u**2, 0))
    truth = ((1 - np.exp(-mu * chord)) / mu).reshape(geometry.nu, 8).mean(1)
    assert relative(found, np.broadcast_to(truth[None, :, None], found.shape)) <= 0.01


def test_attenuation_sees_which_side_the_absorber_is_on() -> None:
    """A point off the axis between two slabs of known thickness: exp(-mu t) towards each, nothing lost sideways."""
    geometry = Geometry((65, 65, 1), (3.0, 3.0, 3.0), (0.0, 90.0, 180.0, 270.0), 99.0)
    point, mu = np.zeros((1, 65, 65, 1), np.float32), np.zeros((65, 65, 1), np.float32)
    point[0, 44, 27] = 1
    mu[48:53] = 0.02  # 15 mm towards x+, that is, towards the camera at angle 0
    mu[36:38] = 0.03
    seen = Projector(geometry, mu).forward(point).sum((0, 2, 3)) / Projector(geometry).forward(point).sum((0, 2, 3))
    np.testing.assert_allclose(seen, [math.exp(-0.3), 1, math.exp(-0.18), 1], rtol=1e-4)


def moments(profile: NDArray[np.float64], step: float) -> tuple[float, float]:
    at = np.arange(len(profile)) * step
    mean = (profile * at).sum() / profile.sum()
    return mean, (profile * (at - mean) ** 2).sum() / profile.sum()


@pytest.mark.parametrize("spread", [LEHR, PointSpread(1.466, 0.0163), PointSpread(0.3, 0.0, 2.0)])
@pytest.mark.parametrize("place", [(0, 0), (117, 0), (-70, 60), (35, -110)])
def test_variance_of_the_spread_is_sigma_squared(spread: PointSpread, place: tuple[float, float]) -> None:
    geometry = Geometry((101, 101, 61), (2.4, 2.4, 2.1), (0.0, 40.0, 90.0, 155.0, 180.0, 270.0), 120.0, bins=141)
    i, j = (round(p / 2.4) + 50 for p in place)
    image = np.zeros((1, *geometry.shape), np.float32)
    image[0, i, j, 30] = 1
    sharp = Projector(geometry).forward(image)[0].double().numpy()
    blurred = Projector(geometry, spread=spread).forward(image)[0].double().numpy()
    x, y = (i - 50) * 2.4, (j - 50) * 2.4
    for view, angle in enumerate(np.radians(geometry.angles_deg)):
        distance = 120.0 - (x * math.cos(angle) + y * math.sin(angle))
        sigma2 = (spread.sigma0_mm + spread.slope * distance) ** 2 + spread.intrinsic_mm**2
        for axis, step in ((1, 2.4), (0, 2.1)):
            mean0, variance0 = moments(sharp[view].sum(axis), step)
            mean, variance = moments(blurred[view].sum(axis), step)
            assert mean == pytest.approx(mean0, abs=0.01)
            assert variance - variance0 == pytest.approx(sigma2, rel=0.01)
        assert blurred[view].sum() == pytest.approx(sharp[view].sum(), rel=1e-4)


def test_mixed_blur_equals_a_gaussian_at_every_depth() -> None:
    """Against every voxel blurred by its own Gaussian: what the mixing of a few widths costs."""
    geometry = Geometry((64, 64, 24), (3.3, 3.3, 3.3), (0.0, 90.0), 95.0)
    bodies = [Ellipsoid((30, 20, 0), (9, 14, 12)), Ellipsoid((-35, -10, 4), (20, 12, 10), (30, 0))]
    image = np.asarray(sum(body.raster(geometry, 3) for body in bodies))
    found = Projector(geometry, spread=LEHR).forward(image[None])[0].numpy()
    centres = (np.arange(64) - 31.5) * 3.3
    truth = np.zeros((2, 64, 24))
    for depth in range(64):
        for view, plane in enumerate((image[depth], image[::-1, depth])):
            taps = kernel(float(LEHR.variance(np.array(95.0 - centres[depth]))), 3.3)
            spread = np.apply_along_axis(np.convolve, 0, plane.astype(float), taps, "same")
            truth[view] += 3.3 * np.apply_along_axis(np.convolve, 1, spread, taps, "same")
    assert relative(found, truth) <= 0.004


@given(variance=st.floats(1e-3, 400.0), step=st.floats(0.5, 6.0))
def test_kernels_have_the_variance_asked_for(variance: float, step: float) -> None:
    taps = kernel(variance, step)
    at = (np.arange(len(taps)) - len(taps) // 2) * step
    assert taps.sum() == pytest.approx(1)
    assert (taps >= 0).all()
    if variance > 1e-3 * step**2:
        assert (taps * at**2).sum() == pytest.approx(variance, rel=5e-3)


@given(low=st.floats(0.0, 30.0), more=st.floats(0.0, 200.0), width=st.floats(0.5, 6.0))
def test_shares_of_nodes_keep_the_variance(low: float, more: float, width: float) -> None:
    nodes = nodes_between(low, low + more, width)
    asked = np.linspace(low, low + more, 17)
    lower, share = shares(asked, nodes)
    upper = np.minimum(lower + 1, len(nodes) - 1)
    np.testing.assert_allclose(nodes[lower] * (1 - share) + nodes[upper] * share, asked, rtol=1e-6, atol=1e-6)
    assert ((share >= 0) & (share <= 1)).all()


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(8, 20), st.integers(8, 20), st.integers(1, 9)),
    voxel=st.tuples(*[st.floats(1.5, 6.0)] * 3),
    angles=st.lists(st.floats(-400, 400), min_size=1, max_size=4),
    radius=st.floats(10.0, 150.0),
    bins=st.one_of(st.none(), st.integers(1, 25)),
    bin_mm=st.one_of(st.none(), st.floats(1.5, 7.0)),
    support_mm=st.one_of(st.none(), st.floats(20.0, 200.0)),
    batch=st.integers(1, 3),
    mode=st.sampled_from(["plain", "attenuated", "blurred", "both"]),
    seed=st.integers(0, 2**31),
)
def test_back_is_the_transpose_of_forward(
    shape, voxel, angles, radius, bins, bin_mm, support_mm, batch, mode, seed
) -> None:
    geometry = Geometry(shape, voxel, tuple(angles), radius, bins, bin_mm, support_mm)
    random = torch.Generator().manual_seed(seed)
    mu = 0.02 * torch.rand((batch, *shape), generator=random) if mode in ("attenuated", "both") else None
    projector = Projector(geometry, mu, LEHR if mode in ("blurred", "both") else None)
    f = torch.rand((batch, *shape), generator=random)
    views = list(range(len(angles)))[:: 2 if seed % 2 else 1]
    g = torch.rand((batch, len(views), geometry.nu, shape[2]), generator=random)
    forward = (projector.forward(f, views).double() * g).sum((1, 2, 3))
    back = (projector.back(g, views).double() * f).sum((1, 2, 3))
    assert forward.shape == (batch,)
    torch.testing.assert_close(forward, back, rtol=1e-4, atol=1e-6)


def test_a_batch_is_its_members_and_views_are_themselves() -> None:
    geometry = Geometry((20, 24, 6), (4.0, 3.0, 5.0), circle(9), 70.0)
    random = torch.Generator().manual_seed(3)
    mu = 0.015 * torch.rand((3, 20, 24, 6), generator=random)
    images = torch.rand((3, 20, 24, 6), generator=random)
    together = Projector(geometry, mu, LEHR).forward(images)
    for n in range(3):
        alone = Projector(geometry, mu[n], LEHR, keep_attenuation=False)
        torch.testing.assert_close(alone.forward(images[n : n + 1])[0], together[n], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(alone.forward(images[n : n + 1], [7, 2])[0], together[n, [7, 2]])
    one_map = Projector(geometry, mu[0], LEHR)
    torch.testing.assert_close(one_map.forward(images)[0], together[0], rtol=1e-5, atol=1e-5)
    assert one_map.sensitivity().shape == (1, 20, 24, 6)


def test_no_spread_is_a_spread_of_zero() -> None:
    geometry = Geometry((20, 24, 6), (4.0, 3.0, 5.0), circle(5), 70.0)
    image = torch.rand((1, 20, 24, 6), generator=torch.Generator().manual_seed(4))
    zero = Projector(geometry, spread=PointSpread(0.0, 0.0)).forward(image)
    torch.testing.assert_close(zero, Projector(geometry).forward(image), rtol=1e-5, atol=1e-4)


def test_nothing_behind_the_collimator_is_seen() -> None:
    geometry = Geometry((64, 64, 1), (4.0, 4.0, 4.0), circle(4), 60.0)
    assert geometry.reach_mm == 60.0
    image = np.ones((1, 64, 64, 1), np.float32)
    image[0][geometry.support] = 0
    assert Projector(geometry).forward(image).sum() == 0
    assert (Projector(geometry).sensitivity()[0, ..., 0].numpy() > 0).tolist() == geometry.support.tolist()
    wide = replace(geometry, support_mm=100.0)
    assert wide.support.sum() > 2 * geometry.support.sum()
    assert Projector(wide).forward(image).sum() > 0


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"voxel_mm": (3.0, 0.0, 3.0)}, "voxel_mm"),
        ({"radius_mm": math.nan}, "radius_mm"),
        ({"bin_mm": -1.0}, "bin_mm"),
        ({"support_mm": math.inf}, "support_mm"),
        ({"shape": (8, 0, 8)}, "shape"),
        ({"bins": 0}, "bins"),
        ({"angles_deg": ()}, "angles_deg"),
        ({"angles_deg": (math.inf,)}, "angles_deg"),
        ({"shape": (8, 8)}, "shape, voxel_mm"),
        ({"support_mm": 1.0}, "support_mm"),
    ],
)
def test_impossible_geometries_are_refused_by_field(change: dict[str, object], where: str) -> None:
    fields: dict[str, object] = {
        "shape": (8, 8, 8),
        "voxel_mm": (3.0, 3.0, 3.0),
        "angles_deg": (0.0,),
        "radius_mm": 90.0,
    }
    with pytest.raises(UsageError) as caught:
        Geometry(**{**fields, **change})  # type: ignore[arg-type]
    assert caught.value.where == where


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_device_gives_what_the_processor_gives() -> None:
    geometry = Geometry((40, 44, 9), (4.0, 3.5, 5.0), circle(12), 75.0)
    random = torch.Generator().manual_seed(8)
    image, mu = torch.rand((2, 40, 44, 9), generator=random), 0.015 * torch.rand((40, 44, 9), generator=random)
    here, there = (Projector(geometry, mu, LEHR, device) for device in ("cpu", "cuda"))
    projections = here.forward(image)
    torch.testing.assert_close(there.forward(image).cpu(), projections, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(there.back(projections).cpu(), here.back(projections), rtol=1e-4, atol=1e-1)


def test_arrays_may_be_read_only_run_backwards_and_be_of_another_type() -> None:
    geometry = Geometry((9, 8, 3), (3.0, 3.0, 3.0), circle(4), 90.0)
    image = np.random.default_rng(1).integers(0, 9, (1, 9, 8, 3)).astype(">i2")[:, ::-1]
    image.setflags(write=False)
    found = Projector(geometry).forward(image)
    assert torch.equal(found, Projector(geometry).forward(torch.from_numpy(image.astype(np.float64))))


def test_arrays_that_do_not_fit_are_refused() -> None:
    geometry = Geometry((8, 8, 8), (3.0, 3.0, 3.0), circle(4), 90.0)
    projector = Projector(geometry)
    for call in (
        lambda: projector.forward(np.zeros((8, 8, 8))),
        lambda: projector.forward(np.zeros((1, 8, 8, 7))),
        lambda: projector.back(np.zeros((1, 3, 8, 8))),
        lambda: projector.forward(np.zeros((1, 8, 8, 8)), [4]),
        lambda: Projector(geometry, np.zeros((7, 8, 8))),
        lambda: Projector(geometry, np.full((8, 8, 8), -0.1)),
        lambda: Projector(geometry, np.full((8, 8, 8), np.nan)),
        lambda: PointSpread(-1.0, 0.0),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.where
        assert caught.value.fix
