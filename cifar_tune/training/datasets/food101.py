"""Food-101, in the layout in which it was published and torchvision unpacks it."""

from __future__ import annotations

import json
from functools import partial
from itertools import chain
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.checksums import missing_message
from cifar_tune.training.datasets.dataset import Split
from cifar_tune.training.datasets.downloads import Archive, fetch
from cifar_tune.training.datasets.identity import bytes_identity
from cifar_tune.training.datasets.photographs import Listing, Mean, Photographs, Std, files_version


class Food101(Photographs):
    """101,000 photographs of 101 dishes: of each 750 to train on, some of them mislabelled, and 250 for the test.

    Source: L. Bossard, M. Guillaumin, L. Van Gool, Food-101, ECCV 2014.
    """

    folder: ClassVar[str] = "food-101"

    # Source: url and md5 as in torchvision.
    archive: ClassVar[Archive] = Archive(
        "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",
        "85eeb15f3717b99a5da872d97d918f87",
        bytes=5_000_000_000,
        unpacked_bytes=5_100_000_000,
    )

    name: Literal["food101"] = "food101"
    # Measured over 150 training images of each class at 64 px.
    mean: Mean = (0.549, 0.444, 0.341)
    std: Std = (0.261, 0.263, 0.265)

    def verify(self, root: Path, split: Split = "train") -> None:
        for each in ("train", "test"):
            self._list_file(root, each)
        super().verify(root, split)

    def download(self, root: Path) -> None:
        if (root / self.folder).exists():
            raise DatasetError(
                f"{(root / self.folder).absolute()} is there, but not whole; move it away to download the published set"
            )
        fetch(self.name, self.archive, root)

    def listing(self, root: Path, split: Split) -> Listing:
        images_of = _read_list(self._list_file(root, split))
        class_names = tuple(sorted(images_of))
        folder = (root / self.folder / "images").resolve()
        paths = [f"{folder}/{image}.jpg" for name in class_names for image in images_of[name]]
        labels = np.repeat(np.arange(len(class_names)), [len(images_of[name]) for name in class_names])
        listed = list(chain.from_iterable(images_of[name] for name in class_names))
        return Listing(
            class_names,
            paths,
            labels.astype(np.int64),
            str(folder),
            version=partial(files_version, paths),
            identities=lambda: np.array([bytes_identity(image.encode()) for image in listed], dtype=np.uint64),
        )

    def _list_file(self, root: Path, split: Split) -> Path:
        """Returns the file that lists a split, without opening it."""
        folder = root / self.folder
        if not (folder / "images").is_dir():
            raise DatasetError(missing_message(self.name, folder, ["images"], root))
        for suffix in ("json", "txt"):
            if (path := folder / "meta" / f"{split}.{suffix}").is_file():
                return path
        raise DatasetError(missing_message(self.name, folder, [f"meta/{split}.json"], root))


def _read_list(path: Path) -> dict[str, list[str]]:
    """Returns the images ("sushi/1018953") of each class.

    Raises:
        DatasetError: The file is not what Food-101 calls train.json or train.txt.
    """
    images_of: dict[str, list[str]] = {}
    try:
        listed = json.loads(path.read_bytes()) if path.suffix == ".json" else {"": path.read_text().split()}
        for image in chain.from_iterable(listed.values()):
            class_name, _ = image.split("/")
            images_of.setdefault(class_name, []).append(image)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DatasetError(
            f"{path} cannot be read: {error}; it should list images as class/number, as published"
        ) from error
    if not images_of:
        raise DatasetError(f"{path} lists no image")
    return images_of
