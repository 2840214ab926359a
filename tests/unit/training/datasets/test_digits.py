"""scikit-learn's digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from cifar_tune.training.datasets.digits import Digits

NOWHERE = Path("nowhere")


def test_the_last_360_images_are_the_test_split() -> None:
    train, test = (Digits().load(NOWHERE, split) for split in ("train", "test"))
    assert np.array_equal(np.concatenate([train.labels, test.labels]), load_digits().target)
    assert len(test.labels) == 360
    assert len(train.labels) == Digits().info(NOWHERE).train_images


def test_grey_values_of_0_to_16_become_0_to_255() -> None:
    pixels = Digits().load(NOWHERE, "train").pixels
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert np.abs(pixels[:, 0] * (16 / 255) - load_digits().images[:1437]).max() < 16 / 255


def test_mean_and_std_are_those_of_the_training_images() -> None:
    pixels = Digits().load(NOWHERE, "train").pixels / 255
    info = Digits().info(NOWHERE)
    assert info.mean == pytest.approx([pixels.mean()], abs=6e-5)
    assert info.std == pytest.approx([pixels.std()], abs=6e-5)
