"""What follows when memory is not enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cifar_tune.execution.placement.oom_fallback import NONE, MemoryFallback, Place, in_parts, next_fallback
from cifar_tune.training.trial import TrialConfig

SHARED = Place("RTX 4060", 8, whole=False, largest_bytes=80)
WHOLE_CARD = Place("RTX 4060", 8, whole=True, largest_bytes=80)
LARGEST = Place("H100", 80, whole=True, largest_bytes=80)
CPU = Place("", 0, whole=True, largest_bytes=0)


def trial_of(batch_size: int, **changes: Any) -> TrialConfig:
    values = {
        "dataset": {"name": "digits"},
        "model": {"name": "mininet"},
        "optimizer": {"name": "sgd", "lr": 0.1},
        "batch_size": batch_size,
        "epochs": 2,
        **changes,
    }
    return TrialConfig.model_validate(values)


def again_of(batch_size: int, **changes: Any) -> TrialConfig:
    """A trial that computes its activations again already."""
    return trial_of(batch_size, recompute=True, **changes)


def test_the_first_step_is_half_the_micro_batch() -> None:
    assert next_fallback(NONE, trial_of(128), SHARED) == (
        MemoryFallback(parts=2),
        "micro-batches of 64 images instead of 128",
    )


def test_then_activations_are_computed_again_then_the_whole_card_then_a_larger_one_then_halves_again() -> None:
    again = MemoryFallback(parts=2, recompute=True)
    assert next_fallback(MemoryFallback(parts=2), trial_of(64), SHARED) == (
        again,
        "activations computed again instead of kept",
    )
    alone = replace(again, alone=True)
    assert next_fallback(again, again_of(64), SHARED) == (alone, "alone on RTX 4060")
    larger = replace(alone, above_bytes=8)
    assert next_fallback(alone, again_of(64), WHOLE_CARD) == (larger, "a larger card than RTX 4060")
    assert next_fallback(larger, again_of(64), LARGEST) == (
        replace(larger, parts=4),
        "micro-batches of 32 images instead of 64",
    )


def test_micro_batches_stay_whole_and_large_enough_for_batch_norm() -> None:
    done = MemoryFallback(recompute=True)
    assert next_fallback(done, again_of(31), CPU) is None
    assert next_fallback(done, again_of(16), CPU) is None
    assert next_fallback(NONE, again_of(32), CPU) == (
        MemoryFallback(parts=2),
        "micro-batches of 16 images instead of 32",
    )
    assert next_fallback(NONE, again_of(32), CPU, processes=2) is None


def test_processes_that_normalise_together_share_the_smallest_micro_batch_and_have_two_images_each() -> None:
    assert in_parts(trial_of(64), 4, processes=4) is None
    assert in_parts(trial_of(64, sync_batch_norm=True), 4, processes=4) is not None
    assert in_parts(trial_of(64, sync_batch_norm=True), 8, processes=4) is None
    assert in_parts(trial_of(64, sync_batch_norm=True), 4, processes=16) is None


def test_groups_of_batch_norm_are_not_divided_however_small_they_are() -> None:
    assert in_parts(trial_of(96, ghost_batch_size=32), 2) is None
    assert in_parts(trial_of(96, ghost_batch_size=8), 12) == trial_of(96, ghost_batch_size=8, accumulation=12)
    assert in_parts(trial_of(96, ghost_batch_size=8), 12, processes=2) is None
    assert in_parts(trial_of(64), 8) is None


def test_a_batch_that_cannot_be_halved_computes_its_activations_again_at_once() -> None:
    assert next_fallback(NONE, trial_of(31), SHARED) == (
        MemoryFallback(recompute=True),
        "activations computed again instead of kept",
    )
    assert next_fallback(MemoryFallback(recompute=True), again_of(31), SHARED) == (
        MemoryFallback(recompute=True, alone=True),
        "alone on RTX 4060",
    )


def test_after_the_last_step_nothing_is_left() -> None:
    last = MemoryFallback(parts=4, recompute=True, alone=True, above_bytes=8)
    assert next_fallback(last, again_of(16), LARGEST) is None
