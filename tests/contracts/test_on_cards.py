"""What only cards can show: NCCL, memory that is limited, returned and foretold, Apple's MPS, NVIDIA's MPS daemon.

`pytest -m gpu` runs them where there are cards; each says what it lacks where it skips. Run as a script this file is
one of the processes of a trial.
"""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import torch.distributed as dist

from cifar_tune.execution.cluster.devices import TrialResources
from cifar_tune.execution.messages import Assignment, Ending, EpochReport
from cifar_tune.execution.placement.resource_request import CONTEXT_BYTES
from cifar_tune.execution.trial_process import TrialProcess
from cifar_tune.training.checkpoint import restore, serialize
from cifar_tune.training.data import ImageSource, TrainingData
from cifar_tune.training.epochs import trial_epochs
from cifar_tune.training.loop import train_epochs
from cifar_tune.training.memory import predicted_bytes
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.precision_rule import PrecisionName
from cifar_tune.training.process_group import SINGLE_PROCESS, ProcessGroup, join, open_store
from cifar_tune.training.state import create_state
from cifar_tune.training.storage import CheckpointFolder
from cifar_tune.training.trial import TrialConfig
from tests.contracts.test_exact_resume import data, trial

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]

TOGETHER: dict[str, Any] = {
    "dropout": 0.0,
    "epochs": 3,
    "sync_batch_norm": True,
    "optimizer": {"name": "sgd", "lr": 0.005},
}

LARGE: dict[str, Any] = {
    "dataset": {"name": "digits", "resolution": 32},
    "model": {"name": "resnet18"},
    "optimizer": {"name": "sgd", "lr": 0.1},
    "batch_size": 256,
    "precision": "float32",
    "epochs": 1,
}
"""Whose activations outweigh what the allocator rounds."""

SWEEP = """
name: cards
trial:
  dataset: {name: digits, resolution: 32}
  model: {name: resnet18}
  optimizer: {name: sgd, lr: 0.05}
  batch_size: 256
  epochs: 3
scheduler: {name: none}
trials_per_study: 4
"""


@pytest.fixture
def card() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return torch.device("cuda", 0)


@pytest.fixture
def cards() -> int:
    if torch.cuda.device_count() < 2:
        pytest.skip(f"needs two CUDA devices, has {torch.cuda.device_count()}")
    return 2


@pytest.fixture
def process() -> Iterator[TrialProcess]:
    """As a worker holds it."""
    process = TrialProcess()
    yield process
    process.drop()
    torch.cuda.set_per_process_memory_fraction(1.0)
    gc.unfreeze()


def moved(images: TrainingData, device: torch.device) -> TrainingData:
    sources = (
        ImageSource(source.pixels.to(device), source.labels.to(device), None, device)
        for source in (images.train, images.validation)
    )
    return TrainingData(*sources, images.info)


def train(ranks: ProcessGroup, device: torch.device, stop: int, folder: Path | None = None) -> list[EpochMetrics]:
    """Trains until epoch `stop`, from the folder's checkpoint if it has one."""
    config, images = trial(**TOGETHER), moved(data(), device)
    state = create_state(config, images.info, device, ranks)
    if folder is not None and (checkpoint := CheckpointFolder(folder).newest()) is not None:
        restore(state, config, checkpoint)
    for metrics in train_epochs(state, images, config, ranks):
        if folder is not None and ranks.leads:
            CheckpointFolder(folder).save(serialize(state, config, images.info))
        if metrics.epoch == stop:
            break
    return state.history


def trained_together(size: int, stop: int, folder: Path) -> list[EpochMetrics]:
    """The curve of so many processes, each with its card."""
    store = open_store(size)
    words = [sys.executable, "-m", "tests.contracts.test_on_cards", str(size), str(store.port), str(stop), str(folder)]
    ranks = [subprocess.Popen([*words, str(rank)], stderr=subprocess.PIPE, text=True) for rank in range(size)]
    told = [rank.communicate(timeout=300)[1] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0] * size, told
    return [EpochMetrics(**record) for record in json.loads((folder / "curve.json").read_text())]


def assert_equal_curves(ours: list[EpochMetrics], theirs: list[EpochMetrics]) -> None:
    assert [one.epoch for one in ours] == [one.epoch for one in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-3)
        assert one.validation_loss == pytest.approx(other.validation_loss, rel=1e-3)


def test_two_cards_that_speak_by_nccl_have_the_curve_of_one(cards: int, tmp_path: Path) -> None:
    together = trained_together(cards, 3, tmp_path)
    assert_equal_curves(together, train(SINGLE_PROCESS, torch.device("cuda", 0), 3))


def test_a_trial_of_two_cards_goes_on_on_one_and_back(cards: int, tmp_path: Path) -> None:
    trained_together(cards, 1, tmp_path)
    train(SINGLE_PROCESS, torch.device("cuda", 0), 2, tmp_path)
    assert_equal_curves(trained_together(cards, 3, tmp_path), train(SINGLE_PROCESS, torch.device("cuda", 0), 3))


def assignment(folder: Path, name: str, memory_bytes: int = 0, **changes: Any) -> Assignment:
    config = TrialConfig.model_validate({**LARGE, **changes})
    share = 0.5 if memory_bytes else 1.0
    resources = TrialResources(cpus=1, gpus=share, threads=1, memory_bytes=memory_bytes)
    return Assignment(name, config.model_dump_json(by_alias=True), str(folder), str(folder / name), "cuda", resources)


