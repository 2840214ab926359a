"""What this machine has."""

from __future__ import annotations

from cifar_tune.execution.cluster.devices import TrialResources, this_machine


def test_this_machine_has_at_least_a_core_and_some_memory() -> None:
    machine = this_machine()
    assert machine.cores >= 1
    assert machine.memory_bytes > 10**8
    assert machine.free_disk_bytes > 0


def test_ray_is_asked_for_a_card_only_where_a_trial_has_one() -> None:
    assert TrialResources(cpus=2, gpus=0, threads=2).of_each() == {"CPU": 2}
    assert TrialResources(cpus=1.5, gpus=0.25, threads=1).of_each() == {"CPU": 1.5, "GPU": 0.25}


def test_each_process_of_a_trial_has_a_card_and_an_equal_part_of_the_cores() -> None:
    resources = TrialResources(cpus=10, gpus=3, threads=3, processes=3)
    assert resources.of_each() == {"CPU": 3.3333, "GPU": 1}
    assert str(resources) == "10 CPU cores, 3 processes of 3 threads, 3 GPUs"
    assert str(TrialResources(cpus=1, gpus=1, threads=1)) == "1 CPU core, 1 thread, 1 GPU"
