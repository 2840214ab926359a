"""What became of one trial, and why: when it was stopped, against whom, and by how much."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cifar_tune.analysis.budget import restarts_of
from cifar_tune.analysis.naming import UNITS, more_is_better
from cifar_tune.analysis.naming import metric as known_metric
from cifar_tune.errors import AnalysisError
from cifar_tune.results.columns import COMPLETED, DIVERGED, FAILED, INTERRUPTED, RUNNING, STOPPED

PAUSED = "; paused"
"""Part of the reason of a stop that may end."""

WHOLE = ("epoch", "rung", "rung_size", "rung_rank", "rung_front", "bracket", "attempts")
"""Columns of whole numbers, which are floats where pandas read them with missing values."""

REPLACED = "; replaced by "
"""Part of the reason of a trial whose place another one took."""

MOST_NAMED = 8
"""Trials that a sentence names before it counts the others."""


def why(trials: pd.DataFrame, epochs: pd.DataFrame, trial_id: str, metric: str = "validation_accuracy") -> str:
    """What the tables say of a trial, a sentence a line.

    metric: the sweep's objective, by which its scheduler compared.

    Raises:
        AnalysisError: no such trial or metric.
    """
    metric = known_metric(trials, metric)
    trials, epochs = (table.astype({name: "Int64" for name in WHOLE if name in table}) for table in (trials, epochs))
    row = _row(trials, trial_id)
    own = epochs[epochs["trial_id"].astype(str) == trial_id].sort_values("epoch")
    rung = _last_stop(own) if row["status"] == STOPPED else None
    sentences = [_ended(row, rung)]
    if rung is not None and metric in epochs.columns:
        there = _at_rung(trials, epochs, row["study"], rung)
        sentences += _comparison(there, epochs, rung, metric)
        if any(mark in str(row["status_reason"]) for mark in (PAUSED, REPLACED)):
            sentences += _of_those_that_went_on(trials, epochs, there, rung, metric)
        if PAUSED in str(row["status_reason"]):
            sentences.append("It paused there: it goes on, or would have, once it is among the best.")
        if REPLACED in str(row["status_reason"]):
            sentences.append(f"When all had come: {row['status_reason']}.")
        return "\n".join([*sentences, *_passed(own)])
    if pd.notna(row.get("restart_of")):
        sentences.append(f"It trained {row['restart_of']} anew, with more epochs.")
    if row["status"] == COMPLETED:
        sentences += _place(trials, row, metric)
    spared = _spared_at(row, own)
    if spared is not None:
        sentences.append(_spared(spared))
        if metric in epochs.columns:
            there = _at_rung(trials, epochs, row["study"], spared)
            sentences += _comparison(there, epochs, spared, metric)
            if spared["decision"] == "stop":
                sentences += _of_those_that_went_on(trials, epochs, there, spared, metric)
    return "\n".join([*sentences, *_passed(own, spared)])


def _row(trials: pd.DataFrame, trial_id: str) -> pd.Series:
    """Raises AnalysisError where there is no such trial."""
    known = trials["trial_id"].astype(str).tolist()
    if trial_id in known:
        return trials.iloc[known.index(trial_id)]
    digits = re.sub(r"\D", "", trial_id)
    alike = [one for one in known if digits and int(re.sub(r"\D", "", one) or -1) == int(digits)]
    near = alike or difflib.get_close_matches(trial_id, known, n=1)
    hint = f"did you mean `{near[0]}`? " if near else ""
    there = f"there are {known[0]} to {known[-1]}" if known else "none has been started yet"
    raise AnalysisError(f"no trial `{trial_id}`; {hint}{there}")


def _last_stop(own: pd.DataFrame) -> pd.Series | None:
    """The epoch at which the trial ended, if it was stopped at a rung."""
    last = own.tail(1)
    if last.empty or last["decision"].iloc[0] != "stop" or pd.isna(last["rung"].iloc[0]):
        return None
    return last.iloc[0]


def _spared_at(row: pd.Series, own: pd.DataFrame) -> pd.Series | None:
    """The epoch after which an audited trial would have been stopped: that of its last rung."""
    rungs = own[own["rung"].notna()]
    audited = "audited" in row and row["audited"] is not pd.NA and bool(row["audited"])
    return rungs.iloc[-1] if audited and len(rungs) else None


def _spared(rung: pd.Series) -> str:
    group = "" if pd.isna(rung["bracket"]) else f" of bracket {rung['bracket']}"
    place = f"place {rung['rung_rank']} of the {rung['rung_size']} trials that had come there"
    stop = f"It was to be stopped after epoch {rung['epoch']}: {place}, to the rung at epoch {rung['rung']}{group}"
    return f"{stop}. It ran on to show what early stopping costs (`audit_fraction`)."


def _ended(row: pd.Series, rung: pd.Series | None) -> str:
    """When and how the trial ended, or that it has not."""
    name, done, whole = row["trial_id"], int(row["epochs_trained"]), row.get("trial.epochs")
    of = "" if whole is None or pd.isna(whole) else f" of {int(whole)}"
    after = f"after epoch {done}{of}" if done else "before its first epoch was done"
    reason = "" if pd.isna(row["status_reason"]) else f": {row['status_reason']}"
    match row["status"]:
        case s if s == STOPPED and rung is not None:
            group = "" if pd.isna(rung["bracket"]) else f" of bracket {rung['bracket']}"
            place = f"place {rung['rung_rank']} of the {rung['rung_size']} trials that had come there"
            return f"{name} was stopped {after}: {place}, to the rung at epoch {rung['rung']}{group}."
        case s if s == STOPPED:
            return f"{name} was stopped {after}{reason}."
        case s if s == COMPLETED:
            return f"{name} completed: it ended {after}{reason}."
        case s if s == DIVERGED:
            return f"{name} diverged {after}{reason}."
        case s if s == FAILED:
            tried = "" if pd.isna(row["attempts"]) else f" (attempt {row['attempts']})"
            return f"{name} failed {after}{tried}{reason or _last_line(row)}."
        case s if s == INTERRUPTED:
            return f"{name} was interrupted {after}{reason}. --resume goes on with it."
        case s if s == RUNNING:
            return f"{name} is running: it stands {after}." if done else f"{name} is running its first epoch."
    return f"{name}: nothing is known but its epochs; it stands {after}."


def _last_line(row: pd.Series) -> str:
    return "" if pd.isna(row["error"]) else f": {str(row['error']).strip().splitlines()[-1]}"


def _at_rung(trials: pd.DataFrame, epochs: pd.DataFrame, study: Any, rung: pd.Series) -> pd.DataFrame:
    """The epochs that were compared at a rung, of the trial's study and bracket, in the order in which they came."""
    own = restarts_of(trials)[(trials["trial_id"].astype(str) == rung["trial_id"]).to_numpy()].iloc[0]
    trials = trials[restarts_of(trials) == own]
    study_of = trials.assign(trial_id=trials["trial_id"].astype(str)).set_index("trial_id")["study"].astype(object)
    at_rung = epochs[(epochs["rung"] == rung["rung"]) & epochs["trial_id"].astype(str).isin(study_of.index)]
    there = at_rung.assign(study=at_rung["trial_id"].astype(str).map(study_of))
    for column, own in (("bracket", rung["bracket"]), ("study", study)):
        missing: bool = pd.isna(own)
        there = there.loc[there[column].isna() if missing else there[column] == own]
    ordered: pd.DataFrame = there.sort_values("rung_size")
    return ordered


