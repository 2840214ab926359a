"""Limits on what a trial may cost, as they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cifar_tune.config.constraints import Constraints
from cifar_tune.config.load import load_sweep
from cifar_tune.errors import ConfigError

SWEEP = """\
name: small
trial:
  dataset: {name: digits}
  model: {name: resnet18, width: 8}
  optimizer: {name: sgd, lr: 0.1}
  epochs: 2
constraints: CONSTRAINTS
"""


def constraints(**limits: Any) -> Constraints:
    return Constraints.model_validate(limits)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{num_parameters: {max: -1}}", "constraints.num_parameters.max: must be a number above 0 or null, got -1"),
        ("{num_parameters: {}}", "constraints.num_parameters: limits nothing; write {max: ...}, {min: ...} or both"),
        ("{num_parameters: {min: 9, max: 5}}", "constraints.num_parameters: nothing lies between min 9 and max 5"),
        ("{peak_memory_bytes: {min: 5}}", "constraints.peak_memory_bytes.min: unknown key `min`"),
        ("{parameters: {max: 5}}", "constraints.parameters: unknown key `parameters`; did you mean `num_parameters`?"),
        ("{}", "constraints: limits nothing; name at least one of num_parameters, flops_per_image, peak_memory_bytes"),
        ("{num_parameters: 700_000}", "constraints.num_parameters: must be a mapping (min, max) or null, got 700000"),
    ],
)
def test_wrong_constraints_are_named_with_their_line(tmp_path: Path, written: str, message: str) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP.replace("CONSTRAINTS", written))
    with pytest.raises(ConfigError) as error:
        load_sweep(path)
    assert message in str(error.value)
    assert "sweep.yaml:7:" in str(error.value)


def test_an_excess_is_the_share_of_the_limit_by_which_it_is_broken() -> None:
    limits = constraints(num_parameters={"min": 100, "max": 200}, peak_memory_bytes={"max": 1000})
    assert limits.constraint_violations({"num_parameters": 250}) == {"num_parameters": 0.25, "peak_memory_bytes": 0.0}
    assert limits.constraint_violations({"num_parameters": 50})["num_parameters"] == 0.5
    assert limits.constraint_violations({"num_parameters": 150})["num_parameters"] == -0.25


def test_what_is_broken_is_said_with_value_and_limit_and_both_ends_are_allowed() -> None:
    limits = constraints(num_parameters={"min": 100, "max": 200_000}, peak_memory_bytes={"max": 8e9})
    assert limits.broken({"num_parameters": 100, "peak_memory_bytes": 8e9}) is None
    assert limits.broken({"num_parameters": 200_000}) is None
    found = limits.broken({"num_parameters": 99, "peak_memory_bytes": 9e9})
    assert found == "num_parameters 99 is below min 100; peak_memory_bytes 9,000,000,000 is above max 8,000,000,000"
    assert str(limits) == "num_parameters at least 100 and at most 200,000, peak_memory_bytes at most 8,000,000,000"


def test_constraints_survive_being_written_out(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP.replace("CONSTRAINTS", "{num_parameters: {max: 700_000}}"))
    sweep = load_sweep(path)
    path.write_text(sweep.to_yaml())
    assert load_sweep(path).constraints == sweep.constraints == constraints(num_parameters={"max": 700_000})


def test_no_constraint_without_a_limit_can_be_built() -> None:
    with pytest.raises(ValidationError, match="limits nothing"):
        constraints(num_parameters=None)
