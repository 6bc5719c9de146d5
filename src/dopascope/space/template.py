"""The symmetric DaT template on `MNI_2MM`, built by code from the atlas geometry, and the parts it is made of.

A normal scan is the tissue's unspecific uptake plus the specific binding of the striatal regions, seen by a camera
of `TEMPLATE_FWHM_MM`. The registration takes the parts apart again: each has its own free amplitude, so that
a lost putamen, a hot gland or a missing attenuation correction is explained by an amplitude and not by a wrong pose.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas, geometry
from dopascope.space.lattice import Floats, smoothed
from dopascope.volume import MNI_2MM, Grid, Step, Volume

Ellipsoids = tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...]
"""Centre on the right side and semi-axes, mm."""

DELINEATION_SHIFT_MM: Final = (0.0, 0.45, 0.4)
"""Delineations of the striatum differ: fitted to BigBrain's (which no test of the registration uses), our regions,
after Tian et al., come to lie 0.9 mm too far forward and 0.8 mm too high. The registration looks half way between."""

FWHM_PER_SIGMA: Final = float(np.sqrt(8 * np.log(2)))
TEMPLATE_FWHM_MM: Final = 11.0
"""Reconstructed resolution in the middle of the head, between 7 mm (brain cameras) and 16 mm (filtered LEHR)."""

TYPICAL_SBR: Final = {"caudate": 6.8, "anterior_putamen": 5.4, "posterior_putamen": 4.6, "accumbens": 4.5}
"""True specific binding ratios that a camera of 11 mm recovers as the published healthy means (caudate 2.9, putamen
2.1). They set the picture of the template and the order of the regions, never a fitted amplitude."""

WHITE_UPTAKE: Final = 0.85
FLUID_UPTAKE: Final = 0.4
SCALP_UPTAKE: Final = 0.45
"""Unspecific uptake relative to grey matter. Only start values: the registration fits its own."""

GLANDS: Final[Ellipsoids] = (((57.0, -14.0, -58.0), (11.0, 16.0, 20.0)), ((30.0, 46.0, -34.0), (9.0, 8.0, 7.0)))
"""Centre (right side, mm) and semi-axes of parotid and lacrimal glands, the usual hot spots outside the brain."""

ACCUMBENS: Final[Ellipsoids] = (((12.7, 14.3, -5.1), (6.4, 8.6, 7.2)),)
"""The nucleus accumbens (1.65 ml a side, Tian et al. 2020) is no region of the binding ratios but takes up the tracer.
Without it the striata of other atlases are fitted 2 mm too far forward and turned by 2 to 9 degrees."""


@lru_cache(maxsize=1)
def dat_template() -> Volume:
    """Mean normal DaT scan, `(91, 109, 91)` on `MNI_2MM`, symmetric in x; grey matter is near 1."""
    activity = _background() + SCALP_UPTAKE * _shell()
    for region, weight in atlas.striatum_weights().items():
        activity = activity * (1 - weight) + weight * (1 + TYPICAL_SBR[region.rsplit("_", 1)[0]])
    step = Step("dat_template", {"fwhm_mm": TEMPLATE_FWHM_MM, "sbr": TYPICAL_SBR})
    data = blurred(activity, TEMPLATE_FWHM_MM)
    data = np.asarray(
        (data + data[::-1]) / 2, np.float32
    )  # takes out rounding: the two sides are equal to the last bit
    data.setflags(write=False)
    return Volume(data, MNI_2MM, history=(step,))


@lru_cache(maxsize=1)
def sharp_parts() -> dict[str, Floats]:
    """The parts before blurring, name -> `(91, 109, 91)`: tissues, depth, scalp,
    glands, accumbens and each striatal region.

    `depth` is the tissue weighted by its squared distance from the head's middle (1 at 80 mm): a scan without
    attenuation correction is darker in the middle by such a term.
    """
    tissue = _background()
    from_middle = ((MNI_2MM.centres_mm() - (0, -20, 8)) ** 2).sum(-1) / 80.0**2
    parts = {
        "tissue": tissue,
        "white": atlas.tissue("white").data,
        "ventricles": atlas.tissue("ventricles").data,
        "depth": tissue * from_middle,
        "scalp": _shell(),
        "gland_left": _ellipsoids(GLANDS, -1),
        "gland_right": _ellipsoids(GLANDS, 1),
        "accumbens_left": _ellipsoids(ACCUMBENS, -1),
        "accumbens_right": _ellipsoids(ACCUMBENS, 1),
        **striatal_parts(),
    }
    return {name: np.asarray(part, np.float32) for name, part in parts.items()}


@lru_cache(maxsize=1)
def striatal_parts() -> dict[str, Floats]:
    """The six regions as the registration looks for them: the atlas's, moved by `DELINEATION_SHIFT_MM`."""
    moved = Grid(MNI_2MM.shape, geometry.translation(-np.array(DELINEATION_SHIFT_MM)) @ MNI_2MM.affine)
    return atlas.striatum_weights(moved, supersample=2)


def blurred(activity: Floats, fwhm_mm: float) -> Floats:
    """`activity` on `MNI_2MM` seen with a Gaussian resolution of `fwhm_mm`."""
    nodes = [2.0 * np.arange(n) for n in MNI_2MM.shape]
    return smoothed(activity, MNI_2MM.spacing_mm, sigma_mm=fwhm_mm / FWHM_PER_SIGMA, nodes_mm=nodes)


@lru_cache(maxsize=1)
def depth_mm() -> NDArray[np.float64]:
    """Distance below the brain's surface at each voxel of `MNI_2MM`, negative outside."""
    from scipy.ndimage import distance_transform_edt

    brain = atlas.tissue("brain").data >= 0.5
    inside, outside = (distance_transform_edt(mask, sampling=2.0) for mask in (brain, ~brain))
    return np.asarray(inside - outside, np.float64)


def _background() -> Floats:
    grey, white, csf = (atlas.tissue(name).data for name in ("grey", "white", "csf"))
    return np.asarray(grey + WHITE_UPTAKE * white + FLUID_UPTAKE * csf, np.float32)


def _shell() -> Floats:
    return np.asarray(np.clip(atlas.tissue("head").data - atlas.tissue("brain").data, 0, 1), np.float32)


def _ellipsoids(shapes: Ellipsoids, side: int) -> Floats:
    """Solid ellipsoids on one side of the head (-1 left, 1 right)."""
    points = MNI_2MM.centres_mm()
    found = np.zeros(MNI_2MM.shape, bool)
    for centre, axes in shapes:
        found |= (((points - np.array(centre) * [side, 1, 1]) / axes) ** 2).sum(-1) < 1
    return found.astype(np.float32)
