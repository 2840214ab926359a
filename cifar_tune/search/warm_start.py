"""Trials of earlier sweeps as observations of a new one, as far as they can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cifar_tune.config.load import load_sweep
from cifar_tune.config.proposals import answers, draw
from cifar_tune.config.rendering import flatten, render
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ConfigError, Problem, ResultsError, StorageError
from cifar_tune.layout import LEDGER_NAME, SWEEP_NAME
from cifar_tune.results.columns import COMPLETED, DIVERGED, STOPPED
from cifar_tune.results.ledger import events
from cifar_tune.results.rows import Rows, replay
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.candidates import proposed_trials
from cifar_tune.search.constraints import PEAK_MEMORY, Unlimited
from cifar_tune.search.measures import Measures
from cifar_tune.search.source import Record
from cifar_tune.search.studies.observations import ENDED
from cifar_tune.search.studies.studies import Study, study_name
from cifar_tune.storage.address import Address, place
from cifar_tune.storage.folders import fetched, named_place
from cifar_tune.storage.replica import replica_folder
from cifar_tune.training.trial import TrialConfig

WARM_START = "warm_start"
"""Kind of the store's notes about earlier trials."""

USABLE = (COMPLETED, STOPPED, DIVERGED)
"""Statuses of trials that tell how good their configuration is."""

MOST_VALUES = 3
"""Values of a differing key that are named."""


@dataclass(frozen=True)
class Earlier:
    """A trial of another sweep, as this one learns from it.

    study: of this sweep. answers: by Optuna's name. epochs, values: its validated epochs and the objectives after them.
    measured: what constraints limit.
    """

    trial_id: str
    study: str
    answers: Mapping[str, Any]
    epochs: Sequence[int]
    values: Sequence[Sequence[float]]
    status: str
    measured: Mapping[str, float]


@dataclass(frozen=True)
class Donor:
    """What one folder gives. left: how many trials are not taken, by reason. differing: values by path, here last."""

    folder: Path | Address
    taken: tuple[Earlier, ...]
    left: Mapping[str, int]
    differing: Mapping[str, Sequence[str]]

    def lines(self) -> Iterator[str]:
        """Yields what is taken and what is not, and how it differs."""
        studies = Counter(one.study for one in self.taken)
        where = ", ".join(f"{count} into study {study}" for study, count in studies.items())
        yield f"{self.folder}: {len(self.taken)} of {len(self.taken) + sum(self.left.values())} trials taken: {where}"
        yield from (f"  not taken: {count}, {reason}" for reason, count in self.left.items())
        for path, (*there, here) in self.differing.items():
            more = ", ..." if len(there) > MOST_VALUES else ""
            yield f"  differing: {path} was {', '.join(there[:MOST_VALUES])}{more}, is {here}"


def read_warm_start(sweep: SweepConfig, limits: Unlimited[TrialConfig], own: Path | None = None) -> tuple[Donor, ...]:
    """Returns what each folder of the sweep's `warm_start` gives. own: the sweep's results folder.

    Raises:
        ConfigError: with one problem for each folder that is not a sweep, has another objective, or gives nothing.
    """
    donors, problems = [], []
    seen: set[Path] = set()
    for index, name in enumerate(sweep.warm_start):
        try:
            earlier = place(name)
            folder = replica_folder(earlier) if isinstance(earlier, Address) else earlier.expanduser()
            if folder.resolve() in seen:
                raise ResultsError(f"{earlier}: stands twice, and its trials count once; keep one")
            seen.add(folder.resolve())
            if own is not None and folder.resolve() == own.resolve():
                raise ResultsError(f"{earlier}: is this sweep's own results folder; --extend adds trials to it")
            with fetched(earlier if isinstance(earlier, Address) else folder) as here:
                donors.append(_donor(sweep, limits, here))
        except (ResultsError, StorageError, ConfigError) as error:
            problems.append(Problem("", None, None, f"warm_start.{index}", str(error)))
    if problems:
        raise ConfigError(problems)
    return tuple(donors)


def note_warm_start(sweep: SweepConfig, store: ResultsStore, limits: Unlimited[TrialConfig]) -> tuple[Donor, ...]:
    """Notes the earlier trials in the store, once: a resumed sweep needs the other folders no more.

    Raises:
        ConfigError: as `read_warm_start`.
    """
    if not sweep.warm_start or next(store.notes(WARM_START), None) is not None:
        return ()
    donors = read_warm_start(sweep, limits, store.folder)
    folders = [{"folder": str(one.folder), "trials": [asdict(trial) for trial in one.taken]} for one in donors]
    store.note(WARM_START, folders=folders)
    return donors


def noted_trials(store: Record) -> Iterator[Earlier]:
    """Yields the earlier trials that a store has noted."""
    for note in store.notes(WARM_START):
        for folder in note["folders"]:
            yield from (Earlier(**trial) for trial in folder["trials"])


