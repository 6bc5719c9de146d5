"""The state of a training at the end of an epoch: arrays and JSON in one npz file, nothing that could execute."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from dopascope import provenance
from dopascope.learn.log import log_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FILE: Final = "checkpoint.npz"
LOG: Final = "log.csv"
FACTS: Final = "facts"
NET: Final = "net/"
BEST: Final = "best/"
MOMENTS: Final = "moments/"


EVERY_S: Final = 5.0
"""Least time between checkpoints. A training redoes no more than that after an interruption, bit for bit; 130 MB of a
ResNet18 after each second of it cost a fifth of the time."""
Line = TypeVar("Line", bound="DataclassInstance")
"""What a training logs of an epoch."""


@dataclass
class State(Generic[Line]):
    """Where a training stands."""

    log: list[Line] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    """That schedule and early stopping look at, one an epoch."""
    best: dict[str, Tensor] | None = None
    """The weights to end with, where they are not the last."""
    best_epoch: int = 0
    stopped: str = ""
    """Why the training is over; empty while it is not."""


class Keeper(Generic[Line]):
    """Keeps a training at ends of epochs: the first one, then no more often than every `EVERY_S`, and the last one."""

    def __init__(self, folder: Path | None, key: str, net: nn.Module, optimiser: Any) -> None:
        """Of this training; without a folder nothing is kept."""
        self._folder, self._key, self._net, self._optimiser = folder, key, net, optimiser
        self._kept = -float("inf")

    def __call__(self, state: State[Line], epochs: int) -> None:
        """An epoch of so many is over."""
        over = bool(state.stopped) or len(state.log) >= epochs
        if self._folder is not None and (over or time.monotonic() - self._kept >= EVERY_S):
            save(self._folder, self._key, self._net, self._optimiser, state)
            self._kept = time.monotonic()


def save(folder: Path, key: str, net: nn.Module, optimiser: Any, state: State[Line]) -> None:
    """Keep everything, whole or not at all, and the log as CSV beside it."""
    held = optimiser.state_dict()
    facts = {
        "key": key,
        "log": [asdict(one) for one in state.log],
        "losses": state.losses,
        "best_epoch": state.best_epoch,
        "stopped": state.stopped,
        "groups": held["param_groups"],
    }
    arrays = {NET + name: value for name, value in net.state_dict().items()}
    arrays |= {BEST + name: value for name, value in (state.best or {}).items()}
    arrays |= {f"{MOMENTS}{number}/{name}": value for number, name, value in _moments(held["state"])}
    plain: dict[str, Any] = {name: value.detach().cpu().numpy() for name, value in arrays.items()}
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **plain | {FACTS: np.frombuffer(json.dumps(facts).encode(), np.uint8)})
    provenance.write_bytes(folder / FILE, stream.getvalue())
    provenance.write_text(folder / LOG, log_text(state.log))


def key_of(folder: Path) -> str | None:
    """The key of the checkpoint in a folder; None where there is none that can be read."""
    try:
        with np.load(folder / FILE, allow_pickle=False) as stored:
            return str(json.loads(stored[FACTS].tobytes())["key"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def load(folder: Path, key: str, net: nn.Module, optimiser: Any, line: type[Line]) -> State[Line] | None:
    """Put net and optimiser where the checkpoint of this training left them; None where there is none to go on from.

    `line` is the kind of the log's lines.
    """
    try:
        with np.load(folder / FILE, allow_pickle=False) as stored:
            facts = json.loads(stored[FACTS].tobytes())
            if facts["key"] != key:
                return None
            arrays = {name: torch.from_numpy(stored[name]) for name in stored.files if name != FACTS}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    net.load_state_dict(_under(NET, arrays))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _under(MOMENTS, arrays).items():
        number, kind = name.split("/", 1)
        moments.setdefault(int(number), {})[kind] = value
    optimiser.load_state_dict({"state": moments, "param_groups": facts["groups"]})
    log = [line(**one) for one in facts["log"]]
    return State(log, facts["losses"], _under(BEST, arrays) or None, facts["best_epoch"], facts["stopped"])


def _moments(state: Mapping[int, Mapping[str, Tensor]]) -> Iterator[tuple[int, str, Tensor]]:
    for number, values in state.items():
        for name, value in values.items():
            yield number, name, value


def _under(prefix: str, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
