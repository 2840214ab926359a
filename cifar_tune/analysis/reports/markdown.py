"""A report as Markdown, for a README; figures stand beside it as PNG."""

from __future__ import annotations

from cifar_tune.analysis.reports.report import Report
from cifar_tune.figures.section import Section, Table


def markdown(report: Report) -> str:
    """The whole file."""
    head = [f"# {report.name}", *(line for line in report.question if line), report.answer, f"{report.counts}."]
    head += [report.standing] if report.standing else []
    return "\n\n".join([*head, *(_section(section) for section in report.sections)]) + "\n"


def _section(section: Section) -> str:
    parts = [f"## {section.title}", *section.text]
    parts += [f"![{section.alternative}]({section.name}.png)"] if section.draw else []
    parts += [_table(section.table)] if section.table is not None else []
    return "\n\n".join(parts)


def _table(table: Table) -> str:
    lines = [_row(table.heads), _row(["---" if left else "---:" for left in table.left])]
    return "\n".join([*lines, *map(_row, table.rows)])


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
