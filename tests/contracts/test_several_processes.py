"""A trial trained by several processes has the curve of one process with the same effective batch.

Run as a script it is one of the processes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from cifar_tune.training.checkpoint import restore, serialize
from cifar_tune.training.loop import train_epochs
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.process_group import SINGLE_PROCESS, ProcessGroup, join, open_store
from cifar_tune.training.randomness import epoch_seeds
from cifar_tune.training.state import create_state
from cifar_tune.training.storage import CheckpointFolder
from cifar_tune.training.trial import TrialConfig
from tests.contracts.test_exact_resume import CPU, MODELS, data, trial

TOGETHER = {"sync_batch_norm": True}
PLAIN: dict[str, Any] = {"dropout": 0.0, "epochs": 2}
FOURS = {"batch_size": 16}
"""So that BatchNorm normalises by 4 images in each of four parts: by 2, whose last maps are 1x1, a value becomes 1 or
-1, and rounding alone decides which where the two are close."""
MIXED = {"augmentations": [{"name": "crop", "padding": 1}, {"name": "random_erasing"}, {"name": "cutmix"}]}

CASES: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
    # name: (processes, what they train, what one process trains)
    **{name: (2, {"model": name, **TOGETHER}, {}) for name in MODELS},
    "mixed": (2, {**MIXED, **TOGETHER}, {}),
    "sam": (2, {"sam": {"rho": 0.05}, **TOGETHER}, {}),
    "average": (2, {"ema": {"decay": 0.9}, "clip": {"norm": 0.5}, **TOGETHER}, {}),
    "scaled": (2, {"precision": "float16", **TOGETHER}, {}),
    "groups": (2, {"ghost_batch_size": 4, **FOURS}, {}),
    "recomputed": (2, {"recompute": True, **TOGETHER}, {}),
    "own_statistics": (2, {}, {"accumulation": 2}),
    "own_statistics_of_parts": (2, {"accumulation": 2, **FOURS}, {"accumulation": 4, **FOURS}),
    "uneven": (3, TOGETHER, {}),
    "parts_of_three": (3, {**TOGETHER, "accumulation": 2, "batch_size": 12}, {"accumulation": 2, "batch_size": 12}),
}
"""Parts of one process and of several are the same rows where each process has one; so are their statistics."""


def histories(size: int, arguments: list[str]) -> None:
    """Runs so many processes of this file to their end."""
    store = open_store(size)
    command = [sys.executable, "-m", "tests.contracts.test_several_processes", str(size), str(store.port), *arguments]
    ranks = [subprocess.Popen([*command, str(rank)], stderr=subprocess.PIPE, text=True) for rank in range(size)]
    told = [rank.communicate(timeout=120)[1] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0] * size, told


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a record of each case, as one process and as several trained it."""
    folder = tmp_path_factory.mktemp("curves")
    for size in (2, 3):
        histories(size, ["cases", str(folder)])
    return folder


def recorded(path: Path) -> list[EpochMetrics]:
    return [EpochMetrics(**record) for record in json.loads(path.read_text())]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_several_processes_have_the_curve_of_one(name: str, found: Path) -> None:
    several = recorded(found / f"{name}.json")
    _, changes, alone = CASES[name]
    single = curve({**PLAIN, **changes, **alone})
    assert len(several) == len(single) == 2
    # A change of the weights by 1e-7 changed no loss by more than 2e-6, or 2e-5 in float16. What several processes
    # round differently is far below the tolerance, and what they would compute differently above it.
    tolerance = 0.02 if "precision" in changes else 2e-4
    for ours, theirs in zip(several, single, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=tolerance)
        assert ours.validation_loss == pytest.approx(theirs.validation_loss, rel=tolerance)
        assert ours.lr == theirs.lr


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_trial_goes_on_with_another_number_of_processes(before: int, after: int, tmp_path: Path) -> None:
    for size, stop in ((before, 1), (after, 3)):
        if size == 1:
            train(SINGLE_PROCESS, {**PLAIN, **TOGETHER, "epochs": 3}, stop, tmp_path)
        else:
            histories(size, ["on", str(tmp_path), str(stop)])
    checkpoint = CheckpointFolder(tmp_path).newest()
    assert checkpoint is not None
    whole = curve({**PLAIN, **TOGETHER, "epochs": 3})
    assert [metrics.epoch for metrics in checkpoint.history] == [1, 2, 3]
    for ours, theirs in zip(checkpoint.history, whole, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=5e-4)
        assert ours.validation_loss == pytest.approx(theirs.validation_loss, rel=5e-4)


