"""What the person who reads may choose, and what of it can be meant for which examination."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from dopascope import quant, space
from dopascope.bundle.segmenter import segmenter
from dopascope.errors import UsageError
from dopascope.reading import counterfactual, parts, readers, schema
from dopascope.volume import Acquisition

MODALITIES: Final = ("dat", "t1")
OF_DAT: Final = ("method", "reference", "normals", "shift_mm", "rotate_deg", "counterfactual")
"""Choices that mean something for a DaT SPECT alone."""


@dataclass(frozen=True)
class Choices:
    """What the person who reads may choose. Every default is the documented one."""

    modality: str | None = None
    """`dat` or `t1`; None for what the file says (`reading.route`)."""
    age: float | None = None
    sex: str | None = None
    models: tuple[str, ...] | None = None
    """Model names in order; None for all that are installed; ("none",) for the rule alone. For a T1 MRI a segmenter."""
    method: str = "anatomical"
    reference: str = "whole_brain"
    normals: Path | None = None
    shift_mm: tuple[float, float, float] | None = None
    rotate_deg: tuple[float, float, float] | None = None
    evidence: bool = True
    counterfactual: str | float | None = None
    """`normal`, or the ratio of the lower putamen as the slab shows it; None for no simulation."""
    models_dir: Path | None = None

    def __post_init__(self) -> None:
        for name in ("normals", "models_dir"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, Path(getattr(self, name)))
        if isinstance(self.models, str):
            object.__setattr__(self, "models", (self.models,))
        if self.modality not in (None, *MODALITIES):
            raise UsageError(
                "There is no such modality.",
                where="modality",
                found=self.modality,
                expected=" or ".join(MODALITIES),
                fix="Give dat for a dopamine transporter SPECT, t1 for a T1-weighted MRI.",
            )

    def check(self, facts: Acquisition, modality: schema.Modality) -> schema.Person:
        """Find at once what cannot be meant, before any long work; returns the person.

        Raises:
            UsageError: an age, sex, method, reference, model or normals file that cannot be meant.
            BundleError: an installed model is damaged or was changed.
        """
        if modality == "t1":
            self._check_t1()
        else:
            quant.check_method(self.method, self.reference)
            if self.normals is not None:
                quant.load_normals(self.normals)
            readers.chosen(self.models, self.models_dir)
            if self.counterfactual is not None:
                counterfactual.check(self.counterfactual, self.models_dir)
        return parts.person(facts, self.age, self.sex)

    def _check_t1(self) -> None:
        plain = {one.name: one.default for one in fields(self)}
        given = [name for name in OF_DAT if getattr(self, name) != plain[name]]
        if given:
            raise UsageError(
                "This choice means something for a DaT SPECT alone.",
                where=", ".join(given),
                found="a T1-weighted MRI",
                expected="a choice that T1 MRI knows: age, sex, models (one segmenter)",
                fix="Leave it out.",
            )
        if self.models is not None and len(self.models) != 1:
            raise UsageError(
                "One segmenter finds the brain.",
                where="models",
                found=", ".join(self.models) or "none",
                expected="one name",
                fix="Name one segmenter (dopascope models list), or none for the one that ships.",
            )
        segmenter(self.segmenter, self.models_dir)

    @property
    def segmenter(self) -> str | None:
        """Name of the segmenter for a T1 MRI; None for the one that ships."""
        return self.models[0] if self.models else None

    @property
    def manual(self) -> space.Manual | None:
        """The manual adjustment, if any was asked for."""
        if self.shift_mm is None and self.rotate_deg is None:
            return None
        return space.Manual(self.shift_mm or (0.0, 0.0, 0.0), self.rotate_deg or (0.0, 0.0, 0.0))
