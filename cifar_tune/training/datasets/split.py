"""Which images of the training data a trial trains on, and which it is validated on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.dataset import Dataset, DatasetInfo, Split


def training_sizes(info: DatasetInfo, dataset: Dataset) -> tuple[int, int]:
    """Returns how many images a trial trains on and how many it is validated on: counted where the set was split.

    Raises:
        DatasetError: As `split_sizes`.
    """
    if info.split_images is not None:
        return info.split_images
    return split_sizes(info.train_images, info.classes, dataset)


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
        if count < classes and dataset.validation_fraction > 0:
            raise DatasetError(
                f"validation_fraction {dataset.validation_fraction} of {size} images leaves {count} {side} images, "
                f"too few for one of each of {classes} classes; change validation_fraction or train_size"
            )
    return size - validation, validation


def split_positions(
    labels: np.ndarray, dataset: Dataset, class_names: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the positions of the training and of the validation images, each (n,) int64, ascending and disjoint.

    Stratified: every class keeps its share, to within one image. Of each class the first images of one shuffled order
    are taken, so that a smaller `train_size` trains and validates on a part of what a larger one does.
    A `validation_fraction` of 0 trains on the images of both sides.

    labels: (N,) int64, of the whole training data. class_names: for messages.

    Raises:
        DatasetError: There are too few images, or some class has a single one.
    """
    train_images, validation_images = split_sizes(len(labels), len(np.unique(labels)), dataset)
    return stratified(labels, train_images, validation_images, dataset.split_seed, class_names)


def drawn_split(
    labels: np.ndarray, fraction: float, seed: int, split: Split, class_names: Sequence[str] = ()
) -> np.ndarray:
    """Returns the positions of a split's images in a set that comes without a test split, ascending.

    Raises:
        DatasetError: `fraction` does not leave at least one image of every class on both sides.
    """
    test_images = drawn_size(labels, fraction)
    train, test = stratified(labels, len(labels) - test_images, test_images, seed, class_names)
    return train if split == "train" else test


def drawn_size(labels: np.ndarray, fraction: float) -> int:
    """Returns how many images that share of a set is. Raises DatasetError as `drawn_split`."""
    images, classes = len(labels), len(np.unique(labels))
    test_images = round(fraction * images)
    if not classes <= test_images <= images - classes:
        raise DatasetError(
            f"test_fraction {fraction} keeps {test_images} of {images} images for the test, which does not leave one "
            f"of each of {classes} classes on both sides; change it or add images"
        )
    return test_images


def stratified(
    labels: np.ndarray, rest: int, held_out: int, seed: int, class_names: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Returns positions of `rest` and of `held_out` images, each ascending, disjoint, with at least one of every class.

    Raises:
        DatasetError: Some class has a single image.
    """
    classes, label_of = np.unique(labels, return_inverse=True)
    counts = np.bincount(label_of)
    refuse_single(classes[counts < 2], class_names)
    drawn = class_shares(counts, rest + held_out, least=2, most=counts)
    kept_back = class_shares(drawn, held_out, least=min(held_out, 1), most=drawn - 1)
    # RandomState, not Generator: its stream never changes between numpy versions (NEP 19), so scores stay comparable.
    random = np.random.RandomState(seed)
    orders = [random.permutation(np.flatnonzero(label_of == index)) for index in range(len(classes))]
    chosen = [order[kept:all_] for order, kept, all_ in zip(orders, kept_back, drawn, strict=True)]
    held = [order[:kept] for order, kept in zip(orders, kept_back, strict=True)]
    return np.sort(np.concatenate(chosen)), np.sort(np.concatenate(held))


def refuse_single(single: np.ndarray, class_names: Sequence[str]) -> None:
    """Raises DatasetError where some class has a single image. single: the labels of those; class_names: of all."""
    if len(single):
        name = class_names[single[0]] if class_names else single[0]
        raise DatasetError(f"class {name} has a single image; at least 2 are needed to hold one out")


def class_shares(counts: np.ndarray, total: int, least: int, most: np.ndarray) -> np.ndarray:
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
