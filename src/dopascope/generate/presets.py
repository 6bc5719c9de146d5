"""What papers fit: family, frame, classes and settings, with what they leave open said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from dopascope.errors import by_name


@dataclass(frozen=True)
class Preset:
    """What `generate fit --preset` stands for; whatever is said on the command line goes before it."""

    title: str
    family: str
    frame: str
    epochs: int
    learning_rate: float
    classes: tuple[str, ...] = ()
    """Labels; all of the table where none is named."""
    balanced: bool = False
    assumed: tuple[str, ...] = ()
    """What the paper leaves open."""


_S4: Final = "2-D or 3-D, size, steps, schedule and numbers of images open"
PRESETS: Final[Mapping[str, Preset]] = {
    "s1": Preset(
        "S1's generator: a conditional variational autoencoder of DaTscan slices",
        "cvae",
        "slices",
        epochs=200,
        learning_rate=1e-3,
        balanced=True,
        assumed=(
            "s1 frame: the paper says images; the three slices of S3",
            "s1 networks, epochs and learning rate: open; the family's usual ones, 200, 0.001",
            "s1 balanced: the paper makes images for the smaller class; classes are shown equally often",
        ),
    ),
    "s4": Preset(
        "S4: diffusion on T1 of healthy people, one axial slice",
        "ddpm",
        "t1-slice",
        epochs=300,
        learning_rate=5e-4,
        classes=("control",),
        assumed=(f"s4: {_S4}; here pixels, 1000 steps, cosine, slice 38 of 2 mm, 300 epochs",),
    ),
    "s4-volumes": Preset(
        "S4: latent diffusion on T1 of healthy people, the whole brain",
        "ldm",
        "t1-volume",
        epochs=400,
        learning_rate=1e-3,
        classes=("control",),
        assumed=(f"s4-volumes: {_S4}; here latent, 1000 steps, voxels of 4 mm, 400 epochs",),
    ),
}
"""By name."""


EPOCHS: Final = {"cvae": 200, "gan": 300, "ddpm": 300, "rflow": 300, "ldm": 400}
"""Where nobody says how many: enough for a few hundred small images."""
USUAL: Final = Preset("", "cvae", "slab-64", epochs=EPOCHS["cvae"], learning_rate=1e-3)
"""Where neither the command line nor a preset says otherwise."""


def chosen(
    name: str | None,
    *,
    family: str | None = None,
    frame: str | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    classes: tuple[str, ...] = (),
    balanced: bool = False,
) -> Preset:
    """The preset of this name, or the usual one, with whatever else is said in its place.

    Raises:
        UsageError: there is no such preset.
    """
    base = USUAL if name is None else by_name(PRESETS, name, kind="preset", where="--preset")
    of = family or base.family
    assumed = base.assumed
    usual = base.epochs if name is not None and of == base.family else EPOCHS.get(of, base.epochs)
    if name is None and epochs is None:
        assumed = (f"{usual} epochs; --epochs or --minutes set another length",)
    return replace(
        base,
        family=of,
        frame=frame or base.frame,
        epochs=usual if epochs is None else epochs,
        learning_rate=base.learning_rate if learning_rate is None else learning_rate,
        classes=classes or base.classes,
        balanced=balanced or base.balanced,
        assumed=assumed,
    )
