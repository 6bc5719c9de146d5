"""The editor that ships: simulates people, fits an autoencoder to their slabs, measures it, and writes its bundle.

    python release/editor.py WORK --bundle src/dopascope/bundle/shipped/dopascope-editor

One thread. Everything follows from the seeds; run again to go on: scans and epochs that are done are kept in WORK.
What was measured on people that nothing learned from (release/editor_figures.py) stands in the card and in
WORK/figures.json. For research and education. Not a medical device.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dopascope import provenance, space
from dopascope.bundle import Bundle
from dopascope.bundle.editor import SHIPPED_EDITOR
from dopascope.bundle.spec import EditedValue, EditRule, InputSpec, Normal
from dopascope.convert.editor_bundle import DIFFERENCE, IMAGE, PRESENT, WANTED, EditorNamed, bundle_of_editor
from dopascope.errors import DopascopeError
from dopascope.learn.generative.fit import GeneratorEpoch, fit_generator
from dopascope.learn.generative.generator import Generator
from dopascope.learn.generative.plan import Plan as GeneratorPlan
from dopascope.learn.generative.recipe import GeneratorRecipe
from dopascope.phantom import Person
from dopascope.phantom.people import HEALTHY_SBR, REFERENCE_AGE, SIDES
from dopascope.simulate import Plan
from dopascope.simulate.scans import acquire
from dopascope.space.intensity import reference_value
from dopascope.space.slab_ratios import REGIONS, slab_ratios
from dopascope.space.views import slab_12mm
from editor_figures import figures, told

SEED = 20261130
HELD_OUT_SEED = 20261131
SEEN = InputSpec(
    name=IMAGE,
    view="slab_12mm",
    intensity="p75_nonstriatal",
    flip_x=False,
    crop=[(21, 69), (41, 89)],
    clip=(0.0, 10.0),
    mean=0.0,
    sd=10.0,
    axes="x from the subject's left to right, y from back to front",
    shape=[1, 48, 48],
)
SETTINGS = {"width": 16, "halvings": 3, "latent": 32, "drop": 0.0}
PERCENTILES = (1, 99)


@dataclass(frozen=True)
class Slabs:
    """Registered slabs of simulated people."""

    slabs: NDArray[np.float32]
    """(N, 91, 109) in units of the 75th percentile outside the striatum."""
    twins: dict[int, NDArray[np.float32]]
    """Row -> the slab of the same person with typical healthy binding, in the same pose, at the same camera."""
    age: NDArray[np.float64]
    healthy: NDArray[np.bool_]
    refused: int
    """People whose scan could not be registered, or was not accepted."""


def slabs_of(folder: Path, subjects: int, seed: int, *, twins: bool = False) -> Slabs:
    """Simulate, register and cut; what is in the folder already is not made again. Twins are of abnormal people."""
    plan = Plan(subjects=subjects, seed=seed, ideal=False)
    folder.mkdir(parents=True, exist_ok=True)
    found, people, beside = [], [], {}
    for number in range(1, subjects + 1):
        participant = plan.participant(number)
        person = participant.person()
        also = twins and bool(person.abnormal)
        kept = folder / f"{participant.participant_id}{'-twin' if also else ''}.npz"
        if not kept.is_file():
            stream = io.BytesIO()
            np.savez(stream, **_cut(plan, number, [person, *([typical(person)] if also else [])]))
            provenance.write_bytes(kept, stream.getvalue())
            say(f"{folder.name} {number} of {subjects}")
        with np.load(kept, allow_pickle=False) as stored:
            if not stored["slab"].size:
                continue
            if also:
                beside[len(found)] = stored["twin"]
            found.append(stored["slab"])
            people.append((person.age, participant.group == "healthy"))
    age, healthy = zip(*people, strict=True)
    return Slabs(np.stack(found), beside, np.array(age), np.array(healthy), subjects - len(found))


def typical(person: Person) -> Person:
    """The same head with what healthy people of the age and sex have on average (`phantom.people.draw_person`)."""
    level = (1 - 0.05 * (person.age - REFERENCE_AGE) / 10) * (1 + 0.08 * (person.sex == "F"))
    return replace(
        person, sbr={f"{name}_{side}": value * level for name, value in HEALTHY_SBR.items() for side in SIDES}
    )


def _cut(plan: Plan, number: int, people: list[Person]) -> dict[str, NDArray[np.float32]]:
    """Slabs (91, 109) by name, registered as the first one's scan; empty where a reading would show no change."""
    participant = plan.participant(number)
    volumes = [acquire(plan, participant, one)[0] for one in people]
    names = ("slab", "twin")
    try:
        registration = space.register(volumes[0])
    except DopascopeError:
        registration = None
    if registration is None or not registration.accepted:
        return dict.fromkeys(names, np.empty(0, np.float32))
    placed = [space.normalise(one, registration) for one in volumes]
    cut = [(slab_12mm(one) / reference_value(one, SEEN.intensity)).astype(np.float32) for one in placed]
    return dict(zip(names, cut, strict=False))


