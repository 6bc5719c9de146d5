"""Tables of images with the brain marked by an expert: what a segmenter learns from and is judged by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dopascope.cohort.table import MISSING, Row, read_table
from dopascope.errors import UnreadableError, UsageError

COLUMNS: Final = ("participant_id", "image", "mask")
PLANES: Final = ("sagittal", "coronal", "axial")
"""By the axis of a scan in the order R, A, S that they lie across."""
ALL: Final = "all"
BRAIN: Final = "brain"
MIDDLE: Final = "middle"
_RANGE: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5})(?:/(\d{1,4}))?)?")
_SPECIAL: Final = (".nii.gz", ".mgh.gz")


@dataclass(frozen=True)
class Wanted:
    """Which slices of a scan: all of them, those with brain, the middle one of these, or numbers from 0."""

    text: str
    numbers: tuple[int, ...] = ()
    """Rising; empty where a word says which."""

    def of(self, brain: Sequence[bool]) -> list[int]:
        """Numbers of the slices wanted.

        Args:
            brain: of each slice, whether it has any.

        Raises:
            UsageError: a number beyond the last slice.
        """
        with_brain = [number for number, any_ in enumerate(brain) if any_]
        if self.text == ALL:
            return list(range(len(brain)))
        if self.text == BRAIN:
            return with_brain
        if self.text == MIDDLE:
            return with_brain[len(with_brain) // 2 :][:1]
        if self.numbers[-1] >= len(brain):
            raise UsageError(
                "The scan has no such slice.",
                where="column slices",
                found=self.numbers[-1],
                expected=f"0 to {len(brain) - 1}",
                fix="Correct the table.",
            )
        return list(self.numbers)


@dataclass(frozen=True)
class MaskedImage:
    """One line of the table."""

    row: Row
    name: str
    """Of the image file, without its ending; numbered where two lines have the same."""
    participant_id: str
    image: Path
    mask: Path
    plane: str | None
    """One of `PLANES`, or `all` for the three; None where the table is silent."""
    slices: Wanted | None
    """None where the table is silent."""

    @property
    def where(self) -> str:
        """The line, for errors."""
        return f"{self.row.path}, line {self.row.line}"


def read_masked(path: Path) -> list[MaskedImage]:
    """The lines of a tab-separated table with the columns `participant_id`, `image` and `mask`.

    Paths are relative to the table. `plane` and `slices` may be there; other columns are not looked at.

    Raises:
        UnreadableError: see `cohort.table.read_table`; a cell that is missing or cannot be meant, or a file that is
            not there. The error names line and column.
    """
    rows = read_table(path, COLUMNS)
    names = Counter(_stem(row.get("image") or "") for row in rows)
    seen: Counter[str] = Counter()
    found = []
    for row in rows:
        person, image, mask = (_filled(row, column) for column in COLUMNS)
        stem = _stem(image)
        seen[stem] += 1
        found.append(
            MaskedImage(
                row,
                stem if names[stem] == 1 else f"{stem}-{seen[stem]}",
                person,
                _file(row, "image", image),
                _file(row, "mask", mask),
                _plane(row),
                _wanted(row),
            )
        )
    return found


def _filled(row: Row, column: str) -> str:
    text = row.get(column)
    if text is None:
        raise row.fault(column, MISSING, f"the {column} of each line", "Complete the table.")
    return text


def _file(row: Row, column: str, text: str) -> Path:
    path = row.path.parent / text
    if not path.exists():
        raise row.fault(column, text, f"a file or folder, relative to {row.path.parent}", "Check the path.")
    return path


def _plane(row: Row) -> str | None:
    text = row.get("plane")
    if text is not None and text not in (*PLANES, ALL):
        raise row.fault("plane", text, ", ".join((*PLANES, ALL)))
    return text


def _wanted(row: Row) -> Wanted | None:
    text = row.get("slices")
    if text is None or text in (ALL, BRAIN, MIDDLE):
        return None if text is None else Wanted(text)
    numbers: set[int] = set()
    for part in text.split(","):
        numbers |= _numbers(row, part.strip())
    return Wanted(text, tuple(sorted(numbers)))


def _numbers(row: Row, part: str) -> set[int]:
    match = _RANGE.fullmatch(part)
    first, last, step = (None if one is None else int(one) for one in match.groups()) if match else (None, None, None)
    if first is None or (last is not None and last < first) or step == 0:
        raise _unreadable(row, part)
    return set(range(first, (first if last is None else last) + 1, step or 1))


def _unreadable(row: Row, part: str) -> UnreadableError:
    return row.fault("slices", part, "all, brain, middle, or numbers from 0 such as 17, 20-160 or 20-160/4")


def _stem(image: str) -> str:
    name = Path(image).name
    for ending in _SPECIAL:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return Path(name).stem
