"""Findings about a model as a page that needs no network, with a PNG for each figure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from cifar_tune.layout import PAGE_NAME
from cifar_tune.plotting.files import image_of, write_file
from cifar_tune.plotting.html import html_page, prose
from cifar_tune.plotting.section import Section, section_element
from cifar_tune.plotting.theme import DARK, LIGHT


def write_page(folder: Path, title: str, lines: Sequence[str], sections: Sequence[Section]) -> list[Path]:
    """Writes page and PNGs; returns the files, the page first. lines: below the title.

    Raises:
        ResultsError: the folder cannot be written to.
    """
    files, parts = [], []
    for section in sections:
        images = None
        if section.draw is not None:
            images = image_of(section.draw(LIGHT)), image_of(section.draw(DARK))
            files.append(folder / f"{section.name}.png")
            write_file(files[-1], images[0])
        parts.append(section_element(section, images))
    told = "".join(f'<p class="counts">{prose(line)}</p>' for line in lines)
    made_at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    body = (
        f"<header><h1>{escape(title)}</h1>{told}</header>{''.join(parts)}<footer>Made {made_at} by cifar_tune.</footer>"
    )
    write_file(folder / PAGE_NAME, html_page(title, body).encode())
    return [folder / PAGE_NAME, *files]
