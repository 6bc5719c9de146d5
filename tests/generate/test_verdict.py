"""The sentences of a judgement: none hides a collapsed class, a wide range or few people."""

from __future__ import annotations

from typing import Any

import pytest

from dopascope.generate.verdict import verdict


def measured(value: float, half: float) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def judged(p: float = 0.5, share: float | None = 0.1, **variety: tuple[float, float]) -> dict[str, Any]:
    """What `judging.judge` finds, as far as sentences go; of each class variety within synthetic and within real."""
    against = {
        "share": None if share is None else measured(share, 0.3),
        "value": measured(0.2, 0.1),
        "floor": measured(0.0, 0.1),
        "why_not": "no second camera",
    }
    return {
        "n": {"held_out": 8},
        "features": [{"features": "these axes", "against": {"mmd": against}, "mmd": {"p": p}}],
        "diversity": {
            name: {"synthetic": {"mean": measured(ours, 0.02)}, "real": {"mean": measured(theirs, 0.02)}}
            for name, (ours, theirs) in variety.items()
        },
        "read_off": {"quantities": {"putamen": "lower putamen, ratio"}},
        "by_class": [{"label": "PD", "quantity": "putamen", "error": measured(0.5, 0.2)}],
        "memorisation": {"sentences": ["Memorisation: as it was."]},
    }


def test_likeness_comes_with_its_range_its_people_and_what_p_says() -> None:
    line = verdict(judged())[0]
    assert "0.10 (-0.20 to 0.40) of the way" in line
    assert line.endswith("no difference is shown (p 0.500, 8 held out).")
    assert verdict(judged(p=0.001))[0].endswith("a difference is shown (p 0.001, 8 held out).")
    assert verdict(judged(share=None))[0].endswith("no share: no second camera.")


@pytest.mark.parametrize(
    ("all_", "pd", "said"),
    [
        ((0.8, 0.8), (0.8, 0.8), "as varied as far as this can tell."),
        ((0.8, 0.8), (0.97, 0.8), "LESS varied than real ones within PD (0.970 against 0.800)."),
        ((0.9, 0.8), (0.8, 0.8), "LESS varied than real ones."),
        ((0.7, 0.8), (0.7, 0.8), "more varied, or noisier, than real ones."),
        ((0.7, 0.8), (0.97, 0.8), "LESS varied than real ones within PD (0.970 against 0.800)."),
    ],
)
def test_a_class_that_has_collapsed_is_named(all_: tuple[float, float], pd: tuple[float, float], said: str) -> None:
    assert verdict(judged(all=all_, PD=pd))[1].endswith(said)


def test_ratios_and_copies_are_told_after_it() -> None:
    assert verdict(judged(all=(0.8, 0.8)))[2:] == [
        "Lower putamen, ratio, synthetic less real: PD +0.50 (+0.30 to +0.70): WRONG for PD.",
        "Memorisation: as it was.",
    ]
