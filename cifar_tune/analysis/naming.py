"""Names of parameters and metrics: found in the tables, told apart when misspelt, written for people."""

from __future__ import annotations

import difflib
import re

import pandas as pd

from cifar_tune.errors import AnalysisError
from cifar_tune.results.columns import CONFIGURATION_PREFIX, EPOCH_COLUMNS, TRIAL_COLUMNS

UNITS = {column.name: column.unit for column in (*EPOCH_COLUMNS, *TRIAL_COLUMNS)}
SHOWN_UNITS = {"fraction": "%", "bytes": "GB"}
THOUSAND, GIGABYTE = 1000, 1e9
LONGEST_WHOLE = 1e5
"""Whole numbers from here on are written with an exponent, and fractions below the next."""
SMALLEST_PLAIN = 1e-3
SEARCHED = "validation_"
"""How the metrics begin that a search goes by: what is meant where the split is not named."""
MORE_IS_BETTER = ("accuracy", "images_per_second")
"""Parts of the names of metrics that are to be large; of all others less is better."""


def parameter(trials: pd.DataFrame, name: str) -> str:
    """The column of a parameter, given with or without `trial.`; other columns, such as `device_name`, may serve too.

    Raises:
        AnalysisError: no such column; suggests one.
    """
    for column in (CONFIGURATION_PREFIX + name, name):
        if column in trials.columns:
            return column
    known = [label(column) for column in trials.columns if column.startswith(CONFIGURATION_PREFIX)]
    raise AnalysisError(f"no parameter `{name}`; {_suggest(name, known)}")


def metric(trials: pd.DataFrame, name: str) -> str:
    """The name itself, if it is a numeric column of results.

    Raises:
        AnalysisError: no such column, or none with numbers; suggests one.
    """
    known = [
        column
        for column in trials.columns
        if not column.startswith(CONFIGURATION_PREFIX)
        and pd.api.types.is_numeric_dtype(trials[column])
        and not pd.api.types.is_bool_dtype(trials[column])
    ]
    if name not in known:
        if name in trials.columns:
            raise AnalysisError(f"`{name}` holds no numbers; there are {', '.join(known)}")
        raise AnalysisError(f"`{name}` is not a metric; {_suggest(name, known)}")
    return name


def _suggest(name: str, known: list[str]) -> str:
    """The known name that was meant: one that ends in this or that it is short for, else one spelt like it."""
    ends = sorted(
        (
            full
            for full in known
            if full.endswith((f".{name}", f"_{name}")) or _is_short_for(name, full) or _are_initials(name, full)
        ),
        key=lambda full: not full.startswith("validation"),
    )
    last_parts = {full.rsplit(".", 1)[-1]: full for full in reversed(known)}
    searched = {full.removeprefix(SEARCHED): full for full in known}
    alike = difflib.get_close_matches(name, {**searched, **dict.fromkeys(known)}, n=1)
    alike = alike or difflib.get_close_matches(name, last_parts, n=1)
    if ends or alike:
        meant = ends or [searched.get(alike[0]) or last_parts.get(alike[0], alike[0])]
        return f"did you mean `{meant[0]}`?"
    return f"there are {', '.join(known)}" if known else "the table has none"


def _is_short_for(name: str, full: str) -> bool:
    """`val_acc` is, for `validation_accuracy`: each part begins the part of the whole name at its place."""
    parts = re.split(r"[._]", name)
    last = re.split(r"[._]", full)[-len(parts) :]
    return all(parts) and len(parts) == len(last) and all(map(str.startswith, last, parts))


def _are_initials(name: str, full: str) -> bool:
    """`learning_rate` is `optimizer.lr` written out, and `wd` is short for `optimizer.weight_decay`."""
    one, other = name.rsplit(".", 1)[-1], full.rsplit(".", 1)[-1]
    return any(
        len(short) > 1 and short == "".join(word[:1] for word in long.split("_"))
        for short, long in ((one, other), (other, one))
    )


def label(column: str) -> str:
    """A parameter's column as a person calls it: without `trial.`."""
    return column.removeprefix(CONFIGURATION_PREFIX)


def title(name: str) -> str:
    """A metric in words, with its unit where the name does not say it: `validation accuracy (%)`."""
    unit = SHOWN_UNITS.get(UNITS.get(name, ""), UNITS.get(name, ""))
    words = name.removesuffix("_bytes").replace("_", " ")
    return f"{words} ({unit})" if unit and not words.endswith(unit) else words


def more_is_better(name: str) -> bool:
    """Whether a larger value of a metric is the better one."""
    return any(part in name for part in MORE_IS_BETTER)


def written(name: str, value: float) -> str:
    """A metric's value for people: fractions in percent with one decimal, bytes in GB, others to three digits."""
    if pd.isna(value):
        return "–"
    match UNITS.get(name):
        case "fraction":
            return f"{100 * value:.1f}"
        case "bytes":
            return f"{value / GIGABYTE:.3g}"
    return f"{value:,.0f}" if THOUSAND <= abs(value) < THOUSAND**3 else short_number(value)


def value_words(name: str, value: float) -> str:
    """A metric's value with its unit, where the metric stands before it: `51.23 %`, `1.2 GB`, `541,253`."""
    match UNITS.get(name):
        case "fraction":
            return f"{100 * value:.2f} %"
        case "bytes":
            return f"{written(name, value)} GB"
    return f"{value:,.0f}" if value >= THOUSAND and float(value).is_integer() else f"{value:.4g}"


def short_number(value: object) -> str:
    """A parameter's value in few characters."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if float(value).is_integer() and abs(value) < LONGEST_WHOLE:
        return str(int(value))
    if 0 < abs(value) < SMALLEST_PLAIN:
        digits, _, exponent = f"{value:.2e}".partition("e")
        return f"{float(digits):g}e{int(exponent)}"
    return f"{value:.3g}".replace("e+0", "e")
