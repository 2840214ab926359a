"""`stop:` of a sweep: what ends it before all its trials are done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from cifar_tune.config.messages import Finding
from cifar_tune.schema import Count, NonNegative, Positive, Strict


class StopRules(Strict):
    """The first rule that is met ends the sweep. Trials under way are finished, or saved where the time is over."""

    trials: Count | None = None
    """Trials started, in all studies together."""
    hours: Positive | None = None
    """Wall time of all drivers together, also after `--resume`."""
    gpu_hours: Positive | None = None
    """Hours of all drivers together, times the GPUs that trials had; never met where they have none."""
    target: float | None = None
    """Value of the objective that some trial has reached after some epoch."""
    no_improvement_trials: Count | None = None
    """Trials ended that were started after the best one; not before each cell of the grid has had one."""
    probability_of_improvement: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Bound on the estimated probability that any of the trials left would be better than the best one."""
    min_delta: NonNegative = 0.0
    """Gain from which on a trial counts as better than the best one."""


OF_ONE_OBJECTIVE = ("target", "no_improvement_trials", "probability_of_improvement")
"""Rules about the best trial: there is none where several objectives are weighed against each other."""


def stop_findings(stop: StopRules, metrics: Sequence[str], planned: int, cells: int) -> Iterator[Finding]:
    """Yields what of the stop rules does not suit the sweep. planned: trials of all studies. cells: of the grid."""
    trials, target = stop.trials, stop.target
    if trials is not None and trials < cells:
        message = f"must be at least {cells}, one for each cell of the grid, got {trials}"
        yield Finding(("stop", "trials"), message)
    if trials is not None and trials > planned:
        message = f"must be at most {planned}, all trials that `trials_per_study` gives, got {trials}; raise it too"
        yield Finding(("stop", "trials"), message)
    for rule in OF_ONE_OBJECTIVE if len(metrics) > 1 else ():
        if getattr(stop, rule) is not None:
            yield Finding(("stop", rule), f"needs one objective, got {', '.join(metrics)}; drop it")
    if target is not None and metrics == ["validation_accuracy"] and not 0 <= target <= 1:
        hint = f"; write {target / 100:g}" if 1 < target <= 100 else ""
        message = f"validation_accuracy is a fraction: must be from 0 to 1, got {target:g}{hint}"
        yield Finding(("stop", "target"), message)
