"""Tables in the terminal: nothing is broken, what does not fit is named, and names are printed as they are."""

from __future__ import annotations

import ast
from io import StringIO
from pathlib import Path

import pytest

import cifar_tune
from cifar_tune.cli.console import EndingConsole, LastingConsole, PlainConsole
from cifar_tune.plotting.section import Table
from cifar_tune.plotting.terminal_table import LONGEST_WORD, TerminalTable

ODD = ("[bold]cat", "dog [/]", ":smile:", "a[1]")
"""Names that Rich would take for styles, or pictures, or refuse."""


def printed(table: Table, width: int) -> list[str]:
    console = PlainConsole(file=StringIO(), width=width)
    console.print(TerminalTable(table))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def numbers(columns: int) -> Table:
    """Columns of numbers with their intervals, 21 characters each and 2 between them."""
    heads = tuple(f"accuracy{column}" for column in range(columns))
    rows = tuple(tuple(f"{row}{column}.85 ± 0.33 [97, 98]" for column in range(columns)) for row in range(1, 4))
    return Table(heads, rows, left=(False,) * columns)


@pytest.mark.parametrize("width", [44, 45, 80, 200])
def test_cells_of_numbers_are_whole_and_the_columns_left_out_are_named(width: int) -> None:
    table = numbers(6)
    text = "\n".join(printed(table, width))
    shown = [head for head in table.heads if head in text.splitlines()[0]]
    assert shown == list(table.heads[: min(6, (width + 1) // 23)])
    for row in table.rows:
        assert all(cell in text for cell in row[: len(shown)])
        assert not any(cell in text for cell in row[len(shown) :])
    told = " ".join(text.split()).rpartition("Not shown, as the terminal is narrow: ")[2]
    left_out = ", ".join(table.heads[len(shown) :])
    assert told == f"{left_out}. Set COLUMNS=137 to see all." if left_out else "Not shown" not in text


def test_the_width_that_is_named_shows_all_columns_and_one_less_does_not() -> None:
    table = numbers(6)
    assert "Not shown" not in "\n".join(printed(table, 137))
    assert "Not shown" in "\n".join(printed(table, 136))


def test_text_is_broken_between_words_and_long_words_where_they_must() -> None:
    path = "/photos/" + "x" * 60
    table = Table(("picture", "why", "count"), ((path, "the file is truncated", "12,345"),), left=(True, True, False))
    lines = printed(table, 60)
    assert max(map(len, lines)) <= 60
    assert "".join(line[: line.find(" ")] if " " in line else line for line in lines[2:]).startswith("/photos/x")
    assert sum(line.count("x") for line in lines[2:]) == 60
    assert "12,345" in lines[2]
    words = " ".join(lines[2:]).split()
    assert {"the", "file", "is", "truncated"} <= set(words)


def test_a_single_column_is_shown_however_narrow_the_terminal() -> None:
    table = Table(("name", "value"), (("a" * 30, "1.5"),), left=(True, False))
    lines = printed(table, 12)
    assert sum(line.count("a") for line in lines[2:-2]) >= 30
    assert "Not shown, as the terminal is narrow: value." in " ".join(lines)


def test_names_are_printed_as_they_are() -> None:
    table = Table(("name", "[x]"), tuple((name, "1") for name in ODD), left=(True, False))
    text = "\n".join(printed(table, 80))
    assert all(name in text for name in (*ODD, "[x]"))


@pytest.mark.parametrize("kind", [EndingConsole, LastingConsole])
def test_consoles_of_commands_print_text_as_it_is(kind: type[PlainConsole]) -> None:
    console = kind(file=StringIO(), width=80)
    console.print(" ".join(ODD))
    assert console.file.getvalue() == " ".join(ODD) + "\n"


def test_no_command_has_a_console_that_would_take_names_for_styles() -> None:
    package = Path(cifar_tune.__file__).parent
    calls = {
        (path.relative_to(package).as_posix(), ast.unparse(node))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Console"
    }
    # The bars of downloads and decoding have columns of their own, which are told to take names as they are.
    assert {path for path, _ in calls} == {"training/datasets/progress.py"}


def test_words_up_to_a_length_stay_whole() -> None:
    word = "w" * LONGEST_WORD
    table = Table(("a", "b"), ((f"{word} {word}", "1"),), left=(True, False))
    assert [line.split()[0] for line in printed(table, LONGEST_WORD + 5)[2:4]] == [word, word]
