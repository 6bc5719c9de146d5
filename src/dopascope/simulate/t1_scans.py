"""One participant of a T1 cohort: person, scan, brain labels, files and truth."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from dopascope import phantom
from dopascope.phantom.mr.anatomy import draw_anatomy
from dopascope.phantom.mr.body import Body
from dopascope.phantom.mr.brain import Brain, brain_of, template
from dopascope.phantom.mr.scan import HeadScan, scan_head
from dopascope.simulate.plan import SESSION
from dopascope.simulate.t1_plan import TEMPLATE, T1Participant, T1Plan

Record = dict[str, Any]
"""Contents of `truth/SCAN.json`, or a part: form, files with their sha256, cohort columns, truth."""

SCANS: Final = "scans"
BRAINS: Final = "brains"
"""Folder of the true brain labels, which are brain masks where they are above 0."""


def body_of(plan: T1Plan, participant: T1Participant) -> Body:
    """The participant's brain, for volumes without a scan.

    Raises:
        InputError: the plan's label map cannot be read.
    """
    brain: Brain = template() if participant.labels is None else brain_of(participant.labels)
    return Body(brain, draw_anatomy(participant.person(), plan.effect))


def write_t1(plan: T1Plan, participant: T1Participant, out: Path) -> tuple[list[str], Record, Record]:
    """Write scan, sidecar and brain labels; returns their paths relative to `out`, cohort columns and truth."""
    from dopascope.formats.save import save_nifti
    from dopascope.formats.sidecar import write_sidecar

    person = participant.person()
    found = scan_head(body_of(plan, participant), person, participant.scanner, participant.pose, participant.seed)
    name = participant.scan_id
    files = [f"{SCANS}/{name}.nii.gz", f"{SCANS}/{name}.json", f"{BRAINS}/{name}.nii.gz"]
    write_sidecar(found.volume.acquisition, out / files[1])
    save_nifti(found.brain, out / files[2])
    save_nifti(found.volume, out / files[0], whole=True)
    return files, _cohort_row(plan, participant, files), _truth(plan, participant, found)


def _cohort_row(plan: T1Plan, participant: T1Participant, files: list[str]) -> Record:
    person, scanner = participant.person(), participant.scanner
    return {
        "participant_id": participant.participant_id,
        "session_id": SESSION,
        "scan_id": participant.scan_id,
        "path": files[0],
        "modality": plan.modality,
        "label": phantom.LABELS[participant.group],
        "site": scanner.name,
        "camera": scanner.model,
        "age": person.age,
        "sex": person.sex,
        "format": plan.format,
        "mask": files[2],
        "manufacturer": scanner.manufacturer,
        "model": scanner.model,
    }


def _truth(plan: T1Plan, participant: T1Participant, found: HeadScan) -> Record:
    person = participant.person()
    return {
        "seed": participant.seed,
        "group": participant.group,
        "effect": plan.effect,
        "brain": TEMPLATE if participant.labels is None else participant.labels.name,
        "volumes_ml": {name: round(value, 5) for name, value in found.body.volumes_ml.items()},
        "mni_to_scan": found.mni_to_scan.round(6).tolist(),
        "landmarks_mm": {name: place.round(3).tolist() for name, place in found.landmarks_mm(participant.pose).items()},
        "pose": asdict(participant.pose),
        "anatomy": found.body.anatomy.as_dict(),
        "person": {"age": person.age, "sex": person.sex},
    }


def t1_row(record: Record) -> dict[str, Any]:
    """One line of `truth.tsv`: who, volumes in ml, then geometry."""
    cohort, truth = record["cohort"], record["truth"]
    row = {name: cohort[name] for name in ("participant_id", "scan_id", "site", "camera", "label")}
    row |= {name: truth[name] for name in ("group", "effect", "brain", "seed")} | truth["person"]
    volumes = truth["volumes_ml"]
    for name in ("caudate", "putamen"):
        volumes = volumes | {name: round(volumes[f"{name}_left"] + volumes[f"{name}_right"], 5)}
    row |= {f"{name}_ml": volumes[name] for name in sorted(volumes)}
    row["mni_to_scan"] = [number for line in truth["mni_to_scan"] for number in line]
    row |= {f"landmark_mm_{name}": place for name, place in truth["landmarks_mm"].items()}
    return row | {name: truth["pose"][name] for name in ("tilt_deg", "shift_mm", "axes")}
