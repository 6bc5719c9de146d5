"""A network that finds the brain in slices: pictures with masks in, masks out."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dopascope import provenance
from dopascope.errors import UnreadableError
from dopascope.learn.sampling import seed_of
from dopascope.nets.deeplab import deeplab
from dopascope.phantom.mr.slices import draw_slice
from dopascope.volume import LabelMap

STREAM = 50_000_000
"""Length that a stream says of itself."""
BRIGHTNESS_SPREAD = 0.25
"""Of the logarithm: a slice's brightest point is not that of its scan."""


@dataclass(frozen=True)
class PaintedSlices:
    """An endless stream of slices of painted heads; slice n follows from the seed and n alone."""

    heads: list[LabelMap]
    seed: int
    size: int

    def __len__(self) -> int:
        return STREAM

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self.seed, number])
        drawn = draw_slice(self.heads, rng, self.size)
        image, mask = drawn.image * np.float32(np.exp(rng.normal(0, BRIGHTNESS_SPREAD))), drawn.mask
        for axis in range(2):
            if rng.random() < 0.5:
                image, mask = np.flip(image, axis), np.flip(mask, axis)
        if rng.random() < 0.5:
            image, mask = image.T, mask.T
        return as_input(image), torch.from_numpy(np.ascontiguousarray(mask)).long()


@dataclass(frozen=True)
class StoredSlices:
    """A fixed set: images (rows, columns) from 0 to 1 and their masks."""

    images: Sequence[NDArray[np.floating]]
    masks: Sequence[NDArray[np.bool_]]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        return as_input(self.images[number]), torch.from_numpy(np.ascontiguousarray(self.masks[number])).long()


def as_input(image: NDArray[np.floating]) -> Tensor:
    """(1, rows, columns) as the network takes it."""
    return torch.from_numpy(np.ascontiguousarray(np.clip(image, 0, 1.5), np.float32))[None]


def new_segmenter(encoder: str, seed: int) -> torch.nn.Module:
    """DeepLabv3+ with first weights drawn from the seed."""
    torch.manual_seed(seed_of(seed, 0, 1))
    return deeplab(encoder)


@torch.inference_mode()
def brain_probability(net: torch.nn.Module, slices: StoredSlices, number: int) -> NDArray[np.float32]:
    """The probability of brain of each pixel of one slice, (rows, columns)."""
    net.eval()
    image, _ = slices[number]
    device = next(net.parameters()).device
    answer: NDArray[np.float32] = net(image[None].to(device)).float().softmax(1)[0, 1].cpu().numpy()
    return answer


def save_weights(net: torch.nn.Module, path: Path) -> None:
    """The weights of a segmenter as arrays by name (npz): nothing in it could execute."""
    stream = io.BytesIO()
    plain = {name: value.detach().cpu().numpy() for name, value in net.state_dict().items()}
    np.savez(stream, allow_pickle=False, **plain)
    provenance.write_bytes(path, stream.getvalue())


def segmenter_from(path: Path, encoder: str) -> torch.nn.Module:
    """The segmenter whose weights `save_weights` wrote, ready to answer.

    Raises:
        UsageError: there is no such encoder.
        UnreadableError: the file cannot be read, or its weights are of another network.
    """
    net = deeplab(encoder)
    try:
        with np.load(path, allow_pickle=False) as stored:
            net.load_state_dict({name: torch.from_numpy(stored[name]) for name in stored.files})
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise UnreadableError(
            "These are no weights of this network.",
            where=path,
            found=f"{type(error).__name__}: {error}"[:200],
            expected=f"weights of DeepLabv3+ with the encoder {encoder}",
            fix="Name the encoder that the run's plan.toml names.",
        ) from error
    return net.eval()
