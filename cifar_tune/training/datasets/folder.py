"""A folder of class folders with images in them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.cache_folder import cache_folder
from cifar_tune.training.datasets.dataset import Split
from cifar_tune.training.datasets.folder_scan import IMAGE_SUFFIXES, Scan, entries, is_image, is_service, no_image
from cifar_tune.training.datasets.growing import Growing, Pick
from cifar_tune.training.datasets.identity import file_identities
from cifar_tune.training.datasets.names import readable
from cifar_tune.training.datasets.photographs import Listing, files_version

VALIDATION_FOLDERS = ("val", "valid", "validation")


class Parts(NamedTuple):
    """Folders of class folders. test: None where it is drawn from `train`. validation: None where it is drawn."""

    train: Path
    validation: Path | None
    test: Path | None


class Folder(Growing):
    """Your own images: train/<class>/* and test/<class>/* below `path`, or <class>/* with a share kept for the test.

    Where there is a folder val/ beside train/ and test/, it is the validation split. Classes are numbered in the
    alphabetical order of their folders' names. Hidden folders and those that systems make for themselves are left out.
    """

    name: Literal["folder"] = "folder"
    path: Annotated[str, Field(min_length=1)]
    """Absolute, or beside the YAML file, or below the data root; looked for in this order."""

    def listing(self, root: Path, split: Split) -> Listing:
        folder = self._folder(root)
        if self.draw == "position":
            return self._listed_before(root, folder, split)
        parts = parts_of(folder)
        names, scan = class_folders(parts.train), Scan(folder)
        found = {part: _images(scan, part, names) for part in parts if part is not None}
        if split == "test" and parts.test is not None:
            paths, labels = found[parts.test]
            return self.listed(names, picked(paths), labels, str(folder), self._identities(root, folder, "test", paths))
        paths, labels = found[parts.train]
        identities = self._identities(root, folder, "train", paths)
        if parts.test is None:
            return self.drawn(names, picked(paths), labels, str(folder), identities, split)
        validation = None
        if parts.validation is not None:
            more_paths, more_labels = found[parts.validation]
            more = self._identities(root, folder, "validation", more_paths)
            validation = np.repeat([False, True], [len(paths), len(more_paths)])
            paths, labels = [*paths, *more_paths], np.concatenate([labels, more_labels])
            identities = np.concatenate([identities, more])
        return self.listed(names, picked(paths), labels, str(folder), identities, validation)

    def remarks(self, root: Path) -> list[str]:
        folder = self._folder(root)
        if self.draw == "position":
            return super().remarks(root)
        parts, scan = [part for part in parts_of(folder) if part is not None], Scan(folder)
        loose = 0
        for part in parts:
            _images(scan, part, class_names(part))
            loose += sum(is_image(entry.name) for entry in entries(part) if not entry.is_dir())
            scan.service.update(entry.name for entry in entries(part) if entry.is_dir() and is_service(entry.name))
        told = scan.remarks()
        if loose:
            told.append(f"{loose} pictures lie beside the class folders, in none of them, and were left out")
        if unused := [] if folder in parts else sorted({*class_names(folder)} - {part.name for part in parts}):
            told.append(f"beside `train` and `test`, these folders are not used: {', '.join(unused)}")
        return [f"{readable(folder)}: {line}" for line in told] + super().remarks(root)

    def _folder(self, root: Path) -> Path:
        folder = (root / Path(self.path).expanduser()).resolve()
        if not folder.is_dir():
            raise DatasetError(
                f"data set folder: {readable(folder)} is not there; `path` is a folder of class folders: absolute, "
                f"beside the YAML file, or below {readable(root)}"
            )
        return folder

    def _identities(self, root: Path, folder: Path, part: str, paths: list[str]) -> np.ndarray:
        name = hashlib.blake2b(os.fsencode(folder), digest_size=6).hexdigest()
        return file_identities(paths, cache_folder(root) / "identities" / f"folder-{name}-{part}.json")

    def _listed_before(self, root: Path, folder: Path, split: Split) -> Listing:
        """Returns the pictures as version 0.1 listed and drew them."""
        given = has_test_folder(folder)
        top = folder / "train" if given else folder
        names = class_folders(top)
        if given:
            _refuse_unknown_classes(folder / "test", top, names)
            top = folder / split
        paths, labels = every_image(top, names)
        identities = partial(self._identities, root, folder, f"{split if given else 'all'}-by-position", paths)
        if given:
            return Listing(names, paths, labels, str(folder), partial(files_version, paths), identities)
        version: Callable[..., str] = files_version
        return self.drawn_by_position(names, picked(paths), labels, str(folder), version, identities, split)


def picked(paths: list[str]) -> Pick:
    """Returns what gives the paths at some positions."""
    return lambda positions: [paths[position] for position in positions]


def parts_of(folder: Path) -> Parts:
    """Returns which folder holds what.

    Raises:
        DatasetError: There is a folder `train` with class folders in it, but no `test`; or two validation splits.
    """
    if not has_test_folder(folder):
        return Parts(folder, None, None)
    given = [folder / name for name in VALIDATION_FOLDERS if (folder / name).is_dir()]
    if len(given) > 1:
        raise DatasetError(f"{readable(folder)} has both {given[0].name} and {given[1].name}; keep one of them")
    parts = Parts(folder / "train", given[0] if given else None, folder / "test")
    names = class_folders(parts.train)
    for part in parts[1:]:
        if part is not None:
            _refuse_unknown_classes(part, parts.train, names)
    return parts


def has_test_folder(folder: Path) -> bool:
    """Returns whether the images come already split into `train` and `test`.

    Raises:
        DatasetError: There is a folder `train` with class folders in it, but no `test`.
    """
    train = folder / "train"
    if (folder / "test").is_dir() and train.is_dir():
        return True
    if train.is_dir() and any(entry.is_dir() and not is_service(entry.name) for entry in entries(train)):
        raise DatasetError(
            f"{readable(folder)} has a folder `train` of class folders but no `test`: add one (a held-out folder `val` "
            f"serves, renamed), or name {readable(train)} itself as `path`, of which test_fraction is then kept for "
            f"the test"
        )
    return False


def class_names(folder: Path) -> tuple[str, ...]:
    """Returns the names of the sub-folders, sorted; hidden ones and those of the system do not count.

    Raises:
        DatasetError: The name of one is not UTF-8.
    """
    names = [entry.name for entry in entries(folder) if entry.is_dir() and not is_service(entry.name)]
    for name in names:
        if readable(name) != name:
            raise DatasetError(
                f"the name of the folder {readable(folder / name)} is not UTF-8; rename it: it is the name of a class"
            )
    return tuple(names)


def class_folders(folder: Path) -> tuple[str, ...]:
    """Returns the class names of a split. Raises DatasetError as `class_names`, or where there are fewer than two."""
    names = class_names(folder)
    if len(names) < 2:
        found = f"one, {names[0]}" if names else "none"
        raise DatasetError(
            f"{readable(folder)} should hold a folder of images for each of at least two classes, and holds {found}"
        )
    return names


def every_image(folder: Path, names: tuple[str, ...]) -> tuple[list[str], np.ndarray]:
    """Returns the paths and labels of all images below the class folders, as version 0.1 did: hidden folders included.

    Raises:
        DatasetError: A class folder has no image.
    """
    found = [
        sorted(
            os.path.join(parent, file)
            for parent, _, files in os.walk(folder / name, followlinks=True)
            for file in files
            if file.lower().endswith(IMAGE_SUFFIXES) and not file.startswith(".")
        )
        for name in names
    ]
    return _labelled(folder, names, found)


def _refuse_unknown_classes(folder: Path, train: Path, names: tuple[str, ...]) -> None:
    if extra := set(class_names(folder)) - set(names):
        raise DatasetError(f"{readable(folder)} has a class that {readable(train)} lacks: {min(extra)}")


def _images(scan: Scan, part: Path, names: tuple[str, ...]) -> tuple[list[str], np.ndarray]:
    """Returns the paths of all images below the class folders, class by class and sorted, and their labels, (N,) int64.

    Raises:
        DatasetError: A class folder has no image, or a link would count pictures twice.
    """
    scan.enter(str(part))
    found = [scan.images(str(part / name)) if (part / name).is_dir() else [] for name in names]
    return _labelled(part, names, found, scan.remarks())


def _labelled(
    part: Path, names: tuple[str, ...], found: list[list[str]], left_out: Sequence[str] = ()
) -> tuple[list[str], np.ndarray]:
    for name, paths in zip(names, found, strict=True):
        if not paths:
            raise no_image(part / name, left_out)
    labels = np.repeat(np.arange(len(names), dtype=np.int64), [len(paths) for paths in found])
    return list(chain.from_iterable(found)), labels
