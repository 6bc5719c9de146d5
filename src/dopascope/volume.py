"""The values everything else passes around: Grid, Volume, LabelMap, SliceImage.

A volume is an array plus an affine plus a kind, and the kind decides interpolation: a `Volume` of
intensities is interpolated, a `LabelMap` never is. All are immutable: an operation returns a new one
and appends what it did to `history`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope import geometry
from dopascope.errors import GeometryError


@dataclass(frozen=True, eq=False)
class Grid:
    """A box of voxel centres in space: `shape` (I, J, K) and `affine` (4, 4), index to RAS mm.

    Raises:
        GeometryError: the affine is not finite or cannot be inverted, or an axis has no voxel.
    """

    shape: tuple[int, int, int]
    affine: geometry.Affine

    def __post_init__(self) -> None:
        affine = np.array(self.affine, np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise GeometryError(
                "The affine is not a finite 4 x 4 matrix.",
                found=np.array2string(affine, precision=3),
                expected="16 finite numbers, last row 0 0 0 1",
                fix="Convert the scan again from its DICOM files.",
            )
        if abs(np.linalg.det(affine[:3, :3])) < geometry.SINGULAR_MM3 or min(self.shape) < 1:
            raise GeometryError(
                "The grid has no volume.",
                found=f"shape {self.shape}, spacing {geometry.spacing_mm(affine)} mm",
                expected="at least one voxel of more than zero mm on each axis",
                fix="Convert the scan again from its DICOM files.",
            )
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel edges in mm along the array axes."""
        i, j, k = geometry.spacing_mm(self.affine)
        return float(i), float(j), float(k)

    @property
    def axis_codes(self) -> str:
        """Where the array axes point, such as `RAS`."""
        return geometry.axis_codes(self.affine)

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Field of view along the array axes, voxel edges included."""
        i, j, k = (n * s for n, s in zip(self.shape, self.spacing_mm, strict=True))
        return i, j, k

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    @property
    def centre_mm(self) -> NDArray[np.float64]:
        """World position (3,) of the middle of the box."""
        return self.to_world((np.array(self.shape) - 1) / 2)

    def to_world(self, index: ArrayLike) -> NDArray[np.float64]:
        """Voxel indices (..., 3) to RAS mm."""
        return geometry.apply_affine(self.affine, index)

    def to_index(self, world_mm: ArrayLike) -> NDArray[np.float64]:
        """RAS mm (..., 3) to fractional voxel indices."""
        return geometry.apply_affine(np.linalg.inv(self.affine), world_mm)

    def centres_mm(self) -> NDArray[np.float64]:
        """World positions of all voxel centres, `(I, J, K, 3)`."""
        return self.to_world(np.moveaxis(np.indices(self.shape), 0, -1))

    def distance_mm(self, other: Grid) -> float:
        """Largest distance between corresponding corner voxels; infinite when the shapes differ."""
        if self.shape != other.shape:
            return float("inf")
        corners = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)]) * (np.array(self.shape) - 1)
        return float(np.linalg.norm(self.to_world(corners) - other.to_world(corners), axis=1).max())

    def same_as(self, other: Grid, tolerance_mm: float = geometry.SAME_AFFINE_MM) -> bool:
        """True when shapes agree and no corner voxel is further off than `tolerance_mm`."""
        return self.distance_mm(other) <= tolerance_mm

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grid) and self.shape == other.shape and np.array_equal(self.affine, other.affine)

    def __hash__(self) -> int:
        return hash((self.shape, self.affine.tobytes()))


MNI_2MM: Final = Grid((91, 109, 91), np.array([[2.0, 0, 0, -90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]]))
"""The MNI152 grid of 2 mm that templates, regions and network inputs live on."""


@dataclass(frozen=True)
class Step:
    """One thing that was done to a volume, with all that is needed to do it again."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)


Sex = Literal["F", "M"]


@dataclass(frozen=True)
class Acquisition:
    """What the header says of how the scan was made. `None` means that the header does not say.

    Nothing here identifies a person: identity stays in `formats.identity`.
    """

    modality: str | None = None
    """`NM`, `PT`, `MR`, `CT` as DICOM writes it; None for NIfTI and images."""
    image_type: tuple[str, ...] = ()
    manufacturer: str | None = None
    model: str | None = None
    radiopharmaceutical: str | None = None
    radionuclide: str | None = None
    collimator: str | None = None
    reconstruction: str | None = None
    filter: str | None = None
    attenuation_corrected: bool | None = None
    scatter_corrected: bool | None = None
    corrections: tuple[str, ...] = ()
    activity_mbq: float | None = None
    hours_after_injection: float | None = None
    frame_duration_s: float | None = None
    units: str | None = None
    age_years: float | None = None
    sex: str | None = None
    """`F` or `M`; the header's age and sex are kept because reference values need them."""


