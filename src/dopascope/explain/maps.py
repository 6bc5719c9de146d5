"""Grad-CAM, integrated gradients and occlusion of a trained network, as Volumes on the scan's own grid.

Selvaraju et al. 2017, ICCV (Grad-CAM); Sundararajan, Taly and Yan 2017, ICML (integrated gradients); Zeiler and Fergus
2014, ECCV (occlusion). All three by captum. The readers' own evidence, of bundles, is `bundle.occlusion`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

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
from dopascope.space.brain_registration import BrainRegistration
from dopascope.space.intensity import reference_value
from dopascope.space.views import VIEWS
from dopascope.tasks.classify import Sight
from dopascope.volume import MNI_2MM, Step, Volume

METHODS: Final = ("grad-cam", "integrated-gradients", "occlusion")
PATCH: Final = (7, 3, 14)
"""Voxels that occlusion covers at a time and voxels to the next place; the former in mm: as the readers' evidence."""
PATCHES: Final = {"volume_4mm": (7, 7, 28), "volume_2mm": (14, 14, 28)}
"""Of views that are volumes: several hundred places, one beside the other."""
LIT: Final = 0.02
"""Above this an image shows something."""
STEPS: Final = 32
"""Of the path of integrated gradients."""
MEANING: Final = {
    "grad-cam": "where the network's last feature maps speak for what it said",
    "integrated-gradients": "share of each voxel in the logit of 'abnormal', against an image of the background alone",
    "occlusion": "change of the logit of 'abnormal' when a patch of {patch} mm is replaced by the background",
}


class Picture(NamedTuple):
    """One image and what its maps need."""

    image: Tensor
    """(1, C, I, J[, K])"""
    background: Tensor
    """Of the same shape: brain without anything in it."""
    patch: tuple[int, int, int] = PATCH
    """As `PATCH`."""

    @classmethod
    def of(cls, image: Tensor) -> Picture:
        """With the median of each channel's lit part, where there is anything, as background."""
        flat = image.flatten(2)
        lit = torch.where(flat > LIT, flat, torch.nan)
        return cls(image, _filled(lit.nanmedian(-1).values.nan_to_num(0.0), image))


def picture(sight: Sight, placed: Volume, references: Mapping[str, float] | None = None) -> Picture:
    """What a network sees of a scan on `MNI_2MM`, raw intensities.

    Args:
        sight: how its images are made.
        placed: the scan.
        references: of each intensity scale; measured on `placed` where omitted.

    Raises:
        UnsuitableError: the scan cannot be scaled.
    """
    found = dict(references or {name: reference_value(placed, name) for name in sight.intensity})
    taken = VIEWS[sight.view].take(placed)[None]
    shown = Picture.of(sight.images(taken, [found]))._replace(patch=PATCHES.get(sight.view, PATCH))
    if sight.colour == "none":
        return shown
    # The colour of the voxel of median grey: medians of each channel would be a colour that the palette has not.
    grey = replace(sight, colour="none").images(taken, [found]).flatten()
    at = int(torch.where(grey > LIT, grey, torch.nan).nanmedian(-1).indices)
    return shown._replace(background=_filled(shown.image.flatten(2)[:, :, at], shown.image))


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
    references: Mapping[str, float] | None = None,
    scan: Volume | None = None,
    registration: space.Registration | BrainRegistration | None = None,
) -> Explanation:
    """Explain a network's answer for one scan.

    Args:
        net: the trained network.
        network: its name in the registry, which names the layer of Grad-CAM.
        sight: how its images are made.
        placed: the scan on `MNI_2MM`, raw intensities; of a T1 what `batch.viewing.lifted` makes.
        method: a name of `METHODS`.
        references: of each intensity scale; measured on `placed` where omitted.
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
    shown = picture(sight, placed, references)
    channels = attribution(net, network, shown, method)
    if sight.colour != "none":  # each channel has its part of integrated gradients, and all have the others' map
        channels = channels.sum(1, keepdim=True) if method == "integrated-gradients" else channels[:, :1]
    found, seen = lift(channels[0].numpy(), sight)
    step = Step(method, {"network": network, "view": sight.view})
    on_mni = Volume(found, MNI_2MM, history=(*placed.history, step))
    on_own = on_mni if scan is None or registration is None else _on_scan(on_mni, scan, registration)
    inside = _striatum() & seen
    total = float(np.abs(found).sum())
    with torch.inference_mode():
        logit = float(logit_of(net.eval()(shown.image))[0])
    return Explanation(
        method,
        on_own,
        found,
        logit,
        float(np.abs(found[inside]).sum()) / total if total else 0.0,
        float(inside.sum() / seen.sum()),
        MEANING[method].format(patch=shown.patch[2]),
    )


def attribution(net: Standardised, network: str, shown: Picture, method: str) -> Tensor:
    """The map (1, C, I, J[, K]) of one image, on the image's own pixels."""
    net.eval()
    image, background, (patch, stride, _) = shown
    if method == "grad-cam":
        return _grad_cam(net, network, image)

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
                sliding_window_shapes=(image.shape[1], *[min(patch, size) for size in image.shape[2:]]),
                strides=(image.shape[1], *[stride] * axes),
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


def _filled(value: Tensor, image: Tensor) -> Tensor:
    """An image like this one, of one value (1, C) in each channel."""
    return value.reshape(*value.shape, *[1] * (image.ndim - 2)).expand_as(image).clone()


def _on_scan(on_mni: Volume, scan: Volume, registration: space.Registration | BrainRegistration) -> Volume:
    to_mni = np.linalg.inv(np.asarray(registration.mni_to_scan))
    return space.resample(on_mni, scan.grid, to_image=to_mni)


@lru_cache(maxsize=1)
def _striatum() -> NDArray[np.bool_]:
    from scipy.ndimage import distance_transform_edt

    outside = atlas.striatum_labels().data == 0
    near: NDArray[np.bool_] = distance_transform_edt(outside, sampling=MNI_2MM.spacing_mm) <= STRIATUM_MARGIN_MM
    return near
