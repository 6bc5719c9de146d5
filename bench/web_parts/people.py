"""Load on a server from a process of its own: people who browse, and uploads at a steady pace.

    python people.py PLAN.json

The plan: port, password, seconds, ramp, think (shortest and longest pause, s), seed; `people` (name, token, the paths
that he may open by kind); `scans` (files to upload), every_s (seconds between uploads). Prints one JSON object: `asked`
([kind, seconds since start, seconds] of each request), `log_ins` and `uploads` (seconds), `errors`, and `cpu_s`.
"""

from __future__ import annotations

import json
import random
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

from browser import Browser, RefusedError

STYLE = re.compile(r"/static/[^\"]+\.css[^\"]*")
"""What a browser loads with each page, and keeps where it may."""

WEIGHTS = {
    "history": 30,
    "reading": 25,
    "search": 12,
    "worklist": 12,
    "dashboard": 8,
    "person": 8,
    "csv": 3,
    "events": 6,
    "api": 12,
}
"""How often each kind is asked, where there is one; after a reading its report is loaded too."""


class Load:
    """What all threads write to."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.start = time.perf_counter()
        self.ends = self.start + plan["ramp"] + plan["seconds"]
        self.asked: list[tuple[str, float, float]] = []
        self.log_ins: list[float] = []
        self.uploads: list[float] = []
        self.errors: list[str] = []
        self.browsers: list[Browser] = []

    def note(self, kind: str, seconds: float) -> None:
        self.asked.append((kind, time.perf_counter() - self.start - self.plan["ramp"], seconds))

    def person(self, number: int) -> None:
        """One of those who browse, from his log-in to the end."""
        told = self.plan["people"][number]
        draw = random.Random(f"{self.plan['seed']} {number}")
        time.sleep(self.plan["ramp"] * number / len(self.plan["people"]))
        browser = Browser(self.plan["port"], token=told["token"])
        try:
            self.log_ins.append(browser.log_in(told["name"], self.plan["password"]).seconds)
        except RefusedError as error:
            self.errors.append(str(error))
            return
        self.browsers.append(browser)
        kinds = [kind for kind in WEIGHTS if told["paths"].get(kind)]
        kept: set[str] = set()
        while time.perf_counter() < self.ends:
            kind = draw.choices(kinds, [WEIGHTS[one] for one in kinds])[0]
            path = draw.choice(told["paths"][kind])
            try:
                page = browser.ask(path)
                self.note(kind, page.seconds)
                for named in set(STYLE.findall(page.body.decode("utf-8", "replace"))) - kept:
                    style = browser.ask(named)
                    kept |= {named} if "immutable" in style.caching else set()
                    self.note("style", style.seconds)
                if kind == "reading":
                    self.note("report", browser.ask(f"{path}/report.html").seconds)
            except RefusedError as error:
                self.errors.append(str(error))
            time.sleep(draw.uniform(*self.plan["think"]))

    def sender(self, path: str, number: int) -> None:
        """One upload, by somebody who is logged in."""
        try:
            answer, seconds = self.browsers[number % len(self.browsers)].tab().upload(Path(path).read_bytes())
            self.note("upload", answer.seconds)
            self.uploads.append(seconds)
        except RefusedError as error:
            self.errors.append(str(error))

    def run(self) -> dict[str, Any]:
        """Everything, until the time is over and the last upload is read."""
        threads = [threading.Thread(target=self.person, args=(one,)) for one in range(len(self.plan["people"]))]
        for one in threads:
            one.start()
        time.sleep(self.plan["ramp"])
        for number, path in enumerate(self.plan["scans"]):
            due = self.start + self.plan["ramp"] + (number + 0.5) * self.plan["every_s"]
            time.sleep(max(0.0, due - time.perf_counter()))
            threads.append(threading.Thread(target=self.sender, args=(path, number)))
            threads[-1].start()
        for one in threads:
            one.join()
        kept = {name: getattr(self, name) for name in ("asked", "log_ins", "uploads", "errors")}
        return kept | {"cpu_s": time.process_time()}


if __name__ == "__main__":
    print(json.dumps(Load(json.loads(Path(sys.argv[1]).read_text())).run()))
