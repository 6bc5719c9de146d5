"""docs/formats.md is true: its tables are generated here, and the tests fail when they are out of date.

To make them anew: python tests/formats/test_docs_formats.py FOLDER_OF_SCANS
"""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import pytest

from dopascope import formats
from dopascope.errors import DopascopeError
from dopascope.formats import READERS, Limits
from dopascope.formats.dicom_file import is_dicom
from dopascope.volume import Volume

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
TEXTS = (".md", ".txt", ".rst", ".json", ".csv", ".dump", ".tsv")
NAMES = ("LICENSE", "LICENCE", "COPYING", "DESCRIPTION", "NOTICE", ".gitignore")


def readers() -> str:
    lines = ["| name | reads |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | {READERS[name].description} |" for name in sorted(READERS))])


def limits() -> str:
    lines = ["| setting | default | what it bounds |", "|---|---|---|"]
    for one in dataclasses.fields(Limits):
        lines.append(f"| `{one.name}` | {getattr(Limits(), one.name):,} | {one.metadata['help']} |")
    return "\n".join(lines)


def entries(data: Path) -> list[Path]:
    """Files and folders that are one row each: DICOM slices of one folder go together, except among the edge cases."""
    found: set[Path] = set()
    for path in data.rglob("*"):
        inside = path.relative_to(data)
        left_out = inside.parts[0] == "models" or path.suffix in TEXTS or path.name.startswith(NAMES)
        if not path.is_file() or left_out or len(inside.parts) == 1:
            continue
        alone = inside.parts[0] in ("edge_cases", "nm_pet_dicom")
        together = not alone and path.suffix not in (".gz", ".zip") and is_dicom(formats.Blob(str(path), path=path))
        found.add(path.parent if together else path)
    return sorted(found)


def row(path: Path, data: Path) -> str:
    """What loading `path` gives."""
    name = str(path.relative_to(data)) + ("/" if path.is_dir() else "")
    try:
        image = formats.load(path)
    except DopascopeError as error:
        measured = f" Found: {error.found}." if error.code == "geometry" and error.found != "nothing" else ""
        return f"| {name} | `{error.code}` | | | {error.what}{measured} |".replace("\n", " ")
    shape = " x ".join(map(str, image.data.shape))
    assumed = "; ".join(image.source.assumed) if image.source else ""
    if not isinstance(image, Volume):
        return f"| {name} | picture | {shape} | | {assumed} |"
    spacing = " x ".join(f"{mm:.4g}" for mm in image.grid.spacing_mm)
    return f"| {name} | Volume {image.grid.axis_codes} | {shape} | {spacing} | {assumed} |"


def data_table(data: Path) -> str:
    lines = ["| file or folder | gives | shape | spacing mm | reason, or what was assumed |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(row(path, data) for path in entries(data))])


def section(name: str) -> str:
    """What stands between the markers of a generated part."""
    found = re.search(rf"<!-- generated: {name} -->\n(.*?)<!-- end -->", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found, f"docs/formats.md has no generated part {name}"
    return found[1].strip()


@pytest.mark.parametrize("make", [readers, limits])
def test_generated_parts_are_up_to_date(make) -> None:
    assert section(make.__name__) == make(), "run python tests/formats/test_docs_formats.py FOLDER_OF_SCANS"


@pytest.mark.data
def test_the_table_of_the_data_folder_is_up_to_date(data_dir: Path) -> None:
    documented, made = section("data").splitlines(), data_table(data_dir).splitlines()
    assert documented == made, "run python tests/formats/test_docs_formats.py FOLDER_OF_SCANS"


def test_every_reader_and_every_refused_kind_is_described() -> None:
    from dopascope.formats import dicom_nuclear, dicom_stack

    page = PAGE.read_text(encoding="utf-8")
    for name in READERS:
        assert f"`{name}`" in page
    for kind in dicom_nuclear._REFUSED:
        assert f"`{kind}`" in page
    assert f"{dicom_stack.UNEVEN_TOLERANCE:.0%}".replace("%", " %") in page
    for number in (dicom_stack.TILT_TOLERANCE_DEG, dicom_stack.ORIENTATION_TOLERANCE_DEG, dicom_stack.SAME_POSITION_MM):
        assert str(number) in page


def regenerate(data: Path) -> None:
    """Write all generated parts."""
    page = PAGE.read_text(encoding="utf-8")
    for name, text in {"readers": readers(), "limits": limits(), "data": data_table(data)}.items():
        marked = f"<!-- generated: {name} -->\n{text}\n<!-- end -->"
        page = re.sub(rf"<!-- generated: {name} -->\n.*?<!-- end -->", lambda _, m=marked: m, page, flags=re.DOTALL)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    regenerate(Path(sys.argv[1]))
