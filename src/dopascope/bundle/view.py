"""From a scan on the MNI grid to the array that a model takes, as bundle.json says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.bundle.spec import InputSpec
from dopascope.errors import BundleError, UnsuitableError, UsageError
from dopascope.space import intensity, views
from dopascope.volume import Volume

Floats = NDArray[np.float32]

BRAIN_SLICES: Final = "brain_slices"
GREY_RANGE: Final = "grey_range"
"""Input of segmenters: slices of a scan on its own axes, and its percentiles as 0 and 1 (`bundle.brain`)."""
BRAIN: Final = "brain"
"""Output of segmenters."""


def _no_view(_: Volume) -> Floats:
    raise UsageError(
        "A segmenter sees all slices of a scan, not one view of it.",
        where="bundle.view",
        found=BRAIN_SLICES,
        expected="bundle.brain.find_brain",
    )


VIEWS: Final[dict[str, tuple[Callable[[Volume], Floats], tuple[int, int]]]] = {
    "slab_12mm": (views.slab_12mm, (91, 109)),
    BRAIN_SLICES: (_no_view, (160, 160)),
}
"""View name to the function that takes it from a Volume on `MNI_2MM`, and its shape `(I, J)`."""


def check_known(spec: InputSpec, *, where: object) -> None:
    """Refuse an input that this version cannot make.

    Raises:
        BundleError: an unknown view or intensity method, or a crop outside the view.
    """
    if spec.view not in VIEWS:
        raise _unknown(where, "input.view", spec.view, VIEWS)
    scales = (GREY_RANGE,) if spec.view == BRAIN_SLICES else intensity.METHODS
    if spec.intensity not in scales:
        raise _unknown(where, "input.intensity", spec.intensity, scales)
    shape = VIEWS[spec.view][1]
    if len(spec.crop) != len(shape) or any(stop > size for (_, stop), size in zip(spec.crop, shape, strict=True)):
        raise BundleError(
            "The crop does not fit the view.",
            where=f"{where}: input.crop",
            found=spec.crop,
            expected=f"one range inside each axis of the {spec.view} view, {shape}",
            fix="Get the bundle again from where it came from.",
        )


def _unknown(where: object, field: str, found: str, known: Iterable[str]) -> BundleError:
    return BundleError(
        "The bundle wants something that this dopascope cannot make.",
        where=f"{where}: {field}",
        found=found,
        expected=", ".join(known),
        fix="Update dopascope, or use another bundle.",
    )


def take(volume_mni: Volume, spec: InputSpec) -> Floats:
    """The view `(I, J)` of a scan with raw intensities on `MNI_2MM`, in units of the intensity reference.

    Raises:
        UnsuitableError: the view has values that are not finite.
    """
    function, _ = VIEWS[spec.view]
    reference = intensity.reference_value(volume_mni, spec.intensity)
    return checked((function(volume_mni) / reference).astype(np.float32), spec)


def checked(view: ArrayLike, spec: InputSpec) -> Floats:
    """`view` as float32, with its shape and values checked.

    Raises:
        UnsuitableError: another shape, or values that are not finite.
    """
    values = np.asarray(view, np.float32)
    shape = VIEWS[spec.view][1]
    broken = int((~np.isfinite(values)).sum())
    if values.shape != shape or broken:
        raise UnsuitableError(
            "This is not a picture that the model can judge.",
            where=f"{spec.view} view",
            found=f"shape {values.shape}, {broken} values not finite",
            expected=f"shape {shape}, all finite",
            fix="Give a whole scan on the MNI grid; look at its passport (dopascope inspect).",
        )
    return values


def prepare(views_: Floats, spec: InputSpec) -> Floats:
    """Views `(B, I, J)` in reference units to the model's input `(B, 1, I', J')`: flip, crop, clip, scale."""
    values = views_[:, ::-1] if spec.flip_x else views_
    ranges = tuple(slice(start, stop) for start, stop in spec.crop)
    values = values[(slice(None), *ranges)]
    if spec.clip is not None:
        values = np.clip(values, *spec.clip)
    scaled = (values.astype(np.float32) - np.float32(spec.mean)) / np.float32(spec.sd)
    return np.ascontiguousarray(scaled[:, None], np.float32)


def put_back(differences: Floats, spec: InputSpec) -> Floats:
    """Differences of the model's input `(B, 1, I', J')` to those of views `(B, I, J)`; 0 outside the crop."""
    whole = np.zeros((len(differences), *VIEWS[spec.view][1]), np.float32)
    whole[(slice(None), *(slice(start, stop) for start, stop in spec.crop))] = differences[:, 0] * np.float32(spec.sd)
    return np.ascontiguousarray(whole[:, ::-1] if spec.flip_x else whole)
