"""Where the data sets lie."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tune.errors import DatasetError

if TYPE_CHECKING:
    from cifar_tune.training.datasets.dataset import Dataset


def data_root(chosen: Path | None = None, remembered: Path | None = None) -> Path:
    """Returns the folder that holds the data sets, absolute.

    It is the one chosen, else the one that results remember, if it is there, else CIFAR_TUNE_DATA, else ./data.
    """
    if chosen is None and remembered is not None and remembered.is_dir():
        return remembered
    return (chosen or Path(os.environ.get("CIFAR_TUNE_DATA") or "data")).expanduser().absolute()


def root_for(
    datasets: Iterable[Dataset], file: Path, chosen: Path | None = None, remembered: Path | None = None
) -> Path:
    """Returns the folder that holds the data sets of a YAML file: the file's own where all of them lie beside it.

    Raises:
        DatasetError: A folder of pictures is neither there nor below the data root; names both places.
    """
    from cifar_tune.training.datasets.folder import Folder

    root, beside = data_root(chosen, remembered), file.expanduser().absolute().parent
    given = list(datasets)
    paths = [Path(str(getattr(one, "path", ""))).expanduser() for one in given]
    if paths and all(path.parts and not path.is_absolute() and (beside / path).is_dir() for path in paths):
        return beside
    for one, path in zip(given, paths, strict=True):
        if isinstance(one, Folder) and not (root / path).is_dir():
            places = dict.fromkeys([str(beside / path), str(root / path)])
            raise DatasetError(
                f"data set folder: {path} is not there: neither {' nor '.join(places)} is a folder. `path` is a folder "
                f"of class folders, absolute, beside the YAML file, or below the data root (--data DIR)"
            )
    return root
