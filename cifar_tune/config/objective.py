"""What a sweep improves: one metric, or several against each other."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Discriminator, Tag, model_validator

from cifar_tune.config.messages import Finding, found
from cifar_tune.schema import ListOf, Strict

Metric = Literal[
    "validation_accuracy",
    "validation_loss",
    "num_parameters",
    "flops_per_image",
    "train_seconds",
    "latency_seconds",
    "peak_memory_bytes",
]
Mode = Literal["max", "min"]

BETTER: Mapping[str, Mode] = {
    "validation_accuracy": "max",
    "validation_loss": "min",
    "num_parameters": "min",
    "flops_per_image": "min",
    "train_seconds": "min",
    "latency_seconds": "min",
    "peak_memory_bytes": "min",
}
"""Which way each metric improves."""

LEARNT: Sequence[Metric] = ("validation_accuracy", "validation_loss")
"""What training improves, epoch by epoch. All others are what a trial costs."""

ALLOWED = f"allowed: {' or '.join(LEARNT)}, and beside it, in a list, {', '.join(m for m in BETTER if m not in LEARNT)}"
"""What objectives there are, in words."""


class Objective(Strict):
    """What the sampler and the scheduler go by."""

    metric: Metric = "validation_accuracy"
    mode: Mode = "max"
    """Which way it improves; follows from the metric where it is not written."""

    @property
    def sign(self) -> int:
        """1 where a higher value is better, else -1."""
        return 1 if self.mode == "max" else -1

    @model_validator(mode="before")
    @classmethod
    def _mode_of_metric(cls, data: Any) -> Any:
        metric = data.get("metric") if isinstance(data, Mapping) else None
        if isinstance(metric, str) and metric not in BETTER:
            near = difflib.get_close_matches(metric, BETTER, n=1, cutoff=0.5)
            hint = f" did you mean `{near[0]}`?" if near else ""
            raise found([Finding(("metric",), f"unknown metric `{metric}`;{hint} {ALLOWED}")])
        if isinstance(metric, str) and "mode" not in data:
            return {**data, "mode": BETTER[metric]}
        return data

    @model_validator(mode="after")
    def _improves(self) -> Objective:
        right = BETTER[self.metric]
        if self.mode != right:
            better = {"max": "higher", "min": "lower"}[right]
            message = f"{self.metric} is better the {better} it is; must be {right}, got {self.mode}"
            raise found([Finding(("mode",), message)])
        return self


def _checked(given: Objective | tuple[Objective, ...]) -> Objective | tuple[Objective, ...]:
    """A list of one is that one."""
    listed = isinstance(given, tuple)
    several = given if isinstance(given, tuple) else (given,)
    metrics = [one.metric for one in several]
    findings = [
        Finding((place, "metric"), f"{metric} is an objective already; name each once")
        for place, metric in enumerate(metrics)
        if metric in metrics[:place]
    ]
    if not set(metrics) & {*LEARNT}:
        place = () if listed else ("metric",)
        names = ", ".join(metrics) or "an empty list"
        findings += [Finding(place, f"nothing that is learnt counts, got {names}; {ALLOWED}")]
    if findings:
        raise found(findings)
    return several[0] if len(several) == 1 else several


AnyObjective: TypeAlias = Annotated[
    Annotated[Objective, Tag("one")] | Annotated[ListOf[Objective], Tag("several")],
    Discriminator(lambda value: "several" if isinstance(value, list | tuple) else "one"),
    AfterValidator(_checked),
]
"""One objective, or a list of them that are weighed against each other by Pareto dominance."""


def learnt_of(objectives: Sequence[Objective]) -> Objective:
    """Returns the first objective that training improves; there is one in every sweep."""
    return next(one for one in objectives if one.metric in LEARNT)
