"""Sizes of the feature maps that a ResNet's stem leaves to its stages."""

from __future__ import annotations

import pandas as pd

from cifar_tune.analysis.confirmation import estimate
from cifar_tune.analysis.gap import ACCURACY
from cifar_tune.results.columns import COMPLETED, CONFIGURATION_PREFIX

STEM = ("kernel", "stride", "padding", "maxpool")
COLUMNS = [f"{CONFIGURATION_PREFIX}model.stem.{name}" for name in STEM]
RESOLUTION = f"{CONFIGURATION_PREFIX}dataset.resolution"
STAGES = 4


def map_sizes(resolution: int, kernel: int, stride: int, padding: int, maxpool: bool) -> tuple[int, ...]:
    """Height and width in pixels after each stage of a ResNet.

    Every stage but the first halves them, as the pooling does: 3x3, stride 2, padding 1. Source: Dumoulin and Visin
    2016 (arXiv:1603.07285, relationship 6).
    """
    stem = _after(resolution, kernel, stride, padding)
    sizes = [_after(stem, 3, 2, 1) if maxpool else stem]
    while len(sizes) < STAGES:
        sizes.append(_after(sizes[-1], 3, 2, 1))
    return tuple(sizes)


def stems(trials: pd.DataFrame) -> pd.DataFrame:
    """One row a stem that completed trials have, by stride and padding: its maps, its cost, and what it reaches.

    feature_maps: after each stage. FLOPs are of the narrowest model with the stem. Empty where no model has a stem.
    """
    if not {*COLUMNS, RESOLUTION} <= {*trials.columns}:
        return pd.DataFrame()
    completed = trials[(trials["status"] == COMPLETED) & trials[COLUMNS].notna().all(axis=1)]
    rows = []
    for _, alike in completed.groupby([*COLUMNS, RESOLUTION], sort=False, observed=True):
        kernel, stride, padding, maxpool, resolution = (int(alike[name].iloc[0]) for name in (*COLUMNS, RESOLUTION))
        sizes = map_sizes(resolution, kernel, stride, padding, bool(maxpool))
        reached = estimate(alike[ACCURACY])
        shown = f"{kernel}x{kernel}, stride {stride}, padding {padding}" + (", maxpool" if maxpool else "")
        maps, flops = ", ".join(map(str, sizes)), alike["flops_per_image"].min()
        rows.append((stride, padding, shown, maps, flops, reached.n, reached.mean))
    table = pd.DataFrame(rows, columns=["stride", "padding", "stem", "feature_maps", "flops_per_image", "n", ACCURACY])
    return table.sort_values(["stride", "padding"], kind="stable").drop(columns=["stride", "padding"])


def _after(size: int, kernel: int, stride: int, padding: int) -> int:
    return (size + 2 * padding - kernel) // stride + 1
