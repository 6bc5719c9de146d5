"""Builds `data/tissue.npz` from the maps that nilearn carries: `python -m dopascope.atlas.build_tissue`.

Run by developers only; what is shipped is its result, and a test builds it again and compares. Needs nilearn.
The source maps are the symmetric grey- and white-matter probabilities and the brain-only T1 at 1 mm (Fonov et al.,
NeuroImage 2011, doi 10.1016/j.neuroimage.2010.07.033), under the notice in `data/ICBM152_NOTICE.txt`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import MissingExtraError
from dopascope.provenance import replacing
from dopascope.volume import MNI_2MM, Grid

Floats = NDArray[np.float64]

LEVELS: Final = 63
"""Maps are stored in steps of 1/63: finer than any use of them, and small."""
HEAD_MARGIN_MM: Final = 13.0
"""Cerebrospinal fluid, skull and scalp outside the brain of the T1 map, which shows the brain only."""
VENTRICLES: Final = ((-34.0, -48.0, -14.0), (34.0, 38.0, 28.0))
"""Box (mm) around the lateral and third ventricles that leaves out the cisterns and the insular fissures."""
FACE: Final = (((0.0, 20.0, -60.0), (56.0, 62.0, 45.0)), ((0.0, -25.0, -72.0), (60.0, 60.0, 45.0)))
"""Centre and semi-axes (mm) of two ellipsoids for face and neck, which the brain-only maps lack."""


def build() -> dict[str, NDArray[np.uint8]]:
    """The maps grey, white, csf, ventricles, brain and head for x >= 0: uint8 (46, 109, 91) of 0 to `LEVELS`.

    Raises:
        MissingExtraError: nilearn is not installed.
    """
    from scipy import ndimage

    grey, white, t1, grid = source_maps()
    mask = ndimage.binary_fill_holes(t1 > 0)
    brain = mask.astype(float)
    fluid = np.clip(brain - grey - white, 0, 1)
    points = grid.centres_mm()
    boxed = ((points > VENTRICLES[0]) & (points < VENTRICLES[1])).all(-1)
    pieces, count = ndimage.label((fluid > 0.5) & boxed)
    sizes = ndimage.sum_labels(np.ones_like(fluid), pieces, np.arange(1, count + 1))
    deep = np.isin(pieces, 1 + np.flatnonzero(sizes > 1000))
    ventricles = fluid * ndimage.binary_dilation(deep, iterations=1) * boxed
    maps = {"grey": grey * mask, "white": white * mask, "csf": fluid, "ventricles": ventricles, "brain": brain}
    maps["head"] = _head(mask, grid)
    return {name: _half_on_mni(values, grid) for name, values in maps.items()}


def source_maps() -> tuple[Floats, Floats, Floats, Grid]:
    """Grey matter, white matter and T1 of the template at 1 mm, made symmetric, 0 to 1; and their grid.

    Raises:
        MissingExtraError: nilearn is not installed.
    """
    try:
        import nibabel
        import nilearn.datasets as datasets
    except ImportError as missing:
        raise MissingExtraError(
            "The tissue maps are rebuilt from files that nilearn carries.",
            where="dopascope.atlas.build_tissue",
            found="nilearn is not installed",
            fix="pip install 'dopascope[dev]'",
        ) from missing
    folder = Path(datasets.__file__).parent / "data"
    load: Any = nibabel.load
    images = [load(folder / f"mni_icbm152_{n}_tal_nlin_sym_09a_converted.nii.gz") for n in ("gm", "wm", "t1")]
    arrays = [np.asarray(image.dataobj, np.float64) / 255 for image in images]
    grey, white, t1 = ((a + a[::-1]) / 2 for a in arrays)
    return grey, white, t1, Grid(grey.shape, images[0].affine)


def _head(mask: NDArray[np.bool_], grid: Grid) -> Floats:
    """Brain with a margin for fluid, skull and scalp, and two ellipsoids for face and neck."""
    from scipy import ndimage

    head: NDArray[np.bool_] = ndimage.distance_transform_edt(~mask) <= HEAD_MARGIN_MM
    points = grid.centres_mm()
    for centre, axes in FACE:
        head |= (((points - centre) / axes) ** 2).sum(-1) < 1
    smooth: Floats = ndimage.gaussian_filter(head.astype(float), 1.5)
    return smooth


def _half_on_mni(values: Floats, grid: Grid) -> NDArray[np.uint8]:
    """Weighted (1 2 1) along each axis, then every second voxel: the maps at `MNI_2MM`, x >= 0."""
    from scipy import ndimage

    for axis in range(3):
        values = ndimage.convolve1d(values, [0.25, 0.5, 0.25], axis=axis, mode="nearest")
    first = grid.to_index(MNI_2MM.to_world((45, 0, 0))).round().astype(int)
    i, j, k = (slice(a, a + 2 * n, 2) for a, n in zip(first, (46, *MNI_2MM.shape[1:]), strict=True))
    return np.round(np.clip(values[i, j, k], 0, 1) * LEVELS).astype(np.uint8)


def main() -> None:
    """Write the maps into the package's data folder."""
    with replacing(Path(__file__).parent / "data" / "tissue.npz") as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **build())


if __name__ == "__main__":
    main()
