"""What is where in a person's head: a smooth warp of the MNI anatomy and the activity of each tissue and region.

Two spaces: `aligned` is the person's head after its affine size is taken away, in MNI mm; `template` is MNI itself. The
warp goes from aligned to template, so the activity at an aligned point is a look-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas, geometry
from dopascope.atlas.striatum import labels_at
from dopascope.phantom.people import BINDING_REGIONS, Person
from dopascope.volume import MNI_2MM, Grid

Floats = NDArray[np.floating]

ACCUMBENS: Final = ((12.7, 14.3, -5.1), (6.4, 8.6, 7.2))
"""Centre and semi-axes (mm, right side): 1.65 ml as measured by Tian et al. 2020."""
THALAMUS: Final = ((11.7, -18.4, 6.8), (8.5, 15.0, 8.0))
GLANDS: Final = (((57.0, -14.0, -60.0), (10.0, 15.0, 20.0)), ((28.0, 22.0, -72.0), (10.0, 14.0, 9.0)))
"""Parotid and submandibular glands."""
PEAK_RECOVERY: Final = 0.7
"""Share of the striatum's true ratio at the peak of a scan of about 10 mm."""
LABEL_MM: Final = 0.5
"""Lattice on which the atlas's regions are kept for counting."""
_LABELS: Final = Grid((90, 120, 116), geometry.from_parts(np.eye(3), [LABEL_MM] * 3, (0.25, -29.75, -23.75)))
"""Holds the right striatum and accumbens with room on all sides."""
_LATTICE: Final = Grid((40, 48, 42), np.array([[5.0, 0, 0, -97.5], [0, 5, 0, -135], [0, 0, 5, -95], [0, 0, 0, 1]]))
_NEAR_MM: Final = 2.0
"""More than the half diagonal of a voxel of the 2 mm map of distances."""
_STRETCH: Final = 1.2
"""How much longer than in the template a warped and scaled cell may be."""


@dataclass(frozen=True, eq=False)
class StriatumMaps:
    """Striata other than the atlas's: the fraction of each voxel that each region fills.

    Args:
        parts: name -> (I, J, K) of 0 to 1, names from `atlas.REGIONS` (missing ones are empty).
        grid: where the voxels lie in MNI mm; 1 mm or finer.
    """

    parts: Mapping[str, NDArray[np.float32]]
    grid: Grid

    @cached_property
    def total(self) -> NDArray[np.float32]:
        """All regions together."""
        return np.asarray(sum(self.parts.values()), np.float32)


