"""What a checkpoint holds, and what is refused."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cifar_tune.errors import CheckpointError
from cifar_tune.training.checkpoint import read_checkpoint, restore, serialize
from cifar_tune.training.data import TrainingData
from cifar_tune.training.evaluate import evaluate
from cifar_tune.training.loop import train_epochs
from cifar_tune.training.manifest import (
    CHECKSUM,
    FORMAT,
    MANIFEST,
    MODEL,
    TRAINING,
    TRIAL,
    CorruptCheckpointError,
    sealed,
)
from cifar_tune.training.preparation import Normalization
from cifar_tune.training.state import TrainingState, create_state
from cifar_tune.training.trial import TrialConfig

CPU = torch.device("cpu")
Trials = Callable[..., TrialConfig]
Data = Callable[..., TrainingData]
Files = dict[str, bytes]


def written(folder: Path, files: Files) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def trained(trial: TrialConfig, data: TrainingData) -> TrainingState:
    state = create_state(trial, data.info, CPU)
    list(train_epochs(state, data, trial))
    return state


def resealed(files: Files, **changes: Any) -> Files:
    """Returns the files with a manifest that agrees with their contents."""
    manifest = json.loads(files[MANIFEST])
    manifest["files"] = {name: hashlib.sha256(files[name]).hexdigest() for name in (MODEL, TRAINING, TRIAL)}
    del manifest[CHECKSUM]
    return {**files, MANIFEST: sealed({**manifest, **changes})}


@pytest.fixture
def files(small_trial: Trials, small_data: Data) -> Files:
    trial = small_trial(epochs=1)
    return serialize(trained(trial, small_data()), trial, small_data().info)


@pytest.mark.parametrize("ema", [None, {"decay": 0.9}], ids=["raw", "average"])
def test_the_weights_are_those_that_validation_scored(
    ema: dict[str, float] | None, small_trial: Trials, small_data: Data, tmp_path: Path
) -> None:
    data, trial = small_data(), small_trial(ema=ema)
    state = trained(trial, data)
    checkpoint = read_checkpoint(written(tmp_path, serialize(state, trial, data.info)))
    assert checkpoint.trial == trial
    assert checkpoint.info == data.info
    assert checkpoint.history == state.history
    score = evaluate(checkpoint.model(CPU), data.validation, Normalization(data.info, CPU, channels_last=True))
    assert score.accuracy == state.history[-1].validation_accuracy
    assert score.loss == pytest.approx(state.history[-1].validation_loss, rel=1e-5)


def test_weights_can_be_read_without_this_package(files: Files) -> None:
    assert safetensors.torch.load(files[MODEL])["conv1.weight"].shape == (2, 3, 3, 3)
    assert json.loads(files[TRIAL])["model"]["name"] == "resnet18"


def test_making_the_model_draws_from_no_global_generator(files: Files, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(written(tmp_path, files))
    before = torch.get_rng_state()
    checkpoint.model(CPU)
    assert torch.equal(torch.get_rng_state(), before)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from([MODEL, TRAINING, TRIAL]), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_goes_unnoticed(files: Files, tmp_path: Path, name: str, place: float, bit: int) -> None:
    content = bytearray(files[name])
    content[int(place * len(content))] ^= 1 << bit
    folder = written(tmp_path, {**files, name: bytes(content)})
    with pytest.raises(CorruptCheckpointError, match=rf"{name} is corrupt: its checksum is not that of manifest\.json"):
        read_checkpoint(folder)


def test_no_flipped_bit_of_the_manifest_goes_unnoticed(files: Files, tmp_path: Path) -> None:
    """But for one that changes nothing: 5e-05 is 5E-05."""
    whole = json.loads(files[MANIFEST])
    for place in range(0, len(files[MANIFEST]), 3):
        content = bytearray(files[MANIFEST])
        content[place] ^= 1 << place % 7
        with suppress(ValueError):
            if json.loads(content) == whole:
                continue
        folder = written(tmp_path, {**files, MANIFEST: bytes(content)})
        with pytest.raises(CorruptCheckpointError, match=r"manifest\.json is corrupt"):
            read_checkpoint(folder)


def test_a_manifest_from_before_it_had_a_checksum_of_its_own_is_read(files: Files, tmp_path: Path) -> None:
    manifest = json.loads(files[MANIFEST])
    del manifest[CHECKSUM]
    assert read_checkpoint(written(tmp_path, {**files, MANIFEST: json.dumps(manifest).encode()})).training["epoch"] == 1


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from([MODEL, TRAINING, TRIAL, MANIFEST]), share=st.floats(0, 1, exclude_max=True))
def test_no_truncated_file_goes_unnoticed(files: Files, tmp_path: Path, name: str, share: float) -> None:
    folder = written(tmp_path, {**files, name: files[name][: int(share * len(files[name]))]})
    with pytest.raises(CorruptCheckpointError, match=f"{name} is corrupt"):
        read_checkpoint(folder)


@pytest.mark.parametrize("name", [MODEL, TRAINING, TRIAL, MANIFEST])
def test_a_missing_file_is_named(name: str, files: Files, tmp_path: Path) -> None:
    folder = written(tmp_path, files)
    (folder / name).unlink()
    with pytest.raises(CorruptCheckpointError, match=f"{name} is missing"):
        read_checkpoint(folder)


def test_another_format_is_refused_and_not_called_corrupt(files: Files, tmp_path: Path) -> None:
    folder = written(tmp_path, resealed(files, format=FORMAT + 1))
    with pytest.raises(
        CheckpointError, match=rf"is in checkpoint format {FORMAT + 1}; .* reads 1 and {FORMAT}"
    ) as caught:
        read_checkpoint(folder)
    assert not isinstance(caught.value, CorruptCheckpointError)


class _Executed:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("import cifar_tune; cifar_tune.was_executed = True",)


def test_nothing_is_unpickled(files: Files, tmp_path: Path) -> None:
    import cifar_tune

    folder = written(tmp_path, resealed({**files, TRAINING: pickle.dumps(_Executed(), protocol=2)}))
    with pytest.raises(CheckpointError, match=r"state\.pt holds more than tensors and plain values; it is not loaded"):
        read_checkpoint(folder)
    assert not hasattr(cifar_tune, "was_executed")


def test_a_trial_that_this_version_cannot_read_is_named(files: Files, tmp_path: Path) -> None:
    trial = {**json.loads(files[TRIAL]), "colour": "blue"}
    folder = written(tmp_path, resealed({**files, TRIAL: json.dumps(trial).encode()}))
    with pytest.raises(CheckpointError, match=r"trial\.json: not a trial of this version of cifar_tune: (.|\n)*colour"):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"model": {"name": "resnet18", "width": 3}}, "model"),
        ({"dataset": {"name": "cifar10", "resolution": 8, "validation_fraction": 0.2, "split_seed": 1}}, "dataset"),
        ({"optimizer": {"name": "adamw", "lr": 0.05}}, "optimizer"),
        ({"ema": {"decay": 0.9}}, "ema"),
    ],
)
def test_a_checkpoint_of_another_trial_is_refused(
    changes: dict[str, Any], path: str, files: Files, small_trial: Trials, small_data: Data, tmp_path: Path
) -> None:
    checkpoint = read_checkpoint(written(tmp_path, files))
    trial = small_trial(**changes)
    state = create_state(trial, small_data().info, CPU)
    with pytest.raises(CheckpointError, match=f"is of another trial: its {path} is .*, and .* is wanted"):
        restore(state, trial, checkpoint)


def test_a_trial_may_go_on_for_longer_and_at_another_rate(
    files: Files, small_trial: Trials, small_data: Data, tmp_path: Path
) -> None:
    trial = small_trial(epochs=3, optimizer={"name": "sgd", "lr": 0.01}, schedule={"name": "constant"})
    state = create_state(trial, small_data().info, CPU)
    restore(state, trial, read_checkpoint(written(tmp_path, files)))
    history = list(train_epochs(state, small_data(), trial))
    assert [(metrics.epoch, metrics.lr) for metrics in history] == [(2, 0.01), (3, 0.01)]


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ({"name": "sgd", "lr": 0.1, "momentum": 0.9}, {"name": "sgd", "lr": 0.02, "momentum": 0.5, "nesterov": False}),
        ({"name": "sgd", "lr": 0.1, "momentum": 0.0}, {"name": "sgd", "lr": 0.1, "momentum": 0.5}),
        ({"name": "adamw", "lr": 0.01}, {"name": "adamw", "lr": 0.02, "weight_decay": 0.2, "beta2": 0.9}),
        ({"name": "muon", "lr": 0.01}, {"name": "muon", "lr": 0.02, "momentum": 0.5, "iterations": 3}),
    ],
)
def test_a_trial_goes_on_with_its_own_numbers_in_the_optimizer(
    there: dict[str, Any], here: dict[str, Any], small_trial: Trials, small_data: Data, tmp_path: Path
) -> None:
    before, after = small_trial(epochs=1, optimizer=there), small_trial(epochs=2, optimizer=here)
    data = small_data()
    files = serialize(trained(before, data), before, data.info)
    state, fresh = create_state(after, data.info, CPU), create_state(after, data.info, CPU)
    restore(state, after, read_checkpoint(written(tmp_path, files)))
    for one, other in zip(state.optimizer.param_groups, fresh.optimizer.param_groups, strict=True):
        assert {key: one[key] for key in one if key != "params"} == {key: other[key] for key in one if key != "params"}
    assert [metrics.epoch for metrics in train_epochs(state, data, after)] == [2]


def test_everything_in_the_state_comes_back(small_trial: Trials, small_data: Data, tmp_path: Path) -> None:
    trial, data = (
        small_trial(ema={"decay": 0.9}, precision="float16", optimizer={"name": "adamw", "lr": 0.01}),
        small_data(),
    )
    state, other = trained(trial, data), create_state(trial, data.info, CPU)
    restore(other, trial, read_checkpoint(written(tmp_path / "first", serialize(state, trial, data.info))))
    one, two = (
        read_checkpoint(written(tmp_path / name, serialize(each, trial, data.info)))
        for name, each in (("first", state), ("second", other))
    )
    torch.testing.assert_close(one.weights, two.weights, rtol=0, atol=0)
    for part in ("model", "average", "scaler", "epoch", "step"):
        torch.testing.assert_close(one.training[part], two.training[part], rtol=0, atol=0, msg=part)
    averages = (checkpoint.training["optimizer"]["state"] for checkpoint in (one, two))
    torch.testing.assert_close(*averages, rtol=0, atol=0)
    assert one.history == two.history == state.history
