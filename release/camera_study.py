"""Judge runs on cameras that they never saw, and write docs/camera_study.md.

    python release/camera_study.py FOLDER RUNS/best RUNS/s1 RUNS/s3 [--models MODELS]

FOLDER is the cohort of release/cameras.py; the first run is compared with all others, with the baselines of its folds
and, with `--models`, with the published networks. For research and education. Not a medical device.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cameras import rows

ROOT = Path(__file__).resolve().parents[1]
PAGE, RESULTS = ROOT / "docs" / "camera_study.md", ROOT / "release" / "results" / "camera_study.json"
ALSO = "predictions-also.tsv"
TITLES = {"truth": "Against the simulated truth", "reader": "Against the noisy reader"}
INTRODUCTION = """# Cameras that were never seen

{scans} simulated scans of seven cameras; each camera is tested by models that learned from the other six, from the
labels of a reader with doubts. Plans and commands were committed (9e3d8f3) before the cohort's seed was drawn. All had
the same time for training in each fold and first weights from simulated people of three further cameras; `s3` ran
without its final model, which takes no part here. Made by `python release/camera_study.py`. Simulated figures say
nothing about patients and are never to be put beside clinical ones.

For research and education. Not a medical device."""
TRIED = """## Tried after the fact

On the same scans, so none of it is evidence; it says what might be worth a study of its own. Log loss and errors
against the simulated truth; the 6 % are the answers nearest to one half, or those on which the parts differ most; the
drop is against the reader."""


def page(folder: Path, runs: list[Path], models: Path | None) -> None:
    """Judge finished runs of one cohort against truth and reader, and write `docs/camera_study.md`."""
    from dopascope import provenance

    found = judged(folder, runs, models)
    provenance.write_text(RESULTS, json.dumps(found, indent=1) + "\n")
    provenance.write_text(PAGE, text_of(found))
    print(PAGE)


def judged(folder: Path, runs: list[Path], models: Path | None) -> dict[str, Any]:
    """All figures of the page, JSON-ready."""
    truth = {row["scan_id"]: row for row in rows(folder / "cohort" / "truth.tsv")}
    tested = {run.name: {row["scan_id"]: row for row in rows(run / "predictions.tsv")} for run in runs}
    first = tested[runs[0].name]
    scans = sorted(set.intersection(*(set(one) for one in tested.values())))
    p = {name: np.array([float(one[scan]["p_abnormal"]) for scan in scans]) for name, one in tested.items()}
    for name in ("sbr-logistic", "sbr-rule", "majority"):
        p[name] = np.array([float(first[scan][f"p_{name}"]) for scan in scans])
    if models is not None:
        p["expert networks"] = experts(folder, runs[0], scans, models)
    people = [first[scan]["participant_id"] for scan in scans]
    verdicts = [first[scan]["verdict"] for scan in scans]
    known = np.array([truth[scan]["abnormal"] != "n/a" for scan in scans])
    judges = {
        "truth": (known, np.array([truth[scan]["abnormal"] == "true" for scan in scans])),
        "reader": (np.ones(len(scans), bool), np.array([first[scan]["label"] == "abnormal" for scan in scans])),
    }
    return {
        "scans": len(scans),
        "cohort": provenance_of(folder),
        "runs": {run.name: settings_of(run) for run in runs},
        "judges": {
            name: figures({reader: values[kept] for reader, values in p.items()}, positive[kept], keep(people, kept))
            | {"flags": flags(p[runs[0].name][kept], positive[kept], keep(verdicts, kept))}
            for name, (kept, positive) in judges.items()
        },
        "tried": tried(runs, tested, judges["truth"], scans),
        "blurred": {run.name: blurred_of(run, tested[run.name]) for run in runs if (run / ALSO).is_file()},
        "metrics": {run.name: shown_metrics(run) for run in runs},
    }


def keep(values: list[str], kept: Any) -> list[str]:
    """The values that are kept."""
    return [value for value, wanted in zip(values, kept, strict=True) if wanted]


def figures(p: dict[str, Any], positive: Any, people: list[str]) -> dict[str, Any]:
    """AUROC, log loss and accuracy of every reader, and the first one's less each other's."""
    from dopascope import score

    wanted = {"auroc": score.auroc, "log_loss": score.log_loss}
    first = next(iter(p))
    told: dict[str, Any] = {"n": len(positive), "readers": {}, "differences": []}
    for name, values in p.items():
        right = int(((values >= 0.5) == positive).sum())
        low, high = score.exact_interval(right, len(positive))
        estimates = score.estimates_of_people(wanted, values, positive, people)
        told["readers"][name] = {key: one.as_dict() for key, one in estimates.items()} | {
            "accuracy": {"value": right / len(positive), "low": low, "high": high}
        }
        if name != first:
            for key, figure in wanted.items():
                one = score.difference_over_people(figure, p[first], values, positive, people)
                told["differences"].append({"figure": key, "less": name, **asdict(one)})
    for line, adjusted in zip(told["differences"], score.holm([one["p"] for one in told["differences"]]), strict=True):
        line["p_holm"] = adjusted
    return told


def tried(runs: list[Path], tested: dict[str, Any], truth: tuple[Any, Any], scans: list[str]) -> list[dict[str, Any]]:
    """Other ways to make one answer of what the first two runs say, and other ways to find its errors."""
    from dopascope import score

    first, second = runs[0].name, runs[1].name
    blurred = {run: {row["scan_id"]: row for row in rows(path / ALSO)} for run, path in zip(tested, runs, strict=True)}
    whole = {run: {f"{scan}_blurred": row for scan, row in one.items()} for run, one in tested.items()}
    copies = [f"{scan}_blurred" for scan in scans if all(f"{scan}_blurred" in one for one in blurred.values())]

    def logit(table: dict[str, Any], column: str, of: list[str]) -> Any:
        p = np.clip([float(table[scan][column]) for scan in of], 1e-6, 1 - 1e-6)
        return np.log(p / (1 - p))

    members = ("p_slab", "p_sequence", "p_ratios")
    ways = {
        f"{first}, as it is": [(first, "p_abnormal")],
        "mean of its members": [(first, one) for one in members],
        "its networks alone": [(first, one) for one in members[:2]],
        f"{first} and {second}": [(first, "p_abnormal"), (second, "p_abnormal")],
        f"its members and {second}": [*((first, one) for one in members), (second, "p_abnormal")],
    }
    known, positive = truth
    found = []
    for way, parts in ways.items():
        z = np.mean([logit(tested[run], column, scans) for run, column in parts], 0)
        before = np.mean([logit(whole[run], column, copies) for run, column in parts], 0) >= 0
        after = np.mean([logit(blurred[run], column, copies) for run, column in parts], 0) >= 0
        read = np.array([tested[first][scan.removesuffix("_blurred")]["label"] == "abnormal" for scan in copies])
        p = 1 / (1 + np.exp(-z[known]))
        wrong = (z[known] >= 0) != positive[known]
        spread = np.std([logit(tested[run], column, scans)[known] for run, column in parts], 0)
        held = {"nearest": -np.abs(z[known])} | ({"differing": spread} if len(parts) > 1 else {})
        last = int(0.06 * len(wrong))
        found.append(
            {
                "way": way,
                "log_loss": score.log_loss(p, positive[known]),
                "errors": int(wrong.sum()),
                "drop": float((before == read).mean() - (after == read).mean()),
                "flagged": {name: int(wrong[np.argsort(-key)[:last]].sum()) for name, key in held.items()},
            }
        )
    return found


def flags(p: Any, positive: Any, verdicts: list[str]) -> dict[str, Any]:
    """How many scans the first run calls uncertain, and how many of its errors they hold."""
    wrong, flagged = (p >= 0.5) != positive, np.array([one == "uncertain" for one in verdicts])
    return {
        "uncertain": share(int(flagged.sum()), len(p)),
        "errors_among_uncertain": share(int((wrong & flagged).sum()), int(wrong.sum())),
    }


def share(part: int, whole: int) -> dict[str, Any]:
    """A share with its exact interval."""
    from dopascope import score

    if not whole:
        return {"value": None, "reason": "none to count"}
    low, high = score.exact_interval(part, whole)
    return {"value": part / whole, "low": low, "high": high, "part": part, "n": whole}


def experts(folder: Path, run: Path, scans: list[str], models: Path) -> Any:
    """Mean probability of the published accurate networks, which never saw a simulated scan, for the placed scans that
    the run keeps."""
    from dopascope.batch.viewing import ViewSettings, see
    from dopascope.bundle import Bundle
    from dopascope.cohort import read_cohort
    from dopascope.study.run import DEFAULT_CACHE

    bundle = Bundle.load(models / "dat-spect-ud", threads=2)
    view, intensity = bundle.spec.input.view, bundle.spec.input.intensity
    wanted = set(scans)
    chosen = [one for one in read_cohort(folder / "reader.tsv") if one.name in wanted]
    seen = see(chosen, [view], run.parent / "experts", ViewSettings(), cache=run.parent / DEFAULT_CACHE)
    found = {}
    for scan, picture, record in zip(seen.scans, seen.views[view], seen.records, strict=True):
        found[scan.name] = bundle.predict_view(picture[0] / record["references"][intensity]).p_abnormal
    return np.array([found[scan] for scan in scans], float)


def blurred_of(run: Path, originals: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Accuracy against the reader on the originals and on their blurred copies, person by person."""
    from dopascope import score

    pairs = []
    for row in rows(run / ALSO):
        whole = originals[row["scan_id"].removesuffix("_blurred")]
        true = row["label"] == "abnormal"
        pairs.append([(float(one["p_abnormal"]) >= 0.5) == true for one in (whole, row)])
    right = np.array(pairs)
    drop = right[:, 0].astype(float) - right[:, 1]
    rng = np.random.default_rng(1)
    draws = [float(drop[rng.integers(0, len(drop), len(drop))].mean()) for _ in range(2000)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return {
        "n": len(right),
        "accuracy": float(right[:, 0].mean()),
        "blurred_accuracy": float(right[:, 1].mean()),
        "drop": {"value": float(drop.mean()), "low": float(low), "high": float(high)},
        "mcnemar_p": score.mcnemar(right[:, 0], right[:, 1]),
    }


def shown_metrics(run: Path) -> dict[str, Any]:
    """Calibration and the third answer, as the run's own metrics have them."""
    pooled = json.loads((run / "metrics.json").read_text())["pooled"]
    return {
        "calibration": pooled["readers"]["answer"]["calibration"],
        "three_way": pooled["three_way"],
        "conformal": pooled["conformal"],
    }


def settings_of(run: Path) -> dict[str, Any]:
    """First weights, and how long all trainings took."""
    facts = [json.loads(path.read_text()) for path in sorted(run.glob("fold-*/*/facts.json"))]
    return {
        "first_weights": sorted({one["first_weights"] for one in facts}),
        "trainings": len(facts),
        "minutes": round(sum(one["seconds"] for one in facts) / 60, 1),
    }


def provenance_of(folder: Path) -> dict[str, str]:
    """What says which cohort it is."""
    from dopascope import provenance

    return {name: provenance.sha256_of(folder / name) for name in ("reader.tsv", "cohort/truth.tsv")}


def text_of(found: dict[str, Any]) -> str:
    """The page in Markdown."""
    trained = [one for one in found["runs"].values() if one["trainings"]]
    bare = not any("f37072fd" in name or "0cc3c7bd" in name for one in trained for name in one["first_weights"])
    parts = [INTRODUCTION.format(scans=found["scans"])]
    for name, judge in found["judges"].items():
        parts.append(f"## {TITLES[name]}{', without ImageNet weights' if bare else ''}\n\n{judge['n']} scans.")
        parts += [_readers(judge), _differences(judge), _flags(next(iter(found["runs"])), judge["flags"])]
    parts.append("p values are adjusted for their number (Holm).")
    lines = ["| run | first weights | trainings | minutes |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {', '.join(one['first_weights']) or 'none'} | {one['trainings']} | {one['minutes']} |"
        for name, one in found["runs"].items()
    ]
    parts.append("## Trainings\n\n" + "\n".join(lines))
    lines = ["| way | log loss | errors | of them among the 6 % | drop when blurred |", "|---|---|---|---|---|"]
    for one in found["tried"]:
        held = ", ".join(f"{count} ({name})" for name, count in one["flagged"].items())
        lines.append(f"| {one['way']} | {one['log_loss']:.4f} | {one['errors']} | {held} | {one['drop']:.4f} |")
    parts.append(TRIED + "\n\n" + "\n".join(lines))
    lines = ["| run | accuracy | blurred | drop |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {one['accuracy']:.3f} | {one['blurred_accuracy']:.3f} | {shown(one['drop'])} |"
        for name, one in found["blurred"].items()
    ]
    parts.append("## Blurred to 18 mm\n\n" + "\n".join(lines))
    lines = [_calibration(name, one) for name, one in found["metrics"].items()]
    parts.append("## Calibration and the third answer\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _readers(judge: dict[str, Any]) -> str:
    lines = ["| reader | AUROC | log loss | accuracy |", "|---|---|---|---|"]
    for reader, one in judge["readers"].items():
        lines.append(f"| {reader} | " + " | ".join(shown(one[key]) for key in ("auroc", "log_loss", "accuracy")) + " |")
    return "\n".join(lines)


def _differences(judge: dict[str, Any]) -> str:
    first, *others = judge["readers"]
    by = {(one["less"], one["figure"]): one for one in judge["differences"]}
    lines = [f"| {first} less | AUROC | p | log loss | p |", "|---|---|---|---|---|"]
    for reader in others:
        cells = [f"{shown(by[reader, key], 4)} | {by[reader, key]['p_holm']:.4f}" for key in ("auroc", "log_loss")]
        lines.append(f"| {reader} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _flags(first: str, judge: dict[str, Any]) -> str:
    uncertain, errors = judge["uncertain"], judge["errors_among_uncertain"]
    return (
        f'{first} answers {shown(uncertain)} of these scans with "uncertain"; they hold {shown(errors)} of its '
        f"{errors.get('n', 0)} errors at one half."
    )


def _calibration(name: str, one: dict[str, Any]) -> str:
    slope = one["calibration"]
    if slope.get("slope") is None:
        told = f"no calibration slope: {slope['reason']}"
    else:
        low, high = slope["slope_interval"]
        told = f"calibration slope {slope['slope']:.2f} ({low:.2f} to {high:.2f})"
    three = {key: shown(value) for key, value in one["three_way"].items()}
    conformal = "none" if one["conformal"] is None else shown(one["conformal"]["coverage"])
    return (
        f"- {name}: {told}; uncertain {three['uncertain']}, holding {three['errors_among_uncertain']} of the errors; "
        f"conformal coverage {conformal}."
    )


def shown(one: dict[str, Any], digits: int = 3) -> str:
    """A figure with its interval."""
    if one.get("value") is None:
        return str(one.get("reason", "n/a"))
    return f"{one['value']:.{digits}f} ({one['low']:.{digits}f} to {one['high']:.{digits}f})"


def main() -> None:
    """Parse and do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--models", type=Path)
    told = parser.parse_args()
    page(told.folder, told.runs, told.models)


if __name__ == "__main__":
    main()
