"""Maps of networks whose reasons are known, against other programs, and on the scan's own grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from dopascope import phantom, space
from dopascope.errors import UsageError
from dopascope.explain import METHODS, explain, randomised
from dopascope.explain.lift import lift
from dopascope.explain.maps import attribution
from dopascope.learn.fit import Examples, Standardised, fit
from dopascope.learn.recipe import Recipe
from dopascope.nets import NETWORKS, create
from dopascope.space.views import VIEWS
from dopascope.tasks.classify import Sight
from dopascope.volume import MNI_2MM, Volume

SLAB = Sight("slab_12mm", ("p75_nonstriatal",), 6.5, ((10, 82), (29, 101)))


@pytest.fixture(scope="module")
def taught() -> Standardised:
    """A slab network that learned that a bright spot in one corner is abnormal."""
    generator = torch.Generator().manual_seed(1)
    images = 0.1 * torch.rand(60, 1, 72, 72, generator=generator) + 0.2
    positive = torch.arange(60) % 2 == 0
    images[positive, :, 12:20, 50:58] += 0.6
    torch.manual_seed(2)
    net = Standardised(create("slab"), 1, 2)
    net.adjust(images)
    fit(net, Examples(images, positive), Recipe(epochs=8, batch=10, learning_rate=3e-3, optimiser="adamw"), seed=1)
    return net


def spot() -> torch.Tensor:
    image = torch.full((1, 1, 72, 72), 0.25)
    image[:, :, 12:20, 50:58] += 0.6
    return image


@pytest.mark.parametrize("method", METHODS)
def test_the_reason_is_found_where_it_was_put(taught: Standardised, method: str) -> None:
    found = attribution(taught, "slab", spot(), method)[0, 0].abs()
    near = torch.zeros(72, 72, dtype=torch.bool)
    near[4:28, 42:66] = True
    share = float(found[near].sum() / found.sum())
    assert share > 4 * float(near.float().mean())


def test_integrated_gradients_add_up_to_the_answer(taught: Standardised) -> None:
    """Completeness: the map's sum is the logit less that of the background."""
    from dopascope.explain.maps import _background

    image = spot()
    total = float(attribution(taught, "slab", image, "integrated-gradients").sum())
    with torch.inference_mode():
        difference = taught.eval()(image)[0, 0] - taught(_background(image))[0, 0]
    assert total == pytest.approx(float(difference), rel=0.05)


def test_grad_cam_is_monais() -> None:
    """Up to its scale: MONAI's is turned to 0..1."""
    from monai.visualize import GradCAM

    torch.manual_seed(3)
    net = Standardised(create("resnet18"), 3, 2).eval()
    image = torch.randn(1, 3, 96, 128)
    with torch.inference_mode():
        said = 1.0 if float(net(image)[0]) > 0 else -1.0

    class Said(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (said * self.net(x))[:, None]

    theirs = GradCAM(Said(), "net.net.backbone.layer4", postprocessing=lambda x: x)(image, class_idx=0)[0, 0]
    ours = attribution(net, "resnet18", image, "grad-cam")[0, 0]
    assert float(ours.max()) > 0
    assert np.corrcoef(ours.numpy().ravel(), theirs.detach().numpy().ravel())[0, 1] > 0.99


@pytest.mark.parametrize("name", ["slab", "sequence", "resnet18", "resnet3d-10"])
@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_network_has_every_map(name: str, method: str) -> None:
    channels, *axes = NETWORKS[name].input_shape
    shape = (48, 56) if name == "resnet18" else axes if len(axes) == 2 else (16, 18, 15)
    torch.manual_seed(1)
    net = Standardised(create(name), channels, len(shape))
    image = torch.rand(1, channels, *shape)
    found = attribution(net, name, image, method)
    assert found.shape == image.shape
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(
    "view", ["slab_12mm", "slabs_8mm", "rgb_slices", "striatal_slices", "volume_4mm", "volume_2mm"]
)
def test_lifting_undoes_the_view(view: str) -> None:
    """A map that is the view of a volume lies, lifted, where the view was taken."""
    rng = np.random.default_rng(1)
    volume = Volume(rng.random(MNI_2MM.shape, np.float32) + 1, MNI_2MM)
    taken = VIEWS[view].take(volume)
    found, seen = lift(np.concatenate([taken, taken]), Sight(view, ("p99", "occipital"), 1.0))
    assert seen.any()
    assert not found[~seen].any()
    again = VIEWS[view].take(Volume(found, MNI_2MM))
    np.testing.assert_allclose(again, 2 * taken, rtol=1e-5)


def test_a_crop_is_lifted_to_its_place() -> None:
    channels = np.zeros((1, 72, 72), np.float32)
    channels[0, 5, 7] = 1
    found, seen = lift(channels, SLAB)
    assert np.argwhere(found).tolist() == [[15, 36, k] for k in range(35, 41)]
    assert seen.sum() == 72 * 72 * 6


def test_a_projection_has_no_place() -> None:
    with pytest.raises(UsageError, match="no map"):
        lift(np.zeros((3, 109, 109), np.float32), Sight("projections", ("p99",), 1.0))


def test_a_map_lies_on_the_scans_own_grid(taught: Standardised) -> None:
    person = phantom.draw_person(3, "pd")
    scan, _ = phantom.scan(person, phantom.SITES["siemens-lehr-osem"].camera, phantom.draw_pose(3), 3)
    registration = space.register(scan)
    placed = space.normalise(scan, registration)
    found = explain(taught, "slab", SLAB, placed, "occlusion", scan=scan, registration=registration)
    assert found.map.grid.same_as(scan.grid)
    assert 0 <= found.share_inside_striatum <= 1
    assert 0 < found.area_inside_striatum < 0.5
    back = space.normalise(found.map, registration).data
    inside = np.abs(found.on_mni) > 0.3 * np.abs(found.on_mni).max()
    assert np.corrcoef(back[inside], found.on_mni[inside])[0, 1] > 0.8
    assert found.meaning
    with pytest.raises(UsageError, match="No explanation"):
        explain(taught, "slab", SLAB, placed, "lime")


def test_a_map_of_the_image_alone_is_found_out(taught: Standardised, monkeypatch: pytest.MonkeyPatch) -> None:
    from dopascope.explain import sanity

    image = spot() + 0.1 * torch.rand(1, 1, 72, 72, generator=torch.Generator().manual_seed(1))
    assert randomised(taught, "slab", image, "grad-cam").passed
    monkeypatch.setattr(sanity, "attribution", lambda _net, _name, image, _method: image)
    said = randomised(taught, "slab", image, "occlusion")
    assert said.correlation == pytest.approx(1.0)
    assert not said.passed


def test_a_backbone_of_timm_has_no_layer_of_its_own() -> None:
    with pytest.raises(UsageError, match="no layer") as caught:
        attribution(Standardised(nn.Identity(), 3, 2), "timm:resnet18", torch.rand(1, 3, 91, 109), "grad-cam")
    assert "occlusion" in caught.value.expected
