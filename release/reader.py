"""The reader that ships with dopascope: its cohort, its training, and its bundle.

    python release/reader.py FOLDER --subjects 1200 --seed S
    dopascope study run release/reader.toml --cohort FOLDER/reader.tsv --out FOLDER/run
    dopascope study bundle FOLDER/run src/dopascope/bundle/shipped/dopascope-dat --id dopascope-dat \\
        --title "dopascope's own reader (simulated scans only)" --licence Apache-2.0 --holder "the dopascope authors"

It learns the truth of simulated people at all ten sites, and the grades of their caudates and putamina. For research
and education. Not a medical device.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cameras import rows, write

REGIONS = ("caudate_right", "caudate_left", "putamen_right", "putamen_left")
LOWEST = (0.75, 0.6, 0.4, 0.2)
"""Shares of what is expected at a person's age and sex from which a region is normal, borderline, moderately and
strongly reduced; below the last it is almost missing. Healthy people differ by 15 %."""


def make(folder: Path, subjects: int, seed: int, processes: int) -> None:
    """Simulate, and write `reader.tsv`: labels and grades are true ones; who is neither is left out by the plan."""
    from dopascope.phantom import SITES
    from dopascope.simulate import Plan, run

    plan = Plan(subjects=subjects, seed=seed, sites=tuple(sorted(SITES)), ideal=False)
    cohort = run(plan, folder / "cohort", processes=processes)
    truth = {row["scan_id"]: row for row in rows(cohort.with_name("truth.tsv"))}
    scans = rows(cohort)
    for row in scans:
        true = truth[row["scan_id"]]
        row["label"] = {"true": "abnormal", "false": "normal"}.get(true["abnormal"], "borderline")
        row["path"] = f"cohort/{row['path']}"
        sbr = {name.removeprefix("sbr_"): float(value) for name, value in true.items() if name.startswith("sbr_")}
        row |= {f"grade_{region}": str(grade(sbr, region, float(row["age"]), row["sex"])) for region in REGIONS}
    write(folder / "reader.tsv", scans)


def grade(sbr: dict[str, float], region: str, age: float, sex: str) -> int:
    """0 normal to 4 almost missing, by the true ratio's share of the mean at this age and sex."""
    structure, side = region.split("_")
    share = ratio(sbr, structure, side) / (expected(structure) * by_age_and_sex(age, sex))
    return sum(share < lowest for lowest in LOWEST)


def ratio(sbr: dict[str, float], structure: str, side: str) -> float:
    """Of the caudate or the whole putamen of a side."""
    from dopascope.phantom.people import putamen

    return putamen(sbr, side) if structure == "putamen" else sbr[f"{structure}_{side}"]


def expected(structure: str) -> float:
    """Of healthy men of the reference age (`phantom.people.draw_person`)."""
    from dopascope.phantom.people import HEALTHY_SBR, SIDES

    return ratio({f"{name}_{side}": value for name, value in HEALTHY_SBR.items() for side in SIDES}, structure, "left")


def by_age_and_sex(age: float, sex: str) -> float:
    """What age and sex do to it on average (`phantom.people.draw_person`)."""
    from dopascope.phantom.people import REFERENCE_AGE

    return (1 - 0.05 * (age - REFERENCE_AGE) / 10) * (1 + 0.08 * (sex == "F"))


def main() -> None:
    """Parse and do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--subjects", type=int, default=1200)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--processes", type=int, default=2)
    told = parser.parse_args()
    make(told.folder, told.subjects, told.seed, told.processes)


if __name__ == "__main__":
    main()
