"""Things put into a scanner, or before a camera, by accident: made by code, none of them a DaT scan of a head."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dopascope import atlas, geometry
from dopascope.volume import MNI_2MM, Grid, SliceImage, Volume

SPACING = 3.0
SHAPE = (84, 88, 60)


def box(shape: tuple[int, int, int] = SHAPE, spacing: float = SPACING) -> Grid:
    """A field centred on the origin."""
    return Grid(shape, geometry.from_parts(np.eye(3), [spacing] * 3, -spacing * (np.array(shape) - 1) / 2))


def seen(activity: np.ndarray, grid: Grid, fwhm: float = 9.0, noise: float = 0.03, seed: int = 0) -> Volume:
    """Activity through a camera of that resolution, with filtered noise."""
    from scipy.ndimage import gaussian_filter

    sigma = fwhm / 2.3548 / np.array(grid.spacing_mm)
    grain = gaussian_filter(np.random.default_rng(seed).normal(size=grid.shape), sigma * 0.7)
    blurred = gaussian_filter(activity.astype(float), sigma)
    return Volume(np.maximum(100 * (blurred + noise * blurred.max() * grain / grain.std()), 0), grid)


def cylinder(grid: Grid, radius: float, half: float, centre: tuple[float, float] = (0, 0)) -> np.ndarray:
    x, y, z = np.moveaxis(grid.centres_mm(), -1, 0)
    return (np.hypot(x - centre[0], y - centre[1]) < radius) & (np.abs(z) < half)


def ball(grid: Grid, radius: float, centre: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    return np.linalg.norm(grid.centres_mm() - centre, axis=-1) < radius


def bar_phantom() -> Volume:
    """Four quadrants of bars of 4 to 8 mm in a square of 250 mm."""
    grid = box()
    x, y, z = np.moveaxis(grid.centres_mm(), -1, 0)
    width = np.select([(x > 0) & (y > 0), (x <= 0) & (y > 0), (x <= 0)], [4.0, 5.0, 6.5], 8.0)
    return seen(((x // width) % 2 == 0) & (np.abs(z) < 60) & (np.abs(x) < 120) & (np.abs(y) < 120), grid, 5.0)


def jaszczak() -> Volume:
    """A hot cylinder of 216 mm with cold rods and spheres."""
    grid = box()
    cold = np.zeros(grid.shape, bool)
    for angle in np.arange(0, 2 * np.pi, np.pi / 6):
        cold |= cylinder(grid, 8, 40, (70 * np.cos(angle), 70 * np.sin(angle)))
    return seen(cylinder(grid, 108, 80) & ~cold, grid)


def uniform_flood() -> Volume:
    """A head-sized cylinder of even activity."""
    grid = box()
    return seen(cylinder(grid, 90, 75), grid)


def heart() -> Volume:
    """A horseshoe of myocardium in a thorax with a liver."""
    grid = box()
    x, y, z = np.moveaxis(grid.centres_mm(), -1, 0)
    thorax = 0.1 * ((x / 125) ** 2 + (y / 100) ** 2 < 1)
    muscle = ball(grid, 38, (30, 30, 0)) & ~ball(grid, 26, (30, 30, 0)) & (z > -25)
    return seen(thorax + 1.0 * muscle + 0.7 * ball(grid, 50, (-60, 10, -70)), grid)


def kidneys() -> Volume:
    """Two hot kidneys 120 mm apart in a faint abdomen."""
    grid = box()
    x, y, z = np.moveaxis(grid.centres_mm(), -1, 0)
    hot = np.zeros(grid.shape, bool)
    for side in (-60, 60):
        hot |= ((x - side) / 28) ** 2 + ((y + 40) / 25) ** 2 + (z / 52) ** 2 < 1
    return seen(1.0 * hot + 0.05 * ((x / 120) ** 2 + (y / 95) ** 2 < 1), grid)


def fdg_brain() -> Volume:
    """A brain whose cortex is as hot as its deep grey matter: glucose, or blood flow."""
    grey, white, csf = (atlas.tissue(name).data for name in ("grey", "white", "csf"))
    return seen(1.0 * grey + 0.3 * white + 0.1 * csf, MNI_2MM, 7.0)


def t1_mri() -> Volume:
    """A T1-weighted head of 2 mm voxels: white before grey before fluid, bright fat."""
    grey, white, csf, head, brain = (atlas.tissue(n).data for n in ("grey", "white", "csf", "head", "brain"))
    skin = np.clip(head - brain, 0, 1)
    bright = 1.0 * white + 0.7 * grey + 0.25 * csf + 0.6 * skin
    return seen(bright, MNI_2MM, 2.0, 0.02)


def fruit() -> Volume:
    """An orange in an MRI: a ball of 80 mm with twelve segments and a peel, voxels of 1 mm."""
    grid = box((96, 100, 90), 1.0)
    x, y, z = np.moveaxis(grid.centres_mm(), -1, 0)
    angle, radius = np.arctan2(y, x), np.sqrt(x**2 + y**2 + z**2)
    flesh = (radius < 34) & (np.abs(np.sin(6 * angle)) > 0.15)
    return seen(1.0 * flesh + 0.4 * ((radius > 36) & (radius < 40)), grid, 1.5, 0.02)


def label_map() -> Volume:
    """Region numbers taken for intensities."""
    return Volume(atlas.striatum_labels().data.astype(np.float32), MNI_2MM)


WRONG: dict[str, Callable[[], Volume]] = {
    make.__name__: make
    for make in (bar_phantom, jaszczak, uniform_flood, heart, kidneys, fdg_brain, t1_mri, fruit, label_map)
}


def hand(side: int = 240, dark: bool = True) -> SliceImage:
    """A photo of a spread hand, in colour, on a dark or a light table."""
    y, x = np.mgrid[:side, :side] / side
    skin = ((x - 0.5) / 0.17) ** 2 + ((y - 0.68) / 0.2) ** 2 < 1
    for tip, root, width in (
        ((0.1, 0.5), 0.4, 0.045),
        ((0.3, 0.12), 0.42, 0.04),
        ((0.48, 0.06), 0.5, 0.04),
        ((0.65, 0.1), 0.57, 0.04),
        ((0.82, 0.25), 0.62, 0.035),
    ):
        for along in np.linspace(0, 1, 60):
            at = (root + along * (tip[0] - root), 0.62 + along * (tip[1] - 0.62))
            skin |= (x - at[0]) ** 2 + (y - at[1]) ** 2 < width**2
    table = 20.0 if dark else 225.0
    shade = np.random.default_rng(1).normal(0, 4, (side, side))
    planes = [np.where(skin, level, table) + shade for level in (205, 160, 130)]
    return SliceImage(np.stack(planes, -1).astype(np.float32))
