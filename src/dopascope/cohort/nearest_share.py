"""Whole people set aside, so that their slices come as near to a share of all as whole people can."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dopascope.errors import UsageError


def nearest_share(sizes: Mapping[str, int], share: float, seed: int) -> list[str]:
    """The people to set aside.

    Of all sets of people that come equally near to the share, the seed takes one; at least one person stays on each
    side.

    Args:
        sizes: person -> how many images.
        share: of all images, above 0 and below 1.
        seed: of the choice between equally good sets.

    Returns:
        Their names, sorted.

    Raises:
        UsageError: fewer than two people, or no share.
    """
    if len(sizes) < 2:
        raise UsageError(
            "One person cannot be split.",
            where="participant_id",
            found=", ".join(sizes) or "nobody",
            expected="two people or more: a network tested on the person it learned from says nothing of others",
            fix="Add images of other people to the table.",
        )
    if not 0 < share < 1:
        raise UsageError(
            "This split cannot be made.",
            where="share",
            found=share,
            expected="above 0 and below 1",
            fix="Change the share.",
        )
    names = sorted(sizes)
    order = [names[one] for one in np.random.default_rng(seed).permutation(len(names))]
    # reached[k]: bit n is set where some of the first k people have n images together.
    reached = [1]
    for name in order:
        reached.append(reached[-1] | reached[-1] << sizes[name])
    total = sum(sizes.values())
    possible = [n for n in range(1, total) if reached[-1] >> n & 1]
    left = min(possible, key=lambda n: (abs(n - share * total), n))
    taken = []
    for number in range(len(order), 0, -1):
        if not reached[number - 1] >> left & 1:
            taken.append(order[number - 1])
            left -= sizes[order[number - 1]]
    return sorted(taken)
