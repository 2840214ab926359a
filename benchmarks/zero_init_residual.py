"""What `zero_init_residual` does to a ResNet's accuracy on CIFAR-10, and to how rounding differences grow.

    python benchmarks/zero_init_residual.py [--data DIR] [--json PATH] [--seeds 5] [--width 16] [--epochs 6]

Accuracy: the recipe of sweeps/cifar10_cpu.yaml on 5,000 training images, scored on 5,000 others of the training
split after the last epoch. Both variants train with the same seeds, and so with the same images in the same order.

Growth: a network of width 2 is trained twice for 20 steps, once from weights each changed by one part in ten million,
as another CPU's rounding might. Given is the distance between the two ends, divided by the distance moved.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch
from provenance import cpu_name, provenance
from torch import Tensor

from cifar_tune.training.data import TrainingData, load_data
from cifar_tune.training.datasets.data_root import data_root
from cifar_tune.training.loop import train_epochs
from cifar_tune.training.state import TrainingState, create_state
from cifar_tune.training.trial import TrialConfig

CPU = torch.device("cpu")
IMAGES = 5_000
"""To train on, and as many others to score."""
ROUNDING = 1e-7
"""Relative: about the distance from 1 to the next number in float32."""
GROWTH_STEPS, GROWTH_BATCH = 20, 32


def recipe(zero: bool, seed: int, width: int, epochs: int) -> TrialConfig:
    """Returns the trial of one variant and seed."""
    values = {
        "dataset": {"name": "cifar10", "train_size": 2 * IMAGES, "validation_fraction": 0.5},
        "model": {"name": "resnet18", "width": width, "zero_init_residual": zero},
        "augmentations": [{"name": "flip"}, {"name": "crop", "padding": 4}],
        "optimizer": {"name": "sgd", "lr": 0.1, "weight_decay": 5e-4},
        "schedule": {"name": "onecycle"},
        "epochs": epochs,
        "seed": seed,
        "evaluation": {"every": epochs},
    }
    return TrialConfig.model_validate(values)


def accuracy(trial: TrialConfig, data: TrainingData) -> float:
    """Returns the validation accuracy after the last epoch."""
    *_, last = train_epochs(create_state(trial, data.info, CPU), data, trial)
    assert last.validation_accuracy is not None
    return last.validation_accuracy


def weights(state: TrainingState) -> Tensor:
    """Returns a copy of all parameters as one vector."""
    return torch.cat([parameter.detach().flatten() for parameter in state.model.parameters()])


def growth(zero: bool, seed: int, root: Path) -> float:
    """Returns how far apart two trainings end that began a rounding apart, per distance moved."""
    values = {
        "dataset": {"name": "cifar10", "train_size": GROWTH_STEPS * GROWTH_BATCH, "validation_fraction": 0.0},
        "model": {"name": "resnet18", "width": 2, "zero_init_residual": zero},
        "optimizer": {"name": "sgd", "lr": 0.05},
        "schedule": {"name": "constant"},
        "batch_size": GROWTH_BATCH,
        "epochs": 1,
        "seed": seed,
    }
    trial = TrialConfig.model_validate(values)
    data = load_data(trial.dataset, root, CPU)
    ends = []
    for change in (0.0, ROUNDING):
        state = create_state(trial, data.info, CPU)
        begin = weights(state)
        draws = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in state.model.parameters():
                signs = torch.randint(2, parameter.shape, generator=draws) * 2 - 1
                parameter.mul_(1 + change * signs)
        list(train_epochs(state, data, trial))
        ends.append(weights(state))
    return float((ends[0] - ends[1]).norm() / (ends[0] - begin).norm())


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns means and standard deviations by variant, and the paired difference with its standard error."""
    by = {zero: [row["accuracy"] for row in rows if row["zero_init_residual"] is zero] for zero in (False, True)}
    gains = [one - other for one, other in zip(by[True], by[False], strict=False)]
    spread = statistics.stdev if len(gains) > 1 else lambda _: None
    return {
        "n": len(gains),
        "accuracy_without": statistics.mean(by[False]),
        "accuracy_without_sd": spread(by[False]),
        "accuracy_with": statistics.mean(by[True]),
        "accuracy_with_sd": spread(by[True]),
        "gain_mean": statistics.mean(gains),
        "gain_standard_error": statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the folder with cifar-10-batches-py in it")
    parser.add_argument("--json", type=Path, help="also write the figures here, after every pair")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    root = data_root(options.data)
    seeds = range(options.seeds)
    grown = {zero: [growth(zero, seed, root) for seed in seeds] for zero in (False, True)}
    print(f"growth of rounding: median {statistics.median(grown[False]):.2g} without, "
          f"{statistics.median(grown[True]):.2g} with", flush=True)  # fmt: skip
    data = load_data(recipe(False, 0, options.width, options.epochs).dataset, root, CPU)
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        for zero in (False, True):
            score = accuracy(recipe(zero, seed, options.width, options.epochs), data)
            rows.append({"seed": seed, "zero_init_residual": zero, "accuracy": score})
            print(f"seed {seed}, zero_init_residual {zero!s:5}: {score:.4f}", flush=True)
        figures = {
            "environment": {**provenance(), "cpu": cpu_name(), "torch": torch.__version__, "threads": 1},
            "model": f"resnet18, width {options.width}, {options.epochs} epochs, {IMAGES} images",
            "summary": summary(rows),
            "trials": rows,
            "growth": {"without": grown[False], "with": grown[True], "steps": GROWTH_STEPS},
        }
        if options.json:
            options.json.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(summary(rows), indent=2))


if __name__ == "__main__":
    main()
