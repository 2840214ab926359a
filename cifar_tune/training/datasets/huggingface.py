"""An image data set from the Hugging Face hub, or one in its formats on disk."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from cifar_tune.errors import DatasetError
from cifar_tune.training.datasets.dataset import Split
from cifar_tune.training.datasets.image_decoding import EncodedImage
from cifar_tune.training.datasets.photographs import Listing, Photographs
from cifar_tune.training.datasets.split import drawn_split

if TYPE_CHECKING:
    from types import ModuleType

    from datasets import Dataset as Table


SplitName = Annotated[str, Field(pattern=r"^\w+(\.\w+)*$")]
"""One split whole: the library's expressions, such as train+test, could mix what must stay apart."""


class HuggingFace(Photographs):
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
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    test_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Draws that share; apart from `split_seed`, so that the test images stay the same whatever a search varies."""

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
        positions = np.arange(len(labels))
        if self.test_split is None:
            positions = drawn_split(labels, self.test_fraction, self.test_seed, split)
        images = table.cast_column(self.image_column, library.Image(decode=False))
        return Listing(
            class_names=names,
            sources=Rows(images, self.image_column, positions, name=f"{self.path}, split {table.split}"),
            labels=labels[positions],
            place=f"{self.path} {self.subset} {self.revision} {self.image_column}",
            version=lambda: str(table._fingerprint),
        )

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

    def __getitem__(self, index: Any) -> Any:
        row = int(self.positions[index])
        image = self.table[row][self.column]
        if image is None:
            return EncodedImage(f"{self.name}, row {row}", b"")
        return image["path"] if image["bytes"] is None else EncodedImage(f"{self.name}, row {row}", image["bytes"])


def import_datasets() -> ModuleType:
    """Returns the package `datasets`, quiet where there is no terminal.

    Raises:
        DatasetError: It is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise DatasetError(
            "data set huggingface needs the package `datasets`, which is not installed; "
            "pip install 'cifar-tune[huggingface]'"
        ) from error
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    library: ModuleType = datasets
    return library


def class_names(table: Table, column: str) -> tuple[str, ...]:
    """Returns the names that the label column carries, else its values in order."""
    names = getattr(table.features[column], "names", None)
    return tuple(names) if names else tuple(str(value) for value in sorted(set(table[column][:])))


def label_indices(table: Table, column: str, names: tuple[str, ...]) -> np.ndarray:
    """Returns the place of every row's label in `names`, (N,) int64.

    Raises:
        DatasetError: A row has no label, or one that is not among the names.
    """
    values = table[column][:]
    if getattr(table.features[column], "names", None):
        labels = np.array([-1 if value is None else value for value in values], dtype=np.int64)
    else:
        index_of = {name: index for index, name in enumerate(names)}
        labels = np.array([index_of.get(str(value), -1) for value in values], dtype=np.int64)
    if len(unknown := np.flatnonzero((labels < 0) | (labels >= len(names)))):
        row = int(unknown[0])
        raise DatasetError(
            f"row {row} of split {table.split} has label {values[row]}, which is no class of the training images"
        )
    return labels
