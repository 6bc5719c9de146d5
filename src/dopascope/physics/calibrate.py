"""Fits each site's image-space camera to its projections: `python -m dopascope.physics.calibrate --out sites.json`.

Noise-free scans of a few heads are made through projections. The image-space mode is then asked for the same means
over the striatal regions, both references and shells of the brain, by choice of its blur, haze and shading. Noise
comes from repeated reconstructions of one head: its spread and its grain.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas, geometry, phantom
from dopascope.atlas.striatum import SIDES, STRUCTURES
from dopascope.errors import UsageError
from dopascope.phantom.anatomy import Head
from dopascope.phantom.camera import Camera, Pose
from dopascope.phantom.people import Group, Person, draw_person
from dopascope.phantom.render import image_of, render, shade
from dopascope.phantom.sites import CALIBRATION_FORM, SITES, Site
from dopascope.physics.acquire import Expected, expect
from dopascope.physics.grain import grain_of
from dopascope.physics.maps import centred_grid
from dopascope.physics.scan import reconstruct
from dopascope.provenance import write_text
from dopascope.volume import Grid

HEADS: Final[tuple[tuple[Group, int], ...]] = (("healthy", 901), ("healthy", 902), ("pd", 903), ("pd", 904))
"""Group and seed of the people scanned, all in the neutral pose."""
REPEATS: Final = 4
SHELLS: Final = ("inner", "middle", "outer")
"""Thirds of the whole-brain reference by their distance from the head's long axis: they show shading."""
FWHM_MM: Final = (5.0, 6.0, 7.0, 8.5, 10.0, 12.0, 14.0, 17.0, 20.0)
HAZE_FWHM_MM: Final = (40.0, 60.0, 90.0, 140.0, 200.0)
MU_PER_CM: Final = (0.0, 0.04, 0.08, 0.12, 0.16)
"""Where the image-space mode is rendered; between them its means are interpolated by cubic splines."""
LARGEST_HAZE: Final = 2.0
MOST_POINTS: Final = 4000
"""Of a region's points, about this many are read, evenly taken."""


