"""Cohorts in folders: the same bytes however they come about, on from any interruption, no other folder touched."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dopascope.errors import MissingExtraError, UsageError
from dopascope.simulate import Plan, run
from interruptible import started

Plans = Callable[..., Plan]
Trees = Callable[[Path], dict[str, str]]
SCANS = ("sub-00001_ses-01", "sub-00002_ses-01", "sub-00003_ses-01")


def command(out: Path, subjects: int = 3, processes: int = 2) -> list[str]:
    """The command line for the cohort of `plan_of()`."""
    words = f"simulate --subjects {subjects} --seed 5 --sites siemens-leap-fbp,siemens-lehr-fbp-chang --no-ideal"
    return [sys.executable, "-m", "dopascope", *words.split(), "--processes", str(processes), "--out", str(out)]


def call(words: list[str], **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=300, **more)  # type: ignore[call-overload,no-any-return]


def test_two_processes_write_the_bytes_of_one_and_more_people_keep_the_first(
    nifti_cohort: Path, tree_of: Trees, tmp_path: Path
) -> None:
    done = call(command(tmp_path / "cohort", subjects=2))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'cohort' / 'cohort.tsv'}\n"
    assert "2/2" in done.stderr
    assert "ASSUMED" in done.stderr
    fewer, whole = tree_of(tmp_path / "cohort"), tree_of(nifti_cohort)
    assert {name for name in fewer if fewer[name] != whole[name]} == {"plan.json", "cohort.tsv", "truth.tsv"}
    assert len(fewer) == len(whole) - 3
    grown = call(command(tmp_path / "cohort", subjects=3))
    assert "(2 kept)" in grown.stderr
    assert tree_of(tmp_path / "cohort") == whole


def test_dicom_has_the_same_bytes_again(dicom_cohort: Path, plan_of: Plans, tree_of: Trees, tmp_path: Path) -> None:
    run(plan_of(subjects=1, format="dicom"), tmp_path / "again")
    again, whole = tree_of(tmp_path / "again"), tree_of(dicom_cohort)
    name = f"scans/{SCANS[0]}.dcm"
    assert again[name] == whole[name]


def test_what_is_missing_or_changed_is_made_again_and_the_rest_is_kept(
    nifti_cohort: Path, plan_of: Plans, tree_of: Trees, tmp_path: Path
) -> None:
    out = tmp_path / "cohort"
    shutil.copytree(nifti_cohort, out)
    scan = out / "scans" / f"{SCANS[0]}.nii.gz"
    flipped = bytearray(scan.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    scan.write_bytes(flipped)
    (out / "scans" / f"{SCANS[1]}.json").unlink()
    (out / "cohort.tsv").unlink()
    (out / "scans" / ".abc-sub-00002_ses-01.nii.gz").write_bytes(b"half")
    untouched = (out / "scans" / f"{SCANS[2]}.nii.gz").stat().st_mtime_ns
    seen: list[tuple[int, int, int]] = []
    run(plan_of(), out, progress=lambda *counts: seen.append(counts))
    assert seen == [(1, 0, 3), (2, 0, 3), (3, 1, 3)]
    assert tree_of(out) == tree_of(nifti_cohort)
    assert (out / "scans" / f"{SCANS[2]}.nii.gz").stat().st_mtime_ns == untouched


@pytest.mark.parametrize("content", ["", "{", "[]", '{"form": "x"}', '{"files": {}, "form": 3, "truth": {"seed": 1}}'])
def test_a_damaged_record_is_made_again(
    nifti_cohort: Path, plan_of: Plans, tree_of: Trees, tmp_path: Path, content: str
) -> None:
    out = tmp_path / "cohort"
    shutil.copytree(nifti_cohort, out)
    (out / "truth" / f"{SCANS[0]}.json").write_text(content)
    kept: list[int] = []
    run(plan_of(), out, progress=lambda done, old, total: kept.append(old))
    assert kept[-1] == 2
    assert tree_of(out) == tree_of(nifti_cohort)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seed": 6}, "seed"),
        ({"sites": ("siemens-leap-fbp",)}, "sites"),
        ({"mix": {"pd": 1.0}}, "mix"),
        ({"format": "dicom"}, "format"),
        ({"ideal": True}, "ideal"),
        ({"subjects": 2}, "subjects"),
    ],
)
def test_another_plan_is_refused_in_the_same_folder(
    nifti_cohort: Path, plan_of: Plans, tree_of: Trees, change: dict[str, object], field: str
) -> None:
    before = tree_of(nifti_cohort)
    with pytest.raises(UsageError, match="another plan") as refused:
        run(plan_of(**change), nifti_cohort)
    assert refused.value.where.startswith(field)
    assert tree_of(nifti_cohort) == before


def test_a_cohort_of_other_software_is_not_mixed(nifti_cohort: Path, plan_of: Plans, tmp_path: Path) -> None:
    import json

    out = tmp_path / "cohort"
    shutil.copytree(nifti_cohort, out)
    plan = json.loads((out / "plan.json").read_text())
    plan["software"]["numpy"] = "1.0"
    (out / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(UsageError) as refused:
        run(plan_of(), out)
    assert refused.value.where.startswith("numpy")
    assert refused.value.expected == "1.0"


def test_a_cohort_of_a_site_that_has_changed_is_not_mixed(nifti_cohort: Path, plan_of: Plans, tmp_path: Path) -> None:
    import json

    out = tmp_path / "cohort"
    shutil.copytree(nifti_cohort, out)
    plan = json.loads((out / "plan.json").read_text())
    plan["sites"]["siemens-leap-fbp"]["camera"]["fwhm_mm"] += 0.1
    (out / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(UsageError) as refused:
        run(plan_of(), out)
    assert refused.value.where.startswith("sites.siemens-leap-fbp")


@pytest.mark.parametrize("name", ["notes.txt", "plan.json"])
def test_a_folder_with_something_else_is_refused(plan_of: Plans, tree_of: Trees, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="something else") as refused:
        run(plan_of(), tmp_path)
    assert refused.value.where.startswith("out")
    assert list(tree_of(tmp_path)) == [name]


def test_a_file_is_no_folder(plan_of: Plans, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="something else"):
        run(plan_of(), tmp_path / "file")


@pytest.mark.parametrize("processes", [0, -1, 1.5, True])
def test_impossible_processes_are_refused(plan_of: Plans, tmp_path: Path, processes: object) -> None:
    with pytest.raises(UsageError) as refused:
        run(plan_of(), tmp_path / "out", processes=processes)  # type: ignore[arg-type]
    assert refused.value.where == "processes"
    assert not (tmp_path / "out").exists()


def test_projections_without_torch_are_refused_before_anything_is_written(
    plan_of: Plans, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.metadata

    real = importlib.metadata.version

    def without_torch(name: str) -> str:
        if name == "torch":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", without_torch)
    with pytest.raises(MissingExtraError, match="torch") as refused:
        run(plan_of(physics="projection"), tmp_path / "out")
    assert refused.value.exit_code == 2
    assert not (tmp_path / "out").exists()


def wait_for_a_scan(out: Path, running: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and running.poll() is None and not list(out.glob("truth/*.json")):
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_interrupted_cohort_goes_on_to_the_same_bytes(
    nifti_cohort: Path, tree_of: Trees, tmp_path: Path, processes: int
) -> None:
    out = tmp_path / "cohort"
    running = started(command(out, processes=processes))
    wait_for_a_scan(out, running)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 130, said
    assert "goes on from there" in said
    assert "Traceback" not in said
    left = tree_of(out)
    assert not [name for name in left if Path(name).name.startswith(".")]
    assert "cohort.tsv" not in left
    done = call(command(out, processes=processes))
    assert done.returncode == 0, done.stderr
    assert "kept" in done.stderr
    assert tree_of(out) == tree_of(nifti_cohort)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_run_leaves_no_workers_and_goes_on(nifti_cohort: Path, tree_of: Trees, tmp_path: Path) -> None:
    import psutil

    out = tmp_path / "cohort"
    running = subprocess.Popen(command(out), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, text=True)
    wait_for_a_scan(out, running)
    workers = psutil.Process(running.pid).children(recursive=True)
    running.kill()
    running.wait()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
    done = call(command(out))
    assert done.returncode == 0, done.stderr
    assert tree_of(out) == tree_of(nifti_cohort)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_a_file_size_limit_ends_with_one_error_and_the_cohort_goes_on(
    nifti_cohort: Path, tree_of: Trees, tmp_path: Path
) -> None:
    import resource

    sizes = sorted((nifti_cohort / "scans" / f"{name}.nii.gz").stat().st_size for name in SCANS)
    out = tmp_path / "cohort"
    failed = call(
        command(out, processes=1),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (sizes[0] // 2, sizes[0] // 2)),
    )
    assert failed.returncode == 1
    assert "The system refused a file operation" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not list((out / "scans").glob("*.nii.gz"))
    assert not [name for name in tree_of(out) if Path(name).name.startswith(".")]
    assert call(command(out, processes=1)).returncode == 0
    assert tree_of(out) == tree_of(nifti_cohort)


FULL_DISK = """
mount -t tmpfs -o size="$1" tmpfs "$2" || exit 77
shift 2; place="$1"; shift
"$@"; code=$?
df "$place" >&2
mount -o remount,size=64m "$place"
"$@" >&2 || exit 78
cp -r "$place/cohort" "$place/../copy"
exit $code
"""


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs Linux namespaces")
def test_a_full_disk_ends_with_one_error_and_the_cohort_goes_on(
    nifti_cohort: Path, tree_of: Trees, tmp_path: Path
) -> None:
    """On a real file system of two thirds of the scans, in a mount namespace of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    size = sum((nifti_cohort / "scans" / f"{name}.nii.gz").stat().st_size for name in SCANS) * 2 // 3
    script = ["unshare", "-rm", "sh", "-c", FULL_DISK, "sh", str(size), str(place), str(place)]
    done = call([*script, *command(place / "cohort")])
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip(f"no mount here: {done.stderr.strip()}")
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert tree_of(tmp_path / "copy") == tree_of(nifti_cohort)


def test_a_folder_that_may_not_be_written_is_one_error(plan_of: Plans, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="ermission"):
        run(plan_of(), tmp_path / "out")
