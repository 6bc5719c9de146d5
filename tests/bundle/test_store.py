from __future__ import annotations

import hashlib
import http.server
import json
import os
import ssl
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dopascope.bundle import Bundle, default_readers, fetch, store
from dopascope.bundle.editor import SHIPPED_EDITOR
from dopascope.bundle.segmenter import SHIPPED_SEGMENTER
from dopascope.errors import BundleError, UsageError


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def zipped(make_folder: Callable[..., Path], five_votes, tmp_path: Path, models_dir: Path) -> Path:
    store.add(make_folder(five_votes), models_dir=models_dir)
    return store.export("linear", tmp_path / "linear.zip", models_dir)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_bundle_goes_in_and_out_unchanged(make_folder, five_votes, tmp_path: Path, models_dir: Path) -> None:
    folder = make_folder(five_votes)
    (folder / "stray.py").write_text("raise SystemExit")
    added = store.add(folder, models_dir=models_dir)
    assert added.summary()["licence"] == "MIT"
    assert sorted(path.name for path in added.folder.iterdir()) == ["MODEL_CARD.md", "bundle.json", "model.onnx"]
    copied = store.export("linear", tmp_path / "copy", models_dir)
    assert Bundle.load(copied).spec == Bundle.load(folder).spec
    archive = store.export("linear", tmp_path / "out.zip", models_dir)
    again = store.export("linear", tmp_path / "out2.zip", models_dir)
    assert digest(archive) == digest(again)
    other = store.add(archive, sha256=digest(archive).upper(), models_dir=tmp_path / "others")
    assert other.model_sha256 == added.model_sha256
    assert [path.name for path in models_dir.iterdir()] == ["linear"]