@lru_cache(maxsize=1)
def region_points() -> Mapping[str, NDArray[np.float64]]:
    """Points (N, 3), MNI mm, of every region whose mean is fitted."""
    brain = atlas.sample_points("whole_brain")
    away = np.hypot(brain[:, 0], brain[:, 1] + 20)
    third = np.digitize(away, np.quantile(away, (1 / 3, 2 / 3)))
    shells = {name: brain[third == n] for n, name in enumerate(SHELLS)}
    whole = {**{name: atlas.sample_points(name) for name in (*atlas.REGIONS, *atlas.REFERENCES)}, **shells}
    return {name: points[:: max(1, len(points) // MOST_POINTS)] for name, points in whole.items()}


def region_means(image: NDArray[np.float32], grid: Grid, matrix: geometry.Affine) -> NDArray[np.float64]:
    """Mean (R,) of `image` on `grid` over each of `region_points`, placed by `matrix` (MNI mm to scan mm)."""
    from scipy.ndimage import map_coordinates

    found = []
    for points in region_points().values():
        index = grid.to_index(geometry.apply_affine(matrix, points))
        found.append(map_coordinates(image, index.T, np.float64, order=1, mode="nearest").mean())
    return np.array(found)


@dataclass(frozen=True, eq=False)
class Seen:
    """One head through a site's projections, and through image space at all the settings tried."""

    person: Person
    expected: Expected
    physics: NDArray[np.float64]
    """(R,) means of the noise-free image through projections."""
    sharp: NDArray[np.float64]
    """(fwhm, mu, R) means of the blurred, shaded activity."""
    haze: NDArray[np.float64]
    """(haze fwhm, mu, R)."""


def see(person: Person, site: Site) -> Seen:
    """Both ways of seeing `person` at `site`, without noise."""
    expected = expect(person, site)
    matrix = Pose().matrix() @ Head(person).matrix
    physics = region_means(reconstruct(expected.noise_free(), site), expected.grid, matrix)
    return Seen(person, expected, physics, *tried(person, site))


def tried(person: Person, site: Site) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means in image space at all settings: of the blurred activity (fwhm, mu, R) and of haze (haze fwhm, mu, R)."""
    grid = centred_grid(site.shape, site.spacing_mm)
    head = Head(person)
    matrix = Pose().matrix() @ head.matrix
    shades = [shade(matrix, grid, mu) for mu in MU_PER_CM]
    sharp = [render(head, matrix, grid, width) for width in FWHM_MM]
    # What haze alone adds at a share of 1: the same blur with it and without it.
    hazy = Camera(site.name, site.shape, site.spacing_mm, FWHM_MM[-1], counts=None, haze=1.0)
    haze = [image_of(head, matrix, grid, replace(hazy, haze_fwhm_mm=width)) - sharp[-1] for width in HAZE_FWHM_MM]
    first, second = (
        np.array([[region_means(image * left, grid, matrix) for left in shades] for image in images])
        for images in (sharp, haze)
    )
    return first, second


def fit(seen: Sequence[Seen]) -> dict[str, float]:
    """Blur, haze and shading with which image space has the means of projections, as near as it can.

    Least squares of the log ratios of all means of all heads; the scale is free.
    """
    from scipy.interpolate import RegularGridInterpolator
    from scipy.optimize import least_squares

    wanted = np.log([one.physics for one in seen])
    sharp = RegularGridInterpolator((FWHM_MM, MU_PER_CM), np.stack([one.sharp for one in seen], 2), method="cubic")
    haze = RegularGridInterpolator((HAZE_FWHM_MM, MU_PER_CM), np.stack([one.haze for one in seen], 2), method="cubic")

    def misfit(values: NDArray[np.float64]) -> NDArray[np.float64]:
        fwhm, share, haze_fwhm, mu = values
        ratio = np.log(sharp([(fwhm, mu)])[0] + share * haze([(haze_fwhm, mu)])[0]) - wanted
        return np.asarray((ratio - ratio.mean()).ravel())

    bounds = (
        [FWHM_MM[0], 0.0, HAZE_FWHM_MM[0], MU_PER_CM[0]],
        [FWHM_MM[-1], LARGEST_HAZE, HAZE_FWHM_MM[-1], MU_PER_CM[-1]],
    )
    starts = [(11.0, share, 80.0, mu) for share in (0.05, 0.4) for mu in (0.01, 0.08)]
    best = min((least_squares(misfit, start, bounds=bounds, x_scale=(5, 0.3, 50, 0.1)) for start in starts), key=_cost)
    names = ("fwhm_mm", "haze", "haze_fwhm_mm", "attenuation_per_cm")
    return {name: round(float(value), 4) for name, value in zip(names, best.x, strict=True)}


def _cost(result: Any) -> float:
    return float(result.cost)


def calibrate(site: Site, heads: Sequence[tuple[Group, int]] = HEADS, repeats: int = REPEATS) -> dict[str, Any]:
    """The site's entry in the calibration file: the fitted fields of its `Camera`, and `checks` on them.

    Noise is that of `repeats` scans of the first head: the blur of its grain, then the amplification that gives it
    the same relative SD.
    """
    seen = [see(draw_person(seed, group), site) for group, seed in heads]
    values = fit(seen)
    person = seen[0].person
    noisy = [reconstruct(seen[0].expected.drawn(seed), site) for seed in range(repeats)]
    once = Camera(site.name, site.shape, site.spacing_mm, scale=1.0, clipped=False, amplification=1.0, **values)
    grain = grain_of(noisy, person, once)
    values["noise_fwhm_mm"] = round(grain.fwhm_mm, 3)
    once = replace(once, counts=site.counts, noise_fwhm_mm=values["noise_fwhm_mm"])
    plain = grain_of(_repeated(person, once, repeats), person, once)
    values["amplification"] = round(grain.relative_sd / plain.relative_sd, 3)
    camera = replace(once, amplification=values["amplification"], clipped=site.clipped)
    noise = {
        "voxel_sd": round(grain.relative_sd, 4),
        "region_sd_physics": _region_sd(noisy, person, camera),
        "region_sd_image": _region_sd(_repeated(person, camera, repeats), person, camera),
    }
    return {**values, "checks": {**agreement(seen, camera), "noise": noise, "settings": settings_of(site)}}


def settings_of(site: Site) -> dict[str, Any]:
    """What an entry holds for: the site's fields but for its stored scale, JSON-ready."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(site)))
    del found["scale"]
    return found


def _repeated(person: Person, camera: Camera, repeats: int) -> list[NDArray[np.float32]]:
    return [phantom.scan(person, camera, seed=seed)[0].data for seed in range(repeats)]


def _region_sd(images: Sequence[NDArray[np.float32]], person: Person, camera: Camera) -> float:
    """Root mean square relative SD of the six striatal regions' means between `images`."""
    matrix = Pose().matrix() @ Head(person).matrix
    means = np.array([region_means(image, camera.grid(), matrix) for image in images])[:, : len(atlas.REGIONS)]
    return round(float(np.sqrt(((means.std(0, ddof=1) / means.mean(0)) ** 2).mean())), 4)


def agreement(seen: Sequence[Seen], camera: Camera) -> dict[str, Any]:
    """How well image space agrees: binding ratios by both ways, for each structure and reference, over heads and sides.

    `rms_log` is the root mean square log ratio of all fitted means, their common scale taken away.
    """
    names = list(region_points())
    physics = np.array([one.physics for one in seen])
    still = replace(camera, counts=None)
    image = np.array([_image_means(one.person, still) for one in seen])
    found: dict[str, Any] = {}
    for reference in atlas.REFERENCES:
        ratios = [means / means[:, [names.index(reference)]] - 1 for means in (physics, image)]
        for structure in STRUCTURES:
            columns = [names.index(f"{structure}_{side}") for side in SIDES]
            by_physics, by_image = (ratio[:, columns] for ratio in ratios)
            found[f"{structure}/{reference}"] = {
                "physics": round(float(by_physics.mean()), 3),
                "image": round(float(by_image.mean()), 3),
                "largest_difference": round(float(np.abs(by_image - by_physics).max()), 3),
            }
    return {"sbr": found, "rms_log": round(float(np.log(image / physics).std()), 4)}


def _image_means(person: Person, camera: Camera) -> NDArray[np.float64]:
    volume, truth = phantom.scan(person, camera)
    return region_means(volume.data, volume.grid, truth.mni_to_scan)


def main(arguments: Sequence[str] | None = None) -> int:
    """Calibrates sites and writes the file after each, so that a broken run goes on where it stopped."""
    parser = argparse.ArgumentParser(prog="python -m dopascope.physics.calibrate", description=(__doc__ or "").strip())
    parser.add_argument("--site", action="append", choices=sorted(SITES), help="only this site (may be repeated)")
    parser.add_argument("--out", type=Path, required=True, help="the file; sites in it that are not asked for stay")
    parser.add_argument("--resume", action="store_true", help="skip sites in the file whose settings are as they were")
    options = parser.parse_args(arguments)
    try:
        sites = _sites_in(options.out)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    for name in options.site or SITES:
        if options.resume and sites.get(name, {}).get("checks", {}).get("settings") == settings_of(SITES[name]):
            continue
        start = time.perf_counter()
        sites[name] = calibrate(SITES[name])
        write_text(options.out, _text(sites))
        sys.stderr.write(f"{name}: {time.perf_counter() - start:.0f} s, {json.dumps(sites[name])}\n")
    return 0


def _sites_in(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    content = json.loads(path.read_bytes())
    if content.get("form") != CALIBRATION_FORM:
        raise UsageError(
            "This is not a calibration file.",
            where=path,
            found=content.get("form"),
            expected=CALIBRATION_FORM,
            fix="Name another file with --out.",
        )
    return dict(content["sites"])


def _text(sites: Mapping[str, Any]) -> str:
    made = "python -m dopascope.physics.calibrate: image space fitted to noise-free and repeated noisy projections"
    content = {"form": CALIBRATION_FORM, "made": made, "sites": {name: sites[name] for name in sorted(sites)}}
    return json.dumps(content, indent=1) + "\n"


if __name__ == "__main__":
    sys.exit(main())
