"""Checks of a picture of one slice: is there one head-shaped disc on a plain ground?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.passport.result import Check, within
from dopascope.volume import SliceImage

INF: Final = float("inf")

MIN_SIDE: Final = (64, 32)
"""Usual and possible least pixels along the shorter side. Our assumption."""

MIN_GROUND: Final = (0.9, 0.7)
"""Usual and possible least share of the picture's rim that is plain ground. Our assumption."""

MIN_OVAL: Final = (0.93, 0.88)
"""Usual and possible least overlap (Dice) of the bright region with the ellipse of its own second moments: 1 for
ellipses, less than 0.85 for a spread hand. Our assumption."""

USUAL_ASPECT: Final = (1.0, 1.6)
POSSIBLE_ASPECT: Final = (1.0, 2.0)
"""Long over short axis of the oval. Our assumption."""

DISC_SHARE: Final = 0.12
"""The disc begins this far up from ground to peak: striatal windows show the head at a fifth of the peak. Our
assumption."""

_WORKING_SIDE: Final = 96


def picture_checks(image: SliceImage) -> Iterator[Check]:
    """Checks of a finite picture with more than one value."""
    yield Check(
        "geometry",
        "none",
        "",
        "unusual",
        "a scan with position, spacing and side",
        "A picture has none of these: no binding ratio and no certain side can be had from it.",
    )
    yield within(
        "picture_side",
        float(min(image.data.shape[:2])),
        "pixels",
        usual=(MIN_SIDE[0], INF),
        possible=(MIN_SIDE[1], INF),
        explanation="Pixels along the shorter side.",
    )
    grey = _small_grey(image.data)
    disc, ground = _disc(grey)
    yield within(
        "plain_ground",
        100 * ground,
        "%",
        usual=(100 * MIN_GROUND[0], INF),
        possible=(100 * MIN_GROUND[1], INF),
        explanation="Share of the rim without anything on it: a slice of a head stands free.",
    )
    overlap, aspect = _oval(disc)
    yield within(
        "oval",
        overlap,
        "",
        usual=(MIN_OVAL[0], INF),
        possible=(MIN_OVAL[1], INF),
        explanation="Overlap of the bright region with an ellipse: an axial slice of a head is an oval.",
    )
    yield within(
        "aspect",
        aspect,
        "",
        usual=USUAL_ASPECT,
        possible=POSSIBLE_ASPECT,
        explanation="Long over short axis of the bright region.",
    )


def _small_grey(data: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean of the colours, averaged over blocks to about `_WORKING_SIDE` pixels along the shorter side."""
    grey = data.mean(axis=2) if data.ndim == 3 else data
    step = max(1, min(grey.shape) // _WORKING_SIDE)
    rows, columns = (n // step * step for n in grey.shape)
    blocks = grey[:rows, :columns].reshape(rows // step, step, columns // step, step)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def _disc(grey: NDArray[np.float32]) -> tuple[NDArray[np.bool_], float]:
    """The largest region that stands out from the ground, filled, and the share of the rim that is ground."""
    from scipy import ndimage

    rim = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ground = float(np.median(rim))
    signal = np.abs(ndimage.gaussian_filter(grey, 1.0) - ground)  # dark on white is as good as bright on black
    standing = signal > DISC_SHARE * float(np.percentile(signal, 99.5))
    free = float(np.mean(np.abs(rim - ground) <= DISC_SHARE * float(np.percentile(signal, 99.5))))
    pieces, count = ndimage.label(standing)
    if count == 0:
        return standing, free
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    disc: NDArray[np.bool_] = ndimage.binary_fill_holes(pieces == sizes.argmax())
    return disc, free


def _oval(disc: NDArray[np.bool_]) -> tuple[float, float]:
    """Dice overlap of a region with the ellipse of its area and second moments, and that ellipse's aspect."""
    at = np.argwhere(disc)
    if len(at) < 20:
        return 0.0, INF
    centred = at - at.mean(axis=0)
    spread = np.cov(centred.T) + np.eye(2) / 12
    small, large = np.linalg.eigvalsh(spread)
    everywhere = np.moveaxis(np.indices(disc.shape), 0, -1) - at.mean(axis=0)
    distance = np.einsum("...i,ij,...j", everywhere, np.linalg.inv(spread), everywhere)
    # A uniform ellipse has semi-axes of twice its standard deviations.
    ellipse = distance <= 4.0
    return float(2 * (disc & ellipse).sum() / (disc.sum() + ellipse.sum())), float(np.sqrt(large / small))
