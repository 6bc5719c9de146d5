"""The binding ratios of one registered scan."""

from __future__ import annotations

from typing import Final

import numpy as np

from dopascope.errors import UsageError
from dopascope.quant import voi
from dopascope.quant.measure import Means, Pose, measure
from dopascope.quant.normals import Normals
from dopascope.quant.ratios import INDICES, LARGE_DEFINITION, Estimate, ratios
from dopascope.quant.recovery import Recovery
from dopascope.quant.result import INTERVAL_MEANS, Index, Quantification, Region
from dopascope.quant.shipped import find_normals
from dopascope.volume import Sex, Volume

METHODS: Final = ("anatomical",)
METHOD_VERSION: Final = 1
NEAR_ZERO: Final = "the ratio it divides by is not distinguishable from 0"


def method_id(reference: str = "whole_brain") -> str:
    """Name of the measuring method: volumes of interest / reference / sampling / version.

    Ratios may be compared, and normals used, only where it is equal. Attenuation and scatter correction are not
    part of it: they belong to the acquisition and are checked apart.
    """
    return f"{voi.VOI_SET}/{reference}/cubic/{METHOD_VERSION}"


def quantify(
    volume: Volume,
    registration: Pose,
    *,
    method: str = "anatomical",
    reference: str = "whole_brain",
    normals: Normals | None = None,
    age: float | None = None,
    sex: Sex | None = None,
    recovery: Recovery | None = None,
) -> Quantification:
    """Binding ratios SBR = mean / reference mean - 1 of one scan, measured in its own space.

    Args:
        volume: the scan as it was read, on its own grid.
        registration: from `space.register`: `mni_to_scan` and `pose_covariance`.
        method: `anatomical`; the large-volume ratios are always added to the indices.
        reference: `whole_brain` or `occipital`.
        normals: normal values, used only where their method id and conditions are the scan's; None for those that
            ship, which are of simulated sites and fit simulated scans only.
        age: years; sex: `F` or `M`. Both are needed for z and percent of expected.
        recovery: factors that the ratios are divided by; the method id then names them.

    Raises:
        UsageError: an unknown method, reference region or sex.
        UnsuitableError: the brain is outside the field of view, has voxels that are not numbers, the
            reference region is not positive, or the recovery factors are of other scans.
    """
    check_method(method, reference)
    _check_sex(sex)
    name, factors = _corrected(method_id(reference), volume, recovery)
    means = measure(volume, registration, reference)
    found = ratios(means, factors)
    normals, refusal = _choose_normals(normals, name, volume, age, sex)
    regions = {region: _region(found[region], means, region, recovery) for region in voi.MEASURED}
    warnings = _warnings(means) + (recovery.caveats(volume.acquisition) if recovery else [])
    if normals is not None and age is not None and sex is not None and refusal is None:
        regions = {region: _compare(value, normals, region, age, sex) for region, value in regions.items()}
        warnings += normals.caveats(volume.acquisition, age)
    else:
        regions = {region: _without_normals(value, refusal) for region, value in regions.items()}
    return Quantification(
        method_id=name,
        reference_region=reference,
        reference_mean=means.reference,
        regions=regions,
        indices=_indices(found, means, recovery),
        interval_means=INTERVAL_MEANS if recovery is None else f"{INTERVAL_MEANS} {_RECOVERED}",
        normals=normals.title if normals is not None and refusal is None else None,
        normals_reason=refusal,
        warnings=tuple(warnings),
    )


def _corrected(name: str, volume: Volume, recovery: Recovery | None) -> tuple[str, dict[str, Estimate] | None]:
    """The method id with the recovery factors in it, and the factors; Raises UnsuitableError where they do not fit."""
    if recovery is None:
        return name, None
    recovery.check(name, volume.acquisition)
    factors = {region: Estimate(one.factor, one.sd) for region, one in recovery.regions.items()}
    return recovery.corrected_method_id, factors


def check_method(method: str, reference: str) -> None:
    """Raise UsageError for a method or a reference region that there is not."""
    voi.base_volumes(reference)
    if method not in METHODS:
        raise UsageError(
            "There is no such quantification method.",
            where="method",
            found=repr(method),
            expected=" or ".join(METHODS),
            fix="Leave it out for the anatomical volumes.",
        )


