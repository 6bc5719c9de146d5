"""What names a person never reaches a reading, a report or what the command line prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from dopascope import phantom, report
from dopascope.formats import load
from dopascope.formats.dicom_write import write_nm
from dopascope.reading import Choices, examine
from dopascope.volume import Volume

pytestmark = pytest.mark.promise(
    "What names a person stays in `formats.identity`: no reading, report or log holds it", asvs="14.2.1", threats="T22"
)

CANARY = "ZZCANARY"


def test_a_canary_name_is_found_nowhere(
    pd_scan: tuple[Volume, phantom.Truth], no_models: Choices, tmp_path: Path
) -> None:
    path = tmp_path / "scan.dcm"
    write_nm(pd_scan[0], path, patient_name=f"{CANARY}^PAT", patient_id=f"{CANARY}7")
    assert CANARY.encode() in path.read_bytes()
    examination = examine(load(path), no_models)
    assert CANARY not in repr(examination.images)
    for made in report.write(examination, tmp_path / "out").values():
        assert CANARY.encode() not in made.read_bytes()
    assert CANARY not in examination.reading.to_json()
