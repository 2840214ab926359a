"""What every data set's schema offers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from cifar_tune.schema import Count, Strict
from cifar_tune.training.datasets.fingerprint import DataFingerprint

if TYPE_CHECKING:
    import numpy as np

Split = Literal["train", "test"]


@dataclass(frozen=True)
class DatasetInfo:
    """What a trial must know of a data set before it loads a pixel.

    channels, resolution: of the images as trained on (C, and H = W in pixels).
    mean, std: per channel, of pixels in [0, 1].
    coarse_of_fine: for each class the index of its superclass, or None. train_images: before the validation split.
    split_images: training and validation images, where their number depends on which images they are; else None.
    """

    class_names: tuple[str, ...]
    channels: int
    resolution: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train_images: int
    coarse_names: tuple[str, ...] | None = None
    coarse_of_fine: tuple[int, ...] | None = None
    split_images: tuple[int, int] | None = None

    @property
    def classes(self) -> int:
        return len(self.class_names)


@dataclass(frozen=True)
class Images:
    """One split. pixels: (N, C, H, W) uint8, possibly memory-mapped. labels: (N,) int64.

    identities: (N,) uint64 hashes of the images, which decide the validation split. None: their positions decide it.
    validation: (N,) bool, which of the training images are a validation split that comes with the set, or None.
    """

    pixels: np.ndarray
    labels: np.ndarray
    identities: np.ndarray | None = None
    validation: np.ndarray | None = None


class Dataset(Strict):
    """A data set by name and its options."""

    folder: ClassVar[str | None] = None
    """Where its files lie below the data root; None where they lie elsewhere."""

    name: str
    resolution: int
    """Height and width of the images in pixels; other sizes are resized, bilinear and antialiased."""
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the (sub-sampled) training data held out for validation, stratified by class; 0 trains on all of it,
    which a sweep cannot."""
    train_size: Count | None = None
    """Uses a seeded, stratified subset of this many training images, validation included; null uses all."""
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Draws the subset and the validation split; kept apart from the trial's seed so that scores stay comparable."""

    @abstractmethod
    def info(self, root: Path) -> DatasetInfo:
        """Returns what is known of the set. Reads no pixels.

        Raises:
            DatasetError: Its class names stand in files that are not there.
        """

    @abstractmethod
    def verify(self, root: Path, split: Split = "train") -> None:
        """Returns if the files are there and those of `split` are what they should be. Imports no torch.

        Raises:
            DatasetError: A file is missing or corrupt; names it and says what to do.
        """

    def download(self, root: Path) -> None:
        """Fetches the published files into `root`, where the set has such files.

        Raises:
            DatasetError: There is no network, too little room, or the files are not what was published.
        """

    def build(self, root: Path, split: Split = "train") -> None:
        """Makes what `load` needs made once a machine, such as decoded images; returns soon where nothing is missing.

        Raises:
            DatasetError: As `load`.
        """

    def fingerprint(self, root: Path) -> DataFingerprint:
        """Returns what tells whether the images are still the same. Opens images of both splits at most to read bytes.

        A set that `verify` holds against published checksums is told by its name and classes.

        Raises:
            DatasetError: Files are missing.
        """
        info = self.info(root)
        return DataFingerprint(info.class_names, info.train_images)

    def remarks(self, root: Path) -> list[str]:
        """Returns what a user should know of the files: those left out, and pictures that are there twice."""
        return []

    @abstractmethod
    def load(self, root: Path, split: Split) -> Images:
        """Returns all images of a split. Search asks for "train" only; that opens no file of the test split."""
