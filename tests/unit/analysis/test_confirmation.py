"""Confirmations: means, intervals, ties and the winner's curse, against SciPy, a formula or a simulation."""

from __future__ import annotations

import math
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from cifar_tune.analysis.confirmation import compare, confirmed, estimate, estimate_proportion, winners_curse
from cifar_tune.analysis.confirmation_text import confirmation_answer, confirmation_findings
from cifar_tune.analysis.reports.overview import print_confirmations
from cifar_tune.analysis.sweep_file import SweepFile

VALUES = [0.71, 0.74, 0.69, 0.75, 0.72]


def by_seed(values: list[float], first: int = 0) -> pd.Series[float]:
    return pd.Series(values, range(first, first + len(values)))


def retrained(
    scores: dict[str, list[tuple[float | None, float | None]]], trained_on: str = "train", status: str = "completed"
) -> pd.DataFrame:
    """Rows of confirmations.parquet from pairs of validation and test accuracy, a seed each."""
    rows = [
        {
            "sweep": "s",
            "trial_id": trial_id,
            "configuration": f"({trial_id})",
            "seed": seed,
            "trained_on": trained_on,
            "status": status if test is not None else "diverged",
            "status_reason": None if test is not None else "the loss was not finite",
            "validation_accuracy": validation,
            "validation_loss": None if validation is None else 1 - validation,
            "test_accuracy": test,
            "test_loss": None if test is None else 1 - test,
        }
        for trial_id, pairs in scores.items()
        for seed, (validation, test) in enumerate(pairs)
    ]
    frame = pd.DataFrame(rows)
    return frame.astype({name: float for name in frame.columns if name.endswith(("accuracy", "loss"))})


def searched(**accuracies: float) -> pd.DataFrame:
    frame = pd.DataFrame({"trial_id": list(accuracies), "validation_accuracy": list(accuracies.values())})
    rates = [0.1 * (1 + place) for place in range(len(frame))]
    return frame.assign(
        sweep="s", status="completed", validation_loss=1 - frame["validation_accuracy"], **{"trial.optimizer.lr": rates}
    )


def test_an_estimate_is_that_of_scipy() -> None:
    found = estimate([*VALUES, math.nan])
    low, high = stats.t.interval(0.95, 4, np.mean(VALUES), stats.sem(VALUES))
    assert (found.n, found.mean, found.deviation) == (5, np.mean(VALUES), pytest.approx(np.std(VALUES, ddof=1)))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_one_value_has_no_interval_and_none_has_nothing() -> None:
    one = estimate([0.5])
    assert (one.n, one.mean) == (1, 0.5)
    assert all(math.isnan(value) for value in (one.deviation, one.low, one.high))
    assert estimate([]).n == 0
    assert math.isnan(estimate([]).mean)


def test_shared_seeds_are_compared_in_pairs() -> None:
    other = [0.70, 0.71, 0.685, 0.74, 0.70]
    found = compare(by_seed(VALUES), by_seed(other))
    assert found.test == "paired t"
    assert found.p == pytest.approx(stats.ttest_rel(VALUES, other, alternative="greater").pvalue)
    losses = compare(by_seed(other), by_seed(VALUES), sign=-1)
    assert losses.p == pytest.approx(stats.ttest_rel(other, VALUES, alternative="less").pvalue)
    more_seeds = compare(by_seed([*VALUES, 0.1]), by_seed(other))
    assert more_seeds == found


def test_seeds_of_their_own_are_compared_by_welchs_test() -> None:
    other = [0.65, 0.74, 0.68]
    found = compare(by_seed(VALUES), by_seed(other, first=10))
    assert found.test == "Welch t"
    assert found.p == pytest.approx(stats.ttest_ind(VALUES, other, equal_var=False, alternative="greater").pvalue)


def test_neither_one_seed_nor_a_lead_without_spread_allows_a_test() -> None:
    assert compare(by_seed([0.9]), by_seed([0.1])).test == ""
    assert math.isnan(compare(by_seed([0.9]), by_seed([0.1, 0.2], first=5)).p)
    assert math.isnan(compare(by_seed([0.9, 0.9]), by_seed([0.8, 0.8])).p)
    assert math.isnan(compare(by_seed([0.9, 0.8]), by_seed([0.8, 0.7])).p)
    assert compare(by_seed([0.9, 0.9]), by_seed([0.9, 0.9])).p == 1


