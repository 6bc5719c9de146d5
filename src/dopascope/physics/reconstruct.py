"""From projections to images: filtered back projection, MLEM, OSEM and Chang's correction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from dopascope.errors import UsageError
from dopascope.physics.attenuation import chang_factors
from dopascope.physics.orbit import Geometry
from dopascope.physics.projector import Projector, as_float32, shape_refused

Callback = Callable[[int, Tensor], None]
"""Called with the number of the update (from 1) and the image (B, nx, ny, nz) after it."""

_EVEN_DEG: Final = 1e-3
_NOTHING: Final = 1e-12
"""Of the first image's largest value: less is 0, or empty space would shrink into denormal numbers, which are slow."""


def fbp(projections: ArrayLike | Tensor, geometry: Geometry, device: str | torch.device = "cpu") -> Tensor:
    """Filtered back projection with a plain ramp: (B, views, nu, nz) to (B, nx, ny, nz).

    The ramp is the band-limited one sampled in space (Ramachandran and Lakshminarayanan 1971; Kak and Slaney 1988,
    eq. 3.61), which keeps the mean right. Noise is left to a filter on the image (`filters`). Activity comes out in
    its own unit where there is no attenuation.

    Raises:
        UsageError: views that are not evenly spread over 180 or 360 degrees, or another shape.
    """
    _check_even(geometry)
    projector = Projector(geometry, device=device)
    measured = projector.packed_views(projections)
    step = geometry.bin_width
    lag = np.subtract.outer(np.arange(geometry.nu), np.arange(geometry.nu))
    ramp = np.where(lag % 2 == 1, -1 / (math.pi * np.where(lag == 0, 1, lag) * step) ** 2, 0.0)
    np.fill_diagonal(ramp, 1 / (4 * step**2))
    matrix = torch.from_numpy((ramp * step).astype(np.float32)).to(projector.device)
    filtered = (matrix @ measured.flatten(2)).view(measured.shape)
    # A voxel's weights in a view sum to its area over the bin width; the mean over the bins is wanted.
    scale = math.pi / geometry.views * step / (geometry.voxel_mm[0] * geometry.voxel_mm[1])
    return projector.unpacked(projector.project_back(filtered).mul_(scale))


