"""What of the test split was seen beside confirmation, in words."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cifar_tune.analysis.confirmation import rows_of_confirm
from cifar_tune.analysis.reports.text_table import MISSING

SHORT_COMMIT = 10
"""Characters."""


def openings_text(confirmations: pd.DataFrame) -> str:
    """How often the test split was opened, by whom; empty where `evaluate` never did."""
    rows = _of_evaluate(confirmations)
    if rows.empty:
        return ""
    by_evaluate = int(rows["openings"].sum())
    by_confirm = int(rows_of_confirm(confirmations)["openings"].sum())
    return (
        f"The test split was opened {by_confirm + by_evaluate} times in all, {by_confirm} by `confirm` and "
        f"{by_evaluate} by `evaluate`, for the models below as the search had left them. No mean over fresh seeds "
        "counts these; the best of several is flattered, and so is what is chosen after a look at it."
    )


def openings_table(confirmations: pd.DataFrame) -> pd.DataFrame:
    """One row a model that `evaluate` opened the test split for, the latest last; words."""
    rows = _of_evaluate(confirmations).sort_values("opened_at", kind="stable")
    return pd.DataFrame(
        {
            "trial_id": rows["trial_id"].astype(str),
            "checkpoint": _known(rows["checkpoint"]),
            "test %": [MISSING if pd.isna(one) else f"{100 * one:.2f}" for one in rows["test_accuracy"]],
            "openings": [str(one) for one in rows["openings"].astype(int)],
            "last, UTC": [one.strftime("%Y-%m-%d %H:%M") for one in rows["opened_at"]],
            "commit": _known(rows["commit"].str.slice(0, SHORT_COMMIT)),
            "reason": _known(rows["reason"]),
        }
    )


def _of_evaluate(confirmations: pd.DataFrame) -> pd.DataFrame:
    others = confirmations.drop(index=rows_of_confirm(confirmations).index)
    return others[others["opened_at"].notna()] if len(others) else others


def _known(column: pd.Series[Any]) -> list[str]:
    return [MISSING if pd.isna(one) else str(one) for one in column]
