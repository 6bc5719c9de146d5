"""Headers: the same elements as pydicom finds, whatever the encoding, and bounded."""

from __future__ import annotations

import io
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopascope.errors import DopascopeError, HostileError, UnreadableError, UnsupportedError
from dopascope.formats.blob import Blob
from dopascope.formats.dicom_dictionary import ELEMENTS, tags
from dopascope.formats.dicom_file import contents, header_of, is_dicom
from dopascope.formats.limits import Limits

pydicom = pytest.importorskip("pydicom")
from pydicom import Dataset  # noqa: E402
from pydicom.dataset import FileMetaDataset  # noqa: E402
from pydicom.sequence import Sequence as Items  # noqa: E402
from pydicom.uid import UID  # noqa: E402

SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "deflated": "1.2.840.10008.1.2.1.99",
    "big-endian": "1.2.840.10008.1.2.2",
}


def small_dataset(syntax: str) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(syntax)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.4")
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = UID("2.25.9")
    made.Modality, made.EchoTime, made.Rows, made.Columns = "MR", "3.25", 3, 5
    made.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    made.SliceVector = [3, 1, 2]
    inner = Dataset()
    inner.ImagePositionPatient = [1.5, -2, 3e-2]
    made.DetectorInformationSequence = Items([inner, Dataset()])
    made.DetectorInformationSequence.is_undefined_length = True
    inner.is_undefined_length_sequence_item = True
    made.BitsAllocated = 16
    made.PixelData = np.arange(15, dtype=">u2" if "2.2" in syntax[-4:] else "<u2").tobytes()
    made["PixelData"].VR = "OW"
    return made


def saved(made: Dataset, **options: object) -> bytes:
    stream = io.BytesIO()
    options = {"enforce_file_format": True} | options
    made.save_as(stream, **options)
    return stream.getvalue()


def blob(content: bytes, name: str = "scan.dcm") -> Blob:
    return Blob(name, content=content)


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_every_encoding_gives_the_same_header(syntax: str) -> None:
    header = header_of(blob(saved(small_dataset(syntax))), Limits())
    assert header.text("Modality") == "MR"
    assert header.texts("ImageType") == ("ORIGINAL", "PRIMARY", "M")
    assert header.number("EchoTime") == 3.25
    assert (header.integer("Rows"), header.integer("Columns")) == (3, 5)
    assert header.numbers("SliceVector") == (3, 1, 2)
    first, second = header.items("DetectorInformationSequence")
    assert first.numbers("ImagePositionPatient") == (1.5, -2.0, 0.03)
    assert second.elements == {}
    assert header.number("FlipAngle") is None
    assert header.items("RotationInformationSequence") == []
    data = contents(header, saved(small_dataset(syntax)), Limits())
    order = ">" if syntax == SYNTAXES["big-endian"] else "<"
    assert header.pixels is not None
    pixels = np.frombuffer(data, f"{order}u2", 15, header.pixels.offset)
    np.testing.assert_array_equal(pixels, np.arange(15))


@pytest.mark.parametrize("syntax", [SYNTAXES["implicit"], SYNTAXES["explicit"], SYNTAXES["big-endian"]])
def test_a_file_without_preamble_and_meta_is_read_as_pydicom_does(syntax: str) -> None:
    made = small_dataset(syntax)
    del made.file_meta
    stream = io.BytesIO()
    pydicom.dcmwrite(
        stream, made, implicit_vr=syntax == SYNTAXES["implicit"], little_endian=syntax != SYNTAXES["big-endian"]
    )
    bare = blob(stream.getvalue(), "IM0001")
    assert is_dicom(bare)
    assert header_of(bare, Limits()).number("EchoTime") == 3.25


def test_wanted_tags_are_kept_and_others_passed_over() -> None:
    header = header_of(blob(saved(small_dataset(SYNTAXES["explicit"]))), Limits(), tags("Rows", "SliceVector"))
    assert {tag for tag in header.elements if tag >> 16 != 2} == tags("Rows", "SliceVector")
    assert header.pixels is not None


def test_the_head_of_a_long_file_gives_the_header_of_the_whole(tmp_path: Path) -> None:
    made = small_dataset(SYNTAXES["explicit"])
    made.Rows, made.Columns, made.PixelData = 200, 300, bytes(120_000)
    path = tmp_path / "long.dcm"
    path.write_bytes(saved(made))
    from_disk = header_of(Blob(str(path), path=path), Limits(), tags("Rows", "Columns"))
    whole = header_of(blob(saved(made)), Limits())
    assert from_disk.pixels == whole.pixels
    assert from_disk.integer("Columns") == 300


def test_our_part_of_the_dictionary_is_pydicoms() -> None:
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    for keyword, (tag, vr) in ELEMENTS.items():
        assert tag == tag_for_keyword(keyword), keyword
        assert dictionary_VR(tag)[:2].encode() == vr, keyword


