"""A folder of class folders with images in them."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.dataset import Split
from cifar_tune.training.datasets.photographs import Listing, Photographs, files_version
from cifar_tune.training.datasets.split import drawn_split

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""As torchvision's ImageFolder takes them."""


class Folder(Photographs):
    """Your own images: train/<class>/* and test/<class>/* below `path`, or <class>/* with a share kept for the test.

    Classes are numbered in the alphabetical order of their folders' names.
    """

    name: Literal["folder"] = "folder"
    path: Annotated[str, Field(min_length=1)]
    """Absolute, or below the data root."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of every class kept for the test, where there is no folder `test`."""
    test_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Draws that share; apart from `split_seed`, so that the test images stay the same whatever a search varies."""

    def listing(self, root: Path, split: Split) -> Listing:
        folder = (root / Path(self.path).expanduser()).resolve()
        if not folder.is_dir():
            raise DatasetError(
                f"data set folder: {folder} is not there; `path` is a folder of class folders, absolute or below {root}"
            )
        if has_test_folder(folder):
            class_names = class_folders(folder / "train")
            if extra := set(class_folders(folder / "test")) - set(class_names):
                raise DatasetError(f"{folder / 'test'} has a class that {folder / 'train'} lacks: {min(extra)}")
            paths, labels = list_images(folder / split, class_names)
        else:
            class_names = class_folders(folder)
            paths, labels = list_images(folder, class_names)
            chosen = drawn_split(labels, self.test_fraction, self.test_seed, split)
            paths, labels = [paths[position] for position in chosen], labels[chosen]
        return Listing(class_names, paths, labels, str(folder), partial(files_version, paths))


def has_test_folder(folder: Path) -> bool:
    """Returns whether the images come already split into `train` and `test`.

    Raises:
        DatasetError: There is a folder `train` with class folders in it, but no `test`.
    """
    train = folder / "train"
    if (folder / "test").is_dir() and train.is_dir():
        return True
    if train.is_dir() and any(entry.is_dir() for entry in train.iterdir()):
        raise DatasetError(
            f"{folder} has a folder `train` of class folders but no `test`: add one (a held-out folder `val` serves, "
            f"renamed), or name {train} itself as `path`, of which test_fraction is then kept for the test"
        )
    return False


def class_folders(folder: Path) -> tuple[str, ...]:
    """Returns the names of the sub-folders, sorted; hidden ones do not count.

    Raises:
        DatasetError: There are fewer than two.
    """
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    if len(names) < 2:
        found = f"one, {names[0]}" if names else "none"
        raise DatasetError(
            f"{folder} should hold a folder of images for each of at least two classes, and holds {found}"
        )
    return tuple(names)


def list_images(folder: Path, class_names: tuple[str, ...]) -> tuple[list[str], np.ndarray]:
    """Returns the paths of all images below the class folders, class by class and sorted, and their labels, (N,) int64.

    Raises:
        DatasetError: A class folder has no image.
    """
    paths: list[str] = []
    counts = []
    for name in class_names:
        found = sorted(
            os.path.join(parent, file)
            for parent, _, files in os.walk(folder / name, followlinks=True)
            for file in files
            if file.lower().endswith(IMAGE_SUFFIXES) and not file.startswith(".")
        )
        if not found:
            raise DatasetError(f"{folder / name} has no image in it (*{', *'.join(IMAGE_SUFFIXES)})")
        paths += found
        counts.append(len(found))
    return paths, np.repeat(np.arange(len(class_names), dtype=np.int64), counts)
