"""ONNX Runtime, silent: imported here only, with its telemetry switched off before it can start."""

from __future__ import annotations

import os
from types import ModuleType


def onnxruntime() -> ModuleType:
    """The module `onnxruntime`. Some of its builds send usage data unless told otherwise before they are loaded."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    module: ModuleType = onnxruntime
    return module
