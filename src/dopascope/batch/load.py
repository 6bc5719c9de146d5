"""The scan of a cohort's line, as an image that is fit to be worked on."""

from __future__ import annotations

from dataclasses import replace

from dopascope import formats, passport
from dopascope.cohort.scan import CohortScan
from dopascope.errors import UnsuitableError, UnsupportedError
from dopascope.formats.limits import Limits
from dopascope.formats.registry import Strictness
from dopascope.volume import Volume


def load_dat(
    scan: CohortScan,
    strictness: Strictness,
    limits: Limits,
    *,
    series: str | None = None,
    frame: int | None = None,
    use: str = "binding ratio",
) -> Volume:
    """The DaT scan with the table's facts added to its header's; `use` is what a refused picture is no good for.

    Raises:
        UnsupportedError: the table says that it is of another modality.
        UnsuitableError: a picture of one slice; or table and header contradict each other.
        InputError: it cannot be read.
    """
    if not scan.is_dat:
        raise UnsupportedError(
            "Only DaT SPECT is worked on here.",
            where=f"{scan.name}, column modality",
            found=scan.cells["modality"],
            expected="dat or n/a",
            fix="Leave other modalities out of this table.",
        )
    image = formats.load(scan.path, series=series, frame=frame, strictness=strictness, limits=limits)
    if not isinstance(image, Volume):
        raise UnsuitableError(
            f"A picture of one slice has no position, spacing or side, so no {use}.",
            where=scan.path,
            found="a picture",
            expected="DICOM or NIfTI",
            fix="Export the scan itself.",
        )
    return replace(image, acquisition=scan.acquisition(image.acquisition))


def refuse(found: passport.Passport) -> None:
    """Raise UnsuitableError where the passport refuses the scan."""
    if found.verdict == "refused":
        raise UnsuitableError(
            "The scan's passport refuses it.",
            where="passport",
            found="; ".join(found.reasons),
            expected="a DaT SPECT of one head with known geometry",
            fix="See dopascope inspect.",
        )