def test_the_winners_curse_is_the_search_value_minus_the_fresh_mean() -> None:
    found = winners_curse(0.8, VALUES)
    low, high = stats.t.interval(0.95, 4, np.mean(VALUES), stats.sem(VALUES))
    assert (found.mean, found.low, found.high) == pytest.approx((0.8 - np.mean(VALUES), 0.8 - high, 0.8 - low))
    loss = winners_curse(0.2, [0.25, 0.35], accuracy=False)
    assert loss.mean == pytest.approx(0.1)
    assert loss.low < loss.mean < loss.high


def test_the_interval_of_the_winners_curse_ends_where_no_accuracy_can_be() -> None:
    found = winners_curse(0.9, [0.5, 0.9])
    assert (found.low, found.high) == pytest.approx((0.9 - 1.0, 0.9 - 0.0))


def test_what_the_search_saw_is_the_mean_over_the_seeds_of_a_configuration() -> None:
    trials = searched(t1=0.9, t2=0.7, t3=0.6).assign(**{"trial.optimizer.lr": [0.1, 0.1, 0.2], "trial.seed": [0, 1, 0]})
    [row] = confirmed(retrained({"t1": [(0.8, 0.8), (0.7, 0.8)]}), trials).to_dict("records")
    assert row["search_value"] == pytest.approx(0.8)
    assert row["winners_curse"] == pytest.approx(0.05)


def test_the_best_is_chosen_on_validation_images_and_p_is_corrected() -> None:
    scores = {
        "t1": [(0.70, 0.72), (0.72, 0.70), (0.69, 0.71)],
        "t2": [(0.80, 0.69), (0.82, 0.70), (0.81, 0.71)],
        "t3": [(0.80, 0.60), (0.81, 0.61), (0.82, 0.62)],
    }
    table = confirmed(retrained(scores), searched(t1=0.75, t2=0.83, t3=0.9))
    assert table["trial_id"].tolist() == ["t2", "t3", "t1"]
    assert table["chosen_by"].unique().tolist() == ["validation_accuracy"]
    expected = stats.ttest_rel([0.80, 0.82, 0.81], [0.70, 0.72, 0.69], alternative="greater").pvalue
    assert table["p"].iloc[2] == pytest.approx(2 * expected)
    assert table["tied"].tolist() == [True, True, False]
    assert table["winners_curse"].tolist() == pytest.approx([0.02, 0.09, 0.75 - 2.11 / 3])
    assert table["test_accuracy_mean"].tolist() == pytest.approx([0.70, 0.61, 0.71])


def test_where_validation_was_trained_on_the_test_split_is_left_to_choose_by() -> None:
    scores = {"t1": [(None, 0.7), (None, 0.71)], "t2": [(None, 0.8), (None, 0.82)]}
    table = confirmed(retrained(scores, "train+validation"), searched(t1=0.9, t2=0.8))
    assert table["trial_id"].tolist() == ["t2", "t1"]
    assert table["chosen_by"].unique().tolist() == ["test_accuracy"]
    assert table["winners_curse"].isna().all()


def test_a_search_by_loss_is_confirmed_by_loss() -> None:
    scores = {"t1": [(0.7, 0.7), (0.71, 0.71)], "t2": [(0.8, 0.8), (0.82, 0.82)]}
    table = confirmed(retrained(scores), searched(t1=0.75, t2=0.9), "validation_loss")
    assert table["trial_id"].tolist() == ["t2", "t1"]
    assert table["validation_loss_mean"].tolist() == pytest.approx([0.19, 0.295])
    assert table["winners_curse"].tolist() == pytest.approx([0.09, 0.045])


def test_a_retraining_that_gave_no_score_is_counted_and_left_out() -> None:
    scores: dict[str, list[tuple[float | None, float | None]]] = {
        "t1": [(0.7, 0.7), (None, None)],
        "t2": [(None, None)],
    }
    table = confirmed(retrained(scores), searched(t1=0.75, t2=0.9))
    assert table[["trial_id", "seeds", "lost"]].to_numpy().tolist() == [["t1", 1, 1], ["t2", 0, 1]]
    assert table["tied"].tolist() == [True, pd.NA]
    assert confirmed(retrained({"t1": [(None, None)]}), searched(t1=0.75))["seeds"].tolist() == [0]


def test_intervals_of_accuracies_end_at_0_and_1() -> None:
    table = confirmed(retrained({"t1": [(0.95, 0.99), (0.99, 0.05)]}), searched(t1=0.75))
    assert table["validation_accuracy_high"].tolist() == [1.0]
    assert table["test_accuracy_low"].tolist() == [0.0]


