"""An image data set from the Hugging Face hub, or one in its formats on disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.cache_folder import cache_folder, keep
from cifar_tune.training.datasets.dataset import Split
from cifar_tune.training.datasets.growing import Growing
from cifar_tune.training.datasets.identity import bytes_identity, read_all
from cifar_tune.training.datasets.image_decoding import EncodedImage
from cifar_tune.training.datasets.photographs import SHOWN, Listing

if TYPE_CHECKING:
    from types import ModuleType

    from datasets import Dataset as Table


SplitName = Annotated[
    str,
    Field(pattern=r"^\w+(\.\w+)*$", json_schema_extra={"form": "the name of one split: letters, digits, `_` and `.`"}),
]
"""One split whole: the library's expressions, such as train+test, could mix what must stay apart."""


class HuggingFace(Growing):
    """Images and labels from two columns; needs the optional package `datasets`."""

    name: Literal["huggingface"] = "huggingface"
    path: Annotated[str, Field(min_length=1)]
    """A folder, absolute or below the data root, or where there is none of that name, owner/name on the hub."""
    subset: str | None = None
    """The configuration, where the set has several."""
    revision: str | None = None
    """A commit or tag on the hub; pin it, and the images cannot change under a sweep."""
    image_column: str = "image"
    label_column: str = "label"
    train_split: SplitName = "train"
    test_split: SplitName | None = "test"
    """null where there is none: then `test_fraction` of every class is kept for the test."""

    @model_validator(mode="after")
    def _test_images_are_not_trained_on(self) -> HuggingFace:
        # "all" is the library's word for every split together.
        if self.train_split in ("all", self.test_split):
            raise ValueError(f"train_split {self.train_split} would train on the test images")
        return self

    def listing(self, root: Path, split: Split) -> Listing:
        library = import_datasets()
        table = self._table(library, root, self.train_split)
        names = class_names(table, self.label_column)
        if split == "test" and self.test_split is not None:
            table = self._table(library, root, self.test_split)
        labels = label_indices(table, self.label_column, names)
        rows = Rows(
            table.cast_column(self.image_column, library.Image(decode=False)),
            self.image_column,
            np.arange(len(labels)),
            name=f"{self.path}, split {table.split}",
        )
        place = f"{self.path} {self.subset} {self.revision} {self.image_column}"
        identities = partial(_identities, root, rows)
        if self.draw == "position":

            def version(_: object) -> str:
                return str(table._fingerprint)

            if self.test_split is None:
                return self.drawn_by_position(names, rows.at, labels, place, version, identities, split)
            return Listing(names, rows, labels, place, lambda: version(None), identities)
        if self.test_split is None:
            return self.drawn(names, rows.at, labels, place, identities(), split)
        return self.listed(names, rows.at, labels, place, identities())

    def remarks(self, root: Path) -> list[str]:
        splits = self._table(import_datasets(), root, self.train_split).info.splits or {}
        unused = [name for name in splits if name not in (self.train_split, self.test_split)]
        told = [f"{self.path}: its splits {', '.join(unused)} are not used"] if unused else []
        return told + super().remarks(root)

    def _table(self, library: ModuleType, root: Path, split: str) -> Table:
        """Returns the rows of one split, memory-mapped by the library; of the other splits it only knows the names.

        Raises:
            DatasetError: The set or the split is not there, cannot be reached, or lacks a column.
        """
        folder = root / Path(self.path).expanduser()
        # Offline, the library takes a bare name for any set it once read from a folder of that name.
        if not folder.exists() and "/" not in self.path:
            raise DatasetError(
                f"data set huggingface: there is no folder {folder.absolute()}; sets on the hub are named owner/name"
            )
        try:
            if (folder / split / "state.json").is_file():
                table = library.load_from_disk(str(folder / split))
            else:
                place = str(folder) if folder.exists() else self.path
                table = library.load_dataset(place, self.subset, split=split, revision=self.revision)
        # The library raises its own and many builtin errors; which ones differs between versions.
        except Exception as error:
            hint = (
                f"; there is no folder {folder.absolute()}, and the hub needs a network" if not folder.exists() else ""
            )
            raise DatasetError(
                f"data set huggingface: cannot load split {split} of {self.path}: {error}{hint}"
            ) from error
        self._check(table)
        return table

    def _check(self, table: Table) -> None:
        for option in ("image_column", "label_column"):
            if (column := getattr(self, option)) not in table.column_names:
                raise DatasetError(
                    f"{self.path} has no column {column}; its columns are {', '.join(table.column_names)} ({option})"
                )
        if self.test_split is not None and table.info.splits and self.test_split not in table.info.splits:
            raise DatasetError(
                f"{self.path} has no split {self.test_split}; its splits are {', '.join(table.info.splits)}. Set "
                f"test_split to one of them, or to null to keep test_fraction of the training images for the test"
            )


