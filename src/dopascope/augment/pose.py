"""Changes of position: one interpolation for all of them together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def affine(
    generator: torch.Generator,
    count: int,
    shape: Sequence[int],
    *,
    rotation_deg: float = 0.0,
    scale: float = 0.0,
    shift: Sequence[float] = (),
    crop: float = 0.0,
) -> Tensor:
    """Draw one affine for each image.

    Args:
        generator: on the CPU, so that every device and every process draws the same.
        count: images B.
        shape: `(I, J)` or `(I, J, K)`.
        rotation_deg: largest turn about the last axis, and in a volume about each axis, uniform both ways.
        scale: largest relative change of size, uniform both ways, the same along every axis.
        shift: largest displacement along each axis in voxels, uniform both ways.
        crop: largest share of each side that a random crop, enlarged to the whole again, leaves out.

    Returns:
        `(B, N, N + 1)`: output voxel to input voxel, in voxels from the centre.
    """
    axes = len(shape)
    kept = 1 - crop * _uniform(generator, count, 1).abs()
    size = (1 + scale * _uniform(generator, count, 1)) / kept
    linear = torch.eye(axes).expand(count, axes, axes) / size[:, :, None]
    planes = [(0, 1)] if axes == 2 else [(0, 1), (0, 2), (1, 2)]
    for first, second in planes:
        linear = _turn(_uniform(generator, count, 1)[:, 0] * rotation_deg, axes, first, second) @ linear
    extents = torch.tensor([float(size) for size in shape])
    room = extents * (1 - kept) / 2
    moved = _uniform(generator, count, axes) * room
    if shift:
        moved = moved + _uniform(generator, count, axes) * torch.tensor([float(one) for one in shift])
    return torch.cat([linear, moved[:, :, None]], 2)


def resample(images: Tensor, to_input: Tensor) -> Tensor:
    """Images `(B, C, I, J[, K])` at the places that `affine` gives, linear; outside, the nearest edge's value."""
    shape = images.shape[2:]
    # grid_sample counts axes from the last one, in units of half the extent.
    half = (torch.tensor([float(size) for size in shape], device=images.device) - 1) / 2
    matrix = to_input.to(images)
    matrix = torch.cat([matrix[:, :, :-1] * half / half[:, None], matrix[:, :, -1:] / half[:, None]], 2)
    turned = torch.cat([matrix[:, :, :-1].flip(1, 2), matrix[:, :, -1:].flip(1)], 2)
    grid = functional.affine_grid(turned, list(images.shape), align_corners=True)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _uniform(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=generator) * 2 - 1


def _turn(degrees: Tensor, axes: int, first: int, second: int) -> Tensor:
    angle = torch.deg2rad(degrees)
    matrix = torch.eye(axes).repeat(len(degrees), 1, 1)
    matrix[:, first, first] = matrix[:, second, second] = torch.cos(angle)
    matrix[:, first, second] = -torch.sin(angle)
    matrix[:, second, first] = torch.sin(angle)
    return matrix
