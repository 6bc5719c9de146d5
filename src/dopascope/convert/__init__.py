"""Torch files become bundles: opened in a child process, exported to ONNX, checked against the original."""

from __future__ import annotations

from dopascope.convert.dat_spect_ud import add_dat_spect_ud
from dopascope.learn.torch_file import read_weights, require_learn

__all__ = ["add_dat_spect_ud", "read_weights", "require_learn"]
