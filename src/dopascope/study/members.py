"""One member of a study, trained on some scans and asked about others; what came of it is kept in a folder."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from dopascope import provenance
from dopascope.cohort import CohortScan
from dopascope.errors import LeakError, UnreadableError, UsageError
from dopascope.learn import checkpoint
from dopascope.learn.fit import weights_sha256
from dopascope.learn.log import Epoch, log_text
from dopascope.learn.recipe import Recipe
from dopascope.learn.weights import first_weights, pretrained_on
from dopascope.nets import NETWORKS, known
from dopascope.nets.classes import CLASSES
from dopascope.study.extra import with_extra
from dopascope.study.material import Material, sight_of
from dopascope.study.plan import Labels, NetworkMember, Plan, TabularMember, parse
from dopascope.study.plan_text import toml_of
from dopascope.tasks import classify
from dopascope.tasks.tabular import Tabular

Floats = NDArray[np.float64]
ANSWERS: Final = "answers.npz"
FACTS: Final = "facts.json"
WEIGHTS: Final = "weights.npz"


@dataclass(frozen=True)
class Asked:
    """Logits of a trained member."""

    train: Floats
    """For the scans it learned from."""
    test: Floats
    """For the others."""
    grades: Floats | None
    """For the others: probability of each grade of each region (N, 4, 5), or of each class (N, 1, 3); else None."""
    facts: dict[str, Any]


@dataclass(frozen=True)
class Weights:
    """A network member's first weights, fetched once for the whole study."""

    state: dict[str, torch.Tensor] | None
    source: str
    learned_from: frozenset[str] = frozenset()
    """SHA-256 of the scans that they were learned from, as far as they say."""


def weights_of(member: NetworkMember, folder: Path | None) -> Weights:
    """See `learn.weights.first_weights`."""
    state, source = first_weights(member.weights, member.network, folder)
    return Weights(state, source, pretrained_on(member.weights, member.network, folder))


def available(plan: Plan, folder: Path | None) -> tuple[Plan, dict[str, Weights]]:
    """The plan without optional members whose weights cannot be had, and the weights of the others.

    Where the member of the answer is left out, the first one beside it takes its place. Both are told in `assumed`.

    Raises:
        DopascopeError: weights that are not optional cannot be had; see `weights_of`.
    """
    found: dict[str, Weights] = {}
    reasons: dict[str, str] = {}
    for member in plan.networks:
        try:
            found[member.name] = weights_of(member, folder)
        except (UsageError, UnreadableError) as error:
            if not member.optional:
                raise
            reasons[member.name] = f"left out: {error.what} How to bring them: docs/study.md, first weights."
    if not reasons:
        return plan, found
    known = plan.model_dump(exclude_none=True)
    known["members"] = [one for one in known["members"] if one["name"] not in reasons]
    for gone in reasons:
        orphans = [one for one in known["members"] if one.get("beside") == gone]
        for one in orphans[1:]:
            one["beside"] = orphans[0]["name"]
        for one in orphans[:1]:
            del one["beside"]
    known["assumed"] |= {f"members.{name}": reason for name, reason in reasons.items()}
    return parse(toml_of(known), where="the plan without what cannot be had"), found


def check_apart(scans: Sequence[CohortScan], records: Sequence[dict[str, Any]], first: Mapping[str, Weights]) -> None:
    """Nothing where no scan was pretrained on.

    Raises:
        LeakError: first weights were learned from scans that would be tested on.
    """
    for name, weights in first.items():
        known = [
            one.name for one, record in zip(scans, records, strict=True) if record["sha256"] in weights.learned_from
        ]
        if known:
            raise LeakError(
                "First weights were learned from scans of this study.",
                where=f"members.{name}.weights",
                found=f"{len(known)}: {', '.join(known[:10])}",
                expected="weights learned from other people",
                fix="Pretrain on a cohort of another seed.",
            )


def check(member: NetworkMember, weights: Weights, labels: Labels) -> None:
    """Build the network once, so that whatever is wrong is said before hours of work.

    Raises:
        UsageError, BundleError: see `classify.new_network`; `augment.parse`.
    """
    from dopascope.augment import parse

    parse(member.augment)
    Recipe(**member.training.model_dump())
    shape = known(member.network).output_shape
    if member.classes != (shape == classify.CLASSING) or (member.classes and len(labels.classes) != CLASSES):
        raise UsageError(
            "Networks with classes and plans with classes go together.",
            where=f"{member.name}: network, classes",
            found=f"{member.network}, classes = {str(member.classes).lower()}",
            expected=", ".join(name for name, one in NETWORKS.items() if one.output_shape == classify.CLASSING),
            fix="Set classes = true with such a network, and name three labels.classes.",
        )
    if member.grades and shape != classify.GRADING:
        raise UsageError(
            "This network grades no regions.",
            where=f"{member.name}: grades",
            found=member.network,
            expected=", ".join(name for name, one in NETWORKS.items() if one.output_shape == classify.GRADING),
            fix="Leave grades and grade_weight out, or take another network.",
        )
    classify.new_network(member.network, sight_of(member), 1, weights.state, weights.source)


