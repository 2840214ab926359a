"""How figures look: colours for light and dark pages, one typeface, sizes that can be read on a phone."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Theme:
    """Colours of one page. blocked: behind hatching. series: told apart by people of any colour vision."""

    background: str
    foreground: str
    muted: str
    faint: str
    blocked: str
    series: tuple[str, ...]


OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Source: Okabe and Ito 2008, Color Universal Design."""

LIGHT = Theme("#ffffff", "#1b1f24", "#5b6570", "#d5dae0", "#eceff2", OKABE_ITO)
DARK = Theme(
    "#14181d",
    "#e6e9ed",
    "#9aa5b1",
    "#39424c",
    "#262d35",
    ("#56B4E9", "#E69F00", "#2EC498", "#E596C2", "#8FB8FF", "#FF8A4C"),
)

SEQUENTIAL = "viridis"
"""Even in lightness for every kind of colour vision, and in grey print."""

BRIGHT = 0.45
"""Luminance above which a cell takes dark text. Weights of the channels: ITU-R BT.709."""

TITLE_SIZE = 13
TEXT_SIZE = 10
SMALL_SIZE = 8.5
DOTS_PER_INCH = 150
LINE = 12
"""Points from line to line of small text."""
MARGIN, CHARACTERS_AN_INCH = 1.4, 16
"""Inches left of a plot, and how much small text fits in one."""


def new_figure(width: float, height: float, theme: Theme) -> tuple[Figure, Axes]:
    """A figure of one plot in the theme's colours. width, height: inches."""
    from cifar_tune.plotting.plain_figure import PlainFigure

    figure = PlainFigure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained", facecolor=theme.background)
    axes = figure.add_subplot()
    style(axes, theme)
    return figure, axes


def style(axes: Axes, theme: Theme) -> None:
    """Gives a plot the theme's colours and sizes, without a frame on the top and right."""
    axes.set_facecolor(theme.background)
    axes.tick_params(colors=theme.muted, labelcolor=theme.foreground, labelsize=TEXT_SIZE)
    for side, spine in axes.spines.items():
        spine.set_color(theme.faint)
        spine.set_visible(side in ("left", "bottom"))
    for text in (axes.xaxis.label, axes.yaxis.label):
        text.set_color(theme.foreground)
        text.set_fontsize(TEXT_SIZE)


def title_block(axes: Axes, title: str, subtitle: str, theme: Theme) -> None:
    """Title, and below it a line, or two where it is too long for the figure, above the plot."""
    inches = axes.figure.bbox.width / DOTS_PER_INCH
    most = int((inches - MARGIN) * CHARACTERS_AN_INCH)
    lines = textwrap.wrap(subtitle, max(most, 20))
    pad = 14 + LINE * len(lines)
    axes.set_title(title, loc="left", fontsize=TITLE_SIZE, fontweight="bold", color=theme.foreground, pad=pad)
    axes.annotate(
        "\n".join(lines),
        (0, 1),
        (0, 9),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=SMALL_SIZE,
        color=theme.muted,
    )


def shortened(text: str, most: int = 26) -> str:
    """The text, its middle left out where it is too long."""
    return text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-(most // 2) :]}"


def contrast_color(colour: Sequence[float]) -> str:
    """Black or white, whichever can be read on a colour; red, green and blue in [0, 1] come first in it."""
    red, green, blue = colour[:3]
    return "#111111" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > BRIGHT else "#ffffff"
