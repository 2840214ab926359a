"""Predicted memory against what real tensors take on a CPU."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch.distributed._tools.mem_tracker import MemTracker

from cifar_tune.training.backward import BackwardPass
from cifar_tune.training.batch import Batch
from cifar_tune.training.checkpoint import load_model
from cifar_tune.training.datasets.dataset import DatasetInfo
from cifar_tune.training.memory import memory_need, predicted_bytes
from cifar_tune.training.models import AnyModel
from cifar_tune.training.precision_rule import PrecisionName
from cifar_tune.training.state import create_state
from cifar_tune.training.steps import sgd_step
from cifar_tune.training.trial import TrialConfig

MODELS = [get_args(model.model_fields["name"].annotation) for model in get_args(get_args(AnyModel)[0])]
NAMES = sorted({name for names in MODELS for name in names})
INFO = DatasetInfo(
    tuple(map(str, range(100))),
    3,
    32,
    (0.5,) * 3,
    (0.25,) * 3,
    50_000,
    coarse_of_fine=tuple(i % 20 for i in range(100)),
)
NARROW = {"resnet18": 16, "resnet34": 16, "ternary_resnet18": 16, "ternary_resnet34": 16, "mininet": 32}
"""Widths at which a step on a CPU takes a fraction of a second."""


def trial_of(model: str, **changes: Any) -> TrialConfig:
    options = {"width": NARROW[model]} if model in NARROW else {}
    values = {
        "dataset": {"name": "cifar100"},
        "model": {"name": model, **options},
        "optimizer": {"name": "sgd", "lr": 0.1},
        "batch_size": 16,
        "epochs": 3,
    }
    return TrialConfig.model_validate({**values, **changes})


def measured_peak(trial: TrialConfig) -> int:
    """Bytes of all tensors at the worst moment of the second step, counted by torch's own tracker."""
    state = create_state(trial, INFO, torch.device("cpu"))
    backward = BackwardPass(state, trial.loss.build(INFO, "cpu", load_model), trial.accumulation)
    size = trial.batch_size
    images = torch.randn(size, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 100, (size, 1))
    batch = Batch(torch.zeros(size, 3, 32, 32, dtype=torch.uint8), labels, torch.ones(size, 1), torch.arange(size), 1)
    tracker = MemTracker()
    tracker.track_external(state.model, state.optimizer)
    with tracker:
        for _ in range(2):
            tracker.reset_mod_stats()
            sgd_step(state, backward, images, batch, None)
    return max(tracker.get_tracker_snapshot("peak")[torch.device("cpu")].values())


QUICK = {("ternary_resnet18", "float32"), ("resnet18", "bfloat16")}
CASES = [
    pytest.param(name, precision, marks=() if (name, precision) in QUICK else pytest.mark.slow)
    for name in NAMES
    for precision in ("float32", "bfloat16")
]


@pytest.mark.parametrize(("name", "precision"), CASES)
def test_the_prediction_is_what_a_real_training_step_takes_at_its_peak(name: str, precision: PrecisionName) -> None:
    torch.manual_seed(0)
    trial = trial_of(name, precision=precision)
    assert 0.92 <= predicted_bytes(trial, INFO, precision) / measured_peak(trial) <= 1.15


def test_accumulation_divides_the_activations_alone() -> None:
    whole = memory_need(trial_of("resnet18", batch_size=64), INFO)
    parts = memory_need(trial_of("resnet18", batch_size=64, accumulation=4), INFO)
    assert (parts.fixed, parts.batch, parts.dataset) == (whole.fixed, whole.batch, whole.dataset)
    assert parts.micro_batch == pytest.approx(whole.micro_batch / 4, rel=0.01)


@pytest.mark.parametrize(
    ("optimizer", "copies"), [("sgd", 1), ("adam", 2), ("adamw", 2), ("rmsprop", 1), ("lion", 1), ("muon", 1)]
)
def test_each_optimizer_keeps_its_averages(optimizer: str, copies: int) -> None:
    """Muon's classifier follows AdamW, with two; steps are counted in a few bytes a parameter."""
    trial = trial_of("resnet18", optimizer={"name": optimizer, "lr": 0.1})
    network = trial.model.build(INFO)
    weights = sum(value.nbytes for value in network.state_dict().values())
    parameters = sum(parameter.nbytes for parameter in network.parameters())
    head = 4 * 100 * (128 + 1) if optimizer == "muon" else 0
    expected = 2 * weights + copies * parameters + head
    assert memory_need(trial, INFO).fixed == pytest.approx(expected, rel=0.01)


def test_a_moving_average_is_one_more_copy_and_sam_two() -> None:
    plain = memory_need(trial_of("resnet18"), INFO).fixed
    averaged = memory_need(trial_of("resnet18", ema={"decay": 0.9}), INFO).fixed
    climbing = memory_need(trial_of("resnet18", sam={"rho": 0.05}), INFO).fixed
    assert climbing - plain == 2 * (averaged - plain)
    weights = sum(value.nbytes for value in trial_of("resnet18").model.build(INFO).state_dict().values())
    assert averaged - plain == weights
