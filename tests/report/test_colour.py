"""The clinical scale is the standard's and never misleads: luminance rises with intensity."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import dopascope.report
from dopascope.report import colour

STYLE = (Path(dopascope.report.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")


def test_hot_iron_follows_the_ramps_of_the_standard() -> None:
    palette = colour.hot_iron()
    assert palette.shape == (256, 3)
    assert palette.dtype == np.uint8
    known = {
        0: (0, 0, 0),
        64: (128, 0, 0),
        127: (254, 0, 0),
        160: (255, 64, 0),
        192: (255, 128, 0),
        224: (255, 192, 128),
    }
    assert {level: tuple(int(one) for one in palette[level]) for level in known} == known
    assert palette[255].tolist() == [255, 255, 255]


@pytest.mark.parametrize("palette", [colour.hot_iron(), colour.with_letters(colour.hot_iron())[: colour.SCALE_LEVELS]])
def test_luminance_rises_with_intensity(palette: colour.Palette) -> None:
    steps = np.diff(colour.luminance(palette))
    assert (steps >= 0).all()
    assert (steps > 0).mean() > 0.98
    assert colour.luminance(palette)[[0, -1]].tolist() == pytest.approx([0, 1])


def test_letters_are_grey_and_above_the_scale() -> None:
    letters = colour.with_letters(colour.hot_iron())[colour.SCALE_LEVELS :]
    assert (np.ptp(letters, axis=1) == 0).all()
    assert letters[-1].tolist() == [255, 255, 255]


def test_outlines_have_their_own_palette_entries() -> None:
    palette = colour.grey_with_outlines()
    assert palette.shape == (256, 3)
    assert [tuple(one) for one in palette[colour.GREY_LEVELS :]] == list(colour.OUTLINES.values())


def declared(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


LIGHT, DARK = (declared(part) for part in STYLE.split("@media screen and (prefers-color-scheme: dark)", 1))


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [("ink", "page"), ("ink", "card"), ("soft", "page"), ("soft", "card"), ("unusual", "card"), ("uncertain", "card")]
    + [(tone, f"{tone}-bg") for tone in ("normal", "reduced", "uncertain", "refused")]
    + [(tone, other) for tone in ("normal", "reduced") for other in ("card", "uncertain-bg", "reduced-bg", "normal-bg")]
    + [("soft", f"{tone}-bg") for tone in ("normal", "reduced", "uncertain", "refused")],
)
def test_text_has_contrast_in_both_themes(theme: dict[str, str], ink: str, ground: str) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    pair = np.array([[int(theme[name][n : n + 2], 16) for n in (1, 3, 5)] for name in (ink, ground)], np.uint8)
    low, high = sorted(colour.luminance(pair))
    assert (high + 0.05) / (low + 0.05) >= 4.5
