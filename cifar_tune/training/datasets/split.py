"""Which images of the training data a trial trains on, and which it is validated on."""

from __future__ import annotations

import numpy as np

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.dataset import Dataset


def split_sizes(images: int, classes: int, dataset: Dataset) -> tuple[int, int]:
    """Returns how many of `images` a trial trains on and how many it is validated on; needs no labels.

    Raises:
        DatasetError: There are fewer images than `train_size`, or too few for one of each class on both sides.
    """
    size = images if dataset.train_size is None else dataset.train_size
    if size > images:
        raise DatasetError(
            f"train_size is {size}, but the training data has {images} images; at most {images} is allowed"
        )
    validation = round(dataset.validation_fraction * size)
    for side, count in (("validation", validation), ("training", size - validation)):
        if count < classes:
            raise DatasetError(
                f"validation_fraction {dataset.validation_fraction} of {size} images leaves {count} {side} images, "
                f"too few for one of each of {classes} classes; change validation_fraction or train_size"
            )
    return size - validation, validation


def split_positions(labels: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns the positions of the training and of the validation images, each (n,) int64, ascending and disjoint.

    Stratified: every class keeps its share, to within one image. Of each class the first images of one shuffled order
    are taken, so that a smaller `train_size` trains and validates on a part of what a larger one does.

    labels: (N,) int64, of the whole training data.

    Raises:
        DatasetError: Some class cannot have at least one image on both sides.
    """
    classes, label_of = np.unique(labels, return_inverse=True)
    counts = np.bincount(label_of, minlength=len(classes))
    if len(lonely := classes[counts < 2]):
        raise DatasetError(
            f"class {lonely[0]} has one training image; it needs at least 2, to train on one and validate on another"
        )
    train_images, validation_images = split_sizes(len(labels), len(classes), dataset)
    kept = _shares(counts, train_images + validation_images, least=2, most=counts)
    held_out = _shares(kept, validation_images, least=1, most=kept - 1)
    # RandomState, not Generator: its stream never changes between numpy versions (NEP 19), so scores stay comparable.
    random = np.random.RandomState(dataset.split_seed)
    train, validation = [], []
    for index in range(len(classes)):
        order = random.permutation(np.flatnonzero(label_of == index))
        validation.append(order[: held_out[index]])
        train.append(order[held_out[index] : kept[index]])
    return np.sort(np.concatenate(train)).astype(np.int64), np.sort(np.concatenate(validation)).astype(np.int64)


def _shares(counts: np.ndarray, total: int, least: int, most: np.ndarray) -> np.ndarray:
    """Returns how many of each class make up `total`, in proportion to `counts` and within [least, most]."""
    images = counts.sum()
    shares: np.ndarray = np.clip(counts * total // images, least, most)
    while (missing := total - shares.sum()) != 0:
        owed = counts * total - shares * images
        if missing > 0:
            shares[np.where(shares < most, owed, owed.min() - 1).argmax()] += 1
        else:
            shares[np.where(shares > least, owed, owed.max() + 1).argmin()] -= 1
    return shares