def ask_network(
    member: NetworkMember,
    material: Material,
    images: torch.Tensor,
    train: NDArray[np.int_],
    test: NDArray[np.int_],
    *,
    seed: int,
    weights: Weights,
    folder: Path,
    watched: NDArray[np.int_] | None = None,
    keep_weights: bool = False,
    progress: Callable[[Epoch], None] = lambda _: None,
) -> Asked:
    """Train a network on the scans `train` and ask it about `test`; goes on from what the folder holds.

    Args:
        member: which network, and how.
        material: the cohort.
        images: `material.images(member)`, which several folds share.
        train: rows to learn from.
        test: rows to ask about.
        seed: of first weights, order, augmentation and drop-out.
        weights: taken over first.
        folder: of this training alone.
        watched: rows that schedules and early stopping watch.
        keep_weights: in the folder, when training is over.
        progress: told of every epoch.
    """
    seen = watched if watched is not None else np.empty(0, int)
    rows = [[material.seen.scans[row].name for row in one] for one in (train, test, seen)]
    key = _key(member, seed, weights.source, rows)
    kept = _kept(folder, key)
    if kept is not None and (not keep_weights or (folder / WEIGHTS).is_file()):
        return kept
    net = classify.new_network(member.network, sight_of(member), seed, weights.state, weights.source)
    recipe = Recipe(**member.training.model_dump())
    grades = material.beside(member)
    learned = with_extra(
        member.extra,
        images[train],
        material.positive[train],
        None if grades is None else grades[train],
        seed=seed,
        folder=folder,
    )
    prior = float(learned.positive.mean())
    trained = classify.train(
        net,
        learned.images,
        learned.positive,
        recipe,
        seed=seed,
        grades=learned.grades,
        augment=member.augment,
        watched=(images[seen], material.positive[seen]) if len(seen) else None,
        folder=folder,
        progress=progress,
    )
    facts = {
        "key": key,
        "network": member.network,
        "seed": seed,
        "first_weights": weights.source,
        "prior": prior,
        "effective_prior": recipe.effective_prior(prior),
        "epochs": len(trained.log),
        "best_epoch": trained.best_epoch,
        "stopped": trained.stopped,
        "seconds": round(sum(one.seconds for one in trained.log), 1),
        "weights_sha256": weights_sha256(net),
        "last": asdict(trained.log[-1]),
        **learned.facts,
    }
    tested, graded = classify.logits_and_grades(net, images[test])
    asked = Asked(
        classify.logits(net, images[train]), tested, graded if member.grades or member.classes else None, facts
    )
    if keep_weights:
        _write_npz(folder / WEIGHTS, {name: value.cpu().numpy() for name, value in net.state_dict().items()})
    provenance.write_text(folder / checkpoint.LOG, log_text(trained.log))
    _keep(folder, asked)
    (folder / checkpoint.FILE).unlink(missing_ok=True)
    return asked


def ask_tabular(
    member: TabularMember,
    material: Material,
    features: Floats,
    train: NDArray[np.int_],
    test: NDArray[np.int_],
    *,
    seed: int,
) -> Asked:
    """Fit a simple model on the rows `train` and ask it about `test`."""
    model = Tabular(member.model, seed).fit(features[train], material.positive[train])
    return Asked(
        model.logits(features[train]), model.logits(features[test]), None, {"model": member.model, "seed": seed}
    )


def _key(member: NetworkMember, seed: int, source: str, rows: Sequence[Sequence[str]]) -> str:
    """Of everything that a finished training belongs to; `rows` are names of scans, so their order counts."""
    # Without extra images the key is what it was before there were any, so that finished runs stay finished.
    aside = {"seeds"} | ({"extra"} if member.extra is None else set())  # other seeds do not touch this training
    known = [member.model_dump(mode="json", exclude=aside), seed, source, rows]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def _kept(folder: Path, key: str) -> Asked | None:
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        if facts["key"] != key:
            return None
        with np.load(folder / ANSWERS, allow_pickle=False) as stored:
            return Asked(stored["train"], stored["test"], stored.get("grades"), facts)
    except (OSError, ValueError, KeyError):
        return None


def _keep(folder: Path, asked: Asked) -> None:
    graded = {} if asked.grades is None else {"grades": asked.grades}
    _write_npz(folder / ANSWERS, {"train": asked.train, "test": asked.test, **graded})
    provenance.write_text(folder / FACTS, json.dumps(asked.facts, indent=2) + "\n")


def _write_npz(path: Path, arrays: dict[str, Any]) -> None:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    provenance.write_bytes(path, stream.getvalue())
