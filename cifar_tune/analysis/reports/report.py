"""What a report consists of."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from cifar_tune.plotting.section import Section


@dataclass(frozen=True)
class Report:
    """What a page shows: the question, the answer, how the sweep stands, and the sections.

    describe: of names of trials, what to show under the pointer beside the name.
    """

    name: str
    question: tuple[str, ...]
    answer: str
    counts: str
    status_line: str | None
    sections: tuple[Section, ...]
    describe: Callable[[Collection[str]], dict[str, str]] = lambda _: {}
