"""Left and right of one structure in a T1 MRI: their asymmetry with its interval."""

from __future__ import annotations

import numpy as np

from dopascope.quant.morphometry import Measured

DEFINITION = "100 * (left - right) / mean(left, right), of volumes"


def asymmetry(left: Measured, right: Measured) -> Measured:
    """`DEFINITION` in percent; the errors of the two sides are taken as independent, which makes the interval wide.

    With r = ln(left / right) it is 200 tanh(r / 2), and the interval of r has the two sides' logarithmic reaches, added
    as squares.
    """
    r = float(np.log(left.value / right.value))
    reach = float(np.hypot(np.log(left.high / left.value), np.log(right.high / right.value)))
    value, low, high = (200 * float(np.tanh(one / 2)) for one in (r, r - reach, r + reach))
    return Measured(value, low, high)
