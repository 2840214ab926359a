"""The schedules that a trial may name. A new one is a file here and a line in the union."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cifar_tune.training.schedules.constant import Constant
from cifar_tune.training.schedules.cosine import Cosine
from cifar_tune.training.schedules.onecycle import OneCycle
from cifar_tune.training.schedules.schedule import Schedule, Setting
from cifar_tune.training.schedules.step import Step
from cifar_tune.training.schedules.warm_restarts import WarmRestarts

AnySchedule = Annotated[OneCycle | Cosine | WarmRestarts | Step | Constant, Field(discriminator="name")]

__all__ = ["AnySchedule", "OneCycle", "Schedule", "Setting"]
