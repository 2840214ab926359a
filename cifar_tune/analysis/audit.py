"""What early stopping costs, from the trials that ran on although a rung would have stopped them.

The final value of a trial that no rung stopped is always seen, that of one that a rung stopped only if it was audited:
so the audited ones count for all of those (inverse probability weights, post-stratified. Source: Horvitz and Thompson
1952, doi:10.1080/01621459.1952.10483446). Trials are compared within their study, as the rungs compare them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cifar_tune.analysis.budget import since_restart, values_at
from cifar_tune.analysis.naming import more_is_better
from cifar_tune.results.columns import COMPLETED, DIVERGED, STOPPED

LEAST_AUDITED = 3
"""Audited trials before anything is estimated; fewer give no interval worth the name."""

NORMAL_95 = 1.6449
"""Both limits of an interval at 5 % each: it holds the truth in 90 of 100 sweeps."""

RELIABLE = 0.7
"""Rank correlation from which on a rung can be trusted: of normal values, the best of 100 trials is then among the best
third at the rung in 97 of 100 sweeps, at 0.5 in 83."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class RungAudit:
    """A rung, judged by the final values.

    arrived, stopped: trials, those counted as stopped that ran on for the audit. audited: of those stopped here or
    later, the ones whose final value is known. trials: all of known final value. correlation: Spearman's, of the value
    at the rung with the final one; low, high: its 90 % interval. good_stopped: of the trials that would have passed by
    their final values, the share stopped here. All NaN where too little is known.
    """

    rung: int
    arrived: int
    stopped: int
    audited: int
    trials: int
    correlation: float = math.nan
    low: float = math.nan
    high: float = math.nan
    good_stopped: float = math.nan

    @property
    def known(self) -> bool:
        """Whether there are enough trials for an estimate."""
        return not math.isnan(self.correlation)

    @property
    def unreliable(self) -> bool:
        """Whether the order here says too little of the final order, beyond what chance explains."""
        return self.known and self.high < RELIABLE


def judge_rung(
    rung: int,
    study: Sequence[str],
    value: Sequence[float],
    final: Sequence[float],
    out: Sequence[bool],
    stopped: Sequence[bool] | None = None,
) -> RungAudit:
    """Returns what the final values say of a rung; one entry a trial that reached it.

    value, final: higher is better; final NaN where it is not known. out: a rung stopped it, here or later, or would
    have. stopped: here; all of `out` by default.
    """
    studies = np.unique(np.asarray(study, str), return_inverse=True)[1]
    values, finals, outs = np.asarray(value, float), np.asarray(final, float), np.asarray(out, bool)
    here = outs if stopped is None else np.asarray(stopped, bool)
    seen = ~np.isnan(finals)
    audited = int((outs & seen).sum())
    counts = RungAudit(rung, len(values), int(here.sum()), audited, int(seen.sum()))
    if audited < LEAST_AUDITED:
        return counts
    weights = _weights(outs, seen)
    groups = studies[seen]
    correlation, low, high = _correlation(groups, values[seen], finals[seen], weights)
    good = _good_stopped(groups, finals[seen], here[seen], weights, studies, here)
    return RungAudit(rung, len(values), int(here.sum()), audited, int(seen.sum()), correlation, low, high, good)


def _weights(out: Bools, seen: Bools) -> Floats:
    """Of the trials seen: each audited one stands for as many as were stopped for every one that was audited."""
    return np.where(out[seen], out.sum() / (out & seen).sum(), 1.0)


def _correlation(study: NDArray[np.intp], value: Floats, final: Floats, weights: Floats) -> tuple[float, float, float]:
    """Spearman's correlation within studies, with its interval; NaN where there is none.

    The interval is Fisher's with the variance of ranks (Fieller, Hartley and Pearson 1957, doi:10.2307/2332878) and
    Kish's effective number of trials, less one for each study after the first.
    """
    one, other = (_centred_ranks(study, numbers, weights) for numbers in (value, final))
    scale = math.sqrt(np.sum(weights * one**2) * np.sum(weights * other**2))
    degrees = float(weights.sum() ** 2 / (weights**2).sum()) - 3 - (len(np.unique(study)) - 1)
    if scale == 0 or degrees <= 0:
        return math.nan, math.nan, math.nan
    correlation = min(1.0, max(-1.0, float(np.sum(weights * one * other)) / scale))
    if abs(correlation) > 1 - 1e-12:
        return correlation, correlation, correlation
    middle, reach = math.atanh(correlation), NORMAL_95 * math.sqrt(1.06 / degrees)
    return correlation, math.tanh(middle - reach), math.tanh(middle + reach)


