"""What is known of the public DaT SPECT networks: their files, inputs, vote rules, training and papers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dopascope.bundle.spec import GradeRule, Group, InputSpec, OutputSpec, Paper, Training, VoteRule

MEMBERS: Final = 5
"""Networks in each ensemble."""
SIDE: Final = 72
"""Edge of the square that the networks see, in 2 mm pixels."""
REGIONS: Final = ("caudate_right", "caudate_left", "putamen_right", "putamen_left")
GRADES: Final = ("normal", "borderline", "moderately reduced", "strongly reduced", "almost missing")

UNCERTAINTY_PAPER: Final = Paper(
    citation="Budenkotte T, Apostolova I, Opfer R, Krüger J, Klutmann S, Buchert R. Automated identification of "
    "uncertain cases in deep learning-based classification of dopamine transporter SPECT to improve clinical "
    "utility and acceptance. Eur J Nucl Med Mol Imaging 2024;51:1333-1344",
    doi="10.1007/s00259-023-06566-w",
)
ROBUST_PAPER: Final = Paper(
    citation="Buddenkotte T, Buchert R. Unrealistic data augmentation improves the robustness of deep learning-based "
    "classification of dopamine transporter SPECT against variability between sites and between cameras. "
    "J Nucl Med 2024;65:1463-1466",
    doi="10.2967/jnumed.124.267570",
)
REGIONAL_PAPER: Final = Paper(
    citation="Buddenkotte T, Lange C, Klutmann S, Apostolova I, Buchert R. Fully automatic categorical analysis "
    "of striatal subregions in dopamine transporter SPECT using a convolutional neural network. Ann Nucl Med 2025",
    doi="10.1007/s12149-025-02038-3",
)

LATERALITY: Final = (
    "The networks expect x to run from the subject's right to left (index 0 at x = +90 mm, as SPM stores its "
    "templates). dopascope's arrays run from left to right, so flip_x turns them first, then the crop is taken. "
    "Without the flip the regional grades of left and right would be exchanged without any warning."
)
NOT_CALIBRATED: Final = (
    "the networks were published without a calibration set; the mean of their probabilities orders scans and is not "
    "the chance of disease"
)
LIMITS: Final = (
    "Trained on clinical I-123 FP-CIT SPECT only: no other tracer, no PET, no MRI.",
    "A reduced scan does not tell Parkinson's disease from multiple system atrophy or progressive supranuclear palsy.",
    "Needs a good registration to MNI space: a slab 4 mm too high breaks the votes.",
    "Needs the brain around the striatum: voxels outside the brain must not be set to zero.",
    "For research and education. Not a medical device.",
)


@dataclass(frozen=True)
class Recipe:
    """One bundle to be made from the published files."""

    id: str
    title: str
    networks: dict[str, str]
    """Output name to the registered network that its five members are."""
    files: dict[str, str]
    """Output name to the beginning of its weights files' names."""
    input: InputSpec
    vote: VoteRule | None
    grades: GradeRule | None
    training: Training
    papers: tuple[Paper, ...]

    def weights(self) -> dict[str, list[str]]:
        """Output name to the names of its weights files, in order."""
        return {name: [f"{start}_{number}" for number in range(MEMBERS)] for name, start in self.files.items()}

    def outputs(self) -> dict[str, OutputSpec]:
        """The outputs as bundle.json states them."""
        if self.grades is not None:
            shape = [MEMBERS, len(REGIONS), len(GRADES)]
            meaning = "logits of the grades (last axis) of each region, for each network"
            return {name: OutputSpec(role="grade_logit", shape=shape, meaning=meaning) for name in self.files}
        meaning = "logit of 'reduced', for each network"
        return {name: OutputSpec(role="logit", shape=[MEMBERS], meaning=meaning) for name in self.files}


def _slab(clip: tuple[float, float] | None, mean: float, sd: float) -> InputSpec:
    return InputSpec(
        name="image",
        view="slab_12mm",
        intensity="p75_nonstriatal",
        flip_x=True,
        crop=[(9, 9 + SIDE), (29, 29 + SIDE)],
        clip=clip,
        mean=mean,
        sd=sd,
        axes="(batch, channel 1, x from the subject's right to left, y from back to front)",
        shape=[1, SIDE, SIDE],
    )


CLASSIFIER_INPUT: Final = _slab((0.0, 6.5), 0.6048597782240399, 0.6051688035793145)
REGIONAL_INPUT: Final = _slab(None, 0.66, 0.56)

