"""What a generator learns of a scan: places, sizes, and ratios read off pictures of known ratios."""

from __future__ import annotations

import numpy as np
import pytest

from dopascope import atlas
from dopascope.batch.viewing import T1_LIFT
from dopascope.errors import UsageError
from dopascope.generate.frames import FRAMES, frame
from dopascope.generate.read_off import DAT, T1
from dopascope.space.views import VIEWS
from dopascope.volume import MNI_2MM, Volume
from made_material import image

EVERY = pytest.mark.parametrize("name", sorted(FRAMES))
OF_DAT = pytest.mark.parametrize("name", sorted(name for name, one in FRAMES.items() if one.modality is DAT))
OF_T1 = pytest.mark.parametrize("name", sorted(name for name, one in FRAMES.items() if one.modality is T1))


@OF_DAT
def test_ratios_of_a_picture_are_those_that_it_was_made_with(name: str) -> None:
    ratios = {"caudate_left": 2.5, "caudate_right": 2.0, "putamen_left": 1.0, "putamen_right": 1.8}
    found = frame(name).quantities(image(name, ratios)[None])
    # Regions share pixels where the view averages: what is put into a region is diluted, the same for all.
    plain = frame(name).quantities(image(name, {})[None])
    assert plain["putamen"] == pytest.approx(0, abs=0.1)
    assert plain["putamen_asymmetry"] == pytest.approx(0, abs=2)
    whole = frame(name).quantities(image(name, dict.fromkeys(ratios, 1.0))[None])
    share = float(whole["putamen"][0])
    assert 0.3 < share <= 1.05
    assert found["putamen"][0] == pytest.approx(share * 1.0, rel=0.35)
    assert found["caudate_to_putamen"][0] == pytest.approx(2.5, rel=0.35)
    assert found["putamen_asymmetry"][0] < -30


@OF_DAT
def test_ratios_do_not_know_the_scale_of_the_picture(name: str) -> None:
    ratios = {"caudate_left": 2.0, "caudate_right": 2.0, "putamen_left": 1.0, "putamen_right": 1.5}
    one = image(name, ratios, noise=0.1)[None].astype(np.float64)
    first, second = frame(name).quantities(one), frame(name).quantities(0.37 * one)
    for quantity, values in first.items():
        assert values == pytest.approx(second[quantity], rel=1e-9)


@OF_T1
def test_tissues_of_a_picture_are_those_that_it_was_made_with(name: str) -> None:
    """A brain of grey matter with fluid in its left tenth and white matter on its right: counted, not fitted."""
    known = frame(name)
    x = known.grid.centres_mm()[..., 0]
    z = np.where(x < -40, -2.5, np.where(x > 30, 1.2, 0.0))
    brain = np.abs(known.grid.centres_mm()[..., 1] + 20) < 50
    made = np.where(brain, z + T1_LIFT, 0.0)
    found = {key: float(one[0]) for key, one in known.quantities(known.image(made)[None]).items()}
    inside = brain.sum()
    assert found["brain"] == pytest.approx(inside * known.grid.voxel_ml)
    assert found["fluid"] == pytest.approx(100 * (brain & (x < -40)).sum() / inside)
    assert found["white"] == pytest.approx(100 * (brain & (x > 30)).sum() / inside)
    whole = known.quantities(known.image(np.where(x < -1e-3, made, 0))[None])
    assert whole["sides"][0] == pytest.approx(200)


@OF_T1
def test_a_whole_brain_fits_into_a_frame(name: str) -> None:
    known = frame(name)
    brain = Volume((atlas.tissue("brain").data >= 0.5).astype(np.float32), MNI_2MM)
    whole = VIEWS[known.sight.view].take(brain)
    cut = tuple(slice(*ends) for ends in known.sight.crop)
    assert whole[(slice(None), *cut)].sum() == pytest.approx(whole.sum(), rel=0.005)


@EVERY
def test_an_image_lies_where_the_view_took_it_from(name: str) -> None:
    """A scan that holds its own world position: so does every voxel of the frame's volume."""
    known = frame(name)
    for axis in range(3):
        data = MNI_2MM.centres_mm()[..., axis].astype(np.float32) + 200
        cut = tuple(slice(*ends) for ends in known.sight.crop)
        seen = VIEWS[known.sight.view].take(Volume(data, MNI_2MM))[(slice(None), *cut)]
        placed = known.volume(seen / np.float32(known.top))
        assert placed.grid.shape == placed.data.shape
        assert np.allclose(placed.data - 200, placed.grid.centres_mm()[..., axis], atol=1e-3)
        assert np.array_equal(known.image(placed.data), np.asarray(seen / known.top, np.float32))


@EVERY
def test_the_plane_that_is_shown_goes_through_the_striatum(name: str) -> None:
    known = frame(name)
    height = known.grid.to_world([0, 0, known.striatal])[2]
    assert -4 <= height <= 12
    assert known.plane(image(name, {})).shape == known.grid.shape[:2]


def test_an_unknown_frame_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no such frame") as caught:
        frame("slab-65")
    assert (caught.value.where, caught.value.found) == ("--frame", "slab-65")
    assert "slab-64" in caught.value.expected