def mlem(
    projections: ArrayLike | Tensor,
    projector: Projector,
    updates: int,
    additive: ArrayLike | Tensor | None = None,
    start: ArrayLike | Tensor | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """Maximum likelihood by expectation maximisation (Shepp and Vardi 1982, IEEE Trans Med Imaging 1:113).

    Arguments and result as in `osem` with one subset.
    """
    return osem(projections, projector, updates, 1, additive, start, callback)


def osem(
    projections: ArrayLike | Tensor,
    projector: Projector,
    iterations: int,
    subsets: int,
    additive: ArrayLike | Tensor | None = None,
    start: ArrayLike | Tensor | None = None,
    callback: Callback | None = None,
    order: Sequence[int] | None = None,
) -> Tensor:
    """Ordered subsets of the views (Hudson and Larkin 1994, IEEE Trans Med Imaging 13:601).

    Args:
        projections: counts (B, views, nu, nz).
        projector: attenuation and blur are corrected as far as it models them.
        iterations: passes over all views.
        subsets: how many; subset s holds views s, s + subsets, ..., and follows one far from it (`subset_order`).
        additive: expected counts that the projector does not make (scatter, penetration), like `projections`.
        start: (B, nx, ny, nz) above 0 where activity may be; None: even within the support.
        callback: see `Callback`.
        order: the subsets in their order within an iteration; None: `subset_order`.

    Returns:
        (B, nx, ny, nz), activity per voxel in counts/mm of line integral.

    Raises:
        UsageError: shapes that do not fit, negative counts, or more subsets than views.
    """
    _check_counts(iterations, subsets, projector.geometry.views)
    measured = _not_negative("projections", projector.packed_views(projections))
    extra = None if additive is None else _not_negative("additive", projector.packed_views(additive))
    parts = [list(range(s, projector.geometry.views, subsets)) for s in _checked_order(order, subsets)]
    data = [(part, measured[part], None if extra is None else extra[part]) for part in parts]
    seen = [projector.packed_sensitivity(part) for part in parts]
    image = _first_image(projector, measured, sum(seen[1:], seen[0]), start)
    nothing = _NOTHING * image.amax((0, 2), keepdim=True)
    number = 0
    for _ in range(iterations):
        for (part, counts, more), sensitivity in zip(data, seen, strict=True):
            expected = projector.project(image, part)
            if more is not None:
                expected += more
            ratio = torch.where(expected > 0, counts / expected, 0.0)
            gain = projector.project_back(ratio, part)
            image = image * gain.div_(sensitivity)
            image = torch.where(image > nothing, image, 0.0)
            number += 1
            if callback is not None:
                callback(number, projector.unpacked(image))
    return projector.unpacked(image)


def subset_order(subsets: int) -> list[int]:
    """Subsets so that each is far from those just before it: the one with the largest least distance comes next.

    Distance on the circle of subsets, as Herman and Meyer 1993 (IEEE Trans Med Imaging 12:600) advise.
    """
    order, left = [0], list(range(1, subsets))
    while left:
        recent = order[-2:]

        def gap(s: int, recent: list[int] = recent) -> tuple[int, int]:
            apart = [min(abs(s - r), subsets - abs(s - r)) for r in recent]
            return min(apart), apart[-1]

        order.append(max(left, key=gap))
        left.remove(order[-1])
    return order


def chang(image: ArrayLike | Tensor, mu: ArrayLike | Tensor, geometry: Geometry) -> Tensor:
    """First-order correction of an FBP image (B, nx, ny, nz) for the map `mu` in 1/mm (see `chang_factors`).

    Raises:
        UsageError: an image or a map of another shape.
    """
    tensor = as_float32(image)
    absorbed = as_float32(mu).to(tensor.device)
    absorbed = absorbed if absorbed.ndim == 4 else absorbed[None]
    for name, values in (("image", tensor), ("mu", absorbed)):
        if tuple(values.shape[1:]) != geometry.shape:
            raise shape_refused(name, values, f"(B, {', '.join(map(str, geometry.shape))})")
    return tensor * chang_factors(absorbed, geometry)


def log_likelihood(counts: Tensor, expected: Tensor) -> float:
    """Poisson log-likelihood of `counts` without its constant: sum of y log(e) - e over bins where e > 0."""
    y, e = counts.double(), expected.double()
    return float(torch.where(e > 0, torch.xlogy(y, e) - e, 0.0).sum())


def _first_image(
    projector: Projector, measured: Tensor, sensitivity: Tensor, start: ArrayLike | Tensor | None
) -> Tensor:
    if start is not None:
        return _not_negative("start", projector.packed(start))
    batch = measured.shape[2]
    seen = sensitivity.expand(-1, batch, -1)
    level = measured.sum((0, 1, 3)) / seen.sum((0, 2))
    return torch.where(seen > 0, level[None, :, None], 0.0)


def _not_negative(name: str, values: Tensor) -> Tensor:
    if bool(((values >= 0) & torch.isfinite(values)).all()):
        return values
    raise UsageError(
        f"An iterative reconstruction needs finite {name} of 0 and above.",
        where=name,
        found=f"{float(values.min()):g} to {float(values.max()):g}",
        expected="0 and above",
        fix="Give raw counts; put a scatter estimate into `additive` instead of subtracting it.",
    )


def _check_counts(iterations: int, subsets: int, views: int) -> None:
    for name, value, most in (("iterations", iterations, 100_000), ("subsets", subsets, views)):
        if not 1 <= value <= most:
            raise UsageError(
                "An iterative reconstruction cannot be meant.",
                where=name,
                found=value,
                expected=f"1 to {most}",
                fix=f"Choose {name} in that range.",
            )


def _checked_order(order: Sequence[int] | None, subsets: int) -> Sequence[int]:
    if order is None:
        return subset_order(subsets)
    if sorted(order) == list(range(subsets)):
        return order
    raise UsageError(
        "An iteration takes every subset once.",
        where="order",
        found=list(order),
        expected=f"0 to {subsets - 1}, each once",
        fix="Give every subset's number once, or no order.",
    )


def _check_even(geometry: Geometry) -> None:
    angles = np.array(geometry.angles_deg)
    steps = np.diff(angles)
    arc = float(abs(steps.sum()) * geometry.views / max(geometry.views - 1, 1))
    even = geometry.views > 1 and np.abs(steps - steps[0]).max() < _EVEN_DEG
    if not (even and min(abs(arc - 180), abs(arc - 360)) < _EVEN_DEG * geometry.views):
        raise UsageError(
            "Filtered back projection needs views evenly over 180 or 360 degrees.",
            where="geometry.angles_deg",
            found=f"{geometry.views} views over {arc:.2f} degrees" + ("" if even else ", uneven"),
            expected="even steps over 180 or 360 degrees",
            fix="Reconstruct with osem, which takes any views.",
        )
