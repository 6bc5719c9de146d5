"""The same slab with other ratios, by an editor: what was asked, what came of it, or why there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dopascope.bundle import Bundle
from dopascope.bundle.editor import check_asked, edit, editor, normal_at, rule_of
from dopascope.errors import UsageError
from dopascope.quant import Quantification
from dopascope.reading.images import ChangedSlab
from dopascope.reading.schema import ChangedRatio, CounterfactualPart, Person
from dopascope.space import Registration, views
from dopascope.space.intensity import reference_value
from dopascope.space.slab_ratios import REGIONS, slab_ratios
from dopascope.volume import Volume

NORMAL: Final = "normal"
FILE: Final = "counterfactual.png"
NOT_ASKED: Final = "Not asked for (--counterfactual)."
NO_AGE: Final = "Normal ratios depend on age, and neither the header nor the caller states it (--age)."
NOT_REGISTERED: Final = "The registration was not accepted, so that the slab may be cut beside the striatum."
MEANING: Final = (
    "A simulation by a model trained on simulated people alone, and no evidence: how this slab would look with other "
    "ratios, not what this person was or will be. No reader was asked about it, and it counts for no verdict."
)


def parsed(asked: str | float) -> float | None:
    """The ratio of the lower putamen that is asked for; None for that of healthy people of the age.

    Raises:
        UsageError: neither `normal` nor a number.
    """
    if asked == NORMAL:
        return None
    try:
        return float(asked)
    except ValueError:
        raise UsageError(
            "This change cannot be meant.",
            where="counterfactual",
            found=asked,
            expected="normal, or the ratio that the lower putamen shall have in the slab",
            fix="Correct it.",
        ) from None


def check(asked: str | float, models_dir: Path | None) -> None:
    """Find at once what cannot be meant.

    Raises:
        UsageError: see `parsed`, or a ratio that the editor has not learned.
        BundleError: the editor is damaged or was changed.
    """
    ratio = parsed(asked)
    bundle = editor(models_dir=models_dir)
    if ratio is not None:
        check_asked(bundle, ratio)


def why_not(person: Person, registration: Registration, bundle: Bundle) -> str | None:
    """Why the slab of a registered scan is not changed; None where it is."""
    if not registration.accepted:
        return NOT_REGISTERED
    if person.age_years is None:
        return NO_AGE
    youngest, oldest = rule_of(bundle).ages
    if not youngest <= person.age_years <= oldest:
        known = f"{youngest:.0f} to {oldest:.0f} years"
        return f"Normal ratios are known for {known}, and the age is {person.age_years:g} years."
    return None


def change(bundle: Bundle, mni: Volume, numbers: Quantification, age: float, asked: str | float) -> ChangedSlab:
    """The slab of a scan with raw intensities on `MNI_2MM`, before and after.

    Args:
        bundle: an editor.
        mni: the scan.
        numbers: its binding ratios, and what is expected of the camera where normal values fit.
        age: in years.
        asked: `normal`, or a ratio of the lower putamen.

    Raises:
        UsageError, UnsuitableError, BundleError: as `bundle.editor.edit`.
    """
    unit = reference_value(mni, bundle.spec.input.intensity)
    slab = (views.slab_12mm(mni) / unit).astype(np.float32)
    normal, normal_from = _normal(bundle, slab, numbers, age)
    ratio = parsed(asked)
    made = edit(bundle, slab, normal, ratio)
    columns = (made.present, made.wanted, made.found, made.normal)
    names = ("present", "wanted", "found", "normal")
    part = CounterfactualPart(
        asked="normal" if ratio is None else ratio,
        model=bundle.id,
        model_sha256=bundle.model_sha256,
        trained_on=bundle.spec.training.summary,
        age_years=age,
        normal_from=normal_from,
        ratios={
            region: ChangedRatio(**dict(zip(names, (float(one) for one in row), strict=True)))
            for region, row in zip(REGIONS, np.stack(columns, axis=1), strict=True)
        },
        held=list(made.held),
        file=FILE,
        meaning=MEANING,
    )
    scale = np.float32(unit / numbers.reference_mean)
    return ChangedSlab(part, slab * scale, (slab + made.difference) * scale)


def _normal(
    bundle: Bundle, slab: NDArray[np.float32], numbers: Quantification, age: float
) -> tuple[NDArray[np.float64], str]:
    """Ratios of healthy people of the age in the order of `REGIONS`, and whose they are.

    Where the reading has normal values of the camera, these: brought from binding ratios to ratios of the slab by the
    quotient that this scan has of the two. A mean over other cameras, which is all that the editor knows, can be half
    or twice as high.
    """
    measured = [numbers.regions[name] for name in REGIONS]
    expected = [one.expected for one in measured if one.expected is not None and one.sbr is not None]
    total = sum(one.sbr for one in measured if one.sbr is not None)
    if len(expected) == len(REGIONS) and total > 0:
        quotient = float(slab_ratios(slab[None])[0].sum()) / total
        if quotient > 0:
            return np.array(expected) * quotient, f"{numbers.normals}, times {quotient:.2f} (ratio of the slab to SBR)"
    rule = rule_of(bundle)
    return normal_at(rule, age), f"{rule.people} healthy simulated people over ten cameras; this one may differ"
