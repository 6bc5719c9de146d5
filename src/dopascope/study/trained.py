"""The networks of a finished run, taken up again from their weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dopascope.errors import UnreadableError, UsageError
from dopascope.learn.fit import Standardised, weights_sha256
from dopascope.study.folder import PLAN
from dopascope.study.material import sight_of
from dopascope.study.members import FACTS, WEIGHTS
from dopascope.study.people import FINAL
from dopascope.study.plan import NetworkMember, Plan, parse
from dopascope.tasks.classify import Sight, new_network


@dataclass(frozen=True)
class Trained:
    """One network of a run."""

    name: str
    """Of its folder, such as `slab-seed-1-inner-2`."""
    member: NetworkMember
    sight: Sight
    net: Standardised


def networks_of(run: Path, fold: str = FINAL) -> list[Trained]:
    """The networks that a run kept of a fold, by default of its final model.

    Raises:
        UsageError: it is no run, or kept no weights of this fold.
        UnreadableError: weights are damaged, or not those of the training that the folder tells of.
    """
    plan = _plan(run)
    found = []
    for weights in sorted((run / f"fold-{fold}").glob(f"*/{WEIGHTS}")):
        name = weights.parent.name
        member = next(one for one in plan.networks if name.startswith(f"{one.name}-seed-"))
        found.append(Trained(name, member, sight_of(member), _network(member, weights)))
    if not found:
        raise UsageError(
            "The run kept no weights of this fold.",
            where=run / f"fold-{fold}",
            found="no weights.npz",
            expected="a run with validation.final, or with keep_weights = true",
            fix="Run the plan again with one of the two.",
        )
    return found


def _plan(run: Path) -> Plan:
    try:
        return parse((run / PLAN).read_text(encoding="utf-8"), where=run / PLAN)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "This is no run folder.", where=run, found=f"no {PLAN}", expected="a run folder", fix="Correct the path."
        ) from error


def _network(member: NetworkMember, weights: Path) -> Standardised:
    net = new_network(member.network, sight_of(member), 1, None, weights)
    try:
        with np.load(weights, allow_pickle=False) as stored:
            net.load_state_dict({name: torch.from_numpy(stored[name]) for name in stored.files})
        told = json.loads((weights.parent / FACTS).read_text(encoding="utf-8"))["weights_sha256"]
    except (OSError, EOFError, ValueError, KeyError, RuntimeError) as error:
        raise UnreadableError(
            "The weights of the run are damaged.", where=weights, found=error, fix="Run the study again with --resume."
        ) from error
    if weights_sha256(net) != told:
        raise UnreadableError(
            "The weights are not those that the run was evaluated with.",
            where=weights,
            found=f"sha256 {weights_sha256(net)}",
            expected=f"sha256 {told}",
            fix="Run the study again with --resume.",
        )
    return net.eval()
