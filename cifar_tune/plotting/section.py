"""What a page consists of, and each part of it as HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from cifar_tune.plotting.hover import Spot
from cifar_tune.plotting.html import Images, figure_element, prose, table_element
from cifar_tune.plotting.theme import Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Table:
    """Heads and rows of words. left: which columns are set to the left. marked: which rows stand out; () is none."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[bool, ...]
    marked: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Section:
    """name: of the figure's file. draw: makes the figure in a theme. alternative: the figure in words."""

    title: str
    text: tuple[str, ...] = ()
    table: Table | None = None
    name: str = ""
    draw: Callable[[Theme], Figure] | None = None
    alternative: str = ""


def section_element(section: Section, images: Images | None, spots: Sequence[Spot] = ()) -> str:
    """A section. images: its figure. spots: what stands where in it."""
    text = "".join(f"<p>{prose(line)}</p>" for line in section.text)
    figure = figure_element(images, section.alternative, spots) if images is not None else ""
    words = section.table
    table = table_element(words.heads, words.rows, words.left, words.marked) if words is not None else ""
    return f"<section>\n<h2>{escape(section.title)}</h2>\n{text}{figure}{table}\n</section>\n"