CAMERA_FACTS: Final = ("manufacturer", "model")
FACTS: Final = (
    *CAMERA_FACTS,
    "collimator",
    "reconstruction",
    "filter",
    "attenuation_corrected",
    "scatter_corrected",
)
"""Fields of an `Acquisition` that change a binding ratio, the camera first."""

_LONGEST: Final = 64
"""Characters of a header's text that are repeated in a sentence (a DICOM LO has no more)."""


def said(value: str | bool | None) -> str:
    """A fact as it stands in a sentence: `'OSEM 8i8s'`, `yes`, `no`, `not stated`."""
    if value is None:
        return "not stated"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(value if len(value) <= _LONGEST else f"{value[:_LONGEST]}...")


def same(one: str | bool | None, other: str | bool | None) -> bool:
    """Whether two facts are equal; case and spacing, in which headers of one camera vary, do not count."""
    return plain(one) == plain(other)


def plain(value: str | bool | None) -> str | bool | None:
    """A fact with case and spacing taken out."""
    return " ".join(value.split()).casefold() if isinstance(value, str) else value


@dataclass(frozen=True)
class Source:
    """Where a volume came from: enough to find and check it again, nothing that names a person."""

    path: str
    format: str
    """The reader's name, such as `nifti` or `dicom-nm`."""
    sha256: str
    """Of the file's bytes; of a series, of its files' digests in slice order."""
    files: int = 1
    assumed: tuple[str, ...] = ()
    """What the reader had to assume, each printed as ASSUMED."""
    orientation_from: str = ""
    """How the orientation is known, such as `sform` or `Image Orientation (Patient)`."""


@dataclass(frozen=True, eq=False)
class _Image:
    data: NDArray[Any]
    grid: Grid

    def _check(self) -> None:
        if self.data.shape != self.grid.shape:
            raise GeometryError(
                "Array and grid do not have the same shape.",
                found=f"array {self.data.shape}, grid {self.grid.shape}",
                expected="equal shapes (I, J, K)",
                fix="Build the Grid from the array's own shape.",
            )


@dataclass(frozen=True, eq=False)
class Volume(_Image):
    """Intensities on a grid: float32 `(I, J, K)`; interpolated when resampled.

    Raises:
        GeometryError: the array's shape is not the grid's.
    """

    acquisition: Acquisition = Acquisition()
    source: Source | None = None
    history: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        self._check()
        object.__setattr__(self, "data", np.asarray(self.data, np.float32))

    def with_data(self, data: NDArray[Any], step: Step, grid: Grid | None = None) -> Volume:
        """The same scan after `step`: new `data`, on `grid` if it moved."""
        return replace(self, data=data, grid=grid or self.grid, history=(*self.history, step))


@dataclass(frozen=True, eq=False)
class LabelMap(_Image):
    """Labels on a grid: integers `(I, J, K)`, 0 is background; never interpolated.

    Raises:
        GeometryError: the array's shape is not the grid's.
    """

    names: Mapping[int, str] = field(default_factory=dict)
    history: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        self._check()
        data = np.asarray(self.data)
        object.__setattr__(self, "data", data if data.dtype.kind in "iu" else data.astype(np.int32))

    def mask(self, name: str) -> NDArray[np.bool_]:
        """Voxels of the region called `name`. Raises KeyError for an unknown name."""
        values = [value for value, known in self.names.items() if known == name]
        if not values:
            raise KeyError(f"{name!r} is not one of {sorted(self.names.values())}")
        return np.isin(self.data, values)

    def with_data(self, data: NDArray[Any], step: Step, grid: Grid | None = None) -> LabelMap:
        """The same labels after `step`."""
        return replace(self, data=data, grid=grid or self.grid, history=(*self.history, step))


@dataclass(frozen=True, eq=False)
class SliceImage:
    """A picture of one slice (PNG, JPEG): `(rows, columns)` or `(rows, columns, 3)` float32, no geometry.

    Rows run down the picture and columns to the right, as displayed. Nothing is known of position,
    spacing or side, so no binding ratio is ever computed from one.
    """

    data: NDArray[np.float32]
    source: Source | None = None
    history: tuple[Step, ...] = ()
