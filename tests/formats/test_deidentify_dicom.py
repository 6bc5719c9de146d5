"""No canary survives in a DICOM file, and what quantification needs does."""

from __future__ import annotations

import dataclasses
import shutil
import struct
import subprocess
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from canaries import BIRTH, CANARY, GEOMETRY, NAME, every_tag, leaks, plant_everywhere, plant_some, rewrite
from dopascope.errors import InputError, UnreadableError, UnsuitableError, UnsupportedError, UsageError
from dopascope.formats import load, write_nm
from dopascope.formats.deidentify import CleanOptions, Key, deidentify
from dopascope.formats.deidentify_terms import profile, technical
from dopascope.volume import Acquisition, Volume

KEY = Key(b"a secret of 32 bytes for testing")
FACTS = Acquisition(
    manufacturer="GE MEDICAL SYSTEMS",
    model="INFINIA",
    collimator="LEHR",
    reconstruction="OSEM 8i8s",
    filter="Butterworth 0.6 order 10",
    attenuation_corrected=True,
    scatter_corrected=False,
    corrections=("UNIF", "COR", "NCO", "DECY", "NRGY", "LIN", "MOTN"),
    sex="F",
    age_years=67,
    activity_mbq=185.0,
    hours_after_injection=3.5,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.promise(
        "After `--deidentify` no name is left in outputs, file names, caches or what is printed",
        asvs="14.2.8",
        threats="T22",
    ),
]


@pytest.fixture
def scan(tmp_path: Path, whole_volume: Volume) -> Path:
    """An NM scan of somebody."""
    volume = dataclasses.replace(whole_volume, acquisition=FACTS)
    return write_nm(volume, tmp_path / "scan.dcm", patient_name=NAME, patient_id=CANARY, study_date="20210304")


def cleaned(source: Path, key: Key = KEY, **options: Any) -> Path:
    out = source.with_name(f"clean-{source.stem}.dcm")
    deidentify(source, out, key=key, options=CleanOptions(**options))
    return out


def test_no_canary_survives_in_any_tag(
    scan: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    rewrite(scan, plant_everywhere, trailing=NAME.encode())
    caplog.clear()
    capfd.readouterr()
    before = scan.read_bytes()
    assert len(every_tag()) > 2000
    assert leaks(before)
    out = scan.with_name("out.dcm")
    removed = deidentify(scan, out, key=KEY, options=CleanOptions(allow_burned_in=True))
    assert leaks(out.read_bytes()) == []
    assert scan.read_bytes() == before
    assert leaks(caplog.text.encode() + "".join(capfd.readouterr()).encode()) == []
    assert removed.counts["private", "removed"] == 3
    assert CANARY not in repr(removed) + str(removed.as_dict()) + "".join(removed.lines())
    assert out.read_bytes()[:128] == bytes(128)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chosen=st.lists(st.sampled_from(every_tag()), min_size=1, max_size=12),
    depth=st.integers(0, 3),
    form=st.sampled_from(["explicit", "implicit", "big", "deflated", "no-preamble"]),
)
def test_no_canary_survives_anywhere(scan: Path, chosen: list[tuple[int, str]], depth: int, form: str) -> None:
    made = pydicom.dcmread(scan)
    made.walk(lambda *_: None)  # decoded now: what stays raw would keep its byte order
    plant_some(made, [(tag, vr) for tag, vr in chosen if vr not in ("OW", "OF", "OD", "OL", "OV")], GEOMETRY)
    for _ in range(depth):
        item = pydicom.Dataset()
        plant_some(item, chosen)
        item.ViewCodeSequence = made.get("ViewCodeSequence", [])
        made.ViewCodeSequence = [item]
    path = _stored(made, scan.with_name("planted.dcm"), form)
    assert leaks(path.read_bytes()) or form == "deflated"
    out = cleaned(path, allow_burned_in=True)
    assert leaks(_plain(out)) == []


def _stored(made: Any, path: Path, form: str) -> Path:
    syntaxes = {"implicit": "1.2.840.10008.1.2", "big": "1.2.840.10008.1.2.2", "deflated": "1.2.840.10008.1.2.1.99"}
    if form in syntaxes:
        made.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntaxes[form])
    little, implicit = form != "big", form == "implicit"
    bare = pydicom.Dataset(made)
    bare.file_meta = made.file_meta
    with_meta = form != "no-preamble"
    if not with_meta:
        del bare.file_meta
    pydicom.dcmwrite(path, bare, implicit_vr=implicit, little_endian=little, enforce_file_format=with_meta)
    return path