@pytest.mark.parametrize(("right", "images"), [(0, 19), (1, 50), (19, 19), (25, 50), (9983, 10000)])
def test_seeds_that_agree_have_wilsons_interval_of_their_images(right: int, images: int) -> None:
    found = estimate_proportion([right / images] * 2, images)
    expected = stats.binomtest(right, images).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= found.low < found.high <= 1


def test_with_very_many_images_the_interval_is_that_of_the_seeds() -> None:
    found, seeds = estimate_proportion(VALUES, 1e12), estimate(VALUES)
    assert (found.low, found.high) == pytest.approx((seeds.low, seeds.high), abs=2e-3)


def test_equal_seeds_on_an_unknown_number_of_images_have_no_interval() -> None:
    found = estimate_proportion([0.02, 0.02], math.nan)
    assert (found.n, found.mean, found.deviation) == (2, 0.02, 0)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert math.isnan(estimate([0.3, 0.3]).high)
    unknown = estimate_proportion([0.99, 0.05], math.nan)
    assert (unknown.low, unknown.high) == (0, 1)


@pytest.mark.parametrize("seeds", [2, 5])
@pytest.mark.parametrize(("share", "images"), [(0.1, 50), (0.5, 19), (0.9, 200)])
def test_the_interval_holds_the_true_accuracy_in_95_of_100_cases(share: float, images: int, seeds: int) -> None:
    """Each image has a chance of its own to be taken rightly, a Beta of mean `share`; each seed draws by that chance.

    1000 repetitions: the standard error of a coverage of 95 % is 0.7 %. 93 % is allowed for, because Wilson's coverage
    swings around 95 % (Brown, Cai and DasGupta 2001, figure 5).
    """
    draw = np.random.default_rng(0)
    chances = draw.beta(2 * share, 2 * (1 - share), (1000, 1, images))
    accuracies = (draw.random((1000, seeds, images)) < chances).mean(2)
    found = [estimate_proportion(values, images) for values in accuracies]
    assert all(0 <= one.low < one.high <= 1 for one in found)
    assert np.mean([one.low <= share <= one.high for one in found]) >= 0.93


def test_two_equal_seeds_are_shown_with_an_interval_of_their_images() -> None:
    rows = retrained({"t1": [(0.02, 0.02), (0.02, 0.02)], "t2": [(0.01, 0.01), (0.01, 0.01)]})
    rows = rows.assign(validation_images=100, test_images=1000)
    text = shown(rows, searched(t1=0.04, t2=0.03))
    assert "2.00 ± 0.00 [0.6, 7.0]" in text
    assert "2.00 ± 0.00 [1.3, 3.1]" in text
    assert "With so few seeds no test can tell the configurations apart." in text
    assert "nan" not in text
    old = shown(rows.drop(columns=["validation_images", "test_images"]), searched(t1=0.04, t2=0.03))
    assert "[2.0, 2.0]" not in old
    assert "nan" not in old


def test_the_truly_best_is_among_the_tied_in_95_of_100_cases() -> None:
    """Five configurations, of which the first is better by less than a seed's luck; 400 sweeps, 5 seeds."""
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        values = {f"t{place}": draw.normal(0.7 + 0.001 * (place == 0), 0.01, 5) for place in range(5)}
        means = {name: by_seed(list(one)) for name, one in values.items()}
        best = max(means, key=lambda name: float(means[name].mean()))
        held += best == "t0" or 4 * compare(means[best], means["t0"]).p >= 0.05
    assert held >= 0.95 * 400


def shown(confirmations: pd.DataFrame, trials: pd.DataFrame) -> str:
    console = Console(file=StringIO(), width=100)
    print_confirmations(console, confirmations, trials, SweepFile(), "validation_accuracy")
    assert isinstance(console.file, StringIO)
    return " ".join(console.file.getvalue().split())


def test_the_answer_is_a_sentence_with_intervals_ties_and_curse() -> None:
    scores = {
        "t1": [(0.80, 0.72), (0.82, 0.70), (0.81, 0.71)],
        "t2": [(0.80, 0.69), (0.82, 0.70), (0.80, 0.71)],
        "t3": [(0.60, 0.60), (0.61, 0.61), (0.62, 0.62)],
    }
    trials = searched(t1=0.83, t2=0.82, t3=0.81)
    assert confirmation_answer(retrained(scores), trials, SweepFile()) == (
        "Confirmed: lr=0.1 (trial t1) is the best of 3 configurations: "
        "validation accuracy 81.00 % (95 % interval 78.52 to 83.48) and "
        "test accuracy 71.00 % (95 % interval 68.52 to 73.48), the mean of 3 fresh seeds. "
        "Statistically tied with it: t2. The search had seen 83.00 % on the same validation images, which flattered it "
        "by +2.00 points (95 % interval −0.48 to +4.48)."
    )
    text = shown(retrained(scores), trials)
    assert "81.00 ± 1.00 [78.5, 83.5]" in text
    assert "corrected for 2 comparisons" in text
    assert "t3: lr=0.3" in text


