"""What answers are worth: every figure against its formula, or scikit-learn's own data format."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_tune.inspection.evaluation import BINS, Evaluation
from cifar_tune.inspection.evaluation_figures import (
    class_order,
    classes_figure,
    confusion_figure,
    mistakes_figure,
    reliability_figure,
)
from cifar_tune.plotting.theme import DARK, LIGHT, Theme
from cifar_tune.training.datasets.dataset import DatasetInfo

NAMES = tuple("abcdef")
COARSE = (0, 1, 0, 1, 2, 2)


def evaluated(labels: NDArray[np.int64], probabilities: NDArray[np.float64], coarse: bool = True) -> Evaluation:
    classes = probabilities.shape[1]
    names = NAMES if classes == len(NAMES) else tuple(f"class {place}" for place in range(classes))
    info = DatasetInfo(
        names, 3, 8, (0.5,) * 3, (0.2,) * 3, 100,
        coarse_names=("x", "y", "z") if coarse else None, coarse_of_fine=COARSE if coarse else None,
    )  # fmt: skip
    return Evaluation(info, "validation", labels, np.log(probabilities).astype(np.float32))


@pytest.fixture
def some() -> Evaluation:
    """Three hundred answers over six classes, of which the last has no image."""
    random = np.random.default_rng(3)
    labels = random.integers(0, 5, 300)
    logits = random.normal(size=(300, 6)) + 1.5 * np.eye(6)[labels]
    return evaluated(labels, np.exp(logits) / np.exp(logits).sum(1, keepdims=True))


def test_accuracies_and_loss_are_what_counting_gives(some: Evaluation) -> None:
    probabilities = np.exp(some.log_probabilities.astype(float))
    ranks = [(row > row[label]).sum() for row, label in zip(probabilities, some.labels, strict=True)]
    assert some.summary["accuracy"] == pytest.approx(np.mean([rank == 0 for rank in ranks]))
    assert some.summary["top5_accuracy"] == pytest.approx(np.mean([rank < 5 for rank in ranks]))
    losses = [-math.log(row[label]) for row, label in zip(probabilities, some.labels, strict=True)]
    assert some.summary["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    coarse = [[sum(row[c] for c in range(6) if COARSE[c] == s) for s in range(3)] for row in probabilities]
    right = [np.argmax(row) == COARSE[label] for row, label in zip(coarse, some.labels, strict=True)]
    assert some.summary["coarse_accuracy"] == pytest.approx(np.mean(right))


def test_precision_recall_and_f1_are_means_over_the_classes_that_have_images(some: Evaluation) -> None:
    found = []
    for label in range(5):
        hits = ((some.predicted == label) & (some.labels == label)).sum()
        precision, recall = hits / (some.predicted == label).sum(), hits / (some.labels == label).sum()
        found.append((precision, recall, 2 * precision * recall / (precision + recall)))
    for name, value in zip(("precision", "recall", "f1"), np.mean(found, axis=0), strict=True):
        assert some.summary[name] == pytest.approx(value)
    assert [one.name for one in some.classes] == list("abcde")
    assert np.allclose([(one.precision, one.accuracy, one.f1) for one in some.classes], found)
    report = some.report()
    assert report["macro avg"]["f1-score"] == pytest.approx(some.summary["f1"])


def test_the_interval_of_a_class_is_wilsons(some: Evaluation) -> None:
    one, z = some.classes[0], 1.959964
    n, p = one.images, one.accuracy
    middle, reach = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert (one.low, one.high) == pytest.approx(((middle - reach) / (1 + z**2 / n), (middle + reach) / (1 + z**2 / n)))


def test_the_calibration_error_is_that_of_equation_3(some: Evaluation) -> None:
    right, error = some.predicted == some.labels, 0.0
    for place in range(BINS):
        inside = (some.confidence > place / BINS) & (some.confidence <= (place + 1) / BINS)
        if inside.any():
            error += inside.sum() / len(right) * abs(right[inside].mean() - some.confidence[inside].mean())
    assert some.calibration.error == pytest.approx(error)
    assert some.calibration.images.sum() == len(right)


def test_sure_and_right_is_calibrated_and_sure_and_wrong_is_not() -> None:
    sure = np.full((10, 6), 1e-30) + np.eye(6)[0]
    assert evaluated(np.zeros(10, np.int64), sure).calibration.error == pytest.approx(0)
    assert evaluated(np.ones(10, np.int64), sure).calibration.error == pytest.approx(1)


def test_pairs_are_ordered_by_images_and_the_diagonal_is_none_of_them() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, 3])
    predicted = np.array([1, 1, 0, 0, 1, 2, 1])
    pairs = evaluated(labels, np.full((7, 6), 0.01) + np.eye(6)[predicted]).confused_pairs(9)
    assert [(one.true, one.predicted, one.images) for one in pairs] == [("a", "b", 2), ("d", "b", 1), ("b", "a", 1)]
    assert pairs[0].share == pytest.approx(2 / 3)


def test_mistakes_come_with_the_most_confident_first(some: Evaluation) -> None:
    places = some.mistakes(10)
    assert all(some.predicted[place] != some.labels[place] for place in places)
    assert list(some.confidence[places]) == sorted(some.confidence[places], reverse=True)
    wrong = some.predicted != some.labels
    assert some.confidence[places[0]] == some.confidence[wrong].max()


def test_few_classes_have_no_top_5_and_without_superclasses_there_is_no_coarse_accuracy() -> None:
    found = evaluated(np.array([0, 1, 2]), np.eye(3) + 0.01, coarse=False).summary
    assert not {"top5_accuracy", "coarse_accuracy"} & set(found)


def test_classes_are_drawn_superclass_by_superclass(some: Evaluation) -> None:
    assert class_order(some) == ([0, 2, 1, 3, 4, 5], [2, 4])


@pytest.mark.parametrize(("classes", "theme"), [(2, DARK), (120, LIGHT)])
def test_figures_are_drawn_for_few_classes_and_for_many(classes: int, theme: Theme) -> None:
    random = np.random.default_rng(1)
    labels = random.integers(0, classes, 60)
    found = evaluated(labels, random.dirichlet(np.ones(classes), 60), coarse=False)
    places = found.mistakes(9)
    pixels = np.zeros((len(places), 1, 8, 8), np.uint8)
    figures = [
        confusion_figure(found, theme),
        reliability_figure(found.calibration, "test", theme),
        classes_figure(found, theme),
        mistakes_figure(found, places, pixels, theme),
    ]
    assert all(figure.axes for figure in figures)
    assert len(figures[0].axes[0].get_xticklabels()) == classes
