"""Class folders of RGB slices: the right slices the right way up, resumable, moved with their label, imported again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from dopascope import formats, space
from dopascope.batch import NormaliseSettings, normalise_cohort
from dopascope.batch.slices import Cut, export_slices
from dopascope.cli.app import app
from dopascope.cohort import read_cohort
from dopascope.cohort.importers import find_scans, write_cohort
from dopascope.cohort.leaks import leaks
from dopascope.cohort.splits import Place
from dopascope.errors import UnsuitableError, UsageError
from dopascope.volume import MNI_2MM, Volume

COLUMNS = "participant_id session_id scan_id path label age"
FAST = NormaliseSettings(register=False, intensity="p99")
CUT = Cut(top=4)


def people(scans: Path) -> list[tuple[object, ...]]:
    return [(f"p{n}", "BL", f"p{n} BL", scans / f"{n}.dcm", "PD" if n == 2 else "control", 60 + n) for n in range(3)]


def pictures(out: Path) -> dict[str, np.ndarray]:
    return {path.relative_to(out).as_posix(): np.asarray(Image.open(path)) for path in sorted(out.rglob("*.png"))}


def test_the_three_slices_are_the_channels_seen_as_a_reader_sees_them() -> None:
    data = np.zeros(MNI_2MM.shape, np.float32)
    data[10, 20, 40], data[10, 20, 41], data[80, 100, 42], data[0, 0, 43] = 4, 9, 1, 5
    picture = CUT.picture(data)
    assert (picture.shape, picture.dtype) == ((109, 91, 3), np.uint8)
    seen = {(int(r), int(c), int(k)): int(picture[r, c, k]) for r, c, k in np.argwhere(picture)}
    assert seen == {(88, 80, 0): 255, (88, 80, 1): 255, (8, 10, 2): 64}


def test_a_registered_scan_becomes_its_normalised_slices(scans, cohort, tmp_path) -> None:
    out = tmp_path / "out"
    table = cohort(*people(scans)[:1], columns=COLUMNS)
    done = export_slices(table, out, NormaliseSettings(), Cut())
    assert [one.error for one in done] == [None]
    volume = formats.load(scans / "0.dcm")
    assert isinstance(volume, Volume)
    placed = space.normalise(volume, space.register(volume))
    values = space.views.rgb_slices(placed) / space.intensity.reference_value(placed, "p75_nonstriatal")
    wanted = np.clip(values / 10 * 255, 0, 255)
    found = pictures(out)["control/p0-BL.png"][::-1, ::-1].transpose(1, 0, 2)
    assert np.abs(found - wanted).max() < 0.51
    assert 80 < found.max() < 255
    again = export_slices(
        table, tmp_path / "more", NormaliseSettings(), Cut((38, 40, 42)), cache=tmp_path / "out.cache"
    )
    assert again[0].kept
    assert not np.array_equal(
        pictures(tmp_path / "more")["control/p0-BL.png"][..., 0], pictures(out)["control/p0-BL.png"][..., 0]
    )


def test_it_shares_the_cache_of_normalise_goes_on_and_moves_with_the_label(scans, cohort, tmp_path) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    lines = people(scans)
    table = cohort(*lines, columns=COLUMNS)
    normalise_cohort(table, tmp_path / "normalised", FAST, cache=cache)
    done = export_slices(table, out, FAST, CUT, cache=cache)
    assert [one.kept for one in done] == [True] * 3
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    export_slices(table, out, FAST, CUT, cache=cache)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    lines[0] = (*lines[0][:4], "PD", 60)
    (out / "control" / "mine.png").write_bytes(b"not written by us")
    export_slices(cohort(*lines, columns=COLUMNS), out, FAST, CUT, cache=cache)
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png")) == [
        *("PD/p0-BL.png", "PD/p2-BL.png", "control/mine.png", "control/p1-BL.png")
    ]


def test_a_failed_scan_is_recorded_with_exit_code_3_and_the_rest_imports_again(scans, cohort, tmp_path) -> None:
    shutil.copytree(scans, tmp_path / "scans")
    lines = people(tmp_path / "scans")
    (tmp_path / "scans" / "1.dcm").write_bytes(b"none")
    table, out = cohort(*lines, columns=COLUMNS), tmp_path / "out"
    words = ["cohort", "export-png", table, "--out", out, "--no-register", "--slices", "40,41,42"]
    ended = CliRunner().invoke(app, [str(one) for one in words])
    assert ended.exit_code == 3, ended.output
    assert "1 of 3" in ended.stderr
    assert "ASSUMED  5 on this scale becomes 255" in ended.stderr
    said = json.loads((out / "slices.json").read_text())
    assert list(said["failed"]) == ["p1 BL"]
    assert (said["slices"], said["intensity"], said["top"]) == ({"red": 40, "green": 41, "blue": 42}, "p99", 5.0)
    found = find_scans("folders", out)
    write_cohort(found, tmp_path / "again.tsv", "folders")
    again = read_cohort(tmp_path / "again.tsv")
    assert [(one.person, one.label, one.age, one.name) for one in again] == [
        ("p0", "control", 60, "p0 BL"),
        ("p2", "PD", 62, "p2 BL"),
    ]
    assert all(one.path.is_file() for one in again)
    assert (found.assumed, found.left_out) == ([], [])


def test_pictures_of_one_person_are_known_to_lint_split(scans, cohort, tmp_path) -> None:
    lines = [(f"p{n // 2}", f"V{n}", f"s{n}", scans / f"{n % 3}.dcm", "PD", 60) for n in range(4)]
    export_slices(cohort(*lines, columns=COLUMNS), tmp_path / "out", FAST, CUT)
    found = read_cohort(tmp_path / "out" / "slices.tsv")
    same_bytes = [Place("0", "train", "s0", "p0"), Place("0", "test", "s3", "p1")]
    parted = [Place("0", "train", "s0", "p0"), Place("0", "test", "s1", "p0")]
    apart = [Place("0", "train", "s0", "p0"), Place("0", "test", "s2", "p1")]
    kinds = [{leak.kind for leak in leaks(found, places)} for places in (same_bytes, parted, apart)]
    assert kinds == [{"file"}, {"person"}, set()]


def test_what_cannot_become_folders_or_pictures_is_refused_before_anything_is_written(scans, cohort, tmp_path) -> None:
    lines = people(scans)
    out = tmp_path / "out"
    with pytest.raises(UnsuitableError, match="label"):
        export_slices(cohort((*lines[0][:4], "n/a", 60), columns=COLUMNS), out, FAST, CUT)
    for first, second in (
        (("a b", "x"), ("a-b", "x")),
        (("a", "x"), ("A", "x")),
        (("a", "x"), ("b", "X")),
        (("a", "x y"), ("b", "x-y")),
    ):
        rows = [(f"p{n}", "BL", name, scans / "0.dcm", label, 60) for n, (name, label) in enumerate((first, second))]
        with pytest.raises(UsageError, match="Two names become one"):
            export_slices(cohort(*rows, columns=COLUMNS), out, FAST, CUT)
    assert not out.exists()
    for words in (("--slices", "40,41"), ("--slices", "40,41,91"), ("--top", "0"), ("--intensity", "none")):
        ended = CliRunner().invoke(
            app, ["cohort", "export-png", str(tmp_path / "cohort.tsv"), "--out", str(out), *words]
        )
        assert (ended.exit_code, words[0] in ended.stderr or "--top" in ended.stderr) == (2, True), ended.output