def test_a_worker_returns_all_memory_between_trials(card: torch.device, process: TrialProcess, tmp_path: Path) -> None:
    left = []
    for name in ("a", "b", "c"):
        given = assignment(tmp_path, name)
        if process._clean is None:
            process._clean = process.prepare_process(given)
        process.begin(given)
        report = process._next_message()
        assert isinstance(report, EpochReport)
        assert report.metrics.peak_memory_bytes > 10**8
        process.drop()
        left.append((torch.cuda.memory_allocated(card), torch.cuda.memory_reserved(card)))
    assert left[1] == left[2], "what stays after the second trial is what stays after any"
    assert left[2][0] < 10**8, "the images of the data set, and workspaces"


@pytest.mark.usefixtures("card")
def test_a_trial_cannot_take_more_than_its_share_and_that_is_out_of_memory(
    process: TrialProcess, tmp_path: Path
) -> None:
    tight = assignment(tmp_path, "tight", memory_bytes=CONTEXT_BYTES + 300 * 10**6)
    process._clean = process.prepare_process(tight)
    process.begin(tight)
    ending = process._next_message()
    assert isinstance(ending, Ending)
    assert ending.status == "out_of_memory"
    process.drop()
    process.begin(assignment(tmp_path, "small", batch_size=16))
    assert isinstance(process._next_message(), EpochReport), "the process is of use to the next trial"


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_memory_is_foretold_within_a_quarter(precision: PrecisionName, process: TrialProcess, tmp_path: Path) -> None:
    given = assignment(tmp_path, "measured", precision=precision)
    config = TrialConfig.model_validate_json(given.trial_json)
    process._clean = process.prepare_process(given)
    process.begin(given)
    report = process._next_message()
    assert isinstance(report, EpochReport)
    foretold = predicted_bytes(config, config.dataset.info(tmp_path), precision)
    assert 0.75 < report.metrics.peak_memory_bytes / foretold < 1.25


def sweep(folder: Path, *words: str) -> pd.DataFrame:
    """Runs the sweep above as a command; returns its trials."""
    (folder / "cards.yaml").write_text(SWEEP)
    command = [sys.executable, "-m", "cifar_tune.sweep", "cards.yaml", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return pd.read_parquet(folder / "results" / "cards" / "trials.parquet")


def test_trials_share_a_card_within_their_memory(card: torch.device, tmp_path: Path) -> None:
    trials = sweep(tmp_path, "--set", "resources.trials_per_gpu=2")
    assert set(trials.status) == {"completed"}
    assert set(trials.device_name) == {torch.cuda.get_device_name(card)}
    by_memory = sweep(tmp_path, "--fresh")
    assert set(by_memory.status) == {"completed"}
    assert by_memory.memory_steps.isna().all()
    assert (by_memory.peak_memory_bytes <= by_memory.gpu_memory_reserved_bytes).all()


def test_trials_of_two_cards_give_everything_back(cards: int, tmp_path: Path) -> None:
    trials = sweep(tmp_path, "--set", f"resources.gpus={cards}", "--set", "trial.sync_batch_norm=true")
    assert set(trials.status) == {"completed"}
    assert set(trials.processes) == {cards}


@pytest.mark.usefixtures("card")
def test_a_card_that_is_too_small_leads_down_the_ladder(tmp_path: Path) -> None:
    trials = sweep(tmp_path, "--set", "resources.gpu_memory=1.2", "--set", "trial.batch_size=512")
    assert set(trials.status) == {"completed"}
    assert trials.memory_steps.str.startswith("micro-batches of 256 images instead of 512").all()


def test_an_apple_chip_has_nearly_the_curve_of_its_cpu(tmp_path: Path) -> None:
    if not torch.backends.mps.is_available():
        pytest.skip("needs an Apple chip")
    config = TrialConfig.model_validate({**LARGE, "model": {"name": "mininet", "width": 8}, "batch_size": 64})
    on_cpu, on_chip = (list(trial_epochs(config, root=tmp_path, device=name)) for name in ("cpu", "mps"))
    assert on_chip[-1].train_loss == pytest.approx(on_cpu[-1].train_loss, rel=0.05)
    assert on_chip[-1].peak_memory_bytes > 0


@pytest.mark.usefixtures("card")
def test_trials_share_a_card_by_nvidias_mps_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("nvidia-cuda-mps-control") is None:
        pytest.skip("needs nvidia-cuda-mps-control")
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path / "pipe"))
    monkeypatch.setenv("CUDA_MPS_LOG_DIRECTORY", str(tmp_path / "log"))
    for name in ("pipe", "log"):
        (tmp_path / name).mkdir()
    subprocess.run(["nvidia-cuda-mps-control", "-d"], check=True, timeout=60)
    try:
        trials = sweep(tmp_path, "--set", "resources.trials_per_gpu=2")
    finally:
        subprocess.run(["nvidia-cuda-mps-control"], input="quit\n", text=True, check=True, timeout=60)
    assert set(trials.status) == {"completed"}
    assert "New client process" in (tmp_path / "log" / "control.log").read_text().replace(
        "NEW CLIENT", "New client process"
    )


def main(size: int, port: int, stop: int, folder: Path, rank: int) -> None:
    torch.cuda.set_device(rank)
    ranks = join(rank, size, port)
    try:
        history = train(ranks, torch.device("cuda", rank), stop, folder)
        if ranks.leads:
            (folder / "curve.json").write_text(json.dumps([asdict(metrics) for metrics in history]))
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
