"""What a searched parameter may be: a range or a choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from cifar_tune.schema import ListOf, Strict


class FloatDomain(Strict):
    """`{float: [low, high]}`, both ends included; `log` draws evenly in the logarithm, `step` on a lattice from low."""

    float_: Annotated[tuple[float, float], Field(strict=False, alias="float")]
    log: bool = False
    step: Annotated[float, Field(gt=0)] | None = None

    @property
    def low(self) -> float:
        return self.float_[0]

    @property
    def high(self) -> float:
        return self.float_[1]


class IntDomain(Strict):
    """`{int: [low, high]}`, both ends included."""

    int_: Annotated[tuple[int, int], Field(strict=False, alias="int")]
    log: bool = False
    step: Annotated[int, Field(ge=1)] = 1

    @property
    def low(self) -> int:
        return self.int_[0]

    @property
    def high(self) -> int:
        return self.int_[1]


class ChoiceDomain(Strict):
    """`{choice: [...]}`. An option that is a mapping is a component; domains inside it are searched when it is chosen."""

    choice: ListOf[Any]


Domain = FloatDomain | IntDomain | ChoiceDomain
