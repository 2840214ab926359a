"""Strict, frozen base of everything that is read from YAML.

Schemas import neither torch nor Ray, so that a misspelt key is reported in well under a second
(docs/decisions/0001-schemas-without-torch.md).
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """A frozen record that refuses unknown keys and never converts one type into another."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class FieldError(ValueError):
    """What is wrong between the fields of a record, told at the one to change; `path` is dotted."""

    def __init__(self, path: str, message: str) -> None:
        self.loc = tuple(path.split("."))
        super().__init__(message)


Item = TypeVar("Item")
ListOf = Annotated[tuple[Item, ...], Field(strict=False)]
"""A YAML list, held as a tuple."""

Fraction = Annotated[float, Field(ge=0, le=1)]
"""A share in [0, 1]."""

OpenFraction = Annotated[float, Field(ge=0, lt=1)]
"""A share in [0, 1)."""

LARGEST = 3.4e38
"""Numbers that networks are computed in, float32, end there."""


def _representable(value: float) -> float:
    if value > LARGEST:
        raise ValueError(f"must be at most {LARGEST:g}, where float32 ends, got {value:g}")
    return value


Positive = Annotated[float, Field(gt=0), AfterValidator(_representable)]
"""A number greater than 0."""

NonNegative = Annotated[float, Field(ge=0), AfterValidator(_representable)]
"""A number of at least 0."""

Count = Annotated[int, Field(ge=1)]
"""A whole number of at least 1."""

LARGEST_SEED = 2**63 - 2**32
"""Columns of tables end at 2^63 - 1; repeated trials and confirmations take seeds counted up from the one given."""

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
"""Where random draws begin."""
