"""What a header claims, judged before anything is allocated for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dopascope.errors import GeometryError, HostileError, UnreadableError, UnsupportedError, UsageError
from dopascope.formats.limits import Limits
from dopascope.geometry import Affine
from dopascope.volume import Grid


def check_volume_claim(
    name: str, shape: tuple[int, int, int], itemsize: int, *, first_byte: int, capacity: int, limits: Limits
) -> None:
    """Compare a volume's claimed bytes with the limits and with what its file can hold.

    Args:
        name: the file, as shown to people.
        shape: claimed voxels (I, J, K).
        itemsize: bytes of a stored voxel.
        first_byte: where the volume begins in the content.
        capacity: most content bytes that the file can possibly hold.
        limits: bounds on the read.

    Raises:
        HostileError: more than `max_volume_bytes`.
        UnreadableError: more than the file can hold.
    """
    claim = shape[0] * shape[1] * shape[2] * itemsize
    if claim > limits.max_volume_bytes:
        raise HostileError(
            "The header claims a larger volume than the limit.",
            where=name,
            found=f"{shape[0]} x {shape[1]} x {shape[2]} voxels of {itemsize} bytes = {claim} bytes",
            expected=f"at most max_volume_bytes = {limits.max_volume_bytes}",
            fix="If you trust the file, raise the limit max_volume_bytes.",
        )
    if first_byte + claim > capacity:
        raise UnreadableError(
            "The header claims more voxels than the file can hold.",
            where=name,
            found=f"room for at most {capacity} bytes",
            expected=f"{first_byte + claim} bytes",
            fix="Copy or download the file again: it was cut off, or its header is wrong.",
        )


def chosen_frame(name: str, volumes: int, asked: int | None) -> int:
    """The volume to read of `volumes`: the asked one, or the only one.

    Raises:
        UnsupportedError: several volumes and none was asked for.
        UsageError: the asked one is not there.
    """
    if asked is None and volumes > 1:
        raise UnsupportedError(
            "The file holds several volumes.",
            where=name,
            found=f"{volumes} volumes",
            expected="one volume",
            fix=f"Choose one: frame 0 to {volumes - 1}.",
        )
    chosen = asked or 0
    if not 0 <= chosen < volumes:
        raise UsageError(
            "The file has no such frame.",
            where=name,
            found=f"frame {chosen}",
            expected=f"0 to {volumes - 1}",
            fix="Choose a frame that is there.",
        )
    return chosen


def header_floats(values: ArrayLike) -> NDArray[np.float64]:
    """Header numbers as float64; a signalling NaN among them is only a NaN and no reason to complain."""
    with np.errstate(invalid="ignore"):
        return np.array(values, np.float64)


def grid_of(name: str, shape: tuple[int, int, int], affine: Affine) -> Grid:
    """The grid of a file's shape and affine; a GeometryError names the file."""
    try:
        return Grid(shape, affine)
    except GeometryError as error:
        error.where = name
        raise
