"""What bfloat16 does to accuracy on a CPU: the same trials in float32 and in bfloat16, seed by seed.

    python benchmarks/cpu_precision_accuracy.py [--json PATH] [--seeds 3] [--epochs 6]

scikit-learn's digits, 980 images to train on and 420 others to score after the last epoch. The images are small,
because a CPU without instructions for bfloat16 emulates it at a fraction of the speed. The arithmetic is the same:
products of bfloat16, summed in float32.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch
from provenance import cpu_name, provenance

from cifar_tune.training.epochs import trial_epochs
from cifar_tune.training.reproducibility import instruction_set
from cifar_tune.training.trial import TrialConfig

MODELS = ("resnet18", "ternary_resnet18", "mininet")
PRECISIONS = ("float32", "bfloat16")
WIDTH = 8


def accuracy(model: str, precision: str, seed: int, epochs: int) -> float:
    """Returns the validation accuracy after the last epoch."""
    values = {
        "dataset": {"name": "digits", "train_size": 1400, "validation_fraction": 0.3},
        "model": {"name": model, "width": WIDTH},
        "optimizer": {"name": "sgd", "lr": 0.05, "weight_decay": 5e-4},
        "batch_size": 64,
        "epochs": epochs,
        "seed": seed,
        "precision": precision,
        "evaluation": {"every": epochs},
    }
    *_, last = trial_epochs(TrialConfig.model_validate(values), root=Path(), device="cpu")
    assert last.validation_accuracy is not None
    return last.validation_accuracy


def measured(model: str, seeds: int, epochs: int) -> dict[str, Any]:
    """Returns means by precision, and the difference seed by seed with its standard error."""
    scores = {name: [accuracy(model, name, seed, epochs) for seed in range(seeds)] for name in PRECISIONS}
    differences = [half - full for full, half in zip(scores["float32"], scores["bfloat16"], strict=True)]
    return {
        "model": model,
        "width": WIDTH,
        "n": seeds,
        "accuracy": scores,
        "difference_mean": statistics.mean(differences),
        "difference_standard_error": statistics.stdev(differences) / seeds**0.5,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Accuracy in bfloat16 against float32 on this CPU.")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for model in MODELS:
        row = measured(model, options.seeds, options.epochs)
        rows.append(row)
        means = {name: statistics.mean(scores) for name, scores in row["accuracy"].items()}
        print(
            f"{model:18} float32 {means['float32']:.4f}  bfloat16 {means['bfloat16']:.4f}"
            f"  difference {row['difference_mean']:+.4f} +- {row['difference_standard_error']:.4f}, n {options.seeds}",
            flush=True,
        )
    if options.json:
        environment = {
            **provenance(),
            "cpu": cpu_name(),
            "instruction_set": instruction_set(),
            "torch": torch.__version__,
            "threads": 1,
            "epochs": options.epochs,
        }
        options.json.write_text(json.dumps({"environment": environment, "trials": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
