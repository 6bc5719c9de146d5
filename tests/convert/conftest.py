"""The expert networks, converted once."""

from __future__ import annotations

from pathlib import Path

import pytest

from dopascope.convert import add_dat_spect_ud


@pytest.fixture(scope="session")
def published(data_dir: Path) -> Path:
    """The folder of published weights."""
    return data_dir / "models" / "dat_spect_ud"


@pytest.fixture(scope="session")
def models_dir(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models directory with the three expert bundles."""
    target = tmp_path_factory.mktemp("experts") / "models"
    add_dat_spect_ud(published, target)
    return target
