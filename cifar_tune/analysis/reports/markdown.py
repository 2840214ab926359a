"""A report as Markdown, for a README; figures stand beside it as PNG."""

from __future__ import annotations

import re
from urllib.parse import quote

from cifar_tune.analysis.reports.report import Report
from cifar_tune.plotting.section import Section, Table


def markdown(report: Report) -> str:
    """The whole file."""
    told = [*(line for line in report.question if line), report.answer, f"{report.counts}.", report.status_line or ""]
    head = [f"# {_prose(report.name)}", *(_prose(line) for line in told if line)]
    return "\n\n".join([*head, *(_section(section) for section in report.sections)]) + "\n"


def _section(section: Section) -> str:
    parts = [f"## {_prose(section.title)}", *map(_prose, section.text)]
    parts += [f"![{_prose(section.alternative)}]({quote(section.name)}.png)"] if section.draw else []
    parts += [_table(section.table)] if section.table is not None else []
    return "\n\n".join(parts)


def _table(table: Table) -> str:
    lines = [_row(table.heads), _row(["---" if left else "---:" for left in table.left])]
    return "\n".join([*lines, *map(_row, table.rows)])


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(_prose(" ".join(cell.split())).replace("|", "\\|") for cell in cells) + " |"


def _prose(text: str) -> str:
    """Text of which nothing is taken for HTML; what stands in backticks is code, as it is."""
    return re.sub(r"(`[^`]*`)|<", lambda found: found[1] or "&lt;", text)
