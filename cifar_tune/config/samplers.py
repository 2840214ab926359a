"""The samplers that a sweep may name; `tuning` builds them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cifar_tune.schema import Count, Strict


class Tpe(Strict):
    """Tree-structured Parzen estimator. Source: Bergstra et al. 2011; Watanabe 2023 (arXiv:2304.11127)."""

    name: Literal["tpe"] = "tpe"
    startup_trials: Count = 10
    """Random proposals before the model is used."""


class Random(Strict):
    """Independent uniform draws."""

    name: Literal["random"] = "random"


AnySampler = Annotated[Tpe | Random, Field(discriminator="name")]
