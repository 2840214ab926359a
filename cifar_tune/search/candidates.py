"""Which configurations of a sweep are retrained, and with which seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cifar_tune.config.rendering import render
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ConfigError, Problem
from cifar_tune.pareto import first, non_dominated
from cifar_tune.results.columns import TRAIN, TRAIN_AND_VALIDATION
from cifar_tune.search.proposal import PROPOSED
from cifar_tune.search.restarts import RESTARTED, Budgets
from cifar_tune.search.studies.studies import study_name
from cifar_tune.training.reproducibility import ComputeEnvironment
from cifar_tune.training.trial import TrialConfig

if TYPE_CHECKING:
    import pandas as pd

FIRST_SEED = 1_000_000
"""Above the sweep's own. The seeds of a search count up from there, one for each repetition of a configuration."""


@dataclass(frozen=True)
class Retraining:
    """A configuration of the search with a fresh seed. source: its trial of the search. place: its rank among all.

    environment: in which its trial of the search was computed, if the table says.
    """

    source: str
    place: int
    configuration: str
    trained_on: str
    trial: TrialConfig
    environment: ComputeEnvironment | None = None

    @property
    def key(self) -> tuple[str, int, str]:
        """What is retrained and scored once only."""
        return self.configuration, self.trial.seed, self.trained_on


def proposed_trials(sweep: SweepConfig, events: Iterable[Mapping[str, Any]]) -> dict[str, TrialConfig]:
    """Returns every trial that a search has started, by its id, as it was before a restart too.

    events: of the ledger, those of the event `note` at least, oldest first.
    """
    notes: dict[str, list[Mapping[str, Any]]] = {PROPOSED: [], RESTARTED: []}
    for event in events:
        if event["event"] == "note" and event["kind"] in notes:
            notes[event["kind"]].append(event["payload"])
    cells = {study_name(cell): cell for cell in sweep.cells()}
    started = [note for note in notes[PROPOSED] if note["seed"] is not None]
    budgets = Budgets(notes[RESTARTED], sweep.trial.epochs)
    return {
        f"t{number + 1:04}": sweep.trial_with(
            {"epochs": budgets.of(number), **cells[note["study"]], **note["values"]}, note["seed"]
        )
        for number, note in enumerate(started)
    }


def best_configurations(
    ranked: Sequence[str], trials: Mapping[str, TrialConfig], *, top: int, cell_of: Mapping[str, str] | None = None
) -> list[str]:
    """Returns the first trial of each of the `top` best configurations; where cells are given, `top` of each cell.

    ranked: trials, the best first. A configuration that was trained with several seeds counts once.
    """
    chosen: list[str] = []
    known: set[str] = set()
    taken: Counter[str] = Counter()
    for trial_id in ranked:
        configuration = configuration_text(trials[trial_id])
        cell = "" if cell_of is None else cell_of[trial_id]
        if configuration not in known and taken[cell] < top:
            chosen.append(trial_id)
            known.add(configuration)
            taken[cell] += 1
    return chosen


def along_the_front(values: pd.DataFrame) -> list[str]:
    """Returns the trials that no other is better than in all objectives: the ends of the front, then the less crowded.

    values: of each objective, by trial; more is better.
    """
    measured = values.dropna()
    points = measured.to_numpy(float)
    return list(measured.index[first(points, int(non_dominated(points).sum()))])


def retrainings(
    ranked: Sequence[str],
    chosen: Sequence[str],
    trials: Mapping[str, TrialConfig],
    *,
    seeds: int,
    trained_on: str,
    environments: Mapping[str, ComputeEnvironment | None] | None = None,
) -> list[Retraining]:
    """Returns every chosen configuration with every fresh seed, one seed after the other.

    All configurations get the same seeds, which no trial of the search had. environments: of the trials, where known.

    Raises:
        ConfigError: a trial stops early, and there is to be no validation split to stop by.
    """
    fresh = fresh_seeds({trial.seed for trial in trials.values()}, seeds)
    return [
        Retraining(
            source=trial_id,
            place=1 + ranked.index(trial_id),
            configuration=configuration_text(trials[trial_id]),
            trained_on=trained_on,
            trial=_retrained(trial_id, trials[trial_id], seed, trained_on),
            environment=(environments or {}).get(trial_id),
        )
        for seed in fresh
        for trial_id in chosen
    ]


def fresh_seeds(used: set[int], count: int) -> list[int]:
    """Returns seeds that were not used, the same ones whenever the search has the same first seed."""
    lowest = min(used) + FIRST_SEED
    candidates = range(lowest, lowest + count + len(used))
    return [seed for seed in candidates if seed not in used][:count]


def configuration_text(trial: TrialConfig) -> str:
    """Returns everything of a trial but its seed, as text without defaults, so that new options change nothing."""
    return render(trial.model_copy(update={"seed": 0}))


def _retrained(trial_id: str, trial: TrialConfig, seed: int, trained_on: str) -> TrialConfig:
    if trained_on == TRAIN:
        return trial.model_copy(update={"seed": seed})
    assert trained_on == TRAIN_AND_VALIDATION
    if trial.early_stopping is not None:
        message = (
            f"{trial_id} stops early, by its validation accuracy; without a validation split there is nothing to stop"
            " by. Leave out --validation train"
        )
        raise ConfigError([Problem("", None, None, "trial.early_stopping", message)])
    everything = trial.dataset.model_copy(update={"validation_fraction": 0.0})
    return trial.model_copy(update={"seed": seed, "dataset": everything})
