"""The Pareto front of a sweep, from its table: who is on it, what it covers, and what the report says of it."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from cifar_tune.analysis.pareto import hypervolume_history, pareto, reference_point
from cifar_tune.analysis.pareto_figure import pareto_figure, upright
from cifar_tune.analysis.reports.overview import Choice, print_overview
from cifar_tune.analysis.reports.sections import make_report
from cifar_tune.analysis.reports.text_table import terminal_table
from cifar_tune.analysis.reports.write_report import write_report
from cifar_tune.analysis.sweep_file import SweepFile, read_sweep_file
from cifar_tune.errors import AnalysisError
from cifar_tune.results import Frames, ResultsStore, load

TWO = ("validation_accuracy", "num_parameters")
TRIALS = [  # accuracy, parameters, status
    (0.90, 4000, "completed"),
    (0.80, 1000, "completed"),
    (0.85, 4500, "completed"),
    (0.86, 2000, "completed"),
    (0.99, 10, "stopped"),
    (0.80, 1000, "completed"),
    (0.70, 1500, "completed"),
]
START = datetime(2026, 1, 1, tzinfo=UTC)


def write(folder: Path, trials: Sequence[tuple[float, int, str]], objectives: Sequence[str] = TWO) -> Path:
    with ResultsStore.create(folder, sweep_name="p") as store:
        metrics = ", ".join(f"{{metric: {name}}}" for name in objectives)
        (folder / "sweep.yaml").write_text(f"search: {{model.width: {{int: [1, 9]}}}}\nobjective: [{metrics}]\n")
        for number, (accuracy, parameters, status) in enumerate(trials):
            name = f"t{number:04}"
            store.update_trial(
                name,
                status=status,
                study="all",
                configuration={"model.width": number, "epochs": 2},
                num_parameters=parameters,
                started_at=START,
                ended_at=START + timedelta(minutes=number + 1),
                gpu_seconds=0.0,
            )
            store.add_epoch(
                name, 1, validation_accuracy=accuracy, validation_loss=1.0, epoch_seconds=1.0, latency_seconds=0.00123
            )
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("results") / "p", TRIALS)


@pytest.fixture(scope="module")
def frames(folder: Path) -> Frames:
    return load(folder)


def test_the_front_holds_the_completed_trials_that_none_beats_in_order_of_the_first_objective(frames: Frames) -> None:
    front = pareto(frames.trials, TWO)
    assert front["trial_id"].tolist() == ["t0000", "t0003", "t0001", "t0005"]
    assert front["num_parameters"].tolist() == [4000, 2000, 1000, 1000]
    assert list(front.columns[:4]) == ["trial_id", *TWO, "epochs_trained"]
    assert "trial.model.width" in front.columns


def test_the_order_of_the_objectives_turns_the_front_round(frames: Frames) -> None:
    assert pareto(frames.trials, TWO[::-1])["trial_id"].tolist() == ["t0001", "t0005", "t0003", "t0000"]


def test_an_unknown_objective_is_an_error(frames: Frames) -> None:
    with pytest.raises(AnalysisError, match="did you mean `num_parameters`"):
        pareto(frames.trials, ["validation_accuracy", "parameters"])


@settings(deadline=None, max_examples=30)
@given(rows=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=12))
def test_no_completed_trial_off_the_front_is_unbeaten_and_none_on_it_is_beaten(rows: list[tuple[int, int]]) -> None:
    trials = pd.DataFrame(
        {
            "sweep": "p",
            "trial_id": [f"t{n}" for n in range(len(rows))],
            "status": "completed",
            "validation_accuracy": [a / 10 for a, _ in rows],
            "num_parameters": [b for _, b in rows],
            "epochs_trained": 1,
            "train_seconds": 1.0,
        }
    )
    beaten = [any((c >= a and d <= b and (c, d) != (a, b)) for c, d in rows) for a, b in rows]
    assert set(pareto(trials, TWO)["trial_id"]) == {f"t{n}" for n, lost in enumerate(beaten) if not lost}


def test_the_reference_point_lies_a_tenth_of_the_range_beyond_the_worst(frames: Frames) -> None:
    point = reference_point(frames.trials, TWO)
    assert point == pytest.approx({"validation_accuracy": 0.70 - 0.02, "num_parameters": 4500 + 350})


def test_the_hypervolume_is_the_share_of_the_box_that_the_front_dominates(frames: Frames) -> None:
    """Counted on a fine grid of the box between reference point and ideal point."""
    table = hypervolume_history(frames.trials, TWO)
    assert table["trial_id"].tolist() == ["t0000", "t0001", "t0002", "t0003", "t0005", "t0006"]
    assert table["trials"].tolist() == [1, 2, 3, 4, 6, 7]
    assert table["front"].tolist() == [1, 2, 2, 3, 4, 4]
    cells = np.array(list(itertools.product((np.arange(400) + 0.5) / 400, repeat=2)))
    places = cells * [0.90 - 0.68, 1000 - 4850] + [0.68, 4850]
    covered = np.zeros(len(cells), dtype=bool)
    for share, (accuracy, parameters, status) in zip(
        table["hypervolume"], [one for one in TRIALS if one[2] == "completed"], strict=True
    ):
        assert status == "completed"
        covered |= (places[:, 0] <= accuracy) & (places[:, 1] >= parameters)
        assert share == pytest.approx(covered.mean(), abs=0.005)


def test_an_objective_that_never_differs_leaves_the_hypervolume_to_the_others(tmp_path: Path) -> None:
    trials = load(write(tmp_path / "x", [(0.5, 100, "completed"), (0.7, 100, "completed")])).trials
    assert hypervolume_history(trials, TWO)["hypervolume"].tolist() == pytest.approx([0.02 / 0.22, 1.0])


def test_the_sweep_file_tells_the_objectives_and_the_one_that_is_learnt(tmp_path: Path) -> None:
    found = read_sweep_file(write(tmp_path / "x", TRIALS, TWO[::-1]))
    assert (found.metric, found.objectives) == ("validation_accuracy", TWO[::-1])
    (tmp_path / "sweep.yaml").write_text("objective: [{metric: validation_loss}]")
    assert read_sweep_file(tmp_path) == SweepFile(metric="validation_loss")


def test_the_terminal_shows_the_front_instead_of_a_ranking(folder: Path, frames: Frames) -> None:
    out = io.StringIO()
    print_overview(Console(file=out, width=100), folder, frames.trials, frames.epochs, frames.confirmations)
    text = out.getvalue()
    assert "Pareto front: 4 trials" in text
    assert "Best completed trials" not in text
    assert "None of the 6 completed trials is better in one of validation accuracy and num parameters" in text
    out = io.StringIO()
    choice = Choice(metric="validation_accuracy")
    print_overview(Console(file=out, width=100), folder, frames.trials, frames.epochs, frames.confirmations, choice)
    assert "Best completed trials" in out.getvalue()


def test_the_report_has_the_front_in_words_as_a_table_and_as_a_figure(folder: Path, frames: Frames) -> None:
    report = make_report(folder, frames.trials, frames.epochs, frames.confirmations)
    assert report.answer == (
        "4 of 6 completed trials are on the Pareto front: from t0000 (validation accuracy 90.0 %, num parameters 4,000)"
        " to t0005 (validation accuracy 80.0 %, num parameters 1,000). The validation split chose them, so what they "
        "have learnt is optimistic."
    )
    titles = [section.title for section in report.sections]
    assert titles[0] == "Pareto front"
    (course,) = [section for section in report.sections if section.name == "hypervolume"]
    assert "reference point (validation accuracy 68.0 %, num parameters 4,850)" in course.text[0]
    files = write_report(folder, frames.trials, frames.epochs, frames.confirmations)
    assert {"pareto.png", "hypervolume.png"} <= {file.name for file in files}
    assert "## Pareto front" in (folder / "report" / "report.md").read_text()


def test_before_a_trial_has_completed_the_report_ranks_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path / "x", [(0.5, 100, "stopped")])
    trials, epochs, confirmations = load(folder)
    report = make_report(folder, trials, epochs, confirmations)
    assert report.answer == "No trial has completed yet."
    assert report.sections[0].title == "Trials that got furthest"


def test_the_front_is_drawn_as_steps_over_the_best_within_each_cost(frames: Frames) -> None:
    (axes,) = pareto_figure(frames.trials, TWO).axes
    (line,) = axes.get_lines()
    assert line.get_drawstyle() == "steps-post"
    assert sorted(zip(*line.get_data(), strict=True)) == [(1000, 0.80), (1000, 0.80), (2000, 0.86), (4000, 0.90)]
    stopped, beaten, front = (collection.get_offsets() for collection in axes.collections)
    assert (len(stopped), len(beaten), len(front)) == (1, 2, 4)
    assert {text.get_text() for text in axes.texts} >= {"t0000", "t0003", "t0001, t0005"}


def test_three_objectives_are_drawn_as_what_is_learnt_against_each_cost(frames: Frames) -> None:
    objectives = ("num_parameters", "validation_accuracy", "latency_seconds")
    figure = pareto_figure(frames.trials, objectives)
    assert [axes.get_xlabel() for axes in figure.axes] == ["num parameters", "latency seconds"]
    assert upright(("num_parameters", "validation_loss")) == "validation_loss"
    assert upright(("validation_loss", "validation_accuracy")) == "validation_accuracy"


def test_in_a_narrow_terminal_no_number_is_broken_and_parameters_that_do_not_fit_are_named(frames: Frames) -> None:
    wide = {f"trial.block{n}.setting": "flip,crop(padding=2)" for n in range(5)}
    out = io.StringIO()
    Console(file=out, width=80).print(terminal_table(pareto(frames.trials, TWO).assign(**wide)))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert all(part in out.getvalue() for part in ("t0000", "90.00 %", "4,000"))
    assert "…" not in out.getvalue()
    assert "block4.setting. Set COLUMNS=" in " ".join(out.getvalue().split())
