"""What the page of a study says in words."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from dopascope.report.study_folder import Run
from dopascope.score import p_words

NETWORKS: Final = {
    "resnet18": ("7 x 7 convolution", "4 stages of residual blocks", "global average", "2 outputs, softmax"),
    "inceptionv3-s3": ("InceptionV3 base", "global average", "dense 128, ReLU", "drop-out 0.5", "1 output, sigmoid"),
    "slab": ("strided convolution, 16", "residual", "strided convolution, 32", "residual", "64, residual x 2", "max"),
    "slab-classes": ("strided convolution, 16", "residual", "32", "residual", "64, residual x 2", "mean", "3 classes"),
    "sequence": ("3 convolutions a slice", "max a slice", "GRU over slices", "gated attention", "1 output"),
}
"""Network -> its layers in words."""
SCANS: Final = {"dat": "DaT SPECT", "t1": "T1-weighted"}
TITLES: Final = {"auroc": "AUROC", "log_loss": "log loss", "accuracy": "accuracy"}


def estimate(one: dict[str, Any]) -> str:
    """A figure with its interval."""
    if one.get("value") is None:
        return str(one.get("reason", "n/a"))
    return f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"


def headline(pooled: dict[str, Any]) -> str:
    """The answer's main figures."""
    answer = pooled["readers"]["answer"]
    scans, people = answer["auroc"]["n"], answer["auroc"]["people"]
    return (
        f"AUROC {estimate(answer['auroc'])}, log loss {estimate(answer['log_loss'])}, "
        f"accuracy {estimate(answer['accuracy'])} on {scans} scans of {people} people, each left out once."
    )


def beside(pooled: dict[str, Any]) -> str:
    """What needs no network."""
    readers = pooled["readers"]
    if "volumes-logistic" in readers:
        return (
            f"Beside it: logistic regression on volumes of caudate, putamen, midbrain and pons AUROC "
            f"{estimate(readers['volumes-logistic']['auroc'])}, log loss "
            f"{estimate(readers['volumes-logistic']['log_loss'])}; always the more frequent class, accuracy "
            f"{estimate(readers['majority']['accuracy'])}."
        )
    return (
        f"Beside it: logistic regression on binding ratios AUROC {estimate(readers['sbr-logistic']['auroc'])}, "
        f"log loss {estimate(readers['sbr-logistic']['log_loss'])}; the binding-ratio rule, fitted to nothing here, "
        f"accuracy {estimate(readers['sbr-rule']['accuracy'])}; always the more frequent class, "
        f"accuracy {estimate(readers['majority']['accuracy'])}."
    )


def two_aurocs(pooled: dict[str, Any]) -> str:
    """The AUROC of probabilities and what is left of it where they are cut to yes and no first, side by side."""
    answer = pooled["readers"]["answer"]
    shared = answer.get("auroc_allowing_for_folds")
    wide = f" ({shared['low']:.3f} to {shared['high']:.3f} allowing for what the folds' models share)" if shared else ""
    return (
        f"AUROC of the probabilities {estimate(answer['auroc'])}{wide}; an AUROC of hard labels, cut at one half, "
        f"would be {estimate(answer['balanced_accuracy'])}: that is the balanced accuracy under another name."
    )


def matched_null(one: dict[str, Any]) -> str:
    """What is compared, and in what alone it differs."""
    own, other = one["values"]
    return (
        f"{one['null']} is the matched null of {one['of']}: the same folds, seeds and steps; {one['setting']} is {own} "
        f"instead of {other}. It takes no part in the answer; the differences are below."
    )


def classes(one: dict[str, Any]) -> list[tuple[str, int, list[str]]]:
    """A network's lines of the table of classes: class, how many scans, and its figures."""
    return [
        (name, sum(line), [estimate(one["recall"][name]), estimate(one["auroc_against_others"][name])])
        for name, line in zip(one["classes"], one["confusion"], strict=True)
    ]


def classes_headline(one: dict[str, Any]) -> str:
    """A network's share of right classes, beside always the most frequent one."""
    return (
        f"{one['member']}: the right class for {estimate(one['accuracy'])} of {one['n']} scans; always the most "
        f"frequent class would be right for {estimate(one['most_frequent'])}."
    )


