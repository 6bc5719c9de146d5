"""One verdict out of several readers."""

from __future__ import annotations

import pytest

from dopascope.reading.schema import PassportPart, ReaderResult
from dopascope.reading.verdict import combine

FIT = PassportPart(verdict="in-distribution", reasons=[], checks=[])


def reader(name: str, verdict: str) -> ReaderResult:
    return ReaderResult(
        id=name, kind="ensemble", title=name, model_sha256=None, p_abnormal=None, interval=None, interval_means=None,
        verdict=verdict, trained_on="made up", calibration="none",
    )  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["normal"], "normal"),
        (["reduced", "reduced"], "reduced"),
        (["reduced", "normal"], "uncertain"),
        (["normal", "normal", "reduced"], "uncertain"),
        (["uncertain", "reduced"], "uncertain"),
        (["reduced", "uncertain"], "reduced"),
        (["refused", "reduced"], "reduced"),
    ],
)
def test_lead_stands_unless_another_says_the_opposite(said: list[str], expected: str) -> None:
    readers = [reader(str(number), verdict) for number, verdict in enumerate(said)]
    verdict, _, disagreement = combine(readers, FIT, True)
    assert verdict == expected
    answered = {one for one in said if one != "refused"}
    assert (disagreement is not None) == (len(answered) > 1)


def test_rejected_registration_leaves_nothing_certain() -> None:
    verdict, reasons, _ = combine([reader("a", "reduced")], FIT, False)
    assert verdict == "uncertain"
    assert any("registration" in reason for reason in reasons)


def test_an_unusual_scan_leaves_nothing_certain() -> None:
    passport = PassportPart(verdict="unusual", reasons=["sharp as an MRI"], checks=[])
    verdict, reasons, _ = combine([reader("a", "reduced"), reader("b", "reduced")], passport, True)
    assert verdict == "uncertain"
    assert any("sharp as an MRI" in reason for reason in reasons)


def test_refused_passport_silences_every_reader() -> None:
    passport = PassportPart(verdict="refused", reasons=["a kidney"], checks=[])
    assert combine([reader("a", "normal")], passport, True) == ("refused", ["a kidney"], None)


def test_no_answer_is_uncertain_with_a_reason() -> None:
    verdict, reasons, _ = combine([reader("a", "refused")], FIT, True)
    assert verdict == "uncertain"
    assert reasons
