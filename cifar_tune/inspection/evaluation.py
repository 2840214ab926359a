"""What a model's answers on a split are worth, in numbers. N images, K classes.

scikit-learn does the arithmetic; over classes, every mean is the plain one (macro) of those that have images.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cifar_tune.training.datasets import DatasetInfo

if TYPE_CHECKING:
    from cifar_tune.inspection.predictor import NetworkPredictor
    from cifar_tune.training.data import ImageSource

TOP = 5
CONFIDENCE = 0.95
"""Of the intervals of accuracies by class."""
BINS = 15
"""Of confidence. Source: Guo et al. 2017 (arXiv:1706.04599, sec. 4)."""


class ConfusedPair(NamedTuple):
    """One class taken for another. images: so many. share: of the images of the true class."""

    true: str
    predicted: str
    images: int
    share: float


class ClassScore(NamedTuple):
    """How one class fares. accuracy: share of its images that are recognised, its recall; low, high: 95 % interval."""

    name: str
    images: int
    accuracy: float
    low: float
    high: float
    precision: float
    f1: float


@dataclass(frozen=True)
class Calibration:
    """Answers by confidence, (B,) each: images, mean confidence and accuracy of each bin, NaN where it is empty."""

    edges: NDArray[np.float64]
    images: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error. Source: Guo et al. 2017 (arXiv:1706.04599, eq. 3)."""
        filled = self.images > 0
        gaps = np.abs(self.accuracy - self.confidence)[filled]
        return float((self.images[filled] * gaps).sum() / self.images.sum())


