"""Copies of a scan are known by its noise; other people of the same camera, and in the same pose, are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from dopascope import formats, phantom, space
from dopascope.cohort import CohortScan
from dopascope.cohort.leaks import image_copies, leaks
from dopascope.cohort.similarity import SHAPE, THRESHOLD, copies, texture
from dopascope.cohort.splits import Place, k_fold
from dopascope.volume import Grid, Volume

SITES = ("siemens-lehr-osem", "mediso-lehr-fbp-chang-tew", "siemens-me-osem-chang-tew")
MARGIN = 0.05


def scanned(seed: int, site: str, pose: int | None = None) -> Volume:
    person = phantom.draw_person(seed, "pd" if seed % 2 else "healthy")
    where = phantom.draw_pose(seed if pose is None else pose, axes="LPS")
    return phantom.scan(person, phantom.SITES[site].camera, where, seed)[0]


@pytest.fixture(scope="module")
def people() -> list[Volume]:
    """Three of each site: two in one pose, one in a pose of its own."""
    return [
        scanned(64_000 + 10 * number + k, site, 1 if k < 2 else None)
        for number, site in enumerate(SITES)
        for k in range(3)
    ]


def resampled(volume: Volume, spacing_mm: float, shift_mm: float) -> Volume:
    grid = space.canonical(volume).grid
    i, j, k = (int(np.ceil(extent / spacing_mm)) for extent in grid.extent_mm)
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = grid.centre_mm - spacing_mm * (np.array([i, j, k]) - 1) / 2 + shift_mm
    return space.resample(volume, Grid((i, j, k), affine))


def with_data(volume: Volume, data: np.ndarray) -> Volume:
    i, j, k = data.shape
    return Volume(np.ascontiguousarray(data, np.float32), Grid((i, j, k), volume.grid.affine))


def variants(volume: Volume) -> dict[str, Volume]:
    upright = space.canonical(volume)
    cropped = upright.data[3:-1, 2:-3, 4:-2]
    sigma = 4 / 2.355 / np.array(upright.grid.spacing_mm)
    return {
        "stored otherwise": upright,
        "fine": resampled(volume, 2.0, 0.7),
        "coarse": resampled(volume, 4.4, 1.3),
        "rescaled": with_data(upright, upright.data * 0.013),
        "cropped": with_data(upright, cropped),
        "smoothed": with_data(upright, gaussian_filter(upright.data, sigma)),
        "mirrored": with_data(upright, upright.data[::-1]),
        "mirrored and cropped": with_data(upright, cropped[::-1]),
    }


def test_other_people_are_never_copies(people: list[Volume]) -> None:
    textures = [texture(volume) for volume in people]
    assert copies(textures, THRESHOLD - MARGIN) == []


def test_every_copy_is_found_and_told_from_its_mirror_image(people: list[Volume]) -> None:
    for volume in people[2::3]:
        for name, variant in variants(volume).items():
            found = copies([texture(volume), texture(variant)], THRESHOLD + MARGIN)
            assert [one.mirrored for one in found] == [name.startswith("mirrored")], name


def test_blocks_make_no_difference_and_an_empty_image_is_nobodys_copy(people: list[Volume]) -> None:
    one, other = texture(people[0]), texture(people[3])
    empty = texture(with_data(people[0], np.zeros_like(people[0].data)))
    assert not empty.any()
    filling = [np.random.default_rng(k).normal(size=SHAPE).astype(np.float32) / 359 for k in range(33)]
    found = copies([one, empty, other, *filling, other[::-1], one, empty])
    assert [(pair.one, pair.other, pair.kind) for pair in found] == [(0, 37, "copy"), (2, 36, "mirrored")]


def test_a_copy_under_another_name_leaks(people: list[Volume], tmp_path: Path) -> None:
    variant = variants(people[0])
    images = {"a": people[0], "b": variant["coarse"], "c": people[1], "d": variants(people[1])["mirrored and cropped"]}
    scans = []
    for name, volume in images.items():
        formats.save_nifti(volume, tmp_path / f"{name}.nii.gz")
        scans.append(CohortScan(name, tmp_path / f"{name}.nii.gz", {"participant_id": f"p-{name}"}))
    scans.append(CohortScan("none", tmp_path / "none.nii.gz", {"participant_id": "p-none"}))
    pairs, skipped = image_copies(scans)
    assert (pairs, skipped) == ([("a", "b", False), ("c", "d", True)], ["none"])
    places = [Place("1", "train" if one.name in "ac" else "test", one.name, "") for one in scans]
    found = leaks(scans, places, copies=pairs)
    assert [(leak.kind, leak.people) for leak in found] == [("copy", ("p-a", "p-b")), ("mirrored", ("p-c", "p-d"))]


@pytest.mark.slow
def test_fifty_clean_cohorts_have_no_leak(tmp_path: Path) -> None:
    """Fifty cohorts of eight people at one site each, ten sites in turn: no pair of people is taken for one."""
    sites = sorted(phantom.SITES)
    for cohort in range(50):
        scans = []
        for k in range(8):
            name = f"{cohort}-{k}"
            formats.save_nifti(scanned(65_000 + 10 * cohort + k, sites[cohort % 10]), tmp_path / f"{name}.nii.gz")
            scans.append(CohortScan(name, tmp_path / f"{name}.nii.gz", {"participant_id": name, "label": str(k % 2)}))
        pairs, skipped = image_copies(scans)
        assert (leaks(scans, k_fold(scans, 4, seed=cohort), copies=pairs), skipped) == ([], [])
