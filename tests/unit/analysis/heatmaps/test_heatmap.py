"""Heat maps: the right trials in the right cells, compared at an equal epoch."""

from __future__ import annotations

import math
import statistics
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_tune.analysis import draw_heatmap, heatmap
from cifar_tune.errors import AnalysisError
from cifar_tune.results import Frames
from cifar_tune.results.image_worth import FEW_IMAGES


def accuracy(lr: float, activation: str, epoch: int) -> float:
    top = 0.9 - 0.05 * (math.log10(lr) + 1) ** 2 + (0.01 if activation == "mish" else 0)
    return top * (1 - math.exp(-epoch / 3))


def test_cells_hold_the_value_at_the_last_epoch_that_all_completed_trials_reached(frames: Frames) -> None:
    result = heatmap(frames.trials, "optimizer.lr", "model.activation", epochs=frames.epochs)
    assert result.epoch == 9
    assert result.value.index.tolist() == ["mish", "relu"]
    assert result.value.columns.tolist() == [0.01, 0.1, 1.0]
    assert result.value.loc["relu", 0.01] == pytest.approx(accuracy(0.01, "relu", 9))
    assert result.n.to_numpy().tolist() == [[0, 1, 0], [1, 1, 0]]
    assert result.trials.to_numpy().tolist() == [[0, 1, 1], [1, 2, 1]]


def test_cells_whose_trials_all_ended_before_are_marked_and_empty_ones_are_not(frames: Frames) -> None:
    result = heatmap(frames.trials, "optimizer.lr", "model.activation", epochs=frames.epochs)
    assert result.stopped.to_numpy().tolist() == [[False, False, True], [False, False, True]]
    assert result.furthest.loc["relu", 1.0] == 3
    assert result.furthest.loc["mish", 1.0] == 0
    assert math.isnan(result.furthest.loc["mish", 0.01])


def test_at_an_early_epoch_trials_count_that_were_stopped_later(frames: Frames) -> None:
    result = heatmap(frames.trials, "optimizer.lr", "model.activation", epochs=frames.epochs, at_epoch=3)
    assert result.n.loc["relu"].tolist() == [1, 2, 1]
    assert result.value.loc["relu", 1.0] == pytest.approx(accuracy(1.0, "relu", 3))
    assert result.stopped.loc["mish", 1.0]


@pytest.mark.parametrize("prefix", ["", "trial."])
def test_parameters_are_named_with_or_without_prefix(frames: Frames, prefix: str) -> None:
    result = heatmap(frames.trials, f"{prefix}optimizer.lr", f"{prefix}model.activation", epochs=frames.epochs)
    assert (result.x.name, result.y.name) == ("optimizer.lr", "model.activation")


def test_without_the_epochs_only_completed_trials_count(frames: Frames) -> None:
    result = heatmap(frames.trials, "optimizer.lr", "model.activation")
    assert result.epoch is None
    assert result.n.to_numpy().tolist() == [[0, 1, 0], [1, 1, 0]]
    assert result.value.loc["mish", 0.1] == pytest.approx(accuracy(0.1, "mish", 9))


def test_a_metric_without_epochs_counts_completed_trials_and_less_is_better(frames: Frames) -> None:
    trials = frames.trials.assign(num_parameters=[5, 7, 1, 1, 3, 1])
    result = heatmap(trials, "model.activation", metric="num_parameters", epochs=frames.epochs)
    assert result.epoch is None
    assert result.value.to_numpy().tolist() == [[3, 5]]


def test_best_metrics_are_the_best_up_to_the_epoch(frames: Frames) -> None:
    epochs = frames.epochs.copy()
    epochs.loc[(epochs["trial_id"] == "t000") & (epochs["epoch"] == 2), "validation_accuracy"] = 0.99
    at = {"epochs": epochs, "at_epoch": 3}
    assert heatmap(frames.trials, "optimizer.lr", metric="best_validation_accuracy", **at).value.iloc[0, 0] == 0.99
    last = heatmap(frames.trials, "optimizer.lr", metric="validation_accuracy", **at).value.iloc[0, 0]
    assert last == pytest.approx(accuracy(0.01, "relu", 3))


