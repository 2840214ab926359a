"""Small sweeps with numbers from a formula, written through the store."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_tune.results import Frames, ResultsStore, load

EPOCHS = 9


def accuracy(lr: float, activation: str, epoch: int) -> float:
    """Best at lr 0.1; mish is a percent better than relu; rises with the epoch."""
    top = 0.9 - 0.05 * (math.log10(lr) + 1) ** 2 + (0.01 if activation == "mish" else 0)
    return top * (1 - math.exp(-epoch / 3))


def add_trial(
    store: ResultsStore, lr: float, activation: str, *, epochs: int = EPOCHS, status: str = "completed"
) -> str:
    """One trial of the grid, trained to an epoch."""
    trial_id = f"t{len(store.trial_ids()):03d}"
    configuration = {"model.name": "mininet", "model.activation": activation, "optimizer.lr": lr, "epochs": EPOCHS}
    store.update_trial(trial_id, status=status, study=activation, configuration=configuration, num_parameters=1000)
    for epoch in range(1, epochs + 1):
        store.add_epoch(
            trial_id,
            epoch,
            validation_accuracy=accuracy(lr, activation, epoch),
            validation_loss=1 - accuracy(lr, activation, epoch),
            train_accuracy=accuracy(lr, activation, epoch) + 0.02,
            train_loss=1 / epoch,
            lr=lr,
            epoch_seconds=2.0,
            images_per_second=500.0,
            peak_memory_bytes=10**9,
        )
    return trial_id


SWEEP_YAML = """\
# yaml-language-server: $schema=x
# Question: which activation and which learning rate?
#
# Cost: none.

name: s
trial: {model: {name: mininet}}
grid:
  model.activation: [relu, mish]
search:
  optimizer.lr: {float: [0.001, 1.0], log: true}
objective: {metric: validation_accuracy}
"""


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two activations at three rates: one cell stopped at epoch 3, one diverged at once, one never tried."""
    folder = tmp_path_factory.mktemp("results") / "s"
    with ResultsStore.create(folder, sweep_name="s") as store:
        (folder / "sweep.yaml").write_text(SWEEP_YAML)
        add_trial(store, 0.01, "relu")
        add_trial(store, 0.1, "relu")
        add_trial(store, 0.1, "relu", epochs=3, status="stopped")
        add_trial(store, 1.0, "relu", epochs=3, status="stopped")
        add_trial(store, 0.1, "mish")
        add_trial(store, 1.0, "mish", epochs=0, status="diverged")
    return folder


@pytest.fixture(scope="module")
def frames(sweep: Path) -> Frames:
    return load(sweep)


@pytest.fixture
def make_sweep(tmp_path: Path) -> Callable[[str, Callable[[ResultsStore], None]], Path]:
    """Writes a sweep by a function of its store; returns the folder."""

    def make(name: str, fill: Callable[[ResultsStore], None]) -> Path:
        with ResultsStore.create(tmp_path / name, sweep_name=name) as store:
            fill(store)
        return tmp_path / name

    return make
