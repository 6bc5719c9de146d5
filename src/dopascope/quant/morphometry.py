"""Volumes of a T1-weighted scan by the template's labels: carried to the scan, then fitted to each structure alone.

The registration says where the template lies; around each structure a second affine, held near the first, is fitted to
the scan with free amplitudes of the structure, other grey matter, white matter and fluid. A volume is the template's
times the determinants of both. What such volumes are worth was measured on simulated people whose volumes are known
(`data/morphometry.json`): bias is taken out, and the spread that is left gives the interval.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.atlas.brain import STRUCTURES, Tissue, structure, template_brain
from dopascope.errors import UnsuitableError
from dopascope.quant.ratios import NORMAL_95
from dopascope.space.brain_registration import BrainRegistration, masked
from dopascope.space.fit import Level, Problem, gauss_newton
from dopascope.space.lattice import Lattice, build_lattice
from dopascope.space.orient import canonical
from dopascope.space.template import FWHM_PER_SIGMA
from dopascope.volume import Grid, LabelMap, Volume

METHOD: Final = "template-local-affine-2"
"""Changes whenever the same scan could be measured otherwise."""
FORM: Final = "dopascope.morphometry/1"
SUMS: Final = {name: (f"{name}_left", f"{name}_right") for name in ("caudate", "putamen")}
RATIO: Final = "midbrain_pons_ratio"

BESIDE_MM: Final = 6.0
"""So far around a structure the local fit looks: further, and the ventricle decides how large a caudate is."""
SIGMA_MM: Final = 1.0
SPACING_MM: Final = 1.5
EVERY: Final = 2
"""Template millimetres between points."""
CELL_ML: Final = 0.5
"""Holds one independent value: chosen with `BESIDE_MM`, of 0.05 to 2 ml and 3 to 8 mm, on people of three brains."""
STEPS: Final = 12
PRIOR_SD: Final = np.array([2.0] * 3 + [np.deg2rad(4)] * 3 + [0.09] * 3 + [0.03] * 3)
"""How far a structure strays from where the whole brain's affine puts it: mm, rad, log scale, shear. With two thirds
of the width in scale and shear about half of a planted loss was seen; now about four fifths."""
HELD: Final = {Tissue.CAUDATE: 0.4}
"""Times the prior's width of scale and shear: a ventricle that grows with age looks as a larger caudate does."""
_OTHERS: Final = (
    (Tissue.GREY, Tissue.CEREBELLAR_GREY, Tissue.CAUDATE, Tissue.PUTAMEN, Tissue.DEEP),
    (Tissue.WHITE, Tissue.CEREBELLAR_WHITE, Tissue.MIDBRAIN, Tissue.PONS, Tissue.STEM),
)
"""What surrounds a structure, apart from itself: grey, white; all else is fluid or outside the mask."""


@dataclass(frozen=True)
class Measured:
    """One volume or ratio with its 95 % interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {"value": round(self.value, 4), "interval": [round(self.low, 4), round(self.high, 4)]}


@dataclass(frozen=True)
class Morphometry:
    """What the template's labels say of one scan."""

    volumes_ml: Mapping[str, Measured]
    """`STRUCTURES`, and putamen and caudate of both sides."""
    ratio: Measured
    """Midbrain volume over pons volume."""
    brain_ml: float
    """Of the mask; its error is the mask's."""
    error: Mapping[str, Any]
    """The measured errors that the intervals come from, and on whom."""
    method: str = METHOD

    def as_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "method": self.method,
            "volumes_ml": {name: one.as_dict() for name, one in self.volumes_ml.items()},
            RATIO: self.ratio.as_dict(),
            "brain_ml": round(self.brain_ml, 2),
            "intervals": "from the spread of errors on simulated people: bias taken out, 95 % limits of agreement",
            "errors": dict(self.error),
        }


def morphometry(volume: Volume, mask: LabelMap, registration: BrainRegistration) -> Morphometry:
    """Volumes (ml) of putamen, caudate, midbrain and pons, and of the brain.

    Args:
        volume: T1-weighted, shading corrected, any axis order and intensity scale.
        mask: brain, above 0, on the same grid.
        registration: `space.brain_registration.register_brain` of the two.

    Raises:
        UsageError, UnsuitableError: as `register_brain`; or the registration was not accepted.
    """
    if not registration.accepted:
        raise UnsuitableError(
            "Nothing is measured where the template could not be placed.",
            where="registration",
            found="; ".join(registration.reasons),
            expected="an accepted registration",
            fix="Look at the mask over the scan.",
        )
    raw = raw_volumes(volume, mask, registration)
    known = measured_error()
    found = {name: _with_interval(value, known["structures"][name]) for name, value in raw.items()}
    return Morphometry(
        volumes_ml={name: one for name, one in found.items() if name != RATIO},
        ratio=found[RATIO],
        brain_ml=float((mask.data > 0).sum()) * mask.grid.voxel_ml,
        error=known,
    )


def raw_volumes(volume: Volume, mask: LabelMap, registration: BrainRegistration) -> dict[str, float]:
    """Structure, sums of sides and `RATIO` -> ml or ratio, before bias is taken out.

    Raises:
        UsageError, UnsuitableError: as `register_brain`.
    """
    matrix = registration.mni_to_scan
    scan = canonical(masked(volume, mask))
    lattice = _near_structures(scan, matrix)
    size = abs(float(np.linalg.det(matrix[:3, :3])))
    found = {name: _template_ml(name) * size * _local_size(lattice, name, matrix) for name in STRUCTURES}
    return with_sums(found)