def test_one_seed_says_that_there_is_no_interval() -> None:
    text = shown(retrained({"t1": [(0.8, 0.72)], "t2": [(0.7, 0.6)]}), searched(t1=0.83, t2=0.8))
    assert "with one fresh seed, so no interval" in text
    assert "With so few seeds no test can tell the configurations apart." in text
    assert "nan" not in text


def test_lost_seeds_are_told_with_their_reason() -> None:
    scores: dict[str, list[tuple[float | None, float | None]]] = {"t1": [(0.8, 0.7), (0.82, 0.7)], "t2": [(None, None)]}
    text = shown(retrained(scores), searched(t1=0.83, t2=0.8))
    assert "t2 with seed 0 diverged: the loss was not finite" in text
    assert "nan" not in text


def test_nothing_confirmed_says_nothing() -> None:
    assert shown(retrained({"t1": [(0.8, 0.7)]}).head(0), searched(t1=0.83)) == ""
    assert confirmation_answer(retrained({"t1": [(None, None)]}), searched(t1=0.83), SweepFile()) is None


def test_both_ways_of_training_are_told_apart() -> None:
    both = pd.concat(
        [
            retrained({"t1": [(0.8, 0.7), (0.82, 0.71)]}),
            retrained({"t1": [(None, 0.75), (None, 0.74)]}, "train+validation"),
        ],
        ignore_index=True,
    )
    titles = [finding.title for finding in confirmation_findings(both, searched(t1=0.83), SweepFile())]
    assert titles == [
        "Confirmed with fresh seeds, trained on the training split alone",
        "Winner's curse",
        "Confirmed with fresh seeds, trained on all training images",
    ]
    assert "test accuracy 70.50 %" in str(confirmation_answer(both, searched(t1=0.83), SweepFile()))


def test_of_several_objectives_the_others_stand_beside_and_the_front_is_named() -> None:
    sweep = SweepFile(search=("optimizer.lr",), objectives=("validation_accuracy", "num_parameters"))
    trials = searched(t1=0.9, t2=0.8).assign(num_parameters=[20000, 1000])
    rows = retrained({"t1": [(0.88, 0.86), (0.89, 0.87)], "t2": [(0.79, 0.78), (0.82, 0.80)]})
    told = confirmation_answer(rows, trials, sweep)
    assert told is not None
    assert "is the best by validation accuracy of 2 configurations of the Pareto front: validation" in told
    table = next(confirmation_findings(rows, trials, sweep)).table
    assert table["num parameters"].tolist() == ["20,000", "1,000"]


def test_looks_at_the_test_split_by_evaluate_are_listed_and_counted() -> None:
    rows = retrained({"t1": [(0.92, 0.9), (0.94, 0.9)], "t2": [(0.8, 0.7)]})
    rows["retrained"] = [True, True, False]
    rows["openings"] = [1, 2, 3]
    rows["opened_at"] = pd.to_datetime(["2026-01-01T00:00", "2026-01-01T00:00", "2026-01-02T03:04"], utc=True)
    told = {"commit": "0123456789abcdef", "reason": "evaluate: why", "checkpoint": "checkpoints/t2/best"}
    rows = rows.assign(**told)
    title, text, table = list(vars(list(confirmation_findings(rows, searched(t1=0.9), SweepFile()))[-1]).values())
    assert title == "Looks at the test split beside that"
    assert text[0].startswith("The test split was opened 6 times in all, 3 by `confirm` and 3 by `evaluate`, for the")
    assert table.to_numpy().tolist() == [
        ["t2", "checkpoints/t2/best", "70.00", "3", "2026-01-02 03:04", "0123456789", "evaluate: why"]
    ]
    assert "evaluate: why" in shown(rows, searched(t1=0.9))


def test_a_search_that_was_unlucky_did_not_flatter() -> None:
    rows = retrained({"t1": [(0.92, 0.9), (0.94, 0.9)]})
    told = confirmation_answer(rows, searched(t1=0.9), SweepFile())
    assert told is not None
    assert "which did not flatter it: −3.00 points" in told
