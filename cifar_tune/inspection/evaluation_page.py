"""The parts of an evaluation's page, of which the tables are the terminal's too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cifar_tune.inspection.evaluation import TOP, ConfusedPair, Evaluation, proportion_interval
from cifar_tune.inspection.evaluation_figures import (
    classes_figure,
    confusion_figure,
    mistakes_figure,
    reliability_figure,
)
from cifar_tune.inspection.speed import Speed
from cifar_tune.plotting.section import Section, Table
from cifar_tune.training.data import ImageSource

PAIRS = 20
MISTAKES = 48
NAMES = {
    "accuracy": "accuracy",
    "top5_accuracy": f"accuracy, top {TOP}",
    "coarse_accuracy": "accuracy, superclasses",
    "precision": "precision (mean over classes)",
    "recall": "recall (mean over classes)",
    "f1": "F1 (mean over classes)",
    "calibration_error": "expected calibration error",
    "loss": "loss (nats an image)",
}
IN_NATS = ("loss",)
SHARES = ("accuracy", "top5_accuracy", "coarse_accuracy")
"""Figures that are a share of the images."""


def summary_table(summary: Mapping[str, float]) -> Table:
    """The figures of the whole split, in the order of `NAMES`. Older ones do not say of how many images."""
    rows = (
        (words, f"{summary[name]:.4f}" if name in IN_NATS else f"{100 * summary[name]:.2f} %", _interval(summary, name))
        for name, words in NAMES.items()
        if name in summary
    )
    return Table(("", "value", "95 % interval"), tuple(rows), left=(True, False, False))


def _interval(summary: Mapping[str, float], name: str) -> str:
    """The interval of an accuracy, in percent; empty for other figures."""
    if name not in SHARES or not (images := int(summary.get("images", 0))):
        return ""
    low, high = proportion_interval(round(summary[name] * images), images)
    return f"{100 * low:.1f} to {100 * high:.1f}"


def pairs_table(pairs: Sequence[ConfusedPair]) -> Table:
    """Which class is taken for which."""
    rows = tuple((one.true, one.predicted, str(one.images), f"{100 * one.share:.1f} %") for one in pairs)
    return Table(("true", "taken for", "images", "of the class"), rows, left=(True, True, False, False))


def classes_table(evaluation: Evaluation) -> Table:
    """The classification report, class by class, the worst first."""
    rows = tuple(
        (
            one.name,
            str(one.images),
            f"{100 * one.accuracy:.1f} %",
            f"{100 * one.low:.1f} to {100 * one.high:.1f}",
            f"{100 * one.precision:.1f} %",
            f"{100 * one.f1:.1f} %",
        )
        for one in sorted(evaluation.classes, key=lambda one: one.accuracy)
    )
    return Table(
        ("class", "images", "accuracy (recall)", "95 % interval", "precision", "F1"), rows, left=(True, *(False,) * 5)
    )


def speeds_table(speeds: Sequence[Speed]) -> Table:
    """Latency and throughput by batch size."""
    rows = tuple(
        (str(one.batch_size), f"{1000 * one.latency_seconds:,.2f}", f"{one.images_per_second:,.{_decimals(one)}f}")
        for one in speeds
    )
    return Table(("images at once", "milliseconds", "images a second"), rows, left=(False,) * 3)


def _decimals(speed: Speed) -> int:
    return 0 if speed.images_per_second >= 100 else 2


def evaluation_sections(
    evaluation: Evaluation, source: ImageSource, speeds: Sequence[Speed], device_name: str
) -> Iterator[Section]:
    """Yields the page from top to bottom. source: the images of the evaluation."""
    split = evaluation.split
    yield Section("In numbers", table=summary_table(evaluation.summary))
    yield Section(
        "Confusion",
        name="confusion",
        draw=lambda theme: confusion_figure(evaluation, theme),
        alternative=f"Confusion matrix on the {split} split",
    )
    if pairs := evaluation.confused_pairs(PAIRS):
        yield Section("Confused most often", table=pairs_table(pairs))
    yield Section(
        "Calibration",
        (
            "How often the model is right where it is so sure: bars below the diagonal are overconfident. The expected "
            "calibration error is the mean distance of confidence and accuracy, by images.",
        ),
        name="calibration",
        draw=lambda theme: reliability_figure(evaluation.calibration, split, theme),
        alternative="Reliability diagram: accuracy against confidence",
    )
    yield Section(
        "Class by class",
        table=classes_table(evaluation),
        name="classes",
        draw=lambda theme: classes_figure(evaluation, theme),
        alternative="Accuracy of every class with its interval",
    )
    if len(places := evaluation.mistakes(MISTAKES)):
        pixels = source.pixels_at(places)
        yield Section(
            "Mistakes",
            name="mistakes",
            draw=lambda theme: mistakes_figure(evaluation, places, pixels, theme),
            alternative="The most confident wrong answers with their images",
        )
    yield Section(
        "Speed",
        (f"Forward pass on {device_name}, from pixels on the device to logits, uncompiled; the fastest of several.",),
        table=speeds_table(speeds),
    )
