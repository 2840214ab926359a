"""Between search and workers, whatever is said twice, late, or never."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.config.schedulers import AshaPromotion, Hyperband
from cifar_tune.config.sweep_config import Resources, SweepConfig
from cifar_tune.errors import SurroundingsError
from cifar_tune.execution.cluster.cards import Gpu
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.cluster.nodes import Node
from cifar_tune.execution.dispatcher import BEGIN_SECONDS, Dispatcher
from cifar_tune.execution.messages import Assignment, Ending, EpochReport
from cifar_tune.execution.placement.memory_record import MemoryRecord
from cifar_tune.execution.placement.placer import Placer
from cifar_tune.execution.placement.resource_request import Needs
from cifar_tune.execution.results_folder import retry_failed
from cifar_tune.execution.surroundings import FAULT, NODE_LOST, pause_seconds
from cifar_tune.results.placements import LEFT, PLACED, read_placements
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.search import Search
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.trial import TrialConfig

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


SMALL, LARGE = Gpu("RTX 4060", 8 * 10**9, "", capability=(8, 9)), Gpu("H100", 80 * 10**9, "", capability=(9, 0))


def node(name: str, *cards: Gpu, cores: int = 4) -> Node:
    return Node(name, name, Machine(cores=cores, memory_bytes=10**9, gpus=cards))


def dispatcher_of(sweep: SweepConfig, store: ResultsStore, slots: int = 4, nodes: tuple[Node, ...] = ()) -> Dispatcher:
    there = nodes or (node("node", cores=slots),)
    placer = Placer(sweep.resources, lambda: there, Needs(Path(), MemoryRecord()), trials=4)
    return Dispatcher(Search(sweep, store), store, root=Path(), placer=placer)


def epoch(number: int, accuracy: float = 0.5) -> EpochReport:
    return EpochReport(EpochMetrics(number, 1.0, 0.5, 1.0, accuracy, 0.1, 1.0, 100.0, 1000), {})


def assigned(dispatcher: Dispatcher, key: str) -> Assignment:
    assignment = dispatcher.assign(key)
    assert isinstance(assignment, Assignment)
    dispatcher.started(key)
    return assignment


def test_no_trial_ends_before_it_began_though_the_clock_was_put_back(sweep: SweepConfig, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(sweep, store)
    trial_id = assigned(dispatcher, "a").trial_id
    ahead = datetime.now(UTC) + timedelta(hours=1)
    store.update_trial(trial_id, started_at=ahead)
    dispatcher.receive("a", Ending("diverged", reason="training loss is not finite"))
    row = store.trial(trial_id)
    assert row["ended_at"] == row["started_at"] == ahead
    assert 0 <= row["wall_seconds"] < 60
    store.note(PLACED, trial_id="t9999", attempt=1, at=1000.0)
    store.note(LEFT, trial_id="t9999", at=900.0, reason="completed")
    stays = read_placements(store.folder).set_index("trial_id")
    assert stays.ended_at["t9999"] == stays.began_at["t9999"]


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
    assert row["gpu_seconds"] == 0


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
    other = assigned(dispatcher, "other")
    for number, (key, again) in enumerate((("a", "b"), ("b", "c")), start=1):
        dispatcher.receive("other", epoch(number))
        dispatcher.lost(key, "worker process 7 died")
        assert store.trial(trial_id)["status_reason"] == "its worker died; it waits for another"
        assert assigned(dispatcher, again).trial_id == trial_id != other.trial_id
    dispatcher.receive("other", epoch(3))
    dispatcher.lost("c", "worker process 9 died")
    row = store.trial(trial_id)
    assert (row["status"], row["attempts"], row["error"]) == ("failed", 3, "worker process 9 died")
    assert row["status_reason"] == "no worker could finish it"


def test_a_trial_that_crashes_by_itself_fails_though_nothing_trains_beside_it(
    sweep: SweepConfig, store: ResultsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher, now = dispatcher_of(sweep, store, slots=1), time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    faulty = assigned(dispatcher, "first").trial_id
    dispatcher.lost("first", "segmentation fault")
    for key in map(str, range(20)):
        assignment = dispatcher.assign(key)
        if assignment == "exhausted":
            break
        if isinstance(assignment, Assignment) and assignment.trial_id == faulty:
            dispatcher.started(key)
            dispatcher.lost(key, "segmentation fault")
            continue
        now += 100
        if assignment != "wait":
            dispatcher.started(key)
            for number in (1, 2, 3):
                dispatcher.receive(key, epoch(number))
    statuses = [store.trial(trial_id)["status"] for trial_id in store.trial_ids()]
    assert statuses == ["failed", "completed", "completed", "completed"]
    assert store.trial(faulty)["error"] == "segmentation fault"


def test_a_worker_that_dies_before_it_has_the_trial_is_never_the_trials_fault(
    sweep: SweepConfig, store: ResultsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher, now = dispatcher_of(sweep, store, slots=2), time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assigned(dispatcher, "other")
    trial_id = None
    for key, number in (("a", 1), ("b", 2), ("c", None)):
        assignment = dispatcher.assign(key)
        assert isinstance(assignment, Assignment)
        assert assignment.trial_id == (trial_id or assignment.trial_id)
        trial_id = assignment.trial_id
        if number is not None:
            dispatcher.receive("other", epoch(number))
        dispatcher.lost(key, "no torch")
        now += 100
    row = store.trial(str(trial_id))
    assert (row["status"], row["faults"]) == ("running", 3)


def test_losing_nodes_again_and_again_fails_no_trial(
    sweep: SweepConfig, store: ResultsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    there = [node("n0", cores=1)]
    placer = Placer(sweep.resources, lambda: tuple(there), Needs(Path(), MemoryRecord()), trials=4)
    dispatcher = Dispatcher(Search(sweep, store), store, root=Path(), placer=placer)
    trial_id = assigned(dispatcher, "0").trial_id
    for number in range(1, 7):
        dispatcher.receive(str(number - 1), epoch(1))
        told_late = number % 2
        if told_late:
            dispatcher.lost(str(number - 1), "worker died")
        there[:] = [node(f"n{number}", cores=1)]
        assert len(dispatcher.lost_nodes()) == 1
        if not told_late:
            dispatcher.lost(str(number - 1), "its node is gone")
        now += 100
        assert assigned(dispatcher, str(number)).trial_id == trial_id
    assert store.trial(trial_id)["status"] == "running"


def test_after_a_short_outage_an_epoch_may_take_longer_than_the_patience(
    sweep: SweepConfig, store: ResultsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher, now = patient(sweep, store, seconds=60.0), time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for key in "abc":
        assigned(dispatcher, key)
    for key in "abc":
        dispatcher.receive(key, Ending("surroundings", "OSError: away"))
    now += 10
    for key in "def":
        assigned(dispatcher, key)
    now += 7200
    assigned(dispatcher, "g")


def patient(sweep: SweepConfig, store: ResultsStore, seconds: float) -> Dispatcher:
    placer = Placer(sweep.resources, lambda: (node("node"),), Needs(Path(), MemoryRecord()), trials=4)
    return Dispatcher(Search(sweep, store), store, root=Path(), placer=placer, patience_seconds=seconds)


def test_workers_that_die_as_they_start_fail_no_trial_and_in_the_end_the_sweep_ends(
    sweep: SweepConfig, store: ResultsStore
) -> None:
    dispatcher = patient(sweep, store, seconds=0.0)
    for key in "ab":
        assigned(dispatcher, key)
        dispatcher.lost(key, "no torch")
    assigned(dispatcher, "c")
    with pytest.raises(SurroundingsError, match=r"3 times in a row a trial could not train(?s:.*)no torch"):
        dispatcher.lost("c", "no torch")
    assert {store.trial(trial_id)["status"] for trial_id in store.trial_ids()} == {"running"}
    assert [store.trial(trial_id)["faults"] for trial_id in store.trial_ids()] == [1, 1, 1]


def test_faults_of_the_surroundings_pause_the_sweep_and_reach_neither_row_nor_sampler(
    sweep: SweepConfig, store: ResultsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher, search = patient(sweep, store, seconds=600.0), Search(sweep, store)
    for key in "abc":
        assigned(dispatcher, key)
    for key in "abc":
        assert not dispatcher.receive(key, Ending("surroundings", "DatasetError: data is not there"))
    assert dispatcher.assign("d") == "wait"
    told = dispatcher.trouble()
    assert told is not None
    assert told.startswith("DatasetError: data is not there; trying again in 2 s")
    rows = [store.trial(trial_id) for trial_id in store.trial_ids()]
    assert [(row["status"], row["faults"], row["error"]) for row in rows] == [("running", 1, None)] * 3
    assert len(search.unfinished()) == 0
    assert [note["trial_id"] for note in store.notes(FAULT)] == store.trial_ids()
    later = time.monotonic() + 3
    monkeypatch.setattr(time, "monotonic", lambda: later)
    again = [assigned(dispatcher, key).trial_id for key in "efg"]
    assert sorted(again) == store.trial_ids()
    dispatcher.receive("e", epoch(1))
    assert dispatcher.trouble() is None


def test_a_trial_that_only_meets_faults_lets_the_others_train_and_is_tried_less_and_less_often(
    sweep: SweepConfig, store: ResultsStore
) -> None:
    dispatcher = dispatcher_of(sweep, store)
    faulty = assigned(dispatcher, "a").trial_id
    dispatcher.receive("a", Ending("surroundings", "OSError: away"))
    for key in "bcd":
        assert assigned(dispatcher, key).trial_id != faulty
        for number in (1, 2, 3):
            dispatcher.receive(key, epoch(number, accuracy=0.5 + ord(key) / 1000))
    assert dispatcher.assign("e") == "wait"
    assert [pause_seconds(faults) for faults in (1, 2, 3, 4, 5, 6, 99)] == [2, 4, 8, 16, 32, 60, 60]


def test_trials_that_were_set_back_are_unfinished_for_the_next_driver(sweep: SweepConfig, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(sweep, store)
    trial_id = assigned(dispatcher, "a").trial_id
    dispatcher.receive("a", Ending("surroundings", "OSError: away"))
    dispatcher.interrupt("OSError: away")
    assert store.trial(trial_id)["status"] == "interrupted"
    assert assigned(dispatcher_of(sweep, store), "b").trial_id == trial_id


def test_what_failed_by_itself_is_trained_again_only_if_that_is_asked_for(
    sweep: SweepConfig, store: ResultsStore
) -> None:
    dispatcher = dispatcher_of(sweep, store)
    trial_id = assigned(dispatcher, "a").trial_id
    dispatcher.receive("a", epoch(1))
    dispatcher.receive("a", Ending("failed", "ValueError: no", "Traceback ..."))
    assert Search(sweep, store).unfinished() == ()
    assert retry_failed(store) == [trial_id]
    assert [one.trial_id for one in Search(sweep, store).unfinished()] == [trial_id]
    next_driver = dispatcher_of(sweep, store)
    assert assigned(next_driver, "b").trial_id == trial_id
    for number in (1, 2, 3):
        next_driver.receive("b", epoch(number))
    row = store.trial(trial_id)
    assert (row["status"], row["error"], row["attempts"], row["epochs_trained"]) == ("completed", None, 2, 3)


def test_a_node_without_memory_fails_no_trial(sweep: SweepConfig, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(sweep, store)
    trial_id = assigned(dispatcher, "a").trial_id
    dispatcher.receive("a", epoch(1))
    dispatcher.lost("a", "the memory of its node was full", node_was_full=True)
    assert (store.trial(trial_id)["status"], store.trial(trial_id)["faults"]) == ("running", 1)


def test_a_node_that_is_gone_is_told_of_with_its_trials_and_their_next_epochs(
    sweep: SweepConfig, store: ResultsStore
) -> None:
    there = [node("n1", cores=1), node("n2", cores=1)]
    placer = Placer(sweep.resources, lambda: tuple(there), Needs(Path(), MemoryRecord()), trials=4)
    dispatcher = Dispatcher(Search(sweep, store), store, root=Path(), placer=placer)
    by_node = {assigned(dispatcher, key).resources.node_id: key for key in "ab"}
    dispatcher.receive(by_node["n2"], epoch(1))
    trial_id = dispatcher.live[by_node["n2"]].proposal.trial_id
    assert dispatcher.lost_nodes() == []
    dispatcher.lost(by_node["n2"], "worker died")
    del there[1]
    assert dispatcher.lost_nodes() == [f"node n2 is gone; going on elsewhere: {trial_id} from epoch 2"]
    assert dispatcher.lost_nodes() == []
    assert [(note["node"], note["epochs"]) for note in store.notes(NODE_LOST)] == [("n2", {trial_id: 1})]


def test_lost_workers_end_nothing_while_another_trial_trains(sweep: SweepConfig, store: ResultsStore) -> None:
    dispatcher = patient(sweep, store, seconds=0.0)
    assigned(dispatcher, "a")
    for key in range(1, 4):
        assigned(dispatcher, str(key))
        assert dispatcher.receive("a", epoch(key)) or key == 3
        dispatcher.lost(str(key), "gone")


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


OUT_OF_MEMORY = Ending("out_of_memory", error="torch.OutOfMemoryError: ...")


def on_cards(tmp_path: Path, *overrides: str) -> SweepConfig:
    """All batches are of 64 images, so that micro-batches of 32 and 16 are the smaller ones."""
    (tmp_path / "cards.yaml").write_text(SWEEP)
    return load_sweep(tmp_path / "cards.yaml", ["trial.batch_size=64", *overrides])


def test_a_share_of_a_card_is_charged_for_while_it_is_held(tmp_path: Path, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(on_cards(tmp_path, "resources={gpus: 0.5}"), store, nodes=(node("a", SMALL),))
    trial_id = assigned(dispatcher, "a").trial_id
    time.sleep(0.1)
    dispatcher.receive("a", Ending("completed"))
    row = store.trial(trial_id)
    assert row["gpu_seconds"] == pytest.approx(0.5 * row["wall_seconds"], rel=0.2)


def test_out_of_memory_leads_down_a_ladder_and_each_step_is_an_attempt(tmp_path: Path, store: ResultsStore) -> None:
    sweep = on_cards(tmp_path)
    dispatcher = dispatcher_of(sweep, store, nodes=(node("small", SMALL), node("large", LARGE)))
    seen = []
    for key in "abcdef":
        assignment = assigned(dispatcher, key)
        trial = TrialConfig.model_validate_json(assignment.trial_json)
        assert trial.recompute == (key > "b")
        seen.append((trial.micro_batch_size, assignment.resources.gpus, assignment.resources.node_id))
        assert trial.batch_size == 64
        dispatcher.receive(key, OUT_OF_MEMORY)
    shares = [share for _, share, _ in seen]
    assert [size for size, _, _ in seen] == [64, 32, 32, 32, 32, 16]
    assert shares[0] < 1
    assert shares[3:] == [1, 1, 1]
    assert [name for _, _, name in seen] == ["small", "small", "small", "small", "large", "large"]
    row = store.trial("t0001")
    assert (row["status"], row["attempts"]) == ("failed", 6)
    assert row["memory_steps"] == (
        "micro-batches of 32 images instead of 64; activations computed again instead of kept; alone on RTX 4060; "
        "a larger card than RTX 4060; micro-batches of 16 images instead of 32"
    )
    assert row["status_reason"].startswith("does not fit H100 (80 GB), alone and in micro-batches of 16 images; a card")
    assert row["error"] == OUT_OF_MEMORY.error
    stays = read_placements(store.folder)
    assert list(stays.micro_batch_size) == [64, 32, 32, 32, 32, 16]
    assert list(stays.recompute) == [False, False, True, True, True, True]
    assert [why.removeprefix("ran out of memory; next: ") for why in stays.ended_because] == [
        *row["memory_steps"].split("; "),
        "failed",
    ]
    assert assigned(dispatcher, "g").trial_id == "t0002"


def test_memory_that_lacked_is_no_bad_value_and_the_other_trials_go_on(tmp_path: Path, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(on_cards(tmp_path), store, nodes=(node("a", SMALL),))
    first, second = assigned(dispatcher, "a").trial_id, assigned(dispatcher, "b").trial_id
    assert dispatcher.receive("b", epoch(1))
    dispatcher.receive("a", OUT_OF_MEMORY)
    assert store.trial(first)["status"] == "running"
    assert store.epochs(first) == []
    assert dispatcher.receive("b", epoch(2))
    assert store.trial(second)["status"] == "running"


def test_what_memory_lacked_is_known_to_the_next_driver(tmp_path: Path, store: ResultsStore) -> None:
    sweep = on_cards(tmp_path)
    dispatcher = dispatcher_of(sweep, store, nodes=(node("a", SMALL),))
    trial_id = assigned(dispatcher, "a").trial_id
    dispatcher.receive("a", OUT_OF_MEMORY)
    assert assigned(dispatcher, "b").trial_id == trial_id
    dispatcher.receive("b", OUT_OF_MEMORY)
    dispatcher.interrupt("enough")
    again = assigned(dispatcher_of(sweep, store, nodes=(node("a", SMALL),)), "x")
    assert again.trial_id == trial_id
    trial = TrialConfig.model_validate_json(again.trial_json)
    assert (trial.micro_batch_size, trial.recompute) == (32, True)


def test_on_a_cpu_smaller_micro_batches_and_recomputing_are_the_whole_ladder(
    tmp_path: Path, store: ResultsStore
) -> None:
    dispatcher = dispatcher_of(on_cards(tmp_path), store)
    for key in "abcd":
        assigned(dispatcher, key)
        dispatcher.receive(key, OUT_OF_MEMORY)
    assert store.trial("t0001")["status_reason"] == (
        "does not fit the memory of its node, in micro-batches of 16 images"
    )


def test_a_trial_that_waits_for_a_node_that_is_gone_goes_to_another(tmp_path: Path, store: ResultsStore) -> None:
    there = [node("small", SMALL), node("large", LARGE)]
    sweep = on_cards(tmp_path)
    placer = Placer(sweep.resources, lambda: tuple(there), Needs(Path(), MemoryRecord()), trials=4)
    dispatcher = Dispatcher(Search(sweep, store), store, root=Path(), placer=placer)
    first = dispatcher.assign("a")
    assert isinstance(first, Assignment)
    assert dispatcher.stranded() == set()
    del there[0]
    assert dispatcher.stranded() == {"a"}
    dispatcher.withdraw("a")
    assert assigned(dispatcher, "b").trial_id == first.trial_id
    assert dispatcher.live["b"].attempts == 1


def test_a_trial_whose_node_others_hold_goes_to_one_that_has_room(sweep: SweepConfig, store: ResultsStore) -> None:
    there = [node("held", cores=1)]
    placer = Placer(Resources(cpus=1), lambda: tuple(there), Needs(Path(), MemoryRecord()), trials=4)
    dispatcher = Dispatcher(Search(sweep, store), store, root=Path(), placer=placer)
    first = dispatcher.assign("a")
    assert isinstance(first, Assignment)
    there.append(node("free", cores=1))
    assert dispatcher.stranded() == set(), "its worker may be starting"
    dispatcher.live["a"].held -= BEGIN_SECONDS
    assert dispatcher.stranded() == {"a"}
    dispatcher.withdraw("a")
    assert assigned(dispatcher, "b").trial_id == first.trial_id
    assert placer["b"].host == "free"
    dispatcher.assign("c")
    assert placer["c"].host == "held", "where there is no other"
    dispatcher.live["c"].held -= BEGIN_SECONDS
    assert dispatcher.stranded() == set(), "no other has room"


def test_a_trial_is_at_work_from_when_a_worker_begins_it_until_it_leaves(
    sweep: SweepConfig, store: ResultsStore
) -> None:
    dispatcher = dispatcher_of(sweep, store)
    assert isinstance(dispatcher.assign("a"), Assignment)
    assert not dispatcher.at_work
    dispatcher.started("a")
    assert dispatcher.at_work
    dispatcher.lost("a", "segmentation fault")
    assert not dispatcher.at_work


def test_a_trial_whose_place_ray_does_not_give_says_what_it_waits_for(sweep: SweepConfig, store: ResultsStore) -> None:
    dispatcher = dispatcher_of(sweep, store)
    dispatcher.assign("a")
    assert dispatcher.wanted() == (
        "t0001 waits for a worker with 1 CPU core, 1 thread, no GPU on node; there is node: 4 CPU cores, 1 GB of "
        "memory, no GPU"
    )


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ({"gpus": 0, "cpus": 2}, "2 CPU cores"),
        ({}, "room on a GPU"),
        ({"gpus": 2, "card": "H100"}, "2 GPUs with H100 in their names"),
        ({"gpu_memory": 40, "cpus": 1}, "room on a GPU, 40 GB of it and 1 CPU core"),
    ],
)
def test_trials_whose_nodes_are_gone_say_what_a_node_must_have(
    sweep: SweepConfig, store: ResultsStore, asked: dict[str, Any], what: str
) -> None:
    there = [node("server", LARGE, LARGE)]
    placer = Placer(Resources(**asked), lambda: tuple(there), Needs(Path(), MemoryRecord()), trials=4)
    dispatcher = Dispatcher(Search(sweep, store), store, root=Path(), placer=placer)
    first = dispatcher.assign("a")
    assert isinstance(first, Assignment)
    there.clear()
    dispatcher.withdraw("a")
    assert dispatcher.assign("b") == "wait"
    assert dispatcher.wanted() == f"{first.trial_id} waits for a node with {what}; there is no node"


def test_the_log_of_placements_has_a_row_for_each_stay_of_a_trial(sweep: SweepConfig, store: ResultsStore) -> None:
    nodes = (node("laptop", SMALL), node("server", LARGE))
    dispatcher = dispatcher_of(sweep, store, nodes=nodes)
    first = assigned(dispatcher, "a")
    dispatcher.receive("a", epoch(1))
    dispatcher.lost("a", "segmentation fault")
    again = assigned(dispatcher, "b")
    assert again.trial_id == first.trial_id
    there = assigned(dispatcher, "c")
    dispatcher.receive("b", Ending("completed"))
    stays = read_placements(store.folder)
    assert list(stays.trial_id) == [first.trial_id, first.trial_id, there.trial_id]
    assert list(stays.attempt) == [1, 2, 1]
    for row, assignment in zip(stays.itertuples(), (first, again, there), strict=True):
        assert row.node == assignment.resources.node_id
        assert row.card == {"laptop": "RTX 4060", "server": "H100"}[row.node]
        assert (row.gpus, row.cpus) == (assignment.resources.gpus, assignment.resources.cpus)
        assert row.gpu_memory_reserved_bytes == assignment.resources.memory_bytes
    assert list(stays.ended_at.isna()) == [False, False, True]
    assert list(stays.ended_because[:2]) == ["its worker died; it waits for another", "completed"]
    assert (stays.began_at[1:].to_numpy() >= stays.began_at[:-1].to_numpy()).all()
    assert stays.ended_at[0] <= stays.began_at[1] <= stays.ended_at[1]


def facts(threads: int, cpu_model: str) -> dict[str, Any]:
    return {"device_name": "cpu", "threads": threads, "cpu_model": cpu_model, "instruction_set": "AVX2"}


@pytest.mark.parametrize(("recorded", "given"), [(1, 1), (2, 2), (9, 4)])
def test_a_trial_that_goes_on_computes_on_as_many_threads_as_before_where_there_are_cores_for_them(
    recorded: int, given: int, sweep: SweepConfig, store: ResultsStore
) -> None:
    sweep = sweep.model_copy(update={"resources": Resources(cpus=4)})
    first = dispatcher_of(sweep, store)
    assert assigned(first, "a").resources.threads == 4
    first.receive("a", replace(epoch(1), facts=facts(recorded, "EPYC")))
    first.interrupt("stopped")
    second = dispatcher_of(sweep, store)
    threads = assigned(second, "a").resources.threads
    assert threads == given
    second.receive("a", replace(epoch(1), facts=facts(threads, "EPYC")))
    assert len(second.environments.new_lines()) == (recorded != given)


def test_it_is_said_once_that_trials_go_on_where_bits_differ(sweep: SweepConfig, store: ResultsStore) -> None:
    first = dispatcher_of(sweep, store)
    for key in "ab":
        assigned(first, key)
        first.receive(key, replace(epoch(1), facts=facts(1, "EPYC")))
    first.interrupt("stopped")
    second = dispatcher_of(sweep, store)
    for key in "abc":
        assigned(second, key)
        second.receive(key, replace(epoch(1), facts=facts(1, "Xeon")))
    (line,) = second.environments.new_lines()
    assert "EPYC then, Xeon now" in line
    assert second.environments.new_lines() == []
    assert store.trial("t0001")["cpu_model"] == "Xeon"
