"""Images per second of every augmentation, beside torchvision's: image by image, and on the batch at once.

    python benchmarks/augmentations.py [--json PATH] [--images 256] [--side 32] [--threads 1] [--repetitions 9]

All get the same uint8 images and do the same work, ours with its conversion to float where it needs one. torchvision on
a batch draws one set of parameters for all of its images, where ours and torchvision image by image draw one for each:
it is the bound that a batched implementation can be measured by, not a replacement. The three take turns, so that a
busy machine slows them alike; quoted are medians, and the quartiles of the ratios.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision
from provenance import command, commit, cpu_name
from pydantic import TypeAdapter
from torchvision.transforms import v2

from cifar_tune.training.augmentations import AnyAugmentation
from cifar_tune.training.batch import Batch
from cifar_tune.training.preparation import augmented

CLASSES = 100

ON_BATCHES_ONLY = ("mixup", "cutmix", "mixup_or_cutmix")


def pairs(side: int) -> dict[str, tuple[dict[str, Any], v2.Transform]]:
    """Returns ours by name and options, and torchvision's nearest; MixUp and CutMix exist on batches only."""
    return {
        "flip": ({}, v2.RandomHorizontalFlip()),
        "crop": ({}, v2.RandomCrop(side, padding=4)),
        "crop, reflect": ({"name": "crop", "mode": "reflect"}, v2.RandomCrop(side, padding=4, padding_mode="reflect")),
        "cutout": ({"p": 1.0}, v2.RandomErasing(p=1.0, scale=(0.25, 0.25), ratio=(1, 1))),
        "color_jitter": (
            {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.05},
            v2.ColorJitter(0.2, 0.2, 0.2, 0.05),
        ),
        "rotation": ({"degrees": 15.0}, v2.RandomRotation(15, v2.InterpolationMode.BILINEAR)),
        "affine": (
            {"degrees": 8.0, "translate": 0.15, "smallest_scale": 0.85, "largest_scale": 1.1, "shear": 10.0},
            v2.RandomAffine(8, (0.15, 0.15), (0.85, 1.1), 10, v2.InterpolationMode.BILINEAR),
        ),
        "random_erasing": ({"p": 0.5}, v2.RandomErasing()),
        "randaugment": ({}, v2.RandAugment()),
        "autoaugment": ({}, v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)),
        "trivialaugment": ({}, v2.TrivialAugmentWide()),
        "mixup": ({}, v2.MixUp(alpha=0.2, num_classes=CLASSES)),
        "cutmix": ({}, v2.CutMix(num_classes=CLASSES)),
        "mixup_or_cutmix": ({}, v2.RandomChoice([v2.MixUp(num_classes=CLASSES), v2.CutMix(num_classes=CLASSES)])),
    }


def contestants(label: str, images: torch.Tensor) -> dict[str, Callable[[], Any]]:
    """Returns what is timed: ours, and torchvision image by image and on the batch."""
    options, transform = pairs(images.shape[-1])[label]
    ours = TypeAdapter(AnyAugmentation).validate_python({"name": label, **options})
    generator = torch.Generator().manual_seed(0)
    count = len(images)
    labels = torch.randint(CLASSES, (count, 1), generator=generator)
    batch = Batch(images, labels, torch.ones(count, 1), torch.arange(count), 1)
    timed: dict[str, Callable[[], Any]] = {"ours": lambda: augmented(batch, (ours,), generator)}
    if label in ON_BATCHES_ONLY:
        timed["torchvision_batch"] = lambda: transform(images / 255, labels[:, 0])
    else:
        timed["torchvision_per_image"] = lambda: torch.stack([transform(image) for image in images])
        timed["torchvision_batch"] = lambda: transform(images)
    return timed


def measure(timed: dict[str, Callable[[], Any]], count: int, repetitions: int) -> dict[str, Any]:
    """Returns images per second of each, and how many times as fast ours is as the others."""
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for repetition in range(repetitions + 1):
        for name, call in timed.items():
            started = time.perf_counter()
            call()
            if repetition:  # the first one warms up
                seconds[name].append(time.perf_counter() - started)
    speeds = {name: count / statistics.median(values) for name, values in seconds.items()}
    ratios = {}
    for name in timed:
        if name != "ours":
            pairs = [theirs / ours for theirs, ours in zip(seconds[name], seconds["ours"], strict=True)]
            low, middle, high = statistics.quantiles(pairs, n=4)
            ratios[name] = {"median": middle, "low": low, "high": high}
    return {"images_per_second": speeds, "times_as_fast": ratios}


def environment(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns what the figures depend on."""
    return {
        "command": command(),
        "commit": commit(),
        "cpu": cpu_name(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        **{name: getattr(arguments, name) for name in ("images", "side", "threads", "repetitions")},
    }


def row(label: str, result: dict[str, Any]) -> str:
    """Returns one line of the table."""
    cells = [f"{label:16}", f"{result['images_per_second']['ours']:>10,.0f}"]
    for name in ("torchvision_per_image", "torchvision_batch"):
        speed, ratio = result["images_per_second"].get(name), result["times_as_fast"].get(name)
        cells.append(f"{speed:>10,.0f} {ratio['median']:>6.1f}x" if speed and ratio else f"{'-':>10} {'':>7}")
    return "  ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description="Images per second of every augmentation, beside torchvision's.")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    shape = (arguments.images, 3, arguments.side, arguments.side)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    print(f"{'images/s':16}  {'ours':>10}  {'per image':>10} {'':>7}  {'v2 batch':>10}")
    results = {}
    for label in pairs(arguments.side):
        results[label] = measure(contestants(label, images), arguments.images, arguments.repetitions)
        print(row(label, results[label]), flush=True)
    if arguments.json:
        record = {"environment": environment(arguments), "augmentations": results}
        arguments.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
