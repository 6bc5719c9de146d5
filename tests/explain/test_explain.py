"""Maps of networks whose reasons are known, against other programs, and on the scan's own grid."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from dopascope import phantom, space
from dopascope.batch.viewing import T1_REFERENCES
from dopascope.errors import UsageError
from dopascope.explain import METHODS, Picture, explain, picture, randomised
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
    found = attribution(taught, "slab", Picture.of(spot()), method)[0, 0].abs()
    near = torch.zeros(72, 72, dtype=torch.bool)
    near[4:28, 42:66] = True
    share = float(found[near].sum() / found.sum())
    assert share > 4 * float(near.float().mean())


def test_integrated_gradients_add_up_to_the_answer(taught: Standardised) -> None:
    """Completeness: the map's sum is the logit less that of the background."""
    shown = Picture.of(spot())
    total = float(attribution(taught, "slab", shown, "integrated-gradients").sum())
    with torch.inference_mode():
        difference = taught.eval()(shown.image)[0, 0] - taught(shown.background)[0, 0]
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
    ours = attribution(net, "resnet18", Picture.of(image), "grad-cam")[0, 0]
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
    found = attribution(net, name, Picture.of(image), method)
    assert found.shape == image.shape
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(
    "view", ["slab_12mm", "slabs_8mm", "rgb_slices", "striatal_slice", "striatal_slices", "volume_4mm", "volume_2mm"]
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

    shown = Picture.of(spot() + 0.1 * torch.rand(1, 1, 72, 72, generator=torch.Generator().manual_seed(1)))
    assert randomised(taught, "slab", shown, "grad-cam").passed
    monkeypatch.setattr(sanity, "attribution", lambda _net, _name, shown, _method: shown.image)
    said = randomised(taught, "slab", shown, "occlusion")
    assert said.correlation == pytest.approx(1.0)
    assert not said.passed


class Weighted(nn.Module):
    """Answers the weighted sum of its image."""

    def __init__(self, weights: torch.Tensor) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * self.weights).flatten(1).sum(1)


def brain() -> Volume:
    """On the MNI grid, as studies of T1 see it: values about 4 in a ball, 0 around it, a bright spot in slice 38."""
    world = MNI_2MM.to_world(np.moveaxis(np.indices(MNI_2MM.shape), 0, -1)) - np.array([0.0, -15.0, 5.0])
    data = np.where((world**2).sum(-1) < 60**2, 4 + 0.02 * world[..., 1], 0)
    data[50:54, 60:64, 38] = 7
    return Volume(data.astype(np.float32), MNI_2MM)


@pytest.mark.parametrize("colour", ["grey", "pseudocolour"])
def test_a_slice_in_colour_has_one_map(colour: Literal["grey", "pseudocolour"]) -> None:
    """Integrated gradients of its channels add up to the answer; what covers it is a colour that it has."""
    sight = Sight("striatal_slice", ("zscore_brain",), 8.0, colour=colour)
    shown = picture(sight, brain(), T1_REFERENCES)
    colours = {tuple(one) for one in shown.image[0].flatten(1).T.tolist()}
    assert {tuple(one) for one in shown.background[0].flatten(1).T.tolist()} < colours
    net = Standardised(Weighted(torch.randn(3, 91, 109, generator=torch.Generator().manual_seed(1))), 3, 2)
    found = explain(net, "slab-classes", sight, brain(), "integrated-gradients", references=T1_REFERENCES)
    difference = float(net(shown.image) - net(shown.background))
    assert float(found.on_mni.sum(dtype=np.float64)) == pytest.approx(difference, rel=1e-3)
    assert not found.on_mni[:, :, np.arange(91) != 38].any()
    spotted = Standardised(Weighted((shown.image > shown.image.mean()).float()), 3, 2)
    covered = explain(spotted, "slab-classes", sight, brain(), "occlusion", references=T1_REFERENCES)
    assert "14 mm" in covered.meaning
    place = np.unravel_index(np.abs(covered.on_mni).argmax(), MNI_2MM.shape)
    assert np.abs(np.array(place) - (51, 61, 38)).max() <= 7


def test_a_volume_is_covered_by_large_patches() -> None:
    weights = torch.zeros(1, 45, 54, 45)
    weights[0, 20:22, 30:32, 15:17] = 1
    net = Standardised(Weighted(weights), 1, 3)
    sight = Sight("volume_4mm", ("zscore_brain",), 8.0)
    found = explain(net, "resnet3d-18", sight, brain(), "occlusion", references=T1_REFERENCES)
    assert "28 mm" in found.meaning
    low, high = (edge(np.argwhere(found.on_mni), axis=0) for edge in (np.min, np.max))
    assert (high - low + 1 <= 2 * 2 * 7).all()
    assert (low <= np.array([41, 61, 31])).all()
    assert (high >= np.array([44, 64, 34])).all()


def test_a_backbone_of_timm_has_no_layer_of_its_own() -> None:
    with pytest.raises(UsageError, match="no layer") as caught:
        attribution(
            Standardised(nn.Identity(), 3, 2), "timm:resnet18", Picture.of(torch.rand(1, 3, 91, 109)), "grad-cam"
        )
    assert "occlusion" in caught.value.expected
