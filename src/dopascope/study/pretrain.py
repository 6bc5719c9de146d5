"""First weights for S2 where MedicalNet's cannot be had: the same network, pretrained on tissues of simulated T1 scans.

Med3D was pretrained on segmentation (Chen, Ma and Zheng 2019, arXiv:1904.00625): feature maps of the last stage, a
convolution, and enlargement to the image. So is this one, on the true tissues of simulated people.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from dopascope import formats, provenance, space
from dopascope.atlas.brain import Tissue
from dopascope.batch.drive import Outcome, Runner
from dopascope.batch.viewing import Seen, ViewSettings, see
from dopascope.cohort import CohortScan, read_cohort
from dopascope.errors import UnsuitableError
from dopascope.learn.fit import Standardised
from dopascope.learn.log import Epoch
from dopascope.learn.segment import SegmentRecipe, fit_segmenter
from dopascope.learn.weights import PRETRAINED_ON, WRAPPED
from dopascope.nets import known
from dopascope.study.modality import T1, modality_of
from dopascope.tasks.classify import Sight, new_network
from dopascope.volume import MNI_2MM, LabelMap, Volume

VIEW: Final = "volume_4mm"
TOP: Final = 8.0
BATCH: Final = 4
LEARNING_RATE: Final = 1e-3
PARTS: Final = (
    (Tissue.GREY, Tissue.DEEP),
    (Tissue.WHITE,),
    (Tissue.FLUID, Tissue.VENTRICLE),
    (Tissue.CAUDATE, Tissue.PUTAMEN),
    (Tissue.CEREBELLAR_GREY, Tissue.CEREBELLAR_WHITE),
    (Tissue.MIDBRAIN, Tissue.PONS, Tissue.STEM),
)
"""What is told apart, beside what lies around the brain."""


class Segmenting(nn.Module):
    """A network that classifies, with a convolution and enlargement on the layer that its maps are of."""

    def __init__(self, net: Standardised, layer: str, channels: int) -> None:
        super().__init__()
        self.net = net
        self.parts = nn.Conv3d(channels, 1 + len(PARTS), 1)
        self._seen: list[Tensor] = []
        net.net.get_submodule(layer).register_forward_hook(lambda _module, _given, found: self._seen.append(found))

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 1, I, J, K)` to logits of the parts `(B, 7, I, J, K)`."""
        self._seen.clear()
        self.net(x)
        coarse = self.parts(self._seen.pop())
        return functional.interpolate(coarse, size=x.shape[2:], mode="trilinear", align_corners=False)


@dataclass(frozen=True)
class Labelled:
    """Volumes (N, 1, I, J, K) with the part of each voxel (N, I, J, K)."""

    images: Tensor
    parts: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        return self.images[number], self.parts[number]


def pretrain(
    cohort: Path,
    out: Path,
    *,
    network: str = "resnet3d-18",
    epochs: int = 20,
    seed: int = 1,
    cache: Path | None = None,
    settings: ViewSettings | None = None,
    runner: Runner | None = None,
    scan: Callable[[Outcome], None] = lambda _: None,
    progress: Callable[[Epoch], None] = lambda _: None,
) -> dict[str, Any]:
    """Train `network` on the tissues of a simulated T1 cohort and write its weights without its last layer.

    Args:
        cohort: a T1 cohort whose masks are labels of `atlas.brain.Tissue`, as simulated ones are.
        out: npz of the weights; it names the scans learned from, and no study of these takes it.
        network: a 3-D network.
        epochs: how many.
        seed: of first weights and order.
        cache: of registered scans; `study.cache` beside `out` when omitted.
        settings: how scans are read and measured.
        runner: where scans are registered.
        scan: told of every scan.
        progress: told of every epoch.

    Returns:
        What was learned from and how, JSON-ready.

    Raises:
        InputError: the cohort cannot be read, is not of T1 scans, or has no labels.
        UsageError: there is no such network, or it is not for volumes.
        OSError: `out` cannot be written.
    """
    scans = read_cohort(cohort)
    if modality_of(scans) is not T1 or any(one.mask is None for one in scans):
        raise _no_labels(cohort, "no T1 scan, or no column mask")
    where = cache or out.parent / "study.cache"
    seen = see(scans, [VIEW], where / "views", settings or ViewSettings(), cache=where, runner=runner, progress=scan)
    parts = [parts_of(*one) for one in zip(seen.scans, seen.records, strict=True)]
    return learn_parts(seen, parts, out, network, epochs, seed, progress)


