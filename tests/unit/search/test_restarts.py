"""A sweep that is begun anew with more epochs, driven without Ray."""

from __future__ import annotations

from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from cifar_tune.analysis.audit import stopping_audit
from cifar_tune.analysis.budget import final_epoch
from cifar_tune.analysis.ranking import ranking
from cifar_tune.analysis.why import why
from cifar_tune.config.load import load_sweep
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ResultsError
from cifar_tune.execution.results_folder import Mode, open_results
from cifar_tune.layout import JOURNAL_NAME, LEDGER_NAME
from cifar_tune.results import load
from cifar_tune.results.ledger import events
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.candidates import proposed_trials
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.restarts import RESTARTED
from cifar_tune.search.search import Search
from cifar_tune.search.studies.journal import Journal
from cifar_tune.training.metrics import EpochMetrics

FILE = """\
name: anew
trial:
  dataset: {name: digits}
  model: {name: mininet}
  optimizer: {name: sgd, lr: 0.1}
  schedule: {name: onecycle}
  epochs: 4
grid:
  model.activation: [relu, mish]
search:
  optimizer.lr: {float: [0.001, 1.0]}
sampler: {name: random}
scheduler: {name: asha, grace_epochs: 1, reduction_factor: 2, audit_fraction: 0.0}
trials_per_study: 6
"""
LONGER = ("trial.epochs=8", "scheduler.grace_epochs=1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "anew.yaml").write_text(FILE)
    return tmp_path / "results"


def sweep_of(folder: Path, *overrides: str) -> SweepConfig:
    return load_sweep(folder.parent / "anew.yaml", overrides)


def open_as(folder: Path, sweep: SweepConfig, mode: Mode) -> ResultsStore:
    return open_results(folder, sweep, mode)[0]


def search_of(folder: Path, sweep: SweepConfig, store: ResultsStore) -> Search:
    return Search(sweep, store, journal=Journal(folder / JOURNAL_NAME))


def accuracy(proposal: Proposal, epoch: int) -> float:
    """Rises with the share of the epochs that is done, as under a schedule of that length."""
    share = epoch / proposal.trial.epochs
    return proposal.trial.optimizer.lr * (0.2 + 0.8 * share) * (1 + proposal.trial.epochs / 100)


def train(search: Search, proposal: Proposal, last: int | None = None) -> None:
    for epoch in range(1, (last or proposal.trial.epochs) + 1):
        value = accuracy(proposal, epoch)
        decision = search.report(proposal.trial_id, EpochMetrics(epoch, 1.0, 0.5, 1 - value, value, 0.1, 1.0, 1.0, 10))
        if decision.action == "stop":
            search.end(proposal.trial_id, "stopped", decision.reason)
            return
    if last is None:
        search.end(proposal.trial_id, "completed")


def finish(folder: Path, sweep: SweepConfig, mode: Mode, deaths: tuple[int, ...] = ()) -> list[Proposal]:
    """Trains all that is left; the driver dies amid the trials of these numbers."""
    store = open_as(folder, sweep, mode)
    search = search_of(folder, sweep, store)
    made: list[Proposal] = []
    while (proposal := next(iter(search.unfinished()), None) or search.propose()) is not None:
        if len(made) in deaths and proposal not in made:
            made.append(proposal)
            train(search, proposal, last=1)
            store.close()
            store = open_as(folder, sweep, "resume")
            search = search_of(folder, sweep, store)
            continue
        made += [] if proposal in made else [proposal]
        train(search, proposal)
    assert search.exhausted
    assert search.progress().planned == len(store.trial_ids())
    store.close()
    return made


def test_completed_trials_are_trained_anew_in_rows_of_their_own_and_nothing_of_old_is_lost(folder: Path) -> None:
    finish(folder, sweep_of(folder), "new")
    before = load(folder)
    survivors = before.trials.loc[before.trials["status"] == "completed", "trial_id"].tolist()
    made = finish(folder, sweep_of(folder, *LONGER), "restart")
    trials, epochs, _ = load(folder)
    assert [one.restart_of for one in made] == survivors
    old = trials[trials["restarts"] == 0]
    kept = epochs[epochs["trial_id"].isin(old["trial_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before.epochs, check_categorical=False)
    assert set(old["status"]) == {"completed", "stopped"}
    assert old["status"].tolist() == before.trials["status"].tolist()
    assert set(old["trial.epochs"]) == {4}
    anew = trials[trials["restarts"] == 1].set_index("restart_of")
    assert anew.index.tolist() == survivors
    assert set(anew["trial.epochs"]) == {8}
    for trial_id in survivors:
        then, now = before.trials.set_index("trial_id").loc[trial_id], anew.loc[trial_id]
        for column in ("study", "seed", "trial.optimizer.lr", "trial.model.activation"):
            assert now[column] == then[column]
        reason = trials.set_index("trial_id").loc[trial_id, "status_reason"]
        assert reason == f"trained anew as {now['trial_id']}"


def test_no_trial_after_the_restart_is_compared_with_one_before_it(folder: Path) -> None:
    finish(folder, sweep_of(folder), "new")
    finish(folder, sweep_of(folder, *LONGER, "trials_per_study=9"), "restart")
    trials, epochs, _ = load(folder)
    assert trials["restarts"].value_counts().to_dict()[0] == 12
    now = trials[trials["restarts"] == 1]
    assert now["restart_of"].isna().sum() == 6
    rows = epochs.merge(trials[["trial_id", "study", "restarts"]])
    for (_, _, rung), group in rows[rows["rung"].notna()].groupby(["study", "restarts", "rung"], observed=True):
        assert group["rung_size"].tolist() == list(range(1, len(group) + 1)), rung
    stopped = now.loc[now["status"] == "stopped", "trial_id"].iloc[0]
    (size,) = epochs.loc[(epochs["trial_id"] == stopped) & (epochs["decision"] == "stop"), "rung_size"]
    told = why(trials, epochs, stopped)
    assert f"of the {size:.0f} trials that had come there" in told
    assert "Better there: " in told
    assert not {one for one in trials.loc[trials["restarts"] == 0, "trial_id"] if one in told}
    audit = stopping_audit(trials, epochs, "validation_accuracy")
    assert audit is not None
    assert audit.rungs[0].arrived == len(now)
    assert final_epoch(trials, epochs) == 8
    assert "trial.epochs" not in ranking(trials).columns


@pytest.mark.parametrize("deaths", [(0, 3), pytest.param((1, 2, 4, 5), marks=pytest.mark.slow)])
def test_a_driver_that_dies_on_the_way_is_followed_by_one_that_does_the_same(
    folder: Path, tmp_path: Path, deaths: tuple[int, ...]
) -> None:
    whole, sampler = tmp_path / "whole", "sampler={name: tpe, n_startup_trials: 2}"
    longer = sweep_of(folder, *LONGER, "trials_per_study=8", sampler)
    for one, dying in ((whole, ()), (folder, deaths)):
        finish(one, sweep_of(folder, sampler), "new")
        finish(one, longer, "restart", dying)
    pd.testing.assert_frame_equal(load(folder).epochs, load(whole).epochs)
    columns = ["trial_id", "status", "status_reason", "restart_of", "restarts", "trial.optimizer.lr", "trial.epochs"]
    pd.testing.assert_frame_equal(load(folder).trials[columns], load(whole).trials[columns])


def test_a_kill_between_the_note_and_the_new_sweep_file_is_made_good(folder: Path) -> None:
    finish(folder, sweep_of(folder), "new")
    recorded = (folder / "sweep.yaml").read_text()
    longer = sweep_of(folder, *LONGER)
    open_as(folder, longer, "restart").close()
    (folder / "sweep.yaml").write_text(recorded)
    assert finish(folder, sweep_of(folder), "resume") == []
    made = finish(folder, longer, "restart")
    assert made
    with ResultsStore.open(folder) as store:
        assert len([*store.notes(RESTARTED)]) == 1


def test_a_restart_of_a_restart_trains_what_completed_last(folder: Path) -> None:
    finish(folder, sweep_of(folder), "new")
    first = finish(folder, sweep_of(folder, *LONGER), "restart")
    second = finish(folder, sweep_of(folder, "trial.epochs=12", "scheduler.grace_epochs=3"), "restart")
    done = load(folder).trials.set_index("trial_id")
    completed = [one.trial_id for one in first if done.loc[one.trial_id, "epochs_trained"] == 8]
    assert [one.restart_of for one in second] == completed
    assert done["restarts"].max() == 2
    assert finish(folder, sweep_of(folder, "trial.epochs=12", "scheduler.grace_epochs=3"), "resume") == []


def test_what_was_proposed_before_a_restart_is_made_again_with_the_epochs_of_then(folder: Path) -> None:
    finish(folder, sweep_of(folder), "new")
    longer = sweep_of(folder, *LONGER)
    finish(folder, longer, "restart")
    found = proposed_trials(longer, events(folder / LEDGER_NAME))
    trials = load(folder).trials.set_index("trial_id")
    assert {name: one.epochs for name, one in found.items()} == trials["trial.epochs"].to_dict()


def test_optunas_journal_holds_the_trials_of_before_as_they_were(folder: Path) -> None:
    finish(folder, sweep_of(folder), "new")
    finish(folder, sweep_of(folder, *LONGER), "restart")

    def said() -> dict[str, tuple[object, ...]]:
        storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL_NAME)))
        return {
            one.user_attrs["trial_id"]: (one.state, one.value, one.intermediate_values)
            for name in optuna.get_all_study_names(storage)
            for one in optuna.load_study(study_name=name, storage=storage).trials
        }

    appended = said()
    (folder / JOURNAL_NAME).unlink()
    longer = sweep_of(folder, *LONGER)
    with open_as(folder, longer, "resume") as store:
        search_of(folder, longer, store)
        for trial_id, (_, _, curve) in appended.items():
            assert curve == {row["epoch"]: row["validation_accuracy"] for row in store.epochs(trial_id)}
    assert said() == appended


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("trials_per_study=9",),
            "trial.epochs: was 4, is 4 .--restart trains completed trials anew with more",
        ),
        ((*LONGER, "seed=1"), "seed: was 0, is 1"),
    ],
)
def test_a_restart_without_more_epochs_or_of_another_sweep_is_refused(
    folder: Path, overrides: tuple[str, ...], message: str
) -> None:
    finish(folder, sweep_of(folder), "new")
    with pytest.raises(ResultsError, match=message):
        open_as(folder, sweep_of(folder, *overrides), "restart")


def test_a_sweep_is_finished_before_it_is_restarted(folder: Path) -> None:
    with open_as(folder, sweep_of(folder), "new") as store:
        search_of(folder, sweep_of(folder), store).propose()
    with pytest.raises(ResultsError, match=r"1 of its trials have not ended \(t0001\); finish them first: --resume"):
        open_as(folder, sweep_of(folder, *LONGER), "restart")
