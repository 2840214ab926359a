"""Sets of photographs of any size: decoded once a machine at the resolution asked for, then memory-mapped."""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from cifar_tune.errors import DatasetError
from cifar_tune.schema import Fraction, Positive
from cifar_tune.training.datasets.cache_folder import cache_folder
from cifar_tune.training.datasets.dataset import Dataset, DatasetInfo, Images, Split
from cifar_tune.training.datasets.decoded_cache import Recipe, decoded
from cifar_tune.training.datasets.image_decoding import EncodedImage, decode_image

Mean = Annotated[tuple[Fraction, Fraction, Fraction], Field(strict=False)]
"""Of red, green and blue, for pixels in [0, 1]."""

Std = Annotated[tuple[Positive, Positive, Positive], Field(strict=False)]


@dataclass(frozen=True)
class Listing:
    """One split before decoding.

    sources: paths or encoded images, in the order of labels, (N,) int64.
    place: where they are. version: returns what changes whenever they do.
    """

    class_names: tuple[str, ...]
    sources: Sequence[str | EncodedImage]
    labels: np.ndarray
    place: str
    version: Callable[[], str]


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
        )

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
        return Images(decoded(cache_folder(root) / "decoded", self.recipe(listed, split)), listed.labels)

    def recipe(self, listed: Listing, split: Split) -> Recipe:
        """Returns how a split's cache file is made."""
        resolution = self.resolution

        def decode(start: int, stop: int) -> np.ndarray:
            return np.stack([decode_image(listed.sources[index], resolution) for index in range(start, stop)])

        return Recipe(
            name=f"{self.name}-{split}-{resolution}px",
            source=listed.place,
            version=listed.version(),
            shape=(len(listed.labels), 3, resolution, resolution),
            decode=decode,
        )


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
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    if missing:
        raise DatasetError(f"{missing[0]} is not there" + (f", nor are {len(missing) - 1} more" if missing[1:] else ""))
    return digest.hexdigest()
