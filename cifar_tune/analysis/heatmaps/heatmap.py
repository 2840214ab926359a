"""What two parameters do to a metric: trials in cells, compared at an equal epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cifar_tune.analysis.budget import final_epoch, given_epoch, measured_by_epoch, reached_epochs, values_at
from cifar_tune.analysis.few_images import few_images
from cifar_tune.analysis.heatmaps.axis import Axis, make_axis, no_axis
from cifar_tune.analysis.naming import metric as known_metric
from cifar_tune.analysis.naming import more_is_better, parameter, title
from cifar_tune.analysis.repeats import configuration_of
from cifar_tune.errors import AnalysisError
from cifar_tune.results.columns import COMPLETED

Aggregate = Literal["best", "mean", "median"]
AGGREGATES: tuple[Aggregate, ...] = ("best", "mean", "median")


@dataclass(frozen=True)
class Cell:
    """One cell: as in the frames of `Heatmap`, None instead of NaN."""

    row: int
    column: int
    value: float | None
    n: int
    spread: float | None
    trials: int
    furthest: float | None


@dataclass(frozen=True)
class Heatmap:
    """Cells by y (rows) and x (columns); all frames have the same index and columns.

    epoch: the epoch at which all trials are compared; None: at the end of each completed trial.
    value: the metric, best, mean or median over the configurations of the trials that count, each of them the mean over
    its seeds; NaN where none counts.
    n: trials that count. spread: their sample standard deviation; NaN for fewer than two.
    trials: all trials of the cell. stopped: True where there are trials, but none got to the epoch.
    furthest: the last epoch that any trial of the cell reached; NaN where that is not known.
    """

    x: Axis
    y: Axis
    metric: str
    aggregate: Aggregate
    epoch: int | None
    value: pd.DataFrame
    n: pd.DataFrame
    spread: pd.DataFrame
    trials: pd.DataFrame
    stopped: pd.DataFrame
    furthest: pd.DataFrame
    few_images: int | None = None
    """The number of validation images, where it is small."""

    @property
    def name(self) -> str:
        """Names the heat map among others of its sweep, as part of a file's name."""
        parts = [self.metric, *(axis.name for axis in (self.y, self.x) if axis.parameter)]
        return "-".join(part.replace("/", "_") for part in parts)

    @property
    def title(self) -> str:
        """What the cells show: `Mean validation accuracy (%)`."""
        words = title(self.metric)
        return words.capitalize() if words.startswith(self.aggregate) else f"{self.aggregate.capitalize()} {words}"

    def cells(self) -> Iterator[Cell]:
        """Yields the cells row by row."""
        for row, column in np.ndindex(self.value.shape):
            yield Cell(
                row,
                column,
                value=_at(self.value, row, column),
                n=int(_at(self.n, row, column) or 0),
                spread=_at(self.spread, row, column),
                trials=int(_at(self.trials, row, column) or 0),
                furthest=_at(self.furthest, row, column),
            )


def trials_of_cells(drawn: Heatmap, trials: pd.DataFrame) -> dict[tuple[int, int], list[str]]:
    """The trials of each cell that has any, by row and column. trials: those that the heat map was made of."""
    inside: dict[tuple[int, int], list[str]] = {}
    for row, column, trial_id in zip(drawn.y.places, drawn.x.places, trials["trial_id"], strict=True):
        inside.setdefault((int(row), int(column)), []).append(trial_id)
    return inside


def _at(frame: pd.DataFrame, row: int, column: int) -> float | None:
    number = float(frame.to_numpy(float).item(row, column))
    return None if math.isnan(number) else number


