"""Small plans: one for tests that change a line of it, one that goes every road of a study."""

from __future__ import annotations

PEOPLE = 16
"""In the cohort that these plans are run on."""

SMALL = """
form = "dopascope.plan/1"
name = "small"
title = "A small plan"
[labels]
positive = ["PD"]
negative = ["control"]
[[members]]
kind = "network"
name = "slab"
network = "slab"
view = "slab_12mm"
intensity = ["p75_nonstriatal"]
top = 6.5
[members.training]
epochs = 2
batch = 8
learning_rate = 1e-3
[validation]
folds = 3
"""

NESTED = (
    SMALL.replace("folds = 3", "folds = 2\ninner = 2\nfinal = 'all'")
    .replace(
        "[validation]",
        "[[members]]\nkind = 'tabular'\nname = 'ratios'\nmodel = 'logistic'\nfeatures = ['sbr']\n"
        "covariates = ['age', 'sex']\n[validation]",
    )
    .replace("top = 6.5", "top = 6.5\nseeds = [1, 2]\naugment = [{ kind = 'flip' }, { kind = 'pose' }]")
    + "[answer]\ncombine = 'stack'\ncalibration = 'platt'\nuncertain = 0.1\nalpha = 0.4\n"
)
"""Every road of a study in one small plan."""
