"""Every check of a claim, each as a sentence: what cannot be, what is suspect, and what is to be known beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dopascope.claims.claim import FIGURES, Claim, EvaluationSet
from dopascope.claims.finding import Finding
from dopascope.claims.folds import fold_findings
from dopascope.claims.matrices import LARGEST, LARGEST_KNOWN, allowed
from dopascope.claims.reported import Reported
from dopascope.score import Confusion, wilson_interval

PLACES: Final = 3
"""Digits after the point from which on an AUC that equals the balanced accuracy is no chance."""
PERCENT: Final = (100.0, 0.01)
_WITH_COUNTS: Final = ("tp", "fp", "tn", "fn")
_OF_OBJECTS: Final = {"tp", "fp", "fn"}
_WITHOUT_TN: Final = ("sensitivity", "precision", "f1", "jaccard")


def audit(claim: Claim) -> list[Finding]:
    """What the claim's numbers say of each other, in the order of the claim."""
    return [
        *(one for part in claim.sets for one in set_findings(part)),
        *(one for part in claim.folds for one in fold_findings(part)),
    ]


def set_findings(part: EvaluationSet) -> list[Finding]:
    """Findings of one set of scans."""
    derived = {name: one for name, one in part.reported.items() if name in FIGURES}
    found = list(_sizes(part))
    matrix = _counted(part)
    if set(part.counts) >= _OF_OBJECTS:
        found += _against_counts(part, derived)
    elif part.n is not None:
        matrix, more = _from_figures(part, part.n, derived)
        found += more
    else:
        text = "no number of scans is stated, so nothing can be compared and no interval be formed"
        found.append(Finding("no_number", "note", part.name, text))
    found += _f1_and_jaccard(part)
    if matrix is not None:
        found += _said_by(part, matrix)
    if part.tuned_on:
        text = f"settings were chosen on {part.tuned_on}, and the scans of this set were among them"
        found.append(Finding("tuned_on_test", "note", part.name, text))
    return found


def _sizes(part: EvaluationSet) -> Iterator[Finding]:
    counts = part.counts
    if part.n is None or "tp" not in counts or "fn" not in counts:
        return
    objects = counts["tp"] + counts["fn"]
    whole = len(counts) == len(_WITH_COUNTS)
    total = sum(counts.values()) if whole else objects
    expected = part.n if whole or part.positives is None else part.positives
    if total == expected or (not whole and objects < expected):
        return
    sums = " + ".join(name.upper() for name in (_WITH_COUNTS if whole else ("tp", "fn")))
    if part.further and total == expected + part.further:
        text = f"{sums} = {total} = {expected} test + {part.further}: the {part.further} further ones were counted too"
    else:
        text = f"{sums} = {total}, but {expected} are stated"
    yield Finding("sizes", "impossible", part.name, text)


def _counted(part: EvaluationSet) -> Confusion | None:
    """The matrix that is printed whole."""
    if len(part.counts) < len(_WITH_COUNTS):
        return None
    return Confusion(**{name: part.counts[name] for name in _WITH_COUNTS})


def _against_counts(part: EvaluationSet, derived: dict[str, Reported]) -> Iterator[Finding]:
    """Each figure against the printed counts; without TN, those that do not need it."""
    counts = {"tn": 0, **part.counts}
    figures = Confusion(**{name: counts[name] for name in _WITH_COUNTS}).figures()
    known = {name: value for name, value in figures.items() if "tn" in part.counts or name in _WITHOUT_TN}
    if "tn" not in part.counts:
        given = ", ".join(f"{_word(name)} {value:.3f}" for name, value in known.items() if value is not None)
        yield Finding("figures", "note", part.name, f"the counts give {given}")
    for name, one in derived.items():
        value = known.get(name)
        if value is not None and not one.allows(value):
            yield _contradiction(part, name, one, value)


def _contradiction(part: EvaluationSet, name: str, one: Reported, value: float) -> Finding:
    for factor in PERCENT:
        if one.times(factor).allows(value):
            text = f"{_word(name)} {one.text}: the counts give {value:.4g}, so the unit is mistaken"
            return Finding("unit", "impossible", part.name, text)
    return Finding("counts", "impossible", part.name, f"{_word(name)} {one.text}: the counts give {value:.4g}")


def _from_figures(part: EvaluationSet, n: int, derived: dict[str, Reported]) -> tuple[Confusion | None, list[Finding]]:
    """The only matrix that the figures allow, if there is one only; and what speaks against them."""
    impossible = list(_no_shares(part, n, derived))
    if impossible or not derived or n > (LARGEST if part.positives is None else LARGEST_KNOWN):
        return None, impossible
    matrices = allowed(n, part.positives, part.counts, derived)
    if not matrices:
        return None, [_no_matrix(part, n, derived)]
    if len(matrices) == 1:
        one = matrices[0]
        text = f"one confusion matrix only gives these figures: TP {one.tp}, FP {one.fp}, TN {one.tn}, FN {one.fn}"
        return one, [Finding("matrix", "note", part.name, text)]
    return None, [Finding("matrix", "note", part.name, f"{len(matrices)} confusion matrices give these figures")]


def _no_shares(part: EvaluationSet, n: int, derived: dict[str, Reported]) -> Iterator[Finding]:
    """Figures that are no share of the scans they are of."""
    sizes = {"accuracy": n}
    if part.positives is not None:
        sizes |= {"sensitivity": part.positives, "specificity": n - part.positives}
    for name, size in sizes.items():
        one = derived.get(name)
        if one is not None and size and one.share_of(size) is None:
            fits = next((factor for factor in PERCENT if _times_fits(one, factor, size)), None)
            kind = "share" if fits is None else "unit"
            text = f"{_word(name)} {_no_share(one, size)}"
            yield Finding(kind, "impossible", part.name, text + ("" if fits is None else ": is the unit mistaken?"))


