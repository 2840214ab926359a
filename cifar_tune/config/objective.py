"""What a sweep improves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import model_validator

from cifar_tune.config.messages import Finding, found
from cifar_tune.schema import Strict

Metric = Literal["validation_accuracy", "validation_loss"]
Mode = Literal["max", "min"]

BETTER: Mapping[Metric, Mode] = {"validation_accuracy": "max", "validation_loss": "min"}
"""Which way each metric improves."""


class Objective(Strict):
    """What the sampler and the scheduler go by."""

    metric: Metric = "validation_accuracy"
    mode: Mode = "max"
    """Which way it improves; follows from the metric where it is not written."""

    @model_validator(mode="before")
    @classmethod
    def _mode_of_metric(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "mode" not in data and data.get("metric") in [*BETTER]:
            return {**data, "mode": BETTER[data["metric"]]}
        return data

    @model_validator(mode="after")
    def _improves(self) -> Objective:
        right = BETTER[self.metric]
        if self.mode != right:
            better = {"max": "higher", "min": "lower"}[right]
            message = f"{self.metric} is better the {better} it is; must be {right}, got {self.mode}"
            raise found([Finding(("mode",), message)])
        return self
