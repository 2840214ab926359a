"""Activations against their formulas in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import pytest
import torch

from cifar_tune.training.models.mininet import Activation
from cifar_tune.training.networks.activations import ACTIVATIONS


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


FORMULAS: dict[str, Callable[[float], float]] = {
    "relu": lambda x: max(x, 0.0),
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "prelu": lambda x: x if x > 0 else 0.25 * x,
    "silu": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "mish": lambda x: x * math.tanh(softplus(x)),
    "serf": lambda x: x * math.erf(softplus(x)),
}


def test_every_activation_of_the_schema_is_compared() -> None:
    assert set(FORMULAS) == set(get_args(Activation)) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", get_args(Activation))
def test_an_activation_follows_its_formula(name: Activation) -> None:
    points = [-30.0, -4.0, -1.5, -0.3, 0.0, 0.3, 1.0, 2.5, 7.0, 30.0]
    found = ACTIVATIONS[name]().double()(torch.tensor(points, dtype=torch.float64))
    torch.testing.assert_close(found.tolist(), [FORMULAS[name](x) for x in points], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", get_args(Activation))
def test_gradients_are_those_of_finite_differences(name: Activation) -> None:
    points = torch.tensor([-3.0, -0.7, 0.4, 2.0, 5.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ACTIVATIONS[name]().double(), (points,))


def test_serf_is_not_mish() -> None:
    assert FORMULAS["serf"](1.0) != pytest.approx(FORMULAS["mish"](1.0), abs=0.01)
