"""Splits that are drawn by what each image is, so that an image keeps its side when others come or go.

An image is held out if a hash of its identity and the seed is small. Docs: docs/decisions/0022-data-identity.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.dataset import Dataset
from cifar_tune.training.datasets.split import class_shares, refuse_single, split_positions, split_sizes


def split_training(
    labels: np.ndarray,
    dataset: Dataset,
    identities: np.ndarray | None,
    validation: np.ndarray | None = None,
    class_names: Sequence[str] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the positions of the training and of the validation images, each (n,) int64, ascending and disjoint.

    A `validation_fraction` of 0 trains on the images of both sides.

    labels: (N,) int64. identities: (N,) uint64; None draws by position. validation: (N,) bool, as it comes with the
    set, or None to draw it.

    Raises:
        DatasetError: There are too few images, or some class has a single one.
    """
    if identities is None:
        return split_positions(labels, dataset, class_names)
    if validation is None:
        split_sizes(len(labels), len(np.unique(labels)), dataset)
    chosen = _subset(labels, identities, dataset)
    if dataset.validation_fraction == 0:
        return chosen, chosen[:0]
    if validation is None:
        held = held_out(
            labels[chosen],
            identities[chosen],
            dataset.validation_fraction,
            f"validation {dataset.split_seed}",
            class_names,
        )
    else:
        held = validation[chosen]
        if held.all() or not held.any():
            side = "training" if held.all() else "validation"
            raise DatasetError(f"a train_size of {len(chosen)} leaves no {side} image; make it larger")
    return chosen[~held], chosen[held]


def held_out(
    labels: np.ndarray, identities: np.ndarray, fraction: float, draw: str, class_names: Sequence[str] = ()
) -> np.ndarray:
    """Returns which images are held out, (N,) bool: about that share of every class, and at least one.

    Whether an image is held out depends on itself alone, so that it stays where it is when others come or go. Only a
    class whose images are all on one side, as of a few it may happen, gives the other its image of the smallest (or
    largest) hash, until an image comes that is there by itself.

    draw: tells this draw from others of the same set, with its seed.

    Raises:
        DatasetError: Some class has a single image.
    """
    classes, counts = np.unique(labels, return_counts=True)
    refuse_single(classes[counts < 2], class_names)
    hashes = hashed(identities, draw)
    held: np.ndarray = hashes < np.uint64(min(round(fraction * 2**64), 2**64 - 1))
    for label in classes:
        members = np.flatnonzero(labels == label)
        sides = held[members]
        if not sides.any() or sides.all():
            extreme = hashes[members].min() if not sides.any() else hashes[members].max()
            moved = members[hashes[members] == extreme]
            # Pictures that are byte for byte the same stay together, unless the class has no others.
            held[moved if len(moved) < len(members) else moved[:1]] ^= True
    return held


def hashed(identities: np.ndarray, draw: str) -> np.ndarray:
    """Returns evenly distributed numbers, (N,) uint64, that follow from identity and draw alone.

    Source: the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), one bijection of 64 bits for each draw.
    """
    key = int.from_bytes(hashlib.blake2b(draw.encode(), digest_size=8).digest(), "big")
    mixed = identities ^ np.uint64(key)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    result: np.ndarray = mixed ^ (mixed >> np.uint64(31))
    return result


def _subset(labels: np.ndarray, identities: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Returns the positions of `train_size` images, ascending, of every class its share; a smaller one is a part."""
    if dataset.train_size is None:
        return np.arange(len(labels))
    if dataset.train_size > len(labels):
        raise DatasetError(
            f"train_size is {dataset.train_size}, but the training data has {len(labels)} images; "
            f"at most {len(labels)} is allowed"
        )
    classes, counts = np.unique(labels, return_counts=True)
    shares = class_shares(counts, dataset.train_size, least=min(2, int(counts.min())), most=counts)
    hashes = hashed(identities, f"subset {dataset.split_seed}")
    members = [np.flatnonzero(labels == label) for label in classes]
    kept = [one[np.argsort(hashes[one], kind="stable")][:share] for one, share in zip(members, shares, strict=True)]
    return np.sort(np.concatenate(kept))
