"""A simulated picture is marked in its pixels, beside its words, and does not outlive its reading."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from dopascope import report
from dopascope.reading.images import Examination, Images
from dopascope.report import figures, html, tiles

PICTURE = "counterfactual.png"


def test_what_no_camera_has_seen_says_so_in_its_pixels(examinations: dict[str, Examination]) -> None:
    images = examinations["reduced"].images
    assert isinstance(images, Images)
    assert images.changed is not None
    scan, simulated, difference = figures.changed_tiles(images.changed)
    word = np.asarray(tiles.stamped(Image.new("RGB", scan.image.size))) == 255
    assert word.sum() > 500
    assert (np.asarray(simulated.image)[word] == 255).all()
    assert (np.asarray(difference.image)[word] == 255).all()
    assert not (np.asarray(scan.image.convert("RGB"))[word] == 255).all()


def test_nothing_changed_is_a_grey_difference(examinations: dict[str, Examination]) -> None:
    images = examinations["reduced"].images
    assert isinstance(images, Images)
    assert images.changed is not None
    same = replace(images.changed, after=images.changed.before)
    difference = np.asarray([*figures.changed_tiles(same)][2].image).astype(int)
    assert np.abs(difference[..., 0] - difference[..., 2]).max() <= 2


def test_page_says_that_it_is_no_evidence_and_only_where_there_is_one(examinations: dict[str, Examination]) -> None:
    heading = "<h2>Simulation, no evidence</h2>"
    pages = {name: html.render(one, figures.draw(one)) for name, one in examinations.items()}
    assert [name for name, page in pages.items() if heading in page] == ["reduced"]
    assert "(held)" in pages["reduced"]
    assert "age-matched normal, 67 years" in pages["reduced"]


def test_the_picture_lies_beside_the_report_and_goes_with_its_reading(
    examinations: dict[str, Examination], tmp_path: Path
) -> None:
    made = report.write(examinations["reduced"], tmp_path, formats=("json",))
    picture = Image.open(io.BytesIO(made["simulation"].read_bytes()))
    assert made["simulation"].name == PICTURE
    assert picture.width > 2.5 * picture.height * 0.8
    report.write(examinations["normal"], tmp_path, formats=("json",))
    assert not (tmp_path / PICTURE).exists()
