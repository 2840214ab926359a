"""Figures of several plots under one title."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cifar_tune.plotting.theme import DOTS_PER_INCH, SMALL_SIZE, TITLE_SIZE, Theme, shortened, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEAD_HEIGHT = 0.62
"""Inches above the plots, for the title and a line below it."""
CHARACTERS_AN_INCH = 9.0, 17.0
"""Of the title and of the line below it, that surely fit."""


def new_panels(count: int, most_across: int, width: float, height: float, theme: Theme) -> tuple[Figure, list[Axes]]:
    """A figure of plots of equal size, row by row, with room for a title above. width, height: of a plot, inches."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from cifar_tune.plotting.plain_figure import PlainFigure

    columns = max(1, min(most_across, count))
    rows = max(1, math.ceil(count / columns))
    size = (max(5.2, width * columns), height * rows + HEAD_HEIGHT)
    below_head = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - HEAD_HEIGHT / size[1]))
    figure = PlainFigure(figsize=size, dpi=DOTS_PER_INCH, layout=below_head, facecolor=theme.background)
    panels = [figure.add_subplot(rows, columns, place + 1) for place in range(count)]
    for axes in panels:
        style(axes, theme)
    return figure, panels


def figure_title_block(figure: Figure, title: str, subtitle: str, theme: Theme) -> None:
    """Title and one line below it, above all plots."""
    width, height = figure.get_size_inches()
    for text, below, size, weight, colour, room in (
        (title, 0.1, TITLE_SIZE, "bold", theme.foreground, CHARACTERS_AN_INCH[0]),
        (subtitle, 0.36, SMALL_SIZE, "normal", theme.muted, CHARACTERS_AN_INCH[1]),
    ):
        figure.text(
            0.1 / width, 1 - below / height, shortened(text, int(width * room)), va="top",
            fontsize=size, fontweight=weight, color=colour,
        )  # fmt: skip
