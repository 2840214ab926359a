"""A sweep on the Ray of a test, without the command around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from cifar_tune.config.load import load_sweep
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.driver import run_trials
from cifar_tune.execution.interruption import Interruption
from cifar_tune.execution.placement.attempt import Attempt
from cifar_tune.execution.trainable import TrialRunner
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.search import Search

Refresh = Callable[[Iterable[Attempt]], None]
Tables = tuple[pd.DataFrame, pd.DataFrame]


def run_sweep(
    text: str,
    results: Path,
    machine: Machine,
    *overrides: str,
    refresh: Refresh = lambda _: None,
    runner: type[TrialRunner] | None = None,
) -> Search:
    """Runs what the text of a sweep file and overrides ask for, and returns the search at its end.

    results: the folder to be made; the file and the data lie beside it.
    """
    file = results.parent / "sweep.yaml"
    file.write_text(text)
    sweep = load_sweep(file, overrides)
    with ResultsStore.create(results, sweep_name=sweep.name) as store, Interruption() as interruption:
        search = Search(sweep, store)
        run_trials(
            search,
            store,
            asked=sweep.resources,
            root=results.parent,
            machine=machine,
            address=None,
            interruption=interruption,
            refresh=refresh,
            runner=runner,
        )
    return search


def tables(results: Path) -> Tables:
    """The trials and the epochs of a sweep, by trial."""
    trials, epochs = (pd.read_parquet(results / f"{name}.parquet") for name in ("trials", "epochs"))
    return trials.set_index("trial_id"), epochs.set_index("trial_id")