def test_inspect_is_bundle_json_after_checking(zipped: Path, models_dir: Path) -> None:
    told = store.inspect("linear", models_dir)
    assert told == json.loads((models_dir / "linear" / "bundle.json").read_text())
    (models_dir / "linear" / "model.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match="changed"):
        store.inspect("linear", models_dir)
    with pytest.raises(BundleError) as caught:
        store.list_models(models_dir)
    assert "models remove linear" in caught.value.fix
    store.remove("linear", models_dir)
    assert added(models_dir) == []
    assert list(models_dir.iterdir()) == []


def added(models_dir: Path) -> list[str]:
    """Ids of the models that were added, in order."""
    return [one.id for one in store.list_models(models_dir) if one.folder.parent == models_dir]


def test_the_shipped_reader_can_be_used_and_not_removed(make_folder, five_votes, models_dir: Path) -> None:
    name = store.SHIPPED_READER
    assert store.load(name, models_dir).id == name
    assert store.inspect(name, models_dir)["licence"]["spdx"] == "Apache-2.0"
    with pytest.raises(UsageError, match="a part of dopascope"):
        store.remove(name, models_dir)
    assert (store.SHIPPED / name / "bundle.json").is_file()
    store.add(make_folder(five_votes, id=name), models_dir=models_dir)
    assert store.load(name, models_dir).spec.title == "A linear model"  # one's own stands before it
    store.remove(name, models_dir)
    assert store.load(name, models_dir).spec.title != "A linear model"


def test_default_readers_come_first_and_in_order(make_folder, five_votes, models_dir: Path) -> None:
    assert added(models_dir) == []
    assert default_readers(models_dir) == [store.SHIPPED_READER]
    for name in ("aaa", "dat-spect-regional", "dat-spect-ud", "dat-spect-robust"):
        store.add(make_folder(five_votes, name=name, id=name), models_dir=models_dir)
    expected = ["dat-spect-ud", "dat-spect-robust", "dat-spect-regional"]
    assert added(models_dir) == [*expected, "aaa"]
    assert default_readers(models_dir) == expected
    assert store.load("aaa", models_dir).id == "aaa"


def test_a_name_that_is_taken_is_kept_unless_replaced(make_folder, five_votes, models_dir: Path) -> None:
    store.add(make_folder(five_votes), models_dir=models_dir)
    other = make_folder(five_votes, name="other", title="Another")
    with pytest.raises(UsageError, match="already"):
        store.add(other, models_dir=models_dir)
    assert store.add(other, models_dir=models_dir, replace=True).title == "Another"
    assert len(list(models_dir.iterdir())) == 1


def test_an_unsound_bundle_leaves_nothing_behind(make_folder, five_votes, models_dir: Path) -> None:
    folder = make_folder(five_votes)
    (folder / "model.onnx").write_bytes(b"")
    with pytest.raises(BundleError):
        store.add(folder, models_dir=models_dir)
    assert not models_dir.exists()


def test_a_bundle_under_another_name_is_refused(zipped: Path, models_dir: Path) -> None:
    (models_dir / "linear").rename(models_dir / "innocent")
    with pytest.raises(BundleError, match="another name"):
        store.list_models(models_dir)


@pytest.mark.parametrize("name", ["..", "../models/linear", "nobody", "", "LINEAR", ".hidden"])
def test_names_that_are_not_installed_are_refused(zipped: Path, models_dir: Path, name: str) -> None:
    for verb in (store.inspect, store.remove, lambda n, d: store.export(n, d / "x", d), store.load):
        with pytest.raises(UsageError, match="No installed model"):
            verb(name, models_dir)
    assert (models_dir / "linear" / "bundle.json").is_file()


def test_export_does_not_overwrite(zipped: Path, models_dir: Path) -> None:
    with pytest.raises(UsageError, match="exists"):
        store.export("linear", zipped, models_dir)


def test_the_default_folder_is_the_users_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import platformdirs

    monkeypatch.setattr(platformdirs, "user_data_dir", lambda name: str(tmp_path / name))
    assert store.default_models_dir() == tmp_path / "dopascope" / "models"
    assert [one.id for one in store.list_models()] == [SHIPPED_SEGMENTER, store.SHIPPED_READER, SHIPPED_EDITOR]


def rezipped(source: Path, target: Path, change: Callable[[zipfile.ZipFile, dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(source) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        change(new, members)
    return target


def _slip(new: zipfile.ZipFile, members: dict[str, bytes]) -> None:
    for name, data in members.items():
        new.writestr(name.replace("linear/", "../linear/"), data)


def _absolute(new: zipfile.ZipFile, members: dict[str, bytes]) -> None:
    for name, data in members.items():
        new.writestr(f"/{name}", data)


def _link(new: zipfile.ZipFile, members: dict[str, bytes]) -> None:
    for name, data in members.items():
        info = zipfile.ZipInfo(name)
        info.external_attr = (0o120777 if name.endswith(".onnx") else 0o100644) << 16
        new.writestr(info, b"/etc/passwd" if name.endswith(".onnx") else data)


def _case_clash(new: zipfile.ZipFile, members: dict[str, bytes]) -> None:
    for name, data in members.items():
        new.writestr(name, data)
    new.writestr("linear/MODEL.ONNX", b"other")


def _nested(new: zipfile.ZipFile, members: dict[str, bytes]) -> None:
    for name, data in members.items():
        new.writestr(name, data)
    new.writestr("linear/more/file.bin", b"x")


def _crowd(new: zipfile.ZipFile, members: dict[str, bytes]) -> None:
    for number in range(fetch.MAX_ENTRIES + 1):
        new.writestr(f"linear/f{number}", b"x")


@pytest.mark.parametrize("change", [_slip, _absolute, _link, _case_clash, _nested, _crowd])
def test_zips_that_are_not_one_plain_folder_are_refused(zipped: Path, tmp_path: Path, change, models_dir: Path) -> None:
    store.remove("linear", models_dir)
    with pytest.raises(BundleError, match="one bundle"):
        store.add(rezipped(zipped, tmp_path / "bad.zip", change), models_dir=models_dir)
    assert not list(models_dir.iterdir())


def test_a_zip_that_grows_past_the_limit_is_refused(
    zipped: Path, tmp_path: Path, monkeypatch, models_dir: Path
) -> None:
    monkeypatch.setattr(fetch, "MAX_ZIP_BYTES", 1 << 20)

    def bomb(new: zipfile.ZipFile, members: dict[str, bytes]) -> None:
        new.writestr("linear/bundle.json", b"\0" * (3 << 20))

    small = rezipped(zipped, tmp_path / "bomb.zip", bomb)
    assert small.stat().st_size < 10_000
    with pytest.raises(BundleError, match="too large"):
        store.add(small, models_dir=models_dir)


@pytest.mark.promise(
    "Nothing inside a bundle can execute, and a changed bundle is refused", asvs="1.5.2", threats="T12, T31"
)
def test_a_damaged_zip_and_a_wrong_digest_are_refused(zipped: Path, tmp_path: Path, models_dir: Path) -> None:
    with pytest.raises(BundleError, match="not the one"):
        store.add(zipped, sha256="0" * 64, models_dir=models_dir)
    cut = tmp_path / "cut.zip"
    cut.write_bytes(zipped.read_bytes()[:-30])
    with pytest.raises(BundleError, match="cannot be unpacked"):
        store.add(cut, models_dir=models_dir)


@pytest.mark.parametrize(
    ("source", "sha256"),
    [
        ("http://localhost/x.zip", "0" * 64),
        ("ftp://localhost/x.zip", "0" * 64),
        ("file:///etc/passwd", "0" * 64),
        ("https://localhost/x.zip", None),
        ("https://localhost/x.zip", "abc"),
        ("/no/such/place", None),
    ],
)
def test_sources_that_cannot_be_meant_are_refused(source: str, sha256: str | None, models_dir: Path) -> None:
    with pytest.raises(UsageError):
        store.add(source, sha256=sha256, models_dir=models_dir)


def test_a_folder_takes_no_digest(make_folder, five_votes, models_dir: Path) -> None:
    with pytest.raises(UsageError, match="folder"):
        store.add(make_folder(five_votes), sha256="0" * 64, models_dir=models_dir)


class Server(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "http://localhost:1/linear.zip")
            self.end_headers()
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/linear.zip")
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(zipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An https server on this machine that serves the zip; its certificate is trusted for the test."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *name, *made]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    served = tmp_path / "served"
    served.mkdir()
    os.link(zipped, served / "linear.zip")
    server = http.server.ThreadingHTTPServer(("localhost", 0), lambda *a: Server(*a, directory=str(served)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_bundle_comes_by_https_with_its_digest(address: str, zipped: Path, tmp_path: Path, monkeypatch) -> None:
    for number, path in enumerate(("linear.zip", "moved")):
        target = tmp_path / f"fetched{number}"
        assert store.add(f"{address}/{path}", sha256=digest(zipped), models_dir=target).id == "linear"
    with pytest.raises(BundleError, match="not the one"):
        store.add(f"{address}/linear.zip", sha256="0" * 64, models_dir=tmp_path / "x")
    with pytest.raises(BundleError, match="cannot be fetched") as caught:
        store.add(f"{address}/away", sha256=digest(zipped), models_dir=tmp_path / "x")
    assert "redirected" in caught.value.found
    with pytest.raises(BundleError, match="cannot be fetched"):
        store.add(f"{address}/absent.zip", sha256=digest(zipped), models_dir=tmp_path / "x")
    monkeypatch.setattr(fetch, "MAX_ZIP_BYTES", 100)
    with pytest.raises(BundleError, match="too large"):
        store.add(f"{address}/linear.zip", sha256=digest(zipped), models_dir=tmp_path / "x")
    assert not (tmp_path / "x").exists()
