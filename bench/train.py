"""Images a second of training: dopascope's loop beside a plain PyTorch DataLoader loop with MONAI transforms.

    python bench/train.py [--rounds 3] [--seconds 6] [--networks slab,resnet18,...] [--threads 2]

The same network, images, optimiser, batch and kinds of augmentation (affine pose, flip, brightness; blur and noise with
half a chance, as in `best`). The plain loop is what tutorials show: a Dataset of single images, MONAI's random
transforms, a DataLoader (with 0 and with 1 worker, the better one counts), fp32. dopascope runs fp32 and bf16. Both are
asked in turn; median and range of rounds. Nothing is learned from what is measured: images are random. Writes
bench/results/train.md and .json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"
COUNT = 64
SETUPS: dict[str, tuple[str, tuple[int, ...], int]] = {
    "slab, 2 x 72 x 72": ("slab", (2, 72, 72), 32),
    "ResNet18, 3 x 91 x 109": ("resnet18", (3, 91, 109), 32),
    "InceptionV3, 3 x 91 x 109": ("inceptionv3-s3", (3, 91, 109), 16),
    "3-D ResNet18, 64 cubed": ("resnet3d-18", (1, 64, 64, 64), 4),
}
"""Title -> network, image, batch."""
Steps = Iterator[int]


def ours(name: str, shape: tuple[int, ...], batch: int, precision: str) -> Steps:
    """Images done so far, step by step, by the functions that `learn.fit` is made of."""
    from dopascope.augment import parse
    from dopascope.learn import fit, sampling
    from dopascope.learn.recipe import Recipe
    from dopascope.nets import create

    count = COUNT if len(shape) == 3 else 2 * batch
    examples = fit.Examples(torch.rand(count, *shape), torch.arange(count) % 2 == 0)
    recipe = Recipe(epochs=10**6, batch=batch, learning_rate=1e-4, optimiser="adamw", precision=precision)  # type: ignore[arg-type]
    kinds = [
        {"kind": "pose", "rotation_deg": 8.0, "scale": 0.08, "shift_mm": 6.0},
        {"kind": "flip"},
        {"kind": "brightness"},
        {"kind": "blur", "fwhm_mm": 12.0},
        {"kind": "noise"},
    ]
    device = fit.fabric(precision)
    net = create(name, channels=shape[0]).to(memory_format=fit.memory_format(shape))
    model, optimiser = device.setup(net, fit._optimiser(net, recipe))
    pipeline, epoch = parse(kinds), 0
    done = 0
    while True:
        fit._epoch(device, model, optimiser, examples, recipe, pipeline, 1, epoch)
        done += sum(len(one) for one in sampling.order(examples.positive, recipe, 1, epoch))
        epoch += 1
        yield done


class Images(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Single images through MONAI's random transforms."""

    def __init__(self, shape: tuple[int, ...], count: int) -> None:
        from dopascope.nets.torchvision_operators import declare

        declare()
        from monai import transforms

        axes = len(shape) - 1
        self.images = torch.rand(count, *shape)
        turn, move, grow = [0.14] * (1 if axes == 2 else 3), [3.0] * axes, [0.08] * axes
        self.change = transforms.Compose(
            [
                transforms.RandAffine(
                    prob=1.0, rotate_range=turn, translate_range=move, scale_range=grow, padding_mode="border"
                ),
                transforms.RandFlip(prob=0.5, spatial_axis=0),
                transforms.RandScaleIntensity(prob=1.0, factors=0.1),
                transforms.RandGaussianSmooth(prob=0.5, **{f"sigma_{axis}": (0.0, 2.55) for axis in "xyz"}),
                transforms.RandGaussianNoise(prob=0.5, std=0.1),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.as_tensor(self.change(self.images[index])), torch.tensor(float(index % 2))


def plain(name: str, shape: tuple[int, ...], batch: int, workers: int) -> Steps:
    """The tutorial's loop."""
    from dopascope.nets import create

    count = COUNT if len(shape) == 3 else 2 * batch
    loader = torch.utils.data.DataLoader(
        Images(shape, count), batch_size=batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    net = create(name, channels=shape[0]).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-4)
    done = 0
    while True:
        for images, truth in loader:
            answer = net(images)
            logit = answer if answer.ndim == 1 else answer[:, 0]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, truth)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            done += len(images)
            yield done


def rate(steps: Steps, seconds: float) -> float:
    """Images a second over at least `seconds`."""
    start, before = time.perf_counter(), None
    for done in steps:
        before = done if before is None else before
        elapsed = time.perf_counter() - start
        if done > before and elapsed >= seconds:
            return (done - before) / elapsed
        if done == before:
            start = time.perf_counter()  # the first one warms up
    raise RuntimeError("the loop ended")


def measure(title: str, rounds: int, seconds: float) -> dict[str, Any]:
    name, shape, batch = SETUPS[title]
    engines: dict[str, Callable[[], Steps]] = {
        "dopascope fp32": lambda: ours(name, shape, batch, "32"),
        "dopascope bf16": lambda: ours(name, shape, batch, "bf16"),
        "plain, 0 workers": lambda: plain(name, shape, batch, 0),
        "plain, 1 worker": lambda: plain(name, shape, batch, 1),
    }
    rates: dict[str, list[float]] = {engine: [] for engine in engines}
    for _ in range(rounds):
        for engine, make in engines.items():
            steps = make()
            rates[engine].append(rate(steps, seconds))
            del steps
            print(f"{title}: {engine} {rates[engine][-1]:.1f} images/s", flush=True)
    return {"title": title, "batch": batch, "rates": rates}


def table(found: list[dict[str, Any]], head: str) -> str:
    lines = ["# Training", "", head, "", "| network | batch | engine | images/s | of the better plain loop |"]
    lines.append("|---|---|---|---|---|")
    for one in found:
        medians = {engine: statistics.median(rates) for engine, rates in one["rates"].items()}
        best = max(value for engine, value in medians.items() if engine.startswith("plain"))
        for engine, rates in one["rates"].items():
            spread = f"{medians[engine]:.1f} ({min(rates):.1f} to {max(rates):.1f})"
            lines.append(f"| {one['title']} | {one['batch']} | {engine} | {spread} | {medians[engine] / best:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--networks", default=",".join(name for name, _, _ in SETUPS.values()))
    told = parser.parse_args()
    torch.set_num_threads(told.threads)
    before = os.getloadavg()[0]
    wanted = told.networks.split(",")
    found = [measure(title, told.rounds, told.seconds) for title, setup in SETUPS.items() if setup[0] in wanted]
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"{platform.machine()}, CPU"
    head = (
        f"{device}, {told.threads} threads; load {before:.1f} to {os.getloadavg()[0]:.1f}; torch {torch.__version__}."
    )
    text = table(found, head)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "train.md").write_text(text)
    (RESULTS / "train.json").write_text(json.dumps({"head": head, "found": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
