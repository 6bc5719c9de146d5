"""The process that opens one upload: bounded in memory, time and file size, without a network, and alone.

    python -P -m dopascope.web.child JOB.json

What comes of it lies in the folder that the job names: `answer.json`, and beside it the files of the reading. Nothing
else of the app is known here: no database, no secret, no other upload.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

ANSWER: Final = "answer.json"
IDENTITY: Final = "identity.json"
MOST_SERIES: Final = 12
"""Images of one upload that are each read; of more, nobody can have meant all."""


def main() -> int:
    """Read what the job file names."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    confine(job["memory"], job["seconds"], job["file_size"], job["niceness"])
    out = Path(job["out"])
    answer = read(Path(job["scan"]), out, job["choices"], job["models_dir"])
    (out / ANSWER).write_text(json.dumps(answer), encoding="utf-8")
    return 0


def confine(memory: int, seconds: int, file_size: int, niceness: int) -> None:
    """Give up what reading a scan does not need, and end with the worker, however that ends."""
    import resource

    _stand_back(niceness)
    end_with_parent()
    for kind, limit in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ):
        _, most = resource.getrlimit(kind)
        held = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(kind, (held, held))
    _without_network()


def _stand_back(niceness: int) -> None:
    """Behind the other processes, and behind other sessions where Linux weighs these first (sched(7), autogroup)."""
    os.nice(niceness)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(niceness), encoding="ascii")


def _without_network() -> None:
    """In a network of its own where the system allows that; and no socket from Python in any case."""
    if sys.platform == "linux":
        import ctypes

        new_user, new_network = 0x10000000, 0x40000000
        ctypes.CDLL(None, use_errno=True).unshare(new_user | new_network)

    def refuse(event: str, _: tuple[Any, ...]) -> None:
        if event.startswith("socket.") or event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"):
            raise PermissionError(f"{event} is not allowed while a scan is read")

    sys.addaudithook(refuse)


def end_with_parent() -> None:
    """Be killed when the process that started this one ends, however that ends; on Linux."""
    if sys.platform == "linux":
        import ctypes

        at_death_of_parent = 1
        ctypes.CDLL(None).prctl(at_death_of_parent, signal.SIGKILL)


def read(scan: Path, out: Path, choices: dict[str, Any], models_dir: str | None) -> dict[str, Any]:
    """The answer: `{"ok": true, ...}` with what the records show, or the error's fields."""
    from dopascope.errors import DopascopeError

    try:
        return _read(scan, out, choices, models_dir)
    except DopascopeError as error:
        if error.code == DopascopeError.code:
            raise  # our disk, not the file: the worker tries again
        return {"ok": False, "error": _without_paths(error.as_dict(), scan)}
    except (RecursionError, MemoryError) as error:
        told = {"code": "hostile", "what": "The file cannot be read within the limits.", "found": type(error).__name__}
        return {"ok": False, "error": told}


def _read(scan: Path, out: Path, choices: dict[str, Any], models_dir: str | None) -> dict[str, Any]:
    from dopascope import formats, report
    from dopascope.errors import AmbiguousError
    from dopascope.formats.identity import identity_of
    from dopascope.reading import Choices, examine
    from dopascope.web import viewing

    series = choices.pop("series", None)
    try:
        image = formats.load(scan, series=series)
    except AmbiguousError:
        several = [one.id for one in formats.meant_among(formats.survey(scan))]
        if len(several) > MOST_SERIES:
            raise
        return {"ok": True, "series": several}
    identity = identity_of(scan, series=series).as_dict()
    descriptor = os.open(out / IDENTITY, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(identity, stream)
    examination = examine(image, Choices(**choices, models_dir=Path(models_dir) if models_dir else None))
    report.write(examination, out)
    viewing.write(examination, out)
    reading = examination.reading
    lead = next((one for one in reading.readers if one.p_abnormal is not None), None)
    return {
        "ok": True,
        "verdict": reading.word,
        "passport": reading.passport.verdict,
        "p_abnormal": None if lead is None else lead.p_abnormal,
        "disagreement": reading.disagreement is not None,
        "camera": _camera(reading),
        "ratios": _ratios(reading),
        "sha256": reading.scan.sha256,
    }


def _ratios(reading: Any) -> dict[str, float]:
    if reading.quantification is None or reading.verdict == "refused":
        return {}
    measured = reading.quantification.regions.items()
    return {name: round(one.sbr, 4) for name, one in measured if one.sbr is not None}


def _camera(reading: Any) -> str:
    facts = reading.acquisition
    if facts is None:
        return ""
    named = [getattr(facts, name, None) for name in ("manufacturer", "model")]
    return " ".join(str(one) for one in named if one)[:120]


def _without_paths(error: dict[str, str], scan: Path) -> dict[str, str]:
    """No path of the server in what a user is shown."""
    hidden = {name: value.replace(str(scan.parent), "").lstrip("/") for name, value in error.items()}
    return {name: value or "the upload" for name, value in hidden.items()}


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
