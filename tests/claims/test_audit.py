"""Honest papers are left alone, planted faults are caught, and matrices are those of a search by brute force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dopascope.claims import Claim, EvaluationSet, FoldTable, Reported, audit
from dopascope.claims.matrices import allowed
from dopascope.score import Confusion

FIGURES = ("accuracy", "sensitivity", "specificity", "precision", "f1", "mcc", "balanced_accuracy")
PLANTED = 200


def printed(value: float, digits: int, percent: bool) -> Reported:
    found = Reported.of(f"{100 * value:.{digits - 2}f} %" if percent else f"{value:.{digits}f}")
    assert found is not None
    return found


def paper(rng: np.random.Generator) -> Claim:
    """An honest one: figures of a drawn confusion matrix, some of them printed, and a table of folds."""
    n = int(rng.integers(40, 300))
    positives = int(rng.integers(10, n - 10))
    tp, tn = rng.binomial(positives, rng.uniform(0.6, 1)), rng.binomial(n - positives, rng.uniform(0.6, 1))
    matrix = Confusion(int(tp), int(n - positives - tn), int(tn), int(positives - tp))
    digits, percent = int(rng.integers(2, 5)), bool(rng.random() < 0.5)
    chosen = [name for name in FIGURES if rng.random() < 0.6]
    figures = {name: value for name in chosen if (value := matrix.figures()[name]) is not None and value >= 0}
    reported = {name: printed(value, digits, percent) for name, value in figures.items()}
    balanced = matrix.balanced_accuracy or 0.5
    reported["auc"] = printed(float(rng.uniform(balanced, 1)), digits, percent)
    known = {"counts": {name: getattr(matrix, name) for name in ("tp", "fp", "tn", "fn")}} if rng.random() < 0.5 else {}
    part = EvaluationSet("test", n, positives if rng.random() < 0.7 else None, reported=reported, **known)
    sizes = [n // 10 + (k < n % 10) for k in range(10)]
    right = [int(rng.binomial(size, 0.9)) for size in sizes]
    folds = folds_of([k / size for k, size in zip(right, sizes, strict=True)], sizes, digits, percent)
    return Claim("honest", "", (part,), (folds,))


def folds_of(values: list[float], sizes: list[int], digits: int, percent: bool) -> FoldTable:
    mean = float(np.average(values, weights=sizes))
    spread = float(np.std(values, ddof=1))
    shown = tuple(printed(value, digits, percent) for value in values)
    return FoldTable("folds", shown, tuple(sizes), printed(mean, digits, percent), printed(spread, digits, percent))


def alarms(claim: Claim) -> Counter[str]:
    return Counter(one.kind for one in audit(claim) if one.weight != "note")


def cries(papers: int, seed: int) -> int:
    rng = np.random.default_rng(seed)
    return sum(bool(alarms(paper(rng))) for _ in range(papers))


def test_honest_papers_are_left_alone() -> None:
    assert cries(300, 1) <= 3


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ten_thousand_honest_papers_raise_one_percent_of_false_alarms_at_most() -> None:
    found = cries(10_000, 2)
    print(f"{found} of 10,000 honest papers raise an alarm")
    assert found <= 100


def drawn(rng: np.random.Generator, digits: int = 4) -> tuple[int, int, Confusion, Callable[[float], Reported]]:
    n = int(rng.integers(50, 200))
    positives = int(rng.integers(15, n - 15))
    tp, tn = rng.binomial(positives, 0.85), rng.binomial(n - positives, 0.8)
    matrix = Confusion(int(tp), int(n - positives - tn), int(tn), int(positives - tp))
    return n, positives, matrix, lambda value: printed(value, digits, percent=False)


def claim_of(n: int, positives: int | None, reported: dict[str, Reported], **further: object) -> Claim:
    return Claim("", "", (EvaluationSet("test", n, positives, reported=reported, **further),), ())  # type: ignore[arg-type]


def impossible_fraction(rng: np.random.Generator) -> tuple[Claim, set[str]]:
    """An accuracy that no number of right answers gives."""
    n, positives, _, shown = drawn(rng)
    share = (int(rng.integers(n // 2, n - 1)) + 0.5) / n
    return claim_of(n, positives, {"accuracy": shown(share)}), {"share"}


def figures_of_two_matrices(rng: np.random.Generator) -> tuple[Claim, set[str]]:
    """Sensitivity and specificity of one run, accuracy and F1 of another."""
    n, positives, matrix, shown = drawn(rng)
    other = replace(matrix, tp=matrix.tp - 2, fn=matrix.fn + 2)
    reported = {name: shown(float(getattr(matrix, name))) for name in ("sensitivity", "specificity")}
    return claim_of(n, positives, reported | {"accuracy": shown(float(other.accuracy or 0))}), {"matrix"}


def against_the_counts(rng: np.random.Generator) -> tuple[Claim, set[str]]:
    n, positives, matrix, shown = drawn(rng)
    counts = {name: getattr(matrix, name) for name in ("tp", "fp", "tn", "fn")}
    value = float(matrix.precision or 0)
    return claim_of(n, positives, {"precision": shown(value - 0.02)}, counts=counts), {"counts"}


def mistaken_unit(rng: np.random.Generator) -> tuple[Claim, set[str]]:
    """94 % printed as .94 %."""
    n, positives, matrix, _ = drawn(rng)
    counts = {name: getattr(matrix, name) for name in ("tp", "fp", "tn", "fn")}
    text = Reported.of(f"{float(matrix.accuracy or 0):.4f} %")
    assert text is not None
    return claim_of(n, positives, {"accuracy": text}, counts=counts), {"unit"}


def hard_labels(rng: np.random.Generator) -> tuple[Claim, set[str]]:
    n, positives, matrix, shown = drawn(rng, digits=3)
    reported = {name: shown(float(getattr(matrix, name))) for name in ("sensitivity", "specificity", "accuracy")}
    counts = {name: getattr(matrix, name) for name in ("tp", "fp", "tn", "fn")}
    return claim_of(n, positives, reported | {"auc": shown(float(matrix.balanced_accuracy or 0))}, counts=counts), {
        "hard_labels"
    }


def off_by_one(rng: np.random.Generator) -> tuple[Claim, set[str]]:
    sizes = [int(rng.integers(30, 90))] * 10
    values = [int(rng.binomial(size, 0.9)) / size for size in sizes]
    table = folds_of(values, sizes, 4, percent=False)
    wrong = sum(value * size for value, size in zip(values, sizes, strict=True)) / (sum(sizes) + 1)
    return Claim("", "", (), (replace(table, mean=printed(wrong, 4, percent=False)),)), {"off_by_one"}


def dropped_batch(rng: np.random.Generator) -> tuple[Claim, set[str]]:
    sizes = [int(rng.integers(60, 90))] * 10
    values = [int(rng.binomial(size - 16, 0.85)) / (size - 16) for size in sizes]
    return Claim("", "", (), (replace(folds_of(values, sizes, 4, percent=False), batch=16),)), {"share"}


def two_kinds_of_objects(rng: np.random.Generator) -> tuple[Claim, set[str]]:
    jaccard = float(rng.uniform(0.5, 0.9))
    f1 = 2 * jaccard / (1 + jaccard) + float(rng.uniform(0.02, 0.1))
    reported = {"f1": printed(min(f1, 1), 3, percent=False), "jaccard": printed(jaccard, 3, percent=False)}
    return claim_of(100, None, reported, counts={"tp": 1, "fp": 0, "fn": 0}), {"f1_jaccard"}


FAULTS = [
    impossible_fraction,
    figures_of_two_matrices,
    against_the_counts,
    mistaken_unit,
    hard_labels,
    off_by_one,
    dropped_batch,
    two_kinds_of_objects,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_nine_of_ten_planted_faults_are_caught_and_named(fault: Callable) -> None:
    rng = np.random.default_rng(7)
    caught = sum(bool(set(alarms(claim)) & kinds) for claim, kinds in (fault(rng) for _ in range(PLANTED)))
    print(f"{fault.__name__}: {caught} of {PLANTED} caught")
    assert caught >= 0.9 * PLANTED


@given(st.data())
def test_allowed_matrices_are_those_of_a_search_by_brute_force(data: st.DataObject) -> None:
    n = data.draw(st.integers(3, 14))
    positives = data.draw(st.integers(1, n - 1))
    tp, tn = data.draw(st.integers(0, positives)), data.draw(st.integers(0, n - positives))
    matrix = Confusion(tp, n - positives - tn, tn, positives - tp)
    names = data.draw(st.sets(st.sampled_from((*FIGURES, "jaccard", "negative_precision")), min_size=1))
    values = {name: value for name in names if (value := matrix.figures()[name]) is not None and value >= 0}
    reported = {name: printed(value, 2, percent=False) for name, value in values.items()}
    known = data.draw(st.sampled_from((positives, None)))
    every = [
        Confusion(a, n - cases - b, b, cases - a)
        for cases in ([positives] if known else range(1, n))
        for a in range(cases + 1)
        for b in range(n - cases + 1)
    ]
    expected = [
        one
        for one in every
        if all((value := one.figures()[name]) is not None and shown.allows(value) for name, shown in reported.items())
    ]
    assert sorted(map(repr, allowed(n, known, {}, reported))) == sorted(map(repr, expected))


@pytest.mark.parametrize(
    ("text", "value", "half"), [("94.03 %", 0.9403, 5e-5), ("0.966", 0.966, 5e-4), (".8", 0.8, 0.05), ("1", 1, 0.5)]
)
def test_a_printed_number_knows_how_far_it_was_rounded(text: str, value: float, half: float) -> None:
    found = Reported.of(text)
    assert found is not None
    assert (found.value, found.half) == pytest.approx((value, half))
    assert Reported.of("about 0.9") is None
