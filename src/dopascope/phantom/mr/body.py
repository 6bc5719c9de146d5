"""One person's brain in space: the template's labels swollen, shrunk, bent and aged to the volumes that were drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.phantom.camera import HEAD_CENTRE_MM
from dopascope.phantom.mr.anatomy import Anatomy
from dopascope.phantom.mr.brain import EDGE_STEP, Brain
from dopascope.phantom.mr.warp import LATTICE, Basis, Floats, Floats32, Warp, draw_displacement, weights
from dopascope.volume import Grid

STEPS: Final = 6
"""Newton's steps to the volumes asked for; four suffice."""
CLOSE: Final = 1e-6
"""Relative difference of a volume from what was asked for that is none."""
LEAST_STRETCH: Final = 0.2
"""Nowhere does the brain shrink below this share of its volume: a warp that would is drawn in."""
DRAWN_IN: Final = 0.8


@dataclass(frozen=True, eq=False)
class Body:
    """A person's brain; volumes are exact integrals over the template's voxels, no image is needed for them."""

    brain: Brain
    anatomy: Anatomy

    @cached_property
    def matrix(self) -> geometry.Affine:
        """(4, 4): the size of the head, about the point that poses turn about."""
        return geometry.about(np.diag([*self.anatomy.axes, 1.0]), HEAD_CENTRE_MM)

    @cached_property
    def warp(self) -> Warp:
        """The displacement, template mm to template mm, before the size."""
        anatomy = self.anatomy
        rng = np.random.default_rng([anatomy.seed, 41])
        smooth = draw_displacement(rng, anatomy.warp_mm, anatomy.warp_length_mm, self.brain.inside)
        while min(float(_stretch(basis, smooth).min()) for basis in (self.brain.whole, *self._bases)) < LEAST_STRETCH:
            smooth = smooth * np.float32(DRAWN_IN)
        amounts = self._amounts(smooth)
        grown = [np.float32(amount) * self.brain.modes[name] for name, amount in amounts.items()]
        return Warp(np.asarray(sum(grown, start=smooth), np.float32))

    @cached_property
    def volumes_ml(self) -> dict[str, float]:
        """Structure, `ventricles` and `brain` -> ml; a structure that the brain does not have is missing."""
        size = float(np.prod(self.anatomy.axes)) / 1000
        found = {
            name: self.brain.counts[name] * size * float(_stretch(basis, self.warp.coefficients).mean())
            for name, basis in self.brain.bases.items()
        }
        found["ventricles"] = size * float(self._ventricle_mm3[self._ventricle_step])
        stretch = float(_stretch(self.brain.whole, self.warp.coefficients).mean())
        return found | {"brain": self.brain.hull_ml * 1000 * size * stretch}

    @cached_property
    def centres_mm(self) -> dict[str, Floats]:
        """Structure -> centre of mass (3,) in the person's mm, before any pose."""
        found = {}
        for name, points in self.brain.points.items():
            basis = self.brain.bases[name]
            weight = _stretch(basis, self.warp.coefficients)
            moved = points + basis.displacement(self.warp.coefficients)
            found[name] = geometry.apply_affine(self.matrix, (moved * weight[:, None]).sum(0) / weight.sum())
        return found

    def labels_on(self, grid: Grid) -> NDArray[np.uint8]:
        """Brain labels (I, J, K) on a RAS `grid` without turn in template mm, before the size; 0 outside."""
        from scipy import ndimage

        source = self.brain.labels.grid
        aged = self.brain.aged(self._ventricle_step * EDGE_STEP, self.anatomy.cortex_lost)
        back = self.warp.inverse_on_lattice()
        for axis in range(3):
            back = ndimage.spline_filter1d(back, 3, axis, output=np.float32)
        found = np.zeros(grid.shape, np.uint8)
        x, y, z = (grid.affine[a, a] * np.arange(n) + grid.affine[a, 3] for a, n in enumerate(grid.shape))
        across = _between_knots(back, 1, y)
        across = _between_knots(across, 2, z)
        for i, place in enumerate(x):
            moved = _between_knots(across, 0, np.array([place]))[0]
            at = [
                np.rint(moved[..., a] + base - source.affine[a, 3]).astype(np.int32)
                for a, base in enumerate((np.float32(place), y[:, None].astype(np.float32), z.astype(np.float32)))
            ]
            within = np.all([(index >= 0) & (index < n) for index, n in zip(at, aged.shape, strict=True)], axis=0)
            found[i][within] = aged[tuple(index[within] for index in at)]
        return found

    @property
    def _bases(self) -> tuple[Basis, ...]:
        return tuple(self.brain.bases.values())

    @cached_property
    def _ventricle_mm3(self) -> Floats:
        """Volume of the first n * `EDGE_STEP` voxels of the order in which ventricles grow, before the size."""
        stretch = _stretch(self.brain.ventricle_edge, self.warp.coefficients)
        return np.concatenate([[0.0], np.cumsum(stretch)]) * EDGE_STEP

    @cached_property
    def _ventricle_step(self) -> int:
        wanted = self.brain.ventricle_count * self.anatomy.ventricles
        return int(np.abs(self._ventricle_mm3 - wanted).argmin())

    def _amounts(self, smooth: Floats32) -> dict[str, float]:
        """How much of each mode gives each structure its volume: Newton's method on logarithms of volumes."""
        names = self.brain.known
        bent = {name: np.eye(3) + basis.slopes(smooth) for name, basis in self.brain.bases.items()}
        wanted = np.array([np.log(self.anatomy.parts[name]) for name in names])
        amounts = np.zeros(len(names))
        for _ in range(STEPS):
            logs, curve = np.zeros(len(names)), np.zeros((len(names), len(names)))
            for row, name in enumerate(names):
                modes = np.stack([self.brain.mode_slopes[name][mode] for mode in names])
                jacobian = bent[name] + np.tensordot(amounts, modes, 1)
                stretch = np.linalg.det(jacobian)
                logs[row] = np.log(stretch.mean())
                rise = np.einsum("nab,mnba->mn", np.linalg.inv(jacobian), modes)
                curve[row] = (rise * stretch).mean(1) / stretch.mean()
            if np.abs(logs - wanted).max() < CLOSE:
                break
            amounts -= np.linalg.solve(curve, logs - wanted)
        return dict(zip(names, amounts.tolist(), strict=True))


def _stretch(basis: Basis, coefficients: Floats32) -> Floats:
    """(N,): what becomes of a small volume at each point, as a share."""
    stretch: Floats = np.linalg.det(np.eye(3) + basis.slopes(coefficients))
    return stretch


def _between_knots(coefficients: Floats32, axis: int, at_mm: Floats) -> Floats32:
    """Cubic splines between the lattice's knots along one axis: (.., n, ..) to (.., len(at_mm), ..)."""
    index = (at_mm - LATTICE.affine[axis, 3]) / LATTICE.affine[axis, axis]
    whole = np.clip(np.floor(index).astype(int), 1, coefficients.shape[axis] - 3)
    shares = weights(np.clip(index - whole, 0, 1)).astype(np.float32)
    shape = [-1 if a == axis else 1 for a in range(coefficients.ndim)]
    found = np.float32(0)
    for offset in range(4):
        found = found + shares[:, offset].reshape(shape) * np.take(coefficients, whole - 1 + offset, axis)
    return np.asarray(found, np.float32)
