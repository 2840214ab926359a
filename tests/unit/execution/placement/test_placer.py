"""What the keeper of places says of a trial's place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cifar_tune.config.sweep_config import Resources
from cifar_tune.execution.cluster.cards import GIGABYTE
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.placement.memory_record import MemoryRecord
from cifar_tune.execution.placement.oom_fallback import NONE
from cifar_tune.execution.placement.placer import Placer
from cifar_tune.execution.placement.resource_request import Needs
from tests.unit.execution.placement.test_placement import H100, RTX4060, TRIAL, nodes_of

TWO_SMALL = Machine(cores=8, memory_bytes=32 * GIGABYTE, gpus=(RTX4060, RTX4060))
ONE_LARGE = Machine(cores=4, memory_bytes=32 * GIGABYTE, gpus=(H100,))


def placer_of(**asked: Any) -> Placer:
    """Of a sweep on a node of two small cards and one of a large card; a trial is on the small ones."""
    small, both = nodes_of(TWO_SMALL), nodes_of(TWO_SMALL, ONE_LARGE)
    there = [small]
    placer = Placer(Resources(**asked), lambda: there[0], Needs(Path(), MemoryRecord()), trials=1)
    assert placer.place("a", [(TRIAL, NONE)]) == 0
    there[0] = both
    return placer


@pytest.mark.parametrize(
    ("asked", "gigabytes"), [({}, 80), ({"card": "4060"}, 8), ({"gpus": 2}, 8), ({"cpus": 6, "gpus": 1}, 8)]
)
def test_no_larger_card_is_promised_than_the_trial_may_have(asked: dict[str, Any], gigabytes: int) -> None:
    assert placer_of(**asked).ran_out("a").largest_bytes == gigabytes * GIGABYTE


@pytest.mark.parametrize(
    ("asked", "gigabytes"), [({"processes": 2}, 16), ({"cpus": 1}, 8), ({"cpus": 1, "trials_per_gpu": 2}, 0)]
)
def test_the_log_of_placements_has_the_memory_of_all_cards_of_a_trial(asked: dict[str, Any], gigabytes: int) -> None:
    assert placer_of(**asked)["a"].entry()["gpu_memory_reserved_bytes"] == gigabytes * GIGABYTE
