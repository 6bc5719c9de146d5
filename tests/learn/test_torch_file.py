"""No torch file gets to run anything: a canary stands in every form that a hostile file can take."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dopascope.errors import DopascopeError, HostileError, MissingExtraError, UnreadableError, UsageError
from dopascope.learn import torch_file

pytestmark = pytest.mark.promise(
    "Torch files are opened in a child process, weights only; a pickle that would run code is refused",
    asvs="1.5.2",
    threats="T12",
)


class Canary:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.path}",)


def _pt(path: Path, bird: Canary) -> None:
    torch.save({"weight": bird}, path)


def _legacy(path: Path, bird: Canary) -> None:
    torch.save({"weight": bird}, path, _use_new_zipfile_serialization=False)


def _beside_tensors(path: Path, bird: Canary) -> None:
    torch.save({"weight": torch.zeros(3), "extra": bird}, path)


def _bare_pickle(path: Path, bird: Canary) -> None:
    path.write_bytes(pickle.dumps(bird))


def _old_pickle(path: Path, bird: Canary) -> None:
    path.write_bytes(pickle.dumps(bird, protocol=0))


def _zip_of_pickle(path: Path, bird: Canary) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("archive/data.pkl", "data.pkl"):
            archive.writestr(name, pickle.dumps(bird))
        archive.writestr("archive/version", b"3\n")


def _legacy_tar(path: Path, bird: Canary) -> None:
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            data = pickle.dumps(bird)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def _numpy_objects(path: Path, bird: Canary) -> None:
    with open(path, "wb") as stream:
        np.save(stream, np.array([bird], dtype=object), allow_pickle=True)


def _npz_objects(path: Path, bird: Canary) -> None:
    with open(path, "wb") as stream:
        np.savez(stream, weight=np.array([bird], dtype=object))


def _torchscript(path: Path, bird: Canary) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/constants.pkl", pickle.dumps(bird))
        archive.writestr("m/data.pkl", pickle.dumps(bird))
        archive.writestr("m/code/__torch__.py", "import os\n")
        archive.writestr("m/version", b"3\n")


FORMS = [
    _pt,
    _legacy,
    _beside_tensors,
    _bare_pickle,
    _old_pickle,
    _zip_of_pickle,
    _legacy_tar,
    _numpy_objects,
    _npz_objects,
    _torchscript,
]


@pytest.mark.promise(
    "Checkpoints and weights of studies are arrays without pickle; published torch files are "
    "opened in a child process with `weights_only`",
    asvs="1.5.2",
    threats="T12",
)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__.strip("_"))
def test_the_canary_never_appears(form: Callable[[Path, Canary], None], tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    hostile = tmp_path / "weights.pt"
    form(hostile, Canary(canary))
    with pytest.raises(DopascopeError) as caught:
        torch_file.read_weights([hostile])
    assert isinstance(caught.value, HostileError | UnreadableError)
    assert caught.value.where == str(hostile)
    assert caught.value.exit_code == 4
    assert not canary.exists()


def test_the_canary_is_alive(tmp_path: Path) -> None:
    """Without this the test above could pass for want of poison."""
    pickle.loads(pickle.dumps(Canary(tmp_path / "canary")))
    assert (tmp_path / "canary").exists()


def test_a_plain_pickle_program_is_called_hostile(tmp_path: Path) -> None:
    _pt(tmp_path / "weights.pt", Canary(tmp_path / "canary"))
    with pytest.raises(HostileError, match="more than weights"):
        torch_file.read_weights([tmp_path / "weights.pt"])


def test_weights_come_back_exactly(tmp_path: Path) -> None:
    state = {
        "body.0.weight": torch.randn(4, 3, 1, 2),
        "scalar": torch.tensor(0.25),
        "steps": torch.tensor(7, dtype=torch.int64),
        "turned": torch.arange(6.0).reshape(2, 3).T,
        "empty": torch.zeros(0, 3),
    }
    torch.save(state, tmp_path / "zip.pt")
    torch.save(state, tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": state}, tmp_path / "nested.pt")
    paths = [tmp_path / name for name in ("zip.pt", "legacy.pt", "nested.pt")]
    for found in torch_file.read_weights(paths):
        assert found.keys() == state.keys()
        for name, value in state.items():
            np.testing.assert_array_equal(found[name], value.numpy())
            assert found[name].dtype == value.numpy().dtype


@pytest.mark.parametrize("content", [[torch.zeros(2)], {}, {"a": 1.0}, {1: torch.zeros(2)}, "text"], ids=str)
def test_what_is_not_weights_by_name_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(HostileError):
        torch_file.read_weights([tmp_path / "x.pt"])


def test_the_bad_file_of_several_is_named(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "good.pt")
    (tmp_path / "bad.pt").write_bytes((tmp_path / "good.pt").read_bytes()[:-200])
    with pytest.raises(DopascopeError) as caught:
        torch_file.read_weights([tmp_path / "good.pt", tmp_path / "bad.pt"])
    assert caught.value.where.endswith("bad.pt")


def test_a_module_beside_the_weights_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')")
    torch.save({"a": torch.zeros(2)}, tmp_path / "w.pt")
    monkeypatch.chdir(tmp_path)
    assert "a" in torch_file.read_weights([Path("w.pt")])[0]
    assert not (tmp_path / "canary").exists()


def test_a_file_that_would_inflate_past_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    torch.save({"a": torch.zeros(2)}, path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("archive/data/9")
        archive.writestr(info, b"x")
    data = bytearray(path.read_bytes())
    # The central directory's last entry claims 4 GB (offset 24: uncompressed size).
    at = data.rfind(b"PK\x01\x02") + 24
    data[at : at + 4] = b"\xf0\xff\xff\xff"
    path.write_bytes(bytes(data))
    with pytest.raises(HostileError) as caught:
        torch_file.read_weights([path])
    assert "bytes" in caught.value.found


def test_a_missing_and_a_huge_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no such"):
        torch_file.read_weights([tmp_path / "absent.pt"])
    (tmp_path / "large.pt").write_bytes(b"x" * 2000)
    monkeypatch.setattr(torch_file, "MAX_FILE_BYTES", 1000)
    with pytest.raises(HostileError, match="too large"):
        torch_file.read_weights([tmp_path / "large.pt"])


def test_reading_that_does_not_end_is_ended(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "w.pt")
    with pytest.raises(UnreadableError, match="did not end"):
        torch_file.read_weights([tmp_path / "w.pt"], timeout_s=0.05)


def test_a_child_that_dies_is_an_error_not_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "w.pt")
    monkeypatch.setattr(torch_file.sys, "executable", "/bin/false")
    with pytest.raises(UnreadableError, match="died") as caught:
        torch_file.read_weights([tmp_path / "w.pt"])
    assert "exit status 1" in caught.value.found


def test_without_torch_the_pip_command_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = torch_file.importlib.util.find_spec
    monkeypatch.setattr(torch_file.importlib.util, "find_spec", lambda name: None if name == "torch" else known(name))
    with pytest.raises(MissingExtraError) as caught:
        torch_file.read_weights([tmp_path / "x"])
    assert "pip install -e '.[learn]' -c constraints/cpu.txt" in caught.value.fix
    assert "torch" in caught.value.found


def test_the_child_limits_itself_and_writes_only_plain_arrays(tmp_path: Path) -> None:
    """Run here, in this process, what runs in the child."""
    import resource

    from dopascope.learn import torch_child

    torch.save({"a": torch.ones(2)}, tmp_path / "w.pt")
    (tmp_path / "bad.pt").write_bytes(b"nothing")
    with pytest.MonkeyPatch.context() as patch:
        bounds = {}
        patch.setattr(resource, "setrlimit", lambda kind, bound: bounds.update({kind: bound[0]}))
        assert torch_child.main([str(tmp_path), str(tmp_path / "w.pt")]) == 0
        assert torch_child.main([str(tmp_path), str(tmp_path / "bad.pt")]) == 1
    assert bounds[resource.RLIMIT_CORE] == 0
    assert bounds[resource.RLIMIT_DATA] <= torch_child.MAX_MEMORY_BYTES
    assert bounds[resource.RLIMIT_FSIZE] <= torch_child.MAX_OUT_BYTES
    np.testing.assert_array_equal(np.load(tmp_path / "0.npz", allow_pickle=False)["a"], [1, 1])
