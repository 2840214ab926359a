"""What a searched parameter may be: a range or a choice.

A choice may hold whole components with domains inside, at any depth: a conditional space.

    optimizer:
      choice:
        - {name: sgd, lr: {float: [0.01, 1.0], log: true}}
        - {name: adamw, lr: {float: [1e-4, 1e-2], log: true}}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import Discriminator, Tag, model_validator
from typing_extensions import TypeAliasType

from cifar_tune.config.paths import Loc, dotted, replace
from cifar_tune.config.priors import ChoicePrior
from cifar_tune.config.ranges import FloatDomain, IntDomain
from cifar_tune.config.rendering import render
from cifar_tune.schema import ListOf, Strict

DOMAIN_KEYS = ("float", "int", "choice")


def _kind(value: Any) -> str | None:
    """Returns the tag of the domain that a value of a file, or a built one, is."""
    match value:
        case FloatDomain():
            return "{float}"
        case IntDomain():
            return "{int}"
        case ChoiceDomain():
            return "{choice}"
        case Mapping():
            return next((f"{{{key}}}" for key in DOMAIN_KEYS if key in value), None)
    return None


def _template_kind(value: Any) -> str:
    if _kind(value):
        return "{domain}"
    if isinstance(value, Mapping):
        return "{mapping}"
    return "{list}" if isinstance(value, list | tuple) else "{value}"


class ChoiceDomain(Strict):
    """`{choice: [...]}`: values, lists, null, components; domains inside an option are searched when it is chosen."""

    choice: ListOf[Template]
    prior: ChoicePrior | None = None
    """Which option the user believes to be the best."""

    @cached_property
    def options(self) -> Mapping[str, Option]:
        """What can be chosen, by label, in file order."""
        options = [Option(value) for value in self.choice]
        names = [option.name for option in options]
        return {
            name if names.count(name) == 1 else f"{name} {names[: index + 1].count(name)}": option
            for index, (name, option) in enumerate(zip(names, options, strict=True))
        }

    @property
    def preferred(self) -> str | None:
        """The label of the option that the prior names; None where there is no prior."""
        return None if self.prior is None else render(self.prior.option)

    def contains(self, value: Any) -> bool:
        """Tells whether `value` is the label of an option."""
        return value in self.options

    @model_validator(mode="after")
    def _offers_something(self) -> ChoiceDomain:
        if not self.choice:
            raise ValueError("the choice is empty; list at least two options")
        seen: list[Any] = []
        for value in self.choice:
            if any(_same(value, other) for other in seen):
                raise ValueError(f"the option {render(value)} stands twice; keep one")
            seen.append(value)
        if len(self.choice) == 1 and not Option(self.choice[0]).domains:
            raise ValueError(f"one option is not a choice; write {render(self.choice[0])} into `trial` instead")
        if self.prior is not None and self.preferred not in self.options:
            raise ValueError(
                f"the prior names {self.preferred}, which is not an option; allowed: {', '.join(self.options)}"
            )
        return self


Domain: TypeAlias = Annotated[
    Annotated[FloatDomain, Tag("{float}")]
    | Annotated[IntDomain, Tag("{int}")]
    | Annotated[ChoiceDomain, Tag("{choice}")],
    Discriminator(
        _kind,
        custom_error_type="domain",
        custom_error_message="must be {float: [low, high]}, {int: [low, high]} or {choice: [...]}",
    ),
]

if TYPE_CHECKING:
    Plain: TypeAlias = Any
    Template: TypeAlias = Any
else:
    Scalar = bool | int | float | str | None
    Plain = TypeAliasType("Plain", Scalar | ListOf["Plain"] | dict[str, "Plain"])
    """A value of a trial file."""

    Template = TypeAliasType(
        "Template",
        Annotated[
            Annotated[Domain, Tag("{domain}")]
            | Annotated[dict[str, "Template"], Tag("{mapping}")]
            | Annotated[ListOf["Template"], Tag("{list}")]
            | Annotated[Scalar, Tag("{value}")],
            Discriminator(_template_kind),
        ],
    )
    """A value of a trial file in which domains may stand for values."""


@dataclass(frozen=True)
class Option:
    """One alternative of a choice."""

    value: Any
    """As written, with domains where something remains to be proposed."""

    @property
    def name(self) -> str:
        """The component's name, or the value itself."""
        named = isinstance(self.value, Mapping) and isinstance(self.value.get("name"), str)
        return str(self.value["name"]) if named else render(self.value)

    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        """What remains to be proposed, by dotted path from the top of the option ("" for the option itself)."""
        return {dotted(loc): domain for loc, domain in self.located}

    @cached_property
    def located(self) -> Sequence[tuple[Loc, Domain]]:
        """`domains` by location."""
        return tuple(_domains_in(self.value, ()))

    def fill(self, values: Mapping[str, Any]) -> Any:
        """Returns the option with a value in the place of each of its domains."""
        filled = self.value
        for loc, _ in self.located:
            filled = replace(filled, loc, values[dotted(loc)])
        return filled


def _domains_in(value: Any, loc: Loc) -> Iterator[tuple[Loc, Domain]]:
    if isinstance(value, FloatDomain | IntDomain | ChoiceDomain):
        yield loc, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _domains_in(item, (*loc, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _domains_in(item, (*loc, index))


def _same(one: Any, other: Any) -> bool:
    """Tells whether two options mean the same; 1 and 1.0 do, 1 and true do not."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


ChoiceDomain.model_rebuild()
