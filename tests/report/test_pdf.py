"""The PDF: the same numbers, side letters, disclaimers on every page, the same bytes each time."""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dopascope.reading.images import Examination, Images
from dopascope.reading.schema import DISCLAIMER
from dopascope.report import figures, pdf, tiles
from dopascope.volume import MNI_2MM, Volume

INDEXED = re.compile(
    rb"/ColorSpace \[/Indexed /DeviceRGB 255 <([0-9a-f]+)>\] /Filter /FlateDecode /Height (\d+) /Length (\d+) "
    rb"/Subtype /Image\s+/Type /XObject /Width (\d+)\s*>>\s*stream\r?\n"
)


@pytest.fixture
def pages_of(words_of: Callable[[bytes], str]) -> Callable[[bytes], list[str]]:
    """Uncompressed PDF to the words of each page."""

    def pages(data: bytes) -> list[str]:
        contents = re.findall(rb"stream\r?\n(1 0 0 1 0 0 cm.*?)endstream", data, re.DOTALL)
        return [words_of(one) for one in contents]

    return pages


def rendered(examination: Examination) -> bytes:
    return pdf.render(examination, figures.draw(examination), compress=False)


def squeezed(text: str) -> str:
    # A long word may be broken over lines, and font changes split a line: blanks carry no meaning here.
    return re.sub(r"\s+", "", text.replace("−", "–")).rstrip(".")


def test_every_number_of_the_reading_is_in_the_pdf(examination: Examination, words_of: Any, numbers_of: Any) -> None:
    text = squeezed(words_of(rendered(examination)))
    missing = [one for one in numbers_of(examination.reading) if squeezed(one) not in text]
    # A verdict begins its line with a capital.
    assert [one for one in missing if squeezed(one.capitalize()) not in text] == []


def test_every_page_carries_the_disclaimer_the_scan_and_its_number(examination: Examination, pages_of: Any) -> None:
    pages = pages_of(rendered(examination))
    assert 1 <= len(pages) <= 3
    for number, page in enumerate(pages, start=1):
        assert DISCLAIMER in page
        assert examination.reading.scan.sha256[:12] in page
        assert f"page {number} of {len(pages)}" in page


def test_the_first_page_holds_verdict_pictures_and_ratios(examinations: dict[str, Examination], pages_of: Any) -> None:
    for kind in ("normal", "reduced", "uncertain"):
        first = pages_of(rendered(examinations[kind]))[0]
        for part in (kind.capitalize(), "This scan", "Template normal", "Specific binding ratio", "Asymmetry putamen"):
            assert part in first
        for label in ("z –8 mm", "z +22 mm", "coronal y +4", "maximum, from below"):
            assert label in first


def test_what_was_not_read_has_no_numbers(examinations: dict[str, Examination], words_of: Any) -> None:
    for kind in ("refused", "picture"):
        text = words_of(rendered(examinations[kind]))
        assert "Specific binding ratio" not in text
        assert "p (reduced)" not in text


def test_the_same_examination_gives_the_same_bytes(examinations: dict[str, Examination]) -> None:
    examination = examinations["reduced"]
    first, second = (pdf.render(examination, figures.draw(examination)) for _ in range(2))
    assert first == second


def test_palette_pictures_are_stored_pixel_for_pixel(examinations: dict[str, Examination]) -> None:
    drawn = figures.draw(examinations["normal"])
    data = pdf.render(examinations["normal"], drawn)
    stored = set()
    for found in INDEXED.finditer(data):
        palette, height, length, width = (found.group(n) for n in range(1, 5))
        pixels = zlib.decompress(data[found.end() : found.end() + int(length)])
        assert len(pixels) == int(width) * int(height)
        stored.add(((int(width), int(height)), pixels, bytes.fromhex(palette.decode())))
    wanted = [*drawn.rows[0].tiles, *drawn.rows[1].tiles]
    for tile in wanted:
        image = tile.image
        assert (image.size, image.tobytes(), bytes(image.getpalette("RGB") or b"")) in stored


@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="needs pdftoppm of poppler-utils")
def test_a_viewer_shows_the_bright_left_side_on_the_right(tmp_path: Path, examinations: dict[str, Examination]) -> None:
    """The whole way to the screen, with a head whose only uptake is on the subject's left."""
    data = np.zeros(MNI_2MM.shape, np.float32)
    data[20:35, 50:70, 25:60] = 6.0  # x = -50 to -22 mm: left
    normal = examinations["normal"]
    assert isinstance(normal.images, Images)
    head = Volume(data, MNI_2MM)
    one_sided = Examination(normal.reading, Images(head, head, None))
    (tmp_path / "a.pdf").write_bytes(pdf.render(one_sided, figures.draw(one_sided)))
    subprocess.run(["pdftoppm", "-r", "50", "-f", "1", "-l", "1", "-png", "a.pdf", "a"], cwd=tmp_path, check=True)
    (page,) = tmp_path.glob("a*.png")
    with Image.open(page) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    # The six slices fill the width of the paper; a sixth of it is one picture.
    margin = round(12 / 210 * pixels.shape[1])
    film = (pixels.max(axis=2) < 40).mean(axis=1) > 0.4
    top = int(np.flatnonzero(film)[0])
    strip = pixels[top : top + round(40 / 297 * pixels.shape[0]), margin:-margin].min(axis=2)
    columns = (strip > 200).sum(axis=0)
    width = len(columns) / 6
    position = np.flatnonzero(columns > 6) % width / width
    assert len(position) > 10
    assert (position > 0.5).mean() > 0.95


def test_a_picture_of_any_mode_can_be_placed(examinations: dict[str, Examination], words_of: Any) -> None:
    for mode in ("L", "RGB", "P"):
        tile = tiles.Tile("a label", "what it shows", Image.new(mode, (20, 10)), 20, 10)
        drawn = figures.Figures(stored=figures.Strip("stored", (tile,)))
        assert "a label" in words_of(pdf.render(examinations["picture"], drawn, compress=False))
