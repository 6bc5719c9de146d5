"""N4: the smooth shading of receive coils, estimated within the brain and divided out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import geometry
from dopascope.errors import UnsuitableError
from dopascope.space.resample import resample
from dopascope.volume import Grid, LabelMap, Step, Volume

SHRUNK_MM: Final = 8.0
"""The field varies over centimetres: it is estimated on voxels of about this size."""
ITERATIONS: Final = (50, 50, 50)
"""The most at each level; the mesh of splines doubles from level to level."""
CONVERGED: Final = 1e-4
LEAST_VOXELS: Final = 500
"""Of the shrunk brain."""
DARKEST: Final = 0.02
"""Values below this share of the brain's median are taken for it: N4 works on logarithms."""


@dataclass(frozen=True)
class Shading:
    """What N4 found."""

    iterations: tuple[int, ...]
    """The most allowed at each level."""
    shrunk_mm: tuple[float, float, float]
    spread: float
    """Standard deviation of the field's log within the brain."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {
            "method": "N4",
            "most_iterations": list(self.iterations),
            "converged_below": CONVERGED,
            "estimated_at_mm": [round(one, 3) for one in self.shrunk_mm],
            "log_field_sd": round(self.spread, 4),
        }


def correct_bias(
    volume: Volume, mask: LabelMap, *, iterations: tuple[int, ...] = ITERATIONS, shrunk_mm: float = SHRUNK_MM
) -> tuple[Volume, Shading]:
    """`volume` divided by its shading, whose geometric mean within the brain is 1; and what was found.

    Source: Tustison et al., IEEE Trans Med Imaging 2010, doi 10.1109/TMI.2010.2046908, as ITK has it; one thread, so
    that the bytes are the same each time.

    Args:
        volume: any axis order and grid.
        mask: brain, above 0, on the same grid.
        iterations: the most at each level.
        shrunk_mm: voxels are averaged to about this size before.

    Raises:
        UnsuitableError: too little brain, or none that is above 0.
    """
    blocks = [
        max(1, min(round(shrunk_mm / step), n))
        for n, step in zip(volume.grid.shape, volume.grid.spacing_mm, strict=True)
    ]
    data, grid = _averaged(volume.data, volume.grid, blocks)
    inside = _averaged((mask.data > 0).astype(np.float32), volume.grid, blocks)[0] >= 0.5
    middle = float(np.median(data[inside])) if inside.sum() >= LEAST_VOXELS else 0.0
    if not np.isfinite(middle) or middle <= 0:
        raise UnsuitableError(
            "There is too little brain to find a coil's shading in.",
            where="brain mask",
            found=f"{int(inside.sum()) * grid.voxel_ml:.0f} ml, median intensity {middle:.4g}",
            expected=f"at least {LEAST_VOXELS * grid.voxel_ml:.0f} ml of positive intensities",
            fix="Check the mask over the scan.",
        )
    log_field = _n4(np.maximum(data / middle, DARKEST), inside, grid.spacing_mm, iterations)
    log_field -= log_field[inside].mean()
    field = resample(Volume(log_field, grid), volume.grid, outside="nearest").data
    found = Shading(iterations, grid.spacing_mm, float(log_field[inside].std()))
    return volume.with_data(volume.data * np.exp(-field), Step("bias.n4", found.as_dict())), found


def _averaged(data: NDArray[np.float32], grid: Grid, blocks: list[int]) -> tuple[NDArray[np.float32], Grid]:
    """Means of blocks of voxels; what does not fill a block at the far ends is left out."""
    counts = [n // b for n, b in zip(data.shape, blocks, strict=True)]
    cut = data[tuple(slice(0, n * b) for n, b in zip(counts, blocks, strict=True))]
    shape = [size for n, b in zip(counts, blocks, strict=True) for size in (n, b)]
    mean = cut.reshape(shape).mean(axis=(1, 3, 5), dtype=np.float32)
    affine = grid.affine @ np.diag([*map(float, blocks), 1.0])
    affine[:3, 3] = geometry.apply_affine(grid.affine, (np.array(blocks) - 1) / 2)
    return mean, Grid((counts[0], counts[1], counts[2]), affine)


def _n4(
    data: NDArray[np.float32],
    inside: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    iterations: tuple[int, ...],
) -> NDArray[np.float32]:
    import SimpleITK

    sitk: Any = SimpleITK  # some of its functions have types, and then only half of them
    image = sitk.GetImageFromArray(data.T)
    brain = sitk.GetImageFromArray(inside.T.astype(np.uint8))
    for one in (image, brain):
        one.SetSpacing(spacing)
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(1)
    n4.SetMaximumNumberOfIterations(list(iterations))
    n4.SetConvergenceThreshold(CONVERGED)
    n4.Execute(image, brain)
    field: NDArray[np.float32] = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).T
    return np.array(field, np.float32, order="C")
