"""Which trials a trial was dominated by at a rung, where several objectives count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from cifar_tune.analysis.naming import value_words
from cifar_tune.analysis.pareto import signed
from cifar_tune.pareto import dominating, first, fronts

MOST_NAMED = 3
"""Trials that a sentence names before it counts the others; each with all its objectives."""


def dominators_at(
    trials: pd.DataFrame, there: pd.DataFrame, epochs: pd.DataFrame, rung: pd.Series, objectives: Sequence[str]
) -> Iterator[str]:
    """On which front the trial was, its values, and who was better in something and worse in nothing; best first.

    there: the epochs that were compared at the rung, as `at_rung` gives them. Where the recorded front does not follow
    from the tables nobody is named.
    """
    front = rung["rung_front"]
    goes_on = "of one front the less crowded trials" if front == 1 else "the first fronts"
    yield f"It was on front {front} of the objectives there; {goes_on} go on."
    if not objectives or not {*objectives} <= {*epochs.columns, *trials.columns}:
        return
    values = values_at_rung(trials, there, epochs, objectives)
    points = signed(values, objectives)
    own = (there["trial_id"].astype(str) == rung["trial_id"]).to_numpy()
    better = dominating(points, points[own][0])
    before = better & (there["rung_size"] < rung["rung_size"]).fillna(False).to_numpy(bool)
    if 1 + max(fronts(points[before]), default=0) != front:
        return
    yield f"Its values: {_with_names(values[own].iloc[0])}."
    count, later = int(before.sum()), int((better & ~before).sum())
    names = there["trial_id"].astype(str)[before]
    best = first(points[before], MOST_NAMED)
    told = [f"{names.iloc[place]} ({_values(values[before].iloc[place])})" for place in best]
    rest = f" and {count - len(told)} more" if count > len(told) else ""
    how = "better in something and worse in nothing"
    if count:
        yield f"{_trials(count)} there, {how}, dominated it: {', '.join(told)}{rest}."
    if later:
        yield f"{_trials(later)} that came to this rung later would have dominated it."


def values_at_rung(
    trials: pd.DataFrame, there: pd.DataFrame, epochs: pd.DataFrame, objectives: Sequence[str]
) -> pd.DataFrame:
    """The objectives of each trial as they stood at the rung; indexed like `there`.

    Seconds of training count up to there, and the least latency until then; what the model costs is known throughout.
    """
    ordered = epochs.sort_values("epoch", kind="stable")
    by_trial = ordered.groupby(ordered["trial_id"].astype(str))
    facts = trials.set_index(trials["trial_id"].astype(str))
    found = {}
    for name in objectives:
        if name == "train_seconds":
            found[name] = by_trial["epoch_seconds"].cumsum().loc[there.index]
        elif name == "latency_seconds":
            found[name] = by_trial[name].cummin().loc[there.index]
        elif name in there.columns:
            found[name] = there[name]
        else:
            found[name] = there["trial_id"].astype(str).map(facts[name])
    return pd.DataFrame(found, index=there.index).astype(float)


def _with_names(values: pd.Series) -> str:
    named = ((str(name), value) for name, value in values.items())
    words = (f"{name.removesuffix('_bytes').replace('_', ' ')} {value_words(name, value)}" for name, value in named)
    return ", ".join(words)


def _values(values: pd.Series) -> str:
    return ", ".join(value_words(str(name), value) for name, value in values.items())


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count} trials"
