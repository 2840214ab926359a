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


def difference(one: pd.Series[float], other: pd.Series[float]) -> Difference:
    """The mean of `one` minus that of `other`, both by seed.

    Paired over the seeds that both have, where there are two or more, else by Welch over all; without an interval, and
    `n = 1`, where one of them has a single value.
    """
    both = one.index.intersection(other.index)
    if len(both) > 1:
        paired = estimate(one[both] - other[both])
        return Difference(paired.mean, paired.low, paired.high, f"paired t, n = {len(both)}")
    mean = float(one.mean() - other.mean())
    if len(one) < 2 or len(other) < 2:
        return Difference(mean, math.nan, math.nan, SINGLE)
    variances = one.var() / len(one), other.var() / len(other)
    shares = variances[0] ** 2 / (len(one) - 1) + variances[1] ** 2 / (len(other) - 1)
    freedom = sum(variances) ** 2 / shares if shares else len(one) + len(other) - 2
    reach = t_quantile((1 + CONFIDENCE) / 2, freedom) * math.sqrt(sum(variances))
    return Difference(mean, mean - reach, mean + reach, f"Welch t, n = {len(one)} and {len(other)}")
