"""The trainable without Ray around it: its steps, and what it lets go of."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ray.exceptions import RayActorError
from torch import nn

from cifar_tune.execution.cluster.devices import TrialResources
from cifar_tune.execution.messages import MESSAGE, Assignment, Ending, EpochReport, Message, Scored, Trained
from cifar_tune.execution.trainable import TrialRunner
from cifar_tune.execution.trial_process import facts_of
from cifar_tune.training.checkpoint import read_checkpoint
from cifar_tune.training.datasets.digits import Digits
from cifar_tune.training.epochs import open_trial
from cifar_tune.training.trial import TrialConfig

TRIAL: dict[str, Any] = {
    "dataset": {"name": "digits", "train_size": 200},
    "model": {"name": "mininet", "width": 4},
    "optimizer": {"name": "sgd", "lr": 0.1},
    "batch_size": 32,
    "epochs": 2,
}


def config(tmp_path: Path, trial_id: str = "t0001", **changes: Any) -> dict[str, Any]:
    trial = TrialConfig.model_validate({**TRIAL, **changes})
    resources = TrialResources(cpus=1, gpus=0, threads=1)
    return {
        MESSAGE: Assignment(
            trial_id, trial.model_dump_json(by_alias=True), str(tmp_path), str(tmp_path / trial_id), "cpu", resources
        )
    }


@pytest.fixture
def runner() -> Iterator[TrialRunner]:
    """As an actor holds it; Ray's own part of a trainable is not needed for a step."""
    runner = TrialRunner.__new__(TrialRunner)
    yield runner
    runner.cleanup()
    gc.unfreeze()


def step(runner: TrialRunner) -> Message:
    message: Message = runner.step()[MESSAGE]
    return message


def networks() -> int:
    gc.collect()
    return sum(issubclass(type(thing), nn.Conv2d) for thing in gc.get_objects())


def test_a_step_is_an_epoch_and_the_first_says_what_is_known_of_the_trial(tmp_path: Path, runner: TrialRunner) -> None:
    runner.setup(config(tmp_path))
    first, second = step(runner), step(runner)
    assert isinstance(first, EpochReport)
    assert isinstance(second, EpochReport)
    assert (first.metrics.epoch, second.metrics.epoch) == (1, 2)
    assert first.facts["precision"] == "float32"
    assert first.facts["device_name"] == "cpu"
    assert first.facts["num_parameters"] > 0
    assert first.facts["threads"] == 1
    assert first.facts["cpu_model"]
    assert first.facts["instruction_set"]
    assert second.facts == {}


def test_a_worker_computes_on_as_many_threads_as_its_trial_has_cores(tmp_path: Path, runner: TrialRunner) -> None:
    given = config(tmp_path)[MESSAGE]
    before = torch.get_num_threads()
    try:
        runner.setup({MESSAGE: replace(given, resources=replace(given.resources, cpus=3, threads=3))})
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_trial_that_was_begun_elsewhere_repeats_what_was_recorded_and_goes_on(
    tmp_path: Path, runner: TrialRunner
) -> None:
    runner.setup(config(tmp_path))
    recorded = step(runner)
    runner.reset_config(config(tmp_path))
    again, second = step(runner), step(runner)
    assert isinstance(recorded, EpochReport)
    assert isinstance(again, EpochReport)
    assert isinstance(second, EpochReport)
    assert again.metrics == recorded.metrics
    assert second.metrics.epoch == 2


def test_a_trial_that_cannot_begin_where_its_parent_stood_does_not_begin(tmp_path: Path, runner: TrialRunner) -> None:
    assigned = config(tmp_path)
    runner.setup({MESSAGE: replace(assigned[MESSAGE], begins_after=1)})
    message = step(runner)
    assert isinstance(message, Ending)
    assert (message.status, message.reason) == (
        "failed",
        f"CheckpointError: t0001 begins from a copy of another trial after epoch 1, and {tmp_path / 't0001'} holds no "
        "whole checkpoint of it",
    )


def test_a_stopped_trial_is_let_go_of_before_the_next_begins(tmp_path: Path, runner: TrialRunner) -> None:
    before = networks()
    runner.setup(config(tmp_path))
    step(runner)
    assert networks() > before
    runner.reset_config(config(tmp_path, "t0002"))
    assert networks() == before


def test_early_stopping_completes_a_trial(tmp_path: Path, runner: TrialRunner) -> None:
    runner.setup(config(tmp_path, epochs=50, early_stopping={"patience": 1, "min_delta": 1.0}))
    messages = [step(runner)]
    while isinstance(messages[-1], EpochReport):
        messages.append(step(runner))
    assert messages[-1] == Ending("completed", reason="early stopping")
    assert len(messages) < 10