def _plain(path: Path) -> bytes:
    """The bytes of a file, inflated where they are deflated."""
    made = pydicom.dcmread(path)
    if not made.file_meta.TransferSyntaxUID.is_deflated:
        return path.read_bytes()
    stream = pydicom.filebase.DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    pydicom.filewriter.write_dataset(stream, made)
    return path.read_bytes() + stream.getvalue()


@pytest.mark.parametrize("kind", ["nm", "series", "enhanced"])
def test_voxels_and_geometry_stay(
    kind: str,
    tmp_path: Path,
    scan: Path,
    whole_volume: Volume,
    write_series: Callable[..., Path],
    write_enhanced: Callable[..., Path],
) -> None:
    def mark(made: Any, k: int = 0) -> None:
        plant_some(made, [one for one in every_tag() if one[1] in ("LO", "PN", "LT", "SH")], GEOMETRY)

    if kind == "series":
        source = write_series(whole_volume, tmp_path / CANARY, edit=mark)
    else:
        source = scan if kind == "nm" else write_enhanced(whole_volume, tmp_path / "enhanced.dcm")
        rewrite(source, mark)
    out = tmp_path / ("clean" if source.is_dir() else "clean.dcm")
    deidentify(source, out, key=KEY)
    before, after = load(source), load(out)
    assert (before.data == after.data).all()
    assert before.grid == after.grid
    assert all(leaks(path.read_bytes()) == [] for path in ([out] if out.is_file() else out.iterdir()))


def test_what_quantification_needs_stays(scan: Path) -> None:
    before, after = load(scan).acquisition, load(cleaned(scan)).acquisition
    assert before == after
    assert after.age_years == 67
    assert after.hours_after_injection == 3.5


@pytest.mark.parametrize(("age", "kept"), [("089Y", "089Y"), ("090Y", "090Y"), ("101Y", "090Y"), ("011M", "011M")])
def test_high_ages_become_one(scan: Path, age: str, kept: str) -> None:
    rewrite(scan, lambda made: setattr(made, "PatientAge", age))
    assert pydicom.dcmread(cleaned(scan)).PatientAge == kept


def test_the_age_that_a_birth_date_gave_is_written_and_the_date_goes(scan: Path) -> None:
    def born(made: Any) -> None:
        del made.PatientAge
        made.PatientBirthDate, made.StudyDate = BIRTH, "20000802"

    rewrite(scan, born)
    made = pydicom.dcmread(cleaned(scan))
    assert made.PatientAge == "069Y"
    assert made.PatientBirthDate == ""


def test_one_unknown_term_does_not_take_the_others_along(scan: Path) -> None:
    def mark(made: Any) -> None:
        made.CorrectedImage = ["ATTN", CANARY, "SCAT"]
        made.ImageType = ["DERIVED", "PRIMARY", "RECON TOMO", CANARY]

    rewrite(scan, mark)
    made = pydicom.dcmread(cleaned(scan))
    assert made.CorrectedImage == ["ATTN", "SCAT"]
    assert list(made.ImageType) == ["DERIVED", "PRIMARY", "RECON TOMO", KEY.term(CANARY)]
    assert load(cleaned(scan)).acquisition.scatter_corrected is True


def test_what_was_done_is_recorded_in_the_file(scan: Path) -> None:
    made = pydicom.dcmread(cleaned(scan))
    assert made.PatientIdentityRemoved == "YES"
    assert made.LongitudinalTemporalInformationModified == "MODIFIED"
    assert [code.CodeValue for code in made.DeidentificationMethodCodeSequence] == ["113100", "113107", "113108"]
    assert {code.CodingSchemeDesignator for code in made.DeidentificationMethodCodeSequence} == {"DCM"}
    assert made.PatientName == made.PatientID == KEY.pseudonym(CANARY)


def test_intervals_between_dates_of_one_person_stay(scan: Path) -> None:
    days = []
    for study in ("20210304", "20220304", "20240229"):
        rewrite(scan, lambda made, study=study: setattr(made, "StudyDate", study))
        text = str(pydicom.dcmread(cleaned(scan)).StudyDate)
        assert text != study
        days.append(date(int(text[:4]), int(text[4:6]), int(text[6:])))
    assert (days[1] - days[0]).days == 365
    assert (days[2] - days[1]).days == (date(2024, 2, 29) - date(2022, 3, 4)).days


