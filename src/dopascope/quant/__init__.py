"""Numbers from regions: specific binding ratios with intervals, indices, normal values and the ratio rule."""

from __future__ import annotations

from dopascope.quant.binding import check_method, method_id, quantify
from dopascope.quant.normals import Normals, load_normals
from dopascope.quant.result import Index, Quantification, Region

__all__ = ["Index", "Normals", "Quantification", "Region", "check_method", "load_normals", "method_id", "quantify"]
