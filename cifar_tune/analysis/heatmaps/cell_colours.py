"""Colours of a heat map's cells: viridis, bright where the metric is good."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cifar_tune.analysis.heatmaps.heatmap import Heatmap
from cifar_tune.analysis.naming import more_is_better
from cifar_tune.plotting.theme import SEQUENTIAL


def colour_map(heatmap: Heatmap) -> str:
    """Matplotlib's name of the colours, from the lowest value to the highest."""
    return SEQUENTIAL if more_is_better(heatmap.metric) else f"{SEQUENTIAL}_r"


def value_range(heatmap: Heatmap) -> tuple[float, float]:
    """The finite values at both ends of the colours; apart also where all cells have the same value."""
    return range_of(heatmap.value.to_numpy(float))


def range_of(values: NDArray[np.float64]) -> tuple[float, float]:
    """As `value_range`, of the values of any cells."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return (low - 0.5 * abs(low or 1), high + 0.5 * abs(high or 1)) if low == high else (low, high)
