"""What this machine has."""

from __future__ import annotations

from cifar_tune.tuning.devices import TrialResources, this_machine


def test_this_machine_has_at_least_a_core_and_some_memory() -> None:
    machine = this_machine()
    assert machine.cores >= 1
    assert machine.memory_bytes > 10**8
    assert machine.free_disk_bytes > 0


def test_ray_is_asked_for_a_card_only_where_a_trial_has_one() -> None:
    assert TrialResources(cpus=2, gpus=0, threads=2).as_ray() == {"CPU": 2}
    assert TrialResources(cpus=1.5, gpus=0.25, threads=1).as_ray() == {"CPU": 1.5, "GPU": 0.25}