def _comparison(there: pd.DataFrame, epochs: pd.DataFrame, rung: pd.Series, metric: str) -> Iterator[str]:
    """By how much the trial missed the cutoff, who was better, and how it stands among those who came later.

    Of several objectives, only on which front it was: no one value was missing.
    """
    if pd.notna(rung["rung_front"]):
        yield f"It was on front {rung['rung_front']} of the objectives there; the first fronts go on."
        return
    found = next((one for one in _readings(there, epochs, rung, metric) if one.explains(rung)), None)
    value, cutoff = found.value if found else float(rung[metric]), rung["rung_cutoff"]
    its = f"Its {found.own_words if found else ''}{metric.replace('_', ' ')} was {_written(metric, value)}"
    if pd.isna(cutoff):
        yield f"{its}; nobody could go on before more had come."
    else:
        missed = f"{_difference(metric, abs(value - cutoff))} short" if value != cutoff else "as much as it had"
        yield f"{its}; {_written(metric, cutoff)} was needed, {missed}."
    if found is None:
        return
    if len(found.better):
        yield f"Better there{found.other_words}: {_named(found.better, metric, cutoff)}."
    if len(there) > rung["rung_size"]:
        yield f"Of all {len(there)} trials that came to this rung so far it is place {found.place_in_the_end}."


