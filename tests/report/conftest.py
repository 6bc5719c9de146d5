"""Examinations made by code: a healthy, a reduced, an uncertain, a refused one and a picture."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from dopascope import atlas
from dopascope.reading.images import ChangedSlab, Examination, Images
from dopascope.reading.schema import (
    AcquisitionPart,
    ChangedRatio,
    CounterfactualPart,
    EvidenceMap,
    Grade,
    GridInfo,
    Index,
    PassportCheck,
    PassportPart,
    Person,
    QuantificationPart,
    ReaderResult,
    Reading,
    Region,
    RegistrationPart,
    Scan,
)
from dopascope.space import views
from dopascope.space.slab_ratios import REGIONS
from dopascope.volume import MNI_2MM, Grid, SliceImage, Volume

STRUCTURES = ("striatum", "caudate", "putamen", "anterior_putamen", "posterior_putamen")
HEALTHY = dict.fromkeys(("caudate", "anterior_putamen", "posterior_putamen"), (2.9, 2.9)) | {
    "posterior_putamen": (2.3, 2.3)
}
PARKINSON = {"caudate": (2.1, 1.5), "anterior_putamen": (1.4, 0.75), "posterior_putamen": (0.8, 0.35)}
"""Structure -> SBR (left, right): the right side is worse."""


def head(sbr: dict[str, tuple[float, float]], *, noise: float = 0.0, fwhm_mm: float = 10.0, seed: int = 5) -> Volume:
    """A brain of 1 with striata of 1 + sbr, blurred, on MNI_2MM."""
    rng = np.random.default_rng(seed)
    weights = atlas.striatum_weights(MNI_2MM)
    data = np.asarray(atlas.tissue("brain").data, np.float32) * 0.9 + np.asarray(atlas.tissue("head").data) * 0.12
    for structure, sides in sbr.items():
        for side, value in zip(("left", "right"), sides, strict=True):
            data = data + np.asarray(weights[f"{structure}_{side}"]) * value * 1.5
    data = data + noise * rng.normal(size=data.shape) * 8
    return Volume(ndimage.gaussian_filter(data, fwhm_mm / 2.355 / 2).astype(np.float32), MNI_2MM)


def regions(sbr: dict[str, tuple[float, float]], *, normals: bool) -> dict[str, Region]:
    made = {}
    full = dict(sbr)
    for index in range(2):
        anterior, posterior = sbr["anterior_putamen"][index], sbr["posterior_putamen"][index]
        putamen = 0.46 * anterior + 0.54 * posterior
        full.setdefault("putamen", ())
        full["putamen"] = (*full["putamen"], putamen)  # type: ignore[assignment]
        full.setdefault("striatum", ())
        full["striatum"] = (*full["striatum"], 0.67 * putamen + 0.33 * sbr["caudate"][index])  # type: ignore[assignment]
    for structure in STRUCTURES:
        for index, side in enumerate(("left", "right")):
            value = round(full[structure][index] + 0.013 * index, 4)
            half = 0.08 + 0.05 * value
            reason = None if normals else "no normal values for this method"
            made[f"{structure}_{side}"] = Region(
                sbr=value,
                interval=(value - half, value + half),
                interval_level=0.95,
                expected=2.471 if normals else None,
                z=(value - 2.471) / 0.31 if normals else None,
                percent_expected=100 * value / 2.471 if normals else None,
                reason=reason,
            )
    return made


def indices(found: dict[str, Region]) -> dict[str, Index]:
    def value(name: str) -> float:
        return found[name].sbr or 0.0

    made = {}
    for structure in ("caudate", "putamen"):
        left, right = value(f"{structure}_left"), value(f"{structure}_right")
        made[f"asymmetry_{structure}"] = Index(
            value=200 * (left - right) / (left + right),
            interval=(-3.21, 5.43),
            unit="%",
            definition="100 * (left - right) / mean(left, right)",
        )
    for side in ("left", "right"):
        ratio = value(f"caudate_{side}") / value(f"putamen_{side}")
        made[f"caudate_putamen_ratio_{side}"] = Index(
            value=ratio, interval=(ratio - 0.21, ratio + 0.27), unit="", definition="caudate SBR / putamen SBR"
        )
    return made


def quantification(sbr: dict[str, tuple[float, float]], *, normals: bool) -> QuantificationPart:
    found = regions(sbr, normals=normals)
    return QuantificationPart(
        method_id="anatomical/whole_brain/v1",
        reference_region="whole_brain",
        reference_mean=1234.5,
        regions=found,
        indices=indices(found),
        interval_means="95 % interval of the ratio this method would give on the same head without noise",
        normals="normals_sim.json" if normals else None,
        normals_reason=None if normals else "no normal values exist for the method anatomical/whole_brain/v1",
        warnings=[],
    )


def grade(place: int) -> Grade:
    names = ("normal", "borderline", "moderately reduced", "strongly reduced", "almost missing")
    shares = np.exp(-1.4 * np.abs(np.arange(5) - place))
    a, b, c, d, e = (float(one) for one in shares / shares.sum())
    return Grade(grade=names[place], probabilities=(a, b, c, d, e))  # type: ignore[arg-type]


def readers(verdict: str, p: float, places: tuple[int, int, int, int], rule: str) -> list[ReaderResult]:
    trained = "1,306 clinical FP-CIT scans of one camera, read by experts (Hamburg)"
    paper = "Budenkotte et al., EJNMMI 2024, doi 10.1007/s00259-023-06566-w"
    names = ("caudate_right", "caudate_left", "putamen_right", "putamen_left")
    votes = {"reduced": ("5 of 5", "5 of 5", "5 of 5"), "normal": ("0 of 5", "0 of 5", "0 of 5")}
    acc, sens, spec = votes.get(verdict, ("3 of 5", "4 of 5", "2 of 5"))
    shared: dict[str, Any] = {
        "kind": "ensemble",
        "trained_on": trained,
        "calibration": "not calibrated",
        "licence": "MIT",
        "papers": [paper],
        "interval_means": "the lowest and highest of the five networks",
    }
    return [
        ReaderResult(
            id="dat-spect-ud",
            title="Expert ensembles (acc, sens, spec)",
            model_sha256="ab" * 32,
            p_abnormal=p,
            interval=(max(0.0, p - 0.061), min(1.0, p + 0.017)),
            verdict=verdict,  # type: ignore[arg-type]
            votes={"acc": acc, "sens": sens, "spec": spec},
            **shared,
        ),
        ReaderResult(
            id="dat-spect-ud-robust",
            title="Robust ensemble",
            model_sha256="cd" * 32,
            p_abnormal=min(0.9999, p + 0.004),
            interval=(max(0.0, p - 0.034), min(1.0, p + 0.021)),
            verdict=verdict if verdict != "uncertain" else "reduced",  # type: ignore[arg-type]
            votes={"robust": "4 of 5"},
            **shared,
        ),
        ReaderResult(
            id="dat-spect-ud-reg",
            title="Regional grades",
            model_sha256="ef" * 32,
            p_abnormal=None,
            interval=None,
            verdict=verdict,  # type: ignore[arg-type]
            grades={name: grade(place) for name, place in zip(names, places, strict=True)},
            **{**shared, "interval_means": None},
        ),
        ReaderResult(
            id="sbr-rule",
            kind="rule",
            title="Binding-ratio rule",
            model_sha256=None,
            p_abnormal=0.5 + 0.9 * (p - 0.5),
            interval=None,
            interval_means=None,
            verdict=rule,  # type: ignore[arg-type]
            votes={"lowest putamen SBR": "0.58, threshold 1.12"},
            trained_on="400 simulated people, 200 healthy and 200 with Parkinson's disease",
            calibration="on simulated scans only",
        ),
    ]


def checks(verdict: str = "in-distribution") -> PassportPart:
    made = [
        PassportCheck(
            name="orientation",
            value="sform",
            unit="",
            verdict="in-distribution",
            expected="stated by the file",
            explanation="The file states how its axes lie in the person.",
        ),
        PassportCheck(
            name="spacing",
            value=2.46,
            unit="mm",
            verdict="in-distribution",
            expected="1 to 6 mm",
            explanation="The largest voxel edge.",
        ),
        PassportCheck(
            name="head_tilt",
            value=-13.2,
            unit="°",
            verdict="unusual" if verdict == "unusual" else "in-distribution",
            expected="within 12°",
            explanation="The largest angle against the template.",
        ),
        PassportCheck(
            name="counts",
            value=1834512.0,
            unit="counts",
            verdict="in-distribution",
            expected="more than 500000",
            explanation="Sum over the head.",
        ),
        PassportCheck(
            name="attenuation",
            value=None,
            unit="",
            verdict="not stated",
            expected="corrected",
            explanation="The header does not say whether attenuation was corrected.",
        ),
        PassportCheck(
            name="not_finite",
            value=17 if verdict == "refused" else 0,
            unit="voxels",
            verdict="refused" if verdict == "refused" else "in-distribution",
            expected="0",
            explanation="Voxels that are NaN or infinite.",
        ),
    ]
    reasons = {
        "in-distribution": [],
        "unusual": ["The head is tilted by 13.2°; scans the readers know are within 12°."],
        "refused": ["17 voxels are NaN or infinite. Export the scan again from the camera's workstation."],
    }[verdict]
    return PassportPart(verdict=verdict, reasons=reasons, checks=made)  # type: ignore[arg-type]


def registration(*, accepted: bool = True) -> RegistrationPart:
    return RegistrationPart(
        template="dopascope DaT template, symmetric, MNI 2 mm",
        method="free-region Gauss-Newton, 9 parameters",
        mni_to_scan=[[1.013, 0.021, -0.004, 1.25], [-0.02, 0.987, 0.11, -3.5], [0, -0.1, 1.043, 7.125], [0, 0, 0, 1]],
        quality=0.93 if accepted else 0.31,
        accepted=accepted,
        reasons=[] if accepted else ["Two starts end 9.4 mm apart."],
        tilt_deg=(-6.4, 0.7, 2.3),
        scale=(1.013, 0.987, 1.043),
        shift_sd_mm=(0.31, 0.42, 0.57),
        tilt_sd_deg=(0.52, 0.33, 0.29),
        manual=None,
    )


def scan_part(source: str = "sub-01_dat.dcm") -> Scan:
    affine = np.diag([2.46, 2.46, 2.46, 1.0])
    return Scan(
        source=source,
        format="dicom-nm",
        files=1,
        sha256="3f1c9a52e7d04b8a" * 4,
        modality="NM",
        grid=GridInfo(shape=(128, 120, 110), spacing_mm=(2.46, 2.46, 2.46), axis_codes="LPS", affine=affine.tolist()),
        orientation_from="Detector Information Sequence",
        assumed=["Slice order from the sign of Spacing Between Slices, which is negative"],
    )


def acquisition() -> AcquisitionPart:
    return AcquisitionPart(
        modality="NM",
        image_type=["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"],
        manufacturer="Example Medical",
        model="Gamma 2",
        radiopharmaceutical="I-123 ioflupane",
        radionuclide="I-123",
        activity_mbq=183.4,
        hours_after_injection=3.4,
        reconstruction="OSEM 8i8s",
    )


def software() -> dict[str, str]:
    return {"dopascope": "0.1.0", "python": "3.11.7", "platform": "linux", "numpy": "2.3.1", "SimpleITK": "2.5.0"}


def reading(**parts: Any) -> Reading:
    filled: dict[str, Any] = {
        "scan": scan_part(),
        "passport": checks(),
        "acquisition": acquisition(),
        "person": Person(age_years=67.0, sex="F", age_from="argument", sex_from="header"),
        "registration": registration(),
        "quantification": quantification(HEALTHY, normals=True),
        "readers": readers("normal", 0.021, (0, 0, 0, 1), "normal"),
        "verdict": "normal",
        "verdict_reasons": ["Expert ensembles (acc, sens, spec) says normal."],
        "disagreement": None,
        "maps": [
            EvidenceMap(
                reader="dat-spect-ud",
                kind="occlusion",
                file="evidence_dat-spect-ud.nii.gz",
                share_inside_striatum=0.784,
                area_inside_striatum=0.087,
                meaning="The change of the probability when a small ball of the scan is replaced by background",
            )
        ],
        "reasons": {"morphometry": "Morphometry is for T1 MRI."},
        "warnings": [],
        "software": software(),
        "created": "2026-01-15T10:20:30+00:00",
        **parts,
    }
    return Reading(**filled)


def evidence() -> Volume:
    found = atlas.striatum_weights(MNI_2MM)
    signed = found["posterior_putamen_right"] * 1.0 + found["anterior_putamen_right"] * 0.5
    signed = signed - 0.5 * found["caudate_left"]
    return Volume(ndimage.gaussian_filter(np.asarray(signed, np.float32), 3), MNI_2MM)


def images(sbr: dict[str, tuple[float, float]], **kind: Any) -> Images:
    mni = head(sbr, noise=0.35, **kind)
    scan = Volume(mni.data[::-1, ::-1, 10:80], Grid((91, 109, 70), np.diag([-2.0, -2, 2, 1])))
    return Images(scan=scan, mni=mni, template=head(HEALTHY), evidence={"dat-spect-ud": evidence()})


def normal() -> Examination:
    return Examination(reading(), images(HEALTHY))


def reduced() -> Examination:
    found = reading(
        quantification=quantification(PARKINSON, normals=False),
        readers=readers("reduced", 0.981, (2, 1, 4, 3), "reduced"),
        verdict="reduced",
        verdict_reasons=["Expert ensembles (acc, sens, spec) says reduced."],
        counterfactual=simulated(),
    )
    made = images(PARKINSON)
    assert made.mni is not None
    slab = views.slab_12mm(made.mni)
    return Examination(found, replace(made, changed=ChangedSlab(simulated(), slab, slab * np.float32(1.5))))


def simulated() -> CounterfactualPart:
    """Made up: every number differs from every other."""
    ratios = {
        name: ChangedRatio(
            present=1.11 + 0.17 * place,
            wanted=2.31 + 0.13 * place,
            found=2.27 + 0.13 * place,
            normal=3.03 + 0.1 * place,
        )
        for place, name in enumerate(REGIONS)
    }
    return CounterfactualPart(
        asked="normal",
        model="dopascope-editor",
        model_sha256="e" * 64,
        trained_on="simulated people",
        age_years=67,
        normal_from="healthy people of a test",
        ratios=ratios,
        held=["caudate_left"],
        file="counterfactual.png",
        meaning="A simulation, and no evidence.",
    )


def uncertain() -> Examination:
    found = reading(
        quantification=quantification({**PARKINSON, "caudate": (2.6, 2.4)}, normals=False),
        passport=checks("unusual"),
        registration=registration(accepted=False),
        readers=readers("uncertain", 0.612, (1, 0, 2, 1), "normal"),
        verdict="uncertain",
        verdict_reasons=[
            "Expert ensembles (acc, sens, spec) says uncertain.",
            "The registration was not accepted, so no answer is certain.",
            "The passport calls this scan unusual: the head is tilted by 13.2°.",
        ],
        disagreement="dat-spect-ud says uncertain; dat-spect-ud-robust says reduced; sbr-rule says normal",
        maps=[],
        reasons={"morphometry": "T1 only", "maps": "No evidence map was asked for (--no-evidence)."},
        warnings=["The scan is cut 14 mm below the vertex."],
    )
    made = images({**PARKINSON, "caudate": (2.6, 2.4)}, fwhm_mm=14.0)
    return Examination(found, Images(made.scan, made.mni, made.template))


def _unread(why: str) -> dict[str, Any]:
    return {
        "registration": None,
        "quantification": None,
        "readers": [],
        "maps": [],
        "reasons": dict.fromkeys(("registration", "quantification", "readers", "maps"), why),
    }


def refused() -> Examination:
    part = checks("refused")
    found = reading(
        passport=part,
        verdict="refused",
        verdict_reasons=part.reasons,
        **_unread("The scan was refused before this part; see the passport."),
    )
    scan = head(HEALTHY, noise=0.35).data.copy()
    scan[40:42, 50, 30:38] = np.nan
    grid = Grid((91, 109, 91), np.array([[-2.0, 0, 0, 90], [0, -2, 0, 90], [0, 0, 2, -72], [0, 0, 0, 1]]))
    return Examination(found, Images(Volume(scan[::-1, ::-1], grid), None, None))


def picture() -> Examination:
    why = "A picture of one slice has no position, spacing or side; this part needs the scan itself (DICOM or NIfTI)."
    found = reading(
        scan=Scan(
            source="slice_041.png",
            format="png",
            files=1,
            sha256="77" * 32,
            modality=None,
            grid=None,
            orientation_from="",
            assumed=[],
        ),
        acquisition=AcquisitionPart(),
        person=Person(age_years=None, sex=None, age_from=None, sex_from=None),
        verdict="uncertain",
        verdict_reasons=["No installed reader takes a picture of one slice.", why],
        **_unread(why),
    )
    plane = head(PARKINSON).data[:, :, 38].T[::-1, ::-1]
    return Examination(found, SliceImage(np.ascontiguousarray(plane / plane.max() * 255)))


BUILDERS: dict[str, Callable[[], Examination]] = {
    "normal": normal,
    "reduced": reduced,
    "uncertain": uncertain,
    "refused": refused,
    "picture": picture,
}


@pytest.fixture(scope="session")
def examinations() -> dict[str, Examination]:
    """Every kind of examination by name."""
    return {name: build() for name, build in BUILDERS.items()}


@pytest.fixture(params=list(BUILDERS))
def examination(request: pytest.FixtureRequest, examinations: dict[str, Examination]) -> Examination:
    """Each kind in turn."""
    return examinations[request.param]


@dataclass
class Seen(HTMLParser):
    """The tags, attributes and text of a page."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    _style: bool = False

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def parse(page: str) -> Seen:
    seen = Seen()
    seen.feed(page)
    return seen