def with_sums(volumes_ml: Mapping[str, float]) -> dict[str, float]:
    """Volumes of `STRUCTURES` with those of both sides together, and `RATIO`."""
    found = {name: volumes_ml[name] for name in STRUCTURES}
    found |= {name: sum(found[side] for side in sides) for name, sides in SUMS.items()}
    return found | {RATIO: found["midbrain"] / found["pons"]}


@lru_cache(maxsize=1)
def measured_error() -> dict[str, Any]:
    """What ships: for each structure mean and standard deviation of log(measured / true), and on whom."""
    text = files("dopascope.quant").joinpath("data", "morphometry.json").read_text(encoding="utf-8")
    known: dict[str, Any] = json.loads(text)
    return known


def _with_interval(raw: float, error: Mapping[str, float]) -> Measured:
    value = raw * float(np.exp(-error["bias"]))
    reach = float(np.exp(NORMAL_95 * error["sd"]))
    return Measured(value, value / reach, value * reach)


def _near_structures(scan: Volume, matrix: geometry.Affine) -> Lattice:
    """The part of the scan where the structures lie, blurred, on a fine lattice."""
    places = np.concatenate([_around(name)[0] for name in STRUCTURES])
    index = scan.grid.to_index(geometry.apply_affine(matrix, places))
    margin = 3 * BESIDE_MM / np.array(scan.grid.spacing_mm)
    low = np.clip(np.floor(index.min(0) - margin), 0, None).astype(int)
    high = np.minimum(np.ceil(index.max(0) + margin).astype(int) + 1, scan.grid.shape)
    if (high - low < 2).any():
        raise UnsuitableError(
            "The structures lie outside the field of view.",
            where="registration",
            found=f"voxels {low.tolist()} to {high.tolist()}",
            expected=f"within {list(scan.grid.shape)}",
            fix="Check the registration.",
        )
    data = scan.data[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    affine = scan.grid.affine.copy()
    affine[:3, 3] = scan.grid.to_world(low)
    return build_lattice(Volume(data, Grid(data.shape, affine)), sigma_mm=SIGMA_MM, spacing_mm=SPACING_MM)


def _local_size(lattice: Lattice, name: str, matrix: geometry.Affine) -> float:
    """Determinant of the affine that fits the structure better than the whole brain's."""
    places, basis = _around(name)
    moved = geometry.apply_affine(matrix, places)
    columns = basis.shape[1]
    level = Level(
        points=np.concatenate([moved, np.ones((len(moved), 1))], axis=1),
        basis=basis,
        weight=np.ones(len(moved), np.float32),
        striatal=np.zeros(len(moved), bool),
        deep=np.zeros(len(moved), bool),
        odd_patterns=np.zeros((0, columns)),
        around=np.ones(columns),
        point_ml=EVERY**3 / 1000 * abs(float(np.linalg.det(matrix[:3, :3]))),
    )
    centre = moved[basis[:, 0] >= 0.5].mean(0)
    prior = PRIOR_SD.copy()
    prior[6:] *= HELD.get(STRUCTURES[name][0], 1.0)
    fit = gauss_newton(Problem(lattice, level, centre, centre, CELL_ML, prior_sd=prior), np.zeros(12), STEPS)
    return float(np.linalg.det(fit.matrix[:3, :3]))


@lru_cache(maxsize=len(STRUCTURES))
def _template_ml(name: str) -> float:
    return float(structure(template_brain(), name).sum()) / 1000


@lru_cache(maxsize=len(STRUCTURES))
def _around(name: str) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Template points (N, 3) mm in and around a structure, and there (N, 4): itself, grey, white, the rest; blurred."""
    from scipy import ndimage

    inside = structure(template_brain(), name)
    labels = template_brain()
    reach = int(np.ceil(BESIDE_MM + 4 * SIGMA_MM))
    found = ndimage.find_objects(inside.astype(np.uint8))[0]
    box = tuple(slice(max(0, edge.start - reach), edge.stop + reach) for edge in found)
    own, near = inside[box], labels.data[box]
    parts = [own, *(np.isin(near, group) & ~own for group in _OTHERS)]
    shares = [ndimage.gaussian_filter(part.astype(np.float32), _template_sigma()) for part in parts]
    rest = np.clip(1 - np.sum(shares, axis=0), 0, None)
    wanted = ndimage.distance_transform_edt(~own) <= BESIDE_MM
    wanted &= (np.indices(own.shape) % EVERY == 0).all(0)
    index = np.argwhere(wanted)
    start = np.array([one.start for one in box])
    basis = np.stack([*(share[wanted] for share in shares), rest[wanted]], axis=1).astype(np.float32)
    return labels.grid.to_world(index + start), basis


def _template_sigma() -> float:
    """Blur (voxels of 1 mm) that makes the template as sharp as a scan of 1 mm that was blurred by `SIGMA_MM`."""
    return float(np.hypot(SIGMA_MM, 1.0 / FWHM_PER_SIGMA))
