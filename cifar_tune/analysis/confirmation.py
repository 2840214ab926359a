"""What confirmations are worth: means and intervals over fresh seeds, ties with the best, the winner's curse.

The best configuration is chosen by its mean on the validation split, so that its mean on the test split is an unbiased
figure: nothing was chosen by it. Where the validation split was trained on, only the test split is left to choose by.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cifar_tune.analysis.naming import more_is_better
from cifar_tune.analysis.repeats import seed_means
from cifar_tune.results.columns import COMPLETED

CONFIDENCE = 0.95
LOSS = "validation_loss"
ROUNDING = 1e-12
"""Values closer than this are equal: differences of fractions in float64 round to about 1e-16, and a single image of a
billion is worth 1e-9."""


@dataclass(frozen=True)
class Estimate:
    """The mean of n values, their standard deviation, and the interval that holds the true mean with 95 % confidence.

    deviation, low, high: NaN for a single value, and all but n for none. low, high: NaN also where the values are all
    equal and nothing else is known, because a few equal values are not certainty.
    """

    n: int
    mean: float
    deviation: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """p: how probable so large a lead of the best is, if the other is at least as good; NaN where nothing can be said.

    test: `paired t`, `Welch t`, or empty.
    """

    p: float
    test: str


def estimate(values: ArrayLike) -> Estimate:
    """Mean, standard deviation (n - 1) and Student's t interval; missing values are left out."""
    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    n = len(known)
    mean = float(known.mean()) if n else math.nan
    if n < 2:
        return Estimate(n, mean, math.nan, math.nan, math.nan)
    deviation = float(known.std(ddof=1))
    if np.ptp(known) < ROUNDING:
        return Estimate(n, mean, 0.0, math.nan, math.nan)
    reach = t_quantile((1 + CONFIDENCE) / 2, n - 1) * deviation / math.sqrt(n)
    return Estimate(n, mean, deviation, mean - reach, mean + reach)


def estimate_proportion(values: ArrayLike, images: float) -> Estimate:
    """Estimates the accuracy on further images, from its values for several seeds on the same images.

    Two things vary: the seed, with variance s^2/n, and which images were drawn, with variance p(1 - p)/N. Their sum is
    that of a sample of N* = p(1 - p) / (s^2/n + p(1 - p)/N) independent images, and the interval is Wilson's for N*.
    Its quantile is Student's, with the degrees of freedom of Welch and Satterthwaite. It stays inside [0, 1] and never
    has length zero. The images are not counted once a seed, because all seeds see the same ones.

    Args:
        values: Accuracies as fractions, one a seed. Missing ones are left out.
        images: N, how many images each value was measured on. NaN or 0: not known. The interval is then Student's over
            the seeds alone, cut off at 0 and 1.

    Source:
        Wilson (1927), J. Am. Stat. Assoc. 22:209; Brown, Cai and DasGupta (2001), Stat. Sci. 16:101, who recommend it
        for small N; Korn and Graubard (1998), Surv. Methodol. 24:193, for the effective number and Student's quantile.
    """
    found = estimate(values)
    if found.n < 2:
        return found
    if not images > 0:
        return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))
    binomial = found.mean * (1 - found.mean)
    between_seeds, between_images = found.deviation**2 / found.n, binomial / images
    total = between_seeds + between_images
    effective = binomial / total if total > 0 else images
    freedom = (found.n - 1) * (total / between_seeds) ** 2 if between_seeds > 0 else math.inf
    low, high = wilson_interval(found.mean, effective, freedom)
    return replace(found, low=low, high=high)


def images_of(rows: pd.DataFrame, split: str) -> float:
    """Returns how many images of a split the rows were scored on, the fewest if they differ; NaN if that is not known.

    Args:
        rows: Of trials.parquet or confirmations.parquet.
        split: `validation` or `test`.
    """
    counts = rows.get(f"{split}_images")
    return math.nan if counts is None or counts.isna().all() else float(counts.min())


