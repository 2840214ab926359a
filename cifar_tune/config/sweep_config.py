"""`SweepConfig`: what one sweep file says, checked."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from cifar_tune.config.constraints import Constraints
from cifar_tune.config.domains import Domain, Plain
from cifar_tune.config.dump import to_yaml
from cifar_tune.config.messages import explain, found
from cifar_tune.config.objective import AnyObjective, Objective
from cifar_tune.config.objectives import default_scheduler, objectives_findings, unaudited, with_latency
from cifar_tune.config.paths import dotted, locate, replace
from cifar_tune.config.population import population_findings, with_population
from cifar_tune.config.proposals import answers
from cifar_tune.config.samplers import AnySampler, Tpe, sampler_findings
from cifar_tune.config.schedulers import WITH_GRACE, AnyScheduler, AshaPromotion, default_grace, scheduler_findings
from cifar_tune.config.space import Space, Varied
from cifar_tune.config.stop_rules import StopRules, stop_findings
from cifar_tune.errors import ConfigError, Problem
from cifar_tune.schema import LARGEST_SEED, Count, ListOf, NonNegative, Positive, Seed, Strict
from cifar_tune.training.trial import TrialConfig


class Resources(Strict):
    """What one trial is given."""

    cpus: Literal["auto"] | Count = "auto"
    """auto: one core where there is no GPU, else the node's cores shared between its trials."""
    gpus: Literal["auto"] | NonNegative = "auto"
    """auto: a share of a card by the memory that the trial needs, where there are cards; a number is the share itself,
    1 a whole card, 4 four of one node that train the trial together, 0 none."""
    processes: Literal["auto"] | Count = "auto"
    """That train a trial together, each with a card of its own where there are cards. auto: one for each card."""
    gpu_memory: Literal["auto"] | Positive = "auto"
    """Gigabytes that a trial takes of its card. auto: predicted from the model, corrected by what trials took."""
    trials_per_gpu: Count | None = None
    """So many trials share a card, whatever memory they need."""
    card: str | None = None
    """Trials go to cards with this in their name only, such as `H100`."""
    wait_hours: Positive = 1.0
    """Time without a trial at work after which the sweep ends: nodes may be about to join, or others hold what it asks
    for."""
    retry_minutes: NonNegative = 10.0
    """For how long a sweep goes on trying while every trial meets a fault of its surroundings: data, storage, disk,
    network or nodes that are away. 0 ends it at the third such fault in a row."""

    @property
    def ranks(self) -> int:
        """Processes of a trial; more than one take a whole card each."""
        if self.processes != "auto":
            return self.processes
        return 1 if self.gpus == "auto" else max(1, math.floor(self.gpus))

    @model_validator(mode="after")
    def _a_card_each(self) -> Resources:
        if self.gpus != "auto" and self.gpus > 1 and self.gpus % 1:
            raise ValueError(f"resources: gpus: {self.gpus:g}; a trial has a share of one card, or whole cards")
        if self.gpus != "auto" and self.gpus and max(self.gpus, self.ranks) > 1 and self.gpus != self.ranks:
            raise ValueError(
                f"resources: gpus: {self.gpus:g} and processes: {self.ranks}; each process has a card of its own, so "
                "give one of them"
            )
        for name in ("gpu_memory", "trials_per_gpu"):
            if self.ranks > 1 and getattr(self, name) not in ("auto", None):
                raise ValueError(f"resources: {name} shares a card, and each of {self.ranks} processes has a whole one")
        return self

    @model_validator(mode="after")
    def _one_share(self) -> Resources:
        given = [
            f"{name}: {value:g}"
            for name, value in (
                ("gpus", None if self.gpus == "auto" else self.gpus),
                ("gpu_memory", None if self.gpu_memory == "auto" else self.gpu_memory),
                ("trials_per_gpu", self.trials_per_gpu),
            )
            if value is not None
        ]
        if len(given) > 1 and self.gpus != 1:
            raise ValueError(f"resources: {' and '.join(given)} each set a trial's share of a card; give one of them")
        return self


Keep = Literal["best", "best_and_last", "all"]


class Checkpoints(Strict):
    """What a trial that has ended keeps on disk; while it trains it has all that `--resume` needs."""

    keep: Keep = "best_and_last"
    """best_and_last: the weights of the best epoch and of the last, and what training needs to go on where `--extend`
    may go on from there. best: the weights of the best epoch alone; what is extended trains from its first epoch again.
    all: all that training wrote."""


