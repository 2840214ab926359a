"""What became of one trial, and why: when it was stopped, against whom, and by how much."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence

import pandas as pd

from cifar_tune.analysis.compared import better, compared_at, is_placed, those_that_went_on
from cifar_tune.analysis.naming import metric as known_metric
from cifar_tune.analysis.naming import value_words
from cifar_tune.analysis.rungs import at_rung
from cifar_tune.errors import AnalysisError
from cifar_tune.results.columns import COMPLETED, DIVERGED, FAILED, INTERRUPTED, RUNNING, STOPPED

PAUSED = "; paused"
"""Part of the reason of a stop that may end."""

WHOLE = ("epoch", "rung", "rung_size", "rung_rank", "rung_front", "bracket", "attempts")
"""Columns of whole numbers, which are floats where pandas read them with missing values."""

REPLACED = "; replaced by "
"""Part of the reason of a trial whose place another one took."""


def why(
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    trial_id: str,
    metric: str = "validation_accuracy",
    objectives: Sequence[str] = (),
) -> str:
    """What the tables say of a trial, a sentence a line.

    metric: the sweep's objective, by which its scheduler compared. objectives: where there are several, all of them.

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
        there = at_rung(trials, epochs, row["study"], rung)
        sentences += compared_at(trials, there, epochs, rung, (metric, *objectives))
        if any(mark in str(row["status_reason"]) for mark in (PAUSED, REPLACED)):
            sentences += those_that_went_on(trials, epochs, there, rung, metric)
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
            there = at_rung(trials, epochs, row["study"], spared)
            sentences += compared_at(trials, there, epochs, spared, (metric, *objectives))
            if spared["decision"] == "stop":
                sentences += those_that_went_on(trials, epochs, there, spared, metric)
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
    stop = f"It was to be stopped after epoch {rung['epoch']}: {_place_at(rung)}"
    return f"{stop}. It ran on to show what early stopping costs (`audit_fraction`)."


def _place_at(rung: pd.Series) -> str:
    """`place 3 of the 6 trials that had come there, to the rung at epoch 2`."""
    group = "" if pd.isna(rung["bracket"]) else f" of bracket {rung['bracket']}"
    at = f"the rung at epoch {rung['rung']}{group}"
    if not is_placed(rung):
        return f"{at}; its place there is not recorded"
    return f"place {rung['rung_rank']} of the {rung['rung_size']} trials that had come there, to {at}"


def _ended(row: pd.Series, rung: pd.Series | None) -> str:
    """When and how the trial ended, or that it has not."""
    name, done, whole = row["trial_id"], int(row["epochs_trained"]), row.get("trial.epochs")
    of = "" if whole is None or pd.isna(whole) else f" of {int(whole)}"
    after = f"after epoch {done}{of}" if done else "before its first epoch was done"
    reason = "" if pd.isna(row["status_reason"]) else f": {row['status_reason']}"
    match row["status"]:
        case s if s == STOPPED and rung is not None:
            return f"{name} was stopped {after}: {_place_at(rung)}."
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


def _place(trials: pd.DataFrame, row: pd.Series, metric: str) -> Iterator[str]:
    """How a completed trial ranks."""
    completed = trials.loc[trials["status"] == COMPLETED, metric].dropna()
    if pd.isna(row[metric]):
        return
    place = int(better(completed, float(row[metric]), metric).sum()) + 1
    words, value = metric.replace("_", " "), value_words(metric, float(row[metric]))
    yield f"Its {words} was {value}, place {place} of the {len(completed)} completed trials."


def _passed(own: pd.DataFrame, spared: pd.Series | None = None) -> Iterator[str]:
    """The rungs that the trial passed, at once or after a pause. spared: the one that it did not pass, and ran on."""
    later = own["epoch"] < (own["epoch"].max() if spared is None else spared["epoch"])
    there = own[own["rung"].notna() & (later if spared is not None else (own["decision"] != "stop") | later)]
    parts = [
        f"epoch {one['rung']} ("
        + (f"place {one['rung_rank']} of {one['rung_size']}" if is_placed(one) else "its place is not recorded")
        + (", paused, went on later)" if one["decision"] == "stop" else ")")
        for _, one in there.iterrows()
    ]
    if parts:
        yield f"It passed the rung{'s' if len(parts) > 1 else ''} at {', '.join(parts)}."
