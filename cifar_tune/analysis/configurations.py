"""Configurations that ran with several seeds: what each reaches, and how far that is from what it learnt by heart."""

from __future__ import annotations

import pandas as pd

from cifar_tune.analysis.confirmation import estimate_proportion, images_of
from cifar_tune.analysis.gap import ACCURACY, GAP
from cifar_tune.analysis.parameters import SEEDS, varied_parameters
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.results.columns import COMPLETED, CONFIGURATION_PREFIX

COLUMNS = ("n", ACCURACY, "interval", "train_accuracy", GAP)


def configurations(trials: pd.DataFrame, sweep: SweepFile | None = None) -> pd.DataFrame:
    """One row a configuration, the best first: seeds, means of the accuracies and of the gap, and what varies.

    Completed trials count. interval: 95 % interval of the validation accuracy, in percent; empty for one seed.
    Training accuracy is that of the batches as they were trained on: strong augmentation makes the gap negative.
    """
    completed = trials[(trials["status"] == COMPLETED) & trials[ACCURACY].notna()]
    known = [name for name in completed.columns if name.startswith(CONFIGURATION_PREFIX) and name not in SEEDS]
    varied = varied_parameters(completed, sweep)
    if completed.empty or not known:
        return pd.DataFrame(columns=[*COLUMNS, *varied])
    rows = []
    for _, alike in completed.astype(dict.fromkeys(known, object)).groupby(known, dropna=False, sort=False):
        reached = estimate_proportion(alike[ACCURACY], images_of(alike, "validation"))
        interval = f"{100 * reached.low:.1f} to {100 * reached.high:.1f}" if reached.low >= 0 else ""
        means = alike[["train_accuracy", GAP]].astype(float).mean()
        rows.append((reached.n, reached.mean, interval, *means, *alike[varied].iloc[0]))
    table = pd.DataFrame(rows, columns=[*COLUMNS, *varied])
    return table.sort_values(ACCURACY, ascending=False, kind="stable").reset_index(drop=True)
