"""Splits drawn by what each image is."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.digits import Digits
from cifar_tune.training.datasets.hash_split import held_out, split_training

COUNTS = st.lists(st.integers(2, 40), min_size=2, max_size=5)


def a_set(counts: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(len(counts)), counts)
    identities = np.random.default_rng(seed).integers(0, 2**64, len(labels), dtype=np.uint64)
    return labels, identities


@given(counts=COUNTS, seed=st.integers(0, 2**32 - 1), fraction=st.floats(0.05, 0.9))
def test_every_class_is_on_both_sides(counts: list[int], seed: int, fraction: float) -> None:
    labels, identities = a_set(counts, seed)
    held = held_out(labels, identities, fraction, f"test {seed}")
    assert set(labels[held]) == set(labels[~held]) == set(range(len(counts)))


@given(seed=st.integers(0, 1000), added=st.integers(1, 40))
def test_an_image_keeps_its_side_when_others_come_and_when_they_go(seed: int, added: int) -> None:
    """Classes so large that each has images on both sides by themselves: 0.8^100 is 2e-10."""
    labels, identities = a_set([100, 120, 100], seed)
    more_labels, more = a_set([0, added, 0], seed + 1_000_000)
    before = held_out(labels, identities, 0.2, "test 0")
    after = held_out(np.concatenate([labels, more_labels]), np.concatenate([identities, more]), 0.2, "test 0")
    assert np.array_equal(after[: len(labels)], before)


def test_the_share_is_that_asked_for_and_draws_are_independent() -> None:
    """Of 10,000 images a share of 0.2 has a standard deviation of 40."""
    labels, identities = a_set([5000, 5000])
    test, validation, other_seed = (
        held_out(labels, identities, 0.2, draw) for draw in ("test 0", "validation 0", "test 1")
    )
    for one in (test, validation, other_seed):
        assert abs(one.sum() - 2000) < 240
    for one in (validation, other_seed):
        assert abs((test & one).sum() - 400) < 120


def test_neither_the_order_nor_the_names_of_the_files_have_a_part_in_it() -> None:
    labels, identities = a_set([30, 30])
    order = np.random.default_rng(1).permutation(60)
    held = held_out(labels, identities, 0.3, "test 0")
    assert np.array_equal(held_out(labels[order], identities[order], 0.3, "test 0"), held[order])


def test_the_split_of_a_seed_is_the_same_for_ever() -> None:
    """SplitMix64's finalizer in whole numbers: a change would make test images out of training images."""

    def hashed(identity: int) -> int:
        mixed = identity ^ int.from_bytes(hashlib.blake2b(b"test 0", digest_size=8).digest(), "big")
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64
        return mixed ^ mixed >> 31

    expected = [identity for identity in range(20) if hashed(identity) < 2**62]
    labels, identities = np.zeros(20, np.int64), np.arange(20, dtype=np.uint64)
    assert np.flatnonzero(held_out(labels, identities, 0.25, "test 0")).tolist() == expected == [4, 5, 7, 8, 10, 14]


def test_pictures_that_are_the_same_are_on_one_side() -> None:
    labels, identities = np.repeat([0, 1], 50), np.tile(np.arange(10, dtype=np.uint64), 10)
    held = held_out(labels, identities, 0.3, "test 0")
    assert all(len(set(held[(identities == one) & (labels == label)])) == 1 for one in range(10) for label in (0, 1))


def test_a_smaller_train_size_is_a_part_of_a_larger_one_and_every_class_has_its_share() -> None:
    labels, identities = a_set([80, 40, 60])
    small, large = (split_training(labels, Digits(train_size=size), identities) for size in (60, 120))
    assert set(np.concatenate(small)) <= set(np.concatenate(large))
    assert len(np.concatenate(small)) == 60
    assert np.abs(np.bincount(labels[np.concatenate(large)]) - 120 * np.array([80, 40, 60]) / 180).max() < 1


@pytest.mark.parametrize("size", [None, 60])
def test_a_fraction_of_0_trains_on_the_images_of_both_sides(size: int | None) -> None:
    labels, identities = a_set([80, 40, 60])
    both = split_training(labels, Digits(train_size=size), identities)
    everything, nothing = split_training(labels, Digits(train_size=size, validation_fraction=0), identities)
    assert everything.tolist() == sorted(np.concatenate(both))
    assert len(nothing) == 0


def test_a_validation_split_that_comes_with_the_set_is_taken_as_it_is() -> None:
    labels, identities = a_set([20, 20])
    given_split = np.arange(40) % 4 == 0
    train, validation = split_training(labels, Digits(), identities, given_split)
    assert validation.tolist() == np.flatnonzero(given_split).tolist()
    assert train.tolist() == np.flatnonzero(~given_split).tolist()
    everything, _ = split_training(labels, Digits(validation_fraction=0), identities, given_split)
    assert len(everything) == 40


def test_a_class_with_a_single_image_is_named() -> None:
    labels, identities = a_set([10, 1])
    with pytest.raises(DatasetError, match="class folder 10 has a single image; at least 2 are needed"):
        split_training(labels, Digits(validation_fraction=0.5), identities, None, ("folder 2", "folder 10"))
