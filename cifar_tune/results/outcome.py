"""The columns of a trial that follow from its epochs: last, best, sums and maxima."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cifar_tune.results.epoch_rows import MISSING_INT

Numbers = NDArray[Any]

NEEDED = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "epoch_seconds",
    "images_per_second",
    "latency_seconds",
    "peak_memory_bytes",
)
"""The columns of epochs.parquet that the derived ones follow from."""


def outcomes(lengths: NDArray[np.int64], epochs: Mapping[str, Numbers]) -> dict[str, pa.Array]:
    """Derived columns of trials.parquet, one value a trial.

    lengths: epochs of each trial. epochs: the `NEEDED` columns of `EpochRows.numbers`, trial after trial, in order.
    """
    trained = lengths > 0
    starts = (np.cumsum(lengths) - lengths)[trained]
    rows = np.arange(int(lengths.sum()))
    validation = epochs["validation_accuracy"]
    validated = _last_where(~np.isnan(validation), rows, starts)
    last = starts + lengths[trained] - 1

    best = _reduce(np.fmax, validation, starts)
    is_best = validation == np.repeat(best, lengths[trained])
    best_row = _reduce(np.minimum, np.where(is_best, rows, rows.size), starts)

    accuracy = _at(validation, validated)
    derived = {
        "validation_accuracy": accuracy,
        "best_validation_accuracy": best,
        "best_epoch": _at(epochs["epoch"].astype(float), np.where(best_row < rows.size, best_row, -1)),
        "validation_loss": _at(
            epochs["validation_loss"], _last_where(~np.isnan(epochs["validation_loss"]), rows, starts)
        ),
        "train_accuracy": epochs["train_accuracy"][last],
        "train_loss": epochs["train_loss"][last],
        "generalization_gap": _at(epochs["train_accuracy"], validated) - accuracy,
        "train_seconds": _sum(epochs["epoch_seconds"], starts),
        "images_per_second": _harmonic_mean(epochs["images_per_second"], starts),
        "latency_seconds": _reduce(np.fmin, epochs["latency_seconds"], starts),
        "peak_memory_bytes": _maximum(epochs["peak_memory_bytes"], starts),
    }
    whole = {"best_epoch", "peak_memory_bytes"}
    spread = {name: _spread(values, trained, whole=name in whole) for name, values in derived.items()}
    return {"epochs_trained": pa.array(lengths), **spread}


def _reduce(function: np.ufunc, values: Numbers, starts: Numbers) -> Numbers:
    return function.reduceat(values, starts) if starts.size else values[:0]


def _last_where(condition: Numbers, rows: Numbers, starts: Numbers) -> Numbers:
    """The last row of each trial that meets the condition, -1 where none does."""
    return _reduce(np.maximum, np.where(condition, rows, -1), starts)


def _at(values: Numbers, rows: Numbers) -> Numbers:
    return np.where(rows >= 0, values[rows], np.nan)


def _sum(values: Numbers, starts: Numbers) -> Numbers:
    """The sum of each trial's values, NaN where it has none."""
    known = ~np.isnan(values)
    total = _reduce(np.add, np.where(known, values, 0.0), starts)
    return np.where(_reduce(np.logical_or, known, starts), total, np.nan)


def _harmonic_mean(rates: Numbers, starts: Numbers) -> Numbers:
    """All images over all seconds, every epoch having the same number of images."""
    inverse = 1 / np.where(rates > 0, rates, np.nan)
    epochs = _reduce(np.add, (~np.isnan(inverse)).astype(float), starts)
    return epochs / _sum(inverse, starts)


def _maximum(values: Numbers, starts: Numbers) -> Numbers:
    most = _reduce(np.maximum, values, starts)
    return np.where(most == MISSING_INT, np.nan, most.astype(float))


def _spread(values: Numbers, trained: NDArray[np.bool_], *, whole: bool) -> pa.Array:
    """One value a trial from one value a trained trial; missing where NaN."""
    full = np.full(trained.size, np.nan)
    full[trained] = values
    array = pa.array(full, mask=np.isnan(full))
    return array.cast(pa.int64()) if whole else array