def test_one_key_gives_one_result_and_another_key_another(scan: Path) -> None:
    other = Key(b"another secret of bytes")
    first, again = cleaned(scan).read_bytes(), cleaned(scan).read_bytes()
    assert first == again
    one, two = pydicom.dcmread(cleaned(scan)), pydicom.dcmread(cleaned(scan, other))
    for keyword in (
        "PatientID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
        "FrameOfReferenceUID",
        "StudyDate",
    ):
        assert one[keyword].value != two[keyword].value
        assert one[keyword].value != pydicom.dcmread(scan)[keyword].value


def test_references_still_lead_to_what_they_meant(tmp_path: Path, whole_volume: Volume, write_series: Any) -> None:
    def refer(made: Any, k: int) -> None:
        made.FrameOfReferenceUID = "1.2.3.4"
        item = pydicom.Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = made.SOPClassUID, "2.25.770"
        made.ReferencedImageSequence = [item]

    source = write_series(whole_volume, tmp_path / "series", edit=refer)
    deidentify(source, tmp_path / "clean", key=KEY)
    made = [pydicom.dcmread(path) for path in (tmp_path / "clean").iterdir()]
    assert len({one.SeriesInstanceUID for one in made}) == len({one.FrameOfReferenceUID for one in made}) == 1
    assert len({one.SOPInstanceUID for one in made}) == len(made)
    referred = {one.ReferencedImageSequence[0].ReferencedSOPInstanceUID for one in made}
    assert len(referred) == 1
    assert referred < {one.SOPInstanceUID for one in made}
    assert all(one.SOPInstanceUID.startswith("2.25.") for one in made)


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        ({"BurnedInAnnotation": "YES"}, "Burned In"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "secondary capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1"}, "ultrasound"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "screen"),
    ],
)
def test_text_in_the_pixels_is_refused_and_warned_of(scan: Path, edit: dict[str, Any], fault: str) -> None:
    def mark(made: Any) -> None:
        for keyword, value in edit.items():
            setattr(made, keyword, value)

    rewrite(scan, mark)
    out = scan.with_name("out.dcm")
    with pytest.raises(UnsuitableError, match=fault):
        deidentify(scan, out, key=KEY)
    assert not out.exists()
    removed = deidentify(scan, out, key=KEY, options=CleanOptions(allow_burned_in=True))
    assert [text for text in removed.warnings if out.name in text and "pixels" in text]
    rewrite(scan, lambda made: setattr(made, "BurnedInAnnotation", "NO"))
    deidentify(scan, scan.with_name("denied.dcm"), key=KEY)


def test_an_overlay_in_the_bits_of_the_pixels_is_refused(scan: Path) -> None:
    rewrite(scan, lambda made: made.add_new(0x60000100, "US", 16))
    with pytest.raises(UnsuitableError, match="overlay"):
        deidentify(scan, scan.with_name("out.dcm"), key=KEY)


def test_objects_without_pixels_are_refused(scan: Path) -> None:
    def strip(made: Any) -> None:
        del made.PixelData

    rewrite(scan, strip)
    with pytest.raises(UnsupportedError):
        deidentify(scan, scan.with_name("out.dcm"), key=KEY)


def test_compressed_pixels_keep_their_bytes(scan: Path, tmp_path: Path) -> None:
    made = pydicom.dcmread(scan)
    made.compress(pydicom.uid.RLELossless)
    made.save_as(scan)
    with open(scan, "ab") as stream:
        stream.write(struct.pack("<HHI", 0xFFFC, 0xFFFC, 8) + CANARY.encode())
    after = pydicom.dcmread(cleaned(scan))
    assert after.PixelData == made.PixelData
    assert after.file_meta.TransferSyntaxUID == pydicom.uid.RLELossless
    assert (load(scan).data == load(cleaned(scan)).data).all()


def test_bytes_hidden_behind_the_last_pixel_go(scan: Path) -> None:
    before = pydicom.dcmread(scan).PixelData
    rewrite(scan, lambda made: setattr(made, "PixelData", before + NAME.encode()))
    out = cleaned(scan)
    assert leaks(out.read_bytes()) == []
    assert pydicom.dcmread(out).PixelData == before


def test_known_texts_of_unknown_representation_are_judged_as_what_they_are(scan: Path) -> None:
    def forget(made: Any) -> None:
        for keyword in ("PatientName", "Manufacturer", "StudyDate", "SOPInstanceUID", "StudyDescription"):
            value = str(made.get(keyword, NAME)).encode()
            made.add(RawDataElement(Tag(keyword), "UN", len(value), value + b" " * (len(value) % 2), 0, False, True))
        made.add_new(0x00081048, "UN", NAME.encode())

    before = load(scan).acquisition
    rewrite(scan, forget)
    out = cleaned(scan)
    assert leaks(out.read_bytes()) == []
    assert load(out).acquisition == before
    assert pydicom.dcmread(out).PatientName == KEY.pseudonym(CANARY)


