"""What the figures of a synthetic cohort say, in sentences that claim no more than they do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dopascope.score import p_words

ALPHA: Final = 0.05


def verdict(found: Mapping[str, Any]) -> list[str]:
    """Sentences on likeness, variety, ratios and memorisation, of the figures that `judging.judge` found."""
    first = found["features"][0]
    against = first["against"]["mmd"]
    lines = []
    differs = "a difference is shown" if first["mmd"]["p"] <= ALPHA else "no difference is shown"
    chance = f"{differs} ({p_words(first['mmd']['p'])}, {found['n']['held_out']} held out)"
    if against["share"] is not None:
        lines.append(
            f"Likeness: by MMD on {first['features']}, synthetic images lie {_measured(against['share'], '.2f')} of "
            f"the way from other real images (0) to another camera's (1); {chance}."
        )
    else:
        lines.append(
            f"Likeness: MMD {against['value']['value']:.3g} against a floor of {against['floor']['value']:.3g} between "
            f"real halves, {chance}; no share: {against['why_not']}."
        )
    lines += _variety(found["diversity"])
    first_quantity, words = next(iter(found["read_off"]["quantities"].items()))
    off = [one for one in found["by_class"] if "error" in one and one["quantity"] == first_quantity]
    wrong = [one for one in off if one["error"]["low"] > 0 or one["error"]["high"] < 0]
    told = "; ".join(f"{one['label']} {_measured(one['error'], '+.2f')}" for one in off)
    if off:
        what = "WRONG for " + ", ".join(one["label"] for one in wrong) if wrong else "no error shown"
        lines.append(f"{words[:1].upper()}{words[1:]}, synthetic less real: {told}: {what}.")
    return [*lines, *found["memorisation"]["sentences"]]


def _variety(pairs: Mapping[str, Any]) -> list[str]:
    """Of all images, and every class that is less varied than real ones, however varied all together are."""
    if "all" not in pairs:
        return []
    found = {name: (pair["synthetic"]["mean"], pair["real"]["mean"]) for name, pair in pairs.items()}
    less = [name for name, (ours, theirs) in found.items() if ours["low"] > theirs["high"]]
    ours, theirs = found["all"]
    said = "as varied as far as this can tell"
    if ours["high"] < theirs["low"]:
        said = "more varied, or noisier, than real ones"
    if less:
        classes = ", ".join(
            f"{name} ({found[name][0]['value']:.3f} against {found[name][1]['value']:.3f})"
            for name in less
            if name != "all"
        )
        said = f"LESS varied than real ones{' within ' + classes if classes else ''}"
    return [f"Variety: MS-SSIM {ours['value']:.3f} within synthetic, {theirs['value']:.3f} within real: {said}."]


def _measured(one: Mapping[str, float], form: str) -> str:
    return f"{one['value']:{form}} ({one['low']:{form}} to {one['high']:{form}})"
