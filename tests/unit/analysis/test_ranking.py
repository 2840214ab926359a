"""Rankings: completed trials only, best first."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from cifar_tune.analysis.few_images import not_told_apart
from cifar_tune.analysis.ranking import failures, furthest, ranking, status_counts
from cifar_tune.errors import AnalysisError
from cifar_tune.results import Frames


def test_only_completed_trials_rank_the_best_first(frames: Frames) -> None:
    table = ranking(frames.trials)
    assert table["trial_id"].tolist() == ["t004", "t001", "t000"]
    assert table["rank"].tolist() == [1, 2, 3]
    assert table.columns.tolist() == [
        "rank", "trial_id", "validation_accuracy", "epochs_trained", "train_seconds",
        "trial.model.activation", "trial.optimizer.lr",
    ]  # fmt: skip
    assert table["train_seconds"].tolist() == [18.0] * 3
    assert len(ranking(frames.trials, top=2)) == 2


def test_the_lowest_loss_ranks_first_and_equal_values_share_a_rank(frames: Frames) -> None:
    assert ranking(frames.trials, "validation_loss")["trial_id"].tolist() == ["t004", "t001", "t000"]
    tied = frames.trials.assign(validation_accuracy=[0.5, 0.7, 0.9, 0.9, 0.7, np.nan])
    table = ranking(tied)
    assert list(zip(table["trial_id"], table["rank"], strict=True)) == [("t001", 1), ("t004", 1), ("t000", 3)]


def test_a_stopped_trial_never_ranks_however_good(frames: Frames) -> None:
    table = ranking(frames.trials.assign(validation_accuracy=[0.1, 0.1, 1.0, 1.0, 0.1, 1.0]))
    assert set(table["trial_id"]) == {"t000", "t001", "t004"}


def test_several_sweeps_are_named_in_the_ranking(frames: Frames) -> None:
    several = frames.trials.assign(sweep=["a", "b"] * 3)
    assert ranking(several).columns.tolist()[:3] == ["rank", "sweep", "trial_id"]


def test_a_metric_that_the_table_has_anyway_stands_in_it_once(frames: Frames) -> None:
    for table in (ranking(frames.trials, "train_seconds"), furthest(frames.trials, "train_seconds", top=2)):
        assert table.columns.tolist().count("train_seconds") == 1


def test_those_that_got_furthest_come_without_rank(frames: Frames) -> None:
    table = furthest(frames.trials, top=4)
    assert table["trial_id"].tolist() == ["t004", "t001", "t000", "t002"]
    assert "rank" not in table.columns


def test_trials_are_counted_by_status(frames: Frames) -> None:
    assert status_counts(frames.trials) == {"completed": 3, "stopped": 2, "diverged": 1}
    assert status_counts(frames.trials.head(0)) == {}


def test_failures_are_grouped_by_the_last_line_of_their_message(frames: Frames) -> None:
    trials = frames.trials.assign(
        status=["failed", "failed", "failed", "completed", "diverged", "failed"],
        error=["Trace\nValueError: x", "ValueError: x", "OSError: y", "ignored", None, None],
        status_reason=[None, None, None, None, "loss not finite", None],
    )
    table = failures(trials)
    assert table.iloc[0].tolist() == ["failed", "ValueError: x", 2, "t000"]
    assert set(table["message"]) == {"ValueError: x", "OSError: y", "loss not finite", "no message"}
    assert failures(frames.trials.head(1)).empty


def test_a_metric_that_is_not_there_is_refused(frames: Frames) -> None:
    with pytest.raises(AnalysisError, match="did you mean `validation_accuracy`"):
        ranking(frames.trials, "validation_acuracy")


def seeds(**columns: object) -> pd.DataFrame:
    """Three seeds of one configuration and one of another; the best single trial is of the first."""
    table = {
        "sweep": "s",
        "trial_id": ["t1", "t2", "t3", "t4"],
        "status": "completed",
        "epochs_trained": 3,
        "train_seconds": [1.0, 2.0, 3.0, 4.0],
        "trial.lr": [0.1, 0.2, 0.1, 0.1],
        "trial.seed": [0, 0, 1, 2],
        "validation_accuracy": [0.9, 0.8, 0.6, 0.6],
    }
    return pd.DataFrame(table | columns)


def test_seeds_of_one_configuration_are_one_row_with_their_mean_and_number() -> None:
    table = ranking(seeds())
    assert table["trial_id"].tolist() == ["t2", "t1"]
    assert table["validation_accuracy"].tolist() == pytest.approx([0.8, (0.9 + 0.6 + 0.6) / 3])
    assert table["n"].tolist() == [1, 3]
    assert table["train_seconds"].tolist() == pytest.approx([2.0, (1 + 3 + 4) / 3])
    assert "trial.seed" not in table.columns
    assert ranking(seeds(), by_seed=True)["trial_id"].tolist() == ["t1", "t2", "t3", "t4"]


def test_a_member_of_a_population_is_no_seed_of_another_trial() -> None:
    assert len(ranking(seeds(parent=[None, None, "t1", "t1"]))) == 4


def test_few_validation_images_give_each_row_wilsons_interval_and_many_give_none() -> None:
    table = ranking(seeds(validation_images=20).iloc[:2])
    expected = [binomtest(round(share * 20), 20).proportion_ci(method="wilson") for share in (0.9, 0.8)]
    assert table["interval"].tolist() == [f"{100 * one.low:.1f} to {100 * one.high:.1f}" for one in expected]
    assert "interval" not in ranking(seeds(validation_images=1000))
    assert "interval" not in ranking(seeds(validation_images=20), "train_seconds")


@pytest.mark.parametrize("images", [19, 100, 500])
def test_trials_are_told_apart_where_mcnemars_test_may_be_significant(images: int) -> None:
    """Against the exact test on the images where the two disagree, at its most favourable: only the better is right."""
    for lead in range(images // 2):
        values = pd.Series([0.9, 0.9 - lead / images])
        exact = binomtest(lead, lead, alternative="greater").pvalue if lead else 1.0
        if exact >= 0.1:
            assert not_told_apart(values, images) == 2
        if exact < 0.01:
            assert not_told_apart(values, images) == 1


def test_more_trials_need_a_larger_lead() -> None:
    lead = 6 / 100
    assert not_told_apart(pd.Series([0.9, 0.9 - lead]), 100) == 1
    assert not_told_apart(pd.Series([0.9, *[0.9 - lead] * 9]), 100) == 10