def _donor(sweep: SweepConfig, limits: Unlimited[TrialConfig], folder: Path) -> Donor:
    """Raises ResultsError or ConfigError with what is wrong with the folder."""
    if not (folder / LEDGER_NAME).is_file() or not (folder / SWEEP_NAME).is_file():
        raise ResultsError(f"{folder}: is not a results folder of a sweep (it needs {SWEEP_NAME} and {LEDGER_NAME})")
    other = load_sweep(folder / SWEEP_NAME)
    if other.objective != sweep.objective:
        raise ResultsError(
            f"{folder}: its objective is {_named(other)}, here it is {_named(sweep)}; their values cannot be compared"
        )
    rows = replay(events(folder / LEDGER_NAME))
    fitting = _Fitting(sweep, limits)
    for trial_id, trial in proposed_trials(other, events(folder / LEDGER_NAME, kind="note")).items():
        fitting.add(trial_id, trial, rows)
    if not fitting.taken:
        reasons = "; ".join(f"{count} trials: {reason}" for reason, count in fitting.left.items())
        raise ResultsError(f"{folder}: none of its trials can be compared: {reasons or 'it has none'}")
    differing = {path: [*there, fitting.here[path]] for path, there in fitting.differing.items()}
    return Donor(named_place(folder), tuple(fitting.taken), dict(fitting.left), differing)


def _named(sweep: SweepConfig) -> str:
    return ", ".join(f"{one.metric} ({one.mode})" for one in sweep.objectives)


class _Fitting:
    """Sorts trials of another sweep by whether they lie in this one."""

    def __init__(self, sweep: SweepConfig, limits: Unlimited[TrialConfig]) -> None:
        self.taken: list[Earlier] = []
        self.left: Counter[str] = Counter()
        self.differing: dict[str, dict[str, None]] = {}
        self.here: dict[str, str] = {}
        self._sweep = sweep
        self._limits = limits
        self._cells = {self._grid_values(flatten(sweep.trial_with(cell))): cell for cell in sweep.cells()}

    def add(self, trial_id: str, trial: TrialConfig, rows: Rows) -> None:
        """Takes a trial, or counts why not."""
        row = rows.trial(trial_id) if trial_id in rows.trials.places else {"status": None}
        if row["status"] not in USABLE:
            self.left["failed" if row["status"] == "failed" else "not ended"] += 1
            return
        if row["parent"] is not None:
            self.left["began from another trial's weights"] += 1
            return
        flat = flatten(trial)
        cell = self._cells.get(self._grid_values(flat))
        if cell is None:
            self.left[f"outside the grid ({', '.join(self._sweep.grid)})"] += 1
            return
        found = answers(self._sweep.search, trial)
        try:
            values = draw(self._sweep.search, lambda name, _: found[name])
        except KeyError as error:
            self.left[f"{error.args[0]} outside the search space"] += 1
            return
        here = self._sweep.trial_with({**cell, **values})
        if here.dataset != trial.dataset:
            self.left[f"dataset was {render(trial.dataset)}, is {render(here.dataset)}"] += 1
            return
        self._compare(flat, flatten(here))
        self._take(trial_id, study_name(cell), found, rows, self._measured(here, row))

    def _grid_values(self, flat: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
        """What a trial has at the paths of this sweep's grid."""
        return frozenset(
            (path, value)
            for path, value in flat.items()
            if any(f"{path}.".startswith(f"{axis}.") for axis in self._sweep.grid)
        )

    def _compare(self, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
        for path in {**there, **here}:
            if path != "seed" and there.get(path) != here.get(path):
                self.differing.setdefault(path, {})[render(there.get(path))] = None
                self.here[path] = render(here.get(path))

    def _measured(self, trial: TrialConfig, row: Mapping[str, Any]) -> dict[str, float]:
        peak = row["peak_memory_bytes"]
        return {**self._limits.measured(trial), **({} if peak is None else {PEAK_MEMORY: float(peak)})}

    def _take(
        self, trial_id: str, study: str, found: Mapping[str, Any], rows: Rows, measured: Mapping[str, float]
    ) -> None:
        measures, most = Measures(self._sweep.objectives, rows), self._sweep.trial.epochs
        status = rows.trial(trial_id)["status"]
        reached = {
            row["epoch"]: after
            for row in rows.epochs.of_trial(trial_id)
            if (after := measures.after(trial_id, row)) is not None and row["epoch"] <= most
        }
        epochs, values = [*reached], [*reached.values()]
        self.taken.append(Earlier(trial_id, study, found, epochs, values, status, measured))


def teach(study: Study, earlier: Earlier, limits: Unlimited[Any]) -> None:
    """Shows a trial of another sweep to its study."""
    limited = limits.broken(earlier.measured) is not None
    study.learn(
        earlier.answers,
        [*zip(earlier.epochs, earlier.values, strict=True)],
        "infeasible" if limited else ENDED[earlier.status],
        limits.constraint_violations(earlier.measured),
    )
