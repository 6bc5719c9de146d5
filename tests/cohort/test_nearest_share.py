"""Whole people, as near to the share as any choice of them."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopascope.cohort.nearest_share import nearest_share
from dopascope.errors import UsageError

SIZES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 60), min_size=2)


@settings(deadline=None)
@given(SIZES, st.floats(0.05, 0.95), st.integers(0, 50))
def test_no_other_people_come_nearer(sizes: dict[str, int], share: float, seed: int) -> None:
    taken = nearest_share(sizes, share, seed)
    total = sum(sizes.values())
    others = [set(some) for count in range(1, len(sizes)) for some in combinations(sizes, count)]
    best = min(abs(sum(sizes[one] for one in some) - share * total) for some in others)
    assert abs(sum(sizes[one] for one in taken) - share * total) == pytest.approx(best)
    assert 0 < len(taken) < len(sizes)
    assert taken == sorted(set(taken))


def test_the_papers_numbers_come_out_where_people_allow_it() -> None:
    sizes = {f"p{number:02d}": 20 for number in range(25)}
    taken = nearest_share(sizes, 0.2, 1)
    assert sum(sizes[one] for one in taken) == 100
    assert nearest_share(sizes, 0.2, 1) == taken
    assert any(nearest_share(sizes, 0.2, seed) != taken for seed in range(2, 6))


@pytest.mark.parametrize(("sizes", "share"), [({"a": 5}, 0.2), ({}, 0.2), ({"a": 5, "b": 5}, 0.0)])
def test_what_cannot_be_split_is_refused(sizes: dict[str, int], share: float) -> None:
    with pytest.raises(UsageError) as caught:
        nearest_share(sizes, share, 1)
    assert caught.value.where == ("participant_id" if len(sizes) < 2 else "share")
