"""A cohort with one fault of each kind: every one is found, named and worth exit code 3; the page says it all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from dopascope import formats
from dopascope.batch import Runner
from dopascope.batch.checking import check_cohort
from dopascope.cli.app import app
from dopascope.cohort import read_cohort
from dopascope.cohort.content import HALVES, content_of
from dopascope.space import canonical
from dopascope.volume import Volume

COLUMNS = "scan_id participant_id session_id path label age sex"


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["cohort", "check", *map(str, words)])


def kinds(path: Path) -> dict[str, dict]:
    return {one["kind"]: one for one in json.loads(path.read_text())["findings"]}


@pytest.fixture
def faulty(scans: Path, cohort, tmp_path: Path) -> Path:
    """Three sound scans, and: the same bytes, a resampled copy, a mirror image, a text, nothing, a bar of noise."""
    first = formats.load(scans / "0.dcm")
    assert isinstance(first, Volume)
    shutil.copy(scans / "1.dcm", tmp_path / "again.dcm")
    turned = canonical(first)
    formats.save_nifti(Volume(turned.data[::-1].copy(), turned.grid), tmp_path / "mirror.nii.gz")
    finer = np.repeat(turned.data, 2, axis=2)
    affine = turned.grid.affine.copy()
    affine[:3, 2] /= 2
    affine[:3, 3] -= affine[:3, 2] / 2
    formats.save_nifti(Volume(finer, type(turned.grid)(finer.shape, affine)), tmp_path / "finer.nii.gz")
    (tmp_path / "letter.nii").write_text("Dear colleague")
    noise = np.random.default_rng(1).random(turned.data.shape, np.float32)
    formats.save_nifti(Volume(noise, turned.grid), tmp_path / "noise.nii.gz")
    lines = [
        *((f"s{n}", f"p{n}", "BL", scans / f"{n}.dcm", "PD" if n == 2 else "control", 60, "F") for n in range(3)),
        ("again", "p7", "BL", "again.dcm", "PD", 60, "M"),
        ("mirror", "p8", "BL", "mirror.nii.gz", "PD", 60, "M"),
        ("finer", "p0", "V04", "finer.nii.gz", "control", 61, "M"),
        ("letter", "p9", "BL", "letter.nii", "PD", 60, "M"),
        ("absent", "p10", "BL", "absent.nii", "PD", 60, "M"),
        ("noise", "p11", "BL", "noise.nii.gz", "PD", 60, "M"),
    ]
    return cohort(*lines, columns=COLUMNS)


def test_every_planted_fault_is_found_and_is_exit_code_3(faulty: Path, tmp_path: Path) -> None:
    ended = run(faulty, "--out", tmp_path / "page.html")
    assert ended.exit_code == 3, ended.output
    found = kinds(tmp_path / "page.json")
    assert {kind for kind, one in found.items() if one["fails"]} == {
        "unreadable",
        "same_content",
        "copy",
        "mirrored_copy",
        "two_sexes",
        "passport_refused",
    }
    assert [who.split(":")[0] for who in found["unreadable"]["who"]] == ["letter", "absent"]
    assert found["same_content"]["who"] == ["s1 (p1), again (p7)"]
    assert found["copy"]["who"] == ["s0 (p0), finer (p0)"]
    assert "s0 (p0), mirror (p8)" in found["mirrored_copy"]["who"]
    assert "that are the same bytes: 1, of which under different people: 1" in found["same_content"]["what"]
    assert found["two_sexes"]["who"] == ["p0: F, M"]
    assert found["passport_refused"]["who"][0].startswith("noise: ")
    page = (tmp_path / "page.html").read_text()
    for one in found.values():
        assert one["what"] in page
    assert "Not a medical device" in page
    assert "default-src 'none'" in page
    assert "<script" not in page


def test_a_sound_cohort_passes_twice_and_on_two_workers_the_same(scans: Path, cohort, tmp_path: Path) -> None:
    lines = [(f"s{n}", f"p{n}", "BL", scans / f"{n}.dcm", "control", 60, "F") for n in range(3)]
    table = cohort(*lines, columns=COLUMNS)
    found = [
        check_cohort(read_cohort(table), tmp_path / name, runner=Runner(workers)).as_dict() | {"created": ""}
        for name, workers in (("a", 1), ("b", 2), ("a", 1))
    ]
    assert found[0] == found[1] == found[2]
    assert found[0]["passed"]
    assert found[0]["images_compared"] == 3
    assert run(table).exit_code == 0
    assert (tmp_path / "cohort.check.html").is_file()


def test_what_was_seen_before_is_not_looked_at_again(scans: Path, cohort, tmp_path: Path) -> None:
    table = cohort(("s0", "p0", "BL", scans / "0.dcm", "control", 60, "F"), columns=COLUMNS)
    told: list[tuple[int, int]] = []
    for _ in range(2):
        check_cohort(read_cohort(table), tmp_path / "c", progress=lambda done, kept: told.append((done, kept)))
    assert told == [(1, 0), (1, 1)]


def test_images_need_not_be_compared_and_json_is_on_stdout(faulty: Path, tmp_path: Path) -> None:
    ended = run(faulty, "--out", tmp_path / "page.html", "--no-images", "--json")
    assert ended.exit_code == 3
    told = json.loads(ended.stdout)
    assert told["images_compared"] == 0
    assert not {"copy", "mirrored_copy"} & {one["kind"] for one in told["findings"]}
    assert "no mirror images" not in (tmp_path / "page.html").read_text()


def test_the_same_bytes_are_found_whatever_stands_beside_them(scans: Path, cohort, tmp_path: Path) -> None:
    shutil.copy(scans / "0.dcm", tmp_path / "again.dcm")
    (tmp_path / "again.json").write_text('{"Manufacturer": "another"}')
    lines = [("s0", "p0", "BL", scans / "0.dcm", "PD", 60, "F"), ("again", "p1", "BL", "again.dcm", "PD", 60, "F")]
    ended = run(cohort(*lines, columns=COLUMNS), "--out", tmp_path / "page.html", "--no-images")
    assert ended.exit_code == 3
    assert kinds(tmp_path / "page.json")["same_content"]["who"] == ["s0 (p0), again (p1)"]


def test_halves_of_a_pair_are_both_of_the_image(tmp_path: Path) -> None:
    for name, voxels in (("a", b"1"), ("b", b"2"), ("c", b"1")):
        (tmp_path / f"{name}.hdr").write_bytes(b"head")
        (tmp_path / f"{name}.img").write_bytes(voxels)
    a, b, c = (content_of(tmp_path / f"{name}.hdr", HALVES) for name in "abc")
    assert a != b
    assert a == c


def test_scans_that_cannot_be_read_tell_nothing_of_how_they_were_made(cohort, tmp_path: Path) -> None:
    """All absent ones have one label; counted as a fingerprint of their own they would tell it."""
    from PIL import Image

    for n in range(12):
        Image.fromarray(np.full((8, 8), n, np.uint8)).save(tmp_path / f"{n}.png")
    lines = [(n, f"p{n}", "BL", f"{n}.png", "PD" if n % 2 else "control", 60, "F") for n in range(12)]
    lines += [(n, f"p{n}", "BL", "absent.png", "PD", 60, "F") for n in range(12, 40)]
    found = check_cohort(read_cohort(cohort(*lines, columns=COLUMNS)), tmp_path / "c")
    assert [one.auroc.n for one in found.predicted if one.auroc] == [12, 12]
    assert "fingerprint_tells_label" not in {one.kind for one in found.findings}


def test_names_on_the_page_are_text(scans: Path, cohort, tmp_path: Path) -> None:
    odd = "<img src=x onerror=alert(1)>"
    table = cohort(
        (odd, odd, "BL", scans / "0.dcm", odd, 60, "F"), ("s", odd, "V1", "absent.nii", "PD", 60, "M"), columns=COLUMNS
    )
    run(table, "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert odd not in page
    assert "&lt;img" in page


def test_pictures_are_said_to_have_no_geometry(cohort, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "a.png")
    found = check_cohort(read_cohort(cohort(("a", "p", "V", "a.png", "PD", 60, "F"), columns=COLUMNS)), tmp_path / "c")
    assert [one.mark for one in found.groups] == ["pictures without geometry"]
    assert found.compared == 0
