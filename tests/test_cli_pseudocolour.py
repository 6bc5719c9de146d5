"""`dopascope pseudocolour`: paths on stdout, assumptions on stderr, and exact refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from dopascope.cli import pseudocolour
from dopascope.cli.app import app
from dopascope.formats import save_nifti, write_nm
from dopascope.space.pseudocolour import INTERVALS
from dopascope.volume import LabelMap, Volume


@pytest.fixture
def brain(oblique_volume: Volume) -> LabelMap:
    return LabelMap((oblique_volume.data > 90).astype(np.uint8), oblique_volume.grid)


@pytest.fixture
def files(oblique_volume: Volume, brain: LabelMap, tmp_path: Path) -> tuple[Path, Path]:
    save_nifti(oblique_volume, tmp_path / "t1.nii.gz")
    save_nifti(brain, tmp_path / "mask.nii")
    return tmp_path / "t1.nii.gz", tmp_path / "mask.nii"


def run(*arguments: object) -> tuple[int, str, str]:
    ended = CliRunner().invoke(app, ["pseudocolour", *map(str, arguments)])
    return ended.exit_code, ended.stdout, ended.stderr


def test_the_default_number_of_intervals_is_the_papers() -> None:
    assert pseudocolour.INTERVALS == INTERVALS


def test_paths_are_data_and_what_was_assumed_is_talk(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    image, mask = files
    code, stdout, stderr = run(image, "--mask", mask, "--panels")
    assert code == 0, stderr
    paths = [Path(line) for line in stdout.splitlines()]
    assert all(path.parent == Path("t1-pseudocolour") and path.is_file() for path in paths)
    assert sorted(Path("t1-pseudocolour").iterdir()) == sorted(paths)
    assert [path.name for path in paths] == ["axial-004-49.png", "axial-004-panels.png", "pseudocolour.json"]
    assert "ASSUMED  axial slice 4, the middle one" in stderr
    assert "ASSUMED  planes are the stored ones" in stderr
    assert "ASSUMED  the grey range is that of the brain in the whole scan" in stderr
    assert "add no information" in stderr


def test_what_is_chosen_is_not_assumed(files: tuple[Path, Path], tmp_path: Path) -> None:
    image, mask = files
    code, stdout, stderr = run(image, "--mask", mask, "--slice", 3, "--range", "scan", "--out", tmp_path / "out")
    assert code == 0, stderr
    assert "axial-003-49.png" in stdout
    assert "middle" not in stderr
    assert "grey range is that of" not in stderr


def test_every_slice_and_the_record_as_json(files: tuple[Path, Path], tmp_path: Path) -> None:
    image, mask = files
    arguments = ("--slice", "all", "--plane", "coronal", "--intervals", 7, "--range", "slice", "--json")
    code, stdout, stderr = run(image, "--mask", mask, *arguments, "--out", tmp_path / "out")
    assert code == 0, stderr
    record = json.loads(stdout)
    assert record["form"] == "dopascope.pseudocolour/1"
    assert record == json.loads((tmp_path / "out" / "pseudocolour.json").read_text())
    assert [one["files"] for one in record["pictures"]] == [[f"coronal-{n:03d}-7.png"] for n in range(8)]


def test_a_dicom_scan_is_coloured_as_its_nifti(
    oblique_volume: Volume, brain: LabelMap, files: tuple[Path, Path], tmp_path: Path
) -> None:
    whole = Volume(np.rint(oblique_volume.data), oblique_volume.grid)
    write_nm(whole, tmp_path / "scan.dcm")
    save_nifti(whole, tmp_path / "scan.nii")
    for name in ("scan.dcm", "scan.nii"):
        code, _, stderr = run(tmp_path / name, "--mask", files[1], "--out", tmp_path / name[-3:])
        assert code == 0, stderr
    one, other = ((tmp_path / kind / "axial-004-49.png").read_bytes() for kind in ("dcm", "nii"))
    assert one == other


def picture(path: Path, data: np.ndarray) -> Path:
    Image.fromarray(data.astype(np.uint8)).save(path)
    return path


def test_a_picture_is_coloured_as_it_lies(tmp_path: Path) -> None:
    grey = np.arange(40 * 30).reshape(40, 30) % 251
    image, mask = picture(tmp_path / "s.png", grey), picture(tmp_path / "m.png", (grey > 40) * 255)
    code, stdout, stderr = run(image, "--mask", mask, "--out", tmp_path / "out")
    assert code == 0, stderr
    assert stdout.splitlines()[0].endswith("picture-49.png")
    assert "ASSUMED  the picture's pixels are square" in stderr
    assert "ASSUMED  a picture has no geometry" in stderr
    code, _, stderr = run(image, "--mask", mask, "--plane", "coronal", "--out", tmp_path / "other")
    assert code == 2
    assert "--plane coronal" in stderr


def test_colour_pictures_and_masks_of_another_kind_are_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    grey = np.arange(40 * 30).reshape(40, 30) % 251
    image, mask = picture(tmp_path / "s.png", grey), picture(tmp_path / "m.png", (grey > 40) * 255)
    coloured = picture(tmp_path / "c.png", np.dstack([grey] * 3))
    small = picture(tmp_path / "small.png", grey[:30] * 0 + 255)
    for arguments, code, word in (
        ((coloured, "--mask", mask), 4, "colour picture"),
        ((image, "--mask", coloured), 4, "colour picture"),
        ((image, "--mask", small), 4, "another shape"),
        ((image, "--mask", files[1]), 2, "one kind"),
        ((files[0], "--mask", mask), 2, "one kind"),
    ):
        ended, stdout, stderr = run(*arguments, "--out", tmp_path / "out")
        assert (ended, stdout) == (code, ""), stderr
        assert word in stderr
        assert not (tmp_path / "out").exists()


def test_a_picture_needs_a_mask_and_what_is_no_head_has_none(files: tuple[Path, Path], tmp_path: Path) -> None:
    image = picture(tmp_path / "s.png", np.arange(40 * 30).reshape(40, 30) % 251)
    code, _, stderr = run(image, "--out", tmp_path / "out")
    assert (code, "--mask" in stderr) == (2, True)
    code, _, stderr = run(files[0], "--out", tmp_path / "out")
    assert (code, "No brain was found" in stderr) == (4, True)
    assert not (tmp_path / "out").exists()


def test_a_flat_picture_has_no_range(tmp_path: Path) -> None:
    image = picture(tmp_path / "s.png", np.full((40, 30), 9))
    for mask, word in ((255, "one grey value"), (0, "no brain")):
        code, _, stderr = run(
            image, "--mask", picture(tmp_path / "m.png", np.full((40, 30), mask)), "--out", tmp_path / "o"
        )
        assert code == 4
        assert word in stderr


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["IMAGE", "--mask", "MASK", "--intervals", 6], 2, "7 to 64"),
        (["IMAGE", "--mask", "MASK", "--intervals", 65], 2, "7 to 64"),
        (["IMAGE", "--mask", "MASK", "--intervals", "many"], 2, "--intervals"),
        (["IMAGE", "--mask", "MASK", "--plane", "side"], 2, "sagittal"),
        (["IMAGE", "--mask", "MASK", "--slice", "last"], 2, "middle"),
        (["IMAGE", "--mask", "MASK", "--slice", 99], 2, "no brain"),
        (["IMAGE", "--mask", "MASK", "--range", "best"], 2, "--range"),
        (["IMAGE", "--mask", "IMAGE"], 4, "no mask"),
        (["IMAGE", "--mask", "absent.nii"], 4, "absent.nii"),
        (["absent.nii", "--mask", "MASK"], 4, "absent.nii"),
    ],
)
def test_what_cannot_be_meant_ends_with_one_clear_error(
    arguments: list[object], code: int, word: str, files: tuple[Path, Path], tmp_path: Path
) -> None:
    places = {"IMAGE": files[0], "MASK": files[1]}
    words = [places.get(one, one) if isinstance(one, str) else one for one in arguments]
    ended, stdout, stderr = run(*words, "--out", tmp_path / "out")
    assert ended == code, stderr
    assert word in stderr
    assert not stdout
    assert not (tmp_path / "out").exists()
