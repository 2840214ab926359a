"""Filters, what they make of images, and feature maps, as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cifar_tune.inspection.evaluation_figures import show_picture
from cifar_tune.plotting.panels import figure_title_block, new_panels
from cifar_tune.plotting.theme import SEQUENTIAL, SMALL_SIZE, Theme, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 8
"""Filters, or channels, in a row."""
MOST_FILTERS = 64
MOST_INPUTS = 8
"""Kernels shown of one filter."""
SIGNED = "PuOr"
"""Two colours around white, told apart by people of any colour vision. Source: Brewer, ColorBrewer 2.0."""
CELL = 1.05
"""Inches."""


def filters_figure(name: str, weights: NDArray[np.float32], theme: Theme) -> Figure:
    """The filters of a convolution. weights: (O, I, kH, kW).

    Of images in colour each is shown in colour, grey being 0; of one input each kernel; of more inputs a row of kernels
    a filter; 1x1 kernels as one matrix.
    """
    outputs, inputs, height, width = weights.shape
    reach = float(np.abs(weights).max()) or 1.0
    told = f"{outputs} filters over {inputs} channel{'s' if inputs > 1 else ''}, {height} x {width}"
    if height == width == 1:
        figure, [axes] = new_panels(1, 1, min(11, 2 + 0.06 * inputs), min(11, 1.2 + 0.06 * outputs), theme)
        axes.imshow(weights[:, :, 0, 0], cmap=SIGNED, vmin=-reach, vmax=reach, aspect="auto", interpolation="nearest")
        axes.set_xlabel("input channel")
        axes.set_ylabel("output channel")
        figure_title_block(figure, f"Weights of {name}", f"{told}; orange −{reach:.2g}, purple +{reach:.2g}", theme)
        return figure
    if inputs in (1, 3):
        shown = min(outputs, MOST_FILTERS)
        figure, panels = new_panels(shown, ACROSS, CELL, CELL, theme)
        for axes, kernel in zip(panels, weights[:shown], strict=True):
            if inputs == 3:
                axes.imshow(0.5 + kernel.transpose(1, 2, 0) / (2 * (float(np.abs(kernel).max()) or 1.0)))
            else:
                axes.imshow(kernel[0], cmap=SIGNED, vmin=-reach, vmax=reach)
            _bare(axes)
        how = "each scaled by itself; grey is 0" if inputs == 3 else f"orange −{reach:.2g}, purple +{reach:.2g}"
    else:
        shown, most = min(outputs, 2 * ACROSS), min(inputs, MOST_INPUTS)
        figure, panels = new_panels(shown * most, most, CELL * 0.8, CELL * 0.8, theme)
        for axes, kernel in zip(panels, weights[:shown, :most].reshape(-1, height, width), strict=True):
            axes.imshow(kernel, cmap=SIGNED, vmin=-reach, vmax=reach)
            _bare(axes)
        how = f"a row each, its first {most} channels; orange −{reach:.2g}, purple +{reach:.2g}"
    part = f", the first {shown}" if shown < outputs else ""
    figure_title_block(figure, f"Filters of {name}", f"{told}{part}; {how}", theme)
    return figure


def responses_figure(
    name: str, pictures: NDArray[np.uint8], labels: Sequence[str], maps: NDArray[np.float32], theme: Theme
) -> Figure:
    """What the filters of a convolution make of images, a row each. pictures: (N, C, H, W). maps: (N, O, h, w)."""
    shown = min(maps.shape[1], ACROSS)
    figure, panels = new_panels(len(pictures) * (shown + 1), shown + 1, CELL, CELL + 0.12, theme)
    rows = [panels[start : start + shown + 1] for start in range(0, len(panels), shown + 1)]
    for row, picture, label, channels in zip(rows, pictures, labels, maps, strict=True):
        show_picture(row[0], picture)
        row[0].set_title(shortened(label, 16), fontsize=7, color=theme.foreground, pad=3, loc="left")
        reach = float(np.abs(channels[:shown]).max()) or 1.0
        for axes, channel in zip(row[1:], channels[:shown], strict=True):
            axes.imshow(channel, cmap=SIGNED, vmin=-reach, vmax=reach, interpolation="nearest")
            _bare(axes)
    for place, axes in enumerate(rows[0][1:]):
        axes.set_title(f"filter {place}", fontsize=7, color=theme.muted, pad=3)
    told = f"the first {shown} of {maps.shape[1]} filters; orange negative, purple positive, white 0, by image"
    figure_title_block(figure, f"Images after {name}", told, theme)
    return figure


def features_figure(
    picture: NDArray[np.uint8], label: str, maps: Mapping[str, NDArray[np.float32]], theme: Theme
) -> Figure:
    """The network layer by layer on one image: of each layer the channels that vary most. maps: (C, h, w) by name."""
    figure, panels = new_panels(len(maps) * (ACROSS + 1), ACROSS + 1, CELL, CELL + 0.12, theme)
    for axes in panels:
        axes.set_axis_off()
    rows = [panels[start : start + ACROSS + 1] for start in range(0, len(panels), ACROSS + 1)]
    for row, (name, channels) in zip(rows, maps.items(), strict=True):
        size = f"{channels.shape[0]} of {channels.shape[2]} x {channels.shape[1]}"
        row[0].text(1, 0.6, shortened(name, 16), ha="right", fontsize=SMALL_SIZE, color=theme.foreground)
        row[0].text(1, 0.35, size, ha="right", fontsize=7, color=theme.muted)
        for axes, place in zip(row[1:], most_varied(channels), strict=False):
            axes.imshow(channels[place], cmap=SEQUENTIAL, interpolation="nearest")
            axes.set_axis_on()
            _bare(axes)
            axes.set_title(f"{place}", fontsize=6.5, color=theme.muted, pad=2)
    told = f"{shortened(label, 40)}; of each layer the {ACROSS} channels that vary most, each scaled by itself"
    figure_title_block(figure, "Feature maps", told, theme)
    inset = figure.add_axes((0.86, 1 - 0.6 / figure.get_size_inches()[1], 0.13, 0.55 / figure.get_size_inches()[1]))
    show_picture(inset, picture)
    return figure


def most_varied(channels: NDArray[np.float32]) -> list[int]:
    """The places of the channels with the largest standard deviation over the map, of (C, h, w), in order."""
    spread = channels.std((1, 2))
    return sorted(int(place) for place in np.argsort(-spread, kind="stable")[:ACROSS])


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