def data_flow(plan: dict[str, Any], modality: str) -> list[str]:
    """The way of a scan, step by step."""
    views = sorted({one["view"] for one in plan["members"] if one["kind"] == "network"})
    combine = plan.get("answer", {}).get("combine", "mean")
    joined = {"mean": "mean of logits", "stack": "stack fitted on inner folds"}[combine]
    last = [joined] if len(plan["members"]) > 1 else []
    calibration = plan.get("answer", {}).get("calibration", "none")
    last += [f"{calibration} calibration"] if calibration != "none" else []
    colours = sorted({one["colour"] for one in plan["members"] if one.get("colour", "none") != "none"})
    tabular = any(one["kind"] == "tabular" for one in plan["members"])
    placed = {
        "dat": ["passport", "registration to MNI", *(["binding ratios"] if tabular else [])],
        "t1": ["brain mask", "N4", "affine to MNI", *(["volumes"] if tabular else [])],
    }[modality]
    return [
        "DICOM or NIfTI",
        *placed,
        *([" | ".join(views)] if views else []),
        "intensity scale" if modality == "dat" else "z-score in the brain",
        *([" | ".join(colours)] if colours else []),
        *(["augmentation (training)"] if any(one.get("augment") for one in plan["members"]) else []),
        " | ".join(one["name"] for one in plan["members"]),
        *last,
        "probability, verdict",
    ]


