"""Configurations that ran more than once, and the noise between their seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cifar_tune.analysis.repeats import duplicates, seed_noise, seed_noise_text


def trials_of(*rows: tuple[float, str | None, float, str]) -> pd.DataFrame:
    columns = ["trial.optimizer.lr", "trial.sam.rho", "validation_accuracy", "status"]
    return pd.DataFrame(rows, columns=columns).assign(**{"trial.seed": range(len(rows))})


def test_the_deviation_is_pooled_over_the_configurations_that_completed_with_several_seeds() -> None:
    trials = trials_of(
        (0.1, None, 0.90, "completed"),
        (0.1, None, 0.92, "completed"),
        (0.1, None, 0.97, "completed"),
        (0.2, None, 0.50, "completed"),
        (0.2, None, 0.54, "completed"),
        (0.2, None, 0.10, "stopped"),
        (0.3, "x", 0.80, "completed"),
    )
    found = seed_noise(trials, "validation_accuracy")
    assert found is not None
    expected = np.sqrt((2 * np.var([0.90, 0.92, 0.97], ddof=1) + np.var([0.50, 0.54], ddof=1)) / 3)
    assert found[:2] == (2, 5)
    assert found[2] == pytest.approx(expected)
    assert seed_noise_text(trials, "validation_accuracy") == (
        "2 configurations ran with several seeds (5 trials): the standard deviation between seeds is"
        " 3.4, in validation accuracy (%); smaller differences in rank mean little."
    )


def test_without_repeats_nothing_is_claimed() -> None:
    assert (
        seed_noise(trials_of((0.1, None, 0.9, "completed"), (0.2, None, 0.8, "completed")), "validation_accuracy")
        is None
    )
    assert seed_noise_text(trials_of(), "validation_accuracy") is None


def test_a_duplicate_has_the_configuration_of_an_earlier_trial_and_did_not_go_on_from_one() -> None:
    done = "completed"
    trials = trials_of((0.1, None, 0.9, done), (0.1, None, 0.9, "failed"), (0.1, "x", 0.9, done), (0.1, "x", 0.9, done))
    assert duplicates(trials).tolist() == [False, True, False, True]
    assert duplicates(trials.assign(parent=[None, "t0", None, None])).tolist() == [False, False, False, True]
    assert duplicates(trials.assign(sweep=["a", "b", "a", "a"])).tolist() == [False, False, False, True]
    assert duplicates(trials[["status"]]).tolist() == [False] * 4
    assert duplicates(trials.head(0)).tolist() == []