def test_an_epoch_that_skipped_validation_takes_the_value_before(frames: Frames) -> None:
    epochs = frames.epochs.copy()
    epochs.loc[epochs["epoch"] == 3, "validation_accuracy"] = np.nan
    result = heatmap(frames.trials, "optimizer.lr", epochs=epochs, at_epoch=3)
    assert result.n.to_numpy().tolist() == [[1, 3, 1]]
    assert result.value.iloc[0, 0] == pytest.approx(accuracy(0.01, "relu", 2))


def test_while_nothing_has_completed_cells_are_compared_where_each_has_a_trial(frames: Frames) -> None:
    under_way = frames.trials.assign(status="running")
    result = heatmap(under_way, "optimizer.lr", epochs=frames.epochs)
    assert result.epoch == 3
    assert result.n.to_numpy().tolist() == [[1, 3, 1]]
    nothing = heatmap(under_way, "optimizer.lr", epochs=frames.epochs.head(0))
    assert nothing.epoch == 0
    assert nothing.n.to_numpy().sum() == 0
    assert nothing.stopped.to_numpy().all()


def test_the_tables_of_read_parquet_will_do(sweep: Path) -> None:
    trials, epochs = (pd.read_parquet(sweep / f"{name}.parquet") for name in ("trials", "epochs"))
    assert heatmap(trials, "optimizer.lr", epochs=epochs).n.to_numpy().tolist() == [[1, 2, 0]]


def test_trials_of_two_sweeps_with_the_same_names_stay_apart(frames: Frames) -> None:
    other = [frame.assign(sweep="other") for frame in frames[:2]]
    other[1] = other[1].assign(validation_accuracy=0.5)
    trials, epochs = (pd.concat(pair, ignore_index=True) for pair in zip(frames[:2], other, strict=True))
    result = heatmap(trials, "sweep", epochs=epochs)
    assert result.value.loc[:, "other"].tolist() == [0.5]
    assert result.value.loc[:, "s"].tolist() == [pytest.approx(accuracy(0.1, "mish", 9))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": "optimizer.rl"}, "no parameter `optimizer.rl`; did you mean `optimizer.lr`?"),
        ({"x": "activation"}, "no parameter `activation`; did you mean `model.activation`?"),
        ({"x": "zzz"}, "no parameter `zzz`; there are model.name, model.activation, optimizer.lr, epochs"),
        (
            {"x": "optimizer.lr", "metric": "accuracy"},
            "`accuracy` is not a metric; did you mean `validation_accuracy`?",
        ),
        ({"x": "optimizer.lr", "metric": "val_acc"}, "`val_acc` is not a metric; did you mean `validation_accuracy`?"),
        ({"x": "optimizer.lr", "metric": "loss"}, "`loss` is not a metric; did you mean `validation_loss`?"),
        ({"x": "opt.lr"}, "no parameter `opt.lr`; did you mean `optimizer.lr`?"),
        ({"x": "optimizer.lr", "metric": "device_name"}, "`device_name` holds no numbers; there are "),
        ({"x": "optimizer.lr", "y": "trial.optimizer.lr"}, "x and y are both `optimizer.lr`; name two parameters"),
        ({"x": "optimizer.lr", "aggregate": "max"}, "`max` is not a way to aggregate; there are best, mean, median"),
        ({"x": "optimizer.lr", "at_epoch": 10}, "no trial can be compared at epoch 10; trials reached epochs 1 to 9"),
        ({"x": "optimizer.lr", "at_epoch": 0}, "no trial can be compared at epoch 0; trials reached epochs 1 to 9"),
        ({"x": "optimizer.lr", "at_epoch": 3, "metric": "num_parameters"}, "`num_parameters` is not measured by epoch"),
        ({"x": "optimizer.lr", "at_epoch": 3, "epochs": None}, "the epochs table was not given"),
    ],
)
def test_what_the_tables_cannot_answer_is_said(frames: Frames, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(AnalysisError) as error:
        heatmap(frames.trials, **({"epochs": frames.epochs} | arguments))
    assert message in str(error.value)


def test_a_table_without_trials_is_refused(frames: Frames) -> None:
    with pytest.raises(AnalysisError, match="there are no trials yet"):
        heatmap(frames.trials.head(0), "optimizer.lr")


trial_rows = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from([1, 2]),
        st.lists(st.floats(0, 1), max_size=4),
        st.sampled_from(["completed", "stopped", "diverged"]),
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=40, deadline=None)
@given(
    rows=trial_rows, aggregate=st.sampled_from(["best", "mean", "median"]), metric=st.sampled_from(["accuracy", "loss"])
)
def test_every_cell_agrees_with_a_plain_loop(
    rows: list[tuple[str, int, list[float], str]], aggregate: str, metric: str
) -> None:
    metric = f"validation_{metric}"
    trials = pd.DataFrame(
        {
            "trial_id": [str(place) for place in range(len(rows))],
            "status": [row[3] for row in rows],
            "trial.x": [row[0] for row in rows],
            "trial.y": [row[1] for row in rows],
            "trial.z": range(len(rows)),
            metric: [row[2][-1] if row[2] else np.nan for row in rows],
        }
    )
    epochs = pd.DataFrame(
        [(str(place), epoch, value) for place, row in enumerate(rows) for epoch, value in enumerate(row[2], start=1)],
        columns=["trial_id", "epoch", metric],
    )
    result = heatmap(trials, "x", "y", metric, epochs=epochs, aggregate=aggregate)
    reached = [len(row[2]) for row in rows if row[3] == "completed"]
    if reached and min(reached) > 0:
        assert result.epoch == min(reached)
    better = max if metric == "validation_accuracy" else min
    how = {"best": better, "mean": statistics.fmean, "median": statistics.median}[aggregate]
    for y in result.value.index:
        for x in result.value.columns:
            cell = [row for row in rows if (row[0], row[1]) == (x, y)]
            counted = [row[2][result.epoch - 1] for row in cell if result.epoch and len(row[2]) >= result.epoch]
            assert result.trials.loc[y, x] == len(cell)
            assert result.n.loc[y, x] == len(counted)
            assert result.stopped.loc[y, x] == (bool(cell) and not counted)
            value, spread = result.value.loc[y, x], result.spread.loc[y, x]
            assert value == pytest.approx(how(counted)) if counted else math.isnan(value)
            assert (
                spread == pytest.approx(statistics.stdev(counted), abs=1e-9) if len(counted) > 1 else math.isnan(spread)
            )


