"""Between search and workers, whatever is said twice, late, or never."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.config.schedulers import AshaPromotion, Hyperband
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ClusterError
from cifar_tune.results.store import ResultsStore
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.trial import TrialConfig
from cifar_tune.tuning.devices import TrialResources
from cifar_tune.tuning.dispatcher import Dispatcher
from cifar_tune.tuning.messages import Assignment, Ending, EpochReport
from cifar_tune.tuning.search import Search

SWEEP = """
name: small
trial:
  dataset: {name: digits}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.1}
  epochs: 3
search:
  optimizer.lr: {float: [0.01, 1.0], log: true}
scheduler: {name: asha, grace_epochs: 1, reduction_factor: 2}
trials_per_study: 4
"""


@pytest.fixture
def sweep(tmp_path: Path) -> SweepConfig:
    (tmp_path / "small.yaml").write_text(SWEEP)
    return load_sweep(tmp_path / "small.yaml")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ResultsStore]:
    with ResultsStore.create(tmp_path / "results", sweep_name="small") as store:
        yield store


def dispatcher_of(sweep: SweepConfig, store: ResultsStore, slots: int = 4) -> Dispatcher:
    resources = TrialResources(cpus=1, gpus=0.5, threads=1)
    return Dispatcher(Search(sweep, store), store, root=Path(), device="cpu", resources=resources, slots=lambda: slots)


def epoch(number: int, accuracy: float = 0.5) -> EpochReport:
    return EpochReport(EpochMetrics(number, 1.0, 0.5, 1.0, accuracy, 0.1, 1.0, 100.0, 1000), {})


def assigned(dispatcher: Dispatcher, key: str) -> Assignment:
    assignment = dispatcher.assign(key)
    assert isinstance(assignment, Assignment)
    dispatcher.started(key)
    return assignment


def test_no_more_trials_are_out_than_fit(sweep: SweepConfig, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(sweep, store, slots=2)
    assigned(dispatcher, "a")
    assigned(dispatcher, "b")
    assert dispatcher.assign("c") == "wait"
    dispatcher.receive("a", Ending("completed"))
    assigned(dispatcher, "c")


def test_after_the_last_trial_nothing_is_left(sweep: SweepConfig, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(sweep, store)
    for key in "abcd":
        assigned(dispatcher, key)
    for key in "abcd":
        dispatcher.receive(key, Ending("completed"))
    assert dispatcher.assign("e") == "exhausted"


def test_an_assignment_is_the_trial_to_the_last_digit(sweep: SweepConfig, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(sweep, store)
    for key in "abcd":
        assignment = assigned(dispatcher, key)
        trial = TrialConfig.model_validate_json(assignment.trial_json)
        assert trial == dispatcher.live[key].proposal.trial
        assert Path(assignment.checkpoints) == (store.folder / "checkpoints" / assignment.trial_id).absolute()


def test_a_trial_goes_on_to_its_last_epoch_and_is_then_completed(sweep: SweepConfig, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(sweep, store)
    trial_id = assigned(dispatcher, "a").trial_id
    assert dispatcher.receive("a", epoch(1))
    assert dispatcher.receive("a", epoch(2))
    assert not dispatcher.receive("a", epoch(3))
    row = store.trial(trial_id)
    assert (row["status"], row["epochs_trained"], row["attempts"]) == ("completed", 3, 1)
    assert row["gpu_seconds"] == pytest.approx(0.5 * row["wall_seconds"])


def test_the_search_stops_a_weak_trial_and_the_row_says_why(sweep: SweepConfig, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(sweep, store)
    assigned(dispatcher, "a")
    weak = assigned(dispatcher, "b").trial_id
    assert dispatcher.receive("a", epoch(1, accuracy=0.9))
    assert not dispatcher.receive("b", epoch(1, accuracy=0.1))
    assert store.trial(weak)["status"] == "stopped"
    assert "place 2 of 2 at epoch 1" in store.trial(weak)["status_reason"]


def test_what_comes_twice_or_late_changes_nothing(sweep: SweepConfig, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(sweep, store)
    trial_id = assigned(dispatcher, "a").trial_id
    assert dispatcher.receive("a", epoch(1, accuracy=0.5))
    assert dispatcher.receive("a", epoch(1, accuracy=0.5))
    dispatcher.receive("a", Ending("completed"))
    before = store.trial(trial_id)
    assert not dispatcher.receive("a", epoch(2))
    assert not dispatcher.receive("a", Ending("failed", "late", "late"))
    dispatcher.started("a")
    dispatcher.lost("a", "late")
    dispatcher.receive("never assigned", epoch(1))
    assert store.trial(trial_id) == before
    assert len(store.epochs(trial_id)) == 1


@pytest.mark.parametrize("name", ["train_loss", "validation_loss", "validation_accuracy"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_a_diverged_trial_and_reaches_no_sampler(
    sweep: SweepConfig, store: ResultsStore, name: str, value: float
) -> None:
    dispatcher = dispatcher_of(sweep, store)
    trial_id = assigned(dispatcher, "a").trial_id
    metrics = EpochMetrics(**{**vars(epoch(1).metrics), name: value})
    assert not dispatcher.receive("a", EpochReport(metrics, {}))
    assert store.trial(trial_id)["status"] == "diverged"
    assert store.trial(trial_id)["status_reason"] == f"{name} was not finite in epoch 1"
    assert store.epochs(trial_id) == []
    assigned(dispatcher, "b")


def test_a_trial_that_raised_is_a_failed_row_with_its_traceback(sweep: SweepConfig, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(sweep, store)
    trial_id = assigned(dispatcher, "a").trial_id
    assert not dispatcher.receive("a", Ending("failed", "ValueError: no", "Traceback ..."))
    row = store.trial(trial_id)
    assert (row["status"], row["status_reason"], row["error"]) == ("failed", "ValueError: no", "Traceback ...")


def test_a_trial_that_lost_its_worker_too_often_is_a_failed_row(sweep: SweepConfig, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(sweep, store)
    trial_id = assigned(dispatcher, "a").trial_id
    dispatcher.started("a")
    dispatcher.lost("a", "worker process 7 died")
    row = store.trial(trial_id)
    assert (row["status"], row["attempts"], row["error"]) == ("failed", 2, "worker process 7 died")
    assert row["status_reason"] == "no worker could finish it"


def test_where_no_worker_can_train_the_sweep_gives_up(sweep: SweepConfig, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(sweep, store)
    for key in "ab":
        assigned(dispatcher, key)
        dispatcher.lost(key, "no torch")
    assigned(dispatcher, "c")
    with pytest.raises(ClusterError, match=r"3 trials lost their workers before one finished an epoch(?s:.*)no torch"):
        dispatcher.lost("c", "no torch")


def test_lost_workers_end_nothing_once_a_trial_has_trained(sweep: SweepConfig, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(sweep, store)
    assigned(dispatcher, "a")
    dispatcher.receive("a", epoch(1))
    for key in "bcd":
        assigned(dispatcher, key)
        dispatcher.lost(key, "gone")
    assert dispatcher.receive("a", epoch(2))


def test_interrupted_trials_are_the_first_that_the_next_driver_assigns(sweep: SweepConfig, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(sweep, store)
    first, second = assigned(dispatcher, "a").trial_id, assigned(dispatcher, "b").trial_id
    dispatcher.receive("b", epoch(1))
    dispatcher.interrupt("enough")
    assert store.trial(first)["status"] == "interrupted"
    again = dispatcher_of(sweep, store)
    assert [assigned(again, key).trial_id for key in "xy"] == [first, second]
    assert assigned(again, "z").trial_id not in (first, second)
    assert store.trial(second)["attempts"] == 2
    assert again.receive("y", epoch(1))
    assert len(store.epochs(second)) == 1


def promotion(sweep: SweepConfig) -> SweepConfig:
    return sweep.model_copy(update={"scheduler": AshaPromotion(grace_epochs=1, reduction_factor=2)})


def test_a_paused_trial_goes_on_from_its_checkpoint_when_it_is_among_the_best(
    sweep: SweepConfig, store: ResultsStore
) -> None:
    dispatcher = dispatcher_of(promotion(sweep), store)
    first = assigned(dispatcher, "a").trial_id
    assert not dispatcher.receive("a", epoch(1, accuracy=0.5))
    row = store.trial(first)
    assert (row["status"], row["epochs_trained"]) == ("stopped", 1)
    assert row["status_reason"] == "place 1 of 1 at epoch 1; paused, goes on if it comes to be among the best"
    assigned(dispatcher, "b")
    assert not dispatcher.receive("b", epoch(1, accuracy=0.1))
    again = assigned(dispatcher, "c")
    assert again.trial_id == first
    assert store.trial(first)["status"] == "running"
    assert store.trial(first)["attempts"] == 2
    assert store.trial(first)["wall_seconds"] is not None
    assert dispatcher.receive("c", epoch(1, accuracy=0.5))
    assert not dispatcher.receive("c", epoch(2, accuracy=0.6))
    decisions = [(row["epoch"], row["decision"]) for row in store.epochs(first)]
    assert decisions == [(1, "stop"), (2, "stop")]


def test_workers_wait_for_a_rung_that_others_still_train_for(sweep: SweepConfig, store: ResultsStore) -> None:
    hyperband = sweep.model_copy(update={"scheduler": Hyperband(grace_epochs=1, reduction_factor=3)})
    dispatcher = dispatcher_of(hyperband, store)
    names = [assigned(dispatcher, key).trial_id for key in "abcd"]
    dispatcher.receive("d", Ending("completed"))
    for key, accuracy in zip("ab", (0.1, 0.3), strict=True):
        assert not dispatcher.receive(key, epoch(1, accuracy))
        assert dispatcher.assign("e") == "wait"
    dispatcher.receive("c", Ending("diverged", reason="not finite"))
    assert assigned(dispatcher, "e").trial_id == names[1]
    assert dispatcher.receive("e", epoch(2, 0.4))
    assert not dispatcher.receive("e", epoch(3, 0.4))
    assert dispatcher.assign("f") == "exhausted"
    assert store.trial(names[1])["status"] == "completed"


@pytest.mark.parametrize("reported", [False, True])
def test_a_promoted_trial_whose_driver_is_killed_goes_on_with_the_next(
    sweep: SweepConfig, store: ResultsStore, reported: bool
) -> None:
    dispatcher = dispatcher_of(promotion(sweep), store)
    first = assigned(dispatcher, "a").trial_id
    dispatcher.receive("a", epoch(1, accuracy=0.5))
    assigned(dispatcher, "b")
    dispatcher.receive("b", epoch(1, accuracy=0.1))
    assert assigned(dispatcher, "c").trial_id == first
    if reported:
        assert dispatcher.receive("c", epoch(1, accuracy=0.5))
    dispatcher.interrupt("killed")
    again = dispatcher_of(promotion(sweep), store)
    assert assigned(again, "x").trial_id == first
    assert again.receive("x", epoch(1, accuracy=0.5))
    assert assigned(again, "y").trial_id not in (first, "t0002")
