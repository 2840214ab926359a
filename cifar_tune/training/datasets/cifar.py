"""CIFAR-10 and CIFAR-100 from the files that their author published."""

from __future__ import annotations

import io
import pickle
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy._core.multiarray import _reconstruct
from pydantic import Field

from cifar_tune.training.datasets.cache_folder import cache_folder
from cifar_tune.training.datasets.checksums import Published, check_contents, check_presence
from cifar_tune.training.datasets.cifar_classes import CIFAR10_CLASSES, CIFAR100_SUPERCLASSES
from cifar_tune.training.datasets.dataset import Dataset, DatasetInfo, Images, Split
from cifar_tune.training.datasets.decoded_cache import Recipe, decoded
from cifar_tune.training.datasets.downloads import Archive, fetch
from cifar_tune.training.datasets.resize import resized

TRAIN_IMAGES = 50_000

# What numpy arrays in these Python 2 pickles are made of; the names are those of the numpy that wrote them.
PICKLED_ARRAY = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class Cifar(Dataset):
    """60,000 photographs of 32x32 pixels.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """

    folder: ClassVar[str]
    files: ClassVar[Mapping[Split, Mapping[str, Published]]]
    archive: ClassVar[Archive]

    resolution: Annotated[int, Field(ge=8, le=256)] = 32

    def verify(self, root: Path, split: Split = "train") -> None:
        for files in self.files.values():
            check_presence(self.name, root / self.folder, files, root)
        check_contents(self.name, root / self.folder, self.files[split], root)

    def download(self, root: Path) -> None:
        fetch(self.name, self.archive, root)

    def load(self, root: Path, split: Split) -> Images:
        check_contents(self.name, root / self.folder, self.files[split], root)
        batches = [_unpickle(root / self.folder / name) for name in self.files[split]]
        pixels = np.concatenate([batch[b"data"] for batch in batches]).reshape(-1, 3, 32, 32)
        labels = np.concatenate([batch[self.label_key()] for batch in batches]).astype(np.int64)
        if self.resolution != 32:
            pixels = decoded(cache_folder(root) / "decoded", self._recipe(root, split, pixels))
        return Images(pixels, labels)

    def build(self, root: Path, split: Split = "train") -> None:
        if self.resolution != 32:
            self.load(root, split)

    def _recipe(self, root: Path, split: Split, pixels: np.ndarray) -> Recipe:
        """Returns how the cache file of resized images is made."""
        resolution = self.resolution
        return Recipe(
            name=f"{self.name}-{split}-{resolution}px",
            source=str((root / self.folder).resolve()),
            version=" ".join(published.md5 for published in self.files[split].values()),
            shape=(len(pixels), 3, resolution, resolution),
            decode=lambda start, stop: resized(pixels[start:stop], resolution),
        )

    @abstractmethod
    def label_key(self) -> bytes:
        """Returns the key of the labels in a batch file."""


class Cifar10(Cifar):
    """Ten classes."""

    folder = "cifar-10-batches-py"
    # Source: md5 sums as torchvision publishes them, from the author's page.
    files: ClassVar[Mapping[Split, Mapping[str, Published]]] = {
        "train": {
            "data_batch_1": Published(31035704, "c99cafc152244af753f735de768cd75f"),
            "data_batch_2": Published(31035320, "d4bba439e000b95fd0a9bffe97cbabec"),
            "data_batch_3": Published(31035999, "54ebc095f3ab1f0389bbae665268c751"),
            "data_batch_4": Published(31035696, "634d18415352ddfa80567beed471001a"),
            "data_batch_5": Published(31035623, "482c414d41f54cd18b22e5b47cb7c3cb"),
        },
        "test": {"test_batch": Published(31035526, "40351d587109b95175f43aff81a1287e")},
    }
    archive = Archive(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "c58f30108f718f92721af3b95e74349a",
        bytes=170_500_000,
        unpacked_bytes=186_300_000,
    )

    name: Literal["cifar10"] = "cifar10"

    def info(self, root: Path) -> DatasetInfo:
        return DatasetInfo(
            class_names=CIFAR10_CLASSES,
            channels=3,
            resolution=self.resolution,
            # Measured over the 50,000 training images.
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2470, 0.2435, 0.2616),
            train_images=TRAIN_IMAGES,
        )

    def label_key(self) -> bytes:
        return b"labels"


class Cifar100(Cifar):
    """A hundred classes in twenty superclasses."""

    folder = "cifar-100-python"
    files: ClassVar[Mapping[Split, Mapping[str, Published]]] = {
        "train": {"train": Published(155249918, "16019d7e3df5f24257cddd939b257f8d")},
        "test": {"test": Published(31049707, "f0ef6b0ae62326f3e7ffdfab6717acfc")},
    }
    archive = Archive(
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        "eb9058c3a382ffc7106e4002c42a8d85",
        bytes=169_000_000,
        unpacked_bytes=186_400_000,
    )

    name: Literal["cifar100"] = "cifar100"
    labels: Literal["fine", "coarse"] = "fine"
    """fine: the hundred classes. coarse: the twenty superclasses."""

    def info(self, root: Path) -> DatasetInfo:
        coarse_names = tuple(CIFAR100_SUPERCLASSES)
        coarse_of = {fine: index for index, members in enumerate(CIFAR100_SUPERCLASSES.values()) for fine in members}
        fine_names = tuple(sorted(coarse_of))
        fine = self.labels == "fine"
        return DatasetInfo(
            class_names=fine_names if fine else coarse_names,
            channels=3,
            resolution=self.resolution,
            # Measured over the 50,000 training images.
            mean=(0.5071, 0.4865, 0.4409),
            std=(0.2673, 0.2564, 0.2762),
            train_images=TRAIN_IMAGES,
            coarse_names=coarse_names if fine else None,
            coarse_of_fine=tuple(coarse_of[name] for name in fine_names) if fine else None,
        )

    def label_key(self) -> bytes:
        return b"fine_labels" if self.labels == "fine" else b"coarse_labels"


class _ArrayUnpickler(pickle.Unpickler):
    """Makes numpy arrays, and refuses everything else that a pickle could call."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return PICKLED_ARRAY[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a CIFAR file") from None


def _unpickle(path: Path) -> dict[bytes, Any]:
    """Returns what a published batch file holds: `data`, (N, 3072) uint8, and labels as lists."""
    content = _ArrayUnpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    assert isinstance(content, dict)
    return content
