"""Records in files and on the screen."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from cifar_tune.training.epochs import open_trial
from cifar_tune.training.flops import count_parameters
from cifar_tune.training.logs import write_csv
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.progress import StepBar, beginning, ending, line, saved, shown
from cifar_tune.training.trial import TrialConfig

FIRST = EpochMetrics(1, 2.25, 0.25, None, None, 0.1, 3.5, 1234.5, 10**9)
SECOND = EpochMetrics(2, 1.5, 0.5, 1.75, 0.375, 0.05, 3.25, 1240.0, 10**9)


def test_a_csv_holds_every_record_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "curve.csv"
    write_csv(path, [FIRST])
    write_csv(path, [FIRST, SECOND])
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert rows[0]["validation_loss"] == ""
    assert float(rows[1]["validation_accuracy"]) == 0.375
    assert [entry.name for entry in path.parent.iterdir()] == ["curve.csv"]


def test_a_line_says_what_an_epoch_gave() -> None:
    assert line(SECOND, 10) == (
        "epoch  2/10  train loss 1.5000 accuracy 0.5000  validation loss 1.7500 accuracy 0.3750  "
        "lr 5.00e-02  1,240 images/s"
    )
    assert line(FIRST, 2) == "epoch 1/2  train loss 2.2500 accuracy 0.2500  lr 1.00e-01  1,234 images/s"


@pytest.fixture
def trial() -> TrialConfig:
    values = {
        "dataset": {"name": "digits", "train_size": 100, "validation_fraction": 0.2},
        "model": {"name": "resnet18", "width": 2},
        "optimizer": {"name": "sgd", "lr": 0.05},
        "batch_size": 40,
        "epochs": 3,
    }
    return TrialConfig.model_validate(values)


def test_off_a_terminal_an_epoch_is_a_line(trial: TrialConfig, tmp_path: Path) -> None:
    opened = open_trial(trial, root=Path(), device="cpu", checkpoints=tmp_path)
    parameters = count_parameters(trial.model, opened.data.info)
    threads = torch.get_num_threads()
    assert beginning(opened) == (
        f"resnet18, {parameters:,} parameters, on digits: trains on 80 images, validates on 20; "
        f"float32 on cpu with {threads} thread{'' if threads == 1 else 's'}"
    )
    assert saved(opened) == "no epoch was done"
    output = io.StringIO()
    records = list(shown(opened, Console(file=output, soft_wrap=True)))
    assert output.getvalue().splitlines() == [line(metrics, 3) for metrics in records]
    best = max(records, key=lambda metrics: (metrics.validation_accuracy, -metrics.epoch))
    assert ending(opened) == (
        f"best validation accuracy {best.validation_accuracy:.4f} in epoch {best.epoch}: {tmp_path / 'best'}"
    )
    assert saved(opened) == f"epochs up to 3 of 3 are saved in {tmp_path}"


def test_what_goes_on_and_what_stops_early_says_so(trial: TrialConfig, tmp_path: Path) -> None:
    opened = open_trial(trial, root=Path(), device="cpu", checkpoints=tmp_path)
    next(opened.epochs())
    again = open_trial(trial, root=Path(), device="cpu", checkpoints=tmp_path)
    assert beginning(again).endswith("\ngoes on after epoch 1")
    assert ending(again).startswith("stopped early after epoch 1; best validation accuracy")


def test_on_a_terminal_a_bar_follows_the_steps(trial: TrialConfig) -> None:
    opened = open_trial(trial, root=Path(), device="cpu")
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    bar = StepBar(opened)
    epochs = opened.epochs()
    console.print(bar)
    next(epochs)
    console.print(bar)
    before, after = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert before.startswith("epoch 1/3")
    assert "images/s" not in before
    assert after.startswith("epoch 2/3")
    assert "loss" in after
    assert "images/s" in after
    assert after.rstrip().endswith("left")
    console.width = 40
    console.print(bar)
    narrow = console.file.getvalue().splitlines()[-1]  # type: ignore[attr-defined]
    assert narrow.startswith("2/3")
    assert narrow.rstrip().endswith("left")
    assert "…" not in narrow
