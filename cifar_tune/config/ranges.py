"""A searched parameter that is a number: between two ends, even or logarithmic, in steps or not."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field, model_validator

from cifar_tune.config.priors import RangePrior, range_finding
from cifar_tune.schema import Count, Positive, Strict

LATTICE_TOLERANCE = 1e-9
"""Relative; 0.1 + 2 * 0.1 differs from 0.3 by 1e-16 of it."""


class FloatDomain(Strict):
    """`{float: [low, high]}`, both ends included; `log` draws evenly in the logarithm, `step` on a lattice from low."""

    float_: Annotated[tuple[float, float], Field(strict=False, alias="float")]
    log: bool = False
    step: Positive | None = None
    prior: RangePrior | None = None
    """Where the user believes the best value to lie."""

    @property
    def low(self) -> float:
        return self.float_[0]

    @property
    def high(self) -> float:
        return self.float_[1]

    @property
    def probes(self) -> tuple[float, ...]:
        """Values that show whether a trial can take the range."""
        return self.low, self.high

    def contains(self, value: Any) -> bool:
        """Tells whether a proposal may be `value`."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        return self.step is None or _on_lattice(value - self.low, self.step)

    @model_validator(mode="after")
    def _holds_something(self) -> FloatDomain:
        _check_range(self.low, self.high, self.log)
        if wrong := range_finding(self.prior, self.low, self.high):
            raise ValueError(wrong)
        if self.step is None:
            return self
        if self.log:
            raise ValueError("`log` and `step` exclude each other; drop one")
        if not _on_lattice(self.high - self.low, self.step):
            raise ValueError(_lattice_message(self.low, self.high, self.step))
        return self


class IntDomain(Strict):
    """`{int: [low, high]}`, both ends included; `log` draws evenly in the logarithm, `step` on a lattice from low."""

    int_: Annotated[tuple[int, int], Field(strict=False, alias="int")]
    log: bool = False
    step: Count = 1
    prior: RangePrior | None = None
    """Where the user believes the best value to lie."""

    @property
    def low(self) -> int:
        return self.int_[0]

    @property
    def high(self) -> int:
        return self.int_[1]

    @property
    def probes(self) -> tuple[int, ...]:
        """Values that show whether a trial can take the range; the second shows whether it can take the steps."""
        return tuple(dict.fromkeys((self.low, self.low + self.step, self.high)))

    def contains(self, value: Any) -> bool:
        """Tells whether a proposal may be `value`."""
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and self.low <= value <= self.high and (value - self.low) % self.step == 0

    @model_validator(mode="after")
    def _holds_something(self) -> IntDomain:
        _check_range(self.low, self.high, self.log)
        if wrong := range_finding(self.prior, self.low, self.high):
            raise ValueError(wrong)
        if self.log and self.step != 1:
            raise ValueError("`log` and `step` exclude each other; drop one")
        if (self.high - self.low) % self.step:
            raise ValueError(_lattice_message(self.low, self.high, self.step))
        return self


def _check_range(low: float, high: float, log: bool) -> None:
    if low > high:
        raise ValueError(f"the range is empty: the low end {low:g} is above the high end {high:g}")
    if low == high:
        raise ValueError(f"the range holds one value; write {low:g} into `trial` instead")
    if log and low <= 0:
        raise ValueError(f"a logarithmic range needs a low end above 0, got {low:g}")


def _on_lattice(distance: float, step: float) -> bool:
    steps = distance / step
    return math.isclose(steps, round(steps), rel_tol=LATTICE_TOLERANCE, abs_tol=LATTICE_TOLERANCE)


def _lattice_message(low: float, high: float, step: float) -> str:
    if step > high - low:
        return f"the step {step:g} is larger than the range from {low:g} to {high:g}"
    last = low + math.floor((high - low) / step * (1 + LATTICE_TOLERANCE)) * step
    return f"steps of {step:g} from {low:g} do not reach {high:g}; the last below it is {last:g}"
