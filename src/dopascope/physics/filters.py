"""Low-pass filters after reconstruction, in 3-D (torch)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch import Tensor

from dopascope.errors import UsageError
from dopascope.physics.blur import FWHM_PER_SIGMA

PAD_MM: Final = 40.0
"""Images go on with their edge values this far before they are filtered, so that ends do not meet."""


def butterworth(image: Tensor, voxel_mm: Sequence[float], cutoff_per_cm: float, order: float) -> Tensor:
    """Filter (B, nx, ny, nz) by the amplitude 1 / (1 + (f / cutoff)^(2 order)), f in cycles/cm over three axes.

    The amplitude at the cut-off is 1/2. Some makers take the square root of it (amplitude .71): for those, the same
    filter has a lower order or cut-off.

    Raises:
        UsageError: a cut-off or order that is not above 0.
    """
    _check("cutoff_per_cm", cutoff_per_cm)
    _check("order", order)
    return _filtered(image, voxel_mm, lambda f2: (1 + (100 * f2 / cutoff_per_cm**2) ** order).reciprocal())


def gaussian(image: Tensor, voxel_mm: Sequence[float], fwhm_mm: float) -> Tensor:
    """Blur (B, nx, ny, nz) by a Gaussian of `fwhm_mm`.

    Raises:
        UsageError: a width that is not above 0.
    """
    _check("fwhm_mm", fwhm_mm)
    sigma = fwhm_mm / FWHM_PER_SIGMA
    return _filtered(image, voxel_mm, lambda f2: torch.exp(-2 * (math.pi * sigma) ** 2 * f2))


def cutoff_per_cm(cutoff_per_pixel: float, pixel_mm: float) -> float:
    """A cut-off in cycles/pixel as cycles/cm; one given in Nyquist is half as many cycles/pixel."""
    return 10 * cutoff_per_pixel / pixel_mm


def _filtered(image: Tensor, voxel_mm: Sequence[float], amplitude: Callable[[Tensor], Tensor]) -> Tensor:
    """Multiply the spectrum by `amplitude` of the squared frequency in 1/mm^2."""
    shape = image.shape[1:]
    pads = [math.ceil(PAD_MM / v) for v in voxel_mm]
    padded = torch.nn.functional.pad(image, [p for pad in reversed(pads) for p in (pad, pad)], mode="replicate")
    size = tuple(padded.shape[1:])
    axes = [torch.fft.fftfreq(n, v, device=image.device) for n, v in zip(size[:2], voxel_mm[:2], strict=True)]
    axes.append(torch.fft.rfftfreq(size[2], voxel_mm[2], device=image.device))
    f2 = axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2
    spectrum = torch.fft.rfftn(padded, dim=(1, 2, 3)) * amplitude(f2)
    inside = tuple(slice(p, p + n) for p, n in zip(pads, shape, strict=True))
    filtered: Tensor = torch.fft.irfftn(spectrum, s=size, dim=(1, 2, 3))[(slice(None), *inside)]
    return filtered.contiguous()


def _check(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise UsageError(
            "A filter cannot be meant.",
            where=name,
            found=value,
            expected="a finite number above 0",
            fix=f"Give {name} as a positive number.",
        )
