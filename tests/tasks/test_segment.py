"""Slices as a segmenter takes them, and its weights kept and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dopascope.errors import UnreadableError, UnsuitableError
from dopascope.formats import save_nifti
from dopascope.learn.fit import weights_sha256
from dopascope.phantom.mr import draw_head
from dopascope.tasks.painted import FirstSlices, brain_labels, painted_heads
from dopascope.tasks.segment import (
    PaintedSlices,
    StoredSlices,
    brain_probability,
    new_segmenter,
    save_weights,
    segmenter_from,
)
from dopascope.volume import LabelMap, Volume

SMALL = "tu-mobilenetv3_small_050"


@pytest.fixture(scope="module")
def heads() -> list[LabelMap]:
    return [draw_head([], np.random.default_rng(seed), spacing_mm=4.0) for seed in (1, 2)]


def test_the_same_number_is_the_same_slice(heads: list[LabelMap]) -> None:
    stream, again = PaintedSlices(heads, 5, 48), PaintedSlices(heads, 5, 48)
    for number in (0, 7, 123_456):
        (image, mask), (same, alike) = stream[number], again[number]
        assert torch.equal(image, same)
        assert torch.equal(mask, alike)
        assert image.shape == (1, 48, 48)
        assert mask.shape == (48, 48)
        assert image.dtype == torch.float32
        assert set(mask.unique().tolist()) <= {0, 1}
        assert 0 <= float(image.min()) <= float(image.max()) <= 1.5
    assert not torch.equal(stream[0][0], stream[1][0])
    assert not torch.equal(stream[0][0], PaintedSlices(heads, 6, 48)[0][0])


def test_the_first_slices_of_a_stream_are_held(heads: list[LabelMap]) -> None:
    stream = PaintedSlices(heads, 5, 48)
    first = FirstSlices.of(stream, 3)
    assert len(first) == 3
    assert torch.equal(first[2][0], stream[2][0])


def test_stored_slices_are_cut_where_they_are_too_bright() -> None:
    image = np.array([[0.5, 3.0], [-1.0, 1.2]], np.float16)
    tensor, mask = StoredSlices([image], [np.array([[True, False], [False, True]])])[0]
    np.testing.assert_allclose(tensor.numpy()[0], [[0.5, 1.5], [0.0, 1.2]], atol=1e-3)
    assert mask.tolist() == [[1, 0], [0, 1]]


def test_weights_follow_the_seed_and_come_back_from_their_file(tmp_path: Path) -> None:
    net = new_segmenter(SMALL, 3)
    assert weights_sha256(new_segmenter(SMALL, 3)) == weights_sha256(net) != weights_sha256(new_segmenter(SMALL, 4))
    save_weights(net, tmp_path / "weights.npz")
    assert weights_sha256(segmenter_from(tmp_path / "weights.npz", SMALL)) == weights_sha256(net)
    slices = StoredSlices([np.random.default_rng(1).random((32, 48)).astype(np.float32)], [np.zeros((32, 48), bool)])
    p = brain_probability(net, slices, 0)
    assert p.shape == (32, 48)
    np.testing.assert_array_equal(p, brain_probability(segmenter_from(tmp_path / "weights.npz", SMALL), slices, 0))
    (tmp_path / "other.npz").write_bytes(b"PK")
    for name, encoder in (("weights.npz", "tu-mobilenetv3_small_075"), ("other.npz", SMALL), ("none.npz", SMALL)):
        with pytest.raises(UnreadableError, match="no weights of this network"):
            segmenter_from(tmp_path / name, encoder)


def test_painted_heads_are_kept_and_follow_the_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dopascope.tasks import painted

    drawn: list[int] = []

    def coarse(brains: list[LabelMap], rng: np.random.Generator) -> LabelMap:
        drawn.append(len(brains))
        return draw_head(brains, rng, spacing_mm=6.0)

    monkeypatch.setattr(painted, "draw_head", coarse)
    first = painted_heads(tmp_path / "heads", [], 7, 2)
    again = painted_heads(tmp_path / "heads", [], 7, 2)
    assert drawn == [1, 1], "kept heads are not painted again"
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.data, other.data)
        assert one.grid == other.grid
    other = painted_heads(tmp_path / "others", [], 8, 1)[0]
    assert not np.array_equal(other.data, first[0].data)


def test_labels_that_are_no_brain_are_refused(tmp_path: Path, oblique_volume: Volume) -> None:
    save_nifti(Volume(np.full((7, 8, 9), 999.0), oblique_volume.grid), tmp_path / "a.nii")
    with pytest.raises(UnsuitableError, match="no labels of a brain"):
        brain_labels(tmp_path / "a.nii")
