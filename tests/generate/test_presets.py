"""What papers fit: each preset can be built, and is for scans of its own modality."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dopascope.errors import UnsuitableError, UsageError
from dopascope.generate.fitting import Wanted, fit
from dopascope.generate.frames import frame
from dopascope.generate.presets import EPOCHS, PRESETS, USUAL, Preset, chosen
from dopascope.learn.generative.padding import padded
from dopascope.learn.generative.plan import Plan, build
from dopascope.learn.generative.recipe import GeneratorRecipe


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_can_be_built(name: str) -> None:
    known = chosen(name)
    shape = tuple(padded(torch.zeros(1, *frame(known.frame).shape)).shape[1:])
    build(Plan(known.family, shape, known.classes or ("PD", "control")))
    assert GeneratorRecipe(epochs=known.epochs, learning_rate=known.learning_rate, balanced=known.balanced)
    assert known.assumed
    assert all(name in line for line in known.assumed)


def test_s4_learns_from_healthy_t1_alone() -> None:
    both = [chosen(name) for name in ("s4", "s4-volumes")]
    assert [one.classes for one in both] == [("control",)] * 2
    assert [len(frame(one.frame).shape) for one in both] == [3, 4]
    assert {frame(one.frame).modality.name for one in both} == {"t1"}


def test_an_unknown_preset_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no such preset") as caught:
        chosen("s5")
    assert (caught.value.where, caught.value.found) == ("--preset", "s5")
    assert "s4-volumes" in caught.value.expected


def test_what_is_said_goes_before_the_preset_and_the_usual() -> None:
    usual = chosen(None)
    assert (usual.family, usual.frame, usual.epochs) == (USUAL.family, USUAL.frame, EPOCHS["cvae"])
    assert usual.assumed == ("200 epochs; --epochs or --minutes set another length",)
    assert chosen(None, family="ldm").epochs == EPOCHS["ldm"]
    assert chosen(None, epochs=7).assumed == ()
    other = chosen("s4", family="rflow", frame="slab", learning_rate=0.1, classes=("PD",), balanced=True)
    assert other == Preset(
        PRESETS["s4"].title, "rflow", "slab", EPOCHS["rflow"], 0.1, ("PD",), True, PRESETS["s4"].assumed
    )


@pytest.mark.parametrize(("name", "modality"), [("t1-slice", "dat"), ("slab-64", "t1")])
def test_scans_of_another_modality_are_refused_before_anything_is_written(
    name: str, modality: str, tmp_path: Path
) -> None:
    table = tmp_path / "cohort.tsv"
    lines = [f"p{number}\tp{number}\tp{number}.nii.gz\t{modality}\tcontrol" for number in range(10)]
    table.write_text("\n".join(["participant_id\tscan_id\tpath\tmodality\tlabel", *lines]) + "\n")
    wanted = Wanted("cvae", frame(name), GeneratorRecipe(epochs=1))
    with pytest.raises(UnsuitableError, match="not what the frame shows") as caught:
        fit(wanted, table, tmp_path / "out")
    assert caught.value.found == f"10 scans of modality {modality}"
    assert not (tmp_path / "out").exists()
