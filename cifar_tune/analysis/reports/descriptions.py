"""A trial in two lines, for where its name alone is shown."""

from __future__ import annotations

import pandas as pd

from cifar_tune.analysis.naming import title, written
from cifar_tune.analysis.parameters import varied_parameters
from cifar_tune.analysis.reports.text_table import configuration_text
from cifar_tune.analysis.sweep_file import SweepFile


def descriptions(trials: pd.DataFrame, metric: str, sweep: SweepFile | None = None) -> dict[str, str]:
    """By trial, how it ended and with what value, and below it the parameters that differ between the trials."""
    parameters = trials[varied_parameters(trials, sweep)]
    name, _, unit = title(metric).partition(" (")
    found = {}
    for place, (trial_id, status, epochs, value) in enumerate(
        trials[["trial_id", "status", "epochs_trained", metric]].itertuples(index=False, name=None)
    ):
        ended = f"{status}, epoch {epochs}"
        outcome = (
            "" if pd.isna(value) else f": {name} {written(metric, float(value))} {unit.removesuffix(')')}".rstrip()
        )
        configuration = configuration_text(parameters.iloc[place]) if parameters.shape[1] else ""
        found[str(trial_id)] = "\n".join(filter(None, [ended + outcome, configuration]))
    return found
