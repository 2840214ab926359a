"""Differences: to the baseline, between training and validation, between sweeps, and what a point of accuracy cost."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cifar_tune.analysis import (
    ablation,
    compare,
    comparison_figure,
    cost,
    cost_of_accuracy,
    gap_figure,
    generalization,
)
from cifar_tune.analysis.ablation_figure import ablation_figure, ablation_words
from cifar_tune.analysis.comparison import comparison_words
from cifar_tune.analysis.cost import cost_words, point_text
from cifar_tune.analysis.difference import difference
from cifar_tune.analysis.reports.text_table import text_table
from cifar_tune.errors import AnalysisError
from cifar_tune.results import Frames

START = datetime(2026, 1, 1, tzinfo=UTC)


def sweep_of(rows: list[tuple[float, int, float]], name: str = "s", **columns: object) -> pd.DataFrame:
    """Completed trials of learning rate, seed and accuracy, ten minutes each, one after the other."""
    count = len(rows)
    return pd.DataFrame(
        {
            "sweep": name,
            "trial_id": [f"t{place}" for place in range(count)],
            "status": "completed",
            "baseline": [place == 0 for place in range(count)],
            "trial.optimizer.lr": [row[0] for row in rows],
            "trial.ema.decay": np.nan,
            "trial.seed": [row[1] for row in rows],
            "seed": [row[1] for row in rows],
            "validation_accuracy": [row[2] for row in rows],
            "train_accuracy": [row[2] + 0.05 for row in rows],
            "generalization_gap": 0.05,
            "epochs_trained": 2,
            "train_seconds": 600.0,
            "gpu_seconds": 0.0,
            "device_name": "cpu",
            "ended_at": [pd.Timestamp(START + timedelta(minutes=10 * (place + 1))) for place in range(count)],
            **columns,
        }
    )


def frames_with_epochs(trials: pd.DataFrame) -> Frames:
    """Half of the accuracy after the first epoch, all of it after the second."""
    rows = [
        (trial.trial_id, epoch, trial.validation_accuracy * epoch / 2)
        for trial in trials.itertuples()
        for epoch in (1, 2)
    ]
    epochs = pd.DataFrame(rows, columns=["trial_id", "epoch", "validation_accuracy"])
    return Frames(trials, epochs, pd.DataFrame())


def test_a_difference_is_paired_where_seeds_pair_and_of_welch_where_not() -> None:
    one, other = pd.Series([0.9, 0.8, 0.85], [1, 2, 3]), pd.Series([0.7, 0.75, 0.72], [1, 2, 3])
    paired = difference(one, other)
    expected = stats.ttest_rel(one, other).confidence_interval(0.95)
    assert (paired.low, paired.high) == pytest.approx((expected.low, expected.high))
    assert paired.interval == "paired t, n = 3"
    apart = difference(one, other.set_axis([4, 5, 6]))
    expected = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert (apart.low, apart.high) == pytest.approx((expected.low, expected.high))
    assert apart.interval == "Welch t, n = 3 and 3"
    wide = difference(one.head(2) * 0 + [0.1, 0.9], other.head(2) * 0, largest=1.0)
    assert (wide.mean, wide.low, wide.high) == (0.5, -1.0, 1.0)
    single = difference(one.head(1), other)
    assert (single.mean, single.interval) == (pytest.approx(0.9 - other.mean()), "n = 1")
    assert math.isnan(single.low)


def test_the_ablation_names_each_change_and_its_difference_to_the_baseline() -> None:
    trials = sweep_of([(0.1, 0, 0.6), (0.2, 0, 0.7), (0.2, 1, 0.8), (0.1, 1, 0.62), (0.4, 0, 0.5), (0.4, 0, 0.9)])
    trials.loc[[4, 5], "trial.ema.decay"] = [0.9, math.nan]
    trials.loc[5, "status"] = "stopped"
    table = ablation(trials)
    assert table["change"].tolist() == ["baseline", "optimizer.lr=0.2", "optimizer.lr=0.4, ema.decay=0.9"]
    assert table["changes"].tolist() == [0, 1, 2]
    assert table["n"].tolist() == [2, 2, 1]
    assert table["difference"].tolist() == pytest.approx([0, 0.14, -0.11])
    assert table["interval"].tolist() == ["", "paired t, n = 2", "n = 1"]
    assert table.loc[1, "low"] < 0.14 < table.loc[1, "high"]
    assert table.loc[[0, 2], ["low", "high"]].isna().all(axis=None)
    assert ablation(trials, most_changes=1)["changes"].tolist() == [0, 1]
    assert ablation(trials, baseline="t4")["change"].tolist()[0] == "baseline"
    back = ablation(trials, baseline="t4").set_index("trial_id")
    assert back.loc["t0", "change"] == "optimizer.lr=0.1, ema.decay=not set"


def test_an_ablation_of_the_baseline_alone_has_one_row() -> None:
    assert ablation(sweep_of([(0.1, 0, 0.6)])).to_dict("records")[0] | {"low": 0, "high": 0} == {
        "trial_id": "t0", "change": "baseline", "changes": 0, "n": 1, "value": 0.6, "difference": 0.0,
        "low": 0, "high": 0, "interval": "",
    }  # fmt: skip


def test_an_ablation_needs_a_baseline_that_counts() -> None:
    trials = sweep_of([(0.1, 0, 0.6), (0.2, 0, 0.7)]).assign(baseline=False)
    with pytest.raises(AnalysisError, match="no trial marked as baseline to compare with"):
        ablation(trials)
    with pytest.raises(AnalysisError, match="no trial `t9` to compare with"):
        ablation(trials, baseline="t9")


def test_the_gap_is_told_of_completed_trials_best_first(frames: Frames) -> None:
    table = generalization(frames.trials)
    assert table["trial_id"].tolist() == ["t004", "t001", "t000"]
    expected = table["train_accuracy"] - table["validation_accuracy"]
    assert table["generalization_gap"].tolist() == pytest.approx(expected.tolist())
    figure = gap_figure(table)
    figure.canvas.draw()
    assert "3 completed trials · ring: the most accurate · training images as they were augmented" in [
        text.get_text() for text in figure.axes[0].texts
    ]
    gap_figure(table.head(0)).canvas.draw()


def test_two_sweeps_are_compared_at_equal_epochs_and_equal_cost() -> None:
    a = frames_with_epochs(sweep_of([(0.1, 0, 0.6), (0.2, 0, 0.7), (0.3, 0, 0.65), (0.4, 0, 0.8)], "a"))
    b = frames_with_epochs(sweep_of([(0.1, 0, 0.75), (0.1, 1, 0.5)], "b"))
    found = compare(a, b)
    assert found.names == ("a", "b")
    assert found.at_epoch.to_dict("list") == {
        "epoch": [1, 2], "a": [0.4, 0.8], "b": [0.375, 0.75], "n a": [4, 4], "n b": [2, 2],
    }  # fmt: skip
    assert found.at_cost["hours"].tolist() == pytest.approx([1 / 12, 1 / 6, 1 / 4, 1 / 3])
    assert found.at_cost["a"].tolist()[1:] == [0.6, 0.6, 0.7]
    assert found.at_cost["b"].tolist()[1:] == [0.75, 0.75, 0.75]
    assert math.isnan(found.at_cost["a"][0])
    assert found.distribution.loc["median"].tolist() == pytest.approx([0.675, 0.625])
    assert found.distribution.loc["best"].tolist() == [0.8, 0.75]
    figure = comparison_figure(found)
    figure.canvas.draw()
    assert "a: 4 completed trials · b: 2 completed trials" in [text.get_text() for text in figure.texts]


def test_the_comparison_names_what_varies_and_what_differs_between_the_sweeps() -> None:
    a = sweep_of([(place / 10, 0, place / 10) for place in range(1, 6)], "a", **{"trial.dataset.name": "cifar10"})
    b = sweep_of([(0.1, 0, 0.75), (0.2, 0, 0.5)], "b", **{"trial.dataset.name": "cifar100", "trial.width": 8})
    table = compare(frames_with_epochs(a), frames_with_epochs(b)).parameters
    assert table.to_numpy().tolist() == [
        ["optimizer.lr", "0.1 to 0.5", "0.1, 0.2", "0.5", "0.1"],
        ["dataset.name", "cifar10", "cifar100", "cifar10", "cifar100"],
        ["width", "–", "8", "–", "8"],
    ]


@pytest.mark.parametrize("rows", [0, 1])
def test_sweeps_with_hardly_a_trial_are_compared_too(rows: int) -> None:
    one = frames_with_epochs(sweep_of([(0.1, 0, 0.6)]))
    other = frames_with_epochs(sweep_of([(0.1, 0, 0.7)]).head(rows))
    found = compare(one, other)
    assert found.names == (("s (first)", "s (second)") if rows else ("s", "second"))
    assert len(found.at_epoch) == 2 * rows
    comparison_figure(found).canvas.draw()
    with pytest.raises(AnalysisError, match="did you mean `validation_accuracy`"):
        compare(one, other, "accuracy")


def test_money_is_hours_of_gpus_or_of_training_times_the_price() -> None:
    trials = sweep_of([(0.1, 0, 0.6), (0.2, 0, 0.7), (0.3, 0, 0.7)])
    trials["device_name"] = ["cpu", "H100", None]
    trials["gpu_seconds"] = [0.0, 1800.0, 0.0]
    trials.loc[2, "train_seconds"] = 0.0
    table = cost(trials, {"H100": 3.0, "cpu": 0.6}).set_index("device_name")
    assert table["money"].to_dict() == pytest.approx({"H100": 1.5, "cpu": 0.1, "not known": 0.0})
    assert "money" not in cost(trials)
    with pytest.raises(AnalysisError, match="no price for `cpu`; there are prices for `H100`"):
        cost(trials, {"H100": 3.0})


def test_what_duplicates_took_is_told_by_ending_and_device() -> None:
    trials = sweep_of([(0.1, 0, 0.6), (0.1, 1, 0.7), (0.3, 0, 0.7), (0.3, 1, 0.7)])
    trials["status"] = ["completed", "completed", "stopped", "stopped"]
    trials["device_name"] = ["cpu", "cpu", "H100", "H100"]
    trials["gpu_seconds"] = [0.0, 0.0, 100.0, 200.0]
    table = cost(trials)
    of_duplicates = table.set_index("status")[["duplicates", "duplicate_train_seconds", "duplicate_gpu_seconds"]]
    assert of_duplicates.loc["completed"].tolist() == [1, 600, 0]
    assert of_duplicates.loc["stopped"].tolist() == [1, 600, 200]
    assert text_table(cost_words(table)).heads[-3:] == ("duplicates", "their seconds", "their GPU seconds")
    assert list(cost_words(cost(trials.iloc[[0, 2]])).columns)[-1] == "share"


def confirmations_of(means: dict[str, float], **columns: object) -> pd.DataFrame:
    rows = [
        (trial_id, seed, mean + shift) for trial_id, mean in means.items() for seed, shift in ((7, 0.01), (8, -0.01))
    ]
    table = pd.DataFrame(rows, columns=["trial_id", "seed", "validation_accuracy"])
    table = table.assign(sweep="s", configuration=table["trial_id"], trained_on="train", status="completed")
    return table.assign(test_accuracy=0.5, test_loss=1.0, validation_loss=1.0, **columns)


def test_a_confirmed_point_of_accuracy_has_its_price_in_hours_and_money() -> None:
    trials = sweep_of([(0.1, 0, 0.6), (0.2, 0, 0.7), (0.3, 0, 0.65)])
    row = cost_of_accuracy(trials, confirmations_of({"t1": 0.68, "t0": 0.6}), {"cpu": 2.0}).iloc[0]
    assert row["baseline_is"] == "confirmed"
    assert row[["hours", "points", "hours_per_point", "money", "money_per_point"]].tolist() == pytest.approx(
        [0.5, 8.0, 0.5 / 8, 1.0, 1 / 8]
    )
    searched = cost_of_accuracy(trials, confirmations_of({"t1": 0.68})).iloc[0]
    assert (searched["baseline_is"], searched["baseline"]) == ("as searched", 0.6)
    assert math.isnan(cost_of_accuracy(trials, confirmations_of({"t1": 0.55})).loc[0, "hours_per_point"])


def test_without_confirmation_or_baseline_no_point_has_a_price() -> None:
    trials = sweep_of([(0.1, 0, 0.6), (0.2, 0, 0.7)])
    assert cost_of_accuracy(trials, pd.DataFrame()).empty
    assert cost_of_accuracy(trials, confirmations_of({"t1": 0.7}, trained_on="train+validation")).empty
    assert cost_of_accuracy(trials.assign(baseline=False), confirmations_of({"t1": 0.7})).empty


def test_the_price_of_a_point_is_told_in_a_sentence() -> None:
    trials = sweep_of([(0.1, 0, 0.6), (0.2, 0, 0.7), (0.3, 0, 0.65)])
    assert point_text(cost_of_accuracy(trials, confirmations_of({"t1": 0.68}))) == (
        "The sweep spent 0.5 device hours, 0.0625 for each point: the confirmed best is +8.00 points from the baseline"
        " (as searched)."
    )
    assert point_text(cost_of_accuracy(trials, confirmations_of({"t1": 0.55}))) == (
        "The sweep spent 0.5 device hours; the confirmed best is -5.00 points from the baseline (as searched)."
    )
    assert point_text(cost_of_accuracy(trials, pd.DataFrame())) is None


def test_an_ablation_in_words_and_drawn_has_signs_intervals_and_hollow_points() -> None:
    """Paired over two seeds, the difference of 1 and 3 points has the interval 2 ± 12.706 * 1."""
    trials = sweep_of([(0.1, 0, 0.80), (0.1, 1, 0.80), (0.2, 0, 0.81), (0.2, 1, 0.83), (0.3, 0, 0.75)])
    table = ablation(trials, most_changes=1)
    words = ablation_words(table, "validation_accuracy")
    assert words.loc[words["change"] == "baseline", "difference"].tolist() == [""]
    shown = words.set_index("change")
    assert shown.loc["optimizer.lr=0.2", ["difference", "95 % interval"]].tolist() == ["+2.0", "−10.7 to +14.7"]
    assert shown.loc["optimizer.lr=0.3", ["difference", "95 % interval"]].tolist() == ["−5.0", ""]
    figure = ablation_figure(table)
    texts = [text.get_text() for text in figure.texts]
    assert "baseline: 80.0 (n = 2) · bars: 95 % interval · hollow: one seed, so no interval" in texts
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["optimizer.lr=0.3", "optimizer.lr=0.2"]


def test_an_ablation_of_few_changes_leaves_out_the_others() -> None:
    trials = sweep_of([(0.1, 0, 0.8), (0.2, 0, 0.9), (0.3, 0, 0.7)]).assign(
        **{"trial.ema.decay": [np.nan, np.nan, 0.9]}
    )
    assert ablation(trials, most_changes=1)["change"].tolist() == ["baseline", "optimizer.lr=0.2"]


def test_a_comparison_in_words_has_both_sweeps_side_by_side() -> None:
    a, b = (
        frames_with_epochs(sweep_of(rows, name))
        for rows, name in (([(0.1, 0, 0.8), (0.2, 0, 0.9)], "a"), ([(0.1, 0, 0.6)], "b"))
    )
    words = comparison_words(compare(a, b)).set_index("quantity")
    assert words.loc["completed trials"].tolist() == ["2", "1"]
    assert words.loc["best at epoch 2"].tolist() == ["90.0", "60.0"]
    assert words.loc["best of the completed trials"].tolist() == ["90.0", "60.0"]
    (cost_row,) = [name for name in words.index if str(name).startswith("best after 0.167 hours")]
    assert words.loc[cost_row].tolist() == ["80.0", "60.0"]