def proportion_interval(right: int, images: int) -> tuple[float, float]:
    """Returns Wilson's 95 % interval of the share of right answers. Source: Wilson (1927), JASA 22:209."""
    from scipy.stats import binomtest

    interval = binomtest(right, images).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class Evaluation:
    """A model's answers on one split. labels: (N,) int64. log_probabilities: (N, K) float32."""

    info: DatasetInfo
    split: str
    labels: NDArray[np.int64]
    log_probabilities: NDArray[np.float32]

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """(N,) the likeliest class of each image."""
        found: NDArray[np.int64] = self.log_probabilities.argmax(1)
        return found

    @cached_property
    def confidence(self) -> NDArray[np.float64]:
        """(N,) its probability."""
        found: NDArray[np.float64] = np.exp(self.log_probabilities.max(1).astype(np.float64))
        return found

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """(K, K) images by true class, down, and predicted class, across."""
        from sklearn.metrics import confusion_matrix

        found: NDArray[np.int64] = confusion_matrix(self.labels, self.predicted, labels=range(self.info.classes))
        return found

    @cached_property
    def summary(self) -> dict[str, float]:
        """Every figure of the whole split.

        images: how many. loss: cross-entropy in nats. coarse_accuracy: of the superclass whose classes are together the
        likeliest.
        """
        from sklearn.metrics import accuracy_score, precision_recall_fscore_support, top_k_accuracy_score

        classes = range(self.info.classes)
        true_class = self.log_probabilities[np.arange(len(self.labels)), self.labels]
        precision, recall, f1, _ = precision_recall_fscore_support(
            self.labels, self.predicted, labels=np.unique(self.labels), average="macro", zero_division=0
        )
        found = {"images": len(self.labels), "accuracy": accuracy_score(self.labels, self.predicted)}
        if self.info.classes > TOP:
            found["top5_accuracy"] = top_k_accuracy_score(self.labels, self.log_probabilities, k=TOP, labels=classes)
        if self.info.coarse_of_fine is not None:
            found["coarse_accuracy"] = self._coarse_accuracy(np.array(self.info.coarse_of_fine))
        found |= {"loss": -float(true_class.astype(np.float64).mean()), "precision": precision, "recall": recall}
        found |= {"f1": f1, "calibration_error": self.calibration.error}
        return {name: float(value) for name, value in found.items()}

    @cached_property
    def calibration(self) -> Calibration:
        """Confidence against accuracy in bins of equal width."""
        edges = np.linspace(0, 1, BINS + 1)
        place = np.clip(np.searchsorted(edges, self.confidence, side="left") - 1, 0, BINS - 1)
        images = np.bincount(place, minlength=BINS)
        right = self.predicted == self.labels
        with np.errstate(invalid="ignore"):
            means = [np.bincount(place, values, BINS) / images for values in (self.confidence, right)]
        return Calibration(edges, images, *means)

    @cached_property
    def classes(self) -> list[ClassScore]:
        """Every class that has images, in label order."""
        from sklearn.metrics import precision_recall_fscore_support

        present = np.unique(self.labels)
        scores = precision_recall_fscore_support(self.labels, self.predicted, labels=present, zero_division=0)
        found = []
        for label, precision, recall, f1, images in zip(present, *scores, strict=True):
            right = int(self.confusion[label, label])
            name, interval = self.info.class_names[label], proportion_interval(right, int(images))
            found.append(ClassScore(name, int(images), recall, *interval, precision, f1))
        return found

    def confused_pairs(self, most: int) -> list[ConfusedPair]:
        """The pairs confused most often, by number of images, then by share; none where nothing is confused."""
        counts = self.confusion.copy()
        np.fill_diagonal(counts, 0)
        shares = counts / np.maximum(self.confusion.sum(1, keepdims=True), 1)
        order = np.lexsort((-shares.ravel(), -counts.ravel()))[:most]
        names = self.info.class_names
        return [
            ConfusedPair(names[true], names[predicted], int(counts[true, predicted]), float(shares[true, predicted]))
            for true, predicted in zip(*np.unravel_index(order, counts.shape), strict=True)
            if counts[true, predicted]
        ]

    def mistakes(self, most: int) -> NDArray[np.int64]:
        """The places of the wrong answers, the most confident first."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        return wrong[np.argsort(-self.confidence[wrong], kind="stable")][:most]

    def report(self) -> dict[str, Any]:
        """scikit-learn's classification report: precision, recall, F1 and images by class, and their means."""
        from sklearn.metrics import classification_report

        present = np.unique(self.labels)
        names = [self.info.class_names[label] for label in present]
        found: dict[str, Any] = classification_report(
            self.labels, self.predicted, labels=present, target_names=names, output_dict=True, zero_division=0
        )
        return found

    def as_json(self, pairs: int) -> dict[str, Any]:
        """Every number, for JSON. pairs: how many of the confused ones."""
        filled = self.calibration.images > 0
        bins = [
            {"confidence": float(confidence), "accuracy": float(accuracy), "images": int(images)}
            for confidence, accuracy, images in zip(
                self.calibration.confidence[filled],
                self.calibration.accuracy[filled],
                self.calibration.images[filled],
                strict=True,
            )
        ]
        return {
            "split": self.split,
            "images": len(self.labels),
            "class_names": list(self.info.class_names),
            "summary": self.summary,
            "classes": [one._asdict() for one in self.classes],
            "confused_pairs": [one._asdict() for one in self.confused_pairs(pairs)],
            "confusion": self.confusion.tolist(),
            "calibration": bins,
            "classification_report": self.report(),
        }

    def _coarse_accuracy(self, coarse_of_fine: NDArray[np.int64]) -> float:
        from sklearn.metrics import accuracy_score

        member = np.eye(coarse_of_fine.max() + 1)[coarse_of_fine]
        together = np.exp(self.log_probabilities.astype(np.float64)) @ member
        return float(accuracy_score(coarse_of_fine[self.labels], together.argmax(1)))


def evaluation_of(network: NetworkPredictor, source: ImageSource, split: str) -> Evaluation:
    """Returns what the network makes of the images of a split."""
    found = network.log_probabilities(source).cpu().numpy()
    return Evaluation(network.info, split, source.labels.cpu().numpy(), found)
