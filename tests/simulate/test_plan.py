"""Plans: participants that depend on their own number only, and populations that are refused with the field named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dopascope.errors import UsageError
from dopascope.phantom import GROUPS, MIX, SITES
from dopascope.simulate import Plan, parse_mix, parse_sites


@settings(max_examples=40, deadline=None)
@given(number=st.integers(1, 300), seed=st.integers(0, 2**63 - 1), more=st.integers(300, 99_999))
def test_a_participant_is_the_same_among_any_number_of_others(number: int, seed: int, more: int) -> None:
    assert Plan(300, seed).participant(number) == Plan(more, seed).participant(number)


def test_participants_and_seeds_are_all_different() -> None:
    seeds = {Plan(50, seed).participant(number).seed for seed in range(20) for number in range(1, 51)}
    assert len(seeds) == 1000


def test_another_mixture_moves_nobody() -> None:
    one, other = Plan(40, 3), Plan(40, 3, mix={"healthy": 0.5, "pd": 0.5})
    for number in range(1, 41):
        left, right = one.participant(number), other.participant(number)
        assert (left.seed, left.site, left.pose) == (right.seed, right.site, right.pose)
        assert right.group in ("healthy", "pd")


def test_the_order_of_sites_and_groups_does_not_matter() -> None:
    names = tuple(SITES)
    mix = {"pd": 0.25, "healthy": 0.75, "et": 0.0}
    one, other = Plan(9, 3, sites=names, mix=mix), Plan(9, 3, sites=names[::-1], mix=dict(reversed(mix.items())))
    assert one == other
    assert one.as_dict() == other.as_dict()


def test_groups_and_sites_come_in_their_shares() -> None:
    plan = Plan(2000, 11)
    drawn = [plan.participant(number) for number in range(1, 2001)]
    groups, sites = Counter(one.group for one in drawn), Counter(one.site for one in drawn)
    for counts, shares in ((groups, MIX), (sites, dict.fromkeys(SITES, 1 / len(SITES)))):
        for name, share in shares.items():
            assert abs(counts[name] / 2000 - share) < 4.5 * np.sqrt(share * (1 - share) / 2000), name


def test_poses_keep_to_what_the_plan_states() -> None:
    plan = Plan(500, 2)
    stated = plan.as_dict()["poses"]
    drawn = [plan.participant(number) for number in range(1, 501)]
    assert np.abs([one.pose.tilt_deg for one in drawn]).max() <= stated["tilt_deg"]
    assert np.abs([one.pose.shift_mm for one in drawn]).max() <= stated["shift_mm"]
    scales = [one.pose.scale for one in drawn]
    assert stated["scale"][0] <= min(scales) < max(scales) <= stated["scale"][1]
    assert {one.pose.axes for one in drawn} == set(stated["axes"])
    lost = [max(one.pose.cut) * SITES[one.site].slice_mm for one in drawn]
    assert 0 < max(lost) <= stated["cut_mm"] + max(site.slice_mm for site in SITES.values()) / 2
    assert 0.2 < np.mean([one.pose.cut[0] > 0 for one in drawn]) < 0.35
    assert {one.spacing_sign for one in drawn} == {1, -1}
    assert {Plan(9, 2, spacing_sign="negative").participant(k).spacing_sign for k in range(1, 10)} == {-1}


def test_the_header_of_each_site_says_what_was_corrected() -> None:
    for name, site in SITES.items():
        one = Plan(1, 3, sites=(name,)).participant(1)
        person = one.person()
        facts = one.acquisition(person)
        assert ("ATTN" in facts.corrections) == facts.attenuation_corrected == (site.attenuation != "none")
        assert ("SCAT" in facts.corrections) == facts.scatter_corrected == (site.scatter != "none")
        assert (facts.age_years, facts.sex) == (person.age, person.sex)


@pytest.mark.parametrize(
    ("choices", "field"),
    [
        ({"subjects": 0}, "subjects"),
        ({"subjects": 2.0}, "subjects"),
        ({"subjects": True}, "subjects"),
        ({"subjects": 100_000}, "subjects"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"seed": "7"}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"modality": "t1"}, "modality"),
        ({"modality": "ct"}, "modality"),
        ({"physics": "magic"}, "physics"),
        ({"format": "mgz"}, "format"),
        ({"spacing_sign": "1"}, "spacing_sign"),
        ({"sites": ()}, "sites"),
        ({"sites": ("nowhere",)}, "sites"),
        ({"sites": ("siemens-leap-fbp", "siemens-leap-fbp")}, "sites"),
        ({"mix": {}}, "mix"),
        ({"mix": {"healthy": 0.4}}, "mix"),
        ({"mix": {"healthy": 1.5, "pd": -0.5}}, "mix"),
        ({"mix": {"healthy": float("nan")}}, "mix"),
        ({"mix": {"healthy": 0.5, "elves": 0.5}}, "mix"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_field(choices: dict[str, Any], field: str) -> None:
    with pytest.raises(UsageError) as refused:
        Plan(**{"subjects": 2, "seed": 1} | choices)
    assert refused.value.where.startswith(field)
    assert refused.value.exit_code == 2


def test_a_participant_without_a_number_is_refused() -> None:
    with pytest.raises(UsageError, match="number cannot be meant"):
        Plan(2, 1).participant(0)


shares = st.lists(st.integers(1, 1000), min_size=1, max_size=len(GROUPS))


@given(shares, st.randoms(use_true_random=False))
def test_a_mixture_comes_through_its_text(weights: list[int], random: Any) -> None:
    names = random.sample(GROUPS, len(weights))
    mix = {name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)}
    assert parse_mix(", ".join(f"{name} = {share!r}" for name, share in mix.items())) == mix


def read_or_refused(read: Callable[[str], Any], text: str) -> tuple[Any, str]:
    """What `read` makes of `text` and an empty field, or None and the field of the refusal."""
    try:
        return read(text), ""
    except UsageError as refused:
        return None, refused.where


pieces = st.sampled_from([*GROUPS, "=", ",", ".5", "0.5", "1", "-1", "nan", "inf", " ", "elves", "1e400", ""])


@given(st.one_of(st.text(max_size=30), st.lists(pieces, max_size=10).map("".join)))
def test_any_text_is_a_mixture_or_is_refused(text: str) -> None:
    mix, field = read_or_refused(parse_mix, text)
    if mix is None:
        assert field.startswith("mix")
    else:
        assert sum(mix.values()) == pytest.approx(1)
        assert set(mix) <= set(GROUPS)


@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from([*SITES, "x", "", " "]), max_size=4).map(",".join)))
def test_any_text_is_a_choice_of_sites_or_is_refused(text: str) -> None:
    names, field = read_or_refused(parse_sites, text)
    if names is None:
        assert field == "sites"
    else:
        assert len(set(names)) == len(names) > 0
        assert set(names) <= set(SITES)
