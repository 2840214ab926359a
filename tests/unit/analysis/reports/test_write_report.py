"""The page of a report as a file: what it links to, and names that are no HTML and no formula."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cifar_tune.analysis.reports.linked_files import linked_files
from cifar_tune.analysis.reports.overview import Choice
from cifar_tune.analysis.reports.write_report import write_report
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.cli.report import main
from cifar_tune.results import ResultsStore, load
from cifar_tune.results.columns import CONFIRMATION_COLUMNS
from cifar_tune.results.confirmations import confirmation_table

MakeSweep = Callable[[str, Callable[[ResultsStore], None]], Path]
ODD = "<script>a</script>$\\frac$"
"""Neither HTML nor a formula, and no formula that Matplotlib could read."""


def test_names_that_look_like_html_or_formulas_are_written_as_they_stand(make_sweep: MakeSweep) -> None:
    def fill(store: ResultsStore) -> None:
        for place in range(4):
            configuration = {f"x{ODD}": ODD * (1 + place % 3), "y": 0.1 * (place + 1)}
            store.update_trial(f"t{place}{ODD}", status="completed", configuration=configuration, device_name=ODD)
            store.update_trial(f"t{place}{ODD}", num_parameters=place)

    folder = make_sweep("s", fill)
    (folder / "sweep.yaml").write_text(f"# Question: {ODD}\n\nname: s\n")
    files = write_report(folder, *load(folder), Choice(metric="num_parameters"))
    assert len(files) == 3
    text = files[0].read_text()
    assert "<script>a" not in text
    assert "&lt;script&gt;a&lt;/script&gt;$\\frac$" in text
    assert "<script" not in files[1].read_text()
    assert "# s\n\nQuestion: &lt;script>a&lt;/script>$" in files[1].read_text()


def test_the_page_links_to_the_checkpoints_of_the_best_trials(make_sweep: MakeSweep) -> None:
    def fill(store: ResultsStore) -> None:
        for place in range(7):
            where = f"checkpoints/t{place}"
            store.update_trial(f"t{place}", status="completed", checkpoint=where, configuration={"lr": place})
            store.add_epoch(f"t{place}", 1, validation_accuracy=place / 10)
            if place != 5:
                (store.folder / where).mkdir(parents=True)

    folder = make_sweep("s", fill)
    row = dict.fromkeys(column.name for column in CONFIRMATION_COLUMNS) | {"sweep": "s", "status": "completed"}
    row |= {"trial_id": "t6", "configuration": "c", "trained_on": "train", "test_accuracy": 0.6, "openings": 1}
    pq.write_table(
        confirmation_table("s", [row | {"seed": 7, "checkpoint": "confirm/checkpoints/t6-7"}]),
        folder / "confirmations.parquet",
    )
    (folder / "confirm" / "checkpoints" / "t6-7").mkdir(parents=True)
    trials, _, confirmations = load(folder)
    links = linked_files(folder, trials, confirmations, "validation_accuracy", SweepFile())
    assert list(links.items())[3:] == [
        ("checkpoints", "checkpoints: one folder a trial"),
        ("checkpoints/t6", "checkpoint of t6"),
        ("confirm/checkpoints/t6-7", "checkpoint of t6, trained again with seed 7"),
        *((f"checkpoints/t{place}", f"checkpoint of t{place}") for place in (4, 3, 2)),
    ]


def test_a_comparison_is_told_in_the_terminal_and_on_the_page(
    make_sweep: MakeSweep, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill(store: ResultsStore) -> None:
        configuration = {"optimizer.lr": 0.1 if store.folder.name == "one" else 0.2, "epochs": 2}
        store.update_trial("t0", status="completed", configuration=configuration, ended_at=datetime.now(UTC))
        for epoch in (1, 2):
            store.add_epoch("t0", epoch, validation_accuracy=configuration["optimizer.lr"] * epoch, epoch_seconds=36.0)

    one, other = make_sweep("one", fill), make_sweep("other_seconds", fill)
    assert main([str(one), "--compare", str(other)]) == 0
    shown = capsys.readouterr().out
    lines = [line.split() for line in shown.splitlines()]
    assert "one beside other_seconds: validation accuracy (%)" in shown
    assert ["quantity", "one", "seconds"] in lines
    assert ["best", "at", "epoch", "2", "20.0", "40.0"] in lines
    assert ["best", "after", "0.02", "hours", "of", "training", "20.0", "40.0"] in lines
    assert ["optimizer.lr", "0.1", "0.2", "0.1", "0.2"] in lines
    page = (one / "report" / "index.html").read_text()
    assert "<h2>Compared with other_seconds</h2>" in page
    assert '<td>best at epoch 2</td><td class="number">20.0</td><td class="number">40.0</td>' in page

    assert main([str(one), "--compare", str(other), "--metric", "gpu_second"]) == 2
    assert "`gpu_second` is not a metric; did you mean `gpu_seconds`?" in capsys.readouterr().err
    assert main([str(one), "--compare", str(one.parent)]) == 2
    assert "it holds the sweeps one, other_seconds: name one of them" in capsys.readouterr().err
