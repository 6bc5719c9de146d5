"""Networks: tensors in, tensors out (torch). Each is registered by name and runs one conformance suite."""

from __future__ import annotations

from dopascope.nets import dat_spect, ensemble
from dopascope.nets.registry import NETWORKS, Network, create, network

__all__ = ["NETWORKS", "Network", "create", "dat_spect", "ensemble", "network"]
