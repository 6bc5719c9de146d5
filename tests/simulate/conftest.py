"""Small cohorts shared by the tests: two sites, few people, made once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from dopascope.simulate import Plan, run

SITES = ("siemens-leap-fbp", "siemens-lehr-fbp-chang")


def small(subjects: int = 3, seed: int = 5, **choices: object) -> Plan:
    return Plan(subjects, seed, **{"sites": SITES, "ideal": False} | choices)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def plan_of() -> Callable[..., Plan]:
    """Makes a plan of 3 people at two quick sites; keywords change it."""
    return small


@pytest.fixture(scope="session")
def tree_of() -> Callable[[Path], dict[str, str]]:
    """Makes path -> SHA-256 of every file below a folder, hidden ones too."""

    def digests(folder: Path) -> dict[str, str]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    return digests


@pytest.fixture(scope="session")
def nifti_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("nifti") / "cohort"
    run(small(), out)
    return out


@pytest.fixture(scope="session")
def dicom_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dicom") / "cohort"
    run(small(format="dicom"), out)
    return out
