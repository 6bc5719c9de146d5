"""Whether synthetic images are of the class and ratio that was asked for: by ratios read off them, and by readers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dopascope import score
from dopascope.bundle import Bundle
from dopascope.errors import InputError
from dopascope.generate.frames import FRAMES
from dopascope.generate.material import Material, Side
from dopascope.generate.synthetic import Synthetic
from dopascope.score import generated as figures
from dopascope.score.bootstrap import LEVEL

Floats = NDArray[np.float64]
LEAST_ASKED: Final = 8
"""Images with a ratio asked for, below which nothing is said of it."""
DRAWS: Final = 2000
SEED: Final = 1


def quantities(
    material: Material, synthetic: Synthetic, pair: tuple[NDArray[np.float32], NDArray[np.float32]] | None
) -> list[dict[str, Any]]:
    """Distances of the distributions of ratios, asymmetry and caudate to putamen, beside their floor."""
    frame = material.frame
    real, made = frame.quantities(material.held_out.images), frame.quantities(synthetic.images)
    far = None if pair is None else tuple(frame.quantities(side) for side in pair)
    found = []
    for name in frame.modality.quantities:
        against = figures.against_floor(
            figures.wasserstein_distance,
            real[name],
            made[name],
            reference=None if far is None else (far[0][name], far[1][name]),
            people=material.held_out.people,
        )
        distance = figures.wasserstein(real[name], made[name]).as_dict()
        if not np.isfinite(distance["in_sd"]):  # real images that are all the same have no spread
            distance["in_sd"] = None
        found.append(
            {
                "quantity": name,
                "wasserstein": distance,
                "against": against.as_dict(),
                "real": real[name].tolist(),
                "synthetic": made[name].tolist(),
            }
        )
    return found


def by_class(material: Material, synthetic: Synthetic) -> list[dict[str, Any]]:
    """How far the mean ratio of each class is off, with its interval."""
    frame = material.frame
    real, made = frame.quantities(material.held_out.images), frame.quantities(synthetic.images)
    found = []
    for label in sorted(set(synthetic.labels)):
        theirs = np.array([one == label for one in material.held_out.labels])
        ours = np.array([one == label for one in synthetic.labels])
        for name in list(frame.modality.quantities)[:2]:
            told: dict[str, Any] = {
                "label": label,
                "quantity": name,
                "n_real": int(theirs.sum()),
                "n_synthetic": int(ours.sum()),
            }
            if theirs.sum() >= 2 and ours.sum() >= 2:
                values = real[name][theirs]
                told["error"] = asdict(_difference(values, made[name][ours]))
                told |= {"real_mean": float(values.mean()), "real_sd": float(values.std(ddof=1))}
            found.append(told)
    return found


def _difference(real: Floats, made: Floats) -> figures.Measured:
    """Mean of the second less that of the first, with its 95 % interval for unequal variances (Welch 1947)."""
    from scipy.stats import ttest_ind

    low, high = ttest_ind(made, real, equal_var=False).confidence_interval(LEVEL)
    return figures.Measured(float(made.mean() - real.mean()), float(low), float(high))


def asked(material: Material, synthetic: Synthetic) -> dict[str, Any] | None:
    """The ratio asked for and the one that came, beside an answer that gives each class its mean."""
    wanted = synthetic.asked_for("sbr")
    kept = np.isfinite(wanted)
    if kept.sum() < LEAST_ASKED:
        return None
    came = material.frame.quantities(synthetic.images)["putamen"]
    labels = np.array(synthetic.labels)
    usual = np.zeros(len(came))
    for label in set(synthetic.labels):
        own = labels == label
        usual[own] = wanted[own & kept].mean() if (own & kept).any() else 0
    varied = bool(np.ptp(wanted[kept]) and np.ptp(came[kept]))
    return {
        "n": int(kept.sum()),
        "error": asdict(_mean(np.abs(came - wanted)[kept])),
        "class_mean": asdict(_mean(np.abs(usual - wanted)[kept])),
        "correlation": float(np.corrcoef(came[kept], wanted[kept])[0, 1]) if varied else None,
        "asked": wanted[kept].tolist(),
        "came": came[kept].tolist(),
    }


def _mean(values: Floats) -> figures.Measured:
    rng = np.random.default_rng(SEED)
    drawn = values[rng.integers(len(values), size=(DRAWS, len(values)))].mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return figures.Measured(float(values.mean()), float(low), float(high))


def reader(bundle: Bundle, material: Material, synthetic: Synthetic) -> dict[str, Any]:
    """What a saved predictor says of synthetic images, by the class asked for, and of held-out ones."""
    told: dict[str, Any] = {"id": bundle.id, "title": bundle.spec.title, "classes": [], "why_not": ""}
    view = bundle.spec.input.view
    whole = [one for one in FRAMES.values() if one.sight.view == view and not one.sight.crop]
    if material.frame not in whole:
        names = ", ".join(one.name for one in whole) or "none"
        return told | {"why_not": f"it looks at the whole {view}; frames that hold it: {names}"}
    scale = material.frame.modality.intensity
    if bundle.spec.input.intensity != scale:
        return told | {"why_not": f"it scales images by {bundle.spec.input.intensity}, these are scaled by {scale}"}
    try:
        top = material.frame.top
        sides = ("held_out", material.held_out), ("synthetic", synthetic)
        said = {kind: _said(bundle, side, top) for kind, side in sides}
    except InputError as error:
        return told | {"why_not": f"{error.what} {error.found}"}
    if any(np.isnan(p).any() for p in said.values()):
        return told | {"why_not": "it grades regions and gives no probability of an abnormal scan"}
    for label in sorted(set(synthetic.labels)):
        line: dict[str, Any] = {"label": label}
        for kind, side in (("held_out", material.held_out), ("synthetic", synthetic)):
            p = said[kind][[one == label for one in side.labels]]
            line[kind] = {"n": len(p)} if not len(p) else _share(p)
        told["classes"].append(line)
    return told


def _said(bundle: Bundle, side: Side | Synthetic, top: float) -> Floats:
    """p(abnormal) (N,), NaN of a reader that gives none."""
    told = [bundle.predict_view(image[0] * np.float32(top)).p_abnormal for image in side.images]
    return np.array(told, float)


def _share(p: Floats) -> dict[str, Any]:
    abnormal = int((p >= 0.5).sum())
    low, high = score.exact_interval(abnormal, len(p))
    return {
        "n": len(p),
        "abnormal": asdict(figures.Measured(abnormal / len(p), low, high)),
        "mean_p": float(p.mean()),
    }