def _times_fits(one: Reported, factor: float, size: int) -> bool:
    moved = one.times(factor)
    return moved.value <= 1 and moved.value >= 0.05 and moved.half < 0.5 / size and moved.share_of(size) is not None


def _no_share(one: Reported, size: int) -> str:
    below = min(max(int(one.value * size), 0), size)
    near = [k for k in (below, below + 1) if k <= size]
    nearest = ", ".join(f"{k}/{size} = {100 * k / size:.1f} %" for k in near)
    return f"{one.text} is not k/{size} ({nearest})"


def _no_matrix(part: EvaluationSet, n: int, derived: dict[str, Reported]) -> Finding:
    """No matrix gives all figures: say which pair of them cannot be together, if it is a pair."""
    names = list(derived)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            pair = {first: derived[first], second: derived[second]}
            if not allowed(n, part.positives, part.counts, pair):
                text = " and ".join(f"{_word(name)} {one.text}" for name, one in pair.items())
                return Finding("matrix", "impossible", part.name, f"no confusion matrix of {n} scans gives {text}")
    every = ", ".join(f"{_word(name)} {one.text}" for name, one in derived.items())
    return Finding("matrix", "impossible", part.name, f"no confusion matrix of {n} scans gives all of {every}")


def _f1_and_jaccard(part: EvaluationSet) -> Iterator[Finding]:
    """F1 = 2 J / (1 + J) of the same objects, whatever they are."""
    f1, jaccard = part.reported.get("f1"), part.reported.get("jaccard")
    if f1 is None or jaccard is None:
        return
    # A Jaccard index that is printed without its percent sign is read with it.
    meant = jaccard if jaccard.value <= 1 else jaccard.times(0.01)
    low, high = (2 * j / (1 + j) for j in (meant.value - meant.half, meant.value + meant.half))
    if high < f1.value - f1.half or low > f1.value + f1.half:
        text = (
            f"F1 {f1.text} and IoU {meant.value:.3g} cannot be of the same objects "
            f"(IoU {meant.value:.3g} <-> F1 {2 * meant.value / (1 + meant.value):.3f})"
        )
        yield Finding("f1_jaccard", "impossible", part.name, text)


def _said_by(part: EvaluationSet, matrix: Confusion) -> Iterator[Finding]:
    """What follows from the confusion matrix and stands in no paper."""
    given = ", ".join(f"{_word(name)} {value:.3f}" for name, value in matrix.figures().items() if value is not None)
    yield Finding("figures", "note", part.name, f"the counts give {given}")
    shares = {
        "accuracy": (matrix.tp + matrix.tn, matrix.n),
        "sensitivity": (matrix.tp, matrix.positives),
        "specificity": (matrix.tn, matrix.negatives),
    }
    ends = {name: (wilson_interval(k, n), k, n) for name, (k, n) in shares.items() if n}
    text = "; ".join(f"{name} {k}/{n}: {low:.3f} to {high:.3f}" for name, ((low, high), k, n) in ends.items())
    yield Finding("intervals", "note", part.name, f"95 % intervals (Wilson): {text}")
    yield from _majority(part, matrix, ends["accuracy"][0])
    yield from _hard_labels(part, matrix)
    yield from _class_share(part, matrix)


def _majority(part: EvaluationSet, matrix: Confusion, interval: tuple[float, float]) -> Iterator[Finding]:
    most = max(matrix.positives, matrix.negatives)
    share = most / matrix.n
    inside = interval[0] <= share <= interval[1]
    text = f"always the larger class would be right in {most}/{matrix.n} = {100 * share:.2f} %"
    place = "inside" if inside else "below" if share < interval[0] else "above"
    text += f", {place} the interval of the accuracy ({interval[0]:.3f} to {interval[1]:.3f})"
    baseline = part.reported.get("baseline_accuracy")
    if baseline is not None and share > baseline.value + baseline.half:
        text += f", and above the baseline of {baseline.text}"
    yield Finding("majority", "note", part.name, text)
    if baseline is not None and abs(baseline.value * matrix.n - round(baseline.value * matrix.n)) > 1e-6:
        text = f"baseline {_no_share(baseline, matrix.n)}: rounded, or of another set"
        yield Finding("baseline_share", "note", part.name, text)


def _hard_labels(part: EvaluationSet, matrix: Confusion) -> Iterator[Finding]:
    auc, balanced = part.reported.get("auc"), matrix.balanced_accuracy
    if auc is None or balanced is None or not auc.allows(balanced) or balanced == 1:
        return
    text = (
        f"AUC {auc.text} = (sensitivity + specificity) / 2 = ({matrix.sensitivity:.4g} + {matrix.specificity:.4g}) / 2"
        f"{' exactly' if abs(balanced - auc.value) < 1e-12 else ''}: it was computed from hard labels, not from scores"
    )
    certain = auc.decimals >= PLACES
    yield Finding(
        "hard_labels", "suspect" if certain else "note", part.name, text + ("" if certain else ", or it is chance")
    )


def _class_share(part: EvaluationSet, matrix: Confusion) -> Iterator[Finding]:
    whole = part.whole_negative_share
    if whole is None:
        return
    expected = [(whole.value + end) * matrix.n for end in (-whole.half, whole.half)]
    if not expected[0] - 1 <= matrix.negatives <= expected[1] + 1:
        text = (
            f"negatives are {100 * matrix.negatives / matrix.n:.1f} % of this set, not {whole.text} as in the whole: "
            "the split is not stratified"
        )
        yield Finding("class_share", "note", part.name, text)


def _word(name: str) -> str:
    return {"f1": "F1", "mcc": "MCC", "jaccard": "IoU"}.get(name, name.replace("_", " "))
