"""`SweepConfig`: what one sweep file says, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from cifar_tune.config.domains import Domain
from cifar_tune.config.samplers import AnySampler, Tpe
from cifar_tune.config.schedulers import AnyScheduler, Asha
from cifar_tune.schema import Count, ListOf, Strict
from cifar_tune.training.trial import TrialConfig

Metric = Literal["validation_accuracy", "validation_loss"]


class Objective(Strict):
    """What the sampler and the scheduler go by."""

    metric: Metric = "validation_accuracy"
    mode: Literal["max", "min"] = "max"


class Resources(Strict):
    """What one trial is given."""

    cpus: Literal["auto"] | Count = "auto"
    """auto: one core where there is no GPU, else the node's cores shared between its trials."""
    gpus: Literal["auto"] | Annotated[float, Field(ge=0)] = "auto"
    """auto: one where there is one, else none; a fraction shares a card."""
    gpu_memory: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"
    """Gigabytes a trial needs of its card."""


class SweepConfig(Strict):
    """A baseline trial, what to vary, and how."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    seed: Annotated[int, Field(ge=0)] = 0
    trial: TrialConfig
    grid: Mapping[str, ListOf[Any]] = {}
    search: Mapping[str, Domain] = {}
    objective: Objective = Objective()
    sampler: AnySampler = Tpe()
    scheduler: AnyScheduler = Asha()
    trials_per_study: Count = 16
    resources: Resources = Resources()
