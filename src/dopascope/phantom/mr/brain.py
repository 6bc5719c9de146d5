"""A brain that people are made of: its labels at 1 mm, its structures as points, the order in which age takes it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import formats, geometry
from dopascope.atlas.brain import BRAIN, BRAIN_1MM, STRUCTURES, Tissue, structure, template_brain
from dopascope.atlas.stem import stem_parts
from dopascope.errors import UnsuitableError
from dopascope.phantom.mr.contrast import typical
from dopascope.phantom.mr.heads import from_freesurfer
from dopascope.phantom.mr.warp import LATTICE, Basis, Floats, Floats32
from dopascope.space import resample
from dopascope.space.brain_registration import register_brain
from dopascope.volume import LabelMap, Volume

REACH_MM: Final = 12.0
"""So far outside a structure its growth or loss is felt."""
POINTS: Final = 400
"""Of each structure, at which slopes are read; displacements vary over centimetres."""
BRAIN_POINTS: Final = 3000
EDGE_STEP: Final = 30
"""Every so many-th voxel of the ventricles' surroundings stands for the others."""
VENTRICLE_MM: Final = 12.0
"""So far ventricles can grow into white matter."""
PEDUNCLES_MM: Final = 16.0
"""The cerebral peduncles reach so far from the middle."""
_SMOOTH_MM: Final = 1.5
"""Ties between voxels at one distance are broken by the smoothed neighbourhood."""


