"""What the user believes of a searched parameter before any trial: a best guess and how much it is to count."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cifar_tune.schema import Strict

Strength = Annotated[float, Field(gt=0, le=1)]
"""Share of the first ten proposals that follow the guess; from then on it fades as evidence comes."""


class RangePrior(Strict):
    """`prior: {mean: 0.1, strength: 0.5}` in a range: proposals near the mean, in the logarithm where the range is."""

    mean: float
    strength: Strength = 0.5


class ChoicePrior(Strict):
    """`prior: {option: adamw, strength: 0.5}` in a choice: a component by its name, a value as it stands."""

    option: bool | int | float | str | None
    strength: Strength = 0.5


def range_finding(prior: RangePrior | None, low: float, high: float) -> str | None:
    """Returns what is wrong with a prior in a range; None where nothing is."""
    if prior is None or low <= prior.mean <= high:
        return None
    return f"the prior's mean {prior.mean:g} lies outside the range; allowed: {low:g} to {high:g}"
