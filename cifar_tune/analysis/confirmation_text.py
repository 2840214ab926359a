"""Confirmations in words: the answer in a sentence, and tables with what they are worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cifar_tune.analysis.confirmation import confirmed, rows_of_confirm
from cifar_tune.analysis.naming import title, written
from cifar_tune.analysis.openings import openings_table, openings_text
from cifar_tune.analysis.parameters import varied_parameters
from cifar_tune.analysis.reports.text_table import MISSING, configuration_text
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.results.columns import COMPLETED, INTERRUPTED, RUNNING, TRAIN, TRAIN_AND_VALIDATION

HELD_OUT = (
    "Retrained on the training split alone, as in the search. The best was chosen on the validation images; "
    "the test images chose nothing."
)
TRAINED_ON_ALL = (
    "Retrained on all training images, the validation images included. Only the test images were left to choose by, "
    "so the best figure is a little flattered."
)
TITLES = {TRAIN: "the training split alone", TRAIN_AND_VALIDATION: "all training images"}
CURSE = (
    "How much the search flattered each configuration: its value in the search minus its mean over fresh seeds, "
    "on the same validation images."
)


@dataclass(frozen=True)
class Finding:
    """A part of a report: what it says, and the rows behind it."""

    title: str
    text: tuple[str, ...]
    table: pd.DataFrame


def confirmation_answer(
    confirmations: pd.DataFrame, trials: pd.DataFrame, sweep: SweepFile, metric: str | None = None
) -> str | None:
    """The best configuration with its figures, in a sentence or two; None where none has a score yet."""
    table = confirmed(confirmations, trials, metric or sweep.metric)
    if table.empty or not table["seeds"].any():
        return None
    group = table[table["trained_on"] == _foremost(table)]
    best = group.iloc[0]
    measured = _measured(best)
    figures = [
        f"{column.replace('_', ' ')} {_with_interval(best, column)}"
        for column in (f"validation_{measured}", f"test_{measured}")
        if pd.notna(best[f"{column}_mean"])
    ]
    setting = _setting(best, trials, sweep)
    told = f"Confirmed: {setting} (trial {best['trial_id']})" if setting else f"Confirmed: trial {best['trial_id']}"
    told += f"{_among(group, sweep)}: "
    told += f"{' and '.join(figures)}, "
    told += f"the mean of {best['seeds']} fresh seeds." if best["seeds"] > 1 else "with one fresh seed, so no interval."
    return " ".join([told, *_ties(group), *_flattery(best)])


def _among(group: pd.DataFrame, sweep: SweepFile) -> str:
    """What it is the best of."""
    if len(group) == 1:
        return ""
    if not sweep.objectives:
        return f" is the best of {len(group)} configurations"
    by = str(group.iloc[0]["chosen_by"]).replace("_", " ")
    return f" is the best by {by} of {len(group)} configurations of the Pareto front"


def confirmation_findings(
    confirmations: pd.DataFrame, trials: pd.DataFrame, sweep: SweepFile, metric: str | None = None
) -> Iterator[Finding]:
    """Yields, for each way of training, a table of what was confirmed and one of the winner's curse; then, what else
    the test split was opened for."""
    opened = openings_text(confirmations)
    openings = openings_table(confirmations) if opened else pd.DataFrame()
    confirmations = rows_of_confirm(confirmations)
    table = confirmed(confirmations, trials, metric or sweep.metric)
    for trained_on in sorted(table["trained_on"].unique()) if len(table) else ():
        group = table[table["trained_on"] == trained_on]
        notes = (
            HELD_OUT if trained_on == TRAIN else TRAINED_ON_ALL,
            *_worth(group),
            *_losses(confirmations, trained_on),
        )
        title = f"Confirmed with fresh seeds, trained on {TITLES[trained_on]}"
        yield Finding(title, notes, _shown(group, trials, sweep))
        if group["winners_curse"].notna().any():
            yield Finding("Winner's curse", (CURSE,), _curses(group))
    if opened:
        yield Finding("Looks at the test split beside that", (opened,), openings)


def _foremost(table: pd.DataFrame) -> str:
    """The way of training to answer with: the one whose values stand beside the search's, if it is there."""
    scored = table.loc[table["seeds"] > 0, "trained_on"]
    return TRAIN if TRAIN in set(scored) else str(scored.iloc[0])


