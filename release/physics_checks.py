"""Two checks that need no population: the order of corrections, and recovery against resolution.

    python release/physics_checks.py --out FOLDER

Writes FOLDER/physics.json. For research and education. Not a medical device.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dopascope import atlas, geometry, phantom, physics, provenance
from dopascope.phantom import SITES, Person, Pose, draw_person
from dopascope.phantom.anatomy import Head
from dopascope.phantom.scan import truth_of
from dopascope.quant import quantify
from dopascope.quant.ratios import STRIATAL_VOLUME_ML
from dopascope.volume import Volume

CORRECTIONS: dict[str, tuple[Literal["none", "chang", "map"], Literal["none", "tew"]]] = {
    "Chang AC, SC": ("chang", "tew"),
    "CT AC, SC": ("map", "tew"),
    "Chang AC": ("chang", "none"),
    "CT AC": ("map", "none"),
    "none": ("none", "none"),
}
"""In the order that Matsuda 2018 found, highest ratios first."""
ORDER_SITE = "siemens-lehr-osem"
ORDER_SEEDS = (40_001, 40_002, 40_003)
CHANG_PER_CM = 0.15
"""One attenuation for all, that of the brain, as Chang's method is published."""
FWHM_MM = (6, 8, 10, 12, 14, 16, 18)
UNIFORM_SBR = 5.0
SIDES = ("left", "right")


@dataclass(frozen=True, eq=False)
class Known:
    """The true pose, without doubt: these checks are not of the registration."""

    mni_to_scan: geometry.Affine
    pose_covariance: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros((6, 6)))


def corrections() -> list[dict[str, Any]]:
    """Striatal ratio of the same counts of the same healthy people under each pair of corrections."""
    rows = []
    for seed in ORDER_SEEDS:
        person, site, pose = draw_person(seed, "healthy"), SITES[ORDER_SITE], Pose()
        projections = physics.acquire(person, site, pose, seed)
        truth = truth_of(Head(person), site.camera, pose)
        for name, (attenuation, scatter) in CORRECTIONS.items():
            way = replace(site, name=name, attenuation=attenuation, scatter=scatter)
            image = physics.reconstruct(projections, way, chang_per_cm=CHANG_PER_CM)
            volume = Volume(image, site.camera.grid())
            found = quantify(volume, Known(truth.mni_to_scan), reference="occipital").regions
            ratio = _mean(found[f"striatum_{side}"].sbr for side in SIDES)
            rows.append({"seed": seed, "corrections": name, "striatum": ratio})
            sys.stderr.write(f"\r{len(rows)}/{len(ORDER_SEEDS) * len(CORRECTIONS)} reconstructions")
    sys.stderr.write("\n")
    return rows


def recovery() -> list[dict[str, Any]]:
    """Measured over true ratio of a uniform striatum, by resolution: anatomical regions and the large volume."""
    person = uniform()
    true_ml = len(atlas.sample_points("striatum_left")) / 1000  # a lattice of 1 mm
    rows = []
    for fwhm in FWHM_MM:
        camera = phantom.Camera("uniform", (128, 128, 96), (2.0, 2.0, 2.0), float(fwhm), counts=None)
        volume, truth = phantom.scan(person, camera)
        found = quantify(volume, Known(truth.mni_to_scan))
        regions = {
            region: _mean(found.regions[f"{region}_{side}"].sbr for side in SIDES) / UNIFORM_SBR
            for region in ("caudate", "anterior_putamen", "posterior_putamen", "putamen")
        }
        large = _mean(found.indices[f"sbr_large_{side}"].value for side in SIDES)
        counts = large * STRIATAL_VOLUME_ML / (UNIFORM_SBR * true_ml)
        rows.append({"fwhm_mm": fwhm, **regions, "large": counts})
    return rows


def uniform() -> Person:
    """The template's head with the same ratio all over both striata."""
    person = draw_person(1, "healthy")
    ratios = {region: 0.0 if region.startswith("accumbens") else UNIFORM_SBR for region in person.sbr}
    template = replace(person, sbr=ratios, axes=(1.0, 1.0, 1.0), warp_mm=0.0, ventricles=0.0)
    return replace(template, white=1.0, fluid=1.0, thalamus=0.0, glands=0.0)


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known)


def main() -> None:
    """Run both checks and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    found = {"corrections": corrections(), "recovery": recovery()}
    provenance.write_text(asked.out / "physics.json", json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