def architectures(plan: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Each member with its parts."""
    found = []
    for one in plan["members"]:
        if one["kind"] == "tabular":
            features = ", ".join([*one["features"], *one.get("covariates", [])])
            found.append((one["name"], [features, "scaled", one["model"], "logit"]))
        else:
            image = f"{one['view']}, {' + '.join(one['intensity'])}"
            layers = NETWORKS.get(one["network"], (one["network"],))
            found.append((one["name"], [image, "less mean, over spread", *layers, "logit"]))
    return found


def trainings(run: Run) -> list[str]:
    """For each network: how its trainings ended, and which share of positives its loss behaved as if it saw."""
    lines = []
    networks = [one for one in run.trainings if "epochs" in one]
    for name in dict.fromkeys(one["member"] for one in networks):
        own = [one for one in networks if one["member"] == name]
        ended = ", ".join(f"{count} by {why}" for why, count in Counter(one["stopped"] for one in own).most_common())
        epochs = [one["epochs"] for one in own]
        prior, seen = (sum(one[key] for one in own) / len(own) for key in ("prior", "effective_prior"))
        lines.append(
            f"{name}: {len(own)} trainings of {min(epochs)} to {max(epochs)} epochs (ended: {ended}), "
            f"{sum(one['seconds'] for one in own) / 60:.1f} minutes in all. {prior:.0%} of the scans are positive; "
            f"with its weights and sampling the loss behaves as if {seen:.0%} were."
        )
    return lines


def difference(one: dict[str, Any]) -> tuple[str, str, str]:
    """What, how much, and whether it is more than chance."""
    what = f"{TITLES[one['figure']]}, less {one['less']}"
    size = f"{one['value']:+.4f}"
    if "low" in one:
        size += f" ({one['low']:+.4f} to {one['high']:+.4f})"
    return what, size, p_words(one["p_holm"]).removeprefix("p ")


def grade(one: dict[str, Any]) -> tuple[str, str, int, list[str]]:
    """A network's grades of one region beside the table's."""
    cells = [estimate(one[name]) for name in ("kappa", "same", "within_one", "most_frequent")]
    return one["member"], one["region"], one["n"], cells


def calibration(pooled: dict[str, Any], answers: dict[str, Any]) -> list[str]:
    """How far the probabilities can be taken at their word."""
    answer = pooled["readers"]["answer"]
    slope = answer["calibration"]
    ece = answer["ece"]
    lines = [
        f"Adaptive ECE {ece['value']:.3f}; a calibrated answer has {ece['by_chance']:.3f} by chance on as many scans."
    ]
    if slope.get("slope") is None:
        lines.append(f"No calibration slope: {slope['reason']}")
    else:
        low, high = slope["slope_interval"]
        held = "contains 1" if low <= 1 <= high else "does not contain 1"
        lines.append(
            f"Calibration slope {slope['slope']:.2f} ({low:.2f} to {high:.2f}), which {held}; intercept "
            f"{slope['intercept']:.2f} ({slope['intercept_interval'][0]:.2f} to {slope['intercept_interval'][1]:.2f})."
        )
    reasons = sorted({one["reason"] for one in answers.values() if one["reason"]})
    lines += [f"Not everything could be fitted: {reason}." for reason in reasons]
    return lines


def bracket(found: dict[str, Any] | None, place: str) -> list[str]:
    """What a probability may come to at a camera or site that drifts as the left-out ones did."""
    if found is None:
        return []
    if "reason" in found:
        return [found["reason"]]
    ranges = [
        f"{p:g}: {low:.2f} to {high:.2f}" for p, low, high in zip(found["p"], found["low"], found["high"], strict=True)
    ]
    few = f" Left out with too few scans: {', '.join(found['left_out'])}." if found["left_out"] else ""
    return [
        f"Calibration bracket: what a probability comes to when a new {place} drifts as one of the "
        f"{len(found['places'])} left-out ones did, lowest and highest. {'; '.join(ranges)}. It holds the noise of "
        f"few scans too, and a {place} unlike all of them may lie outside.{few}"
    ]


def three_way(pooled: dict[str, Any]) -> list[str]:
    """What the third answer is worth."""
    known = {name: estimate(one) for name, one in pooled["three_way"].items()}
    errors = pooled["three_way"]["errors_among_uncertain"]
    if pooled["three_way"]["uncertain"]["value"] == 0 and pooled["conformal"] is None:
        return ["No scan is answered 'uncertain': the plan has no third answer."]
    lines = [
        f"Uncertain: {known['uncertain']} of the scans; "
        + (f"among them {known['errors_among_uncertain']} of the errors; " if errors["n"] else "there are no errors; ")
        + f"accuracy of the others {known['accuracy_of_the_others']}."
    ]
    if pooled["conformal"] is not None:
        held = {name: estimate(one) for name, one in pooled["conformal"].items()}
        lines.append(
            f"Conformal limits: the true class is allowed for {held['coverage']} of the scans (abnormal "
            f"{held['coverage_positive']}, normal {held['coverage_negative']}); both or neither are for "
            f"{held['uncertain']}."
        )
    return lines


def subgroup(one: dict[str, Any]) -> tuple[str, int, list[str]]:
    """A line of the table of subgroups."""
    name = f"{one['by']}: {one['group']}"
    if "reason" in one:
        return name, one["n"], [one["reason"], "", ""]
    return name, one["n"], [estimate(one[figure]) for figure in ("auroc", "log_loss", "accuracy")]


def seed_noise(known: dict[str, Any]) -> list[str]:
    """What another seed alone changes."""
    lines = []
    for name, one in known.items():
        if "reason" in one:
            lines.append(f"{name}: {one['reason']}.")
        else:
            spread = ", ".join(f"{TITLES[figure]} {one[figure]['sd']:.4f}" for figure in ("auroc", "log_loss"))
            lines.append(f"{name}: standard deviation over {one['seeds']} seeds: {spread}.")
    return lines


def paper(run: Run) -> list[tuple[str, str, str]]:
    """Figure, as the paper reports it, and as found here."""
    reported = run.plan.get("paper", {}).get("reported", {})
    part = run.metrics.get("final", run.metrics["pooled"])
    answer = part["readers"]["answer"]
    return [(name, text, estimate(answer[name]) if name in answer else "n/a") for name, text in reported.items()]


def methods(run: Run) -> str:
    """A paragraph for a paper, made of what was done."""
    plan, metrics = run.plan, run.metrics
    how = plan["validation"]
    folds = (
        f"leaving out one {how['leave_out']} at a time"
        if how.get("leave_out")
        else f"in {how['folds']} stratified folds of whole people"
    )
    inner = (
        f" Combination, calibration and limits were fitted on {how['inner']} inner folds of each training set."
        if how.get("inner")
        else " Nothing was fitted on inner folds."
    )
    networks = "; ".join(_trained(one) for one in plan["members"] if one["kind"] == "network")
    software = run.environment
    return (
        f"{metrics['scans']} {SCANS[metrics.get('modality', 'dat')]} scans of {metrics['people']} people "
        f"({', '.join(metrics['positive'])} against {', '.join(plan['labels']['negative'])}) were registered to MNI "
        f"space and tested {folds} (seed {how.get('seed', 1)}).{inner}"
        + (f" Networks: {networks}." if networks else "")
        + f" Intervals are 95 %: bootstrap over people (2,000 draws), exact for shares of counted scans; differences "
        f"are paired, p values adjusted by Holm. dopascope {software['dopascope']}, torch {software['torch']}."
    )


def _trained(one: dict[str, Any]) -> str:
    training = one["training"]
    return (
        f"{one['name']} ({one['network']}, first weights {one.get('weights', 'none')}) on {one['view']}, "
        f"{training.get('optimiser', 'adam')} {training['learning_rate']:g}, "
        f"batch {training['batch']}, at most {training['epochs']} epochs"
        + (f" or {training['minutes']:g} minutes" if training.get("minutes") else "")
    )
