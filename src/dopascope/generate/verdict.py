"""What the figures of a synthetic cohort say, in sentences that claim no more than they do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dopascope.score import p_words


def verdict(found: Mapping[str, Any]) -> list[str]:
    """Sentences on likeness, variety, ratios and memorisation, of the figures that `judging.judge` found."""
    first = found["features"][0]
    against = first["against"]["mmd"]
    lines = []
    if against["share"] is not None:
        share = against["share"]["value"]
        lines.append(
            f"Likeness: by MMD on {first['features']}, synthetic images lie {share:.2f} of the way from other real "
            f"images (0) to another camera's (1); {p_words(first['mmd']['p'])} that there is no difference."
        )
    else:
        lines.append(
            f"Likeness: MMD {against['value']['value']:.3g} against a floor of {against['floor']['value']:.3g} between "
            f"real halves, {p_words(first['mmd']['p'])} that there is no difference; no share: {against['why_not']}."
        )
    if "all" in found["diversity"]:
        pair = found["diversity"]["all"]
        ours, theirs = pair["synthetic"]["mean"], pair["real"]["mean"]
        less = "LESS varied than real ones" if ours["low"] > theirs["high"] else "as varied as far as this can tell"
        more = "more varied, or noisier, than real ones" if ours["high"] < theirs["low"] else less
        both = f"{ours['value']:.3f} within synthetic, {theirs['value']:.3f} within real"
        lines.append(f"Variety: MS-SSIM {both}: {more}.")
    first_quantity, words = next(iter(found["read_off"]["quantities"].items()))
    off = [one for one in found["by_class"] if "error" in one and one["quantity"] == first_quantity]
    wrong = [one for one in off if one["error"]["low"] > 0 or one["error"]["high"] < 0]
    told = "; ".join(
        f"{one['label']} {one['error']['value']:+.2f} ({one['error']['low']:+.2f} to {one['error']['high']:+.2f})"
        for one in off
    )
    if off:
        what = "WRONG for " + ", ".join(one["label"] for one in wrong) if wrong else "no error shown"
        lines.append(f"{words[:1].upper()}{words[1:]}, synthetic less real: {told}: {what}.")
    return [*lines, *found["memorisation"]["sentences"]]
