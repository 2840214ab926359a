"""Other names under which a sweep file may have a key: what it was called before, and what comes to mind as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cifar_tune.config.document import Document
from cifar_tune.config.domains import DOMAIN_KEYS
from cifar_tune.config.paths import Loc

EARLIER = "startup_trials"
"""Name of the sampler's `n_startup_trials` before it had Optuna's."""


def respell(document: Document) -> None:
    """Gives the keys of a sweep their names, each at its place; a key that stands under both names is left as it is."""
    moved: dict[Loc, Loc] = {}
    document.tree = {
        key: _respelt(value, (key,), moved) if key in ("sampler", "search") else value
        for key, value in document.tree.items()
    }
    for old, new in moved.items():
        for place in [place for place in document.places if place[: len(old)] == old]:
            document.places[(*new, *place[len(old) :])] = document.places.pop(place)


def _respelt(value: Any, loc: Loc, moved: dict[Loc, Loc]) -> Any:
    if isinstance(value, list):
        return [_respelt(item, (*loc, index), moved) for index, item in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    names = {key: _name(key, value, loc) for key in value}
    respelt = {names[key]: _respelt(item, (*loc, key), moved) for key, item in value.items()}
    moved |= {(*loc, key): (*loc, name) for key, name in names.items() if key != name}
    return respelt


def _name(key: str, block: Mapping[str, Any], loc: Loc) -> str:
    if loc == ("sampler",) and key == EARLIER:
        name = f"n_{EARLIER}"
    elif key == "priors" and any(kind in block for kind in DOMAIN_KEYS):
        name = "prior"
    else:
        return key
    return key if name in block else name
