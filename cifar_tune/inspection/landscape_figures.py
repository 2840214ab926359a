"""The loss around a network, before training and after it, side by side in the same colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cifar_tune.plotting.panels import figure_title_block, new_panels
from cifar_tune.plotting.theme import SEQUENTIAL, SMALL_SIZE, Theme, new_figure, title_block

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVELS = 14


@dataclass(frozen=True)
class Landscape:
    """places: (P,) along either direction. line: (P,) losses. plane: (P, P). The model itself is at 0.

    sharpness: rise by SAM's step. curvature: of the Hessian.
    """

    places: NDArray[np.float64]
    line: NDArray[np.float64]
    plane: NDArray[np.float64]
    loss: float
    sharpness: float
    curvature: float


def line_figure(landscapes: Mapping[str, Landscape], theme: Theme) -> Figure:
    """The loss along one direction, of each network."""
    figure, axes = new_figure(6.4, 4.2, theme)
    for (name, one), colour in zip(landscapes.items(), theme.series, strict=False):
        axes.plot(one.places, one.line, color=colour, linewidth=2)
        axes.annotate(
            name, (one.places[-1], one.line[-1]), (5, 0), textcoords="offset points", color=colour, va="center",
            fontsize=SMALL_SIZE, annotation_clip=False,
        )  # fmt: skip
    axes.set_yscale("log")
    axes.axvline(0, color=theme.faint, linewidth=1, zorder=0)
    axes.set_xlabel("along a random direction, scaled filter by filter")
    axes.set_ylabel("loss (nats)")
    axes.yaxis.set_major_formatter(_short)
    axes.yaxis.set_minor_formatter(lambda *_: "")
    title_block(axes, "Loss along a line", "0 is the network itself; 1 a step as long as its filters are", theme)
    return figure


def plane_figure(landscapes: Mapping[str, Landscape], theme: Theme) -> Figure:
    """The loss on the plane of two directions, of each network, in common colours."""
    from matplotlib.colors import LogNorm

    together = np.concatenate([one.plane.ravel() for one in landscapes.values()])
    known = together[np.isfinite(together) & (together > 0)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.1, 1.0)
    high = max(high, 1.01 * low)
    levels = np.geomspace(low, high, LEVELS)
    figure, panels = new_panels(len(landscapes), 2, 4.1, 3.9, theme)
    for axes, (name, one) in zip(panels, landscapes.items(), strict=True):
        losses = np.clip(np.nan_to_num(one.plane, nan=high, posinf=high), low, high)
        filled = axes.contourf(one.places, one.places, losses, levels, cmap=SEQUENTIAL, norm=LogNorm(low, high))
        axes.contour(one.places, one.places, losses, levels, colors=theme.background, linewidths=0.4)
        axes.plot(0, 0, "+", color="#ffffff", markersize=9, markeredgewidth=1.6)
        axes.set_title(f"{name}: {one.loss:.3g} at +", fontsize=10, color=theme.foreground, loc="left")
        axes.set_aspect("equal")
        axes.set_xlabel("first direction")
        axes.set_ylabel("second direction")
    bar = figure.colorbar(filled, ax=panels, fraction=0.04, pad=0.02, ticks=levels[:: LEVELS // 5])
    bar.ax.tick_params(colors=theme.muted, labelcolor=theme.foreground, labelsize=SMALL_SIZE, length=0)
    bar.ax.yaxis.set_major_formatter(_short)
    bar.ax.yaxis.set_minor_formatter(lambda *_: "")
    bar.outline.set_visible(False)
    figure_title_block(
        figure, "Loss on a plane", "in nats, logarithmic; two random directions, scaled filter by filter", theme
    )
    return figure


def _short(value: float, _: object) -> str:
    return f"{value:.3g}" if value < 1e4 else f"{value:.0e}"
