"""Blocks computed twice train exactly as blocks that keep their activations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cifar_tune.training.loop import train_epochs
from cifar_tune.training.memory import memory_need
from cifar_tune.training.networks.recomputable import Recomputable, recompute_blocks
from cifar_tune.training.state import create_state
from tests.contracts.test_exact_resume import CPU, MODELS, curve, data, trial
from tests.unit.training.test_memory import INFO, measured_peak, trial_of


@pytest.mark.parametrize(
    "changes",
    [
        *({"model": name} for name in MODELS),
        {"sam": {"rho": 0.05}, "ema": {"decay": 0.9}},
        {"precision": "bfloat16", "accumulation": 2},
        {"ghost_batch_size": 4},
    ],
    ids=str,
)
def test_recomputing_changes_no_bit_of_curve_weights_and_statistics(changes: dict[str, Any]) -> None:
    states = []
    for recompute in (False, True):
        config, images = trial(recompute=recompute, **changes), data()
        states.append(create_state(config, images.info, CPU))
        list(train_epochs(states[-1], images, config))
    kept, again = states
    assert any(isinstance(module, Recomputable) and module.recomputes for module in again.model.modules())
    assert curve(again.history) == curve(kept.history)
    weights = again.model.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in kept.model.state_dict().items())


class Dropping(Recomputable):
    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def compute(self, x: Tensor) -> Tensor:
        self.passes += 1
        return nn.functional.dropout(x.exp(), 0.5)


def test_a_block_is_computed_twice_in_training_alone_and_drops_the_same_both_times() -> None:
    block, x = Dropping(), torch.ones(1000, requires_grad=True)
    recompute_blocks(block)
    y = block(x)
    y.sum().backward()
    assert block.passes == 2
    assert torch.equal(x.grad, y.detach())  # the derivative of exp is itself
    block.eval()(x)
    assert block.passes == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mininet", "tgn"])
def test_the_prediction_knows_what_recomputing_saves(name: str) -> None:
    """A block's insides go before its last gradients come, which the prediction, being careful, does not know."""
    torch.manual_seed(0)
    kept, again = (trial_of(name, recompute=recompute) for recompute in (False, True))
    predicted = memory_need(again, INFO).tensors
    assert predicted < 0.9 * memory_need(kept, INFO).tensors
    assert 0.92 <= predicted / measured_peak(again) <= 1.25
