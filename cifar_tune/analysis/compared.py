"""What was compared at a rung: how a trial stood there, against whom, and by how much it missed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from cifar_tune.analysis.dominators import dominators_at
from cifar_tune.analysis.naming import UNITS, more_is_better, value_words

MOST_NAMED = 8
"""Trials that a sentence names before it counts the others."""


def is_placed(rung: pd.Series) -> bool:
    """Whether the table knows how many had come to a rung, and the trial's place among them."""
    return bool(rung[["rung_rank", "rung_size"]].notna().all())


def compared_at(
    trials: pd.DataFrame, there: pd.DataFrame, epochs: pd.DataFrame, rung: pd.Series, metrics: Sequence[str]
) -> Iterator[str]:
    """By how much the trial missed the cutoff, who was better, and how it stands among those who came later.

    Of several objectives, on which front it was and who dominated it: no one value was missing. metrics: the one that
    is learnt, and where there are several objectives all of them.
    """
    metric, *objectives = metrics
    if pd.notna(rung["rung_front"]):
        yield from dominators_at(trials, there, epochs, rung, objectives)
        return
    readings = _readings(there, epochs, rung, metric) if is_placed(rung) else iter(())
    found = next((one for one in readings if one.explains(rung)), None)
    value, cutoff = found.value if found else float(rung[metric]), rung["rung_cutoff"]
    its = f"Its {found.own_words if found else ''}{metric.replace('_', ' ')} was {value_words(metric, value)}"
    if pd.isna(cutoff):
        known = is_placed(rung)
        yield f"{its}; {'nobody could go on before more had come' if known else 'what was needed is not recorded'}."
    else:
        missed = f"{_difference(metric, abs(value - cutoff))} short" if value != cutoff else "as much as it had"
        yield f"{its}; {value_words(metric, cutoff)} was needed, {missed}."
    if found is None:
        return
    if len(found.better):
        yield f"Better there{found.other_words}: {_named(found.better, metric, cutoff)}."
    if len(there) > rung["rung_size"]:
        yield f"Of all {len(there)} trials that came to this rung so far it is place {found.place_in_the_end}."


def those_that_went_on(
    trials: pd.DataFrame, epochs: pd.DataFrame, there: pd.DataFrame, rung: pd.Series, metric: str
) -> Iterator[str]:
    """How many went on from a rung where trials pause, and what the last of them had more than the trial."""
    names = there["trial_id"].astype(str)
    last = epochs.groupby(epochs["trial_id"].astype(str))["epoch"].max()
    rungs = epochs[epochs["rung"].notna()]
    last_rung = rungs.groupby(rungs["trial_id"].astype(str))["rung"].max()
    audited = trials["audited"].fillna(False).astype(bool) if "audited" in trials else pd.Series(False, trials.index)
    spared = names.isin(trials.loc[audited, "trial_id"].astype(str)) & (names.map(last_rung) == rung["rung"])
    went_on = _ordered(there[(names.map(last) > there["epoch"]) & ~spared], metric)
    if went_on.empty:
        yield "None of them has gone on so far."
        return
    worst, value = float(went_on[metric].iloc[-1]), float(rung[metric])
    behind = better(went_on[metric].tail(1), value, metric).all()
    missed = (
        f", the last with {value_words(metric, worst)}: {_difference(metric, abs(worst - value))} short"
        if behind
        else ""
    )
    yield f"{len(went_on)} of the {len(there)} that came there went on{missed}."


@dataclass(frozen=True)
class _Reading:
    """What may have been compared at a rung: a value of the trial's own, and one of each other trial.

    others: those that came before it, the best first. later: values of those that came after it.
    """

    value: float
    others: pd.DataFrame
    later: pd.Series
    metric: str
    own_words: str = ""
    other_words: str = ""

    @property
    def better(self) -> pd.DataFrame:
        return self.others[better(self.others[self.metric], self.value, self.metric)]

    @property
    def place_in_the_end(self) -> int:
        return len(self.better) + int(better(self.later, self.value, self.metric).sum()) + 1

    def explains(self, rung: pd.Series) -> bool:
        """Whether the recorded rank follows, of equal values in whatever order."""
        equal = int((self.others[self.metric] == self.value).sum())
        return bool(len(self.better) < rung["rung_rank"] <= len(self.better) + equal + 1)


def _readings(there: pd.DataFrame, epochs: pd.DataFrame, rung: pd.Series, metric: str) -> Iterator[_Reading]:
    """The values at the rung, as in halving; the best so far against the others' averages, as in the median rule."""
    later = there["rung_size"] > rung["rung_size"]
    before = there["rung_size"] < rung["rung_size"]
    cutoff, value = rung["rung_cutoff"], float(rung[metric])
    if pd.isna(cutoff) or cutoff == value or (there[metric] == cutoff).any():
        yield _Reading(value, _ordered(there[before], metric), there.loc[later, metric], metric)
    until = epochs[epochs["epoch"] <= rung["rung"]].groupby(epochs["trial_id"].astype(str))[metric]
    own = until.get_group(rung["trial_id"])
    best = own.max() if more_is_better(metric) else own.min()
    averaged = there.assign(**{metric: there["trial_id"].astype(str).map(until.mean())})
    averages = averaged.loc[later, metric]
    words = ("best ", ", by its average so far")
    yield _Reading(float(best), _ordered(averaged[before], metric), averages, metric, *words)


def _ordered(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    return rows.sort_values(metric, ascending=not more_is_better(metric), kind="stable")


def better(values: pd.Series, value: float, metric: str) -> pd.Series:
    return values > value if more_is_better(metric) else values < value


def _named(better: pd.DataFrame, metric: str, cutoff: object) -> str:
    """The best, and the one at the cutoff: `t0002 55.10 %, t0004 51.00 % (the cutoff)`."""
    at = better[better[metric] == cutoff].head(1)
    shown = better.head(MOST_NAMED)
    if len(at) and at.index[0] not in shown.index:
        shown = pd.concat([better.head(MOST_NAMED - 1), at])
    parts = [
        f"{one['trial_id']} {value_words(metric, one[metric])}{' (the cutoff)' if place in at.index else ''}"
        for place, one in shown.iterrows()
    ]
    return ", ".join(parts) + (f" and {len(better) - len(shown)} more" if len(better) > len(shown) else "")


def _difference(metric: str, value: float) -> str:
    return f"{100 * value:.2f} points" if UNITS.get(metric) == "fraction" else f"{value:.4g}"