def _centred_ranks(study: NDArray[np.intp], numbers: Floats, weights: Floats) -> Floats:
    """The weighted middle rank of each number in its study, as a share of the study, less the mean, which is a half."""
    ranks = np.empty(len(numbers))
    for group in np.unique(study):
        inside = study == group
        _, place = np.unique(numbers[inside], return_inverse=True)
        ties = np.bincount(place, weights[inside])
        ranks[inside] = ((np.cumsum(ties) - ties / 2) / ties.sum())[place] - 0.5
    return ranks


def _good_stopped(
    seen_study: NDArray[np.intp],
    final: Floats,
    seen_here: Bools,
    weights: Floats,
    study: NDArray[np.intp],
    here: Bools,
) -> float:
    """The share stopped of those that would have passed: in each study as many as did pass, the best at the end."""
    good = lost = 0.0
    for group in np.unique(seen_study):
        inside = seen_study == group
        order = np.lexsort((seen_here[inside], -final[inside]))
        weight = weights[inside][order]
        passing = (1 - here[study == group].mean()) * weight.sum()
        counted = np.clip(passing - (np.cumsum(weight) - weight), 0, weight)
        good += counted.sum()
        lost += counted[seen_here[inside][order]].sum()
    return float(lost / good) if good > 0 else math.nan


@dataclass(frozen=True)
class StoppingAudit:
    """Every rung, judged. enough: the first epoch whose order can be trusted, where the first rung's cannot."""

    rungs: tuple[RungAudit, ...]
    enough: int | None = None


def stopping_audit(trials: pd.DataFrame, epochs: pd.DataFrame, metric: str) -> StoppingAudit | None:
    """Returns what the audited trials of a sweep show of its rungs; None where there were none to be stopped at."""
    if metric not in epochs.columns or trials["trial_id"].duplicated().any():
        return None
    trials = since_restart(trials)
    epochs = epochs[epochs["trial_id"].astype(str).isin(trials["trial_id"].astype(str))]
    decided = epochs[epochs["rung"].notna() & epochs[metric].notna()]
    if decided.empty:
        return None
    sign = 1 if more_is_better(metric) else -1
    ended = trials.set_index("trial_id")
    status = ended["status"].astype(str)
    out = (status == STOPPED) | ended["audited"].fillna(False).astype(bool)
    final = sign * ended[metric].astype(float).where(status == COMPLETED)
    final = final.mask(status == DIVERGED, -math.inf)
    last_rung = decided.groupby("trial_id", observed=True)["rung"].max()
    judged = []
    for rung in sorted(int(one) for one in decided["rung"].unique()):
        at = decided[decided["rung"] == rung].drop_duplicates("trial_id")
        names = at["trial_id"].astype(str)
        leaving = out[names].to_numpy(bool)
        here = leaving & (last_rung[names] == rung).to_numpy(bool)
        study, value = ended["study"].astype(str)[names].tolist(), (sign * at[metric].astype(float)).tolist()
        judged.append(judge_rung(rung, study, value, final[names].tolist(), leaving.tolist(), here.tolist()))
    first = ended.loc[decided.loc[decided["rung"] == judged[0].rung, "trial_id"].astype(str).tolist()]
    enough = _enough(first, epochs, metric, judged[0], sign) if judged[0].unreliable else None
    return StoppingAudit(tuple(judged), enough)


def _enough(first: pd.DataFrame, epochs: pd.DataFrame, metric: str, judged: RungAudit, sign: int) -> int | None:
    """The first later epoch at which the same trials stand in an order that can be trusted."""
    trials = first.reset_index()
    status = trials["status"].astype(str)
    seen = trials[status == COMPLETED]
    out = seen["audited"].fillna(False).astype(bool).to_numpy()
    weights = np.where(out, judged.stopped / max(1, out.sum()), 1.0)
    study = np.unique(seen["study"].astype(str), return_inverse=True)[1]
    final = sign * seen[metric].to_numpy(float)
    for epoch in range(judged.rung + 1, int(epochs["epoch"].max())):
        value = np.asarray(sign * values_at(seen, epochs, metric, epoch), np.float64)
        if not np.isnan(value).any() and _correlation(study, value, final, weights)[0] >= RELIABLE:
            return epoch
    return None
