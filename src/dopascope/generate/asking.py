"""What is asked of each image of a synthetic cohort: its class, and values such as age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dopascope.errors import UsageError
from dopascope.generate.lineage import Parent
from dopascope.learn.generative.plan import Plan


@dataclass(frozen=True)
class Request:
    """A synthetic cohort before it is drawn; plain data."""

    counts: Mapping[str, int]
    """Images by class."""
    seed: int
    fixed: Mapping[str, float]
    """Values by condition, the same for all images; the others are those of real images of the class, drawn anew."""
    open: tuple[str, ...] = ()
    """Conditions that are left open."""
    sampler: str | None = None
    steps: int | None = None
    guidance: float = 1.0
    format: str = "nifti"

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready data."""
        return asdict(self)


@dataclass(frozen=True)
class Asked:
    """What is asked for, an entry for each image."""

    classes: list[str]
    conditions: dict[str, list[float]]
    """NaN where left open."""


def shares(total: int, parents: Sequence[Parent]) -> dict[str, int]:
    """`total` images shared out among the classes as the training images are, the largest remainders first."""
    counts = Counter(one.label for one in parents)
    exact = {name: total * count / len(parents) for name, count in sorted(counts.items())}
    dealt = {name: int(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda one: (dealt[one] - exact[one], one))[: total - sum(dealt.values())]:
        dealt[name] += 1
    return dealt


def asked(request: Request, plan: Plan, parents: Sequence[Parent]) -> Asked:
    """Classes and values of every image; they follow from the request and the parents alone.

    Raises:
        UsageError: a class or condition that the generator does not know, or no image.
    """
    _check(request, plan)
    classes = [name for name, count in request.counts.items() for _ in range(count)]
    conditions: dict[str, list[float]] = {name: [] for name in plan.conditions}
    rng = np.random.default_rng(request.seed)
    for name in classes:
        own = [one for one in parents if one.label == name]
        like = own[int(rng.integers(len(own)))]
        for condition, values in conditions.items():
            known = request.fixed.get(condition, None if condition in request.open else like.conditions[condition])
            values.append(np.nan if known is None else float(known))
    return Asked(classes, conditions)


def _check(request: Request, plan: Plan) -> None:
    if not sum(request.counts.values()) or min(request.counts.values()) < 0:
        raise _wrong("--count", dict(request.counts), "one image at least")
    for where, names, known in (
        ("--class", request.counts, plan.classes),
        ("--condition", [*request.fixed, *request.open], plan.conditions),
    ):
        if odd := sorted(set(names) - set(known)):
            raise _wrong(where, odd[0], ", ".join(known) or "none: the generator was fitted without")


def _wrong(where: str, found: object, expected: str) -> UsageError:
    return UsageError(
        "This cannot be asked of the generator.", where=where, found=found, expected=expected, fix="Correct it."
    )