def learn_parts(
    seen: Seen,
    parts: Sequence[NDArray[np.uint8]],
    out: Path,
    network: str,
    epochs: int,
    seed: int,
    progress: Callable[[Epoch], None] = lambda _: None,
) -> dict[str, Any]:
    """`pretrain` from scans that were seen and the parts (I, J, K) of each, as `parts_of` gives them."""
    sight = Sight(VIEW, T1.scales, TOP)
    images = sight.images(seen.views[VIEW], [one["references"] for one in seen.records])
    found = known(network)
    net = new_network(network, sight, seed, None, "none")
    net.adjust(images)
    with torch.inference_mode():
        width = _width(net, found.evidence_layer, images[:1])
    model = Segmenting(net, found.evidence_layer, width)
    labels = torch.from_numpy(np.stack(parts)).long()
    recipe = SegmentRecipe(epochs, len(images), min(BATCH, len(images)), LEARNING_RATE, seed=seed, workers=0)
    log = fit_segmenter(model, Labelled(images, labels), recipe, progress=progress)
    kept = {
        name: value.cpu().numpy()
        for name, value in net.state_dict().items()
        if name.startswith(WRAPPED) and not name.removeprefix(WRAPPED).startswith(found.head)
    }
    stream = io.BytesIO()
    digests = sorted(str(one["sha256"]) for one in seen.records)
    np.savez(stream, allow_pickle=False, **{PRETRAINED_ON: np.array(digests)}, **kept)
    provenance.write_bytes(out, stream.getvalue())
    largest = float((labels == labels.flatten().bincount().argmax()).float().mean())
    return {
        "form": "dopascope.pretrained/1",
        "weights": str(out),
        "sha256": provenance.sha256_of(out),
        "network": network,
        "scans": len(seen.scans),
        "failed": len(seen.failed),
        "epochs": len(log),
        "seed": seed,
        "loss": log[-1].train_loss,
        "voxels_right": log[-1].train_accuracy,
        "voxels_of_the_largest_part": largest,
    }


def parts_of(scan: CohortScan, record: dict[str, Any]) -> NDArray[np.uint8]:
    """The part of each voxel of `volume_4mm`: 0 around the brain, else from 1 in the order of `PARTS`.

    Raises:
        UnsuitableError: the scan's mask is a mask and no labels of tissues.
    """
    read = formats.load(scan.mask) if scan.mask is not None else None
    if not isinstance(read, Volume) or len(np.unique(read.data)) < 1 + len(PARTS):
        raise _no_labels(scan.name, "a mask without tissues")
    labels = LabelMap(read.data.astype(np.uint8), read.grid)
    placed = space.resample(labels, MNI_2MM, to_image=np.array(record["transform"])).data[1::2, 1::2, 1::2]
    found = np.zeros(placed.shape, np.uint8)
    for number, part in enumerate(PARTS, 1):
        found[np.isin(placed, part)] = number
    return found


def _width(net: Standardised, layer: str, image: Tensor) -> int:
    widths: list[int] = []
    hook = net.net.get_submodule(layer).register_forward_hook(
        lambda _module, _given, found: widths.append(int(found.shape[1]))
    )
    net.eval()(image)
    hook.remove()
    return widths[0]


def _no_labels(where: object, found: str) -> UnsuitableError:
    return UnsuitableError(
        "There are no tissues to learn from.",
        where=where,
        found=found,
        expected="T1 scans whose column mask names labels of tissues",
        fix="Simulate a cohort: dopascope simulate --modality t1.",
    )
