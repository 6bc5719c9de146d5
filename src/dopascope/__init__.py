"""dopascope: a brain scan in, a quantified and explained reading out.

For research and education. Not a medical device.

    from dopascope import read
    reading = read("scan.dcm")
    print(reading.quantification.regions["putamen_left"].sbr)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "load": "dopascope.formats",
    "quantify": "dopascope.quant",
    "read": "dopascope.reading",
}

__all__ = ["__version__", "load", "quantify", "read"]

if TYPE_CHECKING:
    from dopascope.formats import load
    from dopascope.quant import quantify
    from dopascope.reading import read


def __getattr__(name: str) -> Any:
    # Lazy, so that `dopascope --version` and refusals do not wait for SimpleITK and matplotlib.
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'dopascope' has no attribute {name!r}")
