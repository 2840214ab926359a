"""Which parameters the metric depends on, as far as the trials can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cifar_tune.analysis.budget import measured_by_epoch, reached_epochs, values_at
from cifar_tune.analysis.naming import label
from cifar_tune.analysis.naming import metric as known_metric
from cifar_tune.analysis.parameters import varied_parameters
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.plotting.theme import LIGHT, SMALL_SIZE, Theme, new_figure, shortened, title_block
from cifar_tune.results.columns import COMPLETED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_TRIALS = 20
"""And five times the number of parameters: with fewer, forests of pure noise often rank one of them first."""
LEAST_EXPLAINED = 0.1
FOLDS, REPEATS, TREES = 5, 2, 50
LEVELS = 16
"""Values of a parameter at which its marginal is taken."""
BACKGROUND = 128
"""Trials that a marginal is averaged over."""


@dataclass(frozen=True)
class Importance:
    """table: parameter, permutation, permutation_sd, main_effect, main_effect_sd; empty where there is too little data.

    permutation: how much of the explained variance of held-out trials is lost when the parameter is shuffled.
    main_effect: share of the variance that the parameter alone makes (fANOVA, Hutter et al. 2014).
    explained: R2 on held-out trials, median of the folds. epoch: at which trials are compared, or None.
    """

    table: pd.DataFrame
    trials: int
    needed: int
    epoch: int | None
    explained: float

    @property
    def caution(self) -> str | None:
        """Why the table is not to be relied on, if so."""
        if self.trials < self.needed:
            return f"too little data: {self.trials} comparable trials, at least {self.needed} are needed"
        if self.explained < LEAST_EXPLAINED:
            return f"the parameters explain next to nothing of held-out trials (R² {self.explained:.2f})"
        return None


def importance(
    trials: pd.DataFrame,
    epochs: pd.DataFrame | None = None,
    metric: str = "validation_accuracy",
    *,
    sweep: SweepFile | None = None,
    seed: int = 0,
) -> Importance:
    """Parameters by importance, from random forests fitted to trials at an equal epoch.

    The epoch is the last that enough trials reached, so that those stopped later count too.

    Raises:
        AnalysisError: no such metric.
    """
    metric = known_metric(trials, metric)
    parameters = varied_parameters(trials, sweep)
    needed = max(LEAST_TRIALS, 5 * len(parameters))
    epoch, values = _comparable(trials, epochs, metric, needed)
    known = values.notna()
    if known.sum() < needed or not parameters or values[known].nunique() < 2:
        columns = ["parameter", "permutation", "permutation_sd", "main_effect", "main_effect_sd"]
        return Importance(pd.DataFrame(columns=columns), int(known.sum()), needed, epoch, float("nan"))
    inputs = np.column_stack([_as_numbers(trials.loc[known, parameter]) for parameter in parameters])
    targets = values[known].to_numpy(float)
    lost, explained = _permutation(inputs, targets, seed)
    effects = _main_effects(inputs, targets, seed)
    table = pd.DataFrame(
        {
            "parameter": [label(parameter) for parameter in parameters],
            "permutation": lost.mean(0),
            "permutation_sd": lost.std(0, ddof=1),
            "main_effect": effects.mean(0),
            "main_effect_sd": effects.std(0, ddof=1),
        }
    )
    ordered = table.sort_values("permutation", ascending=False, ignore_index=True)
    return Importance(ordered, int(known.sum()), needed, epoch, explained)


def _comparable(
    trials: pd.DataFrame, epochs: pd.DataFrame | None, metric: str, needed: int
) -> tuple[int | None, pd.Series[float]]:
    """The last epoch that enough trials reached, and the values there; of completed trials without the epochs."""
    if epochs is None or not measured_by_epoch(epochs, metric):
        return None, trials[metric].astype(float).where(trials["status"] == COMPLETED)
    reached = reached_epochs(trials, epochs).sort_values(ascending=False)
    epoch = int(reached.iloc[min(needed, len(reached)) - 1]) if len(reached) else 0
    return epoch or None, values_at(trials, epochs, metric, epoch) if epoch else pd.Series(np.nan, trials.index)


def _as_numbers(values: pd.Series[Any]) -> NDArray[np.float64]:
    """Numbers as they are, words by their place in the alphabet; missing values as -1 below all others."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        numbers = values.astype(float)
        return np.asarray(numbers.fillna(numbers.min() - 1), dtype=float)
    words = pd.Categorical(values.astype(object).astype(str).where(values.notna()))
    return np.asarray(words.codes, dtype=float)


