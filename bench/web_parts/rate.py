"""How many answers a second one page gives: connections that ask again as soon as they are answered.

    python rate.py PORT CONNECTIONS SECONDS COOKIES.json

Prints one JSON object: `answers`, `seconds` (wall), `times` (s, each answer's), `size` (bytes of the page).
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from browser import Browser


def main() -> None:
    port, connections, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    cookies = json.loads(Path(sys.argv[4]).read_text())
    times: list[float] = []
    sizes: list[int] = []
    start = time.perf_counter()

    def ask() -> None:
        browser = Browser(port, dict(cookies))
        while time.perf_counter() < start + seconds:
            answer = browser.ask("/")
            times.append(answer.seconds)
            sizes.append(len(answer.body))

    threads = [threading.Thread(target=ask) for _ in range(connections)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    wall = time.perf_counter() - start
    print(json.dumps({"answers": len(times), "seconds": wall, "times": times, "size": max(sizes)}))


if __name__ == "__main__":
    main()
