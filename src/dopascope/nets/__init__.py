"""Networks: tensors in, tensors out (torch). Each is registered by name and runs one conformance suite."""

from __future__ import annotations

from dopascope.nets import backbones, classes, dat_spect, ensemble, slab, volumetric
from dopascope.nets.registry import NETWORKS, Network, create, known, network

__all__ = [
    "NETWORKS",
    "Network",
    "backbones",
    "classes",
    "create",
    "dat_spect",
    "ensemble",
    "known",
    "network",
    "slab",
    "volumetric",
]
