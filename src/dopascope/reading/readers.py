"""Who is asked: the installed bundles and the binding-ratio rule, each giving one ReaderResult."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from dopascope.bundle import Bundle, Prediction, occlusion, store
from dopascope.bundle.spec import SPEC_FILE
from dopascope.errors import UnsuitableError
from dopascope.quant import Quantification, rule
from dopascope.reading.schema import EvidenceMap, Grade, ReaderResult
from dopascope.volume import Volume

RULE_ALONE: Final = ("none",)
"""As the choice of models: ask no network."""


@dataclass(frozen=True)
class MadeEvidence:
    """An evidence map as data and as pixels."""

    part: EvidenceMap
    volume: Volume


def chosen(models: tuple[str, ...] | None, models_dir: Path | None) -> list[Bundle]:
    """The bundles to ask, in order: those named, or the default readers (`store.default_readers`).

    Raises:
        UsageError: a name that is not installed.
        BundleError: an installed bundle is damaged or was changed.
    """
    if models == RULE_ALONE:
        return []
    if models is None:
        models = tuple(store.default_readers(models_dir))
    root = models_dir or store.default_models_dir()
    return [_loaded(name, root, _stamp(root / name / SPEC_FILE)) for name in models]


@lru_cache(maxsize=8)
def _loaded(name: str, root: Path, _stamp: int) -> Bundle:
    # Kept between readings of one process; a bundle that was replaced has another stamp.
    return store.load(name, root)


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0


def ask(bundles: Sequence[Bundle], mni: Volume) -> list[ReaderResult]:
    """Each bundle's answer for a scan with raw intensities on `MNI_2MM`."""
    return [_result(bundle.predict(mni)) for bundle in bundles]


def rule_says(numbers: Quantification) -> ReaderResult:
    """The binding-ratio rule's answer, or why it has none for this method."""
    try:
        return ReaderResult.model_validate(rule.classify(numbers).as_dict())
    except UnsuitableError as error:
        return ReaderResult(
            id="sbr-rule",
            kind="rule",
            title="Binding-ratio rule",
            model_sha256=None,
            p_abnormal=None,
            interval=None,
            interval_means=None,
            verdict="refused",
            trained_on="simulated people",
            calibration="not calibrated on clinical scans",
            reason=f"{error.what} Found {error.found}, expected {error.expected}.",
        )


def evidence(bundles: Sequence[Bundle], mni: Volume) -> dict[str, MadeEvidence]:
    """The occlusion map of the lead bundle, by its id; empty without bundles."""
    made = {}
    for bundle in bundles[:1]:
        found = occlusion(bundle, mni)
        part = EvidenceMap(
            reader=bundle.id,
            kind="occlusion",
            file=f"evidence-{bundle.id}.nii.gz",
            share_inside_striatum=found.share_inside_striatum,
            area_inside_striatum=found.area_inside_striatum,
            meaning=found.meaning,
        )
        made[bundle.id] = MadeEvidence(part, found.as_volume(mni))
    return made


def _result(said: Prediction) -> ReaderResult:
    grades = {
        region: Grade.model_validate({"grade": one.grade, "probabilities": one.probabilities})
        for region, one in (said.grades or {}).items()
    }
    return ReaderResult(
        id=said.bundle_id,
        kind="ensemble" if said.networks > 1 else "network",
        title=said.title,
        model_sha256=said.model_sha256,
        p_abnormal=said.p_abnormal,
        interval=said.interval,
        interval_means=said.interval_means,
        verdict=said.verdict,
        votes={group: str(vote) for group, vote in said.votes.items()},
        grades=grades,
        trained_on=said.trained_on,
        calibration=said.calibration,
        licence=said.licence,
        papers=list(said.papers),
    )
