"""The files of a report: a page, Markdown, and a PNG for each figure."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from cifar_tune.analysis.reports.linked_files import linked_files
from cifar_tune.analysis.reports.markdown import markdown
from cifar_tune.analysis.reports.overview import Choice
from cifar_tune.analysis.reports.page import page
from cifar_tune.analysis.reports.sections import make_report
from cifar_tune.analysis.sweep_file import read_sweep_file
from cifar_tune.layout import MARKDOWN_NAME, PAGE_NAME, REPORT_FOLDER
from cifar_tune.plotting.files import image_of, write_file
from cifar_tune.plotting.hover import spots_of
from cifar_tune.plotting.theme import DARK, LIGHT
from cifar_tune.results import Frames


def write_report(
    folder: Path,
    trials: pd.DataFrame,
    epochs: pd.DataFrame,
    confirmations: pd.DataFrame,
    choice: Choice | None = None,
    other: Frames | None = None,
) -> list[Path]:
    """Writes the report of a sweep into its folder; returns the files, the page first.

    other: a sweep to compare it with.

    Raises:
        AnalysisError: the choice names what the tables do not have.
        ResultsError: the folder cannot be written to.
    """
    report = make_report(folder, trials, epochs, confirmations, choice, other)
    place = folder / REPORT_FOLDER
    drawn = {section.name: section.draw for section in report.sections if section.draw}
    images, spots = {}, {}
    for name, draw in drawn.items():
        light = draw(LIGHT)
        images[name] = image_of(light), image_of(draw(DARK))
        spots[name] = spots_of(light)
    for name, (image, _) in images.items():
        write_file(place / f"{name}.png", image)
    sweep = read_sweep_file(folder)
    metric = (choice and choice.metric) or sweep.metric
    links = {f"../{path}": what for path, what in linked_files(folder, trials, confirmations, metric, sweep).items()}
    made_at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    write_file(place / MARKDOWN_NAME, markdown(report).encode())
    write_file(place / PAGE_NAME, page(report, images, spots, made_at=made_at, links=links).encode())
    return [place / PAGE_NAME, place / MARKDOWN_NAME, *(place / f"{name}.png" for name in images)]
