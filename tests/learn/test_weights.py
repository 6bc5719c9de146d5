"""First weights by name: files that were put there, files that cannot be fetched, files that are others."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from dopascope.errors import BundleError, HostileError, UnreadableError, UsageError
from dopascope.learn import weights
from dopascope.learn.fit import Standardised
from dopascope.learn.weights import IMAGENET, MEDICALNET, Published, first_weights
from dopascope.nets import create, known
from dopascope.nets.weights import fill


def published(path: Path, state: dict[str, torch.Tensor], nested: bool = False) -> Path:
    """A file as its publisher wrote it; MedicalNet nests the weights and puts `module.` before each name."""
    content = {"state_dict": {f"module.{key}": value for key, value in state.items()}} if nested else state
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def backbone(name: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return {key.removeprefix("backbone."): value for key, value in create(name).state_dict().items()}


def as_its_name_says(monkeypatch: pytest.MonkeyPatch, path: Path, network: str) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known_file = IMAGENET[network]
    monkeypatch.setitem(IMAGENET, network, Published(known_file.file, known_file.url, digest[:8]))


def test_imagenet_weights_that_lie_there_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = published(tmp_path / IMAGENET["resnet18"].file, backbone("resnet18"))
    as_its_name_says(monkeypatch, path, "resnet18")
    state, source = first_weights("imagenet", "resnet18", tmp_path)
    assert state is not None
    assert hashlib.sha256(path.read_bytes()).hexdigest() in source
    net = create("resnet18")
    fill(net, state, known("resnet18"), where=source)
    torch.testing.assert_close(net.state_dict()["backbone.conv1.weight"], backbone("resnet18")["conv1.weight"])


def test_medicalnets_nested_files_are_taken(tmp_path: Path) -> None:
    published(tmp_path / MEDICALNET["resnet3d-10"].file, backbone("resnet3d-10"), nested=True)
    state, _ = first_weights("medicalnet", "resnet3d-10", tmp_path)
    assert state is not None
    net = create("resnet3d-10")
    fill(net, state, known("resnet3d-10"), where="f")
    torch.testing.assert_close(net.state_dict()["backbone.conv1.weight"], backbone("resnet3d-10")["conv1.weight"])


@pytest.mark.promise("Published weights are taken by their digest alone; any other file is refused", threats="T31")
def test_a_file_that_is_not_the_published_one_is_refused(tmp_path: Path) -> None:
    path = published(tmp_path / IMAGENET["resnet18"].file, backbone("resnet18"))
    with pytest.raises(BundleError) as caught:
        first_weights("imagenet", "resnet18", tmp_path)
    assert caught.value.where == str(path)
    assert "f37072fd" in caught.value.expected


def test_what_cannot_be_fetched_is_said_at_once_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(weights, "download", unreachable)
    with pytest.raises(UnreadableError) as caught:
        first_weights("imagenet", "resnet18", tmp_path)
    assert "Name or service not known" in caught.value.found
    assert str(tmp_path / IMAGENET["resnet18"].file) in caught.value.fix
    assert "weights = 'none'" in caught.value.fix
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("choice", "network"),
    [("imagenet", "slab"), ("medicalnet", "resnet18"), ("imagnet", "resnet18"), ("simulated", "slab")],
)
def test_choices_that_do_not_exist(tmp_path: Path, choice: str, network: str) -> None:
    with pytest.raises(UsageError) as caught:
        first_weights(choice, network, tmp_path)
    assert caught.value.fix


def test_none_is_nothing() -> None:
    assert first_weights("none", "slab") == (None, "none")


def test_a_studys_weights_are_taken_without_their_scaling(tmp_path: Path) -> None:
    torch.manual_seed(4)
    net = Standardised(create("slab"), 1, 2)
    net.mean += 5
    path = tmp_path / "simulated-slab.npz"
    np.savez(path, **{name: value.numpy() for name, value in net.state_dict().items()})
    state, _ = first_weights("simulated", "slab", tmp_path)
    assert state is not None
    other = create("slab")
    assert fill(other, state, known("slab"), where="own") == []
    torch.testing.assert_close(other.scan.weight, net.net.scan.weight)  # type: ignore[union-attr]
    path.write_bytes(b"none")
    with pytest.raises(UnreadableError):
        first_weights(str(path), "slab")


class Hostile:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("executed",))


@pytest.mark.promise(
    "Checkpoints and weights of studies are arrays without pickle; published torch files are "
    "opened in a child process with `weights_only`",
    asvs="1.5.2",
    threats="T12",
)
def test_a_file_that_could_execute_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"conv1.weight": Hostile()}, path)
    with pytest.raises(HostileError):
        first_weights(str(path), "resnet18")