def _ties(group: pd.DataFrame) -> Iterator[str]:
    others = group[(group["rank"] > 1) & (group["seeds"] > 0)]
    if others.empty:
        return
    if others["tied"].isna().all():
        yield "With so few seeds no test can tell the configurations apart."
        return
    tied = list(others.loc[others["tied"].fillna(False).astype(bool), "trial_id"])
    untold = list(others.loc[others["tied"].isna(), "trial_id"])
    if tied:
        yield f"Statistically tied with it: {', '.join(tied)}."
    elif not untold:
        yield "It is significantly better than every other."
    if untold:
        yield f"With so few seeds no test can compare it with {', '.join(untold)}."


def _flattery(best: pd.Series[Any]) -> Iterator[str]:
    if pd.isna(best["winners_curse"]):
        return
    column = f"validation_{_measured(best)}"
    low, high = (_signed(column, best[f"winners_curse_{end}"]) for end in ("low", "high"))
    interval = f" (95 % interval {low} to {high})" if pd.notna(best["winners_curse_low"]) else ""
    by = f"{_signed(column, best['winners_curse'])}{' points' if _percent(column) else ''}"
    seen = (
        f"The search had seen {_number(column, best['search_value'])}{_percent(column)} on the same validation images"
    )
    if best["winners_curse"] < 0:
        yield f"{seen}, which did not flatter it: {by}{interval}."
    else:
        yield f"{seen}, which flattered it by {by}{interval}."


def _worth(group: pd.DataFrame) -> Iterator[str]:
    """How to read the table."""
    if (group["seeds"] > 1).any():
        yield "Mean ± standard deviation over the seeds, and the 95 % interval of the mean."
        if _measured(group.iloc[0]) == "accuracy":
            yield (
                "The interval counts both the seeds and the number of images (Wilson's, with the number of images that "
                "would vary as much). Where a table does not hold the number, it counts the seeds alone (Student's t)."
            )
    tests = [test for test in group["test"].unique() if test]
    if tests:
        others = int((group["seeds"] > 0).sum()) - 1
        yield (
            f"Tied: not significantly worse than the best (one-sided {' or '.join(tests)} test over the seeds, 5 %, "
            f"corrected for {others} comparison{'s' if others > 1 else ''}); with 95 % confidence the truly best "
            "configuration is among the tied."
        )
    if (group["seeds"] == 1).any():
        yield "A configuration with one seed has no standard deviation, no interval and no test."


def _losses(confirmations: pd.DataFrame, trained_on: str) -> Iterator[str]:
    """The retrainings that gave no score, a line each."""
    ended = confirmations["status"].isin([RUNNING, INTERRUPTED])
    lost = confirmations[confirmations["trained_on"].eq(trained_on) & ~confirmations["status"].eq(COMPLETED)]
    for row in lost[~ended.reindex(lost.index)].itertuples():
        why = f": {row.status_reason}" if isinstance(row.status_reason, str) else ""
        yield f"{row.trial_id} with seed {row.seed} {row.status}{why}; its mean is of the other seeds."
    if waiting := int(ended.reindex(lost.index).sum()):
        yield f"{waiting} of them not done yet."


