"""What a report consists of."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from cifar_tune.figures.theme import Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Section:
    """name: of the figure's file. draw: makes the figure in a theme. alternative: the figure in words."""

    title: str
    text: tuple[str, ...] = ()
    table: pd.DataFrame | None = None
    name: str = ""
    draw: Callable[[Theme], Figure] | None = None
    alternative: str = ""


@dataclass(frozen=True)
class Report:
    """What a page shows: the question, the answer, how the sweep stands, and the sections.

    describe: of names of trials, what to show under the pointer beside the name.
    """

    name: str
    question: tuple[str, ...]
    answer: str
    counts: str
    standing: str | None
    sections: tuple[Section, ...]
    describe: Callable[[Collection[str]], dict[str, str]] = lambda _: {}
