"""One simulated person of each group, read once for all tests of this folder; no models installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dopascope import phantom
from dopascope.reading import Choices, Examination, examine
from dopascope.volume import Volume


@pytest.fixture(scope="session")
def no_models(tmp_path_factory: pytest.TempPathFactory) -> Choices:
    """Choices that find no installed model, whatever this machine has."""
    return Choices(models_dir=tmp_path_factory.mktemp("no-models"))


@pytest.fixture(scope="session")
def pd_scan() -> tuple[Volume, phantom.Truth]:
    return phantom.example(seed=2, group="pd")


@pytest.fixture(scope="session")
def pd_read(pd_scan: tuple[Volume, phantom.Truth], no_models: Choices) -> Examination:
    return examine(pd_scan[0], no_models)


@pytest.fixture(scope="session")
def empty_dir(no_models: Choices) -> Path:
    assert no_models.models_dir is not None
    return no_models.models_dir
