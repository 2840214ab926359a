"""A trial that was stopped and continued equals one that was not, bit for bit, for every registered model.

Run as a script it is the new process that such a trial is continued in.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from itertools import cycle
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from cifar_tune.training.checkpoint import restore, serialize
from cifar_tune.training.data import ImageSource, TrainingData
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.loop import train_epochs
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.models import AnyModel
from cifar_tune.training.optimizers import AnyOptimizer
from cifar_tune.training.schedules import AnySchedule
from cifar_tune.training.state import TrainingState, create_state
from cifar_tune.training.storage import CheckpointFolder
from cifar_tune.training.trial import TrialConfig

MODELS, OPTIMIZERS, SCHEDULES = (
    [member.model_fields["name"].default for member in get_args(get_args(union)[0])]
    for union in (AnyModel, AnyOptimizer, AnySchedule)
)
EPOCHS, STOP = 2, 1
IMAGES, RESOLUTION, CLASSES = 24, 8, 6
CPU = torch.device("cpu")


def data() -> TrainingData:
    generator = torch.Generator().manual_seed(7)
    pixels = torch.randint(0, 256, (IMAGES, 3, RESOLUTION, RESOLUTION), dtype=torch.uint8, generator=generator)
    labels = torch.arange(IMAGES) % CLASSES
    info = DatasetInfo(
        class_names=tuple("abcdef"),
        channels=3,
        resolution=RESOLUTION,
        mean=(0.5, 0.4, 0.3),
        std=(0.25,) * 3,
        train_images=IMAGES,
        coarse_names=("first", "second"),
        coarse_of_fine=(0, 1, 0, 1, 0, 1),
    )
    places = torch.arange(IMAGES)
    train, validation = (ImageSource(pixels[part], labels[part], None, CPU) for part in (places[8:], places[:8]))
    return TrainingData(train, validation, info)


def trial(model: str = "resnet18", dropout: float = 0.2, **changes: Any) -> TrialConfig:
    values = {
        "dataset": {"name": "cifar10", "resolution": RESOLUTION, "validation_fraction": 0.33},
        "model": {"name": model, "width": 2, "dropout": dropout},
        "augmentations": [{"name": "flip"}, {"name": "crop", "padding": 1}],
        "optimizer": {"name": "sgd", "lr": 0.05, "weight_decay": 1e-3},
        "batch_size": 8,
        "epochs": EPOCHS,
        "precision": "float32",
        **changes,
    }
    return TrialConfig.model_validate(values)


def uninterrupted(config: TrialConfig, checkpoints: Path, stop: int = STOP) -> TrainingState:
    """Returns the state after the last epoch; on its way, epoch `stop` is saved."""
    images = data()
    state = create_state(config, images.info, CPU)
    for metrics in train_epochs(state, images, config):
        if metrics.epoch == stop:
            CheckpointFolder(checkpoints).save(serialize(state, config, images.info))
    return state


def continued(config: TrialConfig, checkpoints: Path) -> TrainingState:
    """Returns the state after the last epoch, from a new one that begins where the checkpoint is."""
    images = data()
    state = create_state(config, images.info, CPU)
    checkpoint = CheckpointFolder(checkpoints).newest()
    assert checkpoint is not None
    restore(state, config, checkpoint)
    list(train_epochs(state, images, config))
    return state


def curve(history: list[EpochMetrics]) -> list[EpochMetrics]:
    """Returns the records without what a clock or the process decides."""
    return [replace(one, epoch_seconds=0.0, images_per_second=0.0, peak_memory_bytes=0) for one in history]


def assert_resumes_exactly(config: TrialConfig, checkpoints: Path, stop: int = STOP) -> None:
    whole = uninterrupted(config, checkpoints, stop)
    parts = continued(config, checkpoints)
    assert len(parts.history) == config.epochs
    assert curve(parts.history) == curve(whole.history)
    assert parts.step == whole.step
    weights = parts.scored_model(config).state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in whole.scored_model(config).state_dict().items())


@pytest.mark.parametrize("mixup", [False, True], ids=["plain", "mixup"])
@pytest.mark.parametrize("sam", [None, {"rho": 0.05}], ids=["sgd", "sam"])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_goes_on_as_if_never_stopped(
    model: str, sam: dict[str, float] | None, mixup: bool, tmp_path: Path
) -> None:
    augmentations = [{"name": "crop", "padding": 1}, *([{"name": "mixup"}] if mixup else [])]
    assert_resumes_exactly(trial(model, sam=sam, augmentations=augmentations), tmp_path)


@pytest.mark.parametrize(("optimizer", "schedule"), list(zip(OPTIMIZERS, cycle(SCHEDULES), strict=False)), ids=str)
def test_every_optimizer_and_schedule_goes_on_as_if_never_stopped(
    optimizer: str, schedule: str, tmp_path: Path
) -> None:
    config = trial(optimizer={"name": optimizer, "lr": 0.01}, schedule={"name": schedule, "warmup_epochs": 0.5})
    assert_resumes_exactly(config, tmp_path)


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_it_may_stop_after_any_epoch(stop: int, tmp_path: Path) -> None:
    assert_resumes_exactly(trial(epochs=4), tmp_path, stop)


@pytest.mark.parametrize(
    "changes",
    [
        {"ema": {"decay": 0.99}},
        {"ema": {"decay": 0.99}, "evaluation": {"weights": "raw"}},
        {"precision": "float16"},
        {"precision": "float16", "sam": {"adaptive": True}, "clip": {"norm": 1.0}},
        {"precision": "bfloat16", "accumulation": 2},
        {"epochs": 3, "early_stopping": {"patience": 2}, "evaluation": {"every": 2, "mirror": True}},
        {"channels_last": False},
    ],
    ids=str,
)
def test_every_feature_goes_on_as_if_never_stopped(changes: dict[str, Any], tmp_path: Path) -> None:
    assert_resumes_exactly(trial(**changes), tmp_path)


@pytest.mark.slow
def test_a_new_process_goes_on_as_if_never_stopped(tmp_path: Path) -> None:
    configs = [
        trial("mininet", ema={"decay": 0.9}, augmentations=[{"name": "mixup"}]),
        trial("tgn", sam={"rho": 0.05}, loss={"name": "hierarchical"}),
    ]
    whole = [uninterrupted(config, tmp_path / config.model.name) for config in configs]
    command = [sys.executable, __file__, str(tmp_path), *(config.model_dump_json() for config in configs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    parts = [[EpochMetrics(**record) for record in records] for records in json.loads(done.stdout)]
    assert parts == [curve(state.history) for state in whole]


if __name__ == "__main__":
    trials = [TrialConfig.model_validate_json(text) for text in sys.argv[2:]]
    curves = [curve(continued(one, Path(sys.argv[1], one.model.name)).history) for one in trials]
    print(json.dumps([[asdict(metrics) for metrics in one] for one in curves]))
