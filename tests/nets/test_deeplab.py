"""DeepLabv3+: encoders by name, the shape of its answer, and what of it is depthwise separable."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dopascope.errors import UsageError
from dopascope.nets.deeplab import CLASSES, deeplab

SMALL = "tu-mobilenetv3_small_050"


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenet_v2", SMALL])
def test_the_answer_has_a_logit_of_each_class_for_each_pixel(encoder: str) -> None:
    net = deeplab(encoder).eval()
    with torch.inference_mode():
        answer = net(torch.zeros(2, 1, 48, 80))
    assert answer.shape == (2, len(CLASSES), 48, 80)
    assert torch.isfinite(answer).all()


def test_pyramid_and_decoder_are_depthwise_separable_and_atrous() -> None:
    net = deeplab("resnet18")
    wide = [one for one in net.decoder.modules() if isinstance(one, nn.Conv2d) and one.kernel_size != (1, 1)]
    assert wide
    assert all(one.groups == one.in_channels for one in wide), "every wider kernel sees one channel"
    assert len({one.dilation for one in wide}) >= 4, "the pyramid looks at several distances"


def test_an_encoder_that_is_not_there_is_refused_with_names_near_to_it() -> None:
    with pytest.raises(UsageError) as caught:
        deeplab("resnet81")
    assert caught.value.where == "encoder"
    assert caught.value.found == "resnet81"
    assert "resnet18" in caught.value.expected


@pytest.mark.parametrize("encoder", ["xception", "tu-no_such_backbone"])
def test_an_encoder_that_does_not_fit_is_refused_with_the_reason(encoder: str) -> None:
    with pytest.raises(UsageError, match="does not fit") as caught:
        deeplab(encoder)
    assert encoder in caught.value.found
