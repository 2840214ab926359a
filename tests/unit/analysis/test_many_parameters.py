"""Figures of trials in many parameters: slices, parallel coordinates, contours, grids of heat maps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from cifar_tune.analysis import (
    contour_figure,
    heatmap,
    heatmap_grid,
    heatmap_grid_figure,
    history_figure,
    parallel_figure,
    slice_figure,
)
from cifar_tune.analysis.comparable import comparable
from cifar_tune.analysis.parallel import standing_out
from cifar_tune.analysis.scale import make_scale
from cifar_tune.errors import AnalysisError
from cifar_tune.plotting.theme import DARK, LIGHT, Theme, contrast_color
from cifar_tune.results import Frames

COUNT = 24


@pytest.fixture(scope="module")
def trials() -> pd.DataFrame:
    """Every fourth trial was stopped; accuracy is linear in log lr and width."""
    place = np.arange(COUNT)
    frame = pd.DataFrame(
        {
            "sweep": "s",
            "trial_id": [f"t{one:02d}" for one in place],
            "status": np.where(place % 4 == 3, "stopped", "completed"),
            "trial.optimizer.lr": 10.0 ** (-3 + 3 * place / (COUNT - 1)),
            "trial.model.width": 8 * (1 + place * 7 % 11),
            "trial.model.activation": np.array(["relu", "mish", "gelu"])[place % 3],
            "trial.ema.decay": np.where(place % 2, 0.9, np.nan),
        }
    )
    accuracy = 0.5 + 0.1 * np.log10(frame["trial.optimizer.lr"]) / 3 + 0.001 * frame["trial.model.width"]
    return frame.assign(validation_accuracy=accuracy, validation_loss=1 - accuracy)


def all_text(figure: Figure) -> str:
    figure.canvas.draw()
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    return "\n".join(" ".join(text.get_text().split()) for text in texts)


def test_only_completed_trials_are_compared_or_all_at_an_epoch(frames: Frames) -> None:
    completed = comparable(frames.trials)
    assert (completed.told, completed.trials["trial_id"].tolist()) == (
        "completed trials only: 3 of 6 trials", ["t000", "t001", "t004"],
    )  # fmt: skip
    matched = comparable(frames.trials, "validation_accuracy", frames.epochs, 3)
    assert matched.told == "at epoch 3: 5 of 6 trials"
    at_three = frames.epochs[frames.epochs["epoch"] == 3].set_index("trial_id")["validation_accuracy"]
    assert matched.values.tolist() == at_three[matched.trials["trial_id"]].tolist()
    with pytest.raises(AnalysisError, match="at epoch 3: the epochs table was not given"):
        comparable(frames.trials, at_epoch=3)
    with pytest.raises(AnalysisError, match="at epoch 99; trials reached epochs 1 to 9"):
        comparable(frames.trials, "validation_accuracy", frames.epochs, 99)


def test_a_range_that_was_searched_in_the_logarithm_is_laid_out_so(trials: pd.DataFrame) -> None:
    scale = make_scale(trials["trial.optimizer.lr"])
    assert scale.log
    np.testing.assert_allclose(scale.places, np.linspace(0, 1, COUNT))
    assert [text for _, text in scale.ticks] == ["0.001", "0.0056", "0.032", "0.18", "1"]


def test_words_stand_side_by_side_and_missing_values_apart() -> None:
    words = make_scale(pd.Series(["b", None, "a", "b"], name="trial.x", dtype=object))
    assert words.ticks == ((0.0, "a"), (0.5, "b"), (1.0, "not set"))
    assert words.places.tolist() == [0.5, 1.0, 0.0, 0.5]
    numbers = make_scale(pd.Series([1.0, np.nan, 2.0], name="trial.x"))
    assert [text for _, text in numbers.ticks] == ["not set", "1", "2"]
    assert numbers.places[1] == 0 < numbers.places[0] < numbers.places[2] == 1
    nullable = make_scale(pd.Series([1, None, 2], name="trial.x", dtype="Int64"))
    assert nullable.places.tolist() == numbers.places.tolist()


def test_labels_of_numbers_keep_a_distance() -> None:
    scale = make_scale(pd.Series([1, 2, 3, 100], name="trial.x"))
    assert (scale.log, [text for _, text in scale.ticks]) == (True, ["1", "2", "100"])
    assert [text for _, text in make_scale(pd.Series([1, 97, 100], name="trial.x")).ticks] == ["1", "100"]


def test_slices_show_each_parameter_and_mark_the_best_trial(trials: pd.DataFrame) -> None:
    figure = slice_figure(trials)
    assert "completed trials only: 18 of 24 trials · ring: the best" in all_text(figure)
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "optimizer.lr (log)", "model.width", "model.activation", "ema.decay",
    ]  # fmt: skip
    completed = trials[trials["status"] == "completed"]
    points, ring = [one for one in figure.axes[0].collections if isinstance(one, PathCollection)]
    np.testing.assert_array_equal(points.get_offsets()[:, 1], completed["validation_accuracy"])
    assert ring.get_offsets()[0, 1] == completed["validation_accuracy"].max()
    medians = [one for one in figure.axes[2].collections if isinstance(one, LineCollection)]
    by_word = completed.groupby("trial.model.activation")["validation_accuracy"].median()
    assert [one.get_segments()[0][0, 1] for one in medians] == pytest.approx(by_word.tolist())
    *_, ring = slice_figure(trials, "validation_loss", parameters=["optimizer.lr"]).axes[0].collections
    assert ring.get_offsets()[0, 1] == completed["validation_loss"].min()


def test_more_parameters_than_fit_are_counted(trials: pd.DataFrame) -> None:
    many = trials.assign(**{f"trial.x{place}": np.arange(COUNT) * place for place in range(1, 9)})
    assert "3 more parameters not shown" in all_text(slice_figure(many))
    assert "4 more parameters not shown" in all_text(parallel_figure(many))


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_parallel_lines_go_through_every_parameter_the_best_in_front(trials: pd.DataFrame, theme: Theme) -> None:
    figure = parallel_figure(trials, parameters=["optimizer.lr", "model.width"], theme=theme)
    text = all_text(figure)
    assert "completed trials only: 18 of 24 trials · thick: the best 5" in text
    assert "validation accuracy (%)" in text
    lines = next(one for one in figure.axes[0].collections if isinstance(one, LineCollection))
    ends = [segment[-1, 1] for segment in lines.get_segments()]
    assert (len(ends), ends) == (18, sorted(ends))
    assert (min(ends), max(ends)) == (0, 1)
    assert lines.get_linewidths()[-5:] == pytest.approx([2.4] * 5)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_best_lines_differ_most_from_the_background(theme: Theme) -> None:
    colours = standing_out(theme)
    assert contrast_color(colours(1.0)) != contrast_color(to_rgb(theme.background)) or theme is LIGHT
    lightness = [float(np.dot(colours(share)[:3], (0.2126, 0.7152, 0.0722))) for share in (0.0, 0.5, 1.0)]
    assert lightness == sorted(lightness, reverse=theme is LIGHT)


def test_contours_are_drawn_between_trials_only(trials: pd.DataFrame) -> None:
    figure = contour_figure(trials, "optimizer.lr", "model.width")
    assert "completed trials only: 18 of 24 trials · points: trials" in all_text(figure)
    assert len(figure.axes) == 2
    levels = figure.axes[0].collections[0].levels
    shown = trials.loc[trials["status"] == "completed", "validation_accuracy"]
    assert levels[0] <= shown.min() < shown.max() <= levels[-1]


@pytest.mark.parametrize("rows", [[0, 1, 2], [], [0]])
def test_contours_need_four_places(trials: pd.DataFrame, rows: list[int]) -> None:
    figure = contour_figure(trials.iloc[rows], "optimizer.lr", "model.width")
    assert "too few places for contours" in all_text(figure)


def test_places_in_a_line_have_no_contours(trials: pd.DataFrame) -> None:
    line = trials.assign(**{"trial.model.width": 3.0 + np.log(trials["trial.optimizer.lr"])})
    assert "too few places for contours" in all_text(contour_figure(line, "optimizer.lr", "model.width"))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ("optimizer.lr", "trial.optimizer.lr", "x and y are both `optimizer.lr`; name two parameters"),
        ("optimizer.lr", "model.activation", "`model.activation` holds no numbers, .*; use a heat map"),
        ("optimizer.lr", "model.widht", "no parameter `model.widht`; did you mean `model.width`"),
    ],
)
def test_contours_that_cannot_be_are_refused(trials: pd.DataFrame, x: str, y: str, message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        contour_figure(trials, x, y)


def test_a_grid_of_heat_maps_splits_the_cells_by_a_third_parameter(trials: pd.DataFrame) -> None:
    whole = heatmap(trials, "optimizer.lr", "ema.decay")
    grid = heatmap_grid(trials, "optimizer.lr", "ema.decay", "model.activation")
    assert (grid.over, grid.labels) == ("model.activation", ("gelu", "mish", "relu"))
    assert sum(one.n for one in grid.heatmaps).equals(whole.n)
    assert sum(one.trials for one in grid.heatmaps).equals(whole.trials)
    best = np.fmax.reduce([one.value.to_numpy() for one in grid.heatmaps])
    np.testing.assert_array_equal(best, whole.value.to_numpy())
    for word, one in zip(grid.labels, grid.heatmaps, strict=True):
        alone = trials[trials["trial.model.activation"] == word]
        assert int(one.n.to_numpy().sum()) == int((alone["status"] == "completed").sum())


def test_the_grid_shows_one_scale_of_colours_and_names_each_heat_map(trials: pd.DataFrame) -> None:
    figure = heatmap_grid_figure(heatmap_grid(trials, "model.width", "ema.decay", "model.activation"))
    text = all_text(figure)
    assert "completed trials only: 18 of 24 trials" in text
    *panels, _ = figure.axes
    assert [axes.get_title(loc="left") for axes in panels] == [
        "model.activation: gelu", "model.activation: mish", "model.activation: relu",
    ]  # fmt: skip
    assert len({axes.collections[0].get_clim() for axes in panels}) == 1


def test_the_heat_maps_of_a_grid_are_at_the_same_epoch(frames: Frames) -> None:
    trials = frames.trials.assign(**{"trial.x": [1, 2] * 3})
    grid = heatmap_grid(trials, "optimizer.lr", "model.activation", "x", epochs=frames.epochs)
    assert [one.epoch for one in grid.heatmaps] == [9, 9]


def test_a_third_parameter_must_be_another_and_have_few_values(trials: pd.DataFrame) -> None:
    with pytest.raises(AnalysisError, match=r"`ema\.decay` is already an axis; name a third parameter"):
        heatmap_grid(trials, "optimizer.lr", "ema.decay", "ema.decay")
    words = trials.assign(**{"trial.word": [f"w{place}" for place in range(COUNT)]})
    with pytest.raises(AnalysisError, match="`word` has 24 values; at most 12 heat maps fit side by side"):
        heatmap_grid(words, "optimizer.lr", "ema.decay", "word")


DRAWN: dict[str, Callable[[pd.DataFrame], Figure]] = {
    "slices": slice_figure,
    "parallel": parallel_figure,
    "slices of what was asked for": lambda trials: slice_figure(trials, parameters=["optimizer.lr", "ema.decay"]),
    "parallel of what was asked for": lambda trials: parallel_figure(trials, parameters=["model.activation"]),
}


@pytest.mark.parametrize("rows", [0, 1, 2])
@pytest.mark.parametrize("name", DRAWN)
def test_few_trials_are_drawn_too(trials: pd.DataFrame, name: str, rows: int) -> None:
    assert f"completed trials only: {rows} of {rows} trials" in all_text(DRAWN[name](trials.head(rows)))


@pytest.mark.parametrize(
    ("against", "label", "last"),
    [
        ("hours", "hours since the start", 3),
        ("gpu_hours", "GPU-minutes of the trials ended", 30),
        ("trials", "trials ended", 7),
    ],
)
def test_history_is_drawn_against_what_was_spent(against: str, label: str, last: float) -> None:
    table = pd.DataFrame(
        {"trial_id": ["a", "b"], "trials": [2, 7], "hours": [1.0, 3.0], "gpu_hours": [0.2, 0.5], "value": [0.5, 0.4]}
    ).assign(best=0.5)
    axes = history_figure(table, against=against).axes[0]  # type: ignore[arg-type]
    assert axes.get_xlabel() == label
    assert axes.collections[0].get_offsets()[-1, 0] == pytest.approx(last)
    with pytest.raises(
        AnalysisError, match="`money` is nothing that a sweep spends; there are hours, gpu_hours, trials"
    ):
        history_figure(table, against="money")  # type: ignore[arg-type]
    assert "no trial has completed" in all_text(history_figure(table.head(0)))
