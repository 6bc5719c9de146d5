"""The page over many readings: what a demo or a batch ends with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from dopascope.reading.images import Examination
from dopascope.reading.schema import Reading
from dopascope.report import figures, wording
from dopascope.report.files import save
from dopascope.report.tiles import Tile

PUTAMEN: Final = ("putamen_right", "putamen_left")


@dataclass(frozen=True)
class IndexEntry:
    """One line of the index. It keeps a small picture, not the scan."""

    name: str
    reading: Reading
    report: Path
    thumbnail: Tile | None = None
    truth: str = ""
    """What is known of the scan from elsewhere, such as the group that was simulated."""

    @classmethod
    def of(cls, name: str, examination: Examination, report: str | Path, *, truth: str = "") -> IndexEntry:
        """The line of an examination whose page is at `report`."""
        return cls(name, examination.reading, Path(report), figures.thumbnail(examination), truth)

    @property
    def lowest_putamen(self) -> tuple[str, str]:
        """The lower of the two putaminal binding ratios and its interval with the side, as text."""
        numbers = self.reading.quantification
        if numbers is None or self.reading.verdict == "refused":
            return wording.NONE, ""
        found = [(name, numbers.regions[name]) for name in PUTAMEN if name in numbers.regions]
        measured = [(one.sbr, name, one) for name, one in found if one.sbr is not None]
        if not measured:
            return wording.NONE, ""
        sbr, name, one = min(measured, key=lambda line: line[0])
        return wording.number(sbr), f"{wording.interval(one.interval)}, {wording.sided(name)[1]}"

    @property
    def lowest_z(self) -> tuple[str, str]:
        """The lower of the two putaminal z-scores and its side, as text; without one a dash and the reason in short."""
        numbers = self.reading.quantification
        if numbers is None or self.reading.verdict == "refused":
            return wording.NONE, ""
        found = [(numbers.regions[name].z, name) for name in PUTAMEN if name in numbers.regions]
        known = [(z, name) for z, name in found if z is not None]
        if not known:
            return wording.NONE, (numbers.normals_reason or "").partition(";")[0]
        z, name = min(known)
        return wording.number(z, 1), wording.sided(name)[1]

    @property
    def agreement(self) -> str:
        """The disagreement, or that the readers agree, or that fewer than two answered."""
        answered = [one for one in self.reading.readers if one.verdict != "refused"]
        return self.reading.disagreement or ("agree" if len(answered) > 1 else wording.NONE)


def write_index(
    entries: Sequence[IndexEntry],
    path: str | Path,
    *,
    title: str = "Readings",
    made: Sequence[str] = (),
    next_steps: Sequence[str] = (),
) -> Path:
    """Write a self-contained page that lists `entries` and links to their reports by relative paths.

    Args:
        entries: the lines, in order.
        path: the HTML file to write.
        title: the heading.
        made: sentences on top that say what was made.
        next_steps: what to try next; words between backticks are set as code.

    Raises:
        DopascopeError: the disk refuses; no half-written file is left.
    """
    from dopascope.report import html

    path = Path(path)
    lines = [(one, _link(one.report, path.parent)) for one in entries]
    page = html.render_index(lines, title=title, made=made, next_steps=[step.split("`") for step in next_steps])
    return save(path, page.encode())


def _link(report: Path, folder: Path) -> str:
    # Quoting leaves no colon, so that no name can make a link that runs something.
    return quote(Path(os.path.relpath(report, folder)).as_posix())
