"""Seals: a report is proved unchanged away from the server, and nothing else passes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from typer.testing import CliRunner

import dopascope.cli.app as program
from dopascope.errors import ChangedError, UnreadableError
from dopascope.web import seal
from web_installation import Installation

pytestmark = pytest.mark.promise(
    "A report that was changed after it was made is found, away from the server", asvs="11.2.1"
)

SECRET, OTHER = "11" * 32, "22" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A reading's files, sealed."""
    for name in seal.SEALED:
        (tmp_path / name).write_text(f"what stands in {name}")
    seal.write(tmp_path, SECRET, "a reading", "2026-11-27T20:00:00Z")
    return tmp_path


def test_a_saved_report_is_proved_by_the_command_line(
    installation: Installation, scan: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.user("ada")
    browser = installation.browser("ada")
    browser.upload((scan, "one.dcm"))
    installation.work()
    reading = installation.jobs()[0].id
    key = installation.browser().get("/key").text.strip()
    saved = []
    for name in (*seal.SEALED, seal.SEAL):
        saved.append(tmp_path / f"saved-{name}")
        saved[-1].write_bytes(browser.get(f"/readings/{reading}/{name}?save=1").data)
    *reports, sealed = map(str, saved)
    words = ["verify", *reports, "--seal", sealed, "--key", key]
    monkeypatch.setattr(sys, "argv", ["dopascope", *words])
    told = CliRunner().invoke(program.app, words)
    assert (told.exit_code, told.stdout.startswith("Unchanged since")) == (0, True), told.output
    saved[0].write_bytes(saved[0].read_bytes().replace(b"reduced", b"normal!", 1))
    told = CliRunner().invoke(program.app, words)
    assert told.exit_code == 4
    assert "not the one that was sealed" in told.output
    assert "saved-reading.json" in told.output


def test_the_signature_is_ed25519_over_the_rest(folder: Path) -> None:
    told = json.loads((folder / seal.SEAL).read_text())
    signature = bytes.fromhex(told.pop("signature"))
    covered = json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(told["key"])).verify(signature, covered)


@pytest.mark.parametrize("field", ["reading", "created", "files", "signature"])
def test_a_changed_seal_is_found(folder: Path, field: str) -> None:
    path = folder / seal.SEAL
    told = json.loads(path.read_text())
    told[field] = {"report.pdf": "0" * 64} if field == "files" else "0" * len(told[field])
    path.write_text(json.dumps(told))
    with pytest.raises(ChangedError, match="seal itself was changed"):
        seal.verify(seal.load(path), seal.public_key(SECRET), [])


def test_a_seal_of_another_installation_is_no_proof(folder: Path) -> None:
    seal.write(folder, OTHER, "a reading", "2026-11-27T20:00:00Z")
    with pytest.raises(ChangedError, match="another installation"):
        seal.verify(seal.load(folder / seal.SEAL), seal.public_key(SECRET), [folder / "report.pdf"])


def test_a_file_of_another_kind_does_not_pass_for_a_sealed_one(folder: Path) -> None:
    renamed = folder / "report.txt"
    renamed.write_bytes((folder / "report.pdf").read_bytes())
    with pytest.raises(ChangedError, match="not the one that was sealed"):
        seal.verify(seal.load(folder / seal.SEAL), seal.public_key(SECRET), [renamed])


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"form": "dopascope.seal/1"}', "[" * 100_000, '{"form": "dopascope.seal/1", "files": 3}'],
    ids=["empty", "list", "nothing", "no files", "deep", "number"],
)
def test_what_is_no_seal_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "seal.json"
    path.write_text(text)
    with pytest.raises(UnreadableError, match="not a seal"):
        seal.load(path)