def wilson_interval(share: float, images: float, freedom: float = math.inf) -> tuple[float, float]:
    """Returns Wilson's 95 % interval of a proportion, from the share found among a number of images.

    Args:
        share: In [0, 1].
        images: More than 0; need not be whole.
        freedom: Of Student's quantile. Infinite: that of the normal distribution, as Wilson has it.
    """
    quantile = t_quantile((1 + CONFIDENCE) / 2, freedom)
    shrink = quantile**2 / images
    centre = (share + shrink / 2) / (1 + shrink)
    reach = quantile * math.sqrt(max(share * (1 - share), 0) / images + shrink / (4 * images)) / (1 + shrink)
    return max(0.0, centre - reach), min(1.0, centre + reach)  # the limits are inside but for rounding


def winners_curse(search_value: float, values: ArrayLike, *, accuracy: bool = True) -> Estimate:
    """How far the search's own value flatters a configuration: search value minus the mean over fresh seeds.

    accuracy: more is better, and the mean is between 0 and 1; else they are losses.

    The search's value is one number; the interval is that of the fresh mean. Confirmed on the same validation images,
    it counts the luck of the seed, not that the images may favour the configuration.
    """
    fresh, sign = (estimate_proportion(values, math.nan), 1) if accuracy else (estimate(values), -1)
    low, high = sorted((sign * (search_value - fresh.low), sign * (search_value - fresh.high)))
    return Estimate(fresh.n, sign * (search_value - fresh.mean), fresh.deviation, low, high)


def compare(best: pd.Series[float], other: pd.Series[float], sign: int = 1) -> Comparison:
    """One-sided test of whether `best` is truly better; both are values by seed.

    Paired over the seeds that both have, where there are two or more, else Welch's test.
    """
    best, other = best.dropna(), other.dropna()
    both = best.index.intersection(other.index)
    if len(both) > 1:
        lead = estimate(sign * (best[both] - other[both]))
        return Comparison(_p(lead.mean, lead.deviation**2 / lead.n, lead.n - 1), "paired t")
    if len(best) < 2 or len(other) < 2:
        return Comparison(math.nan, "")
    variances = best.var() / len(best), other.var() / len(other)
    shares = variances[0] ** 2 / (len(best) - 1) + variances[1] ** 2 / (len(other) - 1)
    freedom = sum(variances) ** 2 / shares if shares else len(best) + len(other) - 2
    return Comparison(_p(sign * (best.mean() - other.mean()), sum(variances), freedom), "Welch t")


def rows_of_confirm(confirmations: pd.DataFrame) -> pd.DataFrame:
    """The rows of `confirm`; without those of `evaluate`, which are of the search's own seeds or of chosen epochs."""
    if "retrained" not in confirmations.columns:
        return confirmations
    return confirmations[~confirmations["retrained"].eq(False).fillna(False).astype(bool)]


