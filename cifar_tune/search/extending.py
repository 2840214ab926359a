"""What `--extend` may change of a sweep: more trials, more epochs for the completed ones, other ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cifar_tune.config.rendering import flatten
from cifar_tune.config.samplers import CmaEs
from cifar_tune.config.schedulers import Asha, AshaPromotion, Hyperband, Pbt, default_grace, rungs
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.results.columns import COMPLETED, CONFIGURATION_PREFIX
from cifar_tune.results.store import ResultsStore
from cifar_tune.training.datasets.growing import Growing
from cifar_tune.training.schedules.cosine import Cosine
from cifar_tune.training.schedules.onecycle import OneCycle

OF_ALL_EPOCHS = (OneCycle, Cosine)
"""Schedules whose learning rate follows from the number of epochs: a completed trial cannot go on."""

RANGES = (".float", ".int", ".choice")
"""How the path of a searched parameter's range ends."""


def may_change(path: str, before: SweepConfig, after: SweepConfig, *, restart: bool = False) -> bool:
    """Tells whether an extended sweep may differ here. restart: completed trials are trained anew."""
    if isinstance(after.scheduler, Pbt) and path in ("trials_per_study", "trial.epochs"):
        return False
    if path == "trials_per_study":
        return after.trials_per_study > before.trials_per_study
    if path == "trial.epochs":
        return after.trial.epochs > before.trial.epochs and (restart or not _bound(after))
    if path == "scheduler.grace_epochs":
        return restart or _without_rungs(before)
    return path.startswith("search.") and path.endswith(RANGES) and not isinstance(after.sampler, CmaEs)


def reason_against(path: str, before: SweepConfig, after: SweepConfig, *, restart: bool = False) -> str:
    """Returns why a change that an extended sweep may make elsewhere cannot be made here; empty where there is none.

    restart: completed trials are trained anew.
    """
    if isinstance(after.scheduler, Pbt) and path in ("trials_per_study", "trial.epochs"):
        return " (a population trains side by side, and has come to its end)"
    if path == "trials_per_study":
        return " (it can only become more)"
    if path == "trial.epochs" and after.trial.epochs <= before.trial.epochs:
        return " (--restart trains completed trials anew with more)" if restart else " (it can only become more)"
    if path == "trial.epochs":
        return (
            f" (completed trials cannot go on: {' and '.join(_bound(after))} from the number of epochs; with"
            " --extend --restart they are trained anew, as trials of their own)"
        )
    if path == "scheduler.grace_epochs":
        return " (rungs stay where trials were compared)"
    if path.startswith("search.") and path.endswith(RANGES):
        return " (cmaes has adapted to the old range)"
    return ""


def with_recorded_grace(sweep: SweepConfig, before: SweepConfig, *, extended: bool) -> SweepConfig:
    """Returns the sweep with the grace period that it was begun with, where it has the one that is filled in.

    So it is where it is not written: more epochs or trials then move no rung. Where there was none, as with the few
    trials of a first try, none is moved, and an extended sweep has those of the larger one from now on.
    """
    asked = dict(sweep.scheduler)
    now, then = asked.get("grace_epochs"), dict(before.scheduler).get("grace_epochs")
    filled_in = default_grace(asked, sweep.trial.epochs, sweep.trials_per_study)
    if then is None or now in (None, then) or now != filled_in:
        return sweep
    if extended and _without_rungs(before):
        return sweep
    scheduler = sweep.scheduler.model_copy(update={"grace_epochs": then})
    return sweep.model_copy(update={"scheduler": scheduler})


def with_recorded_draw(sweep: SweepConfig, before: SweepConfig) -> SweepConfig:
    """Returns the sweep with splits drawn as when it was begun, unless it says itself how: images stay there."""
    now, then = sweep.trial.dataset, before.trial.dataset
    if not isinstance(now, Growing) or not isinstance(then, Growing) or "draw" in now.model_fields_set:
        return sweep
    trial = sweep.trial.model_copy(update={"dataset": now.model_copy(update={"draw": then.draw})})
    return sweep.model_copy(update={"trial": trial})


def _without_rungs(sweep: SweepConfig) -> bool:
    """Returns whether no trial was compared with another at a rung, since the first one is at the last epoch."""
    scheduler = sweep.scheduler
    if not isinstance(scheduler, Asha | AshaPromotion):
        return False
    return not rungs(scheduler.grace_epochs, scheduler.reduction_factor, sweep.trial.epochs)


def _bound(sweep: SweepConfig) -> list[str]:
    """Returns what of the sweep follows from the number of epochs, in words."""
    schedules = bound_schedules(sweep)
    told = [f"the learning rate of {', '.join(schedules)} follows"] if schedules else []
    scheduler = sweep.scheduler
    if isinstance(scheduler, Hyperband) or (isinstance(scheduler, Asha) and scheduler.brackets > 1):
        told.append(f"the brackets of {scheduler.name} follow")
    return told


def epochs_are_bound(sweep: SweepConfig) -> bool:
    """Returns whether completed trials cannot go on, should the sweep get more epochs."""
    return bool(_bound(sweep)) or isinstance(sweep.scheduler, Pbt)


def bound_schedules(sweep: SweepConfig) -> list[str]:
    """Returns the names of the sweep's schedules that follow from the number of epochs."""
    schedules = [trial.schedule for trial in sweep.corner_trials()]
    return sorted({schedule.name for schedule in schedules if isinstance(schedule, OF_ALL_EPOCHS)})


def goes_on(row: Mapping[str, Any], epochs: float) -> bool:
    """Tells whether a completed trial was completed when the sweep had fewer epochs. row: of trials.parquet."""
    whole = row["status"] == COMPLETED and row["status_reason"] is None and row["parent"] is None
    return bool(whole and row["epochs_trained"] < epochs)


def record_new_keys(store: ResultsStore, sweep: SweepConfig) -> None:
    """Writes into the rows what keys meant that there were not when their trials began: else they would seem varied."""
    varied = [path.removesuffix(".name") for path in (*sweep.grid, *sweep.search)]
    alike = {
        path: value
        for path, value in flatten(sweep.trial).items()
        if value is not None and not any(f"{path}.".startswith(f"{one}.") for one in varied)
    }
    for trial_id in store.trial_ids():
        row = store.trial(trial_id)
        missing = {path: value for path, value in alike.items() if row.get(f"{CONFIGURATION_PREFIX}{path}") is None}
        if missing:
            store.update_trial(trial_id, configuration=missing)


def record_epochs(store: ResultsStore, epochs: int) -> None:
    """Writes into the rows of the trials that go on how many epochs they are to have."""
    for trial_id in store.trial_ids():
        row = store.trial(trial_id)
        if goes_on(row, epochs) and row["trial.epochs"] != epochs:
            store.update_trial(trial_id, configuration={"epochs": epochs})
