"""From stored values to what they mean: rescale and real-world value maps (PS3.3 C.11.1 and C.7.6.16.2.11)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import UnreadableError, UnsupportedError
from dopascope.formats.dicom_file import Header


@dataclass(frozen=True)
class Scaling:
    """`value = stored * slope + intercept`, and the unit where the header names it."""

    slope: float = 1.0
    intercept: float = 0.0
    units: str | None = None

    @property
    def identity(self) -> bool:
        """True when stored values are the values."""
        return self.slope == 1.0 and self.intercept == 0.0

    def applied(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Values of `stored`; worked out in float64 where float32 cannot hold every stored value."""
        if self.identity:
            return stored
        kind = np.float32 if stored.dtype.itemsize <= 2 else np.float64
        made: NDArray[Any] = stored * kind(self.slope) + kind(self.intercept)
        return made


def rescale_of(header: Header) -> Scaling | None:
    """Rescale Slope and Intercept (C.11.1), or None when neither is there.

    Raises:
        UnreadableError: a slope of zero or a number that is not finite.
    """
    slope, intercept = header.number("RescaleSlope"), header.number("RescaleIntercept")
    if slope is None and intercept is None:
        return None
    return _checked(header, 1.0 if slope is None else slope, intercept or 0.0, header.text("Units"))


def real_world_of(header: Header) -> tuple[Scaling | None, tuple[str, ...]]:
    """The linear real-world value map (C.7.6.16.2.11) and what had to be assumed to choose it.

    Raises:
        UnsupportedError: only a look-up table is given, which is not read.
    """
    maps = header.items("RealWorldValueMappingSequence")
    if not maps:
        return None, ()
    linear = [one for one in maps if one.number("RealWorldValueSlope") is not None]
    if not linear:
        raise UnsupportedError(
            "The real-world value map is a look-up table.",
            where=f"{header.name}, RealWorldValueMappingSequence",
            found=f"{len(maps)} tables",
            expected="a slope and an intercept",
            fix="Export the scan with a linear scale.",
        )
    chosen = linear[0]
    code = chosen.item("MeasurementUnitsCodeSequence")
    units = None if code is None else code.text("CodeValue") or code.text("CodeMeaning")
    scaling = _checked(
        header, chosen.number("RealWorldValueSlope") or 0.0, chosen.number("RealWorldValueIntercept") or 0.0, units
    )
    if len(linear) == 1:
        return scaling, ()
    return scaling, (f"the first of {len(linear)} real-world value maps is meant ({units or 'no unit'})",)


def _checked(header: Header, slope: float, intercept: float, units: str | None) -> Scaling:
    if slope == 0 or not math.isfinite(slope) or not math.isfinite(intercept):
        raise UnreadableError(
            "The scale of the pixel values makes no sense.",
            where=header.name,
            found=f"slope {slope}, intercept {intercept}",
            expected="finite numbers, slope not 0",
            fix="Export the scan again.",
        )
    return Scaling(slope, intercept, units)
