"""NIfTI, MGZ, pictures, folders and zips without canaries; keys, pseudonyms and dates."""

from __future__ import annotations

import gzip
import json
import os
import stat
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from canaries import BIRTH, CANARY, NAME, leaks, leaks_below, plant_some
from dopascope.errors import UnreadableError, UnsuitableError, UnsupportedError, UsageError
from dopascope.formats import load, save_nifti, write_nm
from dopascope.formats.deidentify import Key, deidentify, deidentify_scan, key_of, new_key
from dopascope.formats.deidentify_terms import technical
from dopascope.formats.sidecar import write_sidecar
from dopascope.phantom import SITES
from dopascope.volume import Acquisition, Volume

SECRET = b"a secret of 32 bytes for testing"
KEY = Key(SECRET)
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.promise(
        "After `--deidentify` no name is left in outputs, file names, caches or what is printed",
        asvs="14.2.8",
        threats="T22",
    ),
]


def named_nifti(volume: Volume, path: Path, kind: type = nibabel.Nifti1Image) -> Path:
    """A NIfTI file with the canary in every text of its header, in two extensions and after its end."""
    image = kind(volume.data, volume.grid.affine)
    header = image.header
    for name in ("data_type", "db_name", "descrip", "aux_file", "intent_name"):
        if name in header:
            header[name] = CANARY.encode()
    header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", NAME.encode()))
    header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", NAME.encode("utf-16-le")))
    nibabel.save(image, path)
    if path.name.endswith(".nii"):
        with open(path, "ab") as stream:
            stream.write(NAME.encode())
    return path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("scan.nii", nibabel.Nifti1Image),
        ("scan.nii.gz", nibabel.Nifti1Image),
        ("scan.nii.gz", nibabel.Nifti2Image),
        ("scan.hdr", nibabel.Nifti1Pair),
    ],
)
def test_nifti_keeps_voxels_and_place_only(tmp_path: Path, whole_volume: Volume, name: str, kind: type) -> None:
    source = named_nifti(whole_volume, tmp_path / name, kind)
    assert any(leaks(path.read_bytes()) for path in tmp_path.iterdir())
    out, removed = deidentify_scan(source, tmp_path / "clean", "sub-01", SECRET)
    assert out.name == "sub-01.nii.gz"
    assert leaks_below(tmp_path / "clean") == []
    before, after = load(source), load(out)
    assert (before.data == after.data).all()
    assert before.grid == after.grid
    assert removed.counts["descrip", "emptied"] == 1
    assert isinstance(nibabel.load(out).get_fdata(), np.ndarray)


def test_all_volumes_and_the_byte_order_stay(tmp_path: Path) -> None:
    data = np.arange(3 * 4 * 5 * 2, dtype=">i2").reshape(3, 4, 5, 2)
    image = nibabel.Nifti1Image(data, np.diag([2.0, 3, 4, 1]), nibabel.Nifti1Header(endianness=">"))
    image.header["descrip"] = CANARY
    nibabel.save(image, tmp_path / "scan.nii")
    out, _ = deidentify_scan(tmp_path / "scan.nii", tmp_path / "clean", "sub-01", SECRET)
    assert leaks(out.read_bytes()) == []
    assert (nibabel.load(out).get_fdata() == data).all()


@pytest.mark.parametrize("site", [*SITES])
def test_facts_of_every_simulated_site_stay(tmp_path: Path, whole_volume: Volume, site: str) -> None:
    facts = SITES[site].acquisition(age_years=67.5, sex="F")
    save_nifti(whole_volume, tmp_path / "scan.nii.gz")
    write_sidecar(facts, tmp_path / "scan.json")
    out, _ = deidentify_scan(tmp_path / "scan.nii.gz", tmp_path / "clean", "sub-01", SECRET)
    assert load(out).acquisition == facts


def test_a_sidecar_loses_what_could_be_a_name(tmp_path: Path, whole_volume: Volume) -> None:
    save_nifti(whole_volume, tmp_path / "scan.nii.gz")
    facts = Acquisition(manufacturer=CANARY, model="INFINIA", corrections=("ATTN", CANARY), age_years=97.0, sex="M")
    write_sidecar(facts, tmp_path / "scan.json")
    said = json.loads((tmp_path / "scan.json").read_text()) | {"PatientName": NAME, CANARY: 1, "nested": {"a": [NAME]}}
    (tmp_path / "scan.json").write_text(json.dumps(said))
    out, removed = deidentify_scan(tmp_path / "scan.nii.gz", tmp_path / "clean", "sub-01", SECRET)
    assert leaks_below(tmp_path / "clean") == []
    kept = load(out).acquisition
    assert (kept.manufacturer, kept.model, kept.corrections, kept.age_years) == (None, "INFINIA", ("ATTN",), 90.0)
    assert removed.counts["sidecar, other keys", "removed"] == 3
    assert CANARY not in json.dumps(removed.as_dict())


