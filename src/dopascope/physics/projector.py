"""Projections of an image by a rotating parallel-hole camera, and their exact adjoint.

Modelled: line integrals over strips, attenuation by a map, a Gaussian spread that grows with the distance from the
collimator, across and along the axis. Not modelled here: scatter and septal penetration (they enter a reconstruction
as an additive term), the collimator's hole pattern, decay during the scan.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from dopascope.errors import UsageError
from dopascope.physics.attenuation import Transmission
from dopascope.physics.blur import PointSpread
from dopascope.physics.footprint import Footprints, footprints
from dopascope.physics.orbit import Geometry, chosen_views


class Projector:
    """The linear map from images (B, nx, ny, nz) to projections (B, views, nu, nz) and its transpose.

    A projection's value is the mean over a bin of the line integral in (image unit) x mm. Images are read and
    written only within `geometry.support`.

    Attributes:
        geometry: see `Geometry`.
        device: where the matrices are and the results are made.
    """

    def __init__(
        self,
        geometry: Geometry,
        mu: ArrayLike | Tensor | None = None,
        spread: PointSpread | None = None,
        device: str | torch.device = "cpu",
        *,
        keep_attenuation: bool = True,
    ) -> None:
        """Prepare projections.

        Args:
            geometry: image, views and detector.
            mu: attenuation map in 1/mm, (nx, ny, nz) or one for each image (B, nx, ny, nz); None: no attenuation.
            spread: None: no blur.
            device: cpu or cuda.
            keep_attenuation: store the factors of every view, views x columns x nz x 4 bytes (150 MB for 120 views
                of a 128 x 128 x 64 image within a 130 mm orbit); without it they are computed at each use.

        Raises:
            UsageError: `mu` of another shape, negative, or not finite.
        """
        self.geometry = geometry
        self.device = torch.device(device)
        self._matrices = _on(footprints(geometry, spread), self.device)
        self._support = torch.from_numpy(np.flatnonzero(geometry.support)).to(self.device)
        self._transmission: Transmission | None = None
        if mu is not None:
            self._transmission = Transmission(self._checked_mu(mu), geometry, keep=keep_attenuation)

    def forward(self, image: ArrayLike | Tensor, views: Sequence[int] | None = None) -> Tensor:
        """Project (B, nx, ny, nz) to (B, views, nu, nz), float32.

        Raises:
            UsageError: an image of another shape, or a view there is not.
        """
        return self.project(self.packed(image), views).permute(2, 0, 1, 3).contiguous()

    def back(self, projections: ArrayLike | Tensor, views: Sequence[int] | None = None) -> Tensor:
        """The adjoint: (B, views, nu, nz) to (B, nx, ny, nz), float32; 0 outside the support.

        Raises:
            UsageError: projections of another shape, or a view there is not.
        """
        chosen = chosen_views(self.geometry, views)
        return self.unpacked(self.project_back(self.packed_views(projections, len(chosen)), chosen))

    def sensitivity(self, views: Sequence[int] | None = None) -> Tensor:
        """Back projection of ones, (B or 1, nx, ny, nz): how much of a voxel's activity the views see."""
        return self.unpacked(self.packed_sensitivity(views))

    # --- the same on packed arrays, which iterations keep: (support columns, B, nz) and (views, nu, B, nz)

    def packed(self, image: ArrayLike | Tensor) -> Tensor:
        """(B, nx, ny, nz) to (support columns, B, nz)."""
        tensor = self._tensor(image)
        if tensor.ndim != 4 or tuple(tensor.shape[1:]) != self.geometry.shape:
            raise shape_refused("image", tensor, f"(B, {', '.join(map(str, self.geometry.shape))})")
        return tensor.flatten(1, 2).index_select(1, self._support).transpose(0, 1).contiguous()

    def unpacked(self, packed: Tensor) -> Tensor:
        """(support columns, B, nz) to (B, nx, ny, nz)."""
        nx, ny, nz = self.geometry.shape
        image = torch.zeros(packed.shape[1], nx * ny, nz, device=self.device)
        return image.index_copy_(1, self._support, packed.transpose(0, 1)).view(-1, nx, ny, nz)

    def packed_views(self, projections: ArrayLike | Tensor, views: int | None = None) -> Tensor:
        """(B, views, nu, nz) to (views, nu, B, nz); `views` is how many there must be, None for all."""
        tensor = self._tensor(projections)
        views = self.geometry.views if views is None else views
        expected = (views, self.geometry.nu, self.geometry.shape[2])
        if tensor.ndim != 4 or tuple(tensor.shape[1:]) != expected:
            raise shape_refused("projections", tensor, f"(B, {', '.join(map(str, expected))})")
        return tensor.permute(1, 2, 0, 3).contiguous()

    def packed_sensitivity(self, views: Sequence[int] | None = None) -> Tensor:
        """Like `sensitivity`, (support columns, B or 1, nz)."""
        chosen = chosen_views(self.geometry, views)
        batch = 1 if self._transmission is None else self._transmission.batch
        shape = (len(chosen), self.geometry.nu, batch, self.geometry.shape[2])
        return self.project_back(torch.ones(shape, device=self.device), chosen)

    def project(self, packed: Tensor, views: Sequence[int] | None = None) -> Tensor:
        """(support columns, B, nz) to (views, nu, B, nz)."""
        chosen = chosen_views(self.geometry, views)
        _, batch, nz = packed.shape
        out = torch.empty(len(chosen), self.geometry.nu, batch, nz, device=self.device)
        blur = self._matrices.blur
        for place, view in enumerate(chosen):
            seen = packed if self._transmission is None else packed * self._transmission.factors(view)
            strips = self._matrices.views[view][0](seen.view(-1, batch * nz))
            if blur is not None:
                nodes = blur.axial.shape[0]
                strips = blur.across(torch.bmm(strips.view(nodes, -1, nz), blur.axial).view(-1, batch * nz))
            out[place] = strips.view(-1, batch, nz)
        return out

    def project_back(self, packed: Tensor, views: Sequence[int] | None = None) -> Tensor:
        """(views, nu, B, nz) to (support columns, B, nz): the transpose of `project`, step by step."""
        chosen = chosen_views(self.geometry, views)
        _, _, batch, nz = packed.shape
        out = torch.zeros(len(self._support), batch, nz, device=self.device)
        blur = self._matrices.blur
        for place, view in enumerate(chosen):
            strips = packed[place].reshape(-1, batch * nz)
            if blur is not None:
                nodes = blur.axial.shape[0]
                strips = torch.bmm(blur.across_back(strips).view(nodes, -1, nz), blur.axial).view(-1, batch * nz)
            seen = self._matrices.views[view][1](strips).view(-1, batch, nz)
            if self._transmission is None:
                out += seen
            else:
                out.addcmul_(seen, self._transmission.factors(view))
        return out

    # --- what comes in

    def _tensor(self, values: ArrayLike | Tensor) -> Tensor:
        return as_float32(values).to(self.device)

    def _checked_mu(self, mu: ArrayLike | Tensor) -> Tensor:
        tensor = self._tensor(mu)
        if tensor.ndim == 3:
            tensor = tensor[None]
        if tensor.ndim != 4 or tuple(tensor.shape[1:]) != self.geometry.shape:
            raise shape_refused("mu", tensor, f"{self.geometry.shape} with or without a batch axis before it")
        if not bool(((tensor >= 0) & torch.isfinite(tensor)).all()):
            raise UsageError(
                "An attenuation map must hold finite values of 0 and above.",
                where="mu",
                found=f"{float(tensor.min()):g} to {float(tensor.max()):g} 1/mm",
                expected="0 in air, near 0.015 1/mm in tissue at 159 keV",
                fix="Give the map in 1/mm and clip what interpolation has made negative.",
            )
        return tensor


def _on(matrices: Footprints, device: torch.device) -> Footprints:
    views = tuple((forward.to(device), back.to(device)) for forward, back in matrices.views)
    return Footprints(views, None if matrices.blur is None else matrices.blur.to(device))


def as_float32(values: ArrayLike | Tensor) -> Tensor:
    """A float32 tensor; of anything but a tensor a copy, since arrays may be read-only or run backwards."""
    if isinstance(values, Tensor):
        return values.to(torch.float32)
    return torch.from_numpy(np.array(values, np.float32, order="C"))


def shape_refused(what: str, found: Tensor, expected: str) -> UsageError:
    """The error of an array that is not of the geometry's shape."""
    return UsageError(
        f"The {what} do not fit the projector's geometry.",
        where=what,
        found=tuple(found.shape),
        expected=expected,
        fix="Bring the arrays to the geometry's shape, with a leading batch axis.",
    )
