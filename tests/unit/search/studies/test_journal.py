"""`optuna.journal`, read by Optuna itself."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from cifar_tune.config.objective import Objective
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.layout import JOURNAL_NAME
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.constraints import limits_of
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.search import Search
from cifar_tune.search.studies.journal import Journal
from cifar_tune.training.metrics import EpochMetrics

EPOCHS = 9
STUDIES = ["loss.label_smoothing=0.0", "loss.label_smoothing=0.1"]
EPOCH = EpochMetrics(1, 1.0, 0.5, 0.5, 0.5, 0.1, 1.0, 100.0, 10)


def sweep_of(**changes: Any) -> SweepConfig:
    values: dict[str, Any] = {
        "name": "digits",
        "trial": {
            "dataset": {"name": "digits"},
            "model": {"name": "resnet18", "width": 4},
            "optimizer": {"name": "sgd", "lr": 0.1},
            "batch_size": 64,
            "epochs": EPOCHS,
        },
        "grid": {"loss.label_smoothing": [0.0, 0.1]},
        "search": {
            "optimizer.lr": {"float": [0.001, 1.0], "log": True},
            "batch_size": {"int": [32, 128], "step": 32},
            "ema": {"choice": [None, {"decay": 0.9}]},
        },
        "scheduler": {"name": "asha", "grace_epochs": 1, "reduction_factor": 3},
        "trials_per_study": 8,
    }
    return SweepConfig.model_validate(values | changes)


def search_of(folder: Path, store: ResultsStore, **changes: Any) -> Search:
    sweep = sweep_of(**changes)
    return Search(sweep, store, limits_of(sweep, Path()), Journal(folder / JOURNAL_NAME))


def accuracy(proposal: Proposal, epoch: int) -> float:
    return math.exp(-abs(math.log(proposal.trial.optimizer.lr / 0.05)) / 3) * epoch / (epoch + 1)


def train(search: Search, proposal: Proposal, number: int) -> None:
    """Every fifth trial diverges, another fifth fails."""
    for epoch in range(1, EPOCHS + 1):
        value = accuracy(proposal, epoch)
        decision = search.report(proposal.trial_id, replace(EPOCH, epoch=epoch, validation_accuracy=value))
        if number % 5 > 2:
            search.end(proposal.trial_id, "diverged" if number % 5 == 3 else "failed", "so it is")
            return
        if decision.action == "stop":
            search.end(proposal.trial_id, "stopped", decision.reason)
            return
    search.end(proposal.trial_id, "completed")


def run(search: Search, start: int = 0) -> Iterator[Proposal]:
    number = start
    while (proposal := search.propose()) is not None:
        train(search, proposal, number)
        number += 1
        yield proposal


def run_pausing(search: Search) -> Iterator[Proposal]:
    """Trains one trial after the other to its next pause; yields each whenever it pauses or ends."""
    while (proposal := search.propose()) is not None:
        for epoch in range(1 if proposal.parent is None else proposal.parent.epoch + 1, EPOCHS + 1):
            value = accuracy(proposal, epoch)
            decision = search.report(proposal.trial_id, replace(EPOCH, epoch=epoch, validation_accuracy=value))
            if decision.action == "stop":
                search.end(proposal.trial_id, "stopped", decision.reason)
                break
        else:
            search.end(proposal.trial_id, "completed")
        yield proposal


def load(folder: Path, name: str = STUDIES[0]) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL_NAME)))
    return optuna.load_study(study_name=name, storage=storage)


def facts(folder: Path) -> list[tuple[Any, ...]]:
    """All that the journal says, but when."""
    return [
        (one.user_attrs, one.state, one.values, one.params, one.distributions, one.intermediate_values)
        for name in STUDIES
        for one in load(folder, name).trials
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("journal") / "x"
    with ResultsStore.create(folder, sweep_name="digits") as store:
        list(run(search_of(folder, store)))
    return folder


def test_every_trial_is_there_in_its_true_state_with_its_values_by_epoch(finished: Path) -> None:
    states = {
        "completed": TrialState.COMPLETE,
        "stopped": TrialState.PRUNED,
        "diverged": TrialState.FAIL,
        "failed": TrialState.FAIL,
    }
    trials: dict[str, FrozenTrial] = {
        one.user_attrs["trial_id"]: one for name in STUDIES for one in load(finished, name).trials
    }
    with ResultsStore.open(finished) as store:
        assert sorted(trials) == store.trial_ids()
        seen = set()
        for trial_id, trial in trials.items():
            row = store.trial(trial_id)
            curve = {epoch["epoch"]: epoch["validation_accuracy"] for epoch in store.epochs(trial_id)}
            assert trial.state == states[row["status"]]
            assert trial.intermediate_values == curve
            assert trial.params["optimizer.lr"] == row["trial.optimizer.lr"]
            assert trial.params["batch_size"] == row["trial.batch_size"]
            assert trial.value == (None if trial.state == TrialState.FAIL else curve[max(curve)])
            seen.add(row["status"])
        assert seen == set(states)


def test_optunas_own_plots_and_importances_work_and_only_whole_trials_count(finished: Path) -> None:
    study = load(finished)
    assert study.metric_names == ["validation_accuracy"]
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert study.best_trial.state == TrialState.COMPLETE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = optuna.visualization.matplotlib.plot_intermediate_values(study)
        optuna.visualization.matplotlib.plot_optimization_history(study)
        optuna.visualization.matplotlib.plot_parallel_coordinate(study)
        importances = optuna.importance.get_param_importances(study)
    drawn = [one for one in study.trials if one.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(axes.get_lines()) == len(drawn)
    assert set(importances) == {"optimizer.lr", "batch_size", "ema"}


def test_it_can_be_read_while_the_sweep_runs(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        search = search_of(tmp_path / "x", store)
        first = search.propose()
        assert first is not None
        study = load(tmp_path / "x")
        for epoch in (1, 2):
            search.report(first.trial_id, replace(EPOCH, epoch=epoch, validation_accuracy=epoch / 10))
            (trial,) = study.trials
            assert (trial.state, trial.intermediate_values[epoch]) == (TrialState.RUNNING, epoch / 10)


@pytest.mark.parametrize("cut", [0, 1, 300, 0.3, 0.5, 0.85, 0.999, 1.0])
def test_after_a_kill_at_any_byte_it_is_caught_up_and_doubles_nothing(
    finished: Path, tmp_path: Path, cut: float
) -> None:
    whole = (finished / JOURNAL_NAME).read_bytes()
    torn = whole[: cut if isinstance(cut, int) else int(cut * len(whole))]
    with ResultsStore.open(finished) as store:
        (tmp_path / JOURNAL_NAME).write_bytes(torn)
        search_of(tmp_path, store)
    assert facts(tmp_path) == facts(finished)


@pytest.mark.parametrize("damage", [None, b"\x00\xff\n", b"[]\n", b'{"op_code": 99}\n{"no": 1}\n'])
def test_deleted_or_damaged_it_is_written_anew(finished: Path, tmp_path: Path, damage: bytes | None) -> None:
    with ResultsStore.open(finished) as store:
        if damage is not None:
            (tmp_path / JOURNAL_NAME).write_bytes(damage)
        search_of(tmp_path, store)
    assert facts(tmp_path) == facts(finished)


def test_a_resumed_sweep_goes_on_in_the_same_journal(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    with ResultsStore.create(folder, sweep_name="digits") as store:
        search = search_of(folder, store)
        for number in range(5):
            proposal = search.propose()
            assert proposal is not None
            train(search, proposal, number)
        proposal = search.propose()
        assert proposal is not None
        search.report(proposal.trial_id, replace(EPOCH, validation_accuracy=accuracy(proposal, 1)))
    before = (folder / JOURNAL_NAME).read_bytes()
    with ResultsStore.open(folder) as store:
        search = search_of(folder, store)
        for proposal in search.unfinished():
            train(search, proposal, 5)
        list(run(search, start=6))
    assert (folder / JOURNAL_NAME).read_bytes().startswith(before)
    assert facts(folder) == facts(finished)


def test_a_report_costs_one_line(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        search = search_of(tmp_path / "x", store)
        proposal = search.propose()
        assert proposal is not None
        lines = len((tmp_path / "x" / JOURNAL_NAME).read_bytes().splitlines())
        for again in range(2):
            search.report(proposal.trial_id, EPOCH)
            assert len((tmp_path / "x" / JOURNAL_NAME).read_bytes().splitlines()) == lines + 1, again


def test_a_value_that_a_kill_kept_from_the_ledger_is_replaced(tmp_path: Path) -> None:
    journal = Journal(tmp_path / JOURNAL_NAME)
    journal.add_study(STUDIES[0], [Objective()])
    journal.begin(STUDIES[0], "t0001", {}, {}, {})
    journal.report("t0001", 1, 0.5)
    again = Journal(tmp_path / JOURNAL_NAME)
    again.report("t0001", 1, 0.25)
    assert load(tmp_path).trials[0].intermediate_values == {1: 0.25}


def test_a_trial_that_is_trained_on_after_its_end_is_open_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / JOURNAL_NAME)
    journal.add_study(STUDIES[0], [Objective(metric="validation_loss", mode="min")])
    for trial_id in ("t0001", "t0002"):
        journal.begin(STUDIES[0], trial_id, {}, {}, {})
        journal.report(trial_id, 1, 0.5)
        journal.end(trial_id, "stopped", {})
    journal.report("t0001", 2, 0.4)
    first, second = load(tmp_path).trials
    assert (first.state, second.state) == (TrialState.RUNNING, TrialState.PRUNED)
    journal.end("t0001", "completed", {})
    assert load(tmp_path).best_value == 0.4
    assert load(tmp_path).direction == optuna.study.StudyDirection.MINIMIZE


def test_trials_that_break_a_constraint_are_known_as_infeasible(tmp_path: Path) -> None:
    changes = {"constraints": {"peak_memory_bytes": {"max": 100}}, "grid": {}}
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        search = search_of(tmp_path / "x", store, **changes)
        proposal = search.propose()
        assert proposal is not None
        decision = search.report(proposal.trial_id, replace(EPOCH, peak_memory_bytes=150))
        search.end(proposal.trial_id, "stopped", decision.reason)
    (trial,) = load(tmp_path / "x", "all").trials
    assert trial.state == TrialState.PRUNED
    assert trial.constraints == {"peak_memory_bytes": 0.5}


def test_several_objectives_are_optimised_in_their_directions_with_all_values_of_whole_trials(tmp_path: Path) -> None:
    objective = [{"metric": "validation_accuracy"}, {"metric": "train_seconds"}]
    changes = {"grid": {}, "objective": objective, "scheduler": {"name": "none"}, "sampler": {"name": "nsga2"}}
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        proposals = list(run(search_of(tmp_path / "x", store, **changes)))
    study = load(tmp_path / "x", "all")
    assert [one.name for one in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    whole = [one for one in study.trials if one.state == TrialState.COMPLETE]
    assert whole
    for trial in whole:
        (proposal,) = [one for one in proposals if one.trial_id == trial.user_attrs["trial_id"]]
        assert trial.values == pytest.approx([accuracy(proposal, EPOCHS), EPOCHS * EPOCH.epoch_seconds])
    assert study.best_trials


def test_a_paused_trial_that_goes_on_and_diverges_at_once_has_failed(tmp_path: Path) -> None:
    promotion = {"name": "asha_promotion", "grace_epochs": 1, "reduction_factor": 2}
    with ResultsStore.create(tmp_path / "x", sweep_name="digits") as store:
        search = search_of(tmp_path / "x", store, grid={}, scheduler=promotion)
        for value in (0.5, 0.4):
            proposal = search.propose()
            assert proposal is not None
            decision = search.report(proposal.trial_id, replace(EPOCH, validation_accuracy=value))
            search.end(proposal.trial_id, "stopped", decision.reason)
        assert [one.state for one in load(tmp_path / "x", "all").trials] == [TrialState.RUNNING] * 2
        again = search.propose()
        assert again is not None
        assert again.trial_id == "t0001"
        search.end("t0001", "diverged", "training loss is not finite")
        failed, paused = load(tmp_path / "x", "all").trials
        assert (failed.state, paused.state) == (TrialState.FAIL, TrialState.RUNNING)


@pytest.mark.parametrize("name", ["asha_promotion", "hyperband"])
def test_where_trials_pause_the_journal_only_grows_and_at_the_end_what_is_paused_was_pruned(
    tmp_path: Path, name: str
) -> None:
    folder, pausing = tmp_path / "x", {"name": name, "grace_epochs": 1, "reduction_factor": 3}
    with ResultsStore.create(folder, sweep_name="digits") as store:
        search = search_of(folder, store, grid={}, scheduler=pausing, trials_per_study=12)
        before, begun = b"", []
        for proposal in run_pausing(search):
            now = (folder / JOURNAL_NAME).read_bytes()
            assert now.startswith(before)
            before = now
            begun.append(proposal.trial_id)
        search.close()
        statuses = [store.trial(trial_id)["status"] for trial_id in store.trial_ids()]
    assert len(begun) > len(set(begun))
    ended = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED}
    assert [one.state for one in load(folder, "all").trials] == [ended[status] for status in statuses]
    again = (folder / JOURNAL_NAME).read_bytes()
    with ResultsStore.open(folder) as store:
        search_of(folder, store, grid={}, scheduler=pausing, trials_per_study=12).close()
    assert (folder / JOURNAL_NAME).read_bytes() == again


def test_a_member_of_a_population_whose_place_was_taken_was_pruned(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    changes: dict[str, Any] = {
        "grid": {},
        "search": {"optimizer.lr": {"float": [0.001, 1.0], "log": True}},
        "scheduler": {"name": "pbt", "interval_epochs": 3},
        "trials_per_study": 4,
    }
    with ResultsStore.create(folder, sweep_name="digits") as store:
        search = search_of(folder, store, **changes)
        list(run_pausing(search))
        search.close()
        statuses = [store.trial(trial_id)["status"] for trial_id in store.trial_ids()]
    ended = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED}
    assert "stopped" in statuses
    assert [one.state for one in load(folder, "all").trials] == [ended[status] for status in statuses]