def test_a_unknown_vr_sequence_is_read_as_implicit() -> None:
    """PS3.5 6.2.2, note 4: a sequence of undefined length in VR UN is implicit little endian inside."""
    inner = b"\x20\x00\x32\x00" + (6).to_bytes(4, "little") + b"1\\2\\3 "
    item = b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner
    unknown = b"\x54\x00\x22\x00UN\0\0\xff\xff\xff\xff" + item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    rows = b"\x28\x00\x10\x00US\x02\x00\x07\x00"
    start = b"\x08\x00\x60\x00CS\x02\x00MR" + rows
    header = header_of(blob(start + unknown, "x"), Limits())
    assert header.integer("Rows") == 7
    assert header.items("DetectorInformationSequence")[0].numbers("ImagePositionPatient") == (1, 2, 3)


def test_not_dicom_is_said_so() -> None:
    with pytest.raises(UnsupportedError, match="not a DICOM file"):
        header_of(blob(b"P5 12 12 255 " + bytes(200)), Limits())


def test_a_text_where_a_number_belongs_is_a_typed_error() -> None:
    made = small_dataset(SYNTAXES["explicit"])
    made.add_new("EchoTime", "LO", "three")
    header = header_of(blob(saved(made)), Limits())
    with pytest.raises(UnreadableError, match="does not hold a number"):
        header.number("EchoTime")


def test_a_damaged_deflated_stream_is_a_typed_error() -> None:
    whole = bytearray(saved(small_dataset(SYNTAXES["deflated"])))
    whole[-20:] = b"\xaa" * 20
    with pytest.raises(UnreadableError):
        header_of(blob(bytes(whole)), Limits())


def test_limits_are_named_in_the_refusal() -> None:
    whole = blob(saved(small_dataset(SYNTAXES["explicit"])))
    for name, limits in {
        "max_elements": Limits(max_elements=5),
        "max_file_bytes": Limits(max_file_bytes=50),
    }.items():
        with pytest.raises(HostileError) as caught:
            header_of(whole, limits)
        assert name in caught.value.expected
    deep = Dataset()
    deep.Rows = 1
    for _ in range(4):
        outer = Dataset()
        outer.DetectorInformationSequence = [deep]
        deep = outer
    made = small_dataset(SYNTAXES["explicit"])
    made.DetectorInformationSequence = [deep]
    header_of(blob(saved(made)), Limits(max_nesting=5))
    with pytest.raises(HostileError, match="nested deeper"):
        header_of(blob(saved(made)), Limits(max_nesting=4))


@given(st.binary(max_size=400), st.sampled_from([b"", bytes(128) + b"DICM"]))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_a_header_or_a_typed_error(content: bytes, start: bytes) -> None:
    try:
        header = header_of(blob(start + content), Limits())
    except DopascopeError:
        return
    for keyword in ELEMENTS:
        try:
            header.numbers(keyword)
            header.items(keyword)
        except DopascopeError:
            continue


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_changed_byte_gives_a_header_or_a_typed_error(data: st.DataObject) -> None:
    whole = bytearray(saved(small_dataset(data.draw(st.sampled_from(list(SYNTAXES.values()))))))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        header_of(blob(bytes(whole)), Limits())
    except DopascopeError:
        return


@pytest.mark.data
def test_the_walk_finds_what_pydicom_finds(data_dir: Path) -> None:
    """Every top-level element up to the pixel data of every sound file of pydicom's own test set."""
    compared = 0
    for path in sorted((data_dir / "edge_cases" / "pydicom").rglob("*")):
        found = Blob(str(path), path=path) if path.is_file() else None
        if found is None or not is_dicom(found):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                header = header_of(found, Limits())
                theirs = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            except (UnreadableError, EOFError):
                continue
        values = {int(tag): element for tag, element in theirs._dict.items() if int(tag) < 0x7FE00008}
        ours = {tag: value for tag, value in header.elements.items() if tag >> 16 != 2 and tag < 0x7FE00008}
        assert ours.keys() == values.keys(), path.name
        for tag, element in values.items():
            raw = getattr(element, "value", None)
            if isinstance(raw, bytes) and getattr(element, "VR", "SQ") != "SQ":
                assert ours[tag][1] == raw, (path.name, hex(tag))
                compared += 1
    assert compared > 1500


def test_inflating_is_bounded_by_what_came_in() -> None:
    """Growth is judged while it happens: a stream of zeros stops at once, not at the whole limit."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packer.compress(bytes(64 << 20)) + packer.flush()
    head = saved(small_dataset(SYNTAXES["deflated"]))
    start = header_start(head)
    with pytest.raises(HostileError, match="inflates to more"):
        header_of(blob(head[:start] + bomb), Limits())


def header_start(whole: bytes) -> int:
    """Where the data set of a file with meta information begins."""
    length = int.from_bytes(whole[140:144], "little")
    return 144 + length