def _shown(group: pd.DataFrame, trials: pd.DataFrame, sweep: SweepFile) -> pd.DataFrame:
    measured = _measured(group.iloc[0])
    columns: dict[str, list[Any]] = {
        "rank": list(group["rank"]),
        "trial_id": list(group["trial_id"]),
        "seeds": [str(seeds) for seeds in group["seeds"]],
    }
    for column in (f"validation_{measured}", f"test_{measured}"):
        if group[f"{column}_mean"].notna().any():
            head = column.split("_")[0] + (_percent(column) or f" {measured}")
            columns[head] = [_spread(row, column) for _, row in group.iterrows()]
    of_search = _of_search(group, trials)
    for objective in sweep.objectives:
        if not objective.startswith("validation_") and objective in of_search.columns:
            columns[title(objective)] = [written(objective, value) for value in of_search[objective]]
    ties = zip(group["rank"], group["tied"], strict=True)
    columns["tied"] = ["best" if rank == 1 else _yes_or_no(tied) for rank, tied in ties]
    return pd.DataFrame(columns).join(_parameters(group, trials, sweep).reset_index(drop=True))


def _parameters(group: pd.DataFrame, trials: pd.DataFrame, sweep: SweepFile) -> pd.DataFrame:
    """The parameters that the sweep varied, a row a configuration of the group, as far as its trials are known."""
    return _of_search(group, trials)[varied_parameters(trials, sweep)]


def _of_search(group: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """The trials of the search that the configurations are of, a row each."""
    of_sweep = trials[trials["sweep"].astype(str) == group["sweep"].iloc[0]]
    by_trial: pd.DataFrame = of_sweep.set_index("trial_id").reindex(group["trial_id"])
    return by_trial


def _curses(group: pd.DataFrame) -> pd.DataFrame:
    column = f"validation_{_measured(group.iloc[0])}"
    known = group[group["winners_curse"].notna()]
    return pd.DataFrame(
        {
            "rank": list(known["rank"]),
            "trial_id": list(known["trial_id"]),
            f"search{_percent(column)}": [_number(column, one) for one in known["search_value"]],
            f"confirmed{_percent(column)}": [_number(column, one) for one in known[f"{column}_mean"]],
            "flattered by": [_signed(column, one) for one in known["winners_curse"]],
            "95 % interval": [
                f"{_signed(column, low)} to {_signed(column, high)}" if pd.notna(low) else MISSING
                for low, high in zip(known["winners_curse_low"], known["winners_curse_high"], strict=True)
            ],
        }
    )


def _setting(row: pd.Series[Any], trials: pd.DataFrame, sweep: SweepFile) -> str:
    return configuration_text(_parameters(pd.DataFrame([row]), trials, sweep).iloc[0])


def _measured(row: pd.Series[Any]) -> str:
    return str(row["chosen_by"]).rsplit("_", 1)[-1]


def _percent(column: str) -> str:
    return " %" if column.endswith("accuracy") else ""


def _number(column: str, value: float) -> str:
    return f"{100 * value:.2f}" if column.endswith("accuracy") else f"{value:.4f}"


def _signed(column: str, value: float) -> str:
    return f"{'−' if value < 0 else '+'}{_number(column, abs(value))}"


def _spread(row: pd.Series[Any], column: str) -> str:
    """`97.85 ± 0.33 [97.4, 98.3]`."""
    mean, deviation, low, high = (row[f"{column}_{part}"] for part in ("mean", "deviation", "low", "high"))
    if pd.isna(mean):
        return MISSING
    if pd.isna(deviation):
        return _number(column, mean)
    if pd.isna(low):
        return f"{_number(column, mean)} ± {_number(column, deviation)}"
    ends = ", ".join(f"{100 * end:.1f}" if _percent(column) else _number(column, end) for end in (low, high))
    return f"{_number(column, mean)} ± {_number(column, deviation)} [{ends}]"


def _with_interval(row: pd.Series[Any], column: str) -> str:
    """`97.85 % (95 % interval 97.44 to 98.26)`."""
    said = f"{_number(column, row[f'{column}_mean'])}{_percent(column)}"
    if pd.isna(row[f"{column}_low"]):
        return said
    low, high = (_number(column, row[f"{column}_{end}"]) for end in ("low", "high"))
    return f"{said} (95 % interval {low} to {high})"


def _yes_or_no(tied: Any) -> str:
    return MISSING if pd.isna(tied) else "yes" if tied else "no"