@pytest.mark.slow
def test_two_processes_go_on_as_if_never_stopped(tmp_path: Path) -> None:
    """Bit for bit: a sum of two numbers has one order."""
    for folder, stops in (("whole", (3,)), ("parts", (1, 3))):
        for stop in stops:
            histories(2, ["on", str(tmp_path / folder), str(stop)])
    whole, parts = (CheckpointFolder(tmp_path / name).newest() for name in ("whole", "parts"))
    assert whole is not None
    assert parts is not None
    assert all(torch.equal(tensor, parts.weights[name]) for name, tensor in whole.weights.items())


def test_parts_of_a_batch_are_all_of_it_once() -> None:
    for size, count in ((1, 8), (2, 8), (3, 8), (4, 3)):
        rows = [row for rank in range(size) for row in range(count)[ProcessGroup(rank, size).part(count)]]
        assert rows == list(range(count))


def test_processes_draw_alike_for_images_and_apart_for_dropout() -> None:
    seeds = [epoch_seeds(5, 2, rank) for rank in range(8)]
    assert seeds[0] == epoch_seeds(5, 2)
    assert len({data for data, _ in seeds}) == 1
    assert len({network for _, network in seeds}) == 8


def without_chaos(config: TrialConfig) -> TrialConfig:
    """Returns the trial with blocks that begin as their skip: 18 layers of 8 px turn a rounding into another curve."""
    if "zero_init_residual" not in type(config.model).model_fields:
        return config
    return config.model_copy(update={"model": config.model.model_copy(update={"zero_init_residual": True})})


def curve(changes: dict[str, Any]) -> list[EpochMetrics]:
    return train(SINGLE_PROCESS, changes, stop=10)


def train(ranks: ProcessGroup, changes: dict[str, Any], stop: int, folder: Path | None = None) -> list[EpochMetrics]:
    """Trains until epoch `stop`, from the folder's checkpoint if it has one."""
    config = without_chaos(trial(**changes))
    images = data()
    state = create_state(config, images.info, CPU, ranks)
    if folder is not None and (checkpoint := CheckpointFolder(folder).newest()) is not None:
        restore(state, config, checkpoint)
    for metrics in train_epochs(state, images, config, ranks):
        if folder is not None and ranks.leads:
            CheckpointFolder(folder).save(serialize(state, config, images.info))
        if metrics.epoch == stop:
            break
    return state.history


def main(size: int, port: int, task: str, folder: Path, rest: list[str]) -> None:
    ranks = join(int(rest[-1]), size, port)
    try:
        work(ranks, task, folder, rest)
    finally:
        dist.destroy_process_group()


def work(ranks: ProcessGroup, task: str, folder: Path, rest: list[str]) -> None:
    if task == "on":
        train(ranks, {**PLAIN, **TOGETHER, "epochs": 3}, int(rest[0]), folder)
        return
    torch.set_num_threads(1)
    for name, (processes, changes, _) in CASES.items():
        if processes == ranks.size:
            history = train(ranks, {**PLAIN, **changes}, stop=10)
            if ranks.leads:
                (folder / f"{name}.json").write_text(json.dumps([asdict(metrics) for metrics in history]))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), sys.argv[5:])
