"""One axis of a heat map: a parameter's values, or bins of them, in order."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cifar_tune.analysis.naming import label, short_number

MOST_VALUES = 12
"""Numbers with more different values than a heat map can show are binned."""
FEW_VALUES = 4
"""So are numbers with more than this, of which hardly any comes twice: a range was searched, not a list."""
MOST_BINS = 8
LOG_RATIO = 10
"""Values that span at least a decade, and lie evenly rather in the logarithm, are binned in the logarithm."""
UNSET = "not set"


@dataclass(frozen=True)
class Axis:
    """A parameter's values along one side of a heat map.

    places: of each trial along the axis. values: a plain value, a `pd.Interval` or "not set" for each place.
    """

    parameter: str
    places: NDArray[np.int64]
    values: tuple[Any, ...]
    numeric: bool
    log: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The values as people read them."""
        return tuple(_written(value) for value in self.values)

    @property
    def name(self) -> str:
        """The parameter without `trial.`."""
        return label(self.parameter)

    def index(self) -> pd.Index[Any]:
        """The values as the index of a frame."""
        values: pd.Index[Any] = pd.Index(list(self.values), dtype=object, name=self.name)
        return values


def make_axis(values: pd.Series[Any], *, bins: int | None = None) -> Axis:
    """The axis of a parameter's values, one a trial; `values.name` names it.

    bins: how many for a parameter with too many values; by default by the number of trials.
    """
    parameter = str(values.name)
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if numeric and _is_continuous(values):
        return _binned(parameter, values.astype(float), bins or _bin_count(int(values.count())))
    present = values.dropna().astype(object)
    order = sorted(present.unique(), key=None if numeric else str)
    places = {value: place for place, value in enumerate(order)}
    codes = np.array([places.get(value, len(order)) for value in values.astype(object).where(values.notna(), None)])
    unset = (UNSET,) if len(present) < len(values) else ()
    return Axis(parameter, codes.astype(np.int64), (*order, *unset), numeric)


def no_axis(trials: int) -> Axis:
    """The axis of one place, for a heat map of one parameter."""
    return Axis("", np.zeros(trials, np.int64), ("",), numeric=False)


def _is_continuous(values: pd.Series[Any]) -> bool:
    different = values.nunique()
    return different > MOST_VALUES or (different > FEW_VALUES and different > 0.5 * values.count())


def _bin_count(trials: int) -> int:
    return min(MOST_BINS, max(3, round(math.sqrt(trials))))


def _binned(parameter: str, values: pd.Series[float], bins: int) -> Axis:
    known = values.dropna()
    log = lies_in_the_logarithm(known)
    low, high = float(known.min()), float(known.max())
    exact = np.geomspace(low, high, bins + 1) if log else np.linspace(low, high, bins + 1)
    edges = np.array([_rounded(low, -1), *(_rounded(edge, 0) for edge in exact[1:-1]), _rounded(high, 1)])
    if (np.diff(edges) <= 0).any():
        edges = exact
    codes = np.clip(np.searchsorted(edges, values.to_numpy(), side="right") - 1, 0, bins - 1)
    intervals = tuple(pd.Interval(left, right, closed="left") for left, right in itertools.pairwise(edges))
    unset = (UNSET,) if len(known) < len(values) else ()
    codes = np.where(values.isna(), bins, codes)
    return Axis(parameter, codes, (*intervals, *unset), numeric=True, log=log)


def _rounded(number: float, direction: int) -> float:
    """Two digits of a number: the next lower (-1), the nearest (0) or the next higher (1)."""
    nearest = float(f"{number:.2g}")
    if direction * nearest >= direction * number:
        return nearest
    step = 10.0 ** (math.floor(math.log10(abs(nearest or 1))) - 1)
    return float(f"{nearest + direction * step:.2g}")


def lies_in_the_logarithm(values: pd.Series[float]) -> bool:
    """Whether the values span a decade and lie evenly rather in the logarithm."""
    low, high, middle = values.min(), values.max(), values.median()
    if low <= 0 or high < LOG_RATIO * low:
        return False
    return bool(abs(math.log(middle / math.sqrt(low * high))) < abs(math.log(2 * middle / (low + high))))


def _written(value: object) -> str:
    if isinstance(value, pd.Interval):
        return f"{short_number(value.left)}–{short_number(value.right)}"
    return short_number(value)
