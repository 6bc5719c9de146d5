"""One slab as it would be with other ratios: what an editor has learned of severity, on the scan's own picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.bundle import Bundle, store
from dopascope.bundle.spec import EditRule
from dopascope.errors import UsageError
from dopascope.space.slab_ratios import REGIONS, slab_ratios

Floats = NDArray[np.float64]
SHIPPED_EDITOR: Final = "dopascope-editor"
ASKED_AGAIN: Final = 2
PUTAMEN: Final = tuple(place for place, name in enumerate(REGIONS) if name.startswith("putamen"))


@dataclass(frozen=True)
class Edited:
    """A slab changed. Ratios are of `space.slab_ratios`, in the order of its `REGIONS`."""

    difference: NDArray[np.float32]
    """(91, 109), to be added to the slab, in its unit."""
    present: Floats
    """Read off the slab."""
    wanted: Floats
    """As the editor was asked."""
    found: Floats
    """Read off the changed slab."""
    normal: Floats
    """Of healthy people of the age."""
    held: tuple[str, ...]
    """Regions whose ratio was held at an end of what the editor has learned from."""


def editor(model: str | None = None, models_dir: str | Path | None = None, *, threads: int = 1) -> Bundle:
    """The editor of that name, or the one that ships.

    Raises:
        UsageError: there is no such model, or it is no editor.
        BundleError: it is damaged or was changed.
    """
    bundle = store.load(model or SHIPPED_EDITOR, models_dir, threads=threads)
    rule_of(bundle)
    return bundle


def rule_of(bundle: Bundle) -> EditRule:
    """What an editor may be asked.

    Raises:
        UsageError: it is no editor, or changes other values than `REGIONS`.
    """
    rule = bundle.spec.edit
    if rule is None or tuple(one.name for one in rule.values) != REGIONS:
        raise UsageError(
            "This model does not change ratios.",
            where=bundle.id,
            found=bundle.spec.kind if rule is None else ", ".join(one.name for one in rule.values),
            expected=f"an editor of {', '.join(REGIONS)}",
            fix="Choose an editor (dopascope models list).",
        )
    return rule


def check_asked(bundle: Bundle, ratio: float) -> None:
    """Refuse a ratio of the lower putamen that the editor has not learned.

    Raises:
        UsageError: it is outside what was learned from.
    """
    rule = rule_of(bundle)
    low = max(rule.values[place].low for place in PUTAMEN)
    high = min(rule.values[place].high for place in PUTAMEN)
    if not low <= ratio <= high:
        raise UsageError(
            "The editor has not learned such a ratio.",
            where="counterfactual",
            found=f"{ratio:g}",
            expected=f"normal, or {low:.2f} to {high:.2f}, the lower putamen's ratio as the slab shows it",
            fix="Ask for a ratio in this range.",
        )


def normal_at(rule: EditRule, age: float) -> Floats:
    """Mean ratios of healthy people of an age in years."""
    decades = (age - rule.reference_age) / 10
    return np.array([one.normal.at_reference_age + one.normal.per_decade * decades for one in rule.values])


def wanted_ratios(present: Floats, normal: Floats, asked: float | None) -> Floats:
    """Ratios of all regions, given that of the lower putamen.

    Towards the normal, every region goes the same share of its own way there; away from it, all are multiplied by the
    same factor, so that the pattern of the picture stays.

    Args:
        present: in the picture.
        normal: of healthy people of the age.
        asked: of the lower putamen; None for the normal itself.
    """
    if asked is None:
        return normal
    lower = min(PUTAMEN, key=lambda place: present[place])
    low, aim = present[lower], normal[lower]
    if low < asked <= aim:
        share = (asked - low) / (aim - low)
        return np.asarray(present + share * (normal - present))
    start = normal if low < aim < asked else present
    return np.asarray(start * (asked / start[lower]))


def difference_to(bundle: Bundle, slab: NDArray[np.float32], wanted: Floats) -> NDArray[np.float32]:
    """What is to be added to a slab (91, 109) so that these ratios are read off it; exactly 0 where they are already.

    The editor is asked again, by so much more as was missed: it follows what is asked, but falls short of it.
    """
    present = slab_ratios(slab[None])[0]
    asked = np.asarray(wanted, np.float64)
    difference: NDArray[np.float32] = bundle.differences(slab[None], present[None], asked[None])[0]
    for _ in range(ASKED_AGAIN):
        missed = wanted - slab_ratios((slab + difference)[None])[0]
        asked = np.where(wanted == present, present, asked + missed)
        difference = bundle.differences(slab[None], present[None], asked[None])[0]
    return difference


def edit(bundle: Bundle, slab: NDArray[np.float32], normal: Floats, asked: float | None) -> Edited:
    """A slab as it would be with the ratios of healthy people, or with another ratio of the lower putamen.

    Args:
        bundle: an editor.
        slab: (91, 109), `space.views.slab_12mm` in units of the editor's intensity reference.
        normal: ratios of healthy people of the age: `normal_at`, or those of the camera where they are known.
        asked: ratio of the lower putamen; None for that of healthy people.

    Raises:
        UsageError: the bundle is no such editor, or the ratio is outside what it has learned.
        BundleError: the model fails.
    """
    rule = rule_of(bundle)
    if asked is not None:
        check_asked(bundle, asked)
    present = slab_ratios(slab[None])[0]
    target = wanted_ratios(present, normal, asked)
    inside = np.clip(target, [one.low for one in rule.values], [one.high for one in rule.values])
    wanted = np.where(target == present, present, inside)
    difference = difference_to(bundle, slab, wanted)
    return Edited(
        difference=difference,
        present=present,
        wanted=wanted,
        found=slab_ratios((slab + difference)[None])[0],
        normal=np.asarray(normal, np.float64),
        held=tuple(name for name, one, other in zip(REGIONS, wanted, target, strict=True) if one != other),
    )
