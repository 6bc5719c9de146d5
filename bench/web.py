"""The web app under load, and its records list beside a bare Flask app under gunicorn.

    python bench/web.py [--warm-seconds 240] [--seconds 300] [--users 50] [--uploads-per-minute 10] [--readings 10000]
                        [--rounds 5] [--round-seconds 10] [--connections 8] [--pairs 5]

A real `dopascope serve` with one worker answers on this machine alone; its database is SQLite with `--readings` rows.
Load comes from processes of their own (`bench/web_parts`). Three measurements:

1. After `--warm-seconds` of browsing nearly without pauses, people who browse with pauses of 1 to 3 s, and uploads of
   a phantom as DICOM at a steady pace: seconds until an answer's last byte, errors, memory of the server.
2. With nobody else there: from the upload's form until the reading is done, beside `dopascope read` of the same file,
   in turn.
3. Answers a second of the records list with closed-loop connections, beside `web_parts/bare.py` (same template, same
   queries, one process, as many threads), in turn; median and range of rounds.

Writes bench/results/web.md and .json. Exit code 1 where a request failed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from web_parts.browser import Browser, RefusedError
from web_parts.store import PASSWORD, Store, fill

RESULTS = Path(__file__).parent / "results"
PARTS = Path(__file__).parent / "web_parts"
RAMP_S = 15.0
"""People log in one after the other; nothing that is asked meanwhile counts."""
START_S = 60.0
PAGE_AIM_S, JSON_AIM_S, RATIO_AIM = 0.3, 0.1, 0.5
JSON_KINDS = ("events", "api")
NOT_PAGES = (*JSON_KINDS, "style", "upload")
WARM_THINK_S = (0.3, 0.9)
SHOWN = 20
"""Readings that one person opens again and again."""


class Server:
    """A server as a process, and its resident memory once a second."""

    def __init__(self, command: list[str], port: int, ready: str) -> None:
        self.port = port
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115  (it lives as long as the process)
        self.process = subprocess.Popen(command, cwd=PARTS, stdout=self.log, stderr=self.log)
        ends = time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{ready}", timeout=10).close()
                return
            except OSError as error:
                if time.monotonic() > ends or self.process.poll() is not None:
                    self.log.seek(0)
                    raise SystemExit(f"{command} does not answer: {error}\n{self.log.read()}") from error
                time.sleep(0.1)

    def watch(self, ended: threading.Event) -> list[tuple[float, float]]:
        """(seconds, MB) once a second until `ended`; the list grows meanwhile."""
        seen: list[tuple[float, float]] = []
        server, start = psutil.Process(self.process.pid), time.monotonic()

        def look() -> None:
            while not ended.wait(1.0):
                seen.append((time.monotonic() - start, server.memory_info().rss / 1e6))

        threading.Thread(target=look, daemon=True).start()
        return seen

    def cpu_s(self) -> float:
        """Processor seconds of the process so far, without its workers."""
        used = psutil.Process(self.process.pid).cpu_times()
        return used.user + used.system

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        finally:
            self.process.kill()
            self.log.close()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def serve(store: Store) -> Server:
    port = free_port()
    command = [sys.executable, "-m", "dopascope", "serve", "--data", str(store.settings.data), "--port", str(port)]
    return Server([*command, "--models-dir", str(store.settings.models_dir)], port, "/readyz")


def part(name: str, *arguments: object) -> dict[str, Any]:
    """Run one of the load generators; its answer."""
    command = [sys.executable, str(PARTS / f"{name}.py"), *(str(one) for one in arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def phantoms(folder: Path, count: int) -> list[Path]:
    """One phantom as DICOM of `count` different people."""
    import pydicom

    from dopascope import phantom

    first = folder / "scan.dcm"
    phantom.write(phantom.example(seed=1, group="pd")[0], first, format="dicom")
    header = pydicom.dcmread(first)
    made = []
    for number in range(count):
        header.PatientID = f"bench-{number:04}"
        made.append(folder / f"scan-{number:04}.dcm")
        header.save_as(made[-1])
    return made


def api_routes(store: Store, port: int) -> list[str]:
    """Routes of the programming interface that give a reader data, as its document names them."""
    name, known = next(iter(store.readers.items()))
    browser = Browser(port, token=store.tokens[name])
    told = json.loads(browser.ask("/api/v1/openapi.json").body)
    found = []
    for path in sorted(one for one, methods in told["paths"].items() if "get" in methods):
        try:
            json.loads(browser.ask(filled(path, known[0])).body)
        except (RefusedError, ValueError):
            continue
        found.append(path)
    print(f"JSON is asked of {', '.join(found)}.", flush=True)
    return found


def filled(path: str, one: tuple[str, str, str]) -> str:
    """A route with the ids of one reading in its place."""
    upload, reading, pseudonym = one
    names = {"upload_id": upload, "reading_id": reading, "job_id": reading, "pseudonym": pseudonym}
    return re.sub(r"{(\w+)}", lambda hole: names.get(hole[1], hole[0]), path)


def plan(store: Store, server: Server, scans: list[Path], chosen: argparse.Namespace) -> dict[str, Any]:
    """What `people.py` is to do."""
    people = []
    routes = api_routes(store, server.port)
    everybody = [one for known in store.readers.values() for one in known]
    for name in sorted([*store.readers, *store.reviewers]):
        known = store.readers.get(name) or everybody
        step = max(1, len(known) // SHOWN)
        mine = known[::step][:SHOWN]
        finds = [pseudonym[2:6] for _, _, pseudonym in mine] + ["siemens", "scan-00"]
        paths = {
            "history": ["/", "/", "/?page=2", "/?verdict=reduced"],
            "reading": [f"/readings/{reading}" for _, reading, _ in mine],
            "search": [f"/?find={one}" for one in finds],
            "worklist": ["/worklist"],
            "dashboard": ["/dashboard"],
            "person": [f"/people/{pseudonym}" for _, _, pseudonym in mine],
            "csv": ["/history.csv"],
            "events": [f"/uploads/{upload}/events" for upload, _, _ in mine],
        }
        paths["api"] = [filled(path, one) for path in routes for one in mine[:3]]
        people.append({"name": name, "token": store.tokens[name], "paths": paths})
    return {
        "port": server.port,
        "password": PASSWORD,
        "seconds": chosen.seconds,
        "ramp": RAMP_S,
        "think": [1.0, 3.0],
        "seed": 1,
        "people": people,
        "scans": [str(one) for one in scans],
        "every_s": 60.0 / chosen.uploads_per_minute,
    }


def under_load(store: Store, server: Server, scans: list[Path], folder: Path, chosen: argparse.Namespace) -> Any:
    """The first measurement, after the same people have browsed nearly without pauses: caches and heaps are filled."""
    asked = plan(store, server, scans, chosen)
    (folder / "warm.json").write_text(
        json.dumps({**asked, "seconds": chosen.warm_seconds, "think": WARM_THINK_S, "scans": []})
    )
    warm = part("people", folder / "warm.json")
    (folder / "plan.json").write_text(json.dumps(asked))
    before, ended = server.cpu_s(), threading.Event()
    memory = server.watch(ended)
    found = part("people", folder / "plan.json")
    ended.set()
    kinds: dict[str, list[float]] = {}
    for kind, at, seconds in found["asked"]:
        if 0 <= at <= chosen.seconds:
            kinds.setdefault(kind, []).append(seconds)
    at, mb = np.array([one for one in memory if RAMP_S <= one[0] <= RAMP_S + chosen.seconds]).T
    minute = min(60.0, chosen.seconds / 4)
    minutes = range(round((at[-1] - at[0]) / 60))
    return {
        "requests": len(found["asked"]) + len(found["log_ins"]),
        "errors": found["errors"],
        "kinds": {kind: spread(times) for kind, times in sorted(kinds.items())},
        "pages": spread([one for kind, times in kinds.items() if kind not in NOT_PAGES for one in times]),
        "json": spread([one for kind, times in kinds.items() if kind in JSON_KINDS for one in times]),
        "log_ins": spread(found["log_ins"]),
        "uploads": spread(found["uploads"]),
        "cpu_s": {"server": server.cpu_s() - before, "load": found["cpu_s"]},
        "warmed_by": len(warm["asked"]),
        "memory": {
            "slope_mb_per_minute": float(60 * np.polyfit(at, mb, 1)[0]),
            "first_minute_mb": float(mb[at < at[0] + minute].mean()),
            "last_minute_mb": float(mb[at > at[-1] - minute].mean()),
            "most_mb": float(mb.max()),
            "by_minute_mb": [float(mb[(at - at[0]) // 60 == one].mean()) for one in minutes],
        },
    }


def spread(times: list[float]) -> dict[str, float]:
    """Count, p50, p95 and longest, s."""
    if not times:
        return {"count": 0}
    p50, p95 = np.percentile(times, (50, 95))
    return {"count": len(times), "p50": float(p50), "p95": float(p95), "longest": max(times)}


def in_turn(store: Store, server: Server, scans: list[Path], folder: Path) -> dict[str, list[float]]:
    """The second measurement: seconds by web and by command, scan by scan."""
    browser = Browser(server.port)
    browser.log_in(next(iter(store.readers)), PASSWORD)
    found: dict[str, list[float]] = {"web": [], "command": []}
    for scan in scans:
        found["web"].append(browser.tab().upload(scan.read_bytes())[1])
        start = time.perf_counter()
        read(scan, folder / f"{scan.stem}-reading", store.settings.models_dir)
        found["command"].append(time.perf_counter() - start)
    return found


def read(scan: Path, out: Path, models_dir: Path | None) -> None:
    command = [sys.executable, "-m", "dopascope", "read", str(scan), "--out", str(out), "--models-dir", str(models_dir)]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def beside_bare(store: Store, server: Server, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """The third measurement: answers a second of both, round by round."""
    from dopascope.web.serve import THREADS

    browser = Browser(server.port)
    browser.log_in(store.reviewers[0], PASSWORD)
    (folder / "cookies.json").write_text(json.dumps(browser.cookies))
    (folder / "none.json").write_text("{}")
    port = free_port()
    gunicorn = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", "1"]
    gunicorn += ["--worker-class", "gthread", "--threads", str(THREADS), "--log-level", "warning"]
    bare = Server([*gunicorn, f"bare:create({store.settings.url!r})"], port, "/")
    asked = {"dopascope": (server.port, "cookies"), "bare": (port, "none")}
    rates: dict[str, list[float]] = {name: [] for name in asked}
    times: dict[str, list[float]] = {name: [] for name in asked}
    sizes = {}
    try:
        for number in range(chosen.rounds + 1):
            for name in sorted(asked, reverse=bool(number % 2)):
                where, cookies = asked[name]
                seconds = chosen.round_seconds if number else 2.0  # the first one warms up
                told = part("rate", where, chosen.connections, seconds, folder / f"{cookies}.json")
                sizes[name] = told["size"]
                if number:
                    rates[name].append(told["answers"] / told["seconds"])
                    times[name] += told["times"]
                    print(f"records list, {name}: {rates[name][-1]:.0f} answers/s", flush=True)
    finally:
        bare.end()
    ratios = [one / other for one, other in zip(rates["dopascope"], rates["bare"], strict=True)]
    return {
        "connections": chosen.connections,
        "rates": rates,
        "times": {name: spread(one) for name, one in times.items()},
        "page_bytes": sizes,
        "ratio": statistics.median(rates["dopascope"]) / statistics.median(rates["bare"]),
        "ratio_by_round": ratios,
    }


def table(record: dict[str, Any]) -> str:
    """The page of the measurements made so far."""
    lines = ["# The web app", "", f"Made by `python bench/web.py`. {record['machine']}. {record['asked']}", ""]
    if "load" in record:
        lines += load_lines(record["load"])
    if "in_turn" in record:
        lines += turn_lines(record["load"]["uploads"], record["in_turn"])
    if "records_list" in record:
        lines += list_lines(record["records_list"])
    lines += [f"\nError: {one}" for one in sorted(set(record.get("load", {}).get("errors", [])))[:20]]
    return "\n".join(lines) + "\n"


def load_lines(load: dict[str, Any]) -> list[str]:
    """What the first measurement found."""
    lines = [
        "## Under load",
        "",
        f"{load['requests']} requests, {len(load['errors'])} errors. Processor: server "
        f"{load['cpu_s']['server']:.0f} s, load generator {load['cpu_s']['load']:.0f} s.",
        "",
        "| what | count | p50 ms | p95 ms | longest ms |",
        "|---|---|---|---|---|",
    ]
    rows = {
        f"**all pages** (aim: p95 {1000 * PAGE_AIM_S:.0f})": load["pages"],
        f"**JSON** (aim: p95 {1000 * JSON_AIM_S:.0f})": load["json"],
        **load["kinds"],
        "log in": load["log_ins"],
    }
    for name, one in rows.items():
        if one["count"]:
            shown = " | ".join(f"{1000 * one[key]:.0f}" for key in ("p50", "p95", "longest"))
            lines.append(f"| {name} | {one['count']} | {shown} |")
    memory = load["memory"]
    by_minute = ", ".join(f"{one:.0f}" for one in memory["by_minute_mb"])
    return [
        *lines,
        "",
        f"Resident memory of the server, after {load['warmed_by']} requests: "
        f"{memory['first_minute_mb']:.0f} MB in the first minute, {memory['last_minute_mb']:.0f} MB in the last, "
        f"{memory['slope_mb_per_minute']:+.2f} MB a minute, at most {memory['most_mb']:.0f} MB. "
        f"By minute: {by_minute}.",
        "",
    ]


def turn_lines(under_load: dict[str, float], pairs: dict[str, list[float]]) -> list[str]:
    """What the second measurement found, beside the uploads of the first."""
    rows = {
        "under load": under_load,
        "alone": spread(pairs["web"]),
        "`dopascope read` of the same files, in turn with it": spread(pairs["command"]),
    }
    return [
        "## From upload to reading",
        "",
        "| what | count | p50 s | p95 s |",
        "|---|---|---|---|",
        *(
            f"| {name} | {one['count']} | {one['p50']:.2f} | {one['p95']:.2f} |"
            for name, one in rows.items()
            if one["count"]
        ),
        "",
    ]


def list_lines(found: dict[str, Any]) -> list[str]:
    """What the third measurement found."""
    lines = [
        "## Records list",
        "",
        f"{found['connections']} connections that ask again at once.",
        "",
        "| what | answers/s | range of rounds | p95 ms | page bytes |",
        "|---|---|---|---|---|",
    ]
    for name, title in (("dopascope", "dopascope, waitress"), ("bare", "bare Flask, gunicorn")):
        rates = found["rates"][name]
        lines.append(
            f"| {title} | {statistics.median(rates):.0f} | {min(rates):.0f} to {max(rates):.0f} "
            f"| {1000 * found['times'][name]['p95']:.0f} | {found['page_bytes'][name]} |"
        )
    low, high = min(found["ratio_by_round"]), max(found["ratio_by_round"])
    return [*lines, "", f"Ratio {found['ratio']:.2f} ({low:.2f} to {high:.2f} by round; aim {RATIO_AIM:.2f})."]


def write(record: dict[str, Any]) -> str:
    """The measurements made so far to the results' files; their page."""
    RESULTS.mkdir(exist_ok=True)
    text = table(record)
    (RESULTS / "web.md").write_text(text)
    (RESULTS / "web.json").write_text(json.dumps(record, indent=1) + "\n")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--warm-seconds", type=float, default=240.0)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--uploads-per-minute", type=float, default=10.0)
    parser.add_argument("--readings", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--round-seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=5)
    chosen = parser.parse_args()
    if find_spec("gunicorn") is None:
        parser.exit(2, "The bare app runs under gunicorn: pip install gunicorn\n")
    record: dict[str, Any] = {
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.2f} before",
        "asked": f"{chosen.users} people for {chosen.seconds:.0f} s, {chosen.uploads_per_minute:g} uploads a minute, "
        f"{chosen.readings} readings.",
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        uploads = int(chosen.seconds * chosen.uploads_per_minute / 60)
        scans = phantoms(folder, uploads + chosen.pairs)
        read(scans[0], folder / "example", folder / "models")
        store = fill(
            folder / "web",
            folder / "example",
            people=chosen.users,
            readings=chosen.readings,
            models_dir=folder / "models",
        )
        server = serve(store)
        try:
            record["load"] = under_load(store, server, scans[:uploads], folder, chosen)
            write(record)  # a fault of a later measurement loses nothing
            record["in_turn"] = in_turn(store, server, scans[uploads:], folder)
            write(record)
            record["records_list"] = beside_bare(store, server, folder, chosen)
        finally:
            server.end()
    print(write(record))
    if record["load"]["errors"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
