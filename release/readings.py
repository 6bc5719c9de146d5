"""Read simulated people through the whole chain and keep what every reader says, one line of JSON a person.

    python release/readings.py COHORT --out FOLDER [--models MODELS] [--processes 2]

COHORT is one of `COHORTS`; lines go to FOLDER/COHORT.jsonl. A line that is there is kept, so the same command goes on
after an interruption. For research and education. Not a medical device.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from dopascope.phantom import GROUPS, SITES, draw_pose
from dopascope.simulate import Participant, Plan

REFERENCES = ("whole_brain", "occipital")
ENSEMBLES = ("dat-spect-ud", "dat-spect-robust", "dat-spect-regional")
ONE_SITE = "siemens-lehr-fbp-chang"
"""The site at which groups are compared: parallel holes, filtered back-projection, of the 12 mm class."""


def judged(first: int, last: int) -> Iterator[Participant]:
    """Participant 1 of the cohorts of seeds `first` to `last`: all groups, all sites."""
    for seed in range(first, last + 1):
        yield Plan(subjects=1, seed=seed).participant(1)


def by_site(people: int = 20) -> Iterator[Participant]:
    """The same number of healthy people and of patients with early PD at every site, nobody twice."""
    seed = 10_000
    for site in SITES:
        for group in ("healthy", "pd"):
            for _ in range(people):
                seed += 1
                yield Participant(seed, seed, group, site, draw_pose(seed), 1)  # type: ignore[arg-type]


def at_one_site(healthy: int = 120, others: int = 50) -> Iterator[Participant]:
    """All groups at `ONE_SITE`."""
    seed = 20_000
    for group in GROUPS:
        for _ in range(healthy if group == "healthy" else others):
            seed += 1
            yield Participant(seed, seed, group, ONE_SITE, draw_pose(seed), 1)


COHORTS: dict[str, tuple[Callable[[], Iterator[Participant]], bool]] = {
    "tuning": (lambda: judged(1, 400), True),
    "final": (lambda: judged(401, 800), True),
    "sites": (by_site, False),
    "groups": (at_one_site, False),
}
"""Name -> (who, whether the expert networks read them too)."""


def reading_of(who: Participant, models: Path | None) -> dict[str, Any]:
    """What was drawn for one participant, what was measured, and what each reader says."""
    from dopascope import phantom, space
    from dopascope.bundle import store
    from dopascope.quant import quantify

    person = who.person()
    volume, _ = phantom.scan(person, SITES[who.site].camera, who.pose, who.seed)
    registration = space.register(volume)
    line: dict[str, Any] = {
        "key": f"{who.seed}-{who.group}",
        "number": who.number,
        "group": who.group,
        "site": who.site,
        "age": person.age,
        "sex": person.sex,
        "abnormal": person.abnormal,
        "worse_side": person.worse_side,
        "true": dict(person.sbr),
        "accepted": registration.accepted,
    }
    for reference in REFERENCES:
        found = quantify(volume, registration, reference=reference)
        line[reference] = {name: one.sbr for name, one in found.regions.items()}
    if models is not None:
        mni = space.normalise(volume, registration)
        line["readers"] = {name: said(store.load(name, models), mni) for name in ENSEMBLES}
        line["slab"] = slab(mni)
    return line


def said(bundle: Any, mni: Any) -> dict[str, Any]:
    """Verdict, probability and expected grades of one bundle."""
    answer = bundle.predict(mni)
    grades = {
        region: sum(n * p for n, p in enumerate(one.probabilities)) for region, one in (answer.grades or {}).items()
    }
    return {"verdict": answer.verdict, "p": answer.p_abnormal, "grades": grades}


def slab(mni: Any) -> tuple[float, float]:
    """Mean and standard deviation of the 12 mm slab in units of the networks' reference."""
    from dopascope.space import intensity, views

    values = views.slab_12mm(mni) / intensity.reference_value(mni, "p75_nonstriatal")
    return float(values.mean()), float(values.std())


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines that are there."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def main() -> None:
    """Read everybody who has no line yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", choices=tuple(COHORTS))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    people, networks = COHORTS[asked.cohort]
    if networks and asked.models is None:
        parser.error("this cohort is read by the expert networks too: name their folder with --models")
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / f"{asked.cohort}.jsonl"
    done = {line["key"] for line in lines_of(path)}
    waiting = [who for who in people() if f"{who.seed}-{who.group}" not in done]
    work = partial(reading_of, models=asked.models if networks else None)
    with (
        ProcessPoolExecutor(asked.processes, mp_context=get_context("spawn")) as pool,
        open(path, "a", encoding="utf-8") as stream,
    ):
        for number, line in enumerate(pool.map(work, waiting, chunksize=4), 1):
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            if number % 20 == 0 or number == len(waiting):
                sys.stderr.write(f"\r{number}/{len(waiting)}")
    sys.stderr.write("\n")


if __name__ == "__main__":
    main()
