"""Features of InceptionV3, on which Frechet and kernel distance are FID and KID."""

from __future__ import annotations

from pathlib import Path
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from dopascope.errors import UsageError
from dopascope.generate.frames import Frame
from dopascope.generate.judging import FeatureSet
from dopascope.learn.weights import first_weights
from dopascope.nets import create, known
from dopascope.nets.weights import fill

NETWORK: Final = "inceptionv3-s3"
"""Its backbone is torchvision's InceptionV3."""
SIDE: Final = 299
MEAN: Final = (0.485, 0.456, 0.406)
SPREAD: Final = (0.229, 0.224, 0.225)
"""Of ImageNet, by colour."""
DISPLAY: Final = 6.0
"""Units of the intensity scale that are white."""
AT_ONCE: Final = 8


def inception(frame: Frame, weights: str = "imagenet", folder: Path | None = None) -> FeatureSet:
    """The 2048 pooled features of InceptionV3, of the plane that is shown to people, in grey.

    torchvision's weights, images of 299 pixels: not the port of TensorFlow's network that some papers use, whose FID
    differs.

    Args:
        frame: of the images.
        weights: `imagenet`, or a file.
        folder: of published weights.

    Raises:
        UnreadableError: the weights are not here and cannot be fetched.
        BundleError: they are not the published ones, or another network's.
        UsageError: no weights, or no such file.
    """
    state, source = first_weights(weights, NETWORK, folder)
    net = create(NETWORK, channels=3)
    if state is None:
        raise UsageError(
            "A network that has learned nothing tells nothing.",
            where="--inception",
            found=weights,
            expected="imagenet, or a file of weights",
            fix="Name one, or leave the option out.",
        )
    fill(net, state, known(NETWORK), where=source)
    backbone = cast(nn.Module, net.backbone).eval()
    mean, spread = (torch.tensor(one).reshape(1, 3, 1, 1) for one in (MEAN, SPREAD))

    def features(images: NDArray[np.float32]) -> NDArray[np.float64]:
        planes = np.stack([frame.plane(image) for image in images])
        grey = torch.from_numpy(np.clip(planes / DISPLAY, 0, 1).astype(np.float32))[:, None]
        found = []
        with torch.inference_mode():
            for part in grey.split(AT_ONCE):
                large = functional.interpolate(part, (SIDE, SIDE), mode="bilinear", antialias=True)
                found.append(backbone((large.expand(-1, 3, -1, -1) - mean) / spread))
        return torch.cat(found).double().numpy()

    return FeatureSet(f"InceptionV3 ({source}): these are FID and KID", features)