def test_a_foreign_sidecar_is_reduced_and_stays_foreign(tmp_path: Path, whole_volume: Volume) -> None:
    save_nifti(whole_volume, tmp_path / "scan.nii.gz")
    (tmp_path / "scan.json").write_text(
        json.dumps({"Manufacturer": "GE", "InstitutionName": NAME, "FrameDuration": 20})
    )
    out, _ = deidentify_scan(tmp_path / "scan.nii.gz", tmp_path / "clean", "sub-01", SECRET)
    kept = json.loads(out.with_name("sub-01.json").read_text())
    assert kept == {"Manufacturer": "GE", "FrameDuration": 20}
    assert load(out).acquisition == Acquisition()


def test_mgz_loses_its_tags(tmp_path: Path, whole_volume: Volume) -> None:
    nibabel.save(nibabel.MGHImage(whole_volume.data, whole_volume.grid.affine), tmp_path / "scan.mgh")
    content = bytearray((tmp_path / "scan.mgh").read_bytes())
    content[100 : 100 + len(NAME)] = NAME.encode()
    (tmp_path / "scan.mgz").write_bytes(gzip.compress(bytes(content) + NAME.encode() * 3))
    out, _ = deidentify_scan(tmp_path / "scan.mgz", tmp_path / "clean", "sub-01", SECRET)
    assert leaks_below(tmp_path / "clean") == []
    assert (load(out).data == load(tmp_path / "scan.mgz").data).all()
    assert load(out).grid == load(tmp_path / "scan.mgz").grid


@pytest.mark.parametrize("kind", ["grey", "grey16", "rgb", "palette", "jpeg"])
def test_pictures_lose_texts_and_exif(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(4)
    top, dtype = (65536, np.uint16) if kind == "grey16" else (256, np.uint8)
    shape = (11, 13) if kind.startswith("grey") else (11, 13, 3)
    image = Image.fromarray(rng.integers(0, top, shape).astype(dtype))
    image = image.quantize(8) if kind == "palette" else image
    texts, exif = PngInfo(), Image.Exif()
    texts.add_text("Patient", NAME)
    texts.add_text("Packed", NAME, zip=True)
    texts.add_itxt("Name", NAME, zip=True)
    exif[0x010E], exif[0x0112] = NAME, 6
    source = tmp_path / ("scan.jpg" if kind == "jpeg" else "scan.png")
    image.save(source, **({"exif": exif, "comment": NAME} if kind == "jpeg" else {"pnginfo": texts, "exif": exif}))
    with open(source, "ab") as stream:
        stream.write(NAME.encode())
    assert leaks(source.read_bytes())
    out, removed = deidentify_scan(source, tmp_path / "clean", "sub-01", SECRET)
    assert leaks_below(tmp_path / "clean") == []
    assert (load(out).data == load(source).data).all()
    assert removed.warnings


@pytest.mark.parametrize("zipped", [False, True])
def test_names_of_files_folders_and_members_go(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path], zipped: bool
) -> None:
    def mark(made: Any, k: int) -> None:
        plant_some(made, [(0x00100010, "PN"), (0x00104000, "LT")])

    source = write_series(whole_volume, tmp_path / CANARY / f"{CANARY}^PAT", edit=mark)
    for path in source.iterdir():
        path.rename(path.with_name(f"{CANARY}_{path.name}"))
    (source / "notes.txt").write_text(NAME)
    before = {path: path.read_bytes() for path in source.iterdir()}
    scan = source
    if zipped:
        scan = tmp_path / f"{CANARY}.zip"
        with zipfile.ZipFile(scan, "w") as opened:
            opened.comment = NAME.encode()
            for path in source.iterdir():
                opened.write(path, f"{CANARY}/{path.name}")
    out, removed = deidentify_scan(scan, tmp_path / "clean", "sub-01", SECRET)
    assert leaks_below(tmp_path / "clean") == []
    assert {path: path.read_bytes() for path in source.iterdir()} == before
    assert (load(out).data == load(source).data).all()
    assert removed.files == whole_volume.data.shape[2]
    assert sum(removed.left_out.values()) == 1
    assert CANARY not in json.dumps(removed.as_dict())


