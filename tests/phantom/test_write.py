"""Phantoms as files come back through the ordinary readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dopascope import formats, phantom
from dopascope.errors import UsageError
from dopascope.space import canonical


@pytest.mark.parametrize(("name", "format"), [("a.nii.gz", "nifti"), ("a.dcm", "dicom")])
def test_a_written_scan_reads_back_with_every_voxel_in_place(tmp_path: Path, name: str, format: str) -> None:
    volume, _ = phantom.example(2003, "pd")
    phantom.write(volume, tmp_path / name, format=format)  # type: ignore[arg-type]
    back = formats.load(tmp_path / name)
    one, other = canonical(volume), canonical(back)
    assert other.grid.same_as(one.grid, tolerance_mm=0.01)
    assert np.abs(other.data - one.data).max() <= one.data.max() * 1e-3


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    volume, _ = phantom.example(2003, "healthy")
    with pytest.raises(UsageError):
        phantom.write(volume, tmp_path / "a.mgz", format="mgz")  # type: ignore[arg-type]


def test_examples_differ_in_camera_and_order_and_repeat() -> None:
    drawn = [phantom.example(seed, "healthy") for seed in range(2010, 2016)]
    assert len({truth.camera.name for _, truth in drawn}) > 1
    assert len({volume.grid.axis_codes for volume, _ in drawn}) > 1
    again, _ = phantom.example(2010, "healthy")
    assert np.array_equal(again.data, drawn[0][0].data)
