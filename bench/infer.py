"""Images a second of answering: torch eager beside ONNX Runtime, the same networks and images.

    python bench/infer.py [--rounds 5] [--seconds 3] [--threads 1]

Batches of 8, as bundles run them; engines asked in turn. The answers agree within 1e-4 or the run fails. Writes
bench/results/infer.md and .json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"
BATCH = 8
SETUPS: dict[str, tuple[str, tuple[int, ...]]] = {
    "slab, 1 x 72 x 72": ("slab", (1, 72, 72)),
    "sequence, 12 x 72 x 72": ("sequence", (12, 72, 72)),
    "ResNet18, 3 x 91 x 109": ("resnet18", (3, 91, 109)),
    "InceptionV3, 3 x 91 x 109": ("inceptionv3-s3", (3, 91, 109)),
    "3-D ResNet10, 45 x 54 x 45": ("resnet3d-10", (1, 45, 54, 45)),
}


def engines(name: str, shape: tuple[int, ...], threads: int) -> dict[str, Callable[[], Any]]:
    """Engine -> a call that answers one batch."""
    import logging
    import warnings

    from dopascope.bundle import runtime
    from dopascope.nets import create

    torch.manual_seed(1)
    net = create(name, channels=shape[0]).eval()
    images = torch.rand(BATCH, *shape)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(net, (images,), dynamo=True, opset_version=18, input_names=["image"], verbose=False)
    library = runtime.onnxruntime()
    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    model = program.model_proto.SerializeToString()
    session = library.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = torch.sigmoid(net(images)).numpy()
    found = torch.sigmoid(torch.from_numpy(session.run(None, {"image": images.numpy()})[0])).numpy()
    if not abs(found - expected).max() < 1e-4:
        raise SystemExit(f"{name}: the two do not agree")
    array = images.numpy()

    def eager() -> Any:
        with torch.inference_mode():
            return net(images)

    return {"torch eager": eager, "ONNX Runtime": lambda: session.run(None, {"image": array})}


def rate(call: Callable[[], Any], seconds: float) -> float:
    call()
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        call()
        done += BATCH
    return done / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--threads", type=int, default=1)
    told = parser.parse_args()
    torch.set_num_threads(told.threads)
    before, found = os.getloadavg()[0], []
    for title, (name, shape) in SETUPS.items():
        calls = engines(name, shape, told.threads)
        rates: dict[str, list[float]] = {engine: [] for engine in calls}
        for _ in range(told.rounds):
            for engine, call in calls.items():
                rates[engine].append(rate(call, told.seconds))
        found.append({"title": title, "rates": rates})
        print(title, {engine: round(statistics.median(values), 1) for engine, values in rates.items()}, flush=True)
    head = f"{platform.machine()}, {told.threads} thread; load {before:.1f} to {os.getloadavg()[0]:.1f}; batches of 8."
    lines = ["# Answering", "", head, "", "| network | engine | images/s | of eager |", "|---|---|---|---|"]
    for one in found:
        eager = statistics.median(one["rates"]["torch eager"])
        for engine, rates in one["rates"].items():
            middle = statistics.median(rates)
            spread = f"{middle:.1f} ({min(rates):.1f} to {max(rates):.1f})"
            lines.append(f"| {one['title']} | {engine} | {spread} | {middle / eager:.2f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "infer.md").write_text(text)
    (RESULTS / "infer.json").write_text(json.dumps({"head": head, "found": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
