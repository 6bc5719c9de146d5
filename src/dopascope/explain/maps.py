"""Grad-CAM, integrated gradients and occlusion of a trained network, as Volumes on the scan's own grid.

Selvaraju et al. 2017, ICCV (Grad-CAM); Sundararajan, Taly and Yan 2017, ICML (integrated gradients); Zeiler and Fergus
2014, ECCV (occlusion). All three by captum. The readers' own evidence, of bundles, is `bundle.occlusion`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from dopascope import atlas, space
from dopascope.bundle.occlusion import STRIATUM_MARGIN_MM
from dopascope.errors import UsageError
from dopascope.explain.lift import lift
from dopascope.learn.fit import Standardised, logit_of
from dopascope.nets import known
from dopascope.space.intensity import reference_value
from dopascope.space.views import VIEWS
from dopascope.tasks.classify import Sight
from dopascope.volume import MNI_2MM, Step, Volume

METHODS: Final = ("grad-cam", "integrated-gradients", "occlusion")
PATCH: Final = 7
"""Voxels that occlusion covers at a time: 14 mm, as the readers' evidence."""
STRIDE: Final = 3
STEPS: Final = 32
"""Of the path of integrated gradients."""
MEANING: Final = {
    "grad-cam": "where the network's last feature maps speak for what it said",
    "integrated-gradients": "share of each voxel in the logit of 'abnormal', against an image of the background alone",
    "occlusion": "change of the logit of 'abnormal' when a patch of 14 mm is replaced by the background",
}


@dataclass(frozen=True, eq=False)
class Explanation:
    """A map and what it says of the striatum."""

    method: str
    map: Volume
    """On the scan's own grid; on `MNI_2MM` where no registration was given."""
    on_mni: NDArray[np.float32]
    logit: float
    """The network's answer."""
    share_inside_striatum: float
    """Part of the sum of absolute values that lies in the striatum with its margin."""
    area_inside_striatum: float
    """Part of what the network sees that lies there: the share of a map that is the same everywhere."""
    meaning: str

    def as_dict(self) -> dict[str, Any]:
        """What is said of the map, JSON-ready."""
        names = ("method", "logit", "share_inside_striatum", "area_inside_striatum", "meaning")
        return {name: getattr(self, name) for name in names}


def explain(
    net: Standardised,
    network: str,
    sight: Sight,
    placed: Volume,
    method: str,
    *,
    scan: Volume | None = None,
    registration: space.Registration | None = None,
) -> Explanation:
    """Explain a network's answer for one scan.

    Args:
        net: the trained network.
        network: its name in the registry, which names the layer of Grad-CAM.
        sight: how its images are made.
        placed: the scan on `MNI_2MM`, raw intensities.
        method: a name of `METHODS`.
        scan: the scan as it was read; with `registration`, for a map on its own grid.
        registration: of `scan`.

    Raises:
        UsageError: an unknown method, or a view that has no place in the head.
        UnsuitableError: the scan cannot be scaled.
    """
    if method not in METHODS:
        raise UsageError(
            "No explanation has this name.",
            where="method",
            found=method,
            expected=", ".join(METHODS),
            fix="Choose one.",
        )
    references = {name: reference_value(placed, name) for name in sight.intensity}
    image = sight.images(VIEWS[sight.view].take(placed)[None], [references])
    channels = attribution(net, network, image, method)
    found, seen = lift(channels[0].numpy(), sight)
    step = Step(method, {"network": network, "view": sight.view})
    on_mni = Volume(found, MNI_2MM, history=(*placed.history, step))
    shown = on_mni if scan is None or registration is None else _on_scan(on_mni, scan, registration)
    inside = _striatum() & seen
    total = float(np.abs(found).sum())
    with torch.inference_mode():
        logit = float(logit_of(net.eval()(image))[0])
    return Explanation(
        method,
        shown,
        found,
        logit,
        float(np.abs(found[inside]).sum()) / total if total else 0.0,
        float(inside.sum() / seen.sum()),
        MEANING[method],
    )


def attribution(net: Standardised, network: str, image: Tensor, method: str) -> Tensor:
    """The map (1, C, I, J[, K]) of one image (1, C, I, J[, K]), on the image's own pixels."""
    net.eval()
    if method == "grad-cam":
        return _grad_cam(net, network, image)
    background = _background(image)

    def answer(images: Tensor) -> Tensor:
        return logit_of(net(images))

    if method == "integrated-gradients":
        from captum.attr import IntegratedGradients

        found: Tensor = IntegratedGradients(answer).attribute(image, background, n_steps=STEPS, internal_batch_size=8)
    else:
        from captum.attr import Occlusion

        axes = image.ndim - 2
        with torch.inference_mode():
            found = Occlusion(answer).attribute(
                image,
                sliding_window_shapes=(image.shape[1], *[min(PATCH, size) for size in image.shape[2:]]),
                strides=(image.shape[1], *[STRIDE] * axes),
                baselines=background,
                perturbations_per_eval=16,
            )
    return found.detach().float()


def _grad_cam(net: Standardised, network: str, image: Tensor) -> Tensor:
    """Evidence for what was said; the same for every channel, but for the sequence, which looks at slices apart."""
    from captum.attr import LayerGradCam

    named = known(network).evidence_layer
    if not named:
        raise UsageError(
            "This network names no layer for Grad-CAM.",
            where="method",
            found=network,
            expected=", ".join(one for one in METHODS if one != "grad-cam"),
            fix="Choose one of these methods.",
        )
    layer = net.get_submodule(f"net.{named}")
    with torch.inference_mode():
        said = 1.0 if float(logit_of(net(image))[0]) > 0 else -1.0

    class Said(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return said * logit_of(net(images))

    maps: Any = LayerGradCam(Said(), layer).attribute(image, relu_attributions=True)
    slices = maps.shape[0]  # 1, or as many as the sequence has
    mode = "bilinear" if image.ndim == 4 else "trilinear"
    grown = functional.interpolate(maps.detach().float(), image.shape[2:], mode=mode, align_corners=False)
    if slices == 1:
        return grown.expand(1, image.shape[1], *image.shape[2:]).clone()
    return grown[:, 0][None].repeat(1, image.shape[1] // slices, *[1] * (image.ndim - 2))


def _background(image: Tensor) -> Tensor:
    """An image of the median of each channel's lit part, where there is anything: brain without a striatum."""
    flat = image.flatten(2)
    lit = torch.where(flat > 0.02, flat, torch.nan)
    median = lit.nanmedian(-1).values.nan_to_num(0.0)
    return median.reshape(*median.shape, *[1] * (image.ndim - 2)).expand_as(image).clone()


def _on_scan(on_mni: Volume, scan: Volume, registration: space.Registration) -> Volume:
    to_mni = np.linalg.inv(np.asarray(registration.mni_to_scan))
    return space.resample(on_mni, scan.grid, to_image=to_mni)


@lru_cache(maxsize=1)
def _striatum() -> NDArray[np.bool_]:
    from scipy.ndimage import distance_transform_edt

    outside = atlas.striatum_labels().data == 0
    near: NDArray[np.bool_] = distance_transform_edt(outside, sampling=MNI_2MM.spacing_mm) <= STRIATUM_MARGIN_MM
    return near
