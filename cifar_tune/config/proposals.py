"""One proposal put together from a search space, and a trial taken apart into the answers that would propose it.

In the space `{optimizer: {choice: [{name: sgd, ...}, {name: adamw, lr: {float: [1e-4, 1e-2]}}]}}`, `draw` asks for
`optimizer`, is told "adamw", asks for `optimizer.adamw.lr`, is told 0.001, and returns
`{"optimizer": {"name": "adamw", "lr": 0.001}}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pydantic import ValidationError

from cifar_tune.config.domains import ChoiceDomain, Domain
from cifar_tune.config.paths import get, locate, replace
from cifar_tune.training.trial import TrialConfig

Suggest: TypeAlias = Callable[[str, Domain], Any]
"""(name, domain) -> a number of the range, or the label of one of the choice's `options`."""


def draw(search: Mapping[str, Domain], suggest: Suggest) -> dict[str, Any]:
    """Returns one proposal, path -> value, for `SweepConfig.trial_with`.

    Names are unique in the whole space; those inside an option are `<choice>.<label>.<path in the option>`.
    """
    return {path: _draw_one(path, domain, suggest) for path, domain in search.items()}


def _draw_one(name: str, domain: Domain, suggest: Suggest) -> Any:
    answer = suggest(name, domain)
    if not isinstance(domain, ChoiceDomain):
        return answer
    option = domain.options[answer]
    names = {path: _below(f"{name}.{answer}", path) for path in option.domains}
    return option.fill({path: _draw_one(names[path], inner, suggest) for path, inner in option.domains.items()})


def inside(search: Mapping[str, Domain], given: Mapping[str, Any]) -> bool:
    """Tells whether these answers are all that `draw` asks for, each inside its range."""

    def answer(name: str, domain: Domain) -> Any:
        if not domain.contains(given[name]):
            raise KeyError(name)
        return given[name]

    try:
        draw(search, answer)
    except KeyError:
        return False
    return True


def answers(search: Mapping[str, Domain], trial: TrialConfig) -> dict[str, Any]:
    """Returns what `suggest` must answer so that `draw` proposes `trial`, by name.

    A name is missing where the trial's value lies outside its range, or is none of its choice's options.
    """
    tree = trial.model_dump(by_alias=True)
    found: dict[str, Any] = {}
    for path, domain in search.items():
        found |= _answers(path, domain, path, tree, trial)
    return found


def _answers(name: str, domain: Domain, path: str, tree: Mapping[str, Any], trial: TrialConfig) -> dict[str, Any]:
    if not isinstance(domain, ChoiceDomain):
        value = _value_at(tree, path)
        return {name: value} if domain.contains(value) else {}
    for label, option in domain.options.items():
        paths = {inner: _below(path, inner) for inner in option.domains}
        value = option.fill({inner: _value_at(tree, paths[inner]) for inner in paths})
        if _makes(replace(tree, locate(tree, path), value), trial):
            found = {name: label}
            for inner, one in option.domains.items():
                found |= _answers(_below(f"{name}.{label}", inner), one, paths[inner], tree, trial)
            return found
    return {}


def _makes(tree: Mapping[str, Any], trial: TrialConfig) -> bool:
    try:
        return TrialConfig.model_validate(tree) == trial
    except ValidationError:
        return False


def _value_at(tree: Mapping[str, Any], path: str) -> Any:
    try:
        return get(tree, locate(tree, path))
    except LookupError:
        return None


def _below(outer: str, inner: str) -> str:
    return f"{outer}.{inner}" if inner else outer
