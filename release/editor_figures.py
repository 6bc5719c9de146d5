"""What the shipped editor does on people that nothing learned from, beside the simplest editor and no change at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dopascope.bundle import Bundle
from dopascope.bundle.editor import PUTAMEN, difference_to, edit, normal_at, rule_of
from dopascope.space.slab_ratios import slab_ratios

if TYPE_CHECKING:
    from editor import Slabs

Floats = NDArray[np.float64]
STEPS = 9
DRAWS = 2000


def figures(bundle: Bundle, learned: Slabs, held_out: Slabs) -> dict[str, Any]:
    """Every figure with n and a 95 % interval over people (bootstrap)."""
    rule = rule_of(bundle)
    present = slab_ratios(held_out.slabs)
    unchanged = _all(bundle, held_out.slabs, present)
    low = max(rule.values[place].low for place in PUTAMEN)
    high = min(rule.values[place].high for place in PUTAMEN)
    asked = np.linspace(low, high, STEPS)
    found = np.array(
        [[_lower(edit(bundle, one, normal_at(rule, age), float(r))) for r in asked] for one, age in _each(held_out)]
    )
    slopes = np.array([np.polyfit(asked, row, 1)[0] for row in found])
    there = [edit(bundle, one, normal_at(rule, age), None) for one, age in _each(held_out)]
    changed = held_out.slabs + np.stack([one.difference for one in there])
    returned = changed + _all(bundle, changed, present)
    moved = np.abs(np.array([one.found for one in there]) - present).mean(1)
    missed = np.abs(slab_ratios(returned) - present).mean(1)
    off = np.abs(np.array([one.found - one.wanted for one in there])).mean(1)
    return {
        "people": len(held_out.slabs),
        "learned_from": len(learned.slabs),
        "zero_largest_difference": float(np.abs(unchanged).max()),
        "monotone_share": _mean((np.diff(found, axis=1) > 0).all(1)),
        "slope": _mean(slopes),
        "asked_less_found": _mean(np.abs(found - asked).mean(1)),
        "normal_asked_less_found": _mean(off),
        "normal_asked_less_present": _mean(np.abs(present - np.array([one.wanted for one in there])).mean(1)),
        "there_and_back_ratio": _mean(missed),
        "there_moved_ratio": _mean(moved),
        "there_and_back_pixel": _mean(_root(returned - held_out.slabs)),
        "there_moved_pixel": _mean(_root(changed - held_out.slabs)),
        "normal": {one.name: float(value) for one, value in zip(rule.values, normal_at(rule, 65.0), strict=True)},
        **_twins(bundle, learned, held_out),
    }


def _twins(bundle: Bundle, learned: Slabs, held_out: Slabs) -> dict[str, Any]:
    """Abnormal people asked to have their healthy twin's ratios, against the twin's own slab."""
    rows = sorted(held_out.twins)
    before, after = held_out.slabs[rows], np.stack([held_out.twins[row] for row in rows])
    present, wanted = slab_ratios(before), slab_ratios(after)
    simple = _straight_lines(learned.slabs)
    return {
        "twins": len(rows),
        "twin_editor": _mean(_root(before + _all(bundle, before, wanted) - after)),
        "twin_straight_lines": _mean(_root(before + np.tensordot(wanted - present, simple, 1) - after)),
        "twin_no_change": _mean(_root(before - after)),
    }


def _all(bundle: Bundle, slabs: NDArray[np.float32], wanted: Floats) -> NDArray[np.float32]:
    pairs = zip(slabs, wanted, strict=True)
    return np.stack([difference_to(bundle, slab, ratios) for slab, ratios in pairs])


def _straight_lines(slabs: NDArray[np.float32]) -> Floats:
    """(4, 91, 109): how each pixel changes with each ratio, by least squares over the people learned from."""
    both = np.concatenate([slabs, slabs[:, ::-1]]).astype(np.float64)
    ratios = slab_ratios(both)
    known = np.column_stack([np.ones(len(ratios)), ratios])
    found, *_ = np.linalg.lstsq(known, both.reshape(len(both), -1), rcond=None)
    return np.asarray(found[1:]).reshape(-1, *slabs.shape[1:])


def _root(difference: NDArray[np.floating[Any]]) -> Floats:
    """Root mean square of each slab's difference, over the part that an editor sees."""
    seen = np.asarray(difference, np.float64)[:, 21:69, 41:89]
    return np.asarray(np.sqrt(np.square(seen).mean((1, 2))))


def _each(people: Slabs) -> list[tuple[NDArray[np.float32], float]]:
    return [(slab, float(age)) for slab, age in zip(people.slabs, people.age, strict=True)]


def _lower(edited: Any) -> float:
    """Read off the changed slab, of the putamen that was lower and was asked to have this ratio."""
    place = min(PUTAMEN, key=lambda one: edited.present[one])
    return float(edited.found[place])


def _mean(values: NDArray[Any]) -> dict[str, float | int]:
    held = np.asarray(values, np.float64)
    draws = np.random.default_rng(1).integers(0, len(held), (DRAWS, len(held)))
    low, high = np.percentile(held[draws].mean(1), (2.5, 97.5))
    return {"value": float(held.mean()), "low": float(low), "high": float(high), "n": len(held)}


def told(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    rows = [
        ("Largest difference where nothing is asked", f"{found['zero_largest_difference']:g}"),
        ("Share of people whose ratio grew at every one of nine steps", _said(found["monotone_share"])),
        ("Slope of the ratio read off against the ratio asked", _said(found["slope"])),
        ("Ratio asked less ratio read off, over all steps, absolute", _said(found["asked_less_found"])),
        ("The same to the age-matched normal, mean of four regions", _said(found["normal_asked_less_found"])),
        ("- beside it, without a change", _said(found["normal_asked_less_present"])),
        ("To the normal and back: ratio missed, mean of four regions", _said(found["there_and_back_ratio"])),
        ("- of a way there of", _said(found["there_moved_ratio"])),
        ("To the normal and back: root mean square of pixels", _said(found["there_and_back_pixel"])),
        ("- of a way there of", _said(found["there_moved_pixel"])),
        ("Abnormal people against their own healthy twin, root mean square of pixels", _said(found["twin_editor"])),
        ("- beside it, straight lines of each pixel over the ratios", _said(found["twin_straight_lines"])),
        ("- beside it, without a change", _said(found["twin_no_change"])),
    ]
    head = (
        f"On {found['people']} simulated people that nothing learned from; means with 95 % intervals over people "
        "(bootstrap). Pixels are in units of the 75th percentile outside the striatum."
    )
    return "\n".join(
        [head, "", "| what | mean (95 % interval, n) |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)]
    )


def _said(one: dict[str, float | int]) -> str:
    return f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f}, n {one['n']})"
