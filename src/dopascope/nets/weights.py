"""Published weights into a network: names and shapes compared before anything is taken over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

from dopascope.errors import BundleError
from dopascope.nets.backbones import adapt_first_layer
from dopascope.nets.registry import Network

WRAPPER: Final = "module."
"""What torch's DataParallel puts before every name; MedicalNet's files have it."""
BACKBONE: Final = "backbone."


def fill(net: nn.Module, state: Mapping[str, Tensor], network: Network, *, where: object) -> list[str]:
    """Take over every weight but the head's.

    Args:
        net: built by `network`.
        state: names to tensors, either of the whole network as we save it, or of its backbone as it is published.
        network: says which parameters are the head.
        where: the file, for errors.

    Returns:
        Names of the parameters that keep their random values: the head's, where the file is a published backbone.

    Raises:
        BundleError: a parameter is missing, of another shape or not finite; the error names the first one in the
            order of the network. Parameters left over, such as a published head, are no fault unless none fits.
    """
    given = {name.removeprefix(WRAPPER): value for name, value in state.items()}
    own = net.state_dict()
    whole = own.keys() <= given.keys()
    taken: dict[str, Tensor] = {}
    kept = []
    for name, value in own.items():
        if not whole and name.startswith(network.head):
            kept.append(name)
            continue
        taken[name] = _matching(name, value, given, where)
    net.load_state_dict(own | taken)
    return kept


def _matching(name: str, own: Tensor, given: Mapping[str, Tensor], where: object) -> Tensor:
    bare = name.removeprefix(BACKBONE)
    found = given.get(name, given.get(bare))
    if found is None and bare.endswith("num_batches_tracked"):
        return own  # a counter that old files do not have and nothing in use depends on
    if found is not None and found.ndim == own.ndim and found.ndim > 3 and found.shape[0] == own.shape[0]:
        found = _of_channels(found, own)
    if found is None or found.shape != own.shape or not torch.isfinite(found).all():
        told = "no such parameter" if found is None else f"shape {tuple(found.shape)}"
        raise BundleError(
            "These weights are not of this network.",
            where=f"{where}: {bare}",
            found=told if found is None or found.shape != own.shape else "values that are not finite",
            expected=f"shape {tuple(own.shape)}, finite",
            fix="Give the file that was published for this network, unchanged.",
        )
    return found.to(own.dtype)


def _of_channels(found: Tensor, own: Tensor) -> Tensor:
    """The first layer's kernel for our number of channels; any other kernel as it is."""
    only_channels_differ = found.shape[2:] == own.shape[2:] and found.shape[1] in (1, 3) and found.shape != own.shape
    return adapt_first_layer(found, own.shape[1]) if only_channels_differ else found