@dataclass(frozen=True)
class PlacedTrials:
    """Trials in the cells of a heat map. cells, values, furthest: one entry a trial; values NaN where none counts.

    configurations: a number for each trial, the same for seeds of one configuration.
    """

    x: Axis
    y: Axis
    metric: str
    aggregate: Aggregate
    epoch: int | None
    cells: NDArray[np.int64]
    values: pd.Series[float]
    furthest: pd.Series[Any]
    configurations: pd.Series[int]
    few_images: int | None

    def aggregated(self, among: NDArray[np.bool_] | None = None) -> Heatmap:
        """The heat map, of some of the trials or of all of them."""
        among = np.ones(len(self.cells), bool) if among is None else among
        cells, values = self.cells[among], self.values[among]
        by_cell: Any = values.groupby(cells)
        seeds_averaged: Any = values.groupby([cells, self.configurations[among].to_numpy()]).mean().groupby(level=0)
        best: Callable[[], Any] = seeds_averaged.max if more_is_better(self.metric) else seeds_averaged.min
        aggregates: dict[Aggregate, Callable[[], Any]] = {
            "best": best,
            "mean": seeds_averaged.mean,
            "median": seeds_averaged.median,
        }
        n, all_trials = self._frame(by_cell.count(), 0), self._frame(by_cell.size(), 0)
        return Heatmap(
            x=self.x,
            y=self.y,
            metric=self.metric,
            aggregate=self.aggregate,
            epoch=self.epoch,
            value=self._frame(aggregates[self.aggregate]()),
            n=n,
            spread=self._frame(by_cell.std()),
            trials=all_trials,
            stopped=(all_trials > 0) & (n == 0),
            furthest=self._frame(self.furthest[among].groupby(cells).max()),
            few_images=self.few_images,
        )

    def _frame(self, cell_values: Any, fill: float = np.nan) -> pd.DataFrame:
        rows, columns = len(self.y.values), len(self.x.values)
        full = pd.Series(cell_values).reindex(range(rows * columns), fill_value=fill)
        return pd.DataFrame(full.to_numpy().reshape(rows, columns), self.y.index(), self.x.index())


def heatmap(
    trials: pd.DataFrame,
    x: str,
    y: str | None = None,
    metric: str = "validation_accuracy",
    *,
    epochs: pd.DataFrame | None = None,
    aggregate: Aggregate = "best",
    at_epoch: int | None = None,
    bins: int | None = None,
) -> Heatmap:
    """A metric over one parameter or two, named with or without `trial.`.

    epochs: the epochs table. With it all trials are compared at one epoch, `at_epoch` or else the last that all
    completed trials reached (while none has completed: that some trial of every cell reached). Without it, or for a
    metric that the epochs do not hold, only completed trials count.

    Raises:
        AnalysisError: no trials, no such parameter or metric, x and y the same, or an epoch that no trial reached.
    """
    return place_trials(trials, x, y, metric, epochs, aggregate, at_epoch, bins).aggregated()


def place_trials(
    trials: pd.DataFrame,
    x: str,
    y: str | None,
    metric: str,
    epochs: pd.DataFrame | None,
    aggregate: Aggregate,
    at_epoch: int | None,
    bins: int | None,
) -> PlacedTrials:
    """The trials in the cells of their heat map; arguments and errors as of `heatmap`."""
    if trials.empty:
        raise AnalysisError("there are no trials yet")
    metric = known_metric(trials, metric)
    x_column, y_column = parameter(trials, x), None if y is None else parameter(trials, y)
    if x_column == y_column:
        raise AnalysisError(f"x and y are both `{x}`; name two parameters, or x alone")
    if aggregate not in AGGREGATES:
        raise AnalysisError(f"`{aggregate}` is not a way to aggregate; there are {', '.join(AGGREGATES)}")
    x_axis = make_axis(trials[x_column], bins=bins)
    y_axis = make_axis(trials[y_column], bins=bins) if y_column else no_axis(len(trials))
    cells = y_axis.places * len(x_axis.values) + x_axis.places
    furthest = reached_epochs(trials, epochs) if epochs is not None else _epochs_trained(trials)

    epoch = None
    if at_epoch is not None:
        whole, metric, epoch = given_epoch(trials, epochs, metric, at_epoch)
        values = values_at(trials, whole, metric, epoch)
    elif epochs is not None and measured_by_epoch(epochs, metric):
        epoch = _matched_epoch(trials, epochs, cells)
        values = values_at(trials, epochs, metric, epoch) if epoch else pd.Series(np.nan, trials.index)
    else:
        completed = trials["status"] == COMPLETED if "status" in trials.columns else pd.Series(True, trials.index)
        values = trials[metric].astype(float).where(completed)
    images = few_images(trials, metric)
    return PlacedTrials(
        x_axis, y_axis, metric, aggregate, epoch, cells, values, furthest, configuration_of(trials), images
    )


def _matched_epoch(trials: pd.DataFrame, epochs: pd.DataFrame, cells: Any) -> int:
    """The last epoch at which all completed trials, or at least one trial of each cell, can be compared; 0 if none."""
    final = final_epoch(trials, epochs) if "status" in trials.columns else None
    if final is not None:
        return final
    furthest = reached_epochs(trials, epochs).groupby(cells).max()
    begun = furthest[furthest > 0]
    return int(begun.min()) if len(begun) else 0


def _epochs_trained(trials: pd.DataFrame) -> pd.Series[Any]:
    if "epochs_trained" in trials.columns:
        return trials["epochs_trained"]
    return pd.Series(np.nan, trials.index)
