"""Limits: every bound has a reason, can be set by name, and a wrong setting is a usage error that lists the names."""

from __future__ import annotations

from dataclasses import fields

import pytest

from dopascope.errors import UsageError
from dopascope.formats import Limits


def test_settings_change_what_they_name_and_nothing_else() -> None:
    changed = Limits().with_settings(["max_pixels=5", "max_files=7"])
    assert (changed.max_pixels, changed.max_files) == (5, 7)
    same = [one.name for one in fields(Limits) if getattr(changed, one.name) == getattr(Limits(), one.name)]
    assert len(same) == len(fields(Limits)) - 2


@pytest.mark.parametrize(
    "setting", ["max_pixels", "max_pixels=", "max_pixels=0", "max_pixels=-1", "pixels=3", "=3", "max_files=1e3"]
)
def test_a_setting_that_cannot_be_meant_lists_the_names(setting: str) -> None:
    with pytest.raises(UsageError) as caught:
        Limits().with_settings([setting])
    assert caught.value.found == setting
    assert all(one.name in caught.value.expected for one in fields(Limits))


def test_every_limit_says_what_it_bounds() -> None:
    assert all(one.metadata["help"] for one in fields(Limits))
