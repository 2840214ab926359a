"""Retrainings of the best configurations: which, with which seeds, and the test split opened once for each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.config.sweep_config import Resources, SweepConfig
from cifar_tune.errors import ConfigError
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.cluster.nodes import Node
from cifar_tune.execution.confirmation_search import Confirming, ConfirmingDispatcher
from cifar_tune.execution.messages import Assignment, Ending, EpochReport, Scored, Trained
from cifar_tune.execution.placement.memory_record import MemoryRecord
from cifar_tune.execution.placement.placer import Placer
from cifar_tune.execution.placement.resource_request import Needs
from cifar_tune.layout import CONFIRM_FOLDER, LEDGER_NAME
from cifar_tune.results.columns import TRAIN, TRAIN_AND_VALIDATION
from cifar_tune.results.confirmations import OPENED, retrainings_store
from cifar_tune.results.ledger import events
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.candidates import best_configurations, fresh_seeds, proposed_trials, retrainings
from cifar_tune.search.search import Search
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.reproducibility import ComputeEnvironment
from cifar_tune.training.trial import TrialConfig

SWEEP = """
name: small
seed: 3
trial:
  dataset: {name: digits}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.1}
  epochs: 1
grid:
  model.activation: [relu, mish]
search:
  batch_size: {choice: [32, 64]}