def test_one_suspicious_file_stops_a_folder_and_nothing_is_left(
    tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]
) -> None:
    def mark(made: Any, k: int) -> None:
        made.BurnedInAnnotation = "YES" if k == 5 else "NO"

    source = write_series(whole_volume, tmp_path / "series", edit=mark)
    with pytest.raises(UnsuitableError):
        deidentify_scan(source, tmp_path / "clean", "sub-01", SECRET)
    assert list((tmp_path / "clean").iterdir()) == []


def test_two_people_do_not_become_one(tmp_path: Path, whole_volume: Volume, write_series: Callable[..., Path]) -> None:
    source = write_series(
        whole_volume, tmp_path / "series", edit=lambda made, k: setattr(made, "PatientID", str(k % 2))
    )
    with pytest.raises(UnsuitableError, match="several people"):
        deidentify_scan(source, tmp_path / "clean", "sub-01", SECRET)
    assert list((tmp_path / "clean").iterdir()) == []


def test_what_cannot_be_cleaned_is_refused(tmp_path: Path, whole_volume: Volume) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnsupportedError):
        deidentify(tmp_path / "empty", tmp_path / "clean", key=KEY)
    (tmp_path / "text.txt").write_text("nothing")
    with pytest.raises(UnsupportedError):
        deidentify(tmp_path / "text.txt", tmp_path / "clean.dcm", key=KEY)
    source = write_nm(whole_volume, tmp_path / "scan.dcm")
    for out in (tmp_path / "clean.nii", source):
        with pytest.raises(UsageError):
            deidentify(source, out, key=KEY)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("")
    with pytest.raises(UsageError, match="is taken"):
        deidentify(tmp_path / "empty", tmp_path / "there", key=KEY)
    with pytest.raises(UsageError):
        deidentify(source, tmp_path / "clean.dcm", key=KEY, pseudonym="../x")


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    key = key_of(tmp_path / "project.key")
    assert key == key_of(tmp_path / "project.key")
    assert key != new_key()
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "project.key").stat().st_mode) == 0o600
    for bad in ("", "abc", "zz" * 32, "ab" * 8):
        (tmp_path / "bad.key").write_text(bad)
        with pytest.raises(UnreadableError):
            key_of(tmp_path / "bad.key")
    with pytest.raises(UsageError):
        Key(b"short")
    assert "secret" not in repr(KEY)


@given(one=st.dates(date(1950, 1, 1)), two=st.dates(date(1950, 1, 1)), form=st.sampled_from(["%Y%m%d", "%Y-%m-%d"]))
def test_intervals_stay_and_days_do_not(one: date, two: date, form: str) -> None:
    person = KEY.person("sub-01")
    moved = [date.fromisoformat(str(person.shifted(day.strftime(form)))) for day in (one, two)]
    assert moved[1] - moved[0] == two - one
    assert moved[0] < one


@pytest.mark.parametrize("text", ["20210230", "2021", BIRTH + "1", "today", "0000-01-01", "2021-0101"])
def test_what_is_no_date_is_not_moved(text: str) -> None:
    assert KEY.person("sub-01").shifted(text) is None


def test_people_get_different_shifts_and_names() -> None:
    people = [KEY.person(KEY.pseudonym(f"person {number}")) for number in range(200)]
    assert len({person.pseudonym for person in people}) == 200
    assert len({person.days_back for person in people}) > 150
    assert KEY.pseudonym("a") != Key(b"another secret of bytes").pseudonym("a")


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        "Smith",
        "Z Z C A N",
        "20210304",
        "1234567",
        "Müller",
        "O\x00S\x00E\x00M",
        "GE Smith",
        "osem\nsmith",
        "3/20/2015",
        "05/2012",
        "2015-03",
        "20.3.15",
        "scan 2015 03 20",
        "scan 20 03 2015",
    ],
)
def test_words_that_are_not_technical(text: str) -> None:
    assert not technical(text)


@pytest.mark.parametrize(
    "text",
    [
        "OSEM 2 10 6.5",
        "OSEM 8i8s",
        "Butterworth 0.6 order 10",
        "GE MEDICAL SYSTEMS",
        "LEHR",
        "^123^Iodine",
        "BW 0.50 10",
    ],
)
def test_words_that_are(text: str) -> None:
    assert technical(text)
