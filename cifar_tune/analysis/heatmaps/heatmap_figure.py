"""A heat map as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cifar_tune.analysis.heatmaps.cell_colours import colour_map, value_range
from cifar_tune.analysis.heatmaps.heatmap import Cell, Heatmap
from cifar_tune.analysis.naming import written
from cifar_tune.plotting.files import image_of, write_file
from cifar_tune.plotting.theme import (
    LIGHT,
    SMALL_SIZE,
    TEXT_SIZE,
    Theme,
    contrast_color,
    new_figure,
    shortened,
    title_block,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

CELL_WIDTH, CELL_HEIGHT = 1.05, 0.62
"""Inches: two lines of text fit in."""
MOST_ANNOTATED = 400
"""Cells; beyond, they are too small to hold text."""
WIDEST_OF_FULL_SIZE, WIDEST = 9, 13
"""Characters of a label that fit below a cell in full size and in small; longer ones are turned."""
LARGEST = 22.0
"""Inches along either side."""


def draw_heatmap(heatmap: Heatmap, path: Path, theme: Theme = LIGHT) -> None:
    """Writes the heat map as an image; the format follows from the ending (png, svg, pdf).

    Raises:
        ResultsError: the place cannot be written to.
    """
    write_file(path, image_of(heatmap_figure(heatmap, theme), path.suffix.removeprefix(".") or "png"))


def heatmap_figure(heatmap: Heatmap, theme: Theme = LIGHT) -> Figure:
    """The heat map with value, n and spread in each cell; cells without a value hatched, empty ones blank."""
    rows, columns = heatmap.value.shape
    width = min(LARGEST, max(5.2, 2.4 + CELL_WIDTH * columns))
    height = min(LARGEST, 1.75 + CELL_HEIGHT * rows)
    figure, axes = new_figure(width, height, theme)
    mesh = draw_cells(axes, heatmap, theme, value_range(heatmap))
    if heatmap.value.stack().nunique() > 1:
        add_colour_bar(figure, [axes], mesh, heatmap.metric, theme, aspect=max(6, 5 * rows))
    title_block(axes, heatmap.title, subtitle(heatmap), theme)
    return figure


def draw_cells(axes: Axes, heatmap: Heatmap, theme: Theme, limits: tuple[float, float]) -> QuadMesh:
    """Draws the cells and the axes of a heat map. limits: the values at both ends of the colours."""
    mesh = _colours(axes, heatmap, theme, limits)
    _hatching(axes, heatmap, theme)
    if heatmap.value.size <= MOST_ANNOTATED:
        _annotations(axes, heatmap, mesh, theme)
    _ticks(axes, heatmap)
    return mesh


def add_colour_bar(
    figure: Figure, panels: list[Axes], mesh: QuadMesh, metric: str, theme: Theme, aspect: float = 20
) -> None:
    """Puts the colours with the metric's values at the right of the plots. aspect: height over width."""
    bar = figure.colorbar(mesh, ax=panels, fraction=0.05, pad=0.02, aspect=aspect)
    bar.ax.tick_params(colors=theme.muted, labelcolor=theme.foreground, labelsize=SMALL_SIZE, length=0)
    bar.ax.yaxis.set_major_formatter(lambda value, _: written(metric, value))
    bar.outline.set_visible(False)


def subtitle(heatmap: Heatmap) -> str:
    """At which epoch trials are compared, how many count, and what the cells show."""
    return " · ".join(parts_of_subtitle([heatmap]))


def parts_of_subtitle(heatmaps: Sequence[Heatmap]) -> list[str]:
    """What `subtitle` says, of heat maps at the same epoch taken together."""
    counted = sum(int(one.n.to_numpy().sum()) for one in heatmaps)
    known = sum(int(one.trials.to_numpy().sum()) for one in heatmaps)
    epoch = heatmaps[0].epoch
    when = f"at epoch {epoch}" if epoch else "completed trials only"
    parts = [f"{when}: {counted} of {known} trials"]
    if max(one.n.to_numpy().max(initial=0) for one in heatmaps) > 1:
        parts.append("± standard deviation of n trials")
    if any(one.stopped.to_numpy().any() for one in heatmaps):
        parts.append("hatched: ended before" if epoch else "hatched: none completed")
    if any((one.trials == 0).to_numpy().any() for one in heatmaps):
        parts.append("blank: no trial")
    if (images := heatmaps[0].few_images) is not None:
        parts.append(f"1 of {images} images: {100 / images:.1f} points")
    return parts