sampler: {name: random}
scheduler: {name: none}
trials_per_study: 4
"""


@pytest.fixture
def sweep(tmp_path: Path) -> SweepConfig:
    (tmp_path / "small.yaml").write_text(SWEEP)
    return load_sweep(tmp_path / "small.yaml")


@pytest.fixture
def trials(sweep: SweepConfig, tmp_path: Path) -> dict[str, TrialConfig]:
    """What a search started, from the search itself; the ledger says the same."""
    with ResultsStore.create(tmp_path / "searched", sweep_name="small") as store:
        search = Search(sweep, store)
        proposals = [search.propose() for _ in range(8)]
        found = proposed_trials(sweep, events(store.folder / LEDGER_NAME))
    assert found == {one.trial_id: one.trial for one in proposals if one is not None}
    assert len(found) == 8
    return found


def metrics(accuracy: float | None) -> EpochMetrics:
    loss = None if accuracy is None else 1 - accuracy
    return EpochMetrics(1, 1.0, 0.5, loss, accuracy, 0.1, 2.0, 100.0, 1000)


Begin = Callable[..., tuple[Confirming, ConfirmingDispatcher]]


@pytest.fixture
def begin(trials: dict[str, TrialConfig], tmp_path: Path) -> Begin:
    """Begins, or goes on with, confirming the first trial of each cell with two seeds."""

    def start(store: ResultsStore, trained_on: str = TRAIN) -> tuple[Confirming, ConfirmingDispatcher]:
        wanted = retrainings(["t0001", "t0002"], ["t0001", "t0002"], trials, seeds=2, trained_on=trained_on)
        reason = {"t0001": "first", "t0002": "second"}
        confirming = Confirming(wanted, store, tmp_path, reason=reason, commit="abc")
        machine = Machine(cores=9, memory_bytes=10**9, gpus=())
        there = (Node("node", "node", machine),)
        placer = Placer(Resources(), lambda: there, Needs(Path(), MemoryRecord()), trials=4)
        return confirming, ConfirmingDispatcher(confirming, store, root=Path(), placer=placer)

    return start


def table(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "confirmations.parquet")


def assigned(dispatcher: ConfirmingDispatcher, key: str) -> Assignment:
    assignment = dispatcher.assign(key)
    assert isinstance(assignment, Assignment)
    dispatcher.started(key)
    return assignment


def train(dispatcher: ConfirmingDispatcher, key: str, accuracy: float | None = 0.5) -> None:
    assert dispatcher.receive(key, EpochReport(metrics(accuracy)))


def test_a_configuration_counts_once_however_often_it_was_trained(trials: dict[str, TrialConfig]) -> None:
    ranked = list(trials)
    chosen = best_configurations(ranked, trials, top=9)
    texts = [trials[trial_id].model_copy(update={"seed": 0}).model_dump_json() for trial_id in ranked]
    assert chosen == [ranked[texts.index(text)] for text in dict.fromkeys(texts)]
    assert len(chosen) < len(ranked)
    assert best_configurations(ranked, trials, top=2) == chosen[:2]


def test_each_cell_may_send_its_best(trials: dict[str, TrialConfig]) -> None:
    cell_of = {trial_id: trial.model.model_dump()["activation"] for trial_id, trial in trials.items()}
    ranked = sorted(trials, key=lambda trial_id: cell_of[trial_id])
    chosen = best_configurations(ranked, trials, top=1, cell_of=cell_of)
    assert [cell_of[trial_id] for trial_id in chosen] == ["mish", "relu"]


def test_fresh_seeds_are_none_that_the_search_had_and_always_the_same() -> None:
    assert fresh_seeds({3, 4, 5}, 2) == [1_000_003, 1_000_004]
    assert fresh_seeds({3, 1_000_004}, 3) == [1_000_003, 1_000_005, 1_000_006]


def test_every_configuration_gets_the_same_seeds(trials: dict[str, TrialConfig]) -> None:
    wanted = retrainings(["t0001", "t0002"], ["t0001", "t0002"], trials, seeds=2, trained_on=TRAIN)
    assert [(one.source, one.trial.seed) for one in wanted] == [
        ("t0001", 1_000_003), ("t0002", 1_000_003), ("t0001", 1_000_004), ("t0002", 1_000_004),
    ]  # fmt: skip
    assert wanted[0].trial.model_copy(update={"seed": 3}) == trials["t0001"]
    everything = retrainings(["t0001"], ["t0001"], trials, seeds=1, trained_on=TRAIN_AND_VALIDATION)[0]
    assert everything.trial.dataset.validation_fraction == 0
    assert everything.configuration == wanted[0].configuration


def test_a_trial_that_stops_early_is_not_trained_without_validation_images(trials: dict[str, TrialConfig]) -> None:
    stopping = TrialConfig.model_validate({**trials["t0001"].model_dump(), "early_stopping": {"patience": 1}})
    with pytest.raises(ConfigError, match="t0001 stops early, by its validation accuracy"):
        retrainings(["t0001"], ["t0001"], {"t0001": stopping}, seeds=1, trained_on=TRAIN_AND_VALIDATION)


def test_the_test_split_is_opened_after_training_and_written_down_before(begin: Begin, tmp_path: Path) -> None:
    with retrainings_store(tmp_path, "small") as store:
        _, dispatcher = begin(store)
        assignment = assigned(dispatcher, "a")
        assert assignment.opens_test
        assert Path(assignment.checkpoints).parent == tmp_path / CONFIRM_FOLDER / "checkpoints"
        train(dispatcher, "a", 0.75)
        assert table(tmp_path)["openings"].tolist() == [0]
        assert dispatcher.receive("a", Trained())
        row = table(tmp_path).iloc[0]
        assert (row["openings"], row["commit"], row["reason"], row["status"]) == (1, "abc", "first", "running")
        assert not dispatcher.receive("a", Scored(0.625, 0.5))
        row = table(tmp_path).iloc[0]
        assert (row["validation_accuracy"], row["test_accuracy"], row["status"]) == (0.75, 0.625, "completed")
        assert row["train_seconds"] == 2


def test_what_the_table_answers_is_not_trained_again(begin: Begin, tmp_path: Path) -> None:
    with retrainings_store(tmp_path, "small") as store:
        confirming, dispatcher = begin(store)
        for key in "abcd":
            assigned(dispatcher, key)
            train(dispatcher, key)
            dispatcher.receive(key, Trained())
            dispatcher.receive(key, Scored(0.5, 0.5))
        assert dispatcher.assign("e") == "exhausted"
        assert confirming.answered == 0
    with retrainings_store(tmp_path, "small") as store:
        confirming, dispatcher = begin(store)
        assert confirming.answered == 4
        assert dispatcher.assign("a") == "exhausted"
        again, other = begin(store, TRAIN_AND_VALIDATION)
        assert again.answered == 0
        assert isinstance(other.assign("a"), Assignment)
    assert len(table(tmp_path)) == 5


@pytest.mark.parametrize("died_after", ["planned", "started", "trained", "opened", "scored", "completed"])
def test_a_driver_that_dies_at_any_moment_leaves_four_rows_and_no_second_score(
    begin: Begin, tmp_path: Path, died_after: str
) -> None:
    """The store is left open by the first driver: nothing is tidied up, as after a kill."""
    dead = retrainings_store(tmp_path, "small")
    confirming, dispatcher = begin(dead)
    steps = {
        "planned": lambda: dispatcher.assign("a"),
        "started": lambda: dispatcher.started("a"),
        "trained": lambda: train(dispatcher, "a"),
        "opened": lambda: dispatcher.receive("a", Trained()),
        "scored": lambda: confirming.score("t0001-train-seed1000003", Scored(0.875, 0.5)),
        "completed": lambda: dispatcher.receive("a", Scored(0.875, 0.5)),
    }
    for name in list(steps)[: list(steps).index(died_after) + 1]:
        if name != "scored" or died_after == "scored":
            steps[name]()
    dead._lock.close()

    with retrainings_store(tmp_path, "small") as store:
        _, dispatcher = begin(store)
        for key in "abcd":
            if dispatcher.assign(key) == "exhausted":
                break
            dispatcher.started(key)
            train(dispatcher, key)
            dispatcher.receive(key, Trained())
            dispatcher.receive(key, Scored(0.5, 0.5))
        assert dispatcher.assign("e") == "exhausted"
        openings = [note["trial_id"] for note in store.notes(OPENED)]
    rows = table(tmp_path)
    assert len(rows) == 4
    assert not rows.duplicated(["configuration", "seed", "trained_on"]).any()
    assert rows["status"].tolist() == ["completed"] * 4
    kept = died_after in ("scored", "completed")
    assert rows["test_accuracy"].tolist() == [0.875 if kept else 0.5, 0.5, 0.5, 0.5]
    assert len(openings) == rows["openings"].sum() == (5 if died_after == "opened" else 4)


def test_a_retraining_that_failed_is_tried_again_and_one_that_diverged_is_not(begin: Begin, tmp_path: Path) -> None:
    with retrainings_store(tmp_path, "small") as store:
        _, dispatcher = begin(store)
        for key, status in (("a", "failed"), ("b", "diverged")):
            assigned(dispatcher, key)
            dispatcher.receive(key, Ending(status, reason="why"))  # type: ignore[arg-type]
        assert table(tmp_path)["status"].tolist() == ["failed", "diverged"]
        assert table(tmp_path)["status_reason"].tolist() == ["why", "why"]
    with retrainings_store(tmp_path, "small") as store:
        confirming, _ = begin(store)
        assert [one.trial_id for one in confirming.unfinished()] == ["t0001-train-seed1000003"]
        assert confirming.answered == 1


def test_a_retraining_computes_on_as_many_threads_as_its_trial_of_the_search(
    trials: dict[str, TrialConfig], tmp_path: Path
) -> None:
    searched = ComputeEnvironment("cpu", "float32", 1, 2, "EPYC", "AVX2")
    wanted = retrainings(["t0001"], ["t0001"], trials, seeds=1, trained_on=TRAIN, environments={"t0001": searched})
    with ResultsStore.create(tmp_path / "confirm", sweep_name="small") as store:
        confirming = Confirming(wanted, store, tmp_path, reason={"t0001": "first"}, commit="abc")
        there = (Node("node", "node", Machine(cores=9, memory_bytes=10**9, gpus=())),)
        placer = Placer(Resources(cpus=4), lambda: there, Needs(Path(), MemoryRecord()), trials=1)
        dispatcher = ConfirmingDispatcher(confirming, store, root=Path(), placer=placer)
        assert assigned(dispatcher, "a").resources.threads == 2
        facts = {"device_name": "cpu", "precision": "float32", "processes": 1, **searched.processor_columns()}
        dispatcher.receive("a", EpochReport(metrics(0.5), facts | {"cpu_model": "Xeon"}))
        confirming.publish()
    (line,) = dispatcher.environments.new_lines()
    assert "EPYC then, Xeon now" in line
    row = table(tmp_path).iloc[0]
    assert (row["threads"], row["cpu_model"], row["instruction_set"]) == (2, "Xeon", "AVX2")
