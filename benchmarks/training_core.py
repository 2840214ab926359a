"""Images per second of the training core, beside a plain loop with DataLoader and torchvision's transforms.

    python benchmarks/training_core.py [--data DIR] [--json PATH] [--width 16] [--threads 1] [--repetitions 9]

By default on one thread, which is what a trial of a sweep has, and the net of sweeps/cifar10_cpu.yaml; a worker process
of the plain loop takes another core. Both train the same ResNet-18 on the same CIFAR-10 images by the same recipe:
crop, flip, cutout, SGD with Nesterov's momentum, one cycle. The plain loop is measured as it is commonly written
(float32, contiguous), with the core's precision, and with its memory layout too, so that what is left is the loop and
its data; each without worker processes and with as many as threads, of which the faster counts. All take turns, an
epoch each, so that a busy machine slows them alike; quoted are medians, and quartiles of the ratios.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from provenance import command, commit, cpu_name
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from cifar_tune.training.data import TrainingData, load_data
from cifar_tune.training.datasets.data_root import data_root
from cifar_tune.training.loop import train_epochs
from cifar_tune.training.precision import NAMED
from cifar_tune.training.state import create_state
from cifar_tune.training.trial import TrialConfig

CPU = torch.device("cpu")
IMAGES = 1280
EPOCHS = 10_000
"""More than are ever run; the schedule needs a number."""


def recipe(width: int, precision: str, batch_size: int) -> TrialConfig:
    """Returns the trial that all contestants train."""
    values = {
        "dataset": {"name": "cifar10", "train_size": IMAGES + 256, "validation_fraction": 256 / (IMAGES + 256)},
        "model": {"name": "resnet18", "width": width},
        "augmentations": [{"name": "crop"}, {"name": "flip"}, {"name": "cutout", "size": 16, "p": 0.5}],
        "optimizer": {"name": "sgd", "lr": 0.05, "weight_decay": 5e-4},
        "schedule": {"name": "onecycle"},
        "batch_size": batch_size,
        "epochs": EPOCHS,
        "precision": precision,
        "evaluation": {"every": EPOCHS},
    }
    return TrialConfig.model_validate(values)


def core(trial: TrialConfig, data: TrainingData) -> Iterator[float]:
    """Yields images per second of each epoch of the training core."""
    for metrics in train_epochs(create_state(trial, data.info, CPU), data, trial):
        yield metrics.images_per_second


class Photographs(Dataset[tuple[torch.Tensor, int]]):
    """The trial's training images, one at a time, as torchvision's own data sets hand them out."""

    def __init__(self, data: TrainingData) -> None:
        (pixels,) = data.train.batches(torch.arange(len(data.train)), len(data.train))
        self.images = np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())
        self.labels = data.train.labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(data.info.mean, data.info.std),
                transforms.RandomErasing(p=0.5, scale=(0.25, 0.25), ratio=(1, 1)),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[place])), self.labels[place]


def plain_loop(trial: TrialConfig, data: TrainingData, workers: int, *, precision: str, layout: Any) -> Iterator[float]:
    """Yields images per second of each epoch of the loop that every tutorial shows."""
    model: nn.Module = trial.model.build(data.info).to(memory_format=layout).train()
    loader = DataLoader(
        Photographs(data),
        trial.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=len(loader) * EPOCHS)
    while True:
        began, total, right = time.perf_counter(), 0.0, 0
        for images, labels in loader:
            optimizer.zero_grad()
            with NAMED[precision].autocast_context(CPU):  # type: ignore[index]
                logits = model(images.contiguous(memory_format=layout))
                loss = F.cross_entropy(logits.float(), labels)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
            right += int((logits.argmax(1) == labels).sum())
        yield len(loader) * trial.batch_size / (time.perf_counter() - began)


def measured(trial: TrialConfig, data: TrainingData, threads: int, repetitions: int) -> dict[str, list[float]]:
    """Returns the images per second of every repetition of every contestant; the first epochs warm up."""
    precision = create_state(trial, data.info, CPU).arithmetic.name
    contestants = {"core": core(trial, data)}
    for variant, (numbers, layout) in {
        "plain": ("float32", torch.contiguous_format),
        f"plain in {precision}": (precision, torch.contiguous_format),
        f"plain in {precision}, channels_last": (precision, torch.channels_last),
    }.items():
        for workers in (0, threads):
            name = f"{variant}, {workers} workers"
            contestants[name] = plain_loop(trial, data, workers, precision=numbers, layout=layout)
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    for repetition in range(repetitions + 1):
        for name, epochs in contestants.items():
            speed = next(epochs)
            if repetition:
                speeds[name].append(speed)
    return speeds


def ratios(speeds: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Returns how many times as fast the core is as each other."""
    found = {}
    for name, others in speeds.items():
        if name != "core":
            pairs = [ours / theirs for ours, theirs in zip(speeds["core"], others, strict=True)]
            low, middle, high = statistics.quantiles(pairs, n=4)
            found[name] = {"median": middle, "low": low, "high": high}
    return found


def environment(options: argparse.Namespace) -> dict[str, Any]:
    """Returns what the figures depend on."""
    return {
        "command": command(),
        "commit": commit(),
        "cpu": cpu_name(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "images_an_epoch": IMAGES,
        **{name: getattr(options, name) for name in ("width", "threads", "repetitions", "precision", "batch_size")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="The training core beside a plain loop.")
    parser.add_argument("--data", type=Path, help="data root (default: CIFAR_TUNE_DATA, else ./data)")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    trial = recipe(options.width, options.precision, options.batch_size)
    data = load_data(trial.dataset, data_root(options.data), CPU)
    speeds = measured(trial, data, options.threads, options.repetitions)
    compared = ratios(speeds)
    print(f"{'ResNet-18 of width ' + str(options.width):46} images/s   core is")
    for name, values in speeds.items():
        ratio = compared.get(name)
        times = f"{ratio['median']:5.2f}x [{ratio['low']:.2f}, {ratio['high']:.2f}]" if ratio else ""
        print(f"{name:46} {statistics.median(values):8,.0f}   {times}")
    if options.json:
        record = {"environment": environment(options), "images_per_second": speeds, "core_times_as_fast": compared}
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
