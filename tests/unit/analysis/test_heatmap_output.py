"""Heat maps drawn and printed: every cell says what it is."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from rich.console import Console

from cifar_tune.analysis import draw_heatmap, heatmap, heatmap_figure
from cifar_tune.analysis.heatmaps.heatmap_text import heatmap_text
from cifar_tune.errors import ResultsError
from cifar_tune.plotting.theme import DARK, shortened
from cifar_tune.results import Frames


def texts(figure: Figure) -> list[str]:
    axes = figure.axes[0]
    return [text.get_text() for text in axes.texts]


def printed(frames: Frames, width: int = 80, **arguments: object) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(heatmap_text(heatmap(frames.trials, epochs=frames.epochs, **arguments), width))
    return console.file.getvalue()


def test_the_figure_shows_value_and_n_and_hatches_what_ended_before(frames: Frames) -> None:
    figure = heatmap_figure(heatmap(frames.trials, "optimizer.lr", "model.activation", epochs=frames.epochs))
    shown = texts(figure)
    assert {"85.5", "86.5", "80.8", "n=1", "1 trial\nto epoch 3", "1 trial\nto epoch 0"} <= set(shown)
    hatched, empty = [item for item in figure.axes[0].collections if isinstance(item, PatchCollection)]
    assert (hatched.get_hatch(), len(hatched.get_paths())) == ("////", 2)
    assert (empty.get_hatch(), len(empty.get_paths())) == (None, 1)
    below_title = "at epoch 9: 3 of 6 trials · hatched: ended before · blank: no trial"
    assert below_title in [" ".join(text.split()) for text in shown], "in two lines where the figure is narrow"
    assert figure.axes[0].get_title(loc="left") == "Best validation accuracy (%)"


def test_the_figure_shows_the_spread_of_several_trials(frames: Frames) -> None:
    epochs = frames.epochs.copy()
    epochs.loc[epochs["trial_id"] == "t002", "validation_accuracy"] -= 0.04
    result = heatmap(frames.trials, "optimizer.lr", "model.activation", epochs=epochs, at_epoch=3, aggregate="mean")
    assert f"n=2 ±{100 * 0.04 / np.sqrt(2):.1f}" in texts(heatmap_figure(result))


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_heat_maps_are_written_in_several_formats(frames: Frames, tmp_path: Path, ending: str) -> None:
    path = tmp_path / "new" / f"h.{ending}"
    draw_heatmap(heatmap(frames.trials, "optimizer.lr", epochs=frames.epochs), path, DARK)
    assert path.read_bytes().startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending])
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_place_that_cannot_be_written_to_is_named(frames: Frames, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match=r"file/h\.png: could not be written"):
        draw_heatmap(heatmap(frames.trials, "optimizer.lr"), tmp_path / "file" / "h.png")


@pytest.mark.parametrize("rows", [1, 2])
def test_few_trials_and_equal_values_are_drawn_too(frames: Frames, rows: int) -> None:
    result = heatmap(frames.trials.iloc[[1, 1]].head(rows), "optimizer.lr", "model.activation", epochs=frames.epochs)
    figure = heatmap_figure(result)
    figure.canvas.draw()
    assert any(f"n={rows}" in text for text in texts(figure))


def test_many_cells_are_drawn_without_text() -> None:
    places = np.arange(900)
    trials = pd.DataFrame(
        {"trial.x": (places % 30).astype(str), "trial.y": (places // 30).astype(str), "train_loss": places / 900}
    )
    figure = heatmap_figure(heatmap(trials, "x", "y", "train_loss"))
    figure.canvas.draw()
    assert len(texts(figure)) == 1
    assert max(figure.get_size_inches()) <= 22


def test_the_terminal_shows_value_and_count_of_each_cell(frames: Frames) -> None:
    lines = printed(frames, x="optimizer.lr", y="model.activation").splitlines()
    assert lines[0] == "Best validation accuracy (%) at epoch 9"
    assert lines[1] == "optimizer.lr across, model.activation down"
    assert lines[2].split() == ["0.01", "0.1", "1"]
    assert lines[4].split() == ["mish", "·", "86.5", "(1)", "//", "(1)"]
    assert lines[5].split() == ["relu", "80.8", "(1)", "85.5", "(1)", "//", "(1)"]
    assert "in brackets: trials that count; //: none of the cell's trials got to epoch 9; ·: no trial" in " ".join(
        lines[6:]
    )


def test_one_parameter_and_completed_trials_only_are_said(frames: Frames) -> None:
    trials = frames.trials.assign(num_parameters=7)
    text = printed(frames._replace(trials=trials), x="optimizer.lr", metric="num_parameters")
    assert "Best num parameters of completed trials\noptimizer.lr across\n" in text
    assert "//: none completed" in text


def test_a_narrow_terminal_gets_two_lines_a_cell(frames: Frames) -> None:
    lines = printed(frames, width=30, x="optimizer.lr", y="model.activation").splitlines()
    assert max(map(len, lines)) <= 30
    assert [line.split() for line in lines[6:8]] == [["mish", "·", "86.5", "//"], ["(1)", "(1)"]]


def test_long_names_lose_their_middle() -> None:
    assert shortened("short") == "short"
    assert shortened("a_very_long_name_of_a_parameter", 11) == "a_ve…meter"


@pytest.mark.parametrize("name", ["[red]x[/red]", "[/x]"])
def test_names_with_square_brackets_stand_in_the_printed_heat_map_as_they_are(frames: Frames, name: str) -> None:
    trials = frames.trials.assign(**{"trial.model.activation": name})
    trials.loc[trials.index[0], "trial.model.activation"] = "relu"
    for axes in (("optimizer.lr", "model.activation"), ("model.activation", "optimizer.lr")):
        shown = printed(Frames(trials, frames.epochs, frames.confirmations), 160, x=axes[0], y=axes[1])
        assert name in shown