@pytest.mark.slow
def test_a_heat_map_of_ten_thousand_trials_is_computed_and_drawn_within_three_seconds(tmp_path: Path) -> None:
    """Of CPU time, which a busy machine does not stretch."""
    draw = np.random.default_rng(0)
    names = [f"t{place:05d}" for place in range(10_000)]
    trials = pd.DataFrame({"trial_id": names, "status": "completed", "trial.lr": 10 ** draw.uniform(-3, 0, 10_000)})
    trials["trial.activation"] = draw.choice(["relu", "mish", "serf"], 10_000)
    trials["validation_accuracy"] = draw.uniform(0, 1, 10_000)
    epochs = pd.DataFrame({"trial_id": np.repeat(names, 27), "epoch": np.tile(np.arange(1, 28), 10_000)})
    epochs["validation_accuracy"] = draw.uniform(0, 1, len(epochs))
    began = time.process_time()
    result = heatmap(trials, "lr", "activation", epochs=epochs)
    draw_heatmap(result, tmp_path / "h.png")
    assert time.process_time() - began < 3
    assert result.n.to_numpy().sum() == 10_000


def test_seeds_of_one_configuration_are_averaged_before_the_best_of_a_cell_is_taken() -> None:
    trials = pd.DataFrame(
        {
            "trial_id": list("abcd"),
            "status": "completed",
            "trial.x": "relu",
            "trial.lr": [0.1, 0.1, 0.2, 0.2],
            "trial.seed": [0, 1, 0, 1],
            "validation_accuracy": [0.9, 0.5, 0.8, 0.75],
        }
    )
    drawn = heatmap(trials, "x")
    assert drawn.value.iloc[0, 0] == pytest.approx((0.8 + 0.75) / 2)
    assert drawn.n.iloc[0, 0] == 4


def test_few_validation_images_are_said_in_the_heat_map_and_many_are_not() -> None:
    trials = pd.DataFrame(
        {
            "trial_id": ["a", "b"],
            "status": "completed",
            "trial.x": ["relu", "mish"],
            "validation_accuracy": [0.5, 0.75],
            "validation_images": 20,
        }
    )
    assert heatmap(trials, "x").few_images == 20
    assert heatmap(trials.assign(validation_images=FEW_IMAGES), "x").few_images is None
    assert heatmap(trials.drop(columns="validation_images"), "x").few_images is None
    assert heatmap(trials.assign(train_seconds=1.0), "x", metric="train_seconds").few_images is None
