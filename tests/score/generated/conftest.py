"""Other programs as oracles."""

from __future__ import annotations

import pytest


@pytest.fixture
def torchvision_declared() -> None:
    """Skips without torch; with it torchmetrics and MONAI can be imported, whatever torchvision is there."""
    pytest.importorskip("torch", reason="torch, which the oracle needs, is not installed")
    from dopascope.nets import torchvision_operators

    torchvision_operators.declare()
