"""An evaluation in pictures that can be read at ten classes and at a hundred."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cifar_tune.inspection.evaluation import Calibration, Evaluation
from cifar_tune.plotting.panels import figure_title_block, new_panels
from cifar_tune.plotting.theme import SMALL_SIZE, TEXT_SIZE, Theme, contrast_color, new_figure, shortened, title_block

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

MOST_ANNOTATED = 20
"""Classes; with more, the cells are too small for numbers."""
MOST_NAMED = 160
"""Classes whose names fit beside the largest figure; of more, every second or third is named."""
LARGEST = 20.0
"""Inches along either side."""
ACROSS = 8
"""Mistakes in a row."""


def colours(theme: Theme) -> Colormap:
    """From the page's own colour, for nothing, to the theme's first."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("share", [theme.background, theme.series[0]])


def confusion_figure(evaluation: Evaluation, theme: Theme) -> Figure:
    """Share of each true class's images by predicted class; classes of one superclass side by side."""
    from matplotlib.colors import PowerNorm

    order, borders = class_order(evaluation)
    counts = evaluation.confusion[np.ix_(order, order)]
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names = [shortened(evaluation.info.class_names[place], 22) for place in order]
    size = len(order)
    side = min(LARGEST - 3, max(3.6, size * (0.52 if size <= MOST_ANNOTATED else 0.135)))
    longest = max(map(len, names)) * 0.075
    figure, axes = new_figure(side + longest + 1.3, side + longest + 1.0, theme)
    image = axes.imshow(shares, cmap=colours(theme), norm=PowerNorm(0.5, 0, 1), aspect="equal")
    if size <= MOST_ANNOTATED:
        _numbers(axes, counts, image.to_rgba(shares))
    step = math.ceil(size / MOST_NAMED)
    font = TEXT_SIZE if size <= MOST_ANNOTATED else 6.5
    axes.set_xticks(range(0, size, step), names[::step], rotation=90, fontsize=font)
    axes.set_yticks(range(0, size, step), names[::step], fontsize=font)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    for border in borders:
        axes.axhline(border - 0.5, color=theme.faint, linewidth=0.6)
        axes.axvline(border - 0.5, color=theme.faint, linewidth=0.6)
    for spine in axes.spines.values():
        spine.set_visible(True)
    bar = figure.colorbar(
        image,
        ax=axes,
        fraction=0.04,
        pad=0.015,
        aspect=30,
        shrink=0.6,
        anchor=(0, 1),
        ticks=[0, 0.02, 0.1, 0.25, 0.5, 1],
    )
    bar.ax.tick_params(colors=theme.muted, labelcolor=theme.foreground, labelsize=SMALL_SIZE, length=0)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    bar.outline.set_visible(False)
    told = "share of the true class's images" + (", counts in the cells" if size <= MOST_ANNOTATED else "")
    told += "; lines part the superclasses" if borders else ""
    title_block(axes, f"Confusion on the {evaluation.split} split", told, theme)
    return figure


def class_order(evaluation: Evaluation) -> tuple[list[int], list[int]]:
    """The classes as they are drawn, superclass by superclass where there are any, and where a new one begins."""
    coarse = evaluation.info.coarse_of_fine
    if coarse is None:
        return list(range(evaluation.info.classes)), []
    order = sorted(range(len(coarse)), key=lambda place: (coarse[place], place))
    return order, [place for place in range(1, len(order)) if coarse[order[place]] != coarse[order[place - 1]]]


def _numbers(axes: Axes, counts: NDArray[np.int64], cells: NDArray[np.float64]) -> None:
    for row, column in np.argwhere(counts):
        text = str(counts[row, column])
        colour = contrast_color(cells[row, column])
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=SMALL_SIZE)


