"""A cohort check as one offline page and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dopascope.batch.checking import CohortCheck, Group
from dopascope.cohort.consistency import Missing
from dopascope.cohort.fingerprint import Predicted
from dopascope.report import html, tiles, wording
from dopascope.report.files import save
from dopascope.report.tiles import Tile

SHOWN: Final = 12
"""Lines of a finding that are seen at once; the rest is folded."""
MOST: Final = 500
"""Lines of a finding that the page has; the JSON has all."""
SLAB_SPACING: Final = (4.0, 4.0)


def write(found: CohortCheck, page: Path) -> dict[str, Path]:
    """Write the page and, beside it, the same as JSON; both are made first.

    Raises:
        DopascopeError: the disk refuses; no half-written file is left.
    """
    parts = {
        page: render(found).encode(),
        page.with_suffix(".json"): (json.dumps(found.as_dict(), indent=2, ensure_ascii=False) + "\n").encode(),
    }
    return {path.suffix.lstrip("."): save(path, data) for path, data in parts.items()}


def render(found: CohortCheck) -> str:
    """The page: self-contained, no script, nothing fetched."""
    return (
        html.environment()
        .get_template("cohort_check.html.j2")
        .render(
            c=found,
            moment=wording.moment(found.created),
            says=says(found),
            failing=[one for one in found.findings if one.fails],
            warning=[one for one in found.findings if not one.fails],
            fine=fine(found),
            shown=SHOWN,
            most=MOST,
            groups=[row(group, list(found.labels)) for group in found.groups],
            predicted=[prediction(one) for one in found.predicted],
            missing=[gap(one, list(found.labels)) for one in found.missing if one.share > 0],
            complete=[one.column for one in found.missing if one.share == 0],
        )
    )


def says(found: CohortCheck) -> str:
    """The outcome in one sentence."""
    fails = sum(one.fails for one in found.findings)
    warns = len(found.findings) - fails
    if fails:
        return f"{fails} {'thing fails' if fails == 1 else 'things fail'}: mend this before a model sees the cohort."
    if warns:
        return f"Nothing fails; {warns} {'thing' if warns == 1 else 'things'} to know."
    return "Nothing fails, nothing stands out."


def fine(found: CohortCheck) -> list[str]:
    """What was looked for and not found."""
    looked = {
        "unreadable": "every scan can be read",
        "same_content": "no two scans are the same bytes",
        "copy": f"no copies among {found.compared} compared images",
        "mirrored_copy": "no mirror images",
        "two_sexes": "one sex a person",
        "two_labels": "one label a person",
        "no_person": "every scan has a participant_id",
        "no_label": "every scan has a label",
        "passport_refused": "no passport refuses",
    }
    met = {one.kind for one in found.findings}
    images = {"copy", "mirrored_copy"} if not found.compared else set()
    return [text for kind, text in looked.items() if kind not in met | images]


@dataclass(frozen=True)
class Row:
    """A fingerprint's line of the table."""

    mark: str
    thumbnail: Tile | None
    cells: list[tuple[int, float]]
    """For each label how many scans, and their share of the largest cell."""
    total: int


def row(group: Group, labels: Sequence[str]) -> Row:
    """The line of a group of scans."""
    counts = [group.labels.get(label, 0) for label in labels]
    total = sum(counts)
    return Row(group.mark, _thumbnail(group), [(count, round(count / max(total, 1), 2)) for count in counts], total)


def _thumbnail(group: Group) -> Tile | None:
    if group.thumbnail is None:
        return None
    plane = tiles.scaled(tiles.radiological(group.thumbnail), SLAB_SPACING)
    image = tiles.hot(plane, 1.0, ("R", "L"))
    return Tile("", f"axial slab of a scan of {group.mark}", image, 0.0, 0.0)


def prediction(one: Predicted) -> tuple[str, str, str, bool]:
    """Label, figure, what chance gives, and whether the figure is more."""
    if one.auroc is None or one.chance is None:
        return one.label, wording.NONE, one.reason, False
    return one.label, str(one.auroc), f"shuffled labels stay below {one.chance:.3f} in 99 % of draws", one.tells


def gap(one: Missing, labels: Sequence[str]) -> tuple[str, str, list[str]]:
    """Column, share missing, and the share in each label."""
    return one.column, f"{one.share:.0%}", [f"{one.by_label.get(label, 0):.0%}" for label in labels]
