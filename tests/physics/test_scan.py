"""From counts to a site's image: what corrections restore, and scans that are as true as their phantoms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from dopascope import atlas, geometry, phantom
from dopascope.phantom.anatomy import Head
from dopascope.phantom.sites import PostFilter, Site
from dopascope.physics import Expected, Move, Projections, Projector, expect, reconstruct, scan
from dopascope.physics.acquire import geometry_of
from dopascope.physics.calibrate import region_means, region_points
from dopascope.physics.correct import ellipses
from dopascope.physics.grain import uniform_brain
from dopascope.physics.maps import centred_grid, head_maps
from dopascope.volume import Grid

PERSON = phantom.draw_person(5, "healthy")
MU = 0.015
"""1/mm of the uniform cylinder."""


@pytest.fixture(scope="module")
def expected(small_site: Site) -> Expected:
    return expect(PERSON, small_site)


def sbr(image: NDArray[np.float32], site: Site, structure: str = "putamen") -> float:
    """Ratio of both sides over the whole brain, read at the true places."""
    means = dict(zip(region_points(), region_means(image, grid_of(site), placed()), strict=True))
    sides = [value for name, value in means.items() if structure in name]
    return float(np.mean(sides) / means["whole_brain"] - 1)


def grid_of(site: Site) -> Grid:
    return centred_grid(site.shape, site.spacing_mm)


def placed() -> geometry.Affine:
    return phantom.Pose().matrix() @ Head(PERSON).matrix


def cylinder(site: Site, radius_mm: float = 80.0) -> tuple[Projections, NDArray[np.bool_]]:
    """Noise-free counts of an even cylinder of activity 1 without scatter, and the voxels well inside it."""
    orbit = geometry_of(site)
    away = np.hypot(*orbit.centres_mm())
    even = np.repeat((away < radius_mm)[:, :, None], site.slices, 2).astype(np.float32)
    mu = torch.from_numpy(even * np.float32(MU))
    counts = Projector(orbit, mu).forward(even[None])[0]
    none = torch.zeros_like(counts)
    return Projections(counts, none, none, mu, 1.0, grid_of(site)), away < radius_mm - 15


def profile(image: NDArray[np.float32], inside: NDArray[np.bool_], site: Site) -> tuple[float, float]:
    """Mean in the middle slice, and the middle of it over its rim."""
    away = np.hypot(*geometry_of(site).centres_mm())
    middle = image[:, :, site.slices // 2]
    rim = inside & (away > away[inside].max() - 10)
    return float(middle[inside].mean()), float(middle[away < 20].mean() / middle[rim].mean())


@pytest.mark.parametrize(
    ("way", "attenuation", "level", "even"),
    [
        ("osem", "map", 0.03, 0.05),
        ("fbp", "map", 0.10, 0.10),
        ("fbp", "chang", 0.12, 0.12),
    ],
)
def test_attenuation_correction_flattens_an_even_cylinder(
    small_site: Site, way: str, attenuation: str, level: float, even: float
) -> None:
    site = replace(small_site, reconstruction=way, attenuation=attenuation, iterations=8, filter=PostFilter())
    counts, inside = cylinder(site)
    mean, hollow = profile(reconstruct(counts, site), inside, site)
    assert mean == pytest.approx(1, abs=level)
    assert hollow == pytest.approx(1, abs=even)
    lost, dip = profile(reconstruct(counts, replace(site, attenuation="none")), inside, site)
    assert lost < 0.5
    assert dip < 0.75


def test_subtracted_or_modelled_scatter_leaves_the_image_of_the_primary(small_site: Site, expected: Expected) -> None:
    mean = expected.noise_free()
    pure = replace_window(mean, expected.primary)
    for way in ("fbp", "osem"):
        site = replace(small_site, reconstruction=way)
        wanted = reconstruct(pure, replace(site, scatter="none"))
        found, left = reconstruct(mean, site), reconstruct(mean, replace(site, scatter="none"))
        away = [np.linalg.norm(image - wanted) / np.linalg.norm(wanted) for image in (found, left)]
        assert away[0] < 0.05
        assert away[1] > 5 * away[0]


def replace_window(projections: Projections, window: torch.Tensor) -> Projections:
    none = torch.zeros_like(window)
    return replace(projections, window=window, lower=none, upper=none)


def test_corrections_raise_the_binding_ratio_in_the_published_order(small_site: Site, expected: Expected) -> None:
    """Matsuda 2018: Chang and scatter > map and scatter > Chang > map > none, none 46 % below the best."""
    mean = expected.noise_free()
    order = (("chang", "tew"), ("map", "tew"), ("chang", "none"), ("map", "none"), ("none", "none"))
    found = [
        sbr(reconstruct(mean, site, chang_per_cm=0.15), site)
        for attenuation, scatter in order
        for site in (replace(small_site, attenuation=attenuation, scatter=scatter),)
    ]
    assert found == sorted(found, reverse=True)
    assert found[-1] / found[0] == pytest.approx(0.54, abs=0.08)


def test_a_large_volume_recovers_the_specific_activity(small_site: Site) -> None:
    """The striatum's own contribution: a scan of the person less one of the same person without binding."""
    site = replace(small_site, iterations=8, filter=PostFilter("gaussian", fwhm_mm=5.0))
    bare = replace(PERSON, sbr=dict.fromkeys(PERSON.sbr, 0.0), glands=0.0)
    images, truths = [], []
    for person in (replace(PERSON, glands=0.0), bare):
        images.append(reconstruct(expect(person, site).noise_free(), site))
        truths.append(head_maps(Head(person), placed(), grid_of(site)).activity)
    large = [atlas.sample_points(name) for name in atlas.LARGE]
    index = grid_of(site).to_index(geometry.apply_affine(placed(), np.concatenate(large)))
    volume_ml = sum(len(points) for points in large) * float(np.linalg.det(placed())) / 1000
    found = map_coordinates(images[0] - images[1], index.T, order=1).mean() * volume_ml
    true = float((truths[0] - truths[1]).sum()) * grid_of(site).voxel_ml
    assert found / true == pytest.approx(0.96, abs=0.04)


