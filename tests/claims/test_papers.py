"""The five papers: every finding that can be checked by hand is printed."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from dopascope.cli.app import app

EXPECTED = {
    "s1": ["no number of scans is stated"],
    "s2": [
        "one confusion matrix only gives these figures: TP 57, FP 4, TN 6, FN 0",
        "accuracy 63/67: 0.856 to 0.977",
        "specificity 6/10: 0.313 to 0.832",
        "sensitivity 57/57: 0.937 to 1.000",
        "MCC 0.749",
        "57/67 = 85.07 %",
        "above the baseline of 75 %",
        "AUC 0.8 = (sensitivity + specificity) / 2 = (1 + 0.6) / 2 exactly: it was computed from hard labels",
        "75 % is not k/67 (50/67 = 74.6 %, 51/67 = 76.1 %): rounded, or of another set",
        "negatives are 14.9 % of this set, not 20 % as in the whole: the split is not stratified",
    ],
    "s3": [
        "the mean of the folds is 0.9659; the printed 0.9645 is the weighted sum divided by 660 in place of 659",
        "the mean of the folds is 0.9892; the printed 0.9890 is the weighted sum divided by 5932 in place of 5931",
        "the mean of the folds is 0.1331; the printed 0.1329 is the weighted sum divided by 660 in place of 659",
        "+-0.0128 is the population standard deviation",
        "+-0.0161 is the population standard deviation",
        "all are k/50 or k/49 (50 = 66 - 16, 49 = 65 - 16): one batch of 16 was dropped",
        "settings were chosen on all 659 scans",
        "sensitivity 88/89: 0.939 to 0.998; specificity 42/43: 0.879 to 0.996",
    ],
    "s4": ["no number of scans is stated"],
    "s5": [
        "sensitivity 0.885, precision 0.868, F1 0.876, IoU 0.780",
        "F1 0.88 and IoU 0.678 cannot be of the same objects (IoU 0.678 <-> F1 0.808)",
        "TP + FN = 104 = 100 test + 4",
        "IoU 67.76: the counts give 0.7797",
    ],
}


@pytest.mark.parametrize("paper", EXPECTED)
def test_the_findings_of_each_paper(paper: str) -> None:
    ended = CliRunner().invoke(app, ["audit-claim", paper])
    assert ended.exit_code == 0, ended.output
    for text in EXPECTED[paper]:
        assert text in ended.stdout, text
    told = json.loads(CliRunner().invoke(app, ["audit-claim", paper, "--json"]).stdout)
    assert all(one["text"] in ended.stdout for one in told["findings"])


def test_what_is_called_impossible_in_each_paper() -> None:
    kinds = {}
    for paper in EXPECTED:
        told = json.loads(CliRunner().invoke(app, ["audit-claim", paper, "--json"]).stdout)
        kinds[paper] = sorted(one["kind"] for one in told["findings"] if one["weight"] != "note")
    assert kinds == {
        "s1": [],
        "s2": [],
        "s3": ["off_by_one", "off_by_one", "off_by_one", "share"],
        "s4": [],
        "s5": ["counts", "f1_jaccard", "sizes"],
    }
