"""Sixty phantoms that registration has to master, for its test and its bench.

Striata from CIT168 and Allen (never the template's own), smooth warps of 3 to 3.5 mm (root mean square in the brain;
kernels of 30 to 45 mm), healthy and PD in turn, pose +-15 degrees and +-10 mm, scale 0.9 to 1.1, five cameras, five
axis orders; ten fields end inside the brain, above, below or both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import striatal_maps as maps
from dopascope import atlas, geometry, phantom
from dopascope.volume import Volume

AXES = ("RAS", "LPS", "LAS", "SPR", "AIL")
MAPS = ("cit168", "allen")
PEOPLE = 60
TRUNCATED = {
    5: "top",
    11: "bottom",
    17: "both",
    23: "top",
    29: "bottom",
    35: "top",
    41: "bottom",
    47: "both",
    53: "top",
    58: "bottom",
}
BRAIN_TOP_MM = (0.0, -20.0, 76.0)
BRAIN_LOW_MM = (0.0, -20.0, -45.0)


@dataclass(frozen=True, eq=False)
class Case:
    """One phantom, its four landmarks in MNI and where they truly are in the scan, both (4, 3) mm.

    The landmarks are the centroids of caudate and putamen on both sides, the structures that the other atlases know.
    """

    number: int
    label: str
    volume: Volume
    mni_mm: NDArray[np.float64]
    scan_mm: NDArray[np.float64]

    def errors_mm(self, mni_to_scan: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance (4,) of each striatal centroid from where `mni_to_scan` puts it."""
        return np.asarray(np.linalg.norm(geometry.apply_affine(mni_to_scan, self.mni_mm) - self.scan_mm, axis=1))


@lru_cache(maxsize=2)
def _striatum(data_dir: Path, name: str) -> phantom.StriatumMaps:
    return phantom.StriatumMaps(maps.striatal_parts(data_dir, name), maps.FINE)


def case(data_dir: Path, number: int, series: int = 7000) -> Case:
    """Phantom `number` (0 to 59); another `series` gives other people, warps and poses in the same plan."""
    rng = np.random.default_rng([number, series])
    name = MAPS[number // 2 % 2]
    person = phantom.draw_person(series + number, "healthy" if number % 2 == 0 else "pd")
    person = replace(
        person, axes=(1.0, 1.0, 1.0), warp_mm=float(rng.uniform(3, 3.5)), warp_scale_mm=float(rng.uniform(30, 45))
    )
    camera = tuple(phantom.CAMERAS.values())[number % 5]
    pose = phantom.draw_pose(series + number, axes=AXES[(number // 5 + number) % 5])
    pose = replace(pose, cut=_cut(camera, pose, TRUNCATED.get(number, ""), rng))
    volume, truth = phantom.scan(person, camera, pose, seed=series + number, striatum=_striatum(data_dir, name))
    parts = _striatum(data_dir, name).parts
    regions = [f"{structure}_{side}" for structure in ("caudate", "putamen") for side in ("left", "right")]
    whole = {region: np.sum([parts[part] for part in atlas.PARTS[region]], axis=0) for region in regions}
    centroids = maps.centroids_mm(whole, maps.FINE)
    label = f"{person.group} {name} {camera.name} {pose.axes} {TRUNCATED.get(number, 'whole')}"
    return Case(
        number,
        label,
        volume,
        np.array([centroids[region] for region in regions]),
        np.array([truth.landmarks[region] for region in regions]),
    )


def cases(data_dir: Path, numbers: range | tuple[int, ...] = range(PEOPLE), series: int = 7000) -> Iterator[Case]:
    """The phantoms of `numbers`, one at a time."""
    for number in numbers:
        yield case(data_dir, number, series)


def _cut(camera: phantom.Camera, pose: phantom.Pose, where: str, rng: np.random.Generator) -> tuple[int, int]:
    """Slices missing so that the field ends 5 to 25 mm inside the brain at its top, 0 to 20 mm above its low end."""
    grid = camera.grid()
    top = grid.to_index(geometry.apply_affine(pose.matrix(), BRAIN_TOP_MM))[2]
    low = grid.to_index(geometry.apply_affine(pose.matrix(), BRAIN_LOW_MM))[2]
    step = grid.spacing_mm[2]
    above = int(max(grid.shape[2] - 1 - (top - rng.uniform(5, 25) / step), 0)) if where in ("top", "both") else 0
    below = int(max(low + rng.uniform(0, 20) / step, 0)) if where in ("bottom", "both") else 0
    return below, above
