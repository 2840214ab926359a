"""Sets of photographs of any size: decoded once a machine at the resolution asked for, then memory-mapped."""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from cifar_tune.errors import DatasetError
from cifar_tune.schema import Fraction, Positive
from cifar_tune.training.datasets.cache_folder import cache_folder
from cifar_tune.training.datasets.dataset import Dataset, DatasetInfo, Images, Split
from cifar_tune.training.datasets.decoded_cache import Recipe, decoded
from cifar_tune.training.datasets.fingerprint import DataFingerprint
from cifar_tune.training.datasets.hash_split import split_training
from cifar_tune.training.datasets.image_decoding import EncodedImage, decode_image
from cifar_tune.training.datasets.names import readable

SHOWN = 5
"""Duplicates of a kind, and copies of each."""

Mean = Annotated[tuple[Fraction, Fraction, Fraction], Field(strict=False)]
"""Of red, green and blue, for pixels in [0, 1]."""

Std = Annotated[tuple[Positive, Positive, Positive], Field(strict=False)]


@dataclass(frozen=True)
class Listing:
    """One split before decoding.

    sources: paths or encoded images, in the order of labels, (N,) int64.
    place: where they are. version: returns what changes whenever they do.
    identities: returns what each image is, (N,) uint64. by_content: whether splits are drawn by that.
    validation: (N,) bool, which images are a validation split that comes with the set, or None.
    """

    class_names: tuple[str, ...]
    sources: Sequence[str | EncodedImage]
    labels: np.ndarray
    place: str
    version: Callable[[], str]
    identities: Callable[[], np.ndarray]
    by_content: bool = False
    validation: np.ndarray | None = None

    def split(self, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Returns the positions of the training and of the validation images. Raises DatasetError."""
        identities = self.identities() if self.by_content else None
        return split_training(self.labels, dataset, identities, self.validation, self.class_names)


class Photographs(Dataset):
    """Options of all sets that are decoded."""

    resolution: Annotated[int, Field(ge=8, le=1024)] = 224
    """Of the square images in pixels: the short side is resized to it and the long side cropped at both ends alike."""
    mean: Mean = (0.485, 0.456, 0.406)
    """Of red, green and blue, for pixels in [0, 1]. The default is ImageNet's, as torchvision's weights take it."""
    std: Std = (0.229, 0.224, 0.225)

    @abstractmethod
    def listing(self, root: Path, split: Split) -> Listing:
        """Returns what images a split has. Opens none of them, and nothing of the other split."""

    def info(self, root: Path) -> DatasetInfo:
        listed = self.listing(root, "train")
        return DatasetInfo(
            class_names=listed.class_names,
            channels=3,
            resolution=self.resolution,
            mean=self.mean,
            std=self.std,
            train_images=len(listed.labels),
            split_images=self._split_images(listed),
        )

    def _split_images(self, listed: Listing) -> tuple[int, int] | None:
        """Returns how many images train and validate where that cannot be told from their number; None also where
        the set cannot be split, which `verify` or `check_trial` says."""
        if not listed.by_content:
            return None
        try:
            train, validation = listed.split(self)
        except DatasetError:
            return None
        return len(train), len(validation)

    def fingerprint(self, root: Path) -> DataFingerprint:
        train, test = self.listing(root, "train"), self.listing(root, "test")
        identities, held = train.identities(), train.validation
        parts = (
            {"train": (train.labels, identities)}
            if held is None
            else {
                "train": (train.labels[~held], identities[~held]),
                "validation": (train.labels[held], identities[held]),
            }
        )
        parts["test"] = test.labels, test.identities()
        return DataFingerprint.of(train.class_names, parts, by_content=train.by_content)

    def remarks(self, root: Path) -> list[str]:
        return duplicates(self.listing(root, "train"), self.listing(root, "test"))

    def verify(self, root: Path, split: Split = "train") -> None:
        listed = self.listing(root, split)
        counts = np.bincount(listed.labels, minlength=len(listed.class_names))
        for name, count in zip(listed.class_names, counts, strict=True):
            if split == "train" and count < 2:
                raise DatasetError(f"class {name} of {listed.place} has {count} training images; at least 2 are needed")
        listed.version()

    def build(self, root: Path, split: Split = "train") -> None:
        self.load(root, split)

    def load(self, root: Path, split: Split) -> Images:
        listed = self.listing(root, split)
        pixels = decoded(cache_folder(root) / "decoded", self.recipe(listed, split))
        identities = listed.identities() if listed.by_content else None
        return Images(pixels, listed.labels, identities, listed.validation)

    def recipe(self, listed: Listing, split: Split) -> Recipe:
        """Returns how a split's cache file is made."""
        resolution = self.resolution

        def decode(start: int, stop: int) -> np.ndarray:
            return decode_all([listed.sources[index] for index in range(start, stop)], resolution)

        return Recipe(
            name=f"{self.name}-{split}-{resolution}px",
            source=listed.place,
            version=listed.version(),
            shape=(len(listed.labels), 3, resolution, resolution),
            decode=decode,
        )


def build_all(datasets: Iterable[Dataset], root: Path, *, sealed: bool = True) -> None:
    """Makes what is made once a machine; of photographs both splits are decoded, which scores nothing.

    sealed: whether the test split of other sets stays unopened.

    Raises:
        DatasetError: Images of any of them cannot be read; names all of those.
    """
    problems: dict[str, None] = {}
    for dataset in datasets:
        splits: tuple[Split, ...] = ("train",) if sealed and not isinstance(dataset, Photographs) else ("train", "test")
        for split in splits:
            try:
                dataset.build(root, split)
            except DatasetError as error:
                problems |= dict.fromkeys(str(error).split("\n"))
    if problems:
        raise DatasetError("\n".join(problems))


def all_remarks(datasets: Iterable[Dataset], root: Path) -> list[str]:
    """Returns what a user should know of the files of several sets, once each."""
    return [*dict.fromkeys(line for dataset in datasets for line in dataset.remarks(root))]


def decode_all(sources: Sequence[str | EncodedImage], resolution: int) -> np.ndarray:
    """Returns the (N, 3, H, W) uint8 pixels of images.

    Raises:
        DatasetError: Some cannot be read; names all of those, a line each.
    """
    pixels, problems = [], []
    for source in sources:
        try:
            pixels.append(decode_image(source, resolution))
        except DatasetError as error:
            problems.append(str(error))
    if problems:
        raise DatasetError("\n".join(problems))
    return np.stack(pixels)


def duplicates(train: Listing, test: Listing) -> list[str]:
    """Returns which pictures are there more than once, byte for byte, in sentences: across splits and classes first."""
    if not train.by_content:
        return []
    held = np.zeros(len(train.labels), bool) if train.validation is None else train.validation
    sides = np.concatenate([np.where(held, "validation", "train"), np.full(len(test.labels), "test")])
    names = [*map(_name, train.sources), *map(_name, test.sources)]
    labels, identities = (
        np.concatenate([train.labels, test.labels]),
        np.concatenate([train.identities(), test.identities()]),
    )
    _, group, counts = np.unique(identities, return_inverse=True, return_counts=True)
    order = [place for place in np.argsort(group, kind="stable") if counts[group[place]] > 1]
    across: list[str] = []
    classes: list[str] = []
    alike: list[str] = []
    for _, members in groupby(order, key=lambda place: int(group[place])):
        same = list(members)
        kind = across if len(set(sides[same])) > 1 else classes if len(set(labels[same])) > 1 else alike
        kind.append(" = ".join(names[place] for place in same[:SHOWN]))
    told = (
        (across, "pictures are in more than one split, byte for byte: a score on them is of memory. Remove the copies"),
        (classes, "pictures are in more than one class, byte for byte"),
        (alike, "pictures are there more than once in a class, byte for byte"),
    )
    return [_listed(found, what, train.place) for found, what in told if found]


def _listed(found: Sequence[str], what: str, place: str) -> str:
    more = f"\n  and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"{place}: {len(found)} {what}:\n  " + "\n  ".join(found[:SHOWN]) + more


def _name(source: str | EncodedImage) -> str:
    return readable(source) if isinstance(source, str) else source.name


def files_version(paths: Sequence[str]) -> str:
    """Returns a digest of the files' names, sizes and times of modification, in order.

    Raises:
        DatasetError: Files are missing; names the first.
    """
    digest, missing = hashlib.blake2b(digest_size=16), []
    for path in paths:
        try:
            status = os.stat(path)
        except FileNotFoundError:
            missing.append(path)
        else:
            digest.update(os.fsencode(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n"))
    if missing:
        first, *more = map(readable, missing)
        raise DatasetError(f"{first} is not there" + (f", nor are {len(more)} more" if more else ""))
    return digest.hexdigest()
