"""Checks of the registration: quality, tilt and scale of the head."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from dopascope.passport.result import Check, CheckVerdict, within

if TYPE_CHECKING:
    from dopascope.space import Registration
    from dopascope.space.brain_registration import BrainRegistration

HOPELESS_QUALITY: Final = 0.1
"""Registrations that are not accepted are unusual; below this nothing can be read at all. Our assumption."""

MAX_TILT_DEG: Final = (20.0, 45.0)
"""Usual and possible largest tilt of the head. Heads lie within about 15 degrees of the template. Our assumption."""

USUAL_SCALE: Final = (0.75, 1.2)
POSSIBLE_SCALE: Final = (0.6, 1.4)
"""Head over template along each axis; adult heads are 0.85 to 1.1 of the MNI template. Our assumption."""


def pose_checks(registration: Registration | BrainRegistration) -> Iterator[Check]:
    """Checks of a registration, manual or not."""
    yield _quality(registration)
    tilt = max(registration.tilt_deg, key=abs)
    yield within(
        "tilt",
        abs(tilt),
        "degrees",
        usual=(0.0, MAX_TILT_DEG[0]),
        possible=(0.0, MAX_TILT_DEG[1]),
        explanation="Largest of nod, lean and turn: " + ", ".join(f"{one:.1f}" for one in registration.tilt_deg) + ".",
    )
    scale = max(registration.scale, key=lambda one: abs(one - 1))
    yield within(
        "head_scale",
        scale,
        "",
        usual=USUAL_SCALE,
        possible=POSSIBLE_SCALE,
        explanation="Head size over template along x, y, z: " + ", ".join(f"{s:.2f}" for s in registration.scale) + ".",
    )


def _quality(registration: Registration | BrainRegistration) -> Check:
    verdict: CheckVerdict = "in-distribution"
    if not registration.accepted:
        # Whoever moves the regions by hand has looked and wants the numbers; they are never called certain.
        moved = getattr(registration, "manual", None) is not None
        hopeless = registration.quality < HOPELESS_QUALITY and not moved
        verdict = "refused" if hopeless else "unusual"
    said = "; ".join(registration.reasons)
    return Check(
        "registration",
        float(registration.quality),
        "",
        verdict,
        "accepted",
        f"The template does not fit: {said}."
        if verdict != "in-distribution"
        else "How well the template fits, 0 to 1.",
    )
