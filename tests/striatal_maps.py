"""Striata from other label maps than ours, and the BenAuer phantom, for tests.

A phantom whose anatomy is the template's own proves little, so registration and the atlas are tried on CIT168, Allen,
BigBrain and Tian. `striatal_parts` gives each as our six regions on one fine grid in MNI space.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dopascope import atlas
from dopascope.atlas.striatum import SPLIT_AT_MM, SPLIT_SLOPE, index_box
from dopascope.volume import Grid, LabelMap, Volume

ATLASES = {
    "tian": "atlases_mni/tian_melbourne/Tian_Subcortex_S2_3T_2009cAsym.nii.gz",
    "cit168": "atlases_mni/CIT168/CIT168.nii.gz",
    "allen": "atlases_mni/Allen/AllenAtlas.nii.gz",
    "bigbrain": "atlases_mni/BigBrain/bigbrain.nii.gz",
}
"""Name -> path in the data folder. All are in some variant of MNI152; none is exactly ours."""

TITLES = {
    "tian": "Melbourne Subcortex S2 (Tian 2020), 2 mm",
    "cit168": "CIT168 (Pauli 2018), 1 mm",
    "allen": "Allen Human Reference (Ding 2016), 0.5 mm",
    "bigbrain": "BigBrain (Xiao 2019), 0.5 mm",
}

FINE = Grid((88, 60, 48), np.array([[1.0, 0, 0, -43.5], [0, 1, 0, -30.5], [0, 0, 1, -20.5], [0, 0, 0, 1]]))
"""1 mm voxels around both striata."""

LABELS = {  # caudate and putamen labels, left and right; Allen is not split by side
    "cit168": ({"left": (3,), "right": (4,)}, {"left": (1,), "right": (2,)}),
    "bigbrain": ({"left": (7,), "right": (8,)}, {"left": (9,), "right": (10,)}),
    "allen": ({"left": (6, 7, 8), "right": (6, 7, 8)}, {"left": (9,), "right": (9,)}),
    "tian": ({"left": (31, 32), "right": (15, 16)}, {"left": (29, 30), "right": (13, 14)}),
}


def load_map(data_dir: Path, name: str) -> tuple[NDArray[np.uint8], Grid]:
    """The label array around the striata, and its grid; of CIT168 the best label where it reaches one half."""
    import nibabel

    image = nibabel.load(data_dir / ATLASES[name])
    stored = np.asarray(image.dataobj)
    # CIT168 is PAQD-coded: R best label, G second label, B and A their probabilities times 255
    labels = np.where(stored["B"] >= 128, stored["R"], 0) if name == "cit168" else np.rint(stored)
    whole = Grid(labels.shape, image.affine)
    box = index_box(whole, [-45, -45, -30], [45, 40, 40])
    affine = whole.affine.copy()
    affine[:3, 3] = whole.to_world([s.start for s in box])
    labels = labels[box].astype(np.uint8)
    return labels, Grid(labels.shape, affine)


def native_masks(data_dir: Path, name: str) -> tuple[dict[str, NDArray[np.bool_]], Grid]:
    """Masks caudate and putamen a side on the map's own grid."""
    labels, grid = load_map(data_dir, name)
    x = grid.centres_mm()[..., 0]
    masks = {}
    for structure, sides in zip(("caudate", "putamen"), LABELS[name], strict=True):
        for side, values in sides.items():
            masks[f"{structure}_{side}"] = np.isin(labels, values) & ((x > 0) if side == "right" else (x < 0))
    return masks, grid