def test_a_head_that_moves_gives_a_blurred_image(small_site: Site, expected: Expected) -> None:
    site = replace(small_site, resolution_model=True, filter=PostFilter())
    moves = [Move(0.3, shift_mm=(0.0, 0.0, 12.0)), Move(0.6, shift_mm=(0.0, 0.0, -12.0))]
    still = reconstruct(expected.noise_free(), site)
    moved = reconstruct(expect(PERSON, site, motion=moves).noise_free(), site)
    assert sbr(moved, site) < 0.85 * sbr(still, site)


def test_a_scan_is_stored_as_the_pose_says_and_true_as_the_phantom_s(small_site: Site) -> None:
    pose = phantom.Pose(tilt_deg=(5, 3, -4), shift_mm=(4, -3, 2), axes="LPS", cut=(3, 2))
    volume, truth = scan(PERSON, small_site, pose, 7)
    again, _ = scan(PERSON, small_site, pose, 7)
    other, _ = scan(PERSON, small_site, pose, 8)
    assert volume.data.tobytes() == again.data.tobytes()
    assert volume.data.tobytes() != other.data.tobytes()
    assert volume.grid.axis_codes == "LPS"
    assert volume.data.shape == (52, 54, 29)
    assert volume.acquisition.model == "small"
    assert volume.acquisition.collimator == "siemens-lehr"
    assert volume.acquisition.age_years == PERSON.age
    camera = phantom.Camera("small", small_site.shape, small_site.spacing_mm, 11.0)
    seen, same = phantom.scan(PERSON, camera, pose, 7)
    assert volume.grid == seen.grid
    np.testing.assert_array_equal(truth.mni_to_scan, same.mni_to_scan)
    assert truth.landmarks.keys() == same.landmarks.keys()
    # Both ways put the head at the same place: the bright voxels of both overlap.
    bright = [image.data > np.quantile(image.data, 0.995) for image in (volume, seen)]
    assert (bright[0] & bright[1]).sum() > 0.5 * bright[0].sum()


def test_post_filters_and_clipping_are_the_sites(small_site: Site, expected: Expected) -> None:
    counts = expected.drawn(3)
    site = replace(small_site, reconstruction="fbp", clipped=False)
    rough, smooth, softer = (
        reconstruct(counts, replace(site, filter=post))
        for post in (PostFilter(), PostFilter("gaussian", fwhm_mm=9.0), PostFilter("butterworth", 0.5, 5))
    )
    brain = uniform_brain(PERSON, grid_of(site))
    assert rough[brain].std() > 2 * max(smooth[brain].std(), softer[brain].std())
    assert rough.min() < 0
    clipped = reconstruct(counts, replace(site, filter=PostFilter(), clipped=True))
    np.testing.assert_array_equal(clipped, rough.clip(min=0))


def test_an_ellipse_has_the_outline_s_axes() -> None:
    x, y = np.meshgrid(np.arange(60) - 28.0, np.arange(70) - 36.0, indexing="ij")
    outline = ((x / 20) ** 2 + (y / 27) ** 2 <= 1)[:, :, None]
    mu = np.concatenate([outline, np.zeros_like(outline)], 2).astype(np.float32) * np.float32(MU)
    found = ellipses(mu)
    assert (found[:, :, 0] != outline[:, :, 0]).mean() < 0.005
    assert not found[:, :, 1].any()
