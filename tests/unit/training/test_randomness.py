"""Draws as a function of seed and epoch."""

from __future__ import annotations

import pytest
import torch

from cifar_tune.training.randomness import epoch_seeds, global_draws, global_state, set_global_state

CPU = torch.device("cpu")


def test_every_seed_and_epoch_draws_differently() -> None:
    seeds = [seed for trial in range(30) for epoch in range(30) for seed in epoch_seeds(trial, epoch)]
    assert len(set(seeds)) == len(seeds)
    # A CPU generator takes the lower half of a seed alone.
    assert len({seed % 2**32 for seed in seeds}) == len(seeds)
    assert epoch_seeds(3, 4) == epoch_seeds(3, 4)


def test_global_draws_follow_the_seed_and_leave_no_trace() -> None:
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        with global_draws(5, CPU):
            draws.append(torch.rand(3))
    assert torch.equal(*draws)
    assert torch.equal(torch.get_rng_state(), before)


def test_global_draws_leave_no_trace_of_an_error() -> None:
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), global_draws(5, CPU):
        1 / 0  # noqa: B018
    assert torch.equal(torch.get_rng_state(), before)


def test_a_state_can_be_drawn_from_again() -> None:
    with global_draws(5, CPU):
        state = global_state(CPU)
        first = torch.rand(3)
        set_global_state(state, CPU)
        assert torch.equal(torch.rand(3), first)