def striatal_parts(
    data_dir: Path, name: str, grid: Grid = FINE, *, supersample: int = 2
) -> dict[str, NDArray[np.float32]]:
    """The six regions of `atlas.REGIONS` from the label map `name`, as fractions of the voxels of `grid` (MNI mm).

    The putamen is parted by the plane of our own atlas.
    """
    masks, native = native_masks(data_dir, name)
    parts = {region: np.zeros(grid.shape, np.float32) for region in atlas.REGIONS}
    offsets = (np.arange(supersample) + 0.5) / supersample - 0.5
    for shift in np.stack(np.meshgrid(offsets, offsets, offsets, indexing="ij"), -1).reshape(-1, 3):
        points = grid.centres_mm() + grid.affine[:3, :3] @ shift
        index = np.rint(native.to_index(points)).astype(int)
        valid = ((index >= 0) & (index < native.shape)).all(-1)
        i, j, k = np.moveaxis(np.where(valid[..., None], index, 0), -1, 0)
        anterior = points[..., 1] - SPLIT_SLOPE * points[..., 2] > SPLIT_AT_MM
        for key, mask in masks.items():
            structure, side = key.split("_")
            found = (mask[i, j, k] & valid) / np.float32(supersample**3)
            if structure == "caudate":
                parts[key] += found
            else:
                parts[f"anterior_putamen_{side}"] += found * anterior
                parts[f"posterior_putamen_{side}"] += found * ~anterior
    return parts


def centroids_mm(parts: Mapping[str, NDArray[np.float32]], grid: Grid) -> dict[str, NDArray[np.float64]]:
    """Centre of mass (3,) of each region of `parts`, mm."""
    points = grid.centres_mm()
    return {name: (points * w[..., None]).sum((0, 1, 2)) / w.sum() for name, w in parts.items()}


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Dice overlap of two masks."""
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def our_masks(labels: LabelMap) -> dict[str, NDArray[np.bool_]]:
    """Caudate and putamen a side of `atlas.striatum_labels` as masks."""
    names = [f"{structure}_{side}" for structure in ("caudate", "putamen") for side in ("left", "right")]
    return {name: np.any([labels.mask(part) for part in atlas.PARTS[name]], axis=0) for name in names}


def benauer_source(data_dir: Path) -> tuple[NDArray[np.int16], Grid]:
    """The BenAuer FP-CIT source map (0 air, 10 fluid and skull, 100 brain and scalp, 800 striatum) and its grid.

    The grid is centred on the head; the front of the head is where the second index is low.
    """
    import nibabel

    image = nibabel.load(data_dir / "spect_dat" / "benauer_dat_phantom" / "DaT_Source_120x120x120.nii.gz")
    affine = image.affine.copy()
    affine[:3, 3] = -affine[:3, :3] @ [59.0, 62.0, 58.0]
    return np.asarray(image.dataobj), Grid(image.shape, affine)


def benauer_scan(
    data_dir: Path,
    pose: NDArray[np.float64] | None = None,
    *,
    fwhm_mm: float = 11.0,
    noise: float = 0.05,
    seed: int = 0,
    spacing_mm: float = 3.0,
    binding_ratio: float | None = None,
) -> tuple[Volume, dict[str, NDArray[np.float64]]]:
    """A DaT-like scan of the BenAuer phantom, and the centroids (3,) of its striata in scan mm, by side.

    `pose` (4, 4) moves the phantom, mm to mm; `noise` is the standard deviation relative to brain. `binding_ratio`
    replaces the phantom's own striatum to brain ratio less one (7).
    """
    from scipy import ndimage

    source, grid = benauer_source(data_dir)
    pose = np.eye(4) if pose is None else pose
    activity = source.astype(float)
    if binding_ratio is not None:
        activity[source == 800] = 100 * (1 + binding_ratio)
    blurred = ndimage.gaussian_filter(activity, fwhm_mm / 2.3548 / np.array(grid.spacing_mm))
    shape = (72, 86, 64)
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = -spacing_mm * (np.array(shape) - 1) / 2
    out = Grid(shape, affine)
    index = grid.to_index((out.centres_mm() @ np.linalg.inv(pose)[:3, :3].T) + np.linalg.inv(pose)[:3, 3])
    scan = ndimage.map_coordinates(blurred, np.moveaxis(index, -1, 0), order=1)
    rough = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 6 / 2.3548 / spacing_mm)
    scan += noise * 100 * np.sqrt(np.clip(scan, 0, None) / 100) * rough / rough.std()
    points = grid.centres_mm()
    truth = {
        side: (pose[:3, :3] @ points[(source == 800) & (points[..., 0] * sign > 0)].mean(0)) + pose[:3, 3]
        for side, sign in (("left", -1), ("right", 1))
    }
    return Volume(np.clip(scan, 0, None), out), truth
