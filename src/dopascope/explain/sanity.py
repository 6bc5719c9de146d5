"""Whether a map depends on what the network learned: the same map with weights drawn anew.

Adebayo et al. 2018, NeurIPS, "Sanity checks for saliency maps".
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import torch

from dopascope.explain.maps import Picture, attribution
from dopascope.learn.fit import Standardised
from dopascope.nets import known

DRAWS: Final = 5
ALIKE: Final = 0.5
"""Rank correlation from which on a map is said not to depend on the weights; ours, no published limit."""


@dataclass(frozen=True)
class Sanity:
    """How much a map resembles those of networks that learned nothing."""

    correlation: float
    """Mean rank correlation of absolute maps over `draws` random networks; 1 where learning changes nothing."""
    draws: int
    passed: bool
    """Below `ALIKE`."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def randomised(net: Standardised, network: str, shown: Picture, method: str, *, seed: int = 1) -> Sanity:
    """Compare the map of one image with those of the same architecture with fresh weights.

    A map that is the same everywhere, or empty, resembles nothing: its correlation is 0.
    """
    from scipy.stats import spearmanr

    own = attribution(net, network, shown, method).abs().sum(1).flatten().numpy()
    found = []
    for draw in range(DRAWS):
        torch.manual_seed(seed + draw)
        fresh = copy.deepcopy(net)
        fresh.net.load_state_dict(known(network).build(shown.image.shape[1]).state_dict())
        other = attribution(fresh, network, shown, method).abs().sum(1).flatten().numpy()
        flat = np.ptp(own) == 0 or np.ptp(other) == 0
        found.append(0.0 if flat else float(spearmanr(own, other).statistic))
    mean = float(np.mean(found))
    return Sanity(mean, DRAWS, mean < ALIKE)
