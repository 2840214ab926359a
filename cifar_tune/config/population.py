"""What population based training asks of the other parts of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from cifar_tune.config.domains import ChoiceDomain
from cifar_tune.config.messages import Finding
from cifar_tune.config.schedulers import tenth

ANYTHING_IN = ("schedule", "loss", "augmentations", "sam", "clip")
"""Blocks without tensors: a trial may go on with others."""

PERTURBABLE = f"optimizer.lr and the optimizer's other numbers, ema.decay, and what is in {', '.join(ANYTHING_IN)}"


def with_population(sweep: Mapping[str, Any], epochs: Any) -> dict[str, Any]:
    """Returns a sweep's values, its population's size and interval filled in where the scheduler is pbt."""
    scheduler = sweep.get("scheduler")
    if not isinstance(scheduler, Mapping) or scheduler.get("name") != "pbt":
        return dict(sweep)
    interval = {"interval_epochs": tenth(epochs)} if isinstance(epochs, int) else {}
    size = {"trials_per_study": scheduler["population"]} if isinstance(scheduler.get("population"), int) else {}
    return {**size, **sweep, "scheduler": {**interval, **scheduler}}


def population_findings(sweep: Mapping[str, Any]) -> Iterator[Finding]:
    """Yields what of a sweep's values, read or as they stand in the file, population based training cannot do."""
    scheduler = _values(sweep.get("scheduler"))
    if scheduler.get("name") != "pbt":
        return
    search, size = sweep.get("search") or {}, sweep.get("trials_per_study")
    if not search:
        message = f"pbt has nothing to perturb: `search` is empty; it can perturb {PERTURBABLE}"
        yield Finding(("scheduler", "name"), message)
    for path, domain in search.items() if isinstance(search, Mapping) else ():
        if not can_be_perturbed(path, domain):
            message = f"pbt cannot perturb it, since a copied trial goes on with it; it can perturb {PERTURBABLE}"
            yield Finding(("search", path), message, at_key=True)
    if isinstance(size, int) and size < 2:
        yield Finding(("trials_per_study",), f"is the population of pbt; must be at least 2, got {size}")
    if isinstance(size, int) and scheduler.get("population") not in (None, size):
        message = f"a study is one population: must be trials_per_study, which is {size}, or left out"
        yield Finding(("scheduler", "population"), f"{message}, got {scheduler['population']}")
    epochs, interval = _values(sweep.get("trial")).get("epochs"), scheduler.get("interval_epochs")
    if isinstance(epochs, int) and isinstance(interval, int) and interval >= epochs > 1:
        message = f"must be less than trial.epochs, which is {epochs}, got {interval}"
        yield Finding(("scheduler", "interval_epochs"), message)


def can_be_perturbed(path: str, domain: Any) -> bool:
    """Tells whether a trial can go on with another value: its weights and its optimizer's tensors stay what they are.

    Not `batch_size`: a schedule counts steps, of which an epoch would have another number.
    """
    block, *inner = path.split(".")
    if block == "optimizer":
        return bool(inner) and inner[-1] not in ("name", "rest") and _of_plain_values(domain)
    return block in ANYTHING_IN or path == "ema.decay"


def _of_plain_values(domain: Any) -> bool:
    options = domain.choice if isinstance(domain, ChoiceDomain) else _values(domain).get("choice", ())
    return isinstance(options, list | tuple) and not any(isinstance(one, Mapping | list | tuple) for one in options)


def _values(block: Any) -> Mapping[str, Any]:
    """Returns a block's fields, of a record or of a mapping."""
    if isinstance(block, BaseModel):
        return dict(block)
    return block if isinstance(block, Mapping) else {}
