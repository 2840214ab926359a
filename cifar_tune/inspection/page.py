"""Findings about a model as a page that needs no network, with a PNG for each figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tune.figures.files import image_of, write_file
from cifar_tune.figures.html import figure_element, html_page, prose, table_element
from cifar_tune.figures.theme import DARK, LIGHT, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE_NAME = "index.html"


@dataclass(frozen=True)
class Table:
    """Words in rows. words: how many columns, from the left, are set to the left; the others are numbers."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


@dataclass(frozen=True)
class Section:
    """A part of a page. name: of the figure's file. alternative: what the figure shows, for who cannot see it."""

    title: str
    text: tuple[str, ...] = ()
    table: Table | None = None
    name: str = ""
    draw: Callable[[Theme], Figure] | None = None
    alternative: str = ""


def write_page(folder: Path, title: str, lines: Sequence[str], sections: Sequence[Section]) -> list[Path]:
    """Writes page and PNGs; returns the files, the page first. lines: below the title.

    Raises:
        ResultsError: the folder cannot be written to.
    """
    files, parts = [], []
    for section in sections:
        element = ""
        if section.draw is not None:
            light, dark = (image_of(section.draw(theme)) for theme in (LIGHT, DARK))
            files.append(folder / f"{section.name}.png")
            write_file(files[-1], light)
            element = figure_element((light, dark), section.alternative)
        parts.append(_section(section, element))
    told = "".join(f'<p class="counts">{prose(line)}</p>' for line in lines)
    made_at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    body = (
        f"<header><h1>{escape(title)}</h1>{told}</header>{''.join(parts)}<footer>Made {made_at} by cifar_tune.</footer>"
    )
    write_file(folder / PAGE_NAME, html_page(title, body).encode())
    return [folder / PAGE_NAME, *files]


def _section(section: Section, figure: str) -> str:
    text = "".join(f"<p>{prose(line)}</p>" for line in section.text)
    table = ""
    if section.table is not None:
        left = [place < section.table.words for place in range(len(section.table.heads))]
        table = table_element(section.table.heads, section.table.rows, left)
    return f"<section><h2>{escape(section.title)}</h2>{text}{figure}{table}</section>\n"
