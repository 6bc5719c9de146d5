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


def lightness(palette: colour.Palette) -> np.ndarray:
    """CIE L* (CIE 15:2004, 8.2.1.1) of each entry."""
    y = colour.luminance(palette)
    return np.where(y > (6 / 29) ** 3, 116 * np.cbrt(y) - 16, (29 / 3) ** 3 * y)


@pytest.mark.parametrize("count", range(2, 65))
def test_lightness_rises_at_every_step_of_the_sequential_colours(count: int) -> None:
    palette = colour.sequential(count)
    assert palette.shape == (count, 3)
    steps = np.diff(lightness(palette))
    whole = colour.SEQUENTIAL_LAB[-1][0] - colour.SEQUENTIAL_LAB[0][0]
    assert steps.min() > 0
    # Equal steps but for rounding to 8 bits, which is worth up to half a unit of L* in the dark.
    assert np.abs(steps - whole / (count - 1)).max() < 0.7


def test_the_sequential_colours_are_those_of_the_curve_and_none_is_cut_off_or_black() -> None:
    """Back through the formulas of CIE 15 and IEC 61966-2-1, written anew."""
    palette = colour.sequential(64)
    value = palette / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = linear @ to_xyz.T / (np.ones(3) @ to_xyz.T)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
    first, middle, last = map(np.array, colour.SEQUENTIAL_LAB)
    t = np.linspace(0, 1, 64)[:, None]
    assert np.abs(lab - ((1 - t) ** 2 * first + 2 * t * (1 - t) * middle + t**2 * last)).max() < 2
    apart = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert apart.min() > 2
    assert apart.max() < 4
    assert lightness(palette).min() > 20


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
