"""The twenty-five public DaT SPECT networks of Buddenkotte and Buchert: published weights to three bundles."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dopascope import provenance
from dopascope.bundle import spec, store
from dopascope.bundle.spec import BundleSpec, Licence
from dopascope.convert import bundle_folder, onnx_export
from dopascope.convert.dat_spect_recipes import (
    LATERALITY,
    LIMITS,
    NOT_CALIBRATED,
    PUBLISHED_SHA256,
    RECIPES,
    SIDE,
    Recipe,
)
from dopascope.errors import BundleError, UsageError
from dopascope.learn import torch_file

if TYPE_CHECKING:
    from torch import nn

LICENCE_SOURCE: Final = "LICENSE"
_LISTED: Final = 6


def add_dat_spect_ud(
    folder: str | Path | None, models_dir: str | Path | None = None, *, published_only: bool = True
) -> list[store.InstalledModel]:
    """Convert the published weights in `folder` and install the three bundles made of them.

    Bundles of the same names are replaced, so that an interrupted run can be started again.

    Args:
        folder: holds `network_weights_{acc,sens,spec,robust,reg}_{0..4}` and `LICENSE`.
        models_dir: where models are kept; the user's data folder by default.
        published_only: refuse weights whose sha256 is not that of the published files.

    Raises:
        UsageError: no folder is named, or files are missing from it; each is named.
        MissingExtraError: torch or its exporter is not installed.
        BundleError: weights differ from the published ones, or do not fit the network.
        HostileError: a file holds more than weights.
        UnreadableError: a file is damaged.
    """
    source = _checked_folder(folder)
    torch_file.require_learn()
    digests = {name: provenance.sha256_of(source / name) for name in PUBLISHED_SHA256}
    if published_only:
        _check_published(source, digests)
    names = list(PUBLISHED_SHA256)
    weights = dict(zip(names, torch_file.read_weights([source / name for name in names]), strict=True))
    added = []
    for recipe in RECIPES:
        with tempfile.TemporaryDirectory(prefix="dopascope-convert-") as temporary:
            made = write_bundle(recipe, weights, digests, source / LICENCE_SOURCE, Path(temporary) / recipe.id)
            added.append(store.install(made, models_dir, replace=True))
    return added


def write_bundle(
    recipe: Recipe, weights: Mapping[str, Mapping[str, Any]], digests: Mapping[str, str], licence: Path, folder: Path
) -> Path:
    """Build, export and describe one ensemble in a new folder; returns it.

    Args:
        recipe: which.
        weights: file name to its parameters, as `torch_file.read_weights` gives them.
        digests: file name to its sha256.
        licence: the licence text to copy.
        folder: where to write; must not exist.

    Raises:
        BundleError: weights do not fit the network, or the ONNX form does not answer like it.
    """
    import torch

    from dopascope import nets

    groups = ensembles(recipe, weights)
    model = onnx_export.to_onnx(groups, torch.zeros(2, 1, SIDE, SIDE), image=recipe.input.name)
    images = torch.from_numpy(np.random.default_rng(0).normal(0, 1, (4, 1, SIDE, SIDE)).astype(np.float32))
    onnx_export.check_parity(nets.ensemble.Ensembles(list(groups.values())), model, (images,), where=recipe.id)
    content = {
        spec.MODEL_FILE: model,
        spec.LICENCE_FILE: licence.read_bytes(),
        spec.CARD_FILE: files("dopascope.convert").joinpath("cards", f"{recipe.id}.md").read_bytes(),
    }
    used = {name: digests[name] for names in recipe.weights().values() for name in names}
    return bundle_folder.write(folder, content, partial(_described, recipe, used))


def ensembles(recipe: Recipe, weights: Mapping[str, Mapping[str, Any]]) -> dict[str, list[nn.Module]]:
    """The networks of one bundle: output name to five modules, each `(B, 1, 72, 72)` to `(B, ...)`.

    Raises:
        BundleError: weights do not fit the network.
    """
    import torch

    from dopascope import nets

    def member(network: str, name: str) -> nn.Module:
        state = {key: torch.from_numpy(value) for key, value in weights[name].items()}
        return nets.dat_spect.load_published(nets.create(network), state, name=name)

    return {
        output: [member(recipe.networks[output], name) for name in names] for output, names in recipe.weights().items()
    }


def _checked_folder(folder: str | Path | None) -> Path:
    if folder is None or not Path(folder).is_dir():
        raise UsageError(
            "The folder with the published weights is not there.",
            where="FOLDER",
            found=folder or "no folder named",
            expected="a folder with network_weights_acc_0 to network_weights_reg_4 and LICENSE",
            fix="Fetch the repository ThomasBudd/dat_spect_ud and name the folder of its weights.",
        )
    missing = [name for name in (*PUBLISHED_SHA256, LICENCE_SOURCE) if not (Path(folder) / name).is_file()]
    if missing:
        raise UsageError(
            "Files of the published networks are missing.",
            where=folder,
            found=f"{len(missing)} missing: {', '.join(missing[:_LISTED])}" + (" ..." if missing[_LISTED:] else ""),
            expected=f"{len(PUBLISHED_SHA256)} weights files and {LICENCE_SOURCE}",
            fix="Copy the missing files into this folder.",
        )
    return Path(folder)


def _check_published(source: Path, digests: Mapping[str, str]) -> None:
    for name, found in digests.items():
        if found != PUBLISHED_SHA256[name]:
            raise BundleError(
                "These are not the published weights.",
                where=source / name,
                found=f"sha256 {found}",
                expected=f"sha256 {PUBLISHED_SHA256[name]}",
                fix="Fetch the published file again; nothing was opened.",
            )


def _described(recipe: Recipe, sources: Mapping[str, str], listed: dict[str, str]) -> BundleSpec:
    return BundleSpec(
        schema=spec.SCHEMA,
        id=recipe.id,
        kind="classifier",
        title=recipe.title,
        modality="dat",
        input=recipe.input,
        outputs=recipe.outputs(),
        vote=recipe.vote,
        grades=recipe.grades,
        calibration_reason=NOT_CALIBRATED,
        opset=onnx_export.OPSET,
        training=recipe.training,
        licence=Licence(spdx="MIT", holder="Copyright (c) 2023 ThomasBudd", file=spec.LICENCE_FILE),
        papers=list(recipe.papers),
        laterality=LATERALITY,
        limits=list(LIMITS),
        files=listed,
        sources=dict(sources),
        made_by=bundle_folder.made_by(),
    )
