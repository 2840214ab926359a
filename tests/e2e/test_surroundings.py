"""A sweep whose data are away for a while, or for good, as its user meets it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

SWEEP = """
name: away
trial:
  dataset: {name: folder, path: photos, resolution: 8, validation_fraction: 0.5}
  model: {name: mininet, width: 4}
  augmentations: []
  optimizer: {name: sgd, lr: 0.1}
  batch_size: 8
  epochs: 2
search:
  optimizer.lr: {float: [0.01, 0.1], log: true}
sampler: {name: random}
scheduler: {name: none}
trials_per_study: 8
"""
PATIENCE_SECONDS = 240.0


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a sweep file, and pictures of two classes below `photos`."""
    draw = np.random.default_rng(0)
    for name in ("cat", "dog"):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(16):
            Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    (tmp_path / "away.yaml").write_text(SWEEP)
    return tmp_path


def command(place: Path, *words: str) -> list[str]:
    folders = ["--results", str(place / "results"), "--data", str(place)]
    return [sys.executable, "-m", "cifar_tune.sweep", str(place / "away.yaml"), *folders, *words]


def wait_for(text: str, place: Path) -> None:
    """Waits until the ledger of the sweep has it."""
    ledger, until = place / "results" / "ledger.jsonl", time.monotonic() + PATIENCE_SECONDS
    while not (ledger.exists() and text in ledger.read_text()):
        assert time.monotonic() < until, f"{text} did not come"
        time.sleep(0.05)


def started(place: Path, *words: str) -> subprocess.Popen[str]:
    """A sweep whose data went away once its first epoch was there; it has met that."""
    process = subprocess.Popen(command(place, *words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for('"event":"epoch"', place)
    (place / "photos").rename(place / "elsewhere")
    wait_for('"kind":"fault"', place)
    return process


def completed(place: Path) -> bool:
    trials = pd.read_parquet(place / "results" / "trials.parquet")
    return (trials["status"].value_counts().to_dict(), int(trials["epochs_trained"].min())) == ({"completed": 8}, 2)


@pytest.mark.slow
def test_every_trial_completes_though_the_data_were_away_for_a_while(place: Path) -> None:
    process = started(place)
    (place / "elsewhere").rename(place / "photos")
    told, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, told
    assert completed(place)
    assert pd.read_parquet(place / "results" / "trials.parquet")["faults"].sum() > 0


@pytest.mark.slow
def test_a_sweep_whose_data_stay_away_ends_with_the_reason_and_goes_on_when_they_are_back(place: Path) -> None:
    process = started(place, "--set", "resources.retry_minutes=0.05")
    told, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 2, told
    assert "photos" in told
    assert "resources.retry_minutes: 0.05" in told
    assert told.rstrip().endswith("--set resources.retry_minutes=0.05 --resume")
    statuses = set(pd.read_parquet(place / "results" / "trials.parquet")["status"])
    assert "failed" not in statuses
    assert "interrupted" in statuses
    (place / "elsewhere").rename(place / "photos")
    done = subprocess.run(command(place, "--resume"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert completed(place)
