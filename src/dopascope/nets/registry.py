"""The registry of networks: a name, the input it takes, and the function that builds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from dopascope.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

TIMM: Final = "timm:"
"""Before the name of any backbone of timm: `timm:convnext_atto`."""
Pretrained = Literal["imagenet", "medicalnet"]


class BuildFunction(Protocol):
    """Builds the network for images of so many channels."""

    def __call__(self, channels: int) -> nn.Module:
        """A network with fresh random weights."""


@dataclass(frozen=True)
class Network:
    """One architecture. `build` returns it with fresh random weights."""

    name: str
    build: BuildFunction
    input_shape: tuple[int, ...]
    """Of one image with its channels, as it was designed for: `(C, I, J)` or `(C, I, J, K)`."""
    output_shape: tuple[int, ...]
    """Of one image's answer, before softmax or sigmoid. `()` is the logit of "abnormal"."""
    description: str
    evidence_layer: str
    """Name of the module whose feature maps Grad-CAM weighs."""
    pretrained: Pretrained | None = None
    """Whose published weights fit it."""
    head: tuple[str, ...] = ()
    """Beginnings of the names of those parameters that published weights do not give."""


NETWORKS: dict[str, Network] = {}


def network(
    name: str,
    *,
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...] = (),
    description: str,
    evidence_layer: str,
    pretrained: Pretrained | None = None,
    head: tuple[str, ...] = (),
) -> Callable[[BuildFunction], BuildFunction]:
    """Decorator that registers a network. Every registered network runs the conformance suite in the tests."""

    def register(build: BuildFunction) -> BuildFunction:
        NETWORKS[name] = Network(name, build, input_shape, output_shape, description, evidence_layer, pretrained, head)
        return build

    return register


def known(name: str) -> Network:
    """The network of this name; `timm:NAME` is any backbone of timm.

    Raises:
        UsageError: no network has that name.
    """
    if name.startswith(TIMM):
        from dopascope.nets.backbones import any_backbone

        return any_backbone(name.removeprefix(TIMM))
    if name not in NETWORKS:
        raise UsageError(
            "No network has this name.",
            where="network",
            found=name,
            expected=", ".join((*sorted(NETWORKS), f"{TIMM}NAME")),
            fix="Choose one of these names.",
        )
    return NETWORKS[name]


def create(name: str, *, channels: int | None = None) -> nn.Module:
    """The network `name` with fresh random weights, for images of `channels` (default: what it was designed for).

    Raises:
        UsageError: no network has that name.
    """
    found = known(name)
    return found.build(found.input_shape[0] if channels is None else channels)