def shown(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def numbers_of(reading: Reading) -> list[str]:
    """Every number that a reader of the report must find, as it is written there."""
    found = []
    if reading.quantification:
        found.append(reading.quantification.method_id)
        for region in reading.quantification.regions.values():
            assert region.sbr is not None
            assert region.interval is not None
            found += [shown(region.sbr, 2), f"{shown(region.interval[0], 2)} to {shown(region.interval[1], 2)}"]
            found += [shown(one, 2) for one in (region.expected, region.z) if one is not None]
            found += [f"{region.percent_expected:.0f} %"] if region.percent_expected is not None else []
        for index in reading.quantification.indices.values():
            assert index.value is not None
            found.append(shown(index.value, 1 if index.unit == "%" else 2))
            found.append(index.definition)
    for reader in reading.readers:
        found += [
            reader.title,
            reader.id,
            reader.trained_on,
            reader.calibration,
            *reader.votes.values(),
            *reader.papers,
        ]
        found += [shown(reader.p_abnormal, 3)] if reader.p_abnormal is not None else []
        found += [reader.model_sha256] if reader.model_sha256 else []
        found += [shown(one, 2) for grade in reader.grades.values() for one in grade.probabilities]
    if reading.registration:
        found += [shown(reading.registration.quality, 2)]
        found += [", ".join(shown(one, 1) for one in reading.registration.tilt_deg)]
        found += [", ".join(shown(one, 3) for one in reading.registration.scale)]
        found += [shown(one, 3) for row in reading.registration.mni_to_scan for one in row]
    if reading.counterfactual:
        part = reading.counterfactual
        found += [part.meaning, part.normal_from, part.model, part.model_sha256]
        for one in part.ratios.values():
            found += [shown(value, 2) for value in (one.present, one.wanted, one.found, one.normal)]
    found += [f"{100 * one.share_inside_striatum:.0f} %" for one in reading.maps]
    found += [one.explanation for one in reading.passport.checks]
    found += [*reading.passport.reasons, *reading.verdict_reasons, *reading.warnings, *reading.scan.assumed]
    found += [reading.disagreement] if reading.disagreement else []
    found += [value for name, value in reading.reasons.items() if name != "morphometry"]
    found += [reading.scan.source, reading.scan.sha256, reading.verdict, *reading.software.values()]
    return found


STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
LITERAL = re.compile(rb"\(((?:[^()\\]|\\.)*)\) Tj", re.DOTALL)
ESCAPED = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)


def words_of(data: bytes) -> str:
    """The Helvetica text of an uncompressed PDF, line ends as blanks."""

    def plain(match: re.Match[bytes]) -> bytes:
        code = match.group(1)
        return bytes([int(code, 8)]) if code.isdigit() else {b"n": b"\n", b"r": b"\r", b"t": b"\t"}.get(code, code)

    pieces = [ESCAPED.sub(plain, one).decode("cp1252") for one in LITERAL.findall(data)]
    return re.sub(r"\s+", " ", " ".join(pieces))


@pytest.fixture(name="parse", scope="session")
def parse_fixture() -> Callable[[str], Seen]:
    """Page text to its tags and words."""
    return parse


@pytest.fixture(name="numbers_of", scope="session")
def numbers_of_fixture() -> Callable[[Reading], list[str]]:
    """Reading to everything that must stand in its report."""
    return numbers_of


@pytest.fixture(name="words_of", scope="session")
def words_of_fixture() -> Callable[[bytes], str]:
    """Uncompressed PDF to its words."""
    return words_of