def test_pixels_of_unknown_representation_are_refused(scan: Path) -> None:
    content = scan.read_bytes()
    assert content.count(b"\xe0\x7f\x10\x00OW") == 1
    scan.write_bytes(content.replace(b"\xe0\x7f\x10\x00OW", b"\xe0\x7f\x10\x00UN"))
    with pytest.raises(UnreadableError, match="cannot be judged"):
        cleaned(scan)


def test_an_object_without_a_name_of_its_own_is_refused(scan: Path) -> None:
    rewrite(scan, lambda made: made.__delitem__("SOPInstanceUID"))
    with pytest.raises(UnreadableError, match="which object"):
        cleaned(scan)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.tuples(st.integers(132, 3000), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_damaged_file_is_refused_or_clean(scan: Path, places: list[tuple[int, int]]) -> None:
    content = bytearray(scan.read_bytes())
    for place, value in places:
        content[place] = value
    path = scan.with_name("damaged.dcm")
    path.write_bytes(content)
    out = scan.with_name("clean-damaged.dcm")
    out.unlink(missing_ok=True)
    said = ""
    try:
        deidentify(path, out, key=KEY, pseudonym="sub-1", options=CleanOptions(allow_burned_in=True))
    except InputError as error:
        said = str(error)
    assert bool(said) is not out.exists()
    assert leaks(said.encode() + (out.read_bytes() if out.exists() else b"")) == []


def test_a_copy_never_replaces_its_source(scan: Path) -> None:
    with pytest.raises(UsageError):
        deidentify(scan, scan, key=KEY)
    with pytest.raises(UsageError):
        deidentify(scan.parent, scan.parent / "inside", key=KEY)


def test_the_profile_names_attributes_of_the_dictionary_and_is_as_long_as_the_table() -> None:
    profiled = profile()
    named = [*profiled.actions, *profiled.retained, *profiled.shifted, *profiled.texts, *profiled.bytes]
    assert [one for one in named if tag_for_keyword(one) is None] == []
    assert len(profiled.actions) > 600
    # Every option says what becomes of a row of the table, none of what has no row.
    assert profiled.retained <= profiled.actions.keys()
    assert profiled.shifted <= profiled.actions.keys()
    assert profiled.texts.isdisjoint(profiled.actions)


@pytest.mark.parametrize("action", ["X", "Z", "D", "U"])
def test_every_row_of_the_table_is_obeyed(scan: Path, action: str) -> None:
    profiled = profile()
    tags = [
        (tag_for_keyword(keyword), vr)
        for keyword, said in profiled.actions.items()
        if said == action and keyword not in profiled.retained | profiled.shifted | {"PatientName", "PatientID"}
        for tag, vr in every_tag()
        if tag == tag_for_keyword(keyword)
    ]
    rewrite(scan, lambda made: plant_some(made, tags))
    made = pydicom.dcmread(cleaned(scan))
    for tag, vr in tags:
        element = made.get(tag)
        if action == "X" or (action == "D" and vr in ("OB", "UN")):
            assert element is None, keyword_for_tag(tag)
        elif action == "Z":
            assert element is not None, keyword_for_tag(tag)
            assert not element.value
        else:
            assert element is not None, keyword_for_tag(tag)
            assert CANARY not in str(element.value)
            assert element.value or vr == "PN"


@pytest.mark.oracle
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
def test_a_valid_file_stays_valid(scan: Path) -> None:
    def errors(path: Path) -> list[str]:
        ended = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
        return [line for line in (ended.stdout + ended.stderr).splitlines() if line.startswith("Error")]

    assert errors(scan) == []
    assert errors(cleaned(scan)) == []


@pytest.mark.data
def test_public_files_lose_their_texts_and_keep_their_voxels(data_dir: Path, tmp_path: Path) -> None:
    compared = 0
    for path in sorted((data_dir / "nm_pet_dicom").rglob("*.dcm"))[:40]:
        try:
            before = load(path)
        except Exception:  # what is not read is not compared
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            names = {str(pydicom.dcmread(path).get(one, "")) for one in ("PatientName", "PatientID", "InstitutionName")}
        out = tmp_path / f"{compared}.dcm"
        deidentify(path, out, key=KEY, options=CleanOptions(allow_burned_in=True))
        assert (load(out).data == before.data).all()
        assert load(out).grid == before.grid
        assert leaks(out.read_bytes(), *(name for name in names if len(name) > 5 and not technical(name))) == []
        compared += 1
    assert compared
