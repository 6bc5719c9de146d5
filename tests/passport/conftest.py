"""Things put into a scanner, or before a camera, by accident."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dopascope.volume import SliceImage, Volume
from wrong_scans import WRONG, hand


@pytest.fixture(params=sorted(WRONG))
def wrong_scan(request: pytest.FixtureRequest) -> Volume:
    """Each wrong object in turn."""
    return WRONG[str(request.param)]()


@pytest.fixture
def photo_of_a_hand() -> Callable[..., SliceImage]:
    """Maker of the photo."""
    return hand