def test_a_trial_that_diverges_says_where(tmp_path: Path, runner: TrialRunner) -> None:
    runner.setup(config(tmp_path, optimizer={"name": "sgd", "lr": 1e30}))
    ending = step(runner)
    assert isinstance(ending, Ending)
    assert ending.status == "diverged"
    assert "not finite in epoch 1" in (ending.reason or "")


def test_a_trial_whose_data_are_away_says_what_and_the_next_one_trains(tmp_path: Path, runner: TrialRunner) -> None:
    runner.setup(config(tmp_path, dataset={"name": "cifar10"}))
    ending = step(runner)
    assert isinstance(ending, Ending)
    assert ending.status == "surroundings"
    assert (ending.reason or "").startswith("DatasetError: ")
    assert (ending.error or "").startswith("Traceback")
    runner.reset_config(config(tmp_path, "t0002"))
    assert isinstance(step(runner), EpochReport)


def test_the_row_has_the_trained_and_all_parameters_of_a_published_network(tmp_path: Path, runner: TrialRunner) -> None:
    runner.setup(config(tmp_path, model={"name": "mininet", "variant": "published", "width": 4}))
    report = step(runner)
    assert isinstance(report, EpochReport)
    # B2, B5 and B6 hold a projection that nothing reads: 8x8, 32x32 and 32x32 weights, and a BatchNorm of 2 each
    idle = 8 * 8 + 2 * 8 + 2 * (32 * 32 + 2 * 32)
    assert report.facts["num_parameters_total"] - report.facts["num_parameters"] == idle


@pytest.mark.parametrize("early_stopping", [None, {"patience": 1, "min_delta": 1.0}])
def test_a_trial_that_may_open_the_test_split_asks_first_and_then_scores_its_last_weights(
    tmp_path: Path, runner: TrialRunner, early_stopping: dict[str, float] | None
) -> None:
    given = config(tmp_path, early_stopping=early_stopping, epochs=3, precision="float32")
    given[MESSAGE] = replace(given[MESSAGE], opens_test=True)
    runner.setup(given)
    epochs = 2 if early_stopping else 3
    assert all(isinstance(step(runner), EpochReport) for _ in range(epochs))
    assert isinstance(step(runner), Trained)
    score = step(runner)
    assert isinstance(score, Scored)

    images = Digits().load(tmp_path, "test")
    model = read_checkpoint(tmp_path / "t0001" / "last").model(torch.device("cpu"))
    info = Digits().info(tmp_path)
    with torch.inference_mode():
        logits = model((torch.from_numpy(images.pixels) / 255 - info.mean[0]) / info.std[0])
    labels = torch.from_numpy(images.labels)
    assert score.accuracy == int((logits.argmax(1) == labels).sum()) / len(labels)
    assert score.loss == pytest.approx(float(nn.functional.cross_entropy(logits, labels)), rel=1e-4)


def test_a_trial_of_a_search_never_asks_for_the_test_split(tmp_path: Path, runner: TrialRunner) -> None:
    runner.setup(config(tmp_path))
    kinds = [type(step(runner)) for _ in range(3)]
    assert kinds == [EpochReport, EpochReport, Ending]


def test_where_a_process_of_a_trial_is_dead_the_others_are_ended_all_the_same() -> None:
    class OneDead:
        ended = False

        def drop(self) -> None:
            raise RayActorError

        def end(self) -> None:
            self.ended = True

    runner = TrialRunner.__new__(TrialRunner)
    actors = OneDead()
    vars(runner)["_actors"] = actors
    with pytest.raises(RayActorError):
        runner.cleanup()
    assert actors.ended


@pytest.mark.parametrize(("memory_bytes", "reserved"), [(0, 200), (70, 140)])
def test_the_memory_of_all_cards_of_a_trial_is_reserved_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory_bytes: int, reserved: int
) -> None:
    card = SimpleNamespace(name="H100", total_memory=100)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
    resources = TrialResources(cpus=2, gpus=2, threads=1, processes=2, memory_bytes=memory_bytes)
    assignment = replace(config(tmp_path)[MESSAGE], device="cuda:0", resources=resources)
    trial = open_trial(TrialConfig.model_validate(TRIAL), root=tmp_path, device="cpu", checkpoints=None)
    assert facts_of(trial, assignment)["gpu_memory_reserved_bytes"] == reserved