def confirmed(confirmations: pd.DataFrame, trials: pd.DataFrame, metric: str = "validation_accuracy") -> pd.DataFrame:
    """One row a configuration, the best first, for each sweep and each `trained_on`.

    seeds: how many gave a score; lost: how many did not (diverged, failed, not done yet).
    `<column>_mean, _deviation, _low, _high`: over the seeds, of validation and test accuracy, or of the losses where
    the search went by a loss (`metric`); the intervals of accuracies are those of `estimate_proportion`.
    chosen_by: the column that ranks.
    p, test, tied: see `compare`; p is multiplied by the number of other configurations (Bonferroni), so that those
    tied, the best included, hold the truly best one with 95 % confidence although the best was picked after the fact
    (Gupta 1965, Technometrics 7:225). tied is missing where a single seed allows no test.
    search_value: what the search saw. winners_curse, _low, _high: see `winners_curse`; missing without validation.
    """
    measured = "loss" if metric == LOSS else "accuracy"
    confirmations = rows_of_confirm(confirmations)
    column = f"validation_{measured}"
    by_trial = trials.set_index([trials["sweep"].astype(str), "trial_id"])
    searched = by_trial[column].to_dict() | seed_means(by_trial, [column])[column].to_dict()
    parts = []
    for _, group in confirmations.groupby(["sweep", "trained_on"], observed=True, sort=False):
        scored = group[group["status"].eq(COMPLETED) & group["test_accuracy"].notna()]
        held_out = scored[f"validation_{measured}"].notna().any()
        chosen_by = f"validation_{measured}" if held_out or scored.empty else f"test_{measured}"
        rows = [
            _row(one, scored[scored.index.isin(one.index)], measured, searched) | {"chosen_by": chosen_by}
            for _, one in group.groupby("configuration", observed=True, sort=False)
        ]
        parts.append(_ranked(pd.DataFrame(rows), scored, chosen_by))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _row(one: pd.DataFrame, done: pd.DataFrame, measured: str, searched: Mapping[Any, float]) -> dict[str, object]:
    """A configuration by itself. one: its retrainings; done: those that gave a score."""
    first = one.iloc[0]
    search_value = searched.get((str(first["sweep"]), first["trial_id"]), math.nan)
    curse = winners_curse(search_value, done[f"validation_{measured}"], accuracy=measured == "accuracy")
    return {
        **{name: str(first[name]) for name in ("sweep", "trained_on", "trial_id", "configuration")},
        "seeds": len(done),
        "lost": len(one) - len(done),
        **_estimates(done, measured),
        "search_value": search_value,
        "winners_curse": curse.mean,
        "winners_curse_low": curse.low,
        "winners_curse_high": curse.high,
    }


def _estimates(done: pd.DataFrame, measured: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for split in ("validation", "test"):
        column = f"{split}_{measured}"
        found = (
            estimate_proportion(done[column], images_of(done, split))
            if measured == "accuracy"
            else estimate(done[column])
        )
        values |= {f"{column}_mean": found.mean, f"{column}_deviation": found.deviation}
        values |= {f"{column}_low": found.low, f"{column}_high": found.high}
    if measured != "accuracy":  # a loss is not below 0
        values |= {name: max(value, 0.0) for name, value in values.items() if name.endswith("_low")}
    return values


def _ranked(table: pd.DataFrame, scored: pd.DataFrame, chosen_by: str) -> pd.DataFrame:
    """The configurations in order, each compared with the first."""
    more = more_is_better(chosen_by)
    ordered = table.sort_values(f"{chosen_by}_mean", ascending=not more, na_position="last", kind="stable")
    others = max(int((ordered["seeds"] > 0).sum()) - 1, 1)
    by_seed = {
        str(configuration): values.set_index("seed")[chosen_by]
        for configuration, values in scored.groupby("configuration", observed=True)
    }
    compared = list(_compared(list(ordered["configuration"]), by_seed, 1 if more else -1, others))
    return ordered.assign(
        rank=range(1, len(ordered) + 1),
        p=[one.p for one in compared],
        test=[one.test for one in compared],
        tied=pd.array(
            [
                place == 0 or (None if math.isnan(one.p) else one.p >= 1 - CONFIDENCE)
                for place, one in enumerate(compared)
            ],
            "boolean",
        ),
    )


def _compared(
    configurations: list[str], by_seed: dict[str, pd.Series[float]], sign: int, others: int
) -> Iterator[Comparison]:
    for place, configuration in enumerate(configurations):
        if place == 0 or configuration not in by_seed:
            yield Comparison(math.nan, "")
        else:
            found = compare(by_seed[configurations[0]], by_seed[configuration], sign)
            yield Comparison(min(found.p * others, 1.0), found.test) if found.test else found


def _p(lead: float, variance: float, freedom: float) -> float:
    """The upper tail of Student's t. NaN for a lead without any spread: a few equal values are no certainty."""
    from scipy.special import stdtr

    if variance < ROUNDING**2:
        return math.nan if lead > 0 else 1.0
    return float(stdtr(freedom, -lead / math.sqrt(variance)))


def t_quantile(probability: float, freedom: float) -> float:
    """The value below which Student's t lies with a probability."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))
