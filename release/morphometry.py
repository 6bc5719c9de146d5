"""How far volumes measured on T1-weighted scans are from the true ones, on simulated people.

    python release/morphometry.py --people 30 --brain-labels ASEG --brain-labels ASEG

Writes what `dopascope.quant.morphometry` takes bias and interval from, by default where it ships. Every person goes the
way of `normalise`: true brain mask, N4, registration, local fits. With FreeSurfer label maps each brain, the template's
among them, is that of as many people. A person whose registration is not accepted is counted and left out, as
`morphometry` refuses them. For research and education. Not a medical device.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from dopascope import provenance
from dopascope.batch.workers import each
from dopascope.phantom.mr import scan_head
from dopascope.quant import morphometry
from dopascope.simulate import T1Plan
from dopascope.simulate.t1_scans import body_of
from dopascope.space.bias import correct_bias
from dopascope.space.brain_registration import METHOD, register_brain
from dopascope.volume import LabelMap

SHIPPED: Final = Path(__file__).parents[1] / "src" / "dopascope" / "quant" / "data" / "morphometry.json"
MIX: Final = {"healthy": 0.5, "pd": 0.2, "et": 0.1, "atypical": 0.2}


@dataclass(frozen=True)
class Job:
    """One participant of a plan."""

    plan: T1Plan
    number: int


def measure(job: Job) -> dict[str, Any]:
    """log(measured / true) of each structure and of the ratio, and whose brain it was."""
    participant = job.plan.participant(job.number)
    body = body_of(job.plan, participant)
    scan = scan_head(body, participant.person(), participant.scanner, participant.pose, participant.seed)
    mask = LabelMap((scan.brain.data > 0).astype(np.uint8), scan.brain.grid)
    even, _ = correct_bias(scan.volume, mask)
    found = register_brain(even, mask)
    true = morphometry.with_sums(body.volumes_ml)
    raw = morphometry.raw_volumes(even, mask, found) if found.accepted else {}
    return {
        "brain": "template" if participant.labels is None else provenance.sha256_of(participant.labels),
        "accepted": found.accepted,
        "errors": {name: float(np.log(value / true[name])) for name, value in raw.items()},
    }


def summary(rows: Sequence[dict[str, Any]], plan: T1Plan) -> dict[str, Any]:
    """What ships."""
    used = [row for row in rows if row["accepted"]]
    brains = sorted({row["brain"] for row in rows})
    asked = plan.as_dict()
    return {
        "form": morphometry.FORM,
        "method": morphometry.METHOD,
        "registration": METHOD,
        "people": {
            "asked": plan.subjects,
            "measured": len(used),
            "simulated": True,
            "seed": plan.seed,
            "spacing_mm": plan.spacing_mm,
            "mix": dict(plan.mix),
            "sites": list(plan.sites),
            "label_maps": asked["asked"]["labels"],
        },
        "structures": {name: _error([row["errors"][name] for row in used]) for name in used[0]["errors"]},
        "by_brain": {
            brain: {
                name: _error([row["errors"][name] for row in used if row["brain"] == brain])
                for name in (*morphometry.SUMS, "midbrain", "pons", morphometry.RATIO)
            }
            for brain in brains
        },
        "software": provenance.software(),
        "command": "python release/morphometry.py",
    }


def _error(logs: Sequence[float]) -> dict[str, Any]:
    """Mean and standard deviation of log(measured / true)."""
    spread = float(np.std(logs, ddof=1)) if len(logs) > 1 else None
    return {
        "bias": round(float(np.mean(logs)), 4) if logs else None,
        "sd": None if spread is None else round(spread, 4),
        "n": len(logs),
    }


def main() -> None:
    """Measure, and write what ships."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--people", type=int, default=42)
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--spacing", type=float, default=1.5, help="voxels in mm")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--brain-labels", type=Path, action="append", default=[], help="FreeSurfer's aseg")
    asked = parser.parse_args()
    plan = T1Plan(asked.people, asked.seed, mix=MIX, spacing_mm=asked.spacing, labels=tuple(asked.brain_labels))
    rows: dict[int, dict[str, Any]] = {}
    for job, row in each(measure, (Job(plan, number) for number in range(1, asked.people + 1)), asked.processes):
        rows[job.number] = row
        sys.stderr.write(f"\r{len(rows)}/{asked.people} people")
    sys.stderr.write("\n")
    found = summary([rows[number] for number in sorted(rows)], plan)
    provenance.write_text(asked.out, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
