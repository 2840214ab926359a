"""One trial trained on several devices: whether it is the same experiment on each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch

from cifar_tune.errors import ConfigError, DeviceError, Problem
from cifar_tune.training.device import devices, find_device
from cifar_tune.training.epochs import open_trial
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.precision_rule import PrecisionName
from cifar_tune.training.trial import TrialConfig

CLEAR = 2.0
"""Standard errors beyond which a difference counts: 1 in 20 is larger by chance."""


@dataclass(frozen=True)
class Place:
    """A device as torch names it, and the precision there; None leaves it to the trial."""

    device: str
    precision: PrecisionName | None = None


@dataclass(frozen=True)
class Finding:
    """What one training came to. name: of the device. validated: images of the validation split."""

    name: str
    precision: PrecisionName
    seed: int
    last: EpochMetrics
    validated: int

    @property
    def accuracy(self) -> float:
        return self.last.validation_accuracy or 0.0


def kinds_present() -> tuple[Place, ...]:
    """Returns one device of each kind here, the CPU first."""
    kinds: dict[str, Place] = {}
    for device in devices():
        kinds.setdefault(_name(device), Place(str(device)))
    return tuple(kinds.values())


def place_of(word: str) -> Place:
    """Returns the place that `cpu`, `cuda:1` or `cpu/bfloat16` names.

    Raises:
        DeviceError: there is no such device, or no such precision.
    """
    device, _, precision = word.partition("/")
    if precision not in ("", *get_args(PrecisionName)):
        raise DeviceError(f"{word}: {precision} is not a precision; allowed are {', '.join(get_args(PrecisionName))}")
    return Place(str(find_device(device)), precision or None)  # type: ignore[arg-type]


def findings(trial: TrialConfig, root: Path, places: Sequence[Place]) -> Iterator[Finding]:
    """Yields what the trial comes to in each place; after the first, what another seed comes to there.

    Raises:
        ConfigError: there are no images to compare by.
    """
    if trial.dataset.validation_fraction == 0:
        message = "must be above 0 to compare devices, by accuracy on validation images"
        raise ConfigError([Problem("", None, None, "dataset.validation_fraction", message)])
    for number, place in enumerate(places):
        yield _trained(trial, root, place)
        if number == 0:
            yield _trained(trial.model_copy(update={"seed": trial.seed + 1}), root, place)


def _trained(trial: TrialConfig, root: Path, place: Place) -> Finding:
    if place.precision is not None:
        trial = trial.model_copy(update={"precision": place.precision})
    opened = open_trial(trial, root=root, device=place.device)
    last = list(opened.epochs())[-1]
    state = opened.state
    return Finding(_name(state.device), state.arithmetic.name, trial.seed, last, len(opened.data.validation))


def standard_errors(one: Finding, other: Finding) -> float:
    """Returns the difference in accuracy over its standard error, had the two been scored on images of their own.

    Both are scored on the same, and so differ by chance at most as much.
    """
    pooled = (one.accuracy + other.accuracy) / 2
    error = math.sqrt(2 * pooled * (1 - pooled) / one.validated)
    return (one.accuracy - other.accuracy) / error if error else 0.0


def verdict(found: Finding, first: Finding, another_seed: Finding) -> str:
    """Returns what the difference between two places is worth, beside what another seed makes in the first."""
    if abs(standard_errors(found, first)) <= CLEAR:
        return "alike"
    by_seed = abs(another_seed.accuracy - first.accuracy)
    return "as another seed" if abs(found.accuracy - first.accuracy) <= by_seed else "DIFFERS"


def table(found: Sequence[Finding]) -> str:
    """Returns all findings beside the first, a line each; found: the first, another seed there, the other places."""
    first, another_seed = found[:2]
    rows = [("device", "precision", "seed", "train loss", "accuracy", "difference", "s.e.", "")]
    for one in found:
        itself = f"{one.last.train_loss:.4f}", f"{one.accuracy:.2%}"
        beside = f"{one.accuracy - first.accuracy:+.2%}", f"{standard_errors(one, first):+.1f}"
        judged = "" if one is first or one is another_seed else verdict(one, first, another_seed)
        rows.append(
            (one.name, one.precision, str(one.seed), *itself, *(beside if one is not first else ("", "")), judged)
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "s.e.: standard errors of the difference, had each been scored on images of its own"])


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
