"""What audited trials show, against known truths."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from cifar_tune.analysis.audit import RELIABLE, RungAudit, StoppingAudit, judge_rung
from cifar_tune.analysis.audit_text import audit_line, audit_sentences, audit_table

HALF = [False, True]


def test_where_every_final_value_is_known_the_correlation_is_spearmans() -> None:
    generator = np.random.default_rng(0)
    value = generator.integers(0, 12, 40).astype(float)
    final = value + generator.integers(0, 12, 40)
    found = judge_rung(1, ["a"] * 40, value, final, HALF * 20)
    assert found.correlation == pytest.approx(spearmanr(value, final).statistic)


def test_only_trials_of_one_study_are_compared() -> None:
    generator = np.random.default_rng(0)
    value = generator.normal(size=40)
    shift = np.repeat([0.0, 100.0], 20)
    study = ["a"] * 20 + ["b"] * 20
    one = judge_rung(1, study, value + shift, value - shift, HALF * 20)
    assert one.correlation == pytest.approx(1)
    assert judge_rung(1, ["a"] * 40, value + shift, value - shift, HALF * 20).correlation < 0


@pytest.mark.parametrize(("rho", "expected"), [(0.0, (0.9, 0.98)), (0.6, (0.87, 0.97)), (-0.8, (0.85, 0.97))])
def test_the_interval_holds_the_truth_as_often_as_it_says(rho: float, expected: tuple[float, float]) -> None:
    """Normal values of which a rung of two thirds stops the lower, and a tenth of these is audited.

    Source of the true rank correlation: Pearson 1907, 6 / pi * arcsin(rho / 2).
    """
    generator = np.random.default_rng(1)
    truth = 6 / math.pi * math.asin(rho / 2)
    held = []
    for _ in range(300):
        value = generator.normal(size=200)
        final = rho * value + math.sqrt(1 - rho**2) * generator.normal(size=200)
        out = value < np.quantile(value, 2 / 3)
        known = np.where(~out | (generator.random(200) < 0.1), final, np.nan)
        found = judge_rung(1, ["a"] * 200, value, known, out)
        held.append(found.low <= truth <= found.high)
    assert expected[0] <= np.mean(held) <= expected[1]


def test_a_reliable_rung_raises_no_alarm_more_often_than_once_in_ten() -> None:
    generator = np.random.default_rng(2)
    rho = 2 * math.sin(math.pi * RELIABLE / 6)
    alarms = []
    for _ in range(300):
        value = generator.normal(size=200)
        final = rho * value + math.sqrt(1 - rho**2) * generator.normal(size=200)
        out = value < np.quantile(value, 2 / 3)
        known = np.where(~out | (generator.random(200) < 0.05), final, np.nan)
        alarms.append(judge_rung(1, ["a"] * 200, value, known, out).unreliable)
    assert np.mean(alarms) <= 0.1


def test_the_good_are_those_that_would_have_passed_by_their_final_values() -> None:
    """Six arrived and two passed, so the two best of the end are the good ones: one of them was stopped."""
    value = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    final = [5.0, 1.0, 6.0, 4.0, 3.0, 2.0]
    found = judge_rung(1, ["a"] * 6, value, final, [False, False, True, True, True, True])
    assert found.good_stopped == pytest.approx(0.5)


def test_an_audited_trial_stands_for_all_that_were_stopped() -> None:
    """Three of nine were audited, so each counts thrice; of 12 in all a quarter passed, and the best audited is it."""
    value = [*range(12, 0, -1)]
    final = [9.0, 8.0, 7.0, 10.0, 1.0, 0.0, *[math.nan] * 6]
    found = judge_rung(1, ["a"] * 12, value, final, [False] * 3 + [True] * 9)
    assert (found.arrived, found.stopped, found.audited, found.trials) == (12, 9, 3, 6)
    assert found.good_stopped == pytest.approx(1.0)


def test_a_diverged_trial_is_the_worst_of_all() -> None:
    value = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    lost = judge_rung(1, ["a"] * 8, value, [*value[:7], -math.inf], HALF * 4)
    low = judge_rung(1, ["a"] * 8, value, [*value[:7], -5.0], HALF * 4)
    assert lost == low
    assert lost.correlation == pytest.approx(spearmanr(value, [*value[:7], -5.0]).statistic)


def test_too_little_data_is_said_plainly() -> None:
    few = judge_rung(2, ["a"] * 9, [*range(9)], [1.0] * 2 + [math.nan] * 7, [True] * 9)
    assert not few.known
    assert not few.unreliable
    assert audit_line(few) == "early stopping: 2 trials audited, too few for an estimate"
    (sentence,) = audit_sentences(StoppingAudit((few,)))
    assert sentence.startswith("What early stopping cost is not known: 2 trials that a rung would have stopped ran on")
    assert audit_table(StoppingAudit((few,)))["rank_correlation"].isna().all()
    same = judge_rung(2, ["a"] * 9, [1.0] * 9, [1.0] * 9, [True] * 9)
    assert not same.known


BAD = RungAudit(1, 100, 60, 6, 12, -0.4, -0.8, 0.2, 0.7)
GOOD = RungAudit(3, 40, 20, 5, 10, 0.9, 0.8, 0.95, 0.0)


def test_the_warning_names_the_grace_period_and_what_would_do() -> None:
    assert audit_line(BAD) == (
        "early stopping: order after epoch 1 and at the end correlate -0.40 (90 % interval -0.80 to 0.20, 12 trials,"
        " 6 audited), 70 % of the good stopped; grace period too short"
    )
    found, warning = audit_sentences(StoppingAudit((BAD, GOOD), enough=9))
    assert found.startswith("6 trials that a rung would have stopped ran on to the end, each for 13.3 that were")
    assert warning == (
        "Warning: the grace period of 1 epoch is too short: the order then does not foretell the final one; from epoch"
        " 9 on it does: try `scheduler.grace_epochs: 9`."
    )
    assert audit_sentences(StoppingAudit((BAD,)))[1].endswith("does not foretell the final one.")


def test_a_rung_that_can_be_trusted_is_told_without_a_warning() -> None:
    (sentence,) = audit_sentences(StoppingAudit((GOOD,)))
    assert "order after epoch 3 and at the end correlate 0.90" in sentence
    assert "grace period" not in audit_line(GOOD)
    assert audit_table(StoppingAudit((GOOD,))).to_dict("records") == [
        {
            "rung": 3,
            "arrived": 40,
            "stopped": 20,
            "audited": 5,
            "rank_correlation": "0.90",
            "interval_90": "0.80 to 0.95",
            "good_stopped": "0 %",
        }
    ]
