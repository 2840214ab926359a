"""What the curve so far says: which epoch is the best, and whether another may beat it."""

from __future__ import annotations

from collections.abc import Sequence

from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.trial import EarlyStopping


def is_best(history: Sequence[EpochMetrics]) -> bool:
    """Returns whether the last epoch was validated and its accuracy is above that of every epoch before."""
    *before, last = [epoch.validation_accuracy for epoch in history]
    return last is not None and all(accuracy is None or accuracy < last for accuracy in before)


def patience_is_over(history: Sequence[EpochMetrics], early_stopping: EarlyStopping | None) -> bool:
    """Returns whether `patience` epochs have passed since validation accuracy last rose by more than `min_delta`.

    A function of the recorded curve, so that a resumed trial stops where an uninterrupted one does.
    """
    if early_stopping is None or not history or history[-1].validation_accuracy is None:
        return False
    best, last_rise = float("-inf"), 0
    for metrics in history:
        accuracy = metrics.validation_accuracy
        if accuracy is not None and accuracy > best + early_stopping.min_delta:
            best, last_rise = accuracy, metrics.epoch
    return history[-1].epoch - last_rise >= early_stopping.patience
