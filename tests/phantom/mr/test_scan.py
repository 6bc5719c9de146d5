"""Scans of heads: the same bytes for a seed, whole numbers, labels where the truth says, sites that differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dopascope.atlas.brain import BRAIN, STRUCTURES, Tissue
from dopascope.errors import UsageError
from dopascope.phantom import Pose, draw_person
from dopascope.phantom.mr import SCANNERS, Body, HeadScan, draw_anatomy, scan_head, template
from dopascope.phantom.mr.scan import LARGEST
from dopascope.space import canonical

SPACING_MM = 3.0
PERSON = draw_person(3, "healthy")
POSE = Pose(tilt_deg=(8.0, -5.0, 6.0), shift_mm=(3.0, -4.0, 5.0), scale=1.0, axes="RAS")
SITE = replace(SCANNERS["siemens-3t-sagittal"].cubic(SPACING_MM), noise=0.01)


@pytest.fixture(scope="module")
def body() -> Body:
    return Body(template(), draw_anatomy(PERSON))


@pytest.fixture(scope="module")
def scan(body: Body) -> HeadScan:
    return scan_head(body, PERSON, SITE, POSE, 1)


def test_a_seed_decides_every_voxel(body: Body, scan: HeadScan) -> None:
    again, other = (scan_head(body, PERSON, SITE, POSE, seed) for seed in (1, 2))
    assert again.volume.data.tobytes() == scan.volume.data.tobytes()
    assert again.brain.data.tobytes() == scan.brain.data.tobytes()
    assert not np.array_equal(other.volume.data, scan.volume.data)
    assert np.array_equal(other.brain.data, scan.brain.data)


def test_intensities_are_whole_numbers_of_sixteen_bits(scan: HeadScan) -> None:
    data = scan.volume.data
    assert np.array_equal(data, np.rint(data))
    assert data.min() >= 0
    assert 100 < data.max() <= LARGEST
    assert len(set(scan.volume.grid.shape)) == 3
    assert scan.volume.grid.axis_codes == SITE.axes


def test_labels_are_brain_alone_and_lie_where_the_truth_says(body: Body, scan: HeadScan) -> None:
    assert set(np.unique(scan.brain.data)) <= {0, *BRAIN}
    assert scan.brain.grid == scan.volume.grid
    ml = float((scan.brain.data > 0).sum()) * scan.brain.grid.voxel_ml
    assert ml == pytest.approx(body.volumes_ml["brain"], rel=0.01)
    for name, place in scan.landmarks_mm(POSE).items():
        found = scan.brain.grid.to_world(np.argwhere(_of(scan, name)))
        assert np.linalg.norm(found.mean(0) - place) < 1.0, name


def _of(scan: HeadScan, name: str) -> np.ndarray:
    """Voxels of a structure; the side is told in the template, since the head is turned."""
    tissue, side = STRUCTURES[name]
    found = scan.brain.data == tissue
    if side:
        index = np.argwhere(found)
        back = np.linalg.inv(scan.mni_to_scan)
        x = scan.brain.grid.to_world(index) @ back[0, :3] + back[0, 3]
        found[tuple(index[x * side <= 0].T)] = False
    return found


def test_white_matter_is_brighter_than_grey_and_grey_than_fluid(scan: HeadScan) -> None:
    def level(*tissues: Tissue) -> float:
        return float(np.median(scan.volume.data[np.isin(scan.brain.data, tissues)]))

    putamen = level(Tissue.PUTAMEN)
    assert level(Tissue.WHITE) > putamen > level(Tissue.GREY) > level(Tissue.VENTRICLE)
    air = np.median(canonical(scan.volume).data[:3, :, -3:])
    assert air < 0.2 * level(Tissue.WHITE)


def test_points_of_the_template_follow_size_pose_and_warp(body: Body, scan: HeadScan) -> None:
    points = template().points["putamen_left"]
    mean = scan.to_scan(points).mean(0)
    assert np.linalg.norm(mean - scan.landmarks_mm(POSE)["putamen_left"]) < 0.5
    assert np.allclose(scan.mni_to_scan, POSE.matrix() @ body.matrix)


def test_sites_differ_in_voxels_noise_shading_contrast_and_field() -> None:
    for fact in ("voxel_mm", "noise", "shading", "field_mm", "axes"):
        assert len({getattr(one, fact) for one in SCANNERS.values()}) > 2, fact
    assert len({one.white / one.grey for one in SCANNERS.values()}) > 2
    assert all(name == one.name for name, one in SCANNERS.items())


def test_noise_is_what_the_site_states(body: Body) -> None:
    quiet, loud = (replace(SITE, noise=noise, shading=0.0) for noise in (0.0, 0.05))
    clean, noisy = (scan_head(body, PERSON, one, POSE, 1) for one in (quiet, loud))
    white = clean.brain.data == Tissue.WHITE
    apart = (noisy.volume.data - clean.volume.data)[white]
    assert apart.std() == pytest.approx(0.05 * SITE.gain, rel=0.05)


@pytest.mark.parametrize("change", [{"voxel_mm": (0.1, 1.0, 1.0)}, {"voxel_mm": (1.0, 9.0, 1.0)}, {"axes": "XYZ"}])
def test_impossible_voxels_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError) as refused:
        replace(SCANNERS["ge-3t-axial"], **change)  # type: ignore[arg-type]
    assert refused.value.where == "spacing"


def test_the_crown_and_the_stem_are_within_the_field_of_every_site() -> None:
    for one in SCANNERS.values():
        grid = one.grid()
        low, high = grid.to_world((0, 0, 0)), grid.to_world(np.array(grid.shape) - 1)
        assert high[2] > 105
        assert low[2] < -60