RECIPES: Final = (
    Recipe(
        id="dat-spect-ud",
        title="Expert ensemble (15 networks)",
        networks=dict.fromkeys(("acc", "sens", "spec"), "dat-spect-two-class"),
        files={name: f"network_weights_{name}" for name in ("acc", "sens", "spec")},
        input=CLASSIFIER_INPUT,
        vote=VoteRule(
            groups={
                "acc": Group(threshold=0.5, votes_needed=3),
                "sens": Group(threshold=0.5, votes_needed=2),
                "spec": Group(threshold=0.5, votes_needed=4),
            },
            decides="acc",
            agree=["sens", "spec"],
            probability="acc",
            source="the authors' published rule (doi 10.1007/s00259-023-06566-w): the vote of the five accurate "
            "networks, uncertain where the sensitive and the specific ensemble disagree",
        ),
        grades=None,
        training=Training(
            summary="1,250 clinical I-123 FP-CIT SPECT scans from one centre (Hamburg)",
            details="Development set of 1,740 clinical scans, 1,250 for training and 490 for testing "
            "(doi 10.1007/s00259-023-06566-w).",
        ),
        papers=(UNCERTAINTY_PAPER,),
    ),
    Recipe(
        id="dat-spect-robust",
        title="Robust ensemble (5 networks)",
        networks={"robust": "dat-spect-one-logit"},
        files={"robust": "network_weights_robust"},
        input=CLASSIFIER_INPUT,
        vote=VoteRule(
            groups={"robust": Group(threshold=0.5, votes_needed=3)},
            decides="robust",
            probability="robust",
            source="majority of the five networks (doi 10.2967/jnumed.124.267570)",
        ),
        grades=None,
        training=Training(
            summary="1,100 clinical I-123 FP-CIT SPECT scans from one centre (Hamburg), "
            "strongly unrealistic augmentation",
            details="Homogeneous set of 1,100 scans; Gaussian blurring and additive noise far beyond what cameras do "
            "(doi 10.2967/jnumed.124.267570).",
        ),
        papers=(ROBUST_PAPER,),
    ),
    Recipe(
        id="dat-spect-regional",
        title="Regional ensemble (5 networks)",
        networks={"grades": "dat-spect-regional"},
        files={"grades": "network_weights_reg"},
        input=REGIONAL_INPUT,
        vote=None,
        grades=GradeRule(
            output="grades",
            regions=list(REGIONS),
            grades=list(GRADES),
            reduced_from="moderately reduced",
            source="grades: the most probable one of the mean over the networks (doi 10.1007/s12149-025-02038-3); "
            "the verdict 'reduced' from one region at 'moderately reduced' or worse is dopascope's own rule",
        ),
        training=Training(
            summary="1,957 clinical I-123 FP-CIT SPECT scans of several scanners; "
            "grades set by mixture models, not by readers",
            details="Mixed-scanner part of 3,500 scans from two in-house and two external data sets; reference grades "
            "from a Gaussian mixture model of the binding ratio, separately for caudate, putamen and data set "
            "(doi 10.1007/s12149-025-02038-3).",
        ),
        papers=(REGIONAL_PAPER,),
    ),
)

PUBLISHED_SHA256: Final = {
    "network_weights_acc_0": "228b2e01817f83c5b9e37c4a44d0b9ee0f881dde2c858fd10c1194d076a89fc0",
    "network_weights_acc_1": "a535e5835553cd1010820b6066cb8ebb7fd5d6e9e5c452effcc2737e8d93abb2",
    "network_weights_acc_2": "628fd398c5197f4c8a05e724c5dae02df031fad7b2272ccf1f66fec71cb4a69d",
    "network_weights_acc_3": "9da5fd0dcc430295d50268a7523d722ebd518b8e1218332c970cfa6363610893",
    "network_weights_acc_4": "859b10c2229ce0cdb361e6c7903ed1186a78571db017a4242a5cc07449e77892",
    "network_weights_reg_0": "56479c61eb57d7643e9caabe79bfebf3a476f06592bbc5ca2bc04cb8bd200463",
    "network_weights_reg_1": "033ddfa38126e2b1a380579aa853a8606eab5199e3ce9ddfc45faaeb1a8275e8",
    "network_weights_reg_2": "2740f69368b68808c12541cb11387a2154ff294bb4b1123fa055c35ce698d1d9",
    "network_weights_reg_3": "b5adaa2681f0fe0d785b1908bc311fec1135fd0d7d74eaf9708fcfdbf440d6fe",
    "network_weights_reg_4": "38129a45815339d26051a29ddf5b66af6600a6620460a2846e3d197bd34b651a",
    "network_weights_robust_0": "f652374b4386606931c39be10f049ef82cdb616c0573f4b2f8c427e2c1377b44",
    "network_weights_robust_1": "ffe17131f1223826d66d5642573c22ad9ee1bddf7dc3924a0b115796577a527d",
    "network_weights_robust_2": "9673a50a2da5e8be3dc441a2a7c0fe447d2ab8653f1e59b59d89f4a126184456",
    "network_weights_robust_3": "00be8997793f8268021be0ba8c63c4d5364301c598ef5b34cbe38c625b336e84",
    "network_weights_robust_4": "f0d8df59f66bc0175b74a3fec46ba09b9802e7cc984b602f49d9e74fdcb94a8e",
    "network_weights_sens_0": "7369c72891b9d9efc96fb8ce5a2eba3d9964aca1a227fedc00b01bead5a42401",
    "network_weights_sens_1": "c5084b2be572c9196330c11b6297a48c41d4b1ca9f1d70147aa90b18643d1c05",
    "network_weights_sens_2": "19d8e52536f95447a818c35efad3b582941ebc824a42bd4d8779e1c4f90525cc",
    "network_weights_sens_3": "fc86c4d17becdc2924003050514f40451cc117ca598e4823bfe4d5b293a9bfac",
    "network_weights_sens_4": "a242342c5edef463cb995959f610f3af6db1f4f306afb9ae5477aaeae5bdd57c",
    "network_weights_spec_0": "79baba8a84421d312ec582d15ff0cf20be68bd002739ebbca5f79984b49aef76",
    "network_weights_spec_1": "33070add48e420069b9ba0a8586dde1e83da1195af625fee670c7c98373b51ff",
    "network_weights_spec_2": "8f2e1d6461778258b979016b8a0f767cb7b78f146302a5847ca8c0d2f0e0d0e0",
    "network_weights_spec_3": "3b0d5c2f89909092b60aa0bb0446921ebb38a9a6b9adabcdefc7904be0cc5cc9",
    "network_weights_spec_4": "f809fff3f2babbb96de52eaaa9e1edb922e3100ed3455e749502b440974c336f",
}
"""Digests of the published weights, so that a changed file is not taken for them."""
