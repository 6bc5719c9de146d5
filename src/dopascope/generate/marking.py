"""SYNTHETIC in the pixels of an image: a band behind the head, so that no copy of the image loses the word.

The image itself is not touched: the band is added below it, and is cut off again by whoever knows of it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.errors import UnreadableError

WORD: Final = "SYNTHETIC"
GLYPHS: Final = {
    "S": ("###", "#..", "###", "..#", "###"),
    "Y": ("#.#", "#.#", ".#.", ".#.", ".#."),
    "N": ("#..#", "##.#", "#.##", "#..#", "#..#"),
    "T": ("###", ".#.", ".#.", ".#.", ".#."),
    "H": ("#.#", "#.#", "###", "#.#", "#.#"),
    "E": ("###", "#..", "##.", "#..", "###"),
    "I": ("###", ".#.", ".#.", ".#.", "###"),
    "C": ("###", "#..", "#..", "#..", "###"),
}
BROKEN: Final = ("SYNTH", "ETIC")
"""Lines of the word where it does not fit into one."""


def band(width: int) -> NDArray[np.float32]:
    """The word `(width, rows)` as 0 and 1, indexed as images are: x to the subject's right, y forward.

    It reads well in the radiological convention (the subject's right on the left), and mirrored elsewhere.
    """
    lines = [_line(WORD)] if _line(WORD).shape[1] + 2 <= width else [_line(one) for one in BROKEN]
    zoom = max(1, (width - 2) // max(one.shape[1] for one in lines))
    canvas = np.zeros((zoom * (6 * len(lines) + 1), width), np.float32)
    for number, one in enumerate(lines):
        drawn = np.kron(one, np.ones((zoom, zoom), np.float32))
        left, top = (width - drawn.shape[1]) // 2, zoom * (6 * number + 1)
        canvas[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    return np.ascontiguousarray(canvas[::-1, ::-1].T)


def marked(data: NDArray[np.floating], top: float) -> NDArray[np.float32]:
    """An image `(I, J, K)` with the band before its first row in J, in every plane; letters are `top`."""
    letters = np.repeat((band(data.shape[0]) * top)[:, :, None], data.shape[2], axis=2)
    return np.concatenate([letters, data], axis=1).astype(np.float32)


def unmarked(data: NDArray[np.floating], *, where: object) -> NDArray[np.float32]:
    """The image `(I, J, K)` that `marked` was given.

    Raises:
        UnreadableError: there is no band.
    """
    word = band(data.shape[0])
    rows = word.shape[1]
    found = data[:, :rows]
    if data.shape[1] <= rows or not ((found > found.max() / 2) == (word > 0)[:, :, None]).all():
        raise UnreadableError(
            "The image is not marked as synthetic.",
            where=where,
            found=f"no {WORD} in the first {rows} rows",
            expected="an image as dopascope generate sample writes it",
            fix="Draw the images again.",
        )
    return np.ascontiguousarray(data[:, rows:], np.float32)


def _line(word: str) -> NDArray[np.float32]:
    """Letters `(5, columns)` with an empty column between them."""
    parts: list[NDArray[np.float32]] = []
    for letter in word:
        drawn = np.array([[mark == "#" for mark in row] for row in GLYPHS[letter]], np.float32)
        parts += [drawn, np.zeros((5, 1), np.float32)]
    return np.concatenate(parts[:-1], axis=1)
