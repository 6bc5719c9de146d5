"""Set the thresholds of the binding-ratio rule again and write the file that ships.

    python tests/quant/refit_rule.py [--people N] [--out src/dopascope/quant/data/sbr_rule.json]

It stands here and not in the package since `quant` and `phantom` lie on one floor and may not import each other.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from dopascope.phantom import CAMERAS, SITES, draw_person, draw_pose, scan
from dopascope.provenance import write_text
from dopascope.quant import method_id, quantify, rule
from dopascope.quant.voi import REFERENCES, SIDES
from dopascope.space import register

FIRST_SEED = 20_000
"""Far from the seeds of every test, of the calibration of the intervals and of the demonstration."""
GROUPS = ("healthy", "pd")
CAMERA_LIST = (*CAMERAS.values(), *(site.camera for site in SITES.values()))


def lower_sides(seed: int, group: str) -> dict[str, dict[str, float]]:
    """For each reference, the lower putamen and caudate ratio of one simulated person through registration."""
    camera = CAMERA_LIST[seed % len(CAMERA_LIST)]
    volume, _ = scan(draw_person(seed, group), camera, draw_pose(seed), seed)
    registration = register(volume)
    found = {}
    for reference in REFERENCES:
        regions = quantify(volume, registration, reference=reference).regions
        found[reference] = {name: min(regions[f"{name}_{side}"].sbr for side in SIDES) for name in rule.STRUCTURES}
    return found


def fitted(people: int) -> rule.RuleFile:
    """Rules of both references from `people` of each group, FIRST_SEED onwards, presets and sites in turn."""
    seeds = range(FIRST_SEED, FIRST_SEED + people)
    lows = {group: [lower_sides(seed, group) for seed in seeds] for group in GROUPS}
    provenance = rule.Provenance(
        population="simulated people of dopascope's phantom: healthy and early Parkinson's",
        healthy=people,
        disease=people,
        seeds=f"{seeds[0]} to {seeds[-1]} in each group",
        cameras=", ".join(camera.name for camera in CAMERA_LIST) + " in turn, each with its own counts",
        how="through registration; tests/quant/refit_rule.py",
    )
    groups = {
        reference: [
            {name: [low[reference][name] for low in lows[group]] for name in rule.STRUCTURES} for group in GROUPS
        ]
        for reference in REFERENCES
    }
    rules = [rule.fit_rule(method_id(reference), *groups[reference], provenance) for reference in REFERENCES]
    return rule.RuleFile(form="dopascope.sbr-rule/1", rules=tuple(rules))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=200, help="of each group")
    parser.add_argument("--out", type=Path, default=Path("src/dopascope/quant/data") / rule.RULE_FILE)
    arguments = parser.parse_args()
    write_text(arguments.out, fitted(arguments.people).model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()