def fit(learned: Slabs, folder: Path, epochs: int) -> Generator:
    """A conditional autoencoder of the slabs and of their mirror images."""
    mirrored = np.concatenate([learned.slabs, learned.slabs[:, ::-1]])
    ratios = slab_ratios(mirrored)
    plan = GeneratorPlan("cvae", tuple(SEEN.shape), ("person",), REGIONS, SETTINGS)
    recipe = GeneratorRecipe(epochs=epochs, learning_rate=2e-3, schedule="cosine", average=0.99)
    conditions = {name: ratios[:, place].tolist() for place, name in enumerate(REGIONS)}
    people = ["person"] * len(mirrored)
    folder.mkdir(exist_ok=True)

    def progress(one: GeneratorEpoch) -> None:
        say(f"epoch {one.epoch}: " + ", ".join(f"{name} {value:.4f}" for name, value in one.losses.items()))

    return fit_generator(
        plan, images(mirrored), people, conditions, recipe, seed=SEED, folder=folder, progress=progress
    )


def images(slabs: NDArray[np.float32]) -> torch.Tensor:
    """Slabs (N, 91, 109) as the network takes them, (N, 1, 48, 48)."""
    from dopascope.bundle import view

    return torch.from_numpy(view.prepare(slabs, SEEN))


def rule_of(learned: Slabs) -> EditRule:
    """Normal values by a straight line over age, both sides together; and the range of what may be asked."""
    ratios = slab_ratios(learned.slabs)
    values = {}
    for structure in ("caudate", "putamen"):
        both = [place for place, name in enumerate(REGIONS) if name.startswith(structure)]
        mean = ratios[learned.healthy][:, both].mean(1)
        decades = (learned.age[learned.healthy] - REFERENCE_AGE) / 10
        slope, level = np.polyfit(decades, mean, 1)
        sd = float(np.std(mean - level - slope * decades, ddof=2))
        low, high = np.percentile(ratios[:, both], PERCENTILES)
        normal = Normal(at_reference_age=round(float(level), 3), per_decade=round(float(slope), 3), sd=round(sd, 3))
        values[structure] = (round(max(float(low), 0.05), 2), round(float(high), 2), normal)
    ages = learned.age[learned.healthy]
    return EditRule(
        present=PRESENT,
        wanted=WANTED,
        output=DIFFERENCE,
        measure="slab_ratios",
        values=[
            EditedValue(name=name, low=low, high=high, normal=normal)
            for name in REGIONS
            for low, high, normal in [values[name.split("_")[0]]]
        ],
        reference_age=REFERENCE_AGE,
        ages=(float(ages.min()), float(ages.max())),
        people=len(ages),
        source="healthy simulated people at ten sites, straight line over age, both sides together",
    )


def say(text: str) -> None:
    """One line on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Parse and do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--bundle", type=Path, help="new folder of the bundle")
    parser.add_argument("--subjects", type=int, default=200)
    parser.add_argument("--held-out", type=int, default=80)
    parser.add_argument("--epochs", type=int, default=40)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    learned = slabs_of(asked.work / "learned", asked.subjects, SEED)
    generator = fit(learned, asked.work / "training", asked.epochs)
    held_out = slabs_of(asked.work / "held-out", asked.held_out, HELD_OUT_SEED, twins=True)
    rule = rule_of(learned)

    def write(folder: Path, measured: str) -> Bundle:
        named = EditorNamed(
            id=SHIPPED_EDITOR,
            title="dopascope's editor of slabs (simulated scans only)",
            trained_on="simulated scans of ten sites; no real scan",
            details=f"{len(learned.slabs)} people and their mirror images, {int(learned.healthy.sum())} healthy; "
            f"{asked.epochs} epochs, one thread, seed {SEED}; 48 x 48 pixels of 2 mm; SHA-256 of the data "
            f"{generator.training['data_sha256'][:16]}.",
            rebuilt_by="python release/editor.py WORK --bundle BUNDLE",
            measured=measured,
        )
        bundle_of_editor(generator, SEEN, rule, images(learned.slabs[:3]), folder, named)
        return Bundle.load(folder)

    with tempfile.TemporaryDirectory(dir=asked.work) as scratch:
        found = figures(write(Path(scratch) / SHIPPED_EDITOR, "not yet"), learned, held_out)
    provenance.write_text(asked.work / "figures.json", json.dumps(found, indent=2) + "\n")
    print(told(found))
    if asked.bundle:
        write(asked.bundle, told(found))


if __name__ == "__main__":
    main()
