"""data.json: which pictures results come from and where they were, and whether they are still the same."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cifar_tune.errors import DatasetError
from cifar_tune.layout import DATA_NAME
from cifar_tune.storage.atomic_write import replace_text
from cifar_tune.training.datasets import Dataset, Split
from cifar_tune.training.datasets.fingerprint import DataFingerprint
from cifar_tune.training.datasets.hash_split import split_training

NOT_OF_THE_DATA = ("resolution", "mean", "std", "validation_fraction", "train_size", "split_seed")
"""Options that choose neither the pictures nor which of them are for the test."""


def record_data(folder: Path, datasets: Iterable[Dataset], root: Path) -> None:
    """Writes where the data are, and the fingerprints of those that have none there yet."""
    known = _read(folder).get("datasets", [])
    for dataset in datasets:
        if (key := _key(dataset)) not in [one["dataset"] for one in known]:
            known.append({"dataset": key, **dataset.fingerprint(root).as_json()})
    replace_text(folder / DATA_NAME, json.dumps({"root": str(root), "datasets": known}, indent=1) + "\n")


def recorded_root(folder: Path) -> Path | None:
    """Returns where the data of a results folder were; None where it does not say, as of version 0.1."""
    root = _read(folder).get("root")
    return None if root is None else Path(root)


def recorded_fingerprint(folder: Path, dataset: Dataset) -> DataFingerprint | None:
    """Returns what a results folder says of a data set; None where it says nothing."""
    key = _key(dataset)
    found = next((one for one in _read(folder).get("datasets", []) if one["dataset"] == key), None)
    return None if found is None else DataFingerprint.from_json(found)


def check_same_data(folder: Path, datasets: Iterable[Dataset], root: Path, hint: str) -> None:
    """Returns if the data sets are those that a results folder was begun with, or it does not say with which.

    hint: what else can be done than to bring the pictures back.

    Raises:
        DatasetError: they are others; says what has changed.
    """
    told: dict[str, None] = {}
    for dataset in datasets:
        before = recorded_fingerprint(folder, dataset)
        if before is not None and (changes := before.changes(dataset.fingerprint(root))):
            told[f"{_named(dataset)}: {changes}"] = None
    if told:
        raise DatasetError(
            f"{folder}: its data have changed since it was begun.\n  "
            + "\n  ".join(told)
            + f"\nBring the pictures back as they were, or {hint}"
        )


def check_unseen(folder: Path, dataset: Dataset, root: Path, split: Split | str, *, changed: bool) -> list[str]:
    """Returns what is to be said of the images of a split before a model is scored on them; mostly nothing.

    folder: the results that the model is of. split: `validation` or `test`. changed: whether a changed data set is
    accepted.

    Raises:
        DatasetError: the model was trained on some, which were not of this split then; or the data set has changed.
    """
    before = recorded_fingerprint(folder, dataset)
    if before is None or not before.parts:
        return []
    now = dataset.fingerprint(root)
    changes = before.changes(now)
    trained, validated = _trained_on(before, dataset)
    if split == "test":
        then, images = before.parts["test"][1], now.parts["test"][1]
        seen, what = np.union1d(trained, validated), "trained or validated on"
    else:
        then, images, seen, what = validated, _trained_on(now, dataset)[1], trained, "trained on"
    leaked = int(np.isin(images, np.setdiff1d(seen, then)).sum())
    if changes is None:
        copies = int(np.isin(images, trained).sum())
        return [f"{copies} of the {len(images)} {split} images are byte for byte among the training images"] * bool(
            copies
        )
    told = f"{_named(dataset)} has changed since this model was trained: {changes}."
    counted = f"The model was {what} {leaked or 'none'} of the {len(images)} {split} images"
    if leaked:
        raise DatasetError(
            f"{told}\n{counted}, so that it cannot be scored on them. Bring the pictures back as they were"
        )
    if not changed:
        raise DatasetError(f"{told}\n{counted}. --changed-data scores it on the pictures that are there now")
    return [told, counted]


def _key(dataset: Dataset) -> dict[str, Any]:
    """Returns the options that choose the pictures, and which of them are for the test."""
    return {key: value for key, value in dataset.model_dump(mode="json").items() if key not in NOT_OF_THE_DATA}


def _trained_on(data: DataFingerprint, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns the identities of the pictures that a trial with these options trains on, and is validated on."""
    (labels, identities), given = data.parts["train"], data.parts.get("validation")
    held = None
    if given is not None:
        held = np.repeat([False, True], [len(labels), len(given[0])])
        labels, identities = (np.concatenate(pair) for pair in zip((labels, identities), given, strict=True))
    drawn_by = identities if data.by_content else None
    train, validation = split_training(labels, dataset, drawn_by, held, data.class_names)
    return identities[train], identities[validation]


def _named(dataset: Dataset) -> str:
    path = getattr(dataset, "path", None)
    return f"data set {dataset.name}" + ("" if path is None else f" {path}")


def _read(folder: Path) -> dict[str, Any]:
    """Returns the record of a folder, empty where there is none.

    Raises:
        DatasetError: it is no JSON.
    """
    path = folder / DATA_NAME
    try:
        return dict(json.loads(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{path} cannot be read: {error}. Without it, a change of the pictures goes unnoticed; delete it to go on"
        ) from error
