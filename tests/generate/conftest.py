"""A generator fitted to pictures made by code, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from dopascope.generate.fitting import claim, fit_material
from dopascope.generate.lineage import Lineage
from dopascope.generate.material import Material
from made_material import WANTED, material, places


@pytest.fixture(scope="session")
def made() -> Material:
    """Forty people to learn from, 24 held out."""
    return material()


@pytest.fixture(scope="session")
def table(made: Material, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort table of these people; the scans it names do not exist."""
    lines = ["participant_id\tscan_id\tpath\tlabel"]
    for side in (made.training, made.held_out):
        lines += ["\t".join(scan.cells[name] for name in lines[0].split("\t")) for scan in side.scans]
    path = tmp_path_factory.mktemp("made") / "cohort.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def lineage(made: Material, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Lineage:
    """A conditional autoencoder, fitted for a few seconds."""
    out = tmp_path_factory.mktemp("fits") / "cvae"
    claim(out, places(made))
    return fit_material(WANTED, made, table, out)
