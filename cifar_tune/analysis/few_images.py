"""How far few validation images can tell the best trials of a sweep apart."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from cifar_tune.analysis.confirmation import estimate_proportion, images_of, wilson_interval
from cifar_tune.results.image_worth import FEW_IMAGES, image_worth

COUNTED = ("validation_accuracy", "best_validation_accuracy")
"""Metrics that are a share of the validation images."""

ERROR_RATE = 0.05


def few_images(trials: pd.DataFrame, metric: str) -> int | None:
    """Returns the number of validation images; None if there are many, or the metric is not a share of them."""
    images = images_of(trials, "validation") if metric in COUNTED else math.nan
    return int(images) if images < FEW_IMAGES else None


def interval_text(values: pd.Series[float], images: int) -> str:
    """Returns the 95 % interval, in percent, of an accuracy that was measured with one seed or several.

    Args:
        values: Accuracies as fractions, one a seed.
        images: The number of validation images.
    """
    if len(values) == 1:
        low, high = wilson_interval(float(values.iloc[0]), images)
    else:
        found = estimate_proportion(values, images)
        low, high = found.low, found.high
    return f"{100 * low:.1f} to {100 * high:.1f}"


def not_told_apart(values: pd.Series[float], images: int) -> int:
    """Returns how many of the best trials their images cannot tell from the first, the first included.

    If the first is right on d more images than another, then they disagree on at least d images, and McNemar's test
    with Edwards' correction gives at most z = (d - 1) / sqrt(d). Where even that is not significant, one-sided at 5 %
    and corrected for the number of comparisons, nothing is.

    Args:
        values: Accuracies as fractions, the best first, one seed each.
        images: The number of images, the same ones for all.

    Source:
        McNemar (1947), Psychometrika 12:153; Edwards (1948), Psychometrika 13:185; Bonferroni's correction.
    """
    from scipy.special import ndtr

    lead = np.rint((values.iloc[0] - values.to_numpy(float)) * images)
    z = np.where(lead > 0, (lead - 1) / np.sqrt(np.maximum(lead, 1)), -np.inf)
    alike = ndtr(-z) * max(len(values) - 1, 1) >= ERROR_RATE
    return int(np.argmin(alike)) if not alike.all() else len(values)


def few_images_text(trials: pd.DataFrame, ranked: pd.DataFrame, metric: str) -> Iterator[str]:
    """Yields what the reader of a ranking should know where there are few validation images.

    Args:
        trials: The trials that were ranked.
        ranked: Their whole ranking, see `ranking`.
        metric: By which they were ranked.
    """
    images = few_images(trials, metric)
    if images is None:
        return
    yield image_worth(images)
    if len(ranked) > 1 and "n" not in ranked.columns:
        alike = not_told_apart(ranked[metric], images)
        if alike > 1:
            yield f"These images cannot tell the first {alike} of the {len(ranked)} trials apart."
