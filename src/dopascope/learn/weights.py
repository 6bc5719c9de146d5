"""First weights of a network by name: published files, found where they were put or fetched, or a file of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from dopascope import provenance
from dopascope.bundle.fetch import download
from dopascope.errors import BundleError, UnreadableError, UsageError
from dopascope.learn.torch_file import read_weights

TIMEOUT_S: Final = 10.0
MAX_BYTES: Final = 1 << 30


@dataclass(frozen=True)
class Published:
    """A file of weights that somebody published."""

    file: str
    url: str
    sha256_start: str = ""
    """First digits of its SHA-256, as far as its publisher gives them (torchvision: in the name)."""


IMAGENET: Final = {
    "resnet18": Published(
        "resnet18-f37072fd.pth", "https://download.pytorch.org/models/resnet18-f37072fd.pth", "f37072fd"
    ),
    "inceptionv3-s3": Published(
        "inception_v3_google-0cc3c7bd.pth",
        "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
        "0cc3c7bd",
    ),
}
MEDICALNET: Final = {
    f"resnet3d-{depth}": Published(
        f"resnet_{depth}_23dataset.pth",
        f"https://huggingface.co/TencentMedicalNet/MedicalNet-Resnet{depth}/resolve/main/resnet_{depth}_23dataset.pth",
    )
    for depth in (10, 18, 34, 50)
}
SIMULATED: Final = "simulated"
STAND_IN: Final = "stand-in"
"""Of the same network pretrained on the tissues of simulated T1 scans, as Med3D was on segmentation."""
KEPT: Final = {
    SIMULATED: (
        "weights.npz of a study's final model",
        "Run a study with validation.final = 'all', and copy fold-final/*/weights.npz there.",
    ),
    STAND_IN: (
        "what dopascope study pretrain writes",
        "Simulate T1 scans of other people and run: dopascope study pretrain cohort.tsv --out FILE",
    ),
}
"""Choice -> what its file is, and how to get one; both lie in the folder of published weights."""
WRAPPED: Final = "net."
"""Before the name of every weight that a study keeps: its network stands behind the scaling of its images."""
PRETRAINED_ON: Final = "pretrained_on"
"""Array of the SHA-256 of scans that weights of ours were learned from, beside them."""
CHOICES: Final = {"imagenet": IMAGENET, "medicalnet": MEDICALNET}


def default_folder() -> Path:
    """Where fetched weights are kept, and looked for first."""
    from platformdirs import user_data_path

    return user_data_path("dopascope", appauthor=False) / "weights"


def first_weights(choice: str, network: str, folder: Path | None = None) -> tuple[dict[str, torch.Tensor] | None, str]:
    """Weights by name for `network`, and where they are from; None for `none`.

    Args:
        choice: `none`, `imagenet`, `medicalnet`, `simulated`, `stand-in`, or a file (torch's, or a study's npz).
        network: a name of the registry.
        folder: of published files; `default_folder()` when omitted.

    Raises:
        UsageError: nobody published such weights for this network, or there is no such file.
        UnreadableError: they are not here and cannot be fetched, or a file is damaged.
        BundleError: a fetched or stored file is not the published one.
        HostileError: a file holds more than weights.
    """
    if choice == "none":
        return None, "none"
    if choice in KEPT:
        path = (folder or default_folder()) / f"{choice}-{network}.npz"
        if not path.is_file():
            expected, fix = KEPT[choice]
            raise UsageError(
                "There are no weights from simulated people for this network yet.",
                where=path,
                found="nothing",
                expected=expected,
                fix=fix,
            )
    elif choice in CHOICES:
        known = CHOICES[choice]
        if network not in known:
            raise UsageError(
                "Nobody's weights of this name are known for this network.",
                where="weights",
                found=f"{choice} for {network}",
                expected=f"one of {', '.join(sorted(known))} for {choice}; a file; or none",
                fix="Correct the plan.",
            )
        path = _published(known[network], folder or default_folder())
    else:
        path = Path(choice)
        if not path.is_file():
            raise UsageError(
                "There is no such weights file.",
                where="weights",
                found=choice,
                expected=f"none, {', '.join((*CHOICES, *KEPT))}, or the path of a file",
                fix="Correct the plan.",
            )
    arrays = _own(path) if path.suffix == ".npz" else read_weights([path])[0]
    state = {name.removeprefix(WRAPPED): torch.from_numpy(value.copy()) for name, value in arrays.items()}
    return state, f"{path.name}, sha256 {provenance.sha256_of(path)}"


def pretrained_on(choice: str, network: str, folder: Path | None = None) -> frozenset[str]:
    """SHA-256 of the scans that the weights of `first_weights` say they were learned from; empty where they do not."""
    path = (folder or default_folder()) / f"{choice}-{network}.npz" if choice in KEPT else Path(choice)
    if path.suffix != ".npz" or not path.is_file():
        return frozenset()
    with np.load(path, allow_pickle=False) as stored:
        return frozenset(map(str, stored.get(PRETRAINED_ON, ())))


def _own(path: Path) -> dict[str, NDArray[Any]]:
    """Weights as a study keeps them, without the scaling of the images, which follows from new training images."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files if name.startswith(WRAPPED)}
    except (OSError, ValueError) as error:
        raise UnreadableError(
            "The weights file is damaged.",
            where=path,
            found=error,
            expected="weights.npz of a study",
            fix="Copy it again.",
        ) from error


def _published(file: Published, folder: Path) -> Path:
    path = folder / file.file
    if not path.is_file():
        _fetch(file, path)
    found = provenance.sha256_of(path)
    if not found.startswith(file.sha256_start):
        raise BundleError(
            "The weights file is not the published one.",
            where=path,
            found=f"sha256 {found}",
            expected=f"sha256 {file.sha256_start}...",
            fix=f"Remove it, and fetch {file.url} again.",
        )
    return path


def _fetch(file: Published, path: Path) -> None:
    try:
        with provenance.replacing(path) as temporary:
            download(file.url, temporary, limit=MAX_BYTES, timeout_s=TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise UnreadableError(
            "The weights are not here and cannot be fetched.",
            where=path,
            found=getattr(error, "reason", error),
            expected=f"the file, or an answer of {file.url} within {TIMEOUT_S:g} s",
            fix=f"Fetch {file.url} on another machine and put it at {path}; or do without: weights = 'none' in the "
            "plan, --weights none on the command line.",
        ) from error