def reliability_figure(calibration: Calibration, split: str, theme: Theme) -> Figure:
    """Accuracy against confidence, bin by bin, and how many answers each bin holds."""
    from cifar_tune.plotting.plain_figure import PlainFigure
    from cifar_tune.plotting.theme import DOTS_PER_INCH, style

    figure = PlainFigure(figsize=(5.4, 5.6), dpi=DOTS_PER_INCH, layout="constrained", facecolor=theme.background)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    for axes in (above, below):
        style(axes, theme)
    middles, width = (calibration.edges[1:] + calibration.edges[:-1]) / 2, calibration.edges[1]
    accuracy = np.nan_to_num(calibration.accuracy)
    above.plot([0, 1], [0, 1], color=theme.muted, linewidth=1, linestyle="--")
    above.annotate(
        "perfect",
        (0.08, 0.08),
        (0, 14),
        textcoords="offset points",
        color=theme.muted,
        fontsize=SMALL_SIZE,
        rotation=37,
    )
    above.bar(middles, accuracy, width * 0.92, color=theme.series[0])
    filled = calibration.images > 0
    above.plot(
        calibration.confidence[filled],
        calibration.accuracy[filled],
        "o",
        color=theme.foreground,
        markersize=3.5,
        label="mean of the bin",
    )
    above.set_ylim(0, 1)
    above.set_xlim(0, 1)
    above.set_ylabel("accuracy (%)")
    below.bar(middles, calibration.images, width * 0.92, color=theme.muted)
    below.set_ylabel("images")
    below.set_xlabel("confidence (%)")
    for axis in (above.yaxis, below.xaxis):
        axis.set_major_formatter(lambda value, _: f"{100 * value:.0f}")
    mean = float((calibration.confidence[filled] * calibration.images[filled]).sum() / calibration.images.sum())
    right = float((calibration.accuracy[filled] * calibration.images[filled]).sum() / calibration.images.sum())
    told = (
        f"expected calibration error {100 * calibration.error:.1f} %: mean confidence {100 * mean:.1f} %, "
        f"accuracy {100 * right:.1f} %"
    )
    title_block(above, f"Calibration on the {split} split", told, theme)
    return figure


def classes_figure(evaluation: Evaluation, theme: Theme) -> Figure:
    """Accuracy of every class with its 95 % interval, the best above."""
    scores = sorted(evaluation.classes, key=lambda one: one.accuracy)
    height = 1.5 + (0.26 if len(scores) <= MOST_ANNOTATED else 0.155) * len(scores)
    figure, axes = new_figure(6.2, min(height, 2 * LARGEST), theme)
    places = np.arange(len(scores))
    values = np.array([one.accuracy for one in scores])
    axes.hlines(places, [one.low for one in scores], [one.high for one in scores], color=theme.faint, linewidth=3)
    axes.plot(values, places, "o", color=theme.series[0], markersize=5 if len(scores) <= MOST_ANNOTATED else 3.5)
    axes.axvline(evaluation.summary["accuracy"], color=theme.muted, linewidth=1, linestyle="--")
    axes.set_yticks(places, [f"{shortened(one.name, 30)}" for one in scores])
    axes.tick_params(axis="y", length=0, labelsize=TEXT_SIZE if len(scores) <= MOST_ANNOTATED else 7)
    axes.set_ylim(-0.8, len(scores) - 0.2)
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}")
    axes.set_xlabel("accuracy (%)")
    images = sorted({one.images for one in scores})
    each = f"{images[0]}" if len(images) == 1 else f"{images[0]} to {images[-1]}"
    told = f"{each} images a class; bars: 95 % interval; dashed: all classes"
    title_block(axes, f"Accuracy by class on the {evaluation.split} split", told, theme)
    return figure


def mistakes_figure(
    evaluation: Evaluation, places: NDArray[np.int64], pixels: NDArray[np.uint8], theme: Theme
) -> Figure:
    """A contact sheet. places: of the images in the split. pixels: (M, C, H, W), those images."""
    figure, panels = new_panels(len(places), ACROSS, 1.32, 1.62, theme)
    names = evaluation.info.class_names
    for axes, place, picture in zip(panels, places, pixels, strict=True):
        show_picture(axes, picture)
        said = f"{100 * evaluation.confidence[place]:.0f} % {shortened(names[evaluation.predicted[place]], 16)}"
        axes.set_title(said, fontsize=7, color=theme.foreground, pad=3, loc="left")
        axes.set_xlabel(
            shortened(names[evaluation.labels[place]], 20), fontsize=7, color=theme.muted, labelpad=2, loc="left"
        )
    wrong = int((evaluation.predicted != evaluation.labels).sum())
    told = f"the {len(places)} most confident of {wrong}; above: the answer, below: the truth"
    figure_title_block(figure, f"Mistakes on the {evaluation.split} split", told, theme)
    return figure


def show_picture(axes: Axes, pixels: NDArray[np.uint8]) -> None:
    """Draws (C, H, W) pixels without axes; few pixels stay squares."""
    channels_last = pixels.transpose(1, 2, 0)
    grey = channels_last.shape[2] == 1
    axes.imshow(
        channels_last[..., 0] if grey else channels_last,
        cmap="gray" if grey else None,
        vmin=0,
        vmax=255,
        interpolation="nearest" if pixels.shape[1] < 96 else "antialiased",
    )
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
