"""What follows when memory is not enough."""

from __future__ import annotations

from cifar_tune.tuning.ladder import NONE, Place, Relief, relieved

SHARED = Place("RTX 4060", 8, whole=False, largest_bytes=80)
WHOLE_CARD = Place("RTX 4060", 8, whole=True, largest_bytes=80)
LARGEST = Place("H100", 80, whole=True, largest_bytes=80)
CPU = Place("", 0, whole=True, largest_bytes=0)


def test_the_first_step_is_half_the_micro_batch() -> None:
    assert relieved(NONE, 128, SHARED) == (Relief(parts=2), "micro-batches of 64 images instead of 128")


def test_then_the_whole_card_then_a_larger_one_then_halves_again() -> None:
    alone = Relief(parts=2, alone=True)
    assert relieved(Relief(parts=2), 64, SHARED) == (alone, "alone on RTX 4060")
    larger = Relief(parts=2, alone=True, above_bytes=8)
    assert relieved(alone, 64, WHOLE_CARD) == (larger, "a larger card than RTX 4060")
    assert relieved(larger, 64, LARGEST) == (
        Relief(parts=4, alone=True, above_bytes=8),
        "micro-batches of 32 images instead of 64",
    )


def test_micro_batches_stay_whole_and_large_enough_for_batch_norm() -> None:
    assert relieved(NONE, 31, CPU) is None
    assert relieved(NONE, 16, CPU) is None
    assert relieved(NONE, 32, CPU) == (Relief(parts=2), "micro-batches of 16 images instead of 32")


def test_a_batch_that_cannot_be_halved_gets_the_whole_card_at_once() -> None:
    assert relieved(NONE, 31, SHARED) == (Relief(alone=True), "alone on RTX 4060")


def test_after_the_last_step_nothing_is_left() -> None:
    assert relieved(Relief(parts=4, alone=True, above_bytes=8), 16, LARGEST) is None