class Rows(Sequence[str | EncodedImage]):
    """The encoded images of chosen rows, read when asked for; safe to read from several threads."""

    def __init__(self, table: Table, column: str, positions: np.ndarray, name: str) -> None:
        self.table = table
        self.column = column
        self.positions = positions
        self.name = name

    def __len__(self) -> int:
        return len(self.positions)

    def at(self, positions: np.ndarray) -> Rows:
        """Returns the images at these positions."""
        return Rows(self.table, self.column, self.positions[positions], self.name)

    def identity(self, index: int) -> int:
        """Returns what an image is by its bytes, or where they cannot be read, by where it is said to be."""
        image = self[index]
        if isinstance(image, EncodedImage):
            return bytes_identity(image.content or image.name.encode())
        try:
            return bytes_identity(Path(image).read_bytes())
        except OSError:
            return bytes_identity(os.fsencode(image))

    def __getitem__(self, index: Any) -> Any:
        row = int(self.positions[index])
        image = self.table[row][self.column]
        if image is None:
            return EncodedImage(f"{self.name}, row {row}", b"")
        return image["path"] if image["bytes"] is None else EncodedImage(f"{self.name}, row {row}", image["bytes"])


def _identities(root: Path, rows: Rows) -> np.ndarray:
    """Returns what each image is, (N,) uint64; kept beside the data sets for as long as the table is the same one."""
    path = cache_folder(root) / "identities" / f"huggingface-{rows.table._fingerprint}.npy"
    try:
        found: np.ndarray = np.load(path)
    except (OSError, ValueError):
        found = np.array(read_all(f"reading {rows.name}", range(len(rows)), rows.identity), dtype=np.uint64)
        stream = BytesIO()
        np.save(stream, found)
        keep(path, stream.getvalue())
    return found


def import_datasets() -> ModuleType:
    """Returns the package `datasets`, quiet where there is no terminal.

    Raises:
        DatasetError: It is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise DatasetError(
            "data set huggingface needs the package `datasets`, which is not installed; pip install datasets"
        ) from error
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    library: ModuleType = datasets
    return library


def class_names(table: Table, column: str) -> tuple[str, ...]:
    """Returns the names that the label column carries, else its values in order.

    Raises:
        DatasetError: A row has no label.
    """
    if names := getattr(table.features[column], "names", None):
        return tuple(names)
    return tuple(str(value) for value in sorted(set(_values(table, column))))


def label_indices(table: Table, column: str, names: tuple[str, ...]) -> np.ndarray:
    """Returns the place of every row's label in `names`, (N,) int64.

    Raises:
        DatasetError: A row has no label, or one that is not among the names.
    """
    values = _values(table, column)
    if getattr(table.features[column], "names", None):
        labels = np.array(values, dtype=np.int64)
    else:
        index_of = {name: index for index, name in enumerate(names)}
        labels = np.array([index_of.get(str(value), -1) for value in values], dtype=np.int64)
    if len(unknown := np.flatnonzero((labels < 0) | (labels >= len(names)))):
        row = int(unknown[0])
        raise DatasetError(
            f"row {row} of split {table.split} has label {values[row]}, which is not a class of the training images"
        )
    return labels


def _values(table: Table, column: str) -> list[Any]:
    """Returns the label of every row. Raises DatasetError where a row has none."""
    values = list(table[column][:])
    if missing := [row for row, value in enumerate(values) if value is None]:
        shown = ", ".join(map(str, missing[:SHOWN])) + (", ..." if len(missing) > SHOWN else "")
        raise DatasetError(
            f"{len(missing)} rows of split {table.split} have no label in column {column}: {shown}. Give them one, or "
            f"take them out of the set"
        )
    return values
