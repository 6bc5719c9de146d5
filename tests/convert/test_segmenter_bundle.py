"""A trained segmenter as a bundle: it answers as in torch, and finds the brain of a made-up head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dopascope.bundle import Bundle, view
from dopascope.bundle.brain import SIDE
from dopascope.bundle.segmenter import brain_of
from dopascope.convert.segmenter_bundle import SegmenterNamed, bundle_of_segmenter
from dopascope.errors import BundleError, UnsuitableError, UsageError
from dopascope.tasks.segment import new_segmenter
from dopascope.volume import Volume
from grey_head import ByGrey, head

SMALL = "tu-mobilenetv3_small_050"
NAMED = SegmenterNamed("tiny-brain", "By grey value", "nothing", "A test.", "pytest", "CC0-1.0", "nobody")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_of_segmenter(ByGrey(), tmp_path_factory.mktemp("models") / "tiny-brain", NAMED)


@pytest.mark.slow
def test_onnx_answers_as_torch_does(tmp_path: Path) -> None:
    net = new_segmenter(SMALL, 3)
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.weight.uniform_(0.5, 1.5)
                part.bias.normal_(std=0.3)
        for _ in range(5):
            net(torch.rand(4, 1, 64, 64))  # batch norms are no longer where they began
    net.eval()
    bundle = Bundle.load(bundle_of_segmenter(net, tmp_path / "made", NAMED))
    slices = np.random.default_rng(2).random((3, SIDE, SIDE)).astype(np.float32)
    found = bundle.run(slices)[view.BRAIN]
    assert found.shape == (3, 1, SIDE, SIDE)
    with torch.inference_mode():
        classes = net(torch.from_numpy(slices)[:, None])
    np.testing.assert_allclose(found[:, 0], (classes[:, 1] - classes[:, 0]).numpy(), atol=1e-3)
    assert (tmp_path / "made" / "model.onnx").stat().st_size < 15e6


def test_the_bundle_says_what_it_is(folder: Path) -> None:
    spec = Bundle.load(folder).spec
    assert (spec.kind, spec.id, spec.licence.spdx) == ("segmenter", "tiny-brain", "CC0-1.0")
    assert spec.input.view == view.BRAIN_SLICES
    card = (folder / "MODEL_CARD.md").read_text()
    assert "pytest" in card
    assert "nobody" in card
    assert "Not a medical device" in card


def test_it_finds_the_brain_of_a_head_and_refuses_a_head_without_one(folder: Path) -> None:
    scan, truth = head()
    found = brain_of(scan, "tiny-brain", folder.parent, threads=1)
    mask = found.mask.data > 0
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.97
    empty = Volume(np.where(truth, 0.05, scan.data), scan.grid)
    with pytest.raises(UnsuitableError, match="No brain was found"):
        brain_of(empty, "tiny-brain", folder.parent, threads=1)


def test_a_folder_that_is_there_is_kept(folder: Path) -> None:
    before = (folder / "bundle.json").read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        bundle_of_segmenter(ByGrey(), folder, NAMED)
    assert (folder / "bundle.json").read_bytes() == before


def test_a_network_that_onnx_does_not_repeat_leaves_no_folder(tmp_path: Path) -> None:
    class Wanton(ByGrey):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * (1 if torch.compiler.is_exporting() else 2)

    with pytest.raises(BundleError):
        bundle_of_segmenter(Wanton(), tmp_path / "made", NAMED)
    assert list(tmp_path.iterdir()) == []
