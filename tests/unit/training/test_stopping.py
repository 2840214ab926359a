"""What a curve says of its best epoch and of patience."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.stopping import is_best, patience_is_over
from cifar_tune.training.trial import EarlyStopping


def history_of(*accuracies: float | None) -> list[EpochMetrics]:
    return [
        EpochMetrics(epoch, 1.0, 0.5, None, accuracy, 0.1, 1.0, 1.0, 1) for epoch, accuracy in enumerate(accuracies, 1)
    ]


def test_the_first_of_equals_is_the_best() -> None:
    assert is_best(history_of(0.5))
    assert is_best(history_of(0.5, None, 0.6))
    assert not is_best(history_of(0.5, 0.5))
    assert not is_best(history_of(0.5, None))
    assert is_best(history_of(None, 0.0))


def test_patience_counts_epochs_without_a_rise() -> None:
    patience = EarlyStopping(patience=2)
    assert not patience_is_over(history_of(0.5, 0.4), patience)
    assert patience_is_over(history_of(0.5, 0.4, 0.5), patience)
    assert not patience_is_over(history_of(0.5, 0.4, 0.51), patience)


def test_a_rise_smaller_than_min_delta_is_none() -> None:
    patience = EarlyStopping(patience=2, min_delta=0.1)
    assert patience_is_over(history_of(0.5, 0.55, 0.59), patience)
    assert not patience_is_over(history_of(0.5, 0.55, 0.61), patience)


def test_an_epoch_without_validation_decides_nothing() -> None:
    patience = EarlyStopping(patience=1)
    assert not patience_is_over(history_of(None, None, None), patience)
    assert not patience_is_over(history_of(None, 0.5, None), patience)
    assert patience_is_over(history_of(None, 0.5, None, 0.5), patience)


def test_without_early_stopping_patience_never_ends() -> None:
    assert not patience_is_over(history_of(*[0.5] * 99), None)
    assert not patience_is_over([], EarlyStopping(patience=1))


@given(accuracies=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]), max_size=12), patience=st.integers(1, 4))
def test_it_agrees_with_a_counter_that_is_kept_along_the_way(accuracies: list[float], patience: int) -> None:
    best, waited = float("-inf"), 0
    for accuracy in accuracies:
        waited = 0 if accuracy > best else waited + 1
        best = max(best, accuracy)
    found = patience_is_over(history_of(*accuracies), EarlyStopping(patience=patience))
    assert found == (waited >= patience and bool(accuracies))
