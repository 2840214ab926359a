"""What a trial may cost: limits that the search keeps to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import model_validator

from cifar_tune.schema import NonNegative, Positive, Strict


class AtMost(Strict):
    """`{max: 8.0e9}`."""

    max: Positive

    def excess(self, value: float) -> float:
        """Returns by what share of the limit a value breaks it; at most 0 where it keeps to it."""
        return value / self.max - 1

    def broken(self, value: float) -> str | None:
        """Returns the limit that a value breaks, in words; None where it keeps to it."""
        return None if value <= self.max else f"above max {self.max:,.16g}"


class Between(Strict):
    """`{min: 100_000, max: 700_000}`, or one of the two; both ends are allowed."""

    min: NonNegative | None = None
    max: Positive | None = None

    @model_validator(mode="after")
    def _limits_something(self) -> Between:
        if self.min is None and self.max is None:
            raise ValueError("limits nothing; write {max: ...}, {min: ...} or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"nothing lies between min {self.min:,.16g} and max {self.max:,.16g}")
        return self

    def excess(self, value: float) -> float:
        """Returns by what share of a limit a value breaks it; at most 0 where it keeps to both."""
        above = [] if self.max is None else [value / self.max - 1]
        below = [] if not self.min else [1 - value / self.min]
        return max([*above, *below], default=-1.0)

    def broken(self, value: float) -> str | None:
        """Returns the limit that a value breaks, in words; None where it keeps to both."""
        if self.max is not None and value > self.max:
            return f"above max {self.max:,.16g}"
        if self.min is not None and value < self.min:
            return f"below min {self.min:,.16g}"
        return None


class Constraints(Strict):
    """Limits on trials. Parameters and FLOPs are counted before a trial starts, memory is known after an epoch."""

    num_parameters: Between | None = None
    """Trainable parameters of the model."""
    flops_per_image: Between | None = None
    """Of one forward pass; a multiply-add counts as two."""
    peak_memory_bytes: AtMost | None = None
    """Most device memory of a trial, on CPU of its process; a trial above it is stopped after its first epoch."""

    @model_validator(mode="after")
    def _limits_something(self) -> Constraints:
        if not dict(self.limits()):
            raise ValueError(f"limits nothing; name at least one of {', '.join(type(self).model_fields)}")
        return self

    def limits(self) -> Iterator[tuple[str, AtMost | Between]]:
        """Yields what is limited, by the name of its column."""
        for name, limit in self:
            if limit is not None:
                yield name, limit

    def constraint_violations(self, measured: Mapping[str, float]) -> dict[str, float]:
        """Returns for each limit by what share it is broken; 0 for what is not measured."""
        return {name: limit.excess(measured[name]) if name in measured else 0.0 for name, limit in self.limits()}

    def broken(self, measured: Mapping[str, float]) -> str | None:
        """Returns what is broken, with value and limit; None where nothing is."""
        found = [
            f"{name} {measured[name]:,.16g} is {words}"
            for name, limit in self.limits()
            if name in measured and (words := limit.broken(measured[name]))
        ]
        return "; ".join(found) or None

    def __str__(self) -> str:
        return ", ".join(f"{name} {_words(limit)}" for name, limit in self.limits())


def _words(limit: AtMost | Between) -> str:
    least = limit.min if isinstance(limit, Between) else None
    ends = [f"at least {least:,.16g}"] if least is not None else []
    return " and ".join([*ends, *([] if limit.max is None else [f"at most {limit.max:,.16g}"])])