def _colours(axes: Axes, heatmap: Heatmap, theme: Theme, limits: tuple[float, float]) -> QuadMesh:
    values = heatmap.value.to_numpy(float)
    low, high = limits
    masked = np.ma.masked_invalid(values)
    rows, columns = values.shape
    edges = np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5
    mesh = axes.pcolormesh(*edges, masked, cmap=colour_map(heatmap), vmin=low, vmax=high)
    axes.hlines(edges[1], -0.5, columns - 0.5, colors=theme.background, linewidth=2)
    axes.vlines(edges[0], -0.5, rows - 0.5, colors=theme.background, linewidth=2)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim((-0.5, rows - 0.5) if heatmap.y.numeric else (rows - 0.5, -0.5))
    for spine in axes.spines.values():
        spine.set_visible(False)
    return mesh


def _hatching(axes: Axes, heatmap: Heatmap, theme: Theme) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    for mask, hatch, face in ((heatmap.stopped, "////", theme.blocked), (heatmap.trials == 0, None, "none")):
        cells = [Rectangle((column - 0.47, row - 0.46), 0.94, 0.92) for row, column in np.argwhere(mask.to_numpy())]
        if cells:
            patches = PatchCollection(cells, facecolor=face, edgecolor=theme.faint, hatch=hatch, linewidth=0.8)
            axes.add_collection(patches)


def _annotations(axes: Axes, heatmap: Heatmap, mesh: QuadMesh, theme: Theme) -> None:
    for cell in heatmap.cells():
        where = (cell.column, cell.row)
        if cell.value is not None:
            colour = contrast_color(mesh.to_rgba(np.array([cell.value]))[0])
            text = written(heatmap.metric, cell.value)
            axes.text(*where, text, ha="center", va="bottom", color=colour, fontsize=TEXT_SIZE + 1)
            axes.annotate(
                cell_note(heatmap, cell),
                where,
                xytext=(0, -3),
                textcoords="offset points",
                ha="center",
                va="top",
                color=colour,
                fontsize=SMALL_SIZE - 1,
            )
        elif cell.trials:
            patch = {"facecolor": theme.blocked, "edgecolor": "none", "pad": 1.5}
            text = ended_note(cell)
            axes.text(
                *where, text, ha="center", va="center", color=theme.foreground, fontsize=SMALL_SIZE - 1, bbox=patch
            )


def cell_note(heatmap: Heatmap, cell: Cell) -> str:
    """How many trials a cell's value comes from, and their spread."""
    # A few equal values are not certainty: a spread of 0 is not shown.
    return f"n={cell.n}" + (f" ±{written(heatmap.metric, cell.spread)}" if cell.spread else "")


def ended_note(cell: Cell) -> str:
    """How many trials the cell has, and how far they got."""
    many = f"{cell.trials} trial" + ("s" if cell.trials > 1 else "")
    return many if cell.furthest is None else f"{many}\nto epoch {cell.furthest:.0f}"


def _ticks(axes: Axes, heatmap: Heatmap) -> None:
    x_labels = [shortened(label) for label in heatmap.x.labels]
    axes.set_xticks(range(len(x_labels)), x_labels)
    longest = max((len(label) for label in x_labels), default=0)
    if longest > WIDEST_OF_FULL_SIZE:
        axes.tick_params(axis="x", labelsize=SMALL_SIZE)
    if longest > WIDEST:
        axes.tick_params(axis="x", labelrotation=30)
        for tick in axes.get_xticklabels():
            tick.set_horizontalalignment("right")
            tick.set_rotation_mode("anchor")
    axes.set_yticks(range(len(heatmap.y.values)), [shortened(label) for label in heatmap.y.labels])
    axes.set_xlabel(shortened(heatmap.x.name, 60) + (" (bins even in the logarithm)" if heatmap.x.log else ""))
    axes.set_ylabel(shortened(heatmap.y.name, 40) + (" (log bins)" if heatmap.y.log else ""))
    axes.tick_params(length=0)
