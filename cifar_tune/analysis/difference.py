"""The difference of two means, with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from cifar_tune.analysis.confirmation import CONFIDENCE, estimate, t_quantile

SINGLE = "n = 1"


@dataclass(frozen=True)
class Difference:
    """low, high: the 95 % interval of the difference, NaN where there is none. interval: how it was made."""

    mean: float
    low: float
    high: float
    interval: str


def difference(one: pd.Series[float], other: pd.Series[float], *, largest: float = math.inf) -> Difference:
    """The mean of `one` minus that of `other`, both by seed.

    largest: amount that a difference can have, 1 for accuracies; the interval ends there.

    Paired over the seeds that both have, where there are two or more, else by Welch over all; without an interval, and
    `n = 1`, where one of them has a single value.
    """
    both = one.index.intersection(other.index)
    if len(both) > 1:
        paired = estimate(one[both] - other[both])
        low, high = max(paired.low, -largest), min(paired.high, largest)
        return Difference(paired.mean, low, high, f"paired t, n = {len(both)}")
    mean = float(one.mean() - other.mean())
    if len(one) < 2 or len(other) < 2:
        return Difference(mean, math.nan, math.nan, SINGLE)
    variances = one.var() / len(one), other.var() / len(other)
    shares = variances[0] ** 2 / (len(one) - 1) + variances[1] ** 2 / (len(other) - 1)
    freedom = sum(variances) ** 2 / shares if shares else len(one) + len(other) - 2
    reach = t_quantile((1 + CONFIDENCE) / 2, freedom) * math.sqrt(sum(variances))
    low, high = max(mean - reach, -largest), min(mean + reach, largest)
    return Difference(mean, low, high, f"Welch t, n = {len(one)} and {len(other)}")
