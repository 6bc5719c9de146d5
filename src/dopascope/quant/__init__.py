"""Numbers from regions: specific binding ratios with intervals, indices, normal values, recovery and the ratio rule."""

from __future__ import annotations

from dopascope.quant.binding import check_method, method_id, quantify
from dopascope.quant.conditions import Conditions
from dopascope.quant.fit import HealthyPerson, fit_normals
from dopascope.quant.normals import Normals, load_normals
from dopascope.quant.recovery import PhantomScan, Recovery, fit_recovery, load_recovery
from dopascope.quant.result import Index, Quantification, Region
from dopascope.quant.shape import uptake_shape
from dopascope.quant.shipped import find_normals
from dopascope.quant.stored import Provenance

__all__ = [
    "Conditions",
    "HealthyPerson",
    "Index",
    "Normals",
    "PhantomScan",
    "Provenance",
    "Quantification",
    "Recovery",
    "Region",
    "check_method",
    "find_normals",
    "fit_normals",
    "fit_recovery",
    "load_normals",
    "load_recovery",
    "method_id",
    "quantify",
    "uptake_shape",
]
