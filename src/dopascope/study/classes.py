"""How well networks tell more than two classes apart, beside always the most frequent one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dopascope import score
from dopascope.study.folder import Lines
from dopascope.study.material import Material
from dopascope.study.plan import Plan


def classes_figures(plan: Plan, lines: Sequence[Lines], material: Material) -> list[dict[str, Any]]:
    """For each network with classes: shares with exact intervals, AUROC of each class against the others, confusion."""
    if material.classes is None:
        return []
    rows = np.concatenate([one.rows for one in lines])
    true, names = material.classes[rows, 0], list(plan.labels.classes)
    people = [material.people[row] for row in rows]
    found = []
    for member in plan.networks:
        if not member.classes:
            continue
        p = np.concatenate([one.grades[member.name][:, 0] for one in lines])
        said = p.argmax(1)
        against = {}
        for at, name in enumerate(names):
            held = true == at
            known = score.estimates_of_people({"auroc": score.auroc}, p[:, at], held, people, draws=1000)
            against[name] = known["auroc"].as_dict()
        found.append(
            {
                "member": member.name,
                "classes": names,
                "n": len(true),
                "accuracy": share(int((said == true).sum()), len(true)),
                "most_frequent": share(int(np.bincount(true).max()), len(true)),
                "recall": {
                    name: share(int((said[true == at] == at).sum()), int((true == at).sum()))
                    for at, name in enumerate(names)
                },
                "auroc_against_others": against,
                "confusion": [
                    [int(((true == a) & (said == b)).sum()) for b in range(len(names))] for a in range(len(names))
                ],
            }
        )
    return found


def share(part: int, whole: int) -> dict[str, Any]:
    """A share of counted scans with its exact interval."""
    if not whole:
        return {"value": None, "reason": "none to count", "n": 0}
    low, high = score.exact_interval(part, whole)
    return {"value": part / whole, "low": low, "high": high, "n": whole}
