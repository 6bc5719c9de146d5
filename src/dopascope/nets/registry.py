"""The registry of networks: a name, the input it takes, and the function that builds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dopascope.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

BuildFunction = Callable[[], "nn.Module"]


@dataclass(frozen=True)
class Network:
    """One architecture. `build` returns it with fresh random weights."""

    name: str
    build: BuildFunction
    input_shape: tuple[int, ...]
    """Of one image with its channel: `(C, I, J)` or `(C, I, J, K)`."""
    output_shape: tuple[int, ...]
    """Of one image's answer, before softmax or sigmoid."""
    description: str


NETWORKS: dict[str, Network] = {}


def network(
    name: str, *, input_shape: tuple[int, ...], output_shape: tuple[int, ...], description: str
) -> Callable[[BuildFunction], BuildFunction]:
    """Decorator that registers a network. Every registered network runs the conformance suite in the tests."""

    def register(build: BuildFunction) -> BuildFunction:
        NETWORKS[name] = Network(name, build, input_shape, output_shape, description)
        return build

    return register


def create(name: str) -> nn.Module:
    """The registered network `name`, with fresh random weights.

    Raises:
        UsageError: no network has that name.
    """
    if name not in NETWORKS:
        raise UsageError(
            "No network has this name.",
            where="network",
            found=name,
            expected=", ".join(sorted(NETWORKS)),
            fix="Choose one of these names.",
        )
    return NETWORKS[name].build()