def _permutation(inputs: Any, targets: Any, seed: int) -> tuple[NDArray[np.float64], float]:
    """Loss of R2 by shuffling each parameter, a row a held-out fold, and the median R2 of the folds."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import RepeatedKFold

    lost, explained = [], []
    for fold, (fit, held_out) in enumerate(
        RepeatedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=seed).split(inputs)
    ):
        forest = RandomForestRegressor(TREES, random_state=seed + fold).fit(inputs[fit], targets[fit])
        explained.append(forest.score(inputs[held_out], targets[held_out]))
        shuffled = permutation_importance(
            forest, inputs[held_out], targets[held_out], n_repeats=5, random_state=seed + fold
        )
        lost.append(shuffled.importances_mean)
    return np.array(lost, dtype=float), float(np.median(explained))


def _main_effects(inputs: Any, targets: Any, seed: int) -> NDArray[np.float64]:
    """Variance of each parameter's marginal over the variance of the tree, a row a tree.

    Source: Hutter et al. 2014, section 3, with the marginals averaged over the trials instead of the whole space.
    """
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(TREES, random_state=seed).fit(inputs, targets)
    draw = np.random.default_rng(seed)
    background = inputs[draw.permutation(len(inputs))[:BACKGROUND]]
    shares = np.zeros((TREES, inputs.shape[1]))
    variances = np.array([tree.predict(background).var() for tree in forest.estimators_])
    for place in range(inputs.shape[1]):
        levels = np.unique(np.quantile(inputs[:, place], np.linspace(0, 1, LEVELS), method="nearest"))
        weights = _weights(inputs[:, place], levels)
        at_levels = np.repeat(background[None], len(levels), axis=0)
        at_levels[:, :, place] = levels[:, None]
        flat = at_levels.reshape(-1, inputs.shape[1])
        for number, tree in enumerate(forest.estimators_):
            marginal = tree.predict(flat).reshape(len(levels), -1).mean(1)
            mean = weights @ marginal
            shares[number, place] = weights @ (marginal - mean) ** 2 / max(variances[number], 1e-12)
    return shares.clip(0, 1)


def _weights(values: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of trials nearest to each level."""
    nearest = np.abs(values[:, None] - levels).argmin(1)
    return np.bincount(nearest, minlength=len(levels)) / len(values)


def importance_figure(found: Importance, theme: Theme = LIGHT) -> Figure:
    """Both importances with their standard deviations, the most important parameter on top."""
    table = found.table.iloc[::-1]
    figure, axes = new_figure(7.2, 1.6 + 0.5 * len(table), theme)
    places = np.arange(len(table))
    for column, offset, colour, name in (
        ("permutation", 0.19, theme.series[0], "loss of R² when shuffled"),
        ("main_effect", -0.19, theme.series[1], "share of variance alone (fANOVA)"),
    ):
        axes.barh(
            places + offset, table[column], 0.36, xerr=table[f"{column}_sd"], color=colour, label=name,
            error_kw={"ecolor": theme.muted, "elinewidth": 1},
        )  # fmt: skip
    axes.set_yticks(places, [shortened(name) for name in table["parameter"]])
    axes.axvline(0, color=theme.faint, linewidth=1)
    figure.legend(loc="outside lower right", ncols=2, fontsize=SMALL_SIZE, frameon=False, labelcolor=theme.foreground)
    when = f"at epoch {found.epoch}" if found.epoch else "completed"
    told = f"{found.trials} trials {when} · R² {found.explained:.2f} on held-out trials · bars: ± standard deviation"
    title_block(axes, "Importance of the parameters", told, theme)
    return figure
