"""Fit the normal values that ship again: simulated healthy people of every site, read through the whole chain.

    python tests/quant/fit_shipped_normals.py [--people N] [--sites NAME ...] [--processes N] [--out DIR]

It stands here and not in the package since `quant` and `phantom` lie on one floor and may not import each other.
Ratios are kept in a side file as they come; the same command goes on after an interruption, and measures again only
people whose site, calibration or draw has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from dopascope.phantom import SITES, draw_person, draw_pose, scan
from dopascope.provenance import software, write_text
from dopascope.quant import HealthyPerson, Provenance, fit_normals, method_id, quantify
from dopascope.quant.voi import REFERENCES
from dopascope.space import register
from dopascope.volume import Acquisition

FIRST_SEED = 50_000
"""Far from the seeds of every test, of the rule, of the intervals and of the demonstration."""
SIDE_FILE = "fit_shipped_normals.jsonl"


def key(site: str, seed: int) -> str:
    """Digest of all that the person's ratios depend on but the code: site, its calibration, person and pose."""
    what = (SITES[site], SITES[site].camera, draw_person(seed, "healthy"), draw_pose(seed))
    return hashlib.sha256(repr(what).encode()).hexdigest()


def inputs(site: str) -> str:
    """Eight digits of the digest of a site, its calibration and three healthy people; a test compares them with what
    ships. People are rounded, since another machine's last digits may differ."""
    people = [draw_person(FIRST_SEED + n, "healthy").sbr for n in range(3)]
    rounded = [[(region, round(ratio, 3)) for region, ratio in sbr.items()] for sbr in people]
    return hashlib.sha256(repr((SITES[site], SITES[site].camera, rounded)).encode()).hexdigest()[:8]


def measured(job: tuple[str, int]) -> dict[str, Any]:
    """Ratios of one simulated healthy person on one site, for every reference, through registration."""
    name, seed = job
    person, site = draw_person(seed, "healthy"), SITES[name]
    volume, _ = scan(person, site.camera, draw_pose(seed), seed)
    registration = register(volume)
    ratios = {}
    if registration.accepted:
        for reference in REFERENCES:
            found = quantify(volume, registration, reference=reference).regions
            ratios[reference] = {region: one.sbr for region, one in found.items()}
    return {"key": key(name, seed), "seed": seed, "age": person.age, "sex": person.sex, "ratios": ratios}


def kept(side: Path) -> dict[str, dict[str, Any]]:
    """Rows of the side file by key; a line cut by an interruption is left out."""
    rows = {}
    for line in side.read_text().splitlines() if side.exists() else []:
        with suppress(ValueError):
            row = json.loads(line)
            rows[row["key"]] = row
    return rows


def all_measured(site: str, people: int, side: Path, pool: ProcessPoolExecutor) -> list[dict[str, Any]]:
    """The rows of one site's people, from the side file where they are there and fit."""
    known = kept(side)
    wanted = {seed: known.get(key(site, seed)) for seed in range(FIRST_SEED, FIRST_SEED + people)}
    missing = [(site, seed) for seed, row in wanted.items() if row is None]
    with side.open("a") as stream:
        for number, row in enumerate(pool.map(measured, missing), 1):
            stream.write(f"\n{json.dumps(row)}\n")
            stream.flush()
            wanted[row["seed"]] = row
            print(f"\r{site:<40} {number}/{len(missing)}", end="", flush=True)
    return [row for row in wanted.values() if row is not None]


def fit(site: str, reference: str, rows: list[dict[str, Any]], people: int) -> str:
    """The normals of one site and reference as JSON text."""
    facts: Acquisition = SITES[site].acquisition()
    healthy = [
        HealthyPerson(str(row["seed"]), row["age"], row["sex"], method_id(reference), facts, row["ratios"][reference])
        for row in rows
        if row["ratios"]
    ]
    provenance = Provenance(
        how="image-space scans of dopascope's phantom, each registered and quantified; "
        f"tests/quant/fit_shipped_normals.py; inputs {inputs(site)}",
        seeds=f"{FIRST_SEED} to {FIRST_SEED + people - 1}, less {people - len(healthy)} without accepted registration",
        software=software(),
    )
    found = fit_normals(
        healthy,
        name=f"simulated healthy people, {site}, {reference}",
        population=f"{len(healthy)} simulated healthy people of dopascope's phantom on the simulated site {site}",
        provenance=provenance,
    )
    return found.model_dump_json(indent=1) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=120, help="on each site")
    parser.add_argument("--sites", nargs="+", default=list(SITES), choices=list(SITES))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("src/dopascope/quant/data/normals"))
    parser.add_argument("--side", type=Path, default=Path("build") / SIDE_FILE, help="ratios measured so far")
    arguments = parser.parse_args()
    arguments.side.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        for site in arguments.sites:
            rows = all_measured(site, arguments.people, arguments.side, pool)
            for reference in REFERENCES:
                text = fit(site, reference, rows, arguments.people)
                write_text(arguments.out / f"{site}-{reference}.json", text)
            print(f"\r{site:<40} {len(rows)} people")


if __name__ == "__main__":
    main()
