"""What networks trained on real scans only say of simulated ones: figures by ensemble, group and site."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from checks import LABELS, Lines, share
from dopascope.score import auroc_of_people

TUNING, FINAL = ("dat-spect-ud",), ("dat-spect-robust", "dat-spect-regional")
"""Read on seeds 1 to 400, where priors may be tuned; read once on seeds 401 to 800."""
TRAINING_SLAB = (0.605, 0.605)
"""Mean and standard deviation of the slab in the networks' training data, from their published constants."""
REGIONS = ("caudate_left", "caudate_right", "putamen_left", "putamen_right")


def figures(lines: Lines, ensemble: str) -> dict[str, Any]:
    """AUROC, accuracy, share uncertain, overall and by group and site, of one ensemble."""
    known = [line for line in lines if line["abnormal"] is not None]
    scores = np.array([score(line, ensemble) for line in known])
    found = auroc_of_people(scores, [line["abnormal"] for line in known], range(len(known)))
    return {
        "ensemble": ensemble,
        "n": len(known),
        "auroc": found.value,
        "auroc_interval": (found.low, found.high),
        **_answers(lines, ensemble),
        "groups": {group: _answers([one for one in lines if one["group"] == group], ensemble) for group in LABELS},
        "normal_swedd": _answers([one for one in lines if one["group"] == "swedd" and not one["abnormal"]], ensemble),
        "sites": {site: _answers(_at(lines, site), ensemble) for site in sorted({line["site"] for line in lines})},
    }


def score(line: dict[str, Any], ensemble: str) -> float:
    """What is ranked: the mean probability, or the worst expected grade of the four regions."""
    said = line["readers"][ensemble]
    return float(max(said["grades"][region] for region in REGIONS)) if said["p"] is None else float(said["p"])


def _at(lines: Lines, site: str) -> Lines:
    return [line for line in lines if line["site"] == site]


def _answers(lines: Sequence[dict[str, Any]], ensemble: str) -> dict[str, Any]:
    """Counts of the verdicts, accuracy of the certain ones and overall, on people whose truth is known."""
    verdicts = [line["readers"][ensemble]["verdict"] for line in lines]
    known = [
        (verdict, line["abnormal"])
        for verdict, line in zip(verdicts, lines, strict=True)
        if line["abnormal"] is not None
    ]
    right = sum(verdict == ("reduced" if abnormal else "normal") for verdict, abnormal in known)
    certain = sum(verdict != "uncertain" for verdict, _ in known)
    return {
        "people": len(lines),
        "verdicts": {name: verdicts.count(name) for name in ("normal", "uncertain", "reduced")},
        "known": len(known),
        "right": right,
        "certain": certain,
    }


def slab(lines: Lines) -> dict[str, Any]:
    """Mean and standard deviation of the slab over all scans, beside those of the training data."""
    mean, sd = np.array([line["slab"] for line in lines]).mean(0)
    return {"mean": float(mean), "sd": float(sd), "training": TRAINING_SLAB, "n": len(lines)}


def words(part: int, n: int) -> str:
    """A share with n and its exact interval."""
    if n == 0:
        return "none"
    value, (low, high) = share(part, n)
    return f"{100 * value:.0f} % ({part} of {n}; {100 * low:.0f} to {100 * high:.0f})"
