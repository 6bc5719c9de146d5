"""Call `declare` before importing timm or MONAI: torchvision without its compiled part cannot be imported otherwise.

Beside the CPU build of torch the package index has a torchvision whose compiled part does not load, and
`import torchvision` then ends with "operator torchvision::nms does not exist". Declaring the operators is enough for
everything but detection, which nothing here uses. Where torchvision is whole, nothing happens.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Final

import torch

NAMED: Final = re.compile(r'register_(?:fake|meta)\("(?:torchvision::)?(\w+)"\)')
"""How torchvision's source names an operator of its compiled part."""


@cache
def declare() -> torch.library.Library | None:
    """Declare the operators that torchvision lacks; the library that holds them, None where nothing is missing."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _loads(Path(spec.origin).parent):
        return None
    library = torch.library.Library("torchvision", "DEF")  # torch forgets the operators when this object goes
    source = (Path(spec.origin).parent / "_meta_registrations.py").read_text(encoding="utf-8")
    for name in sorted(set(NAMED.findall(source))):
        library.define(f"{name}(...) -> ...")
    return library


def _loads(folder: Path) -> bool:
    """Whether the compiled part is there and fits this torch."""
    for path in (*folder.glob("_C*.so"), *folder.glob("_C*.pyd")):
        try:
            torch.ops.load_library(str(path))
        except (OSError, RuntimeError):
            return False
    return hasattr(torch.ops.torchvision, "nms")
