"""One participant: person, scan, files and truth. What a worker does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from dopascope import atlas, phantom, provenance
from dopascope.phantom import Person, Truth
from dopascope.simulate.plan import SESSION, Participant, Plan
from dopascope.simulate.t1_plan import T1Plan
from dopascope.simulate.t1_scans import SCANS, Record, write_t1
from dopascope.volume import Acquisition, Volume

FORM: Final = "dopascope.cohort-truth/1"
TRUTH: Final = "truth"
SUFFIXES: Final = {"nifti": ".nii.gz", "dicom": ".dcm"}
IDEAL_MM: Final = 0.75
"""Lattice of the ideal ratios: means off by up to 0.3 % from those at 0.5 mm, in about half the time."""
FACTS: Final = (
    *("manufacturer", "model", "collimator", "reconstruction", "filter"),
    *("attenuation_corrected", "scatter_corrected"),
)
"""Columns of `cohort.tsv` that say again what the headers say."""
STUDY_DATE: Final = "20240101"
"""Of every simulated scan: a date of the clock would change the bytes."""


@dataclass(frozen=True)
class Job:
    """One participant of a plan, and the folder that the files go to."""

    plan: Plan | T1Plan
    number: int
    out: Path


def record_path(out: Path, scan_id: str) -> Path:
    """Where the truth of a scan lies."""
    return out / TRUTH / f"{scan_id}.json"


def make(job: Job) -> tuple[Record, bool]:
    """The record of a participant, and whether it was there already: made, written and hashed where it was not.

    The record is written last: where it is, the files it names are whole.
    """
    participant = job.plan.participant(job.number)
    kept = finished(job.out, participant.scan_id, participant.seed)
    if kept is not None:
        return kept, True
    if isinstance(job.plan, T1Plan):
        files, row, truth = write_t1(job.plan, job.plan.participant(job.number), job.out)
    else:
        files, row, truth = write_dat(job.plan, job.plan.participant(job.number), job.out)
    digests = {name: provenance.sha256_of(job.out / name) for name in files}
    record = {"form": FORM, "files": digests, "cohort": row, "truth": truth}
    provenance.write_text(record_path(job.out, participant.scan_id), json.dumps(record, indent=1) + "\n")
    return record, False


def write_dat(plan: Plan, participant: Participant, out: Path) -> tuple[list[str], Record, Record]:
    """Write a DaT scan; returns its files' paths relative to `out`, the scan first, cohort columns and truth."""
    volume, truth = acquire(plan, participant, participant.person())
    files = _write(plan, participant, volume, out)
    return files, _cohort_row(plan, participant, volume.acquisition, files[0]), _truth(plan, participant, truth)


def finished(out: Path, scan_id: str, seed: int) -> Record | None:
    """The record of a scan whose files are all there, unchanged; None where anything is missing or differs."""
    path = record_path(out, scan_id)
    if not path.is_file():
        return None
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
        files = dict(record["files"])
        same = record["form"] == FORM and record["truth"]["seed"] == seed
    except (ValueError, KeyError, TypeError):
        return None
    whole = same and all(
        (out / name).is_file() and provenance.sha256_of(out / name) == digest for name, digest in files.items()
    )
    return record if whole else None


def acquire(plan: Plan, participant: Participant, person: Person) -> tuple[Volume, Truth]:
    """The scan of a participant in memory, with the facts its header will have, and what is true of it.

    Raises:
        MissingExtraError: the plan wants projections and torch is not installed.
    """
    site = phantom.SITES[participant.site]
    if plan.physics == "projection":
        from dopascope import physics

        with _one_thread():
            volume, truth = physics.scan(person, site, participant.pose, participant.seed)
    else:
        volume, truth = phantom.scan(person, site.camera, participant.pose, participant.seed)
    return replace(volume, acquisition=participant.acquisition(person)), truth


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch with one thread: sums come out the same however many cores and processes there are."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _write(plan: Plan, participant: Participant, volume: Volume, out: Path) -> list[str]:
    """Write scan and sidecar; returns their paths relative to `out`, the scan first."""
    name = f"{SCANS}/{participant.scan_id}{SUFFIXES[plan.format]}"
    if plan.format == "nifti":
        from dopascope.formats.save import save_nifti
        from dopascope.formats.sidecar import write_sidecar

        beside = f"{SCANS}/{participant.scan_id}.json"
        write_sidecar(volume.acquisition, out / beside)
        save_nifti(volume, out / name)
        return [name, beside]
    from dopascope.formats.dicom_write import Tomography, write_nm

    site = phantom.SITES[participant.site]
    write_nm(
        volume,
        out / name,
        spacing_sign=participant.spacing_sign,
        patient_name=f"SIMULATED^{participant.participant_id.upper()}",
        patient_id=participant.participant_id,
        study_date=STUDY_DATE,
        series_description="SIMULATED DAT SPECT",
        tomography=Tomography(site.angles, site.radius_mm, round(site.counts)),
    )
    return [name]


def _cohort_row(plan: Plan, participant: Participant, facts: Acquisition, path: str) -> Record:
    site = phantom.SITES[participant.site]
    return {
        "participant_id": participant.participant_id,
        "session_id": SESSION,
        "scan_id": participant.scan_id,
        "path": path,
        "modality": plan.modality,
        "label": phantom.LABELS[participant.group],
        "site": site.name,
        "camera": site.collimator,
        "age": facts.age_years,
        "sex": facts.sex,
        "format": plan.format,
        **{name: getattr(facts, name) for name in FACTS},
    }


def _truth(plan: Plan, participant: Participant, truth: Truth) -> Record:
    person = truth.person
    return {
        "seed": participant.seed,
        "group": participant.group,
        "abnormal": person.abnormal,
        "read_abnormal": bool(phantom.read_visually(person, participant.seed)),
        "pattern": person.pattern,
        "years": person.years,
        "worse_side": person.worse_side,
        "sbr": {region: _rounded(value) for region, value in person.sbr.items()},
        "ideal_sbr": _ideal(truth) if plan.ideal else {},
        "mni_to_scan": truth.mni_to_scan.round(6).tolist(),
        "landmarks_mm": {region: place.round(3).tolist() for region, place in truth.landmarks.items()},
        "pose": asdict(participant.pose),
        "physics": plan.physics,
        "spacing_sign": participant.spacing_sign if plan.format == "dicom" else None,
        "camera": {name: value for name, value in asdict(truth.camera).items() if name != "name"},
        "person": person.as_dict(),
    }


def _ideal(truth: Truth) -> dict[str, dict[str, float]]:
    """Reference -> region -> ideal measured ratio, by the image-space camera of the site."""
    regions = tuple(atlas.PARTS)
    wanted = (*regions, *atlas.REFERENCES)
    means = phantom.ideal_means(truth.person, truth.camera, truth.pose, wanted, fine_mm=IDEAL_MM)
    return {
        reference: {region: _rounded(means[region] / means[reference] - 1) for region in regions}
        for reference in atlas.REFERENCES
    }


def _rounded(value: float) -> float:
    return round(float(value), 5)
