"""What changes of the baseline do to a metric."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from cifar_tune.analysis.comparable import comparable
from cifar_tune.analysis.difference import difference
from cifar_tune.analysis.naming import label, more_is_better, short_number
from cifar_tune.analysis.parameters import SEEDS
from cifar_tune.errors import AnalysisError
from cifar_tune.results.columns import CONFIGURATION_PREFIX

COLUMNS = ["trial_id", "change", "changes", "n", "value", "difference", "low", "high", "interval"]
UNSET = "not set"


def ablation(
    trials: pd.DataFrame,
    metric: str = "validation_accuracy",
    *,
    baseline: str | None = None,
    epochs: pd.DataFrame | None = None,
    at_epoch: int | None = None,
    most_changes: int | None = None,
) -> pd.DataFrame:
    """One row a configuration, the baseline first, then those with the fewest changes, of these the best first.

    trial_id: its first trial. change: what differs from the baseline. n: seeds. value: mean over them. difference: to
    the baseline's mean, with its 95 % interval `low` to `high`; `interval` says how it was made, or that n = 1.
    baseline: a trial; by default the first marked so that counts.
    at_epoch: compares all trials that reached it, by the epochs table; else completed trials count.

    Raises:
        AnalysisError: no such metric or epoch, or no baseline that counts.
    """
    found = comparable(trials, metric, epochs, at_epoch)
    counted = found.trials.assign(_value=found.values).reset_index(drop=True)
    parameters = [name for name in counted.columns if name.startswith(CONFIGURATION_PREFIX) and name not in SEEDS]
    written = counted[parameters].astype(object).map(_written)
    reference = _baseline(counted, baseline, found.told)
    changed = written.ne(written.iloc[reference])
    of_baseline = _by_seed(counted[~changed.any(axis=1)])
    if most_changes is not None:
        near = changed.sum(axis=1) <= most_changes
        counted, written, changed = counted[near], written[near], changed[near]
    configurations = ["\0".join(row) for row in written.to_numpy().tolist()]
    rows = []
    for _, alike in counted.groupby(configurations, sort=False):
        first = alike.index[0]
        names = [name for name in parameters if changed.loc[first, name]]
        values, name = _by_seed(alike), str(alike["trial_id"].iloc[0])
        change = ", ".join(f"{label(column)}={written.loc[first, column]}" for column in names) or "baseline"
        gained = difference(values, of_baseline, largest=1.0 if "accuracy" in found.metric else math.inf)
        figures = (gained.mean, gained.low, gained.high, gained.interval) if names else (0.0, None, None, "")
        rows.append((name, change, len(names), len(values), float(values.mean()), *figures))
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"low": float, "high": float})
    best_first = table["value"].rank(ascending=not more_is_better(found.metric))
    return (
        table.assign(_rank=best_first).sort_values(["changes", "_rank"], kind="stable")[COLUMNS].reset_index(drop=True)
    )


def _baseline(counted: pd.DataFrame, name: str | None, told: str) -> int:
    """The place of the baseline's row."""
    if name is not None:
        rows = counted.index[counted["trial_id"].astype(str) == name]
        what = f"trial `{name}`"
    else:
        marked = counted["baseline"] if "baseline" in counted.columns else pd.Series(False, counted.index)
        rows, what = counted.index[marked.astype("boolean").fillna(False).astype(bool)], "trial marked as baseline"
    if rows.empty:
        raise AnalysisError(f"no {what} to compare with ({told}); name one that counts")
    return int(rows[0])


def _by_seed(group: pd.DataFrame) -> pd.Series[float]:
    seeds = next((name for name in ("seed", *SEEDS) if name in group.columns), None)
    return group["_value"] if seeds is None else group.groupby(seeds, observed=True, dropna=False)["_value"].mean()


def _written(value: Any) -> str:
    return UNSET if pd.isna(value) else short_number(value)
