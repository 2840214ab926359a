"""What `train_epochs` yields: one record an epoch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochMetrics:
    """One finished epoch. Accuracies are fractions in [0, 1]; losses are means per image, in nats.

    epoch: 1 for the first.
    train_loss, train_accuracy: over the augmented batches as they were trained on.
    validation_loss, validation_accuracy: over the whole validation split, clean; None in epochs that skip validation.
    lr: of the last step. epoch_seconds: training and validation together.
    images_per_second: training images over training seconds (validation excluded).
    peak_memory_bytes: most device memory allocated since the trial began; on CPU the process's peak resident size.
    latency_seconds: forward pass of one image, the fastest of several; None where `evaluation.latency` is off.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    lr: float
    epoch_seconds: float
    images_per_second: float
    peak_memory_bytes: int
    latency_seconds: float | None = None


def images_text(images_per_second: float) -> str:
    """Returns a speed in words; a slow one keeps two digits, so that it is never told as 0."""
    number = f"{images_per_second:,.0f}" if images_per_second >= 10 else f"{images_per_second:.2g}"
    return f"{number} images/s"
