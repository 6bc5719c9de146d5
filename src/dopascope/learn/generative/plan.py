"""What a generator is: its family, its images, what may be asked of it, and the settings of its networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dopascope.errors import UsageError, by_name
from dopascope.nets.generative.blocks import GROUPS

if TYPE_CHECKING:
    from dopascope.learn.generative.model import Model

Setting = int | float | bool | str


@dataclass(frozen=True)
class Family:
    """One way of making images. `build` returns it with fresh random weights."""

    name: str
    build: Callable[[Plan], Model]
    axes: tuple[int, ...]
    """Numbers of axes its images may have."""
    settings: Mapping[str, Setting]
    """Names of its settings and their defaults."""
    description: str


@dataclass(frozen=True)
class Plan:
    """One generator before it has learned anything; plain data."""

    family: str
    shape: tuple[int, ...]
    """Of one image with its channels: `(C, I, J)` or `(C, I, J, K)`."""
    classes: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    """Names of what may be asked for beside the class, such as age and target binding ratio."""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    """Of the family; those left out have its defaults."""

    def __post_init__(self) -> None:
        kind = known(self.family)
        if len(self.shape) - 1 not in kind.axes:
            given = " or ".join(f"{axes}-D" for axes in kind.axes)
            raise _wrong("shape", self.shape, f"{given} images with their channels")
        for name in ("classes", "conditions"):
            listed = getattr(self, name)
            if len(set(listed)) != len(listed) or not all(listed):
                raise _wrong(name, ", ".join(listed), "different names, none empty")
        if not self.classes:
            raise _wrong("classes", "none", "one at least")
        if odd := sorted(self.settings.keys() - kind.settings.keys()):
            raise _wrong(f"settings.{odd[0]}", self.settings[odd[0]], f"one of {', '.join(sorted(kind.settings))}")
        object.__setattr__(self, "settings", {**kind.settings, **self.settings})
        for name, value in self.settings.items():
            _check_setting(name, value, kind.settings[name])

    def number(self, name: str) -> int:
        """A setting that counts something."""
        return int(self.settings[name])

    def amount(self, name: str) -> float:
        """A setting that is a number."""
        return float(self.settings[name])

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON-ready data."""
        return {
            "family": self.family,
            "shape": list(self.shape),
            "classes": list(self.classes),
            "conditions": list(self.conditions),
            "settings": dict(self.settings),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """The plan that `as_dict` gave.

        Raises:
            UsageError: it cannot be meant.
        """
        return cls(
            data["family"],
            tuple(data["shape"]),
            tuple(data["classes"]),
            tuple(data["conditions"]),
            dict(data["settings"]),
        )


FAMILIES: dict[str, Family] = {}
BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "width": (GROUPS, 1024),
    "code_width": (GROUPS, 1024),
    "critic_width": (GROUPS, 1024),
    "halvings": (1, 8),
    "code_halvings": (1, 8),
    "blocks": (1, 8),
    "latent": (1, 4096),
    "code_channels": (1, 64),
    "beta": (0.0, 1000.0),
    "code_weight": (0.0, 1.0),
    "warm_up": (0.0, 1.0),
    "code_share": (0.05, 0.95),
    "drop": (0.0, 0.9),
    "penalty": (0.0, 1000.0),
    "variety": (0.0, 1000.0),
}
"""Smallest and largest value of each setting that is a number."""
CHOICES: Final[Mapping[str, tuple[Setting, ...]]] = {
    "patch": (1, 2, 4),
    "code_patch": (1, 2, 4),
    "attention": (False, True),
    "process": ("cosine", "straight"),
}


def family(
    name: str, *, axes: tuple[int, ...], description: str, settings: Mapping[str, Setting]
) -> Callable[[Callable[[Plan], Model]], Callable[[Plan], Model]]:
    """Decorator that registers a family. Every registered family runs the conformance suite in the tests."""

    def register(build: Callable[[Plan], Model]) -> Callable[[Plan], Model]:
        FAMILIES[name] = Family(name, build, axes, settings, description)
        return build

    return register


def known(name: str) -> Family:
    """The family of this name.

    Raises:
        UsageError: no family has that name.
    """
    # Whoever asks for a family by name need not know the modules that they are in.
    from dopascope.learn.generative import cvae, diffusion, gan, latent

    del cvae, diffusion, gan, latent
    return by_name(dict(sorted(FAMILIES.items())), name, kind="family of generators", where="family")


def build(plan: Plan) -> Model:
    """The generator of this plan with fresh random weights.

    Raises:
        UsageError: its networks cannot halve such images.
    """
    return known(plan.family).build(plan)


def _check_setting(name: str, value: Setting, default: Setting) -> None:
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise _wrong(f"settings.{name}", value, " or ".join(str(one) for one in CHOICES[name]))
        return
    low, high = BOUNDS[name]
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    whole = isinstance(default, int)
    if not numeric or not low <= float(value) <= high or (whole and value != int(value)):
        raise _wrong(f"settings.{name}", value, f"a {'whole ' if whole else ''}number from {low:g} to {high:g}")
    if "width" in name and int(value) % GROUPS:
        raise _wrong(f"settings.{name}", value, f"a multiple of {GROUPS}")


def _wrong(name: str, found: object, expected: str) -> UsageError:
    return UsageError(
        "This generator cannot be meant.", where=name, found=found, expected=expected, fix="Correct the plan."
    )