class Head:
    """The activity of a person's head at any point, relative to grey matter's unspecific uptake."""

    def __init__(self, person: Person, striatum: StriatumMaps | None = None) -> None:
        self.person = person
        self.striatum = striatum
        self.matrix = geometry.about(np.diag([*person.axes, 1.0]), (0.0, -20.0, 5.0))
        self._warp = _displacement(person.warp_seed, person.warp_mm, person.warp_scale_mm)
        self._background = _background(person)
        self._bound = np.array([1 + person.sbr.get(region, 0.0) for region in BINDING_REGIONS], np.float32)

    def to_template(self, aligned: Floats) -> Floats:
        """Aligned points (..., 3) to template mm: each plus its displacement, trilinear on a lattice of 5 mm."""
        if self._warp is None:
            return aligned
        moved = np.stack([sampled(component, _LATTICE, aligned) for component in self._warp], -1)
        moved += aligned
        return moved

    def background(self, template: Floats, cell_mm: float = 0.0) -> NDArray[np.float32]:
        """Activity (...,) of all but the striatum, averaged over cells of `cell_mm` around template points (..., 3)."""
        from scipy.ndimage import gaussian_filter

        data = self._background
        if cell_mm:
            data = gaussian_filter(data, cell_mm / np.sqrt(12) / MNI_2MM.spacing_mm[0], mode="nearest")
        return sampled(data, MNI_2MM, template, mode="nearest")

    def near_striatum(self, template: Floats, cell_mm: float = 0.0) -> NDArray[np.bool_]:
        """False where no region can be in a cube of edge `cell_mm` around template points (..., 3)."""
        away = _distance_to_atlas() if self.striatum is None else _distance_to_maps(self.striatum)
        reach = _NEAR_MM + _STRETCH * np.sqrt(3) / 2 * cell_mm
        return np.asarray(nearest(away, MNI_2MM, template) <= reach)

    def in_head(self, aligned: Floats) -> NDArray[np.bool_]:
        """False where there can be no activity: aligned points (..., 3) further outside than the warp reaches."""
        # Below the template its lowest plane goes on, as a neck does.
        return np.asarray(nearest(_distance_to_head(), MNI_2MM, aligned) <= 2.0 + self.slack_mm)

    @property
    def slack_mm(self) -> float:
        """A bound on the displacement of any point."""
        return 4.0 * self.person.warp_mm

    def fractions(self, template: Floats) -> NDArray[np.float32]:
        """Share (N, 8) of each of `BINDING_REGIONS` at template points (N, 3)."""
        shares = np.zeros((len(template), len(BINDING_REGIONS)), np.float32)
        if self.striatum is None:
            labels = labels_at(template)
            for n in range(len(atlas.REGIONS)):
                shares[:, n] = labels == n + 1
        else:
            for n, region in enumerate(atlas.REGIONS):
                if region in self.striatum.parts:
                    shares[:, n] = sampled(self.striatum.parts[region], self.striatum.grid, template)
        room = 1 - shares.sum(1)
        for n, sign in ((6, -1), (7, 1)):
            shares[:, n] = room * in_ellipsoid(template, *ACCUMBENS, sign)
        return shares

    def mean_fractions(self, template: Floats, edges: Floats, counts: tuple[int, int, int]) -> NDArray[np.float32]:
        """Share (N, 8) of each region in small cells, counted at `counts` points along their edges.

        `template` (N, 3) are the cells' centres and `edges` (N, 3, 3) their three edges there, in template mm: within
        a cell the warp is taken as linear. The atlas's borders are met to `LABEL_MM`.
        """
        shares = np.zeros((len(template), len(BINDING_REGIONS) + 1), np.float32)
        flat, rows = shares.reshape(-1), np.arange(len(template)) * shares.shape[1]
        parts = [(np.arange(n) + 0.5) / n - 0.5 for n in counts]
        for step in np.stack(np.meshgrid(*parts, indexing="ij"), -1).reshape(-1, 3).astype(np.float32):
            points = template + step @ edges
            if self.striatum is None:
                flat[rows + _label_indices(points)] += 1
            else:
                shares[:, 1:] += self.fractions(points)
        return shares[:, 1:] / np.float32(np.prod(counts))

    def bound(self, shares: NDArray[np.float32]) -> NDArray[np.float32]:
        """Activity (N,) of the striatal regions whose shares (N, 8) are given."""
        activity: NDArray[np.float32] = shares @ (self.person.grey * self._bound)
        return activity


def nearest(data: NDArray[Any], grid: Grid, points: Floats) -> NDArray[Any]:
    """The value (...,) of the voxel of an axis-aligned `grid` nearest to each point (..., 3), beyond its border too."""
    flat: NDArray[np.int_] = np.zeros(points.shape[:-1], np.int32)
    for a, size in enumerate(grid.shape):
        first, spacing = np.float32(grid.affine[a, 3]), np.float32(grid.affine[a, a])
        index = ((points[..., a] - (first - spacing / 2)) / spacing).astype(np.int32)
        flat = flat * size + np.clip(index, 0, size - 1)
    return data.reshape(-1)[flat]


def sampled(
    data: Floats, grid: Grid, points: Floats, *, order: int = 1, mode: str = "constant", beyond: float = 0.0
) -> NDArray[np.float32]:
    """`data` on an axis-aligned `grid` at points (..., 3), trilinear (`order` 1) or nearest (0): float32 (...,)."""
    from scipy.ndimage import map_coordinates

    first, spacing = grid.affine[:3, 3].astype(np.float32), np.diag(grid.affine)[:3].astype(np.float32)
    index = [(points[..., a] - first[a]) / spacing[a] for a in range(3)]
    values: NDArray[np.float32] = map_coordinates(data, index, np.float32, order=order, mode=mode, cval=beyond)
    return values


def _label_indices(points: Floats) -> NDArray[np.int_]:
    """0, or 1 + the index in `BINDING_REGIONS` of the region at template points (N, 3)."""
    right = points.copy()
    np.abs(points[:, 0], out=right[:, 0])
    structure = nearest(_structures(), _LABELS, right).astype(np.int64)
    return np.where(structure > 0, 2 * structure - 1 + (points[:, 0] > 0), 0)


@lru_cache(maxsize=1)
def _structures() -> NDArray[np.uint8]:
    """On `_LABELS`: 0, 1 caudate, 2 anterior and 3 posterior putamen, 4 accumbens."""
    points = _LABELS.centres_mm()
    found = (labels_at(points) + 1) // 2
    found[(found == 0) & in_ellipsoid(points, *ACCUMBENS, 1)] = 4
    return np.asarray(found, np.uint8)