class SweepConfig(Strict):
    """A baseline trial, what to vary, and how."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
            max_length=100,
            json_schema_extra={
                "form": "up to 100 letters, digits, `_`, `.` and `-` that begin with a letter or a digit"
            },
        ),
    ]
    """Of the results folder: letters, digits, `_`, `.`, `-`."""
    seed: Seed = 0
    """Reaches every draw: the sampler's, the scheduler's, and the trials'."""
    trial: TrialConfig
    """The baseline: complete and runnable, and the first trial of every study."""
    grid: Mapping[str, ListOf[Plain]] = {}
    """Dotted path into `trial` -> values; every combination is a study and a cell of the heat map."""
    search: Mapping[str, Domain] = {}
    """Dotted path into `trial` -> what the sampler proposes inside each study."""
    constraints: Constraints | None = None
    """What a trial may cost; proposals that break them are not trained."""
    objective: AnyObjective = Objective()
    """What to improve: one metric, or a list of them, of which the sweep finds the Pareto front."""
    sampler: AnySampler = Tpe()
    scheduler: AnyScheduler = AshaPromotion()
    """What stops weak trials; where several objectives are weighed, `asha` unless another is named."""
    trials_per_study: Count = 16
    """Trials of each cell of the grid."""
    stop: StopRules = StopRules()
    """What ends the sweep before all its trials are done."""
    share_studies: bool = False
    """Lets the proposals of each cell of the grid learn from the trials of all."""
    warm_start: ListOf[str] = ()
    """Results folders or addresses of earlier sweeps whose comparable trials the sampler learns from."""
    resources: Resources = Resources()
    checkpoints: Checkpoints = Checkpoints()

    _header: str = PrivateAttr("")

    @property
    def header(self) -> str:
        """The comment block at the head of the file, without comment signs."""
        return self._header

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What to improve; several are weighed against each other."""
        return self.objective if isinstance(self.objective, tuple) else (self.objective,)

    def with_header(self, header: str) -> SweepConfig:
        """Returns the same sweep under another comment block."""
        copy = self.model_copy()
        copy._header = header
        return copy

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        return filled_in(data)

    @model_validator(mode="after")
    def _can_run(self) -> SweepConfig:
        findings = [*scheduler_findings(dict(self.scheduler), self.trial.epochs), *self._space().findings]
        findings += [*objectives_findings(dict(self)), *population_findings(dict(self))]
        findings += sampler_findings(self.sampler, self.search)
        cells = len(self.cells())
        metrics = [one.metric for one in self.objectives]
        findings += stop_findings(self.stop, metrics, self.trials_per_study * cells, cells)
        if findings:
            raise found(findings)
        return self

    def _space(self) -> Space:
        return Space(self.trial.model_dump(by_alias=True), self.grid, self.search)

    def cells(self) -> tuple[Mapping[str, Any], ...]:
        """Returns every combination of the grid, path -> value, the last axis varying fastest.

        Where there is no grid, one empty combination.
        """
        return tuple(dict(zip(self.grid, values, strict=True)) for values in itertools.product(*self.grid.values()))

    def trial_with(self, values: Mapping[str, Any], seed: int | None = None) -> TrialConfig:
        """Returns the baseline with `values` (dotted path -> value) in it.

        A path that names a component replaces it whole. A block that the baseline leaves null is created, its other
        fields at their defaults.

        Raises:
            ConfigError: where the values make no trial.
        """
        tree = self.trial.model_dump(by_alias=True)
        try:
            for path in sorted(values, key=lambda path: path.count(".")):
                tree = replace(tree, locate(tree, path), values[path])
            if seed is not None:
                tree["seed"] = seed
            return TrialConfig.model_validate(tree)
        except LookupError as error:
            raise ConfigError([Problem("", None, None, "trial", str(error.args[0]))]) from None
        except ValidationError as error:
            findings = explain(error, TrialConfig, tree)
            raise ConfigError(
                [Problem("", None, None, dotted(("trial", *one.loc)), one.message) for one in findings]
            ) from None

    def baseline_point(self, cell: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the answers that make `draw` propose the baseline in a cell, by name.

        A name is missing where the baseline's value lies outside its range, or is none of its choice's options.
        """
        return answers(self.search, self.trial_with(cell))

    def corner_trials(self) -> tuple[TrialConfig, ...]:
        """Returns the distinct trials at the limits of the sweep, the baseline first.

        Cells, ends of ranges, options of choices, and pairs of these: what to check against data and device.
        """
        return tuple(self.corners())

    def corners(self) -> Mapping[TrialConfig, tuple[Varied, ...]]:
        """Returns these trials, each with the values in which it differs from the baseline."""
        return self._space().trials

    def to_yaml(self) -> str:
        """Returns the sweep with every default written out; reading it gives an equal sweep."""
        values = self.model_dump(mode="json", by_alias=True)
        values |= self.model_dump(mode="json", by_alias=True, include={"search"}, exclude_defaults=True)
        return to_yaml(values, self.header)


def filled_in(data: Any) -> Any:
    """Returns a sweep's values with what follows from others: the baseline's seed, and the grace period.

    The trial takes the sweep's seed unless it says its own, a scheduler its grace period from the epochs.
    """
    if not isinstance(data, Mapping):
        return data
    filled = dict(data)
    trial, scheduler = data.get("trial"), data.get("scheduler", default_scheduler(data.get("objective")))
    if isinstance(trial, Mapping):
        seed = data.get("seed", 0)
        filled["trial"] = {"seed": seed, **trial} if isinstance(seed, int) and 0 <= seed <= LARGEST_SEED else trial
        filled["trial"] = with_latency(filled["trial"], data.get("objective"))
        epochs = trial.get("epochs")
        filled = with_population(filled, epochs)
        if isinstance(scheduler, Mapping) and scheduler.get("name") in WITH_GRACE and isinstance(epochs, int):
            trials = data.get("trials_per_study", SweepConfig.model_fields["trials_per_study"].default)
            grace = default_grace(scheduler, epochs, trials if isinstance(trials, int) else 1)
            filled["scheduler"] = {"grace_epochs": grace, **unaudited(scheduler, data.get("objective"))}
    return filled