def _check_sex(sex: str | None) -> None:
    if sex not in ("F", "M", None):
        raise UsageError("Sex is not understood.", where="sex", found=repr(sex), expected="F or M", fix="Give F or M.")


def _choose_normals(
    given: Normals | None, name: str, volume: Volume, age: float | None, sex: Sex | None
) -> tuple[Normals | None, str | None]:
    """The normals to compare with, or None, and why they cannot be used where they cannot."""
    found = given if given is not None else find_normals(name, volume.acquisition)
    if isinstance(found, str):
        return None, found
    missing = [what for what, value in (("age", age), ("sex", sex)) if value is None]
    if missing:
        return found, f"the person's {' and '.join(missing)} is not known"
    refusal = found.mismatch(name, volume.acquisition)
    return found, refusal or (found.wrong_sex(sex) if sex is not None else None)


def _outside(means: Means, region: str) -> float:
    """Largest share of any part of `region` that lies outside the field of view."""
    parts = voi.PARTS.get(region, (region,))
    return float(max(1 - means.inside[means.names.index(part)] for part in parts))


def _region(estimate: Estimate, means: Means, region: str, recovery: Recovery | None) -> Region:
    if recovery is not None and region not in recovery.regions:
        return Region(None, None, reason=f"recovery factors {recovery.name!r} have none for it")
    if not np.isfinite(estimate.value):
        share = 100 * _outside(means, region)
        return Region(None, None, reason=f"{max(share, 0.1):.1f} % of the region is outside the field of view")
    if estimate.interval is None:
        return Region(estimate.value, None, reason=_NO_NOISE)
    return Region(estimate.value, estimate.interval)


_NO_NOISE: Final = "no interval: too little of the brain is inside the field of view to measure its noise"
_RECOVERED: Final = "The ratio is divided by a recovery factor, whose uncertainty the interval holds too."


def _without_normals(region: Region, refusal: str | None) -> Region:
    reason = "; ".join(part for part in (region.reason, refusal) if part)
    return Region(region.sbr, region.interval, reason=reason or None)


def _compare(region: Region, normals: Normals, name: str, age: float, sex: Sex) -> Region:
    if region.sbr is None:
        return region
    fitted = normals.regions.get(name)
    if fitted is None:
        return _without_normals(region, f"normals {normals.name!r} have no {name}")
    expected = fitted.expected(age, sex)
    return Region(
        region.sbr,
        region.interval,
        expected=expected,
        z=(region.sbr - expected) / fitted.spread(age, sex),
        percent_expected=100 * region.sbr / expected if expected > 0 else None,
        reason=region.reason,
    )


def _indices(found: dict[str, Estimate], means: Means, recovery: Recovery | None) -> dict[str, Index]:
    indices = {}
    for name, formula in INDICES.items():
        known = all(np.isfinite(found[argument].value) for argument in (formula.first, formula.second))
        reason = NEAR_ZERO if known else "a region it needs has no ratio"
        indices[name] = _index(found[name], formula.unit, formula.definition, reason)
    for volume in voi.LARGE:
        definition = LARGE_DEFINITION.format(ml=voi.ml(volume) * means.scale)
        if recovery is not None:
            definition += "; not divided by a recovery factor"
        share = f"{max(100 * _outside(means, volume), 0.1):.1f} % of the volume is outside the field of view"
        indices[f"sbr_{volume}"] = _index(found[f"sbr_{volume}"], "", definition, share)
    return indices


def _index(estimate: Estimate, unit: str, definition: str, reason: str) -> Index:
    if not np.isfinite(estimate.value):
        return Index(None, None, unit, definition, reason)
    interval = estimate.interval
    return Index(estimate.value, interval, unit, definition, _NO_NOISE if interval is None else None)


def _warnings(means: Means) -> list[str]:
    return [
        f"{100 * (1 - share):.1f} % of {name} is outside the field of view"
        for name, share in zip(means.names, means.inside, strict=True)
        if share < 1
    ]
