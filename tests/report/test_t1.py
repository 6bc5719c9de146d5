"""The report of a T1 MRI: passport, then why there is no verdict, volumes with intervals, sides, colours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dopascope import formats, report
from dopascope.reading import Choices, Examination, Images, examine
from dopascope.reading.schema import DISCLAIMER, Reading
from dopascope.report import figures, html, pdf, t1_content, wording
from dopascope.report.t1_figures import OUTLINES
from dopascope.volume import Volume
from t1_head import as_file, brain_known, examined, simulated, true_mask


@pytest.fixture(scope="module")
def drawn() -> figures.Figures:
    return figures.draw(examined())


@pytest.fixture(scope="module")
def page(drawn: figures.Figures) -> str:
    return html.render(examined(), drawn)


def test_the_passport_comes_before_the_refusal_and_both_before_the_volumes(page: str, parse: Any) -> None:
    text = parse(page).text
    order = (DISCLAIMER, "Orientation from", "Passport:", "No verdict is given", "Volume, ml", "Limits")
    places = [text.index(one) for one in order]
    assert places == sorted(places)
    for said in ("d = -0.16", "essential tremor", "colours add no information", "ASSUMED"):
        assert said in text, said
    for never in ("p (reduced)", "binding reads as", "Specific binding ratio"):
        assert never not in text, never


def test_every_volume_stands_there_with_its_interval(page: str, parse: Any) -> None:
    measured = examined().reading.morphometry
    assert measured is not None
    text = parse(page).text
    rows = t1_content.rows(measured)
    assert len(rows) == len(measured.volumes)
    assert [row.side for row in rows[:3]] == ["right", "left", "both"]
    for row in rows:
        assert row.bar is not None
        assert row.bar.low is not None
        assert row.bar.high is not None
        assert row.bar.low < row.bar.value < row.bar.high <= 1
        assert row.ml in text
        assert row.interval in text


def test_the_pdf_says_the_same(drawn: figures.Figures, words_of: Any) -> None:
    data = pdf.render(examined(), drawn, compress=False)
    assert data == pdf.render(examined(), drawn, compress=False)
    text = words_of(data)
    for said in (DISCLAIMER, "No verdict", "d = -0.16", "add no information", "Midbrain", "T1-weighted MRI"):
        assert said in text, said


def test_the_outline_is_where_the_mask_ends_and_right_is_left(drawn: figures.Figures) -> None:
    assert drawn.t1 is not None
    assert [tile.label.split()[0] for tile in drawn.t1.brain] == ["axial", "coronal", "sagittal"]
    picture = np.asarray(drawn.t1.brain[0].image)
    orange = (picture == OUTLINES["brain"]).all(axis=2)
    assert orange.sum() > 200
    columns, rows = np.flatnonzero(orange.any(axis=0)), np.flatnonzero(orange.any(axis=1))
    inside = true_mask()
    at = np.argwhere(inside.data > 0)
    wide = at @ np.abs(inside.grid.affine[:3, :3]).T
    width, length = np.ptp(wide, axis=0)[:2]
    pixel = drawn.t1.brain[0].width_mm / picture.shape[1]
    assert np.ptp(columns) * pixel <= width + 3
    assert np.ptp(rows) * pixel <= length + 3


def test_a_mark_on_the_right_is_drawn_on_the_left_in_grey_and_in_colour() -> None:
    images, reading = examined().images, examined().reading
    assert isinstance(images, Images)
    world = images.scan.grid.centres_mm()
    inside = true_mask().data > 0
    middle = world[inside].mean(axis=0)
    data = np.where(inside, 100.0, 0.0)
    data[inside & (world[..., 0] > middle[0])] = 900.0  # the subject's right
    data[inside & (world[..., 0] < middle[0])] = 300.0
    marked = Images(Volume(data, images.scan.grid), None, None, brain=true_mask())
    assert reading.pseudocolour is not None
    cut = reading.pseudocolour.model_copy(update={"low": 100.0, "high": 900.0})
    seen = figures.t1_figures.draw(marked, reading.registration, cut)
    assert seen is not None
    for tile in (seen.brain[0], seen.colours[0]):
        picture = np.asarray(tile.image.convert("L"), float)
        half = picture.shape[1] // 2
        assert picture[:, : half - 5].mean() > 1.3 * picture[:, half + 5 :].mean(), tile.label


def test_files_are_written_whole_with_the_mask_on_the_scans_grid(tmp_path: Path) -> None:
    paths = report.write(examined(), tmp_path)
    assert set(paths) == {"pdf", "html", "json", "brain mask"}
    mask = formats.load(paths["brain mask"])
    assert isinstance(mask, Volume)
    assert mask.grid.same_as(simulated().volume.grid)
    assert np.array_equal(mask.data > 0, true_mask().data > 0)
    assert json.loads(paths["json"].read_text())["brain"]["file"] == paths["brain mask"].name


def test_a_refused_t1_shows_the_scan_in_grey_and_no_volume(parse: Any) -> None:
    inverted = simulated().volume
    data = np.where(true_mask().data > 0, inverted.data.max() - inverted.data, inverted.data)
    with brain_known():
        refused = examine(as_file(Volume(data, inverted.grid)), Choices(modality="t1"))
    assert refused.reading.verdict == "refused"
    drawn = figures.draw(refused)
    assert drawn.t1 is None
    assert drawn.stored is not None
    colours = np.asarray(drawn.stored.tiles[0].image.convert("RGB"), int)
    assert (np.ptp(colours, axis=2) == 0).all()
    text = parse(html.render(refused, drawn)).text
    assert "white over grey" in text.lower()
    assert "Volume, ml" not in text
    assert wording.HEADLINES["refused"] in text


def test_where_the_template_was_not_placed_the_brain_is_shown_and_the_reason_said(parse: Any, words_of: Any) -> None:
    why = "The mask does not hold a whole brain."
    reasons = examined().reading.reasons | {"registration": why, "morphometry": why}
    parts = {"registration": None, "morphometry": None, "reasons": reasons}
    unplaced = Examination(examined().reading.model_copy(update=parts), examined().images)
    drawn = figures.draw(unplaced)
    assert drawn.t1 is not None
    assert drawn.t1.brain
    assert drawn.t1.colours
    assert not drawn.t1.structures
    text = parse(html.render(unplaced, drawn)).text
    assert f"Not measured: {why}" in text
    assert "Asymmetry" not in text
    assert why in words_of(pdf.render(unplaced, drawn, compress=False))


def test_hostile_text_is_only_text(drawn: figures.Figures, parse: Any) -> None:
    hostile = "<script>alert(1)</script>{{7*7}}\u202e"
    data = examined().reading.model_dump(by_alias=True)
    data["brain"] |= {"model": hostile, "definition": hostile, "file": hostile}
    data["scan"] |= {"source": hostile, "assumed": [hostile]}
    data["morphometry"]["measured_on"] = hostile
    poisoned = Examination(Reading.model_validate(data), examined().images)
    seen = parse(html.render(poisoned, drawn))
    assert "script" not in {tag for tag, _ in seen.tags}
    assert "<script>alert(1)</script>{{7*7}}[U+202E]" in seen.text
    assert b"/JavaScript" not in pdf.render(poisoned, drawn, compress=False)


def test_an_index_lists_it_without_ratios(tmp_path: Path, parse: Any) -> None:
    entry = report.IndexEntry.of("head", examined(), tmp_path / "report.html")
    page = report.write_index([entry], tmp_path / "index.html")
    text = parse(page.read_text(encoding="utf-8")).text
    assert "no verdict" in text
    assert entry.lowest_putamen == (wording.NONE, "")