@dataclass(frozen=True, eq=False)
class Brain:
    """Labels of `Tissue` on a RAS grid of 1 mm in template mm, up to 12 mm within the warp's lattice."""

    labels: LabelMap

    @cached_property
    def counts(self) -> dict[str, int]:
        """Structure -> voxels, which are mm3."""
        return {name: int(structure(self.labels, name).sum()) for name in STRUCTURES}

    @cached_property
    def ventricle_count(self) -> int:
        """Voxels of the ventricles."""
        return int((self.labels.data == Tissue.VENTRICLE).sum())

    @cached_property
    def known(self) -> tuple[str, ...]:
        """The structures that this brain has."""
        return tuple(name for name, voxels in self.counts.items() if voxels)

    @cached_property
    def hull_ml(self) -> float:
        """Volume of all brain labels."""
        return float(np.isin(self.labels.data, BRAIN).sum()) / 1000

    @cached_property
    def points(self) -> dict[str, Floats]:
        """Structure -> (N, 3) mm, evenly chosen voxels."""
        return {name: self._chosen(structure(self.labels, name), POINTS) for name in self.known}

    @cached_property
    def bases(self) -> dict[str, Basis]:
        """Splines at the points of each structure."""
        return {name: Basis(points) for name, points in self.points.items()}

    @cached_property
    def whole(self) -> Basis:
        """Splines at points all over the brain."""
        return Basis(self._chosen(np.isin(self.labels.data, BRAIN), BRAIN_POINTS))

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """Knots of the warp's lattice that lie in the brain."""
        index = np.rint(self.labels.grid.to_index(LATTICE.centres_mm())).astype(int)
        within: NDArray[np.bool_] = np.all((index >= 0) & (index < self.labels.grid.shape), axis=-1)
        i, j, k = np.moveaxis(np.where(within[..., None], index, 0), -1, 0)
        return np.asarray(within & np.isin(self.labels.data[i, j, k], BRAIN))

    @cached_property
    def modes(self) -> dict[str, Floats32]:
        """Structure -> coefficients (I, J, K, 3) that swell it about its middle by 1 mm per mm, fading outside."""
        return {name: self._mode(name) for name in self.known}

    @cached_property
    def mode_slopes(self) -> dict[str, dict[str, Floats]]:
        """Structure -> mode -> slopes (N, 3, 3) of the mode at the structure's points."""
        return {
            name: {mode: basis.slopes(self.modes[mode]) for mode in self.known} for name, basis in self.bases.items()
        }

    @cached_property
    def ventricle_order(self) -> NDArray[np.int64]:
        """Flat indices of ventricle and white matter near it: from the ventricles' middle outwards."""
        from scipy import ndimage

        ventricle = self.labels.data == Tissue.VENTRICLE
        outward = ndimage.distance_transform_edt(~ventricle)
        eligible = ventricle | ((self.labels.data == Tissue.WHITE) & (outward <= VENTRICLE_MM))
        depth = ndimage.distance_transform_edt(ventricle)
        order = outward - depth - ndimage.gaussian_filter(ventricle.astype(np.float32), _SMOOTH_MM)
        flat = np.flatnonzero(eligible)
        return flat[np.argsort(order.ravel()[flat], kind="stable")]

    @cached_property
    def ventricle_edge(self) -> Basis:
        """Splines at every `EDGE_STEP`-th voxel of `ventricle_order`."""
        flat = self.ventricle_order[EDGE_STEP // 2 :: EDGE_STEP]
        return Basis(self.labels.grid.to_world(np.stack(np.unravel_index(flat, self.labels.data.shape), -1)))

    @cached_property
    def cortex_order(self) -> NDArray[np.int64]:
        """Flat indices of cerebral grey matter beside fluid, the most surrounded first: sulci widen, the hull stays."""
        from scipy import ndimage

        fluid = (self.labels.data == Tissue.FLUID).astype(np.float32)
        beside = ndimage.gaussian_filter(fluid, _SMOOTH_MM)
        flat = np.flatnonzero((self.labels.data == Tissue.GREY) & (beside > 0.05))
        return flat[np.argsort(-beside.ravel()[flat], kind="stable")]

    def aged(self, ventricle_voxels: int, cortex_lost: float) -> NDArray[np.uint8]:
        """Labels (I, J, K) with so many voxels of ventricle, and cerebral grey matter less by a share at its fluid."""
        found = self.labels.data.astype(np.uint8, copy=True)
        flat = found.ravel()
        order = self.ventricle_order
        flat[order[ventricle_voxels:]] = np.where(
            flat[order[ventricle_voxels:]] == Tissue.VENTRICLE, Tissue.WHITE, flat[order[ventricle_voxels:]]
        )
        flat[order[:ventricle_voxels]] = Tissue.VENTRICLE
        lost = round(cortex_lost * float((self.labels.data == Tissue.GREY).sum()))
        flat[self.cortex_order[:lost]] = Tissue.FLUID
        return found

    def _chosen(self, mask: NDArray[np.bool_], wanted: int) -> Floats:
        index = np.argwhere(mask)
        return self.labels.grid.to_world(index[np.linspace(0, len(index) - 1, min(wanted, len(index))).astype(int)])

    def _mode(self, name: str) -> Floats32:
        from scipy.spatial import cKDTree

        voxels = self.labels.grid.to_world(np.argwhere(structure(self.labels, name)))
        middle = voxels.mean(0)
        knots = LATTICE.centres_mm().reshape(-1, 3)
        apart, _ = cKDTree(voxels).query(knots, distance_upper_bound=REACH_MM)
        fade = np.cos(np.clip(apart / REACH_MM, 0, 1) * np.pi / 2) ** 2
        return np.asarray((fade[:, None] * (knots - middle)).reshape(*LATTICE.shape, 3), np.float32)


@lru_cache(maxsize=1)
def template() -> Brain:
    """The template's own brain, once a process."""
    return Brain(template_brain())


@lru_cache(maxsize=4)
def brain_of(path: Path) -> Brain:
    """A brain from FreeSurfer's `aseg`, brought to the template by the affine that would place its scan; its stem is
    parted by planes.

    Raises:
        InputError: it cannot be read.
        UnsuitableError: it has not the structures of a brain.
    """
    image = formats.load(path)
    if not isinstance(image, Volume) or (image.data != np.rint(image.data)).any():
        raise _no_labels(path, "intensities")
    own = from_freesurfer(LabelMap(image.data.astype(np.int32), image.grid))
    if not all((own.data == tissue).any() for tissue in _NEEDED):
        missing = [tissue.name.lower() for tissue in _NEEDED if not (own.data == tissue).any()]
        raise _no_labels(path, f"no {', '.join(missing)}")
    labels = resample(own, BRAIN_1MM, to_image=_placed(own)).data.astype(np.uint8)
    _part_stem(labels)
    return Brain(LabelMap(labels, BRAIN_1MM, names=own.names))


def _placed(labels: LabelMap) -> geometry.Affine:
    """(4, 4): template mm to the labels' mm, by a scan that looks as T1 does."""
    means = np.array([typical("t1", tissue) if tissue in BRAIN else 0.0 for tissue in Tissue], np.float32)
    inside = LabelMap((labels.data > 0).astype(np.uint8), labels.grid)
    return register_brain(Volume(means[labels.data], labels.grid), inside).mni_to_scan


def _part_stem(labels: NDArray[np.uint8]) -> None:
    """Name midbrain, pons and medulla on `BRAIN_1MM`.

    FreeSurfer's ventral diencephalon, here among `DEEP`, holds the cerebral peduncles; nothing else of `DEEP` lies so
    low and so near the middle.
    """
    index = np.argwhere((labels == Tissue.STEM) | (labels == Tissue.DEEP))
    at, was_stem = BRAIN_1MM.to_world(index), labels[tuple(index.T)] == Tissue.STEM
    part = np.where(was_stem | (np.abs(at[:, 0]) <= PEDUNCLES_MM), stem_parts(at), 0)
    labels[tuple(index.T)] = np.where(part > 0, part, np.where(was_stem, Tissue.MIDBRAIN, Tissue.DEEP))


_NEEDED: Final = (Tissue.GREY, Tissue.WHITE, Tissue.VENTRICLE, Tissue.CAUDATE, Tissue.PUTAMEN, Tissue.STEM)


def _no_labels(path: Path, found: str) -> UnsuitableError:
    return UnsuitableError(
        "These are no labels of a brain.",
        where=path.name,
        found=found,
        expected="FreeSurfer's aseg of a whole brain",
        fix="Give --brain-labels the file aseg.mgz of a FreeSurfer subject.",
    )
