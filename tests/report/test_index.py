"""The index: one line each, links that lead to the reports, also after the folder has moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from dopascope import report
from dopascope.errors import DopascopeError
from dopascope.reading.images import Examination
from dopascope.reading.schema import DISCLAIMER


def entries(examinations: dict[str, Examination], folder: Path) -> list[report.IndexEntry]:
    return [
        report.IndexEntry.of(f"subject {kind}", one, folder / kind / "report.html", truth=f"simulated as {kind}")
        for kind, one in examinations.items()
    ]


def test_every_reading_has_a_line(examinations: dict[str, Examination], tmp_path: Path, parse: Any) -> None:
    made = ["Five examinations were made by code."]
    steps = ["Read your own: `dopascope read SCAN --out reading`"]
    path = report.write_index(
        entries(examinations, tmp_path), tmp_path / "index.html", title="Demo", made=made, next_steps=steps
    )
    page = path.read_text(encoding="utf-8")
    seen = parse(page)
    links = [unquote(attributes["href"]) for tag, attributes in seen.tags if tag == "a"]
    assert links == [f"{kind}/report.html" for kind in examinations]
    assert len([tag for tag, _ in seen.tags if tag == "img"]) == len(examinations)
    for kind, one in examinations.items():
        for words in (f"subject {kind}", f"simulated as {kind}", one.reading.verdict, one.reading.passport.verdict):
            assert words in seen.text
    assert made[0] in seen.text
    assert "<code>dopascope read SCAN --out reading</code>" in page
    assert seen.text.count(DISCLAIMER) == 2
    assert "http" not in page.replace("http-equiv", "")


def test_the_lowest_putamen_is_the_lower_side_with_its_interval(
    examinations: dict[str, Examination], tmp_path: Path
) -> None:
    numbers = examinations["reduced"].reading.quantification
    assert numbers is not None
    right, left = (numbers.regions[f"putamen_{side}"] for side in ("right", "left"))
    assert (right.sbr or 0) < (left.sbr or 0)
    assert right.interval is not None
    entry = report.IndexEntry.of("x", examinations["reduced"], tmp_path / "report.html")
    low, high = right.interval
    assert entry.lowest_putamen == (f"{right.sbr:.2f}", f"{low:.2f} to {high:.2f}, right")


def test_the_lowest_z_is_the_lower_side_or_the_reason_why_there_is_none(
    examinations: dict[str, Examination], tmp_path: Path, parse: Any
) -> None:
    reading = examinations["reduced"].reading
    numbers = reading.quantification
    assert numbers is not None
    values = {"putamen_right": -1.26, "putamen_left": -4.04, "caudate_left": -9.0}
    regions = {name: one.model_copy(update={"z": values.get(name)}) for name, one in numbers.regions.items()}
    shown = {}
    for kind, update in (
        ("with", {"regions": regions}),
        (
            "without",
            {
                "regions": {name: one.model_copy(update={"z": None}) for name, one in regions.items()},
                "normals_reason": "no normals fit; the nearest are of another camera",
            },
        ),
    ):
        changed = reading.model_copy(update={"quantification": numbers.model_copy(update=update)})
        shown[kind] = report.IndexEntry(kind, changed, tmp_path / "report.html")
    assert shown["with"].lowest_z == ("−4.0", "left")
    assert shown["without"].lowest_z == ("–", "no normals fit")
    assert report.IndexEntry.of("x", examinations["refused"], tmp_path).lowest_z == ("–", "")
    page = report.write_index(list(shown.values()), tmp_path / "index.html").read_text(encoding="utf-8")
    assert "−4.0" in parse(page).text
    assert "no normals fit" in parse(page).text


@pytest.mark.parametrize("kind", ["refused", "picture"])
def test_what_was_not_read_has_no_ratio(examinations: dict[str, Examination], kind: str, tmp_path: Path) -> None:
    entry = report.IndexEntry.of("x", examinations[kind], tmp_path / "report.html")
    assert entry.lowest_putamen == ("–", "")
    assert entry.agreement == "–"


def test_a_large_volume_method_without_putamen_has_no_ratio(
    examinations: dict[str, Examination], tmp_path: Path
) -> None:
    examination = examinations["normal"]
    numbers = examination.reading.quantification
    assert numbers is not None
    kept = {name: one for name, one in numbers.regions.items() if name.startswith("striatum")}
    reading = examination.reading.model_copy(
        update={"quantification": numbers.model_copy(update={"regions": kept, "indices": {}})}
    )
    entry = report.IndexEntry.of("x", Examination(reading, examination.images), tmp_path / "report.html")
    assert entry.lowest_putamen == ("–", "")


def test_disagreement_is_told_from_agreement(examinations: dict[str, Examination], tmp_path: Path) -> None:
    said = {kind: report.IndexEntry.of(kind, one, tmp_path).agreement for kind, one in examinations.items()}
    assert said["normal"] == said["reduced"] == "agree"
    assert said["uncertain"].startswith("dat-spect-ud says uncertain")


def test_an_index_may_lie_elsewhere(examinations: dict[str, Examination], tmp_path: Path, parse: Any) -> None:
    path = report.write_index(entries(examinations, tmp_path / "reports"), tmp_path / "pages" / "index.html")
    links = [attributes["href"] for tag, attributes in parse(path.read_text()).tags if tag == "a"]
    assert links[0] == "../reports/normal/report.html"


def test_an_index_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DopascopeError):
        report.write_index([], tmp_path / "taken" / "index.html")
