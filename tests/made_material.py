"""Pictures of striata made by code, as a fold's material: no scan is read, nothing is registered."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas
from dopascope.cohort import CohortScan
from dopascope.cohort.splits import Place
from dopascope.generate.fitting import Wanted
from dopascope.generate.frames import frame
from dopascope.generate.material import Material, Side
from dopascope.learn.generative.recipe import GeneratorRecipe
from dopascope.space.views import VIEWS
from dopascope.volume import MNI_2MM, Volume

CAMERAS = ("ge", "siemens")
BACKGROUND = 1.0
"""Of the brain, in units of the intensity scale."""
WANTED = Wanted(
    family="cvae",
    frame=frame("slab-64"),
    recipe=GeneratorRecipe(epochs=12, batch=20, learning_rate=3e-3, average=0.9),
    conditions=("sbr",),
    settings={"width": 8, "latent": 4},
    grid_every=6,
)


@cache
def parts(name: str) -> dict[str, NDArray[np.float32]]:
    """Brain, and caudate and putamen of each side, as a frame shows them."""
    known = frame(name)
    cut = tuple(slice(*ends) for ends in known.sight.crop)
    weights = atlas.striatum_weights()

    def seen(data: NDArray[np.float32]) -> NDArray[np.float32]:
        return VIEWS[known.sight.view].take(Volume(data, MNI_2MM))[(slice(None), *cut)]

    found = {"brain": seen((atlas.tissue("brain").data >= 0.5).astype(np.float32))}
    for side in ("left", "right"):
        found[f"caudate_{side}"] = seen(weights[f"caudate_{side}"])
        found[f"putamen_{side}"] = seen(weights[f"anterior_putamen_{side}"] + weights[f"posterior_putamen_{side}"])
    return found


def image(
    name: str, ratios: dict[str, float], *, noise: float = 0.0, camera: str = "ge", seed: int = 0
) -> NDArray[np.float32]:
    """An image `(C, I, J[, K])`, 0 to 1, with these ratios by region and side; another camera is a little brighter."""
    rng = np.random.default_rng(seed)
    known = parts(name)
    made = BACKGROUND * known["brain"]
    for region, ratio in ratios.items():
        made = made + BACKGROUND * ratio * known[region]
    made = made * (1.15 if camera == "siemens" else 1.0)
    grain = rng.normal(0, noise, made.shape) * known["brain"] if noise else 0.0
    return np.clip((made + grain) / 10, 0, 1).astype(np.float32)


def person(number: int, name: str, *, scatter: float = 0.1) -> tuple[CohortScan, NDArray[np.float32]]:
    """Person `number`: controls are even; each has ratios, grain and a camera of their own."""
    rng = np.random.default_rng([7, number])
    control = number % 2 == 0
    putamen = (3.0 if control else 1.0) * rng.normal(1, scatter)
    caudate = (3.2 if control else 2.4) * rng.normal(1, scatter)
    side = 1.0 if control else float(rng.uniform(1.2, 1.6))
    ratios = {
        "caudate_left": caudate,
        "caudate_right": caudate,
        "putamen_left": putamen,
        "putamen_right": putamen * side,
    }
    camera = CAMERAS[(number // 2) % 2]
    cells = {
        "participant_id": f"p{number:03d}",
        "scan_id": f"s{number:03d}",
        "path": f"s{number:03d}.nii.gz",
        "label": "control" if control else "PD",
        "camera": camera,
    }
    scan = CohortScan(
        name=cells["scan_id"], path=Path(cells["path"]), cells=cells, age=float(rng.integers(45, 80)), sex=None
    )
    return scan, image(name, ratios, noise=0.25, camera=camera, seed=number)


def material(name: str = "slab-64", training: int = 40, held_out: int = 24) -> Material:
    """A fold of so many people."""
    everyone = [person(number, name) for number in range(training + held_out)]

    def side(chosen: list[tuple[CohortScan, NDArray[np.float32]]]) -> Side:
        return Side([one[0] for one in chosen], np.stack([one[1] for one in chosen]))

    return Material(frame(name), side(everyone[:training]), side(everyone[training:]), [])


def places(known: Material, fold: str = "1") -> list[Place]:
    """The split that the material stands for."""
    sides = (("train", known.training), ("test", known.held_out))
    return [
        Place(fold, role, scan.name, str(scan.person), str(scan.label))  # type: ignore[arg-type]
        for role, side in sides
        for scan in side.scans
    ]