def in_ellipsoid(points: Floats, centre: tuple[float, ...], axes: tuple[float, ...], sign: int) -> NDArray[np.bool_]:
    """Points (..., 3) inside an axis-aligned ellipsoid given on the right side; `sign` -1 for its mirror image."""
    x, y, z = (np.square((points[..., a] - c * (sign if a == 0 else 1)) / axes[a]) for a, c in enumerate(centre))
    return np.asarray(x + y + z < 1)


def _displacement(seed: int, rms_mm: float, fwhm_mm: float) -> NDArray[np.float32] | None:
    """A smooth random displacement (3, I, J, K) on `_LATTICE`, without its affine part inside the brain."""
    from scipy.ndimage import gaussian_filter

    if rms_mm == 0:
        return None
    noise = np.random.default_rng([seed, 11]).normal(size=(3, *_LATTICE.shape))
    smooth = np.stack([gaussian_filter(one, fwhm_mm / 2.3548 / 5.0, mode="wrap") for one in noise])
    brain, design, inverse = _affine_design()
    affine = inverse @ smooth[:, brain].T
    smooth -= (design @ affine).T.reshape(smooth.shape)
    length = np.sqrt((smooth[:, brain] ** 2).sum(0).mean())
    return np.asarray(smooth * (rms_mm / length), np.float32)


@lru_cache(maxsize=1)
def _affine_design() -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Brain mask of `_LATTICE`, its points (N, 4) with a column of ones, and the least-squares inverse in the brain."""
    points = _LATTICE.centres_mm()
    brain = sampled(atlas.tissue("brain").data, MNI_2MM, points) > 0.5
    design = np.concatenate([points, np.ones((*_LATTICE.shape, 1))], -1)
    return brain, design.reshape(-1, 4), np.linalg.pinv(design[brain])


def _background(person: Person) -> NDArray[np.float32]:
    """Everything but the striatum on `MNI_2MM`."""
    tissue = {name: atlas.tissue(name).data for name in atlas.TISSUES}
    data = person.grey * tissue["grey"] + person.white * tissue["white"] + person.fluid * tissue["csf"]
    wide = np.clip(_widened_ventricles() - tissue["ventricles"], 0, 1) * person.ventricles * (tissue["brain"] > 0.5)
    data = data * (1 - wide) + person.fluid * wide
    data += person.scalp * np.clip(tissue["head"] - tissue["brain"], 0, 1)
    peak = 1 + PEAK_RECOVERY * max(person.sbr.values(), default=0.0)
    for sign in (-1, 1):
        data[_voxels(THALAMUS, sign)] *= 1 + person.thalamus
        for gland in GLANDS:
            inside = _voxels(gland, sign)
            data[inside] = np.maximum(data[inside], person.grey * person.glands * peak)
    return np.asarray(data, np.float32)


@lru_cache(maxsize=1)
def _widened_ventricles() -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter, maximum_filter

    wide: NDArray[np.float32] = gaussian_filter(maximum_filter(atlas.tissue("ventricles").data, size=5), 0.7)
    return wide


@lru_cache(maxsize=8)
def _voxels(ellipsoid: tuple[tuple[float, ...], tuple[float, ...]], sign: int) -> tuple[NDArray[np.int_], ...]:
    """Indices of the voxels of `MNI_2MM` inside an ellipsoid."""
    return np.nonzero(in_ellipsoid(MNI_2MM.centres_mm(), *ellipsoid, sign))


@lru_cache(maxsize=1)
def _distance_to_head() -> NDArray[np.float32]:
    return _distance(atlas.tissue("head").data > 0)


@lru_cache(maxsize=1)
def _distance_to_atlas() -> NDArray[np.float32]:
    return _distance_with_accumbens(np.asarray(sum(atlas.striatum_weights(supersample=2).values())) > 0)


@lru_cache(maxsize=2)
def _distance_to_maps(striatum: StriatumMaps) -> NDArray[np.float32]:
    filled = np.zeros(MNI_2MM.shape, bool)
    index = np.rint(MNI_2MM.to_index(striatum.grid.to_world(np.argwhere(striatum.total > 0)))).astype(int)
    filled[tuple(np.clip(index, 0, np.array(MNI_2MM.shape) - 1).T)] = True
    return _distance_with_accumbens(filled)


def _distance_with_accumbens(filled: NDArray[np.bool_]) -> NDArray[np.float32]:
    for sign in (-1, 1):
        filled[_voxels(ACCUMBENS, sign)] = True
    return _distance(filled)


def _distance(filled: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance in mm of each voxel of `MNI_2MM` from the nearest filled one."""
    from scipy.ndimage import distance_transform_edt

    return np.asarray(distance_transform_edt(~filled, sampling=2.0), np.float32)
