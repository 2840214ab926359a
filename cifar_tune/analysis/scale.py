"""A parameter's values along a line: numbers evenly or by their logarithm, words side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cifar_tune.analysis.heatmaps.axis import UNSET, lies_in_the_logarithm
from cifar_tune.analysis.naming import label, short_number

MOST_TICKS = 5
LEAST_GAP = 0.11
"""Between two labels of numbers, as a share of the line."""
ROOM_FOR_UNSET = 0.14
"""Share of the line below the numbers, where trials stand that do not have the parameter."""


@dataclass(frozen=True)
class Scale:
    """places: of each trial, in [0, 1]. ticks: places with their labels, in order."""

    parameter: str
    places: NDArray[np.float64]
    ticks: tuple[tuple[float, str], ...]
    numeric: bool
    log: bool = False

    @property
    def name(self) -> str:
        """The parameter without `trial.`."""
        return label(self.parameter)


def make_scale(values: pd.Series[Any]) -> Scale:
    """The scale of a parameter's values, one a trial; `values.name` names it."""
    name = str(values.name)
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values) or values.nunique() < 2:
        return _of_words(name, values)
    log = lies_in_the_logarithm(values.dropna().astype(float))
    numbers = np.asarray(values, np.float64)
    known = np.unique(numbers[~np.isnan(numbers)])
    start = ROOM_FOR_UNSET if np.isnan(numbers).any() else 0.0

    def placed(many: NDArray[np.float64]) -> NDArray[np.float64]:
        low, here, high = (np.log(part) if log else part for part in (known[0], many, known[-1]))
        return np.asarray(start + (1 - start) * (here - low) / (high - low), np.float64)

    between = np.geomspace if log else np.linspace
    even = np.asarray(between(known[0], known[-1], MOST_TICKS), np.float64)
    ticks = known if len(known) <= MOST_TICKS else even
    labels = _apart(
        placed(ticks), [short_number(float(f"{tick:.2g}" if tick not in known else tick)) for tick in ticks]
    )
    unset = ((0.0, UNSET),) if start else ()
    return Scale(name, np.nan_to_num(placed(numbers), nan=0.0), (*unset, *labels), numeric=True, log=log)


def _of_words(name: str, values: pd.Series[Any]) -> Scale:
    words = values.astype(object).where(values.notna(), None)
    different = sorted({word for word in words if word is not None}, key=lambda word: (isinstance(word, str), word))
    order = [*different, *([None] if values.isna().any() else [])]
    along = np.full(len(order), 0.5) if len(order) < 2 else np.linspace(0, 1, len(order))
    places = np.array([along[order.index(word)] for word in words], np.float64)
    labels = (UNSET if word is None else short_number(word) for word in order)
    return Scale(name, places, tuple(zip(map(float, along), labels, strict=True)), numeric=False)


def _apart(places: NDArray[np.float64], labels: list[str]) -> list[tuple[float, str]]:
    """The labels without those that stand too near to the one before them or to the last."""
    kept: list[tuple[float, str]] = []
    for place, text in zip(places.tolist(), labels, strict=True):
        last = place == places[-1]
        if last and kept and place - kept[-1][0] < LEAST_GAP and len(kept) > 1:
            kept.pop()
        if not kept or place - kept[-1][0] >= LEAST_GAP or last:
            kept.append((place, text))
    return kept
