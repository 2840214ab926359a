"""Which images train and which validate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.digits import Digits
from cifar_tune.training.datasets.split import drawn_split, split_positions, split_sizes


def labels_of(counts: list[int]) -> np.ndarray:
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(0).permutation(labels).astype(np.int64)


@given(
    counts=st.lists(st.integers(2, 60), min_size=2, max_size=6),
    fraction=st.floats(0.05, 0.6),
    size=st.none() | st.integers(1, 300),
    seed=st.integers(0, 2**32 - 1),
)
def test_both_sides_are_disjoint_exactly_as_large_as_asked_and_hold_every_class(
    counts: list[int], fraction: float, size: int | None, seed: int
) -> None:
    labels = labels_of(counts)
    dataset = Digits(validation_fraction=fraction, train_size=size, split_seed=seed)
    try:
        train_images, validation_images = split_sizes(len(labels), len(counts), dataset)
    except DatasetError:
        return
    train, validation = split_positions(labels, dataset)
    assert (len(train), len(validation)) == (train_images, validation_images)
    assert len(np.union1d(train, validation)) == train_images + validation_images == (size or len(labels))
    assert set(labels[train]) == set(labels[validation]) == set(range(len(counts)))
    assert np.all(np.diff(train) > 0)
    assert np.all(np.diff(validation) > 0)


@given(
    counts=st.lists(st.integers(30, 200), min_size=2, max_size=8),
    fraction=st.floats(0.2, 0.5),
    share=st.floats(0.5, 1.0),
)
def test_every_class_keeps_its_share_to_within_an_image(counts: list[int], fraction: float, share: float) -> None:
    labels = labels_of(counts)
    size = round(share * len(labels))
    train, validation = split_positions(labels, Digits(validation_fraction=fraction, train_size=size))
    kept = np.bincount(labels[np.concatenate([train, validation])])
    assert np.abs(kept - size * np.array(counts) / sum(counts)).max() < 1
    assert np.abs(np.bincount(labels[validation]) - len(validation) * kept / size).max() < 1


def test_the_same_seed_gives_the_same_split_and_another_seed_another() -> None:
    labels = labels_of([50] * 10)
    first = split_positions(labels, Digits(split_seed=3))
    again = split_positions(labels, Digits(split_seed=3))
    other = split_positions(labels, Digits(split_seed=4))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not np.array_equal(first[1], other[1])


def test_the_split_of_a_seed_is_the_same_for_ever() -> None:
    """Recorded once: scores of different versions of numpy and of this package are compared with each other."""
    _, validation = split_positions(np.arange(40) % 4, Digits(validation_fraction=0.2, split_seed=0))
    assert validation.tolist() == [7, 8, 10, 13, 14, 21, 27, 32]


def test_a_smaller_train_size_trains_and_validates_on_a_part_of_a_larger_one() -> None:
    labels = labels_of([80, 40, 60])
    small = split_positions(labels, Digits(train_size=60))
    large = split_positions(labels, Digits(train_size=120))
    assert set(small[1]) <= set(large[1])
    assert set(np.concatenate(small)) <= set(np.concatenate(large))


def test_a_fraction_of_0_trains_on_the_images_of_both_sides() -> None:
    labels = labels_of([80, 40, 60])
    for size in (None, 60):
        both = split_positions(labels, Digits(train_size=size))
        everything, nothing = split_positions(labels, Digits(train_size=size, validation_fraction=0))
        assert everything.tolist() == sorted(np.concatenate(both))
        assert len(nothing) == 0


def test_rare_classes_are_on_both_sides_and_the_sizes_stay_exact() -> None:
    labels = labels_of([1000, 2, 3])
    train, validation = split_positions(labels, Digits(validation_fraction=0.01))
    assert len(validation) == 10
    assert np.bincount(labels[validation]).tolist() == [8, 1, 1]
    assert np.bincount(labels[train])[1] == 1


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ([10, 10], {"train_size": 21}, "train_size is 21, but the training data has 20 images; at most 20 is allowed"),
        ([10, 10], {"validation_fraction": 0.05}, "leaves 1 validation images, too few for one of each of 2 classes"),
        ([10, 10], {"validation_fraction": 0.95}, "leaves 1 training images, too few for one of each of 2 classes"),
        ([10, 1], {"validation_fraction": 0.5}, "class 1 has a single image; at least 2 are needed"),
    ],
)
def test_a_split_that_cannot_be_is_refused_with_numbers(counts: list[int], options: dict, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        split_positions(labels_of(counts), Digits(**options))


def test_a_set_without_a_test_split_is_cut_in_two_without_overlap() -> None:
    labels = labels_of([20, 30])
    train, test = (drawn_split(labels, 0.2, 0, split) for split in ("train", "test"))
    assert np.bincount(labels[test]).tolist() == [4, 6]
    assert sorted(np.concatenate([train, test])) == list(range(50))
    with pytest.raises(DatasetError, match=r"test_fraction 0.01 keeps 0 of 50 images for the test"):
        drawn_split(labels, 0.01, 0, "train")
