"""The walk-through of T1 studies: python release/t1_studies.py --work DIR.

Simulated people, first weights from others of them, presets `s5` and `s2` to their pages, in few epochs. Each command
is run once, its words, answer and CPU seconds are kept in DIR, and an interrupted walk goes on behind the last one.
Nobody is asked for published weights, so that it ends alike with and without a network. For research and education.
Not a medical device.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import t1_calibration
from dopascope import provenance
from dopascope.study.run import DEFAULT_CACHE

STEPS: Final = (
    "simulate --modality t1 --subjects 80 --seed 4 --spacing 4 --mix healthy=.27,pd=.27,et=.23,atypical=.23 --out t1",
    "simulate --modality t1 --subjects 24 --seed 77 --spacing 4 --out other",
    "study pretrain other/cohort.tsv --epochs 2 --out weights/stand-in-resnet3d-18.npz",
    "study run s5 --cohort t1/cohort.tsv --epochs 8 --out runs/s5",
    "study run s2 --cohort t1/cohort.tsv --epochs 1 --weights-dir weights --out runs/s2",
)
"""Words behind `dopascope`."""
STUDIES: Final = ("s5", "s2")
NOWHERE: Final = "http://127.0.0.1:9"
ENDED: Final = (0, 3)
"""Exit codes of a step that was done; 3 where some scans could not be used, as `failed` tells."""
SAID: Final = ("ASSUMED", "Warning", "WARNING")
"""How lines of talk begin that belong to the answer; others tell how far it is."""


def main() -> None:
    """Walk, and write what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of cohorts, weights and runs")
    parser.add_argument("--out", type=Path, default=t1_calibration.WALK)
    parser.add_argument("--page", type=Path, default=t1_calibration.PAGE)
    chosen = parser.parse_args()
    chosen.work.mkdir(parents=True, exist_ok=True)
    known = chosen.work / "steps.json"
    steps: list[dict[str, Any]] = json.loads(known.read_text()) if known.is_file() else []
    for words in STEPS[len(steps) :]:
        steps.append(step(words, chosen.work))
        provenance.write_text(known, json.dumps(steps, indent=2) + "\n")
        write(steps, chosen.work, chosen.out, chosen.page)
    write(steps, chosen.work, chosen.out, chosen.page)
    print(chosen.page)


def write(steps: list[dict[str, Any]], work: Path, out: Path, page: Path) -> None:
    """The record of the steps that were done, and the page."""
    done = [name for name in STUDIES if any(one["words"].startswith(f"study run {name} ") for one in steps)]
    found = {
        "form": "dopascope.t1-walk/1",
        "steps": steps,
        "studies": {name: figures(work / "runs" / name) for name in done},
        "software": provenance.software(),
    }
    provenance.write_text(out, json.dumps(found, indent=2) + "\n")
    calibration = json.loads(t1_calibration.RESULTS.read_text(encoding="utf-8"))
    provenance.write_text(page, t1_calibration.page(calibration, found))


def step(words: str, folder: Path) -> dict[str, Any]:
    """Run one command in `folder`: what it said, CPU seconds of it and its workers, and how much was there before."""
    out = folder / words.rpartition("--out ")[2]
    registered = sum(1 for _ in out.with_name(DEFAULT_CACHE).glob("??/*"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "dopascope", *shlex.split(words)],
        cwd=folder,
        env=os.environ | {"https_proxy": NOWHERE, "HTTPS_PROXY": NOWHERE},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in ENDED:
        sys.exit(f"{words}\n{done.stderr}{done.stdout}")
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "words": words,
        "cpu_seconds": round(seconds),
        "registered_before": registered,
        "said": told(done.stderr),
        "answer": told(done.stdout, ()),
    }


def told(text: str, beginnings: tuple[str, ...] = SAID) -> list[str]:
    """Its lines; of talk those that say more than how far it is."""
    return [line.rstrip() for line in text.splitlines() if line.strip().startswith(beginnings or "")]


def figures(run: Path) -> dict[str, Any]:
    """What the page of a run says of its readers and of its matched null."""
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    kept = ("auroc", "auroc_allowing_for_folds", "balanced_accuracy")
    readers = metrics["pooled"]["readers"]
    nulls = metrics["matched_nulls"]
    return {
        "people": metrics["people"],
        "failed": metrics["failed"],
        "positive": metrics["positive"],
        "readers": {name: {one: reader[one] for one in kept if one in reader} for name, reader in readers.items()},
        "matched_nulls": nulls,
        "differences": [
            one for one in metrics["pooled"]["differences"] if one["less"] in {null["null"] for null in nulls}
        ],
        "classes": [
            {name: one[name] for name in ("member", "classes", "accuracy", "most_frequent")}
            for one in metrics.get("classes", [])
        ],
    }


if __name__ == "__main__":
    main()
