"""Tables in the terminal: columns that do not fit are left out and named, so that no number is broken."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from cifar_tune.plotting.section import Table

LONGEST_HEAD = 9
"""Characters of a name on one line; a longer one is broken at its dots and underscores."""
GAP = 2
"""Characters between columns: Rich's padding and its separator. The last column has the padding alone."""
LONGEST_WORD = 20
"""Characters of a word of text, such as a path, that are kept on one line. Of two such columns, both fit beside their
numbers into the 80 columns that a terminal has at least."""


class TerminalTable:
    """A table as wide as the terminal at most.

    Cells of numbers are never broken. Text is broken at its spaces, and within words where these are long. The last
    columns are left out where not all fit, and a line below the table names them.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._heads = [_broken(head) for head in table.heads]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        least = self._widths(_least_width)
        room = options.max_width + 1
        count = next((n for n in range(len(least), 1, -1) if sum(least[:n]) <= room), min(1, len(least)))
        spare = max(0, room - sum(least[:count]))
        widths = []
        for width, whole in zip(least[:count], self._widths(_whole_width), strict=False):
            widths.append(width + min(spare, whole - width))
            spare -= widths[-1] - width
        yield self._columns(widths)
        if left_out := self._table.heads[count:]:
            yield left_out_note(left_out, sum(least) - 1)

    def _columns(self, widths: Sequence[int]) -> RichTable:
        """The first columns, as wide as given with the gap after them."""
        table = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
        for head, left, width in zip(self._heads, self._table.left, widths, strict=False):
            table.add_column(Text(head), justify="left" if left else "right", width=width - GAP, overflow="fold")
        marked = self._table.marked or (False,) * len(self._table.rows)
        for row, stands_out in zip(self._table.rows, marked, strict=True):
            table.add_row(*map(Text, row[: len(widths)]), style="bold" if stands_out else "")
        return table

    def _widths(self, width_of: Callable[[str], int]) -> list[int]:
        """The characters of each column and the gap after it, by those of a cell."""
        columns = zip(self._heads, *self._table.rows, strict=True)
        return [GAP + max(map(width_of, column)) for column in columns]


def left_out_note(left_out: Sequence[str], width: int) -> Text:
    """Names the columns that were left out. width: characters by which all would fit."""
    return Text(f"Not shown, as the terminal is narrow: {', '.join(left_out)}. Set COLUMNS={width} to see all.", "dim")


def _whole_width(cell: str) -> int:
    return max(map(cell_len, cell.splitlines()), default=0)


def _least_width(cell: str) -> int:
    if _is_number(cell):
        return _whole_width(cell)
    return min(max(map(cell_len, cell.split()), default=0), LONGEST_WORD)


def _is_number(cell: str) -> bool:
    """Whether a cell holds one number, or several with their interval or unit: `97.85 ± 0.33 [97.4, 98.3]`."""
    return re.match(r"[-+−±≥]?\d", cell) is not None


def _broken(head: str) -> str:
    """A long name on several lines."""
    return head if len(head) <= LONGEST_HEAD else re.sub(r"(?<=[._])(?=\w{3})", "\n", head)
