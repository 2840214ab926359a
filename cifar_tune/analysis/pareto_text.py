"""What a Pareto front says, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from cifar_tune.analysis.naming import title, written
from cifar_tune.analysis.pareto import completed, pareto, reference_point
from cifar_tune.analysis.sweep_file import SweepFile


def pareto_answer(trials: pd.DataFrame, sweep: SweepFile) -> str | None:
    """The front and its ends in a sentence, and what it is worth; None while no trial has completed.

    Raises:
        AnalysisError: no such metric.
    """
    objectives = sweep.objectives
    front, whole = pareto(trials, objectives, sweep=sweep), completed(trials, objectives)
    if front.empty:
        return None
    first, last = front.iloc[0], front.iloc[-1]
    ends = f"it is {_values(first, objectives)}"
    if len(front) > 1:
        ends = f"from {_values(first, objectives)} to {_values(last, objectives)}"
    count = f"{len(front)} of {len(whole)} completed trials {'is' if len(front) == 1 else 'are'} on the Pareto front"
    return f"{count}: {ends}. The validation split chose them, so what they have learnt is optimistic."


def pareto_caption(trials: pd.DataFrame, objectives: Sequence[str]) -> str:
    """What the table of the front means."""
    names = " and ".join([", ".join(map(_short, objectives[:-1])), _short(objectives[-1])])
    whole = len(completed(trials, objectives))
    return f"None of the {whole} completed trials is better in one of {names} and no worse in the others."


def hypervolume_caption(trials: pd.DataFrame, objectives: Sequence[str]) -> str:
    """What the hypervolume is measured from."""
    point = reference_point(trials, objectives)
    where = ", ".join(_value(name, value) for name, value in point.items())
    return (
        "Hypervolume: the share that the front dominates of the box between the best value of each objective and the "
        f"reference point ({where}), which is a tenth of the range beyond the worst."
    )


def _values(row: pd.Series[Any], objectives: Sequence[str]) -> str:
    return f"{row['trial_id']} ({', '.join(_value(name, float(row[name])) for name in objectives)})"


def _value(name: str, value: float) -> str:
    unit = " %" if title(name).endswith("(%)") else " GB" if title(name).endswith("(GB)") else ""
    return f"{_short(name)} {written(name, value)}{unit}"


def _short(name: str) -> str:
    return title(name).split(" (")[0]
