"""Whether a difference between devices is more than chance and another seed make."""

from __future__ import annotations

from pathlib import Path

import pytest

from cifar_tune.cli.train import main
from cifar_tune.errors import ConfigError, DeviceError
from cifar_tune.training.device_comparison import (
    Finding,
    Place,
    findings,
    kinds_present,
    place_of,
    standard_errors,
    verdict,
)
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.trial import TrialConfig

TRIAL = """
dataset: {name: digits, train_size: 200, validation_fraction: 0.2}
model: {name: mininet, width: 4}
optimizer: {name: sgd, lr: 0.05}
batch_size: 40
epochs: 1
"""


def found(accuracy: float, seed: int = 0) -> Finding:
    last = EpochMetrics(1, 1.0, 0.5, 1.0, accuracy, 0.1, 1.0, 1.0, 1)
    return Finding("cpu", "float32", seed, last, validated=800)


def test_a_difference_is_measured_in_standard_errors_of_two_samples() -> None:
    """Two shares of 800 images around one half: sqrt(2 / 4 / 800) = 0.025."""
    assert standard_errors(found(0.525), found(0.475)) == pytest.approx(2.0)
    assert standard_errors(found(1.0), found(1.0)) == 0


def test_a_difference_counts_where_neither_chance_nor_another_seed_make_as_large_a_one() -> None:
    first, steady, unsteady = found(0.5), found(0.51, seed=1), found(0.6, seed=1)
    assert verdict(found(0.52), first, steady) == "alike"
    assert verdict(found(0.58), first, unsteady) == "as another seed"
    assert verdict(found(0.58), first, steady) == verdict(found(0.38), first, unsteady) == "DIFFERS"


def test_places_are_devices_and_precisions() -> None:
    assert kinds_present()[0] == place_of("cpu") == Place("cpu")
    assert place_of("cpu/bfloat16") == Place("cpu", "bfloat16")
    with pytest.raises(DeviceError, match="cpu/half: half is not a precision; allowed are auto, float32, tf32"):
        place_of("cpu/half")
    with pytest.raises(DeviceError, match="device cuda:9 is not there; this machine has cpu"):
        place_of("cuda:9")


def test_without_validation_images_nothing_can_be_compared(tmp_path: Path) -> None:
    values = {"name": "digits", "validation_fraction": 0.0}
    optimizer, model = {"name": "sgd", "lr": 0.1}, {"name": "mininet"}
    trial = TrialConfig.model_validate({"dataset": values, "model": model, "optimizer": optimizer, "epochs": 1})
    with pytest.raises(ConfigError, match=r"dataset\.validation_fraction: must be above 0 to compare devices"):
        next(findings(trial, tmp_path, kinds_present()))


def test_the_command_trains_in_each_place_and_says_how_they_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(TRIAL)
    assert main(["small.yaml", "--compare", "cpu", "cpu/float32", "cpu/bfloat16"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()][-5:-1]
    assert [row[:3] for row in rows] == [
        ["cpu", "float32", "0"],
        ["cpu", "float32", "1"],
        ["cpu", "float32", "0"],
        ["cpu", "bfloat16", "0"],
    ]
    assert rows[2][3:5] == rows[0][3:5]
    assert rows[2][-1] == "alike"
    assert not Path("results").exists()