def _of_those_that_went_on(
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
    behind = _better(went_on[metric].tail(1), value, metric).all()
    missed = (
        f", the last with {_written(metric, worst)}: {_difference(metric, abs(worst - value))} short" if behind else ""
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
        return self.others[_better(self.others[self.metric], self.value, self.metric)]

    @property
    def place_in_the_end(self) -> int:
        return len(self.better) + int(_better(self.later, self.value, self.metric).sum()) + 1

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


def _better(values: pd.Series, value: float, metric: str) -> pd.Series:
    return values > value if more_is_better(metric) else values < value


def _named(better: pd.DataFrame, metric: str, cutoff: object) -> str:
    """The best, and the one at the cutoff: `t0002 55.10 %, t0004 51.00 % (the cutoff)`."""
    at = better[better[metric] == cutoff].head(1)
    shown = better.head(MOST_NAMED)
    if len(at) and at.index[0] not in shown.index:
        shown = pd.concat([better.head(MOST_NAMED - 1), at])
    parts = [
        f"{one['trial_id']} {_written(metric, one[metric])}{' (the cutoff)' if place in at.index else ''}"
        for place, one in shown.iterrows()
    ]
    return ", ".join(parts) + (f" and {len(better) - len(shown)} more" if len(better) > len(shown) else "")


def _place(trials: pd.DataFrame, row: pd.Series, metric: str) -> Iterator[str]:
    """How a completed trial ranks."""
    completed = trials.loc[trials["status"] == COMPLETED, metric].dropna()
    if pd.isna(row[metric]):
        return
    place = int(_better(completed, float(row[metric]), metric).sum()) + 1
    words, value = metric.replace("_", " "), _written(metric, float(row[metric]))
    yield f"Its {words} was {value}, place {place} of the {len(completed)} completed trials."


def _passed(own: pd.DataFrame, spared: pd.Series | None = None) -> Iterator[str]:
    """The rungs that the trial passed, at once or after a pause. spared: the one that it did not pass, and ran on."""
    later = own["epoch"] < (own["epoch"].max() if spared is None else spared["epoch"])
    there = own[own["rung"].notna() & (later if spared is not None else (own["decision"] != "stop") | later)]
    parts = [
        f"epoch {one['rung']} (place {one['rung_rank']} of {one['rung_size']}"
        + (", paused, went on later)" if one["decision"] == "stop" else ")")
        for _, one in there.iterrows()
    ]
    if parts:
        yield f"It passed the rung{'s' if len(parts) > 1 else ''} at {', '.join(parts)}."


def _written(metric: str, value: float) -> str:
    return f"{100 * value:.2f} %" if UNITS.get(metric) == "fraction" else f"{value:.4g}"


def _difference(metric: str, value: float) -> str:
    return f"{100 * value:.2f} points" if UNITS.get(metric) == "fraction" else f"{value:.4g}"
