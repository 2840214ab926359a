"""What a machine has, and what a trial is given of it."""

from __future__ import annotations

import pytest

from cifar_tune.config.sweep_config import Resources
from cifar_tune.errors import DeviceError
from cifar_tune.tuning.cards import Gpu
from cifar_tune.tuning.devices import Machine, TrialResources, this_machine, trial_resources

H100 = Gpu("NVIDIA H100 PCIe", 80 * 10**9, "560.1")
RTX4060 = Gpu("NVIDIA GeForce RTX 4060", 8 * 10**9, "560.1")
LAPTOP = Machine(cores=2, memory_bytes=16 * 10**9, gpus=())
SERVER = Machine(cores=32, memory_bytes=256 * 10**9, gpus=(H100, H100))


def test_this_machine_has_at_least_a_core_and_some_memory() -> None:
    machine = this_machine()
    assert machine.cores >= 1
    assert machine.memory_bytes > 10**8


def test_on_a_cpu_a_trial_gets_one_core_and_one_thread() -> None:
    assert trial_resources(Resources(), LAPTOP) == TrialResources(cpus=1, gpus=0, threads=1)


def test_on_gpus_a_trial_gets_a_card_and_its_part_of_the_cores() -> None:
    assert trial_resources(Resources(), SERVER) == TrialResources(cpus=16, gpus=1, threads=16)


def test_trials_that_share_a_card_share_its_cores() -> None:
    assert trial_resources(Resources(gpus=0.25), SERVER) == TrialResources(cpus=4, gpus=0.25, threads=4)


def test_gigabytes_become_the_largest_share_that_whole_trials_fill() -> None:
    resources = trial_resources(Resources(gpu_memory=24.0), SERVER)
    assert resources.gpus == pytest.approx(1 / 3)
    assert resources.slots({"CPU": 32, "GPU": 2}) == 6


def test_a_user_may_forgo_the_gpu() -> None:
    assert trial_resources(Resources(gpus=0), SERVER).gpus == 0


@pytest.mark.parametrize(
    ("resources", "capacity", "slots"),
    [
        (TrialResources(1, 0, 1), {"CPU": 2}, 2),
        (TrialResources(2, 0, 2), {"CPU": 5}, 2),
        (TrialResources(1, 1, 1), {"CPU": 8}, 0),
        (TrialResources(1, 1, 1), {"CPU": 8, "GPU": 2}, 2),
        (TrialResources(1, 0.3, 1), {"CPU": 64, "GPU": 2}, 6),
        (TrialResources(8, 0.5, 8), {"CPU": 16, "GPU": 2}, 2),
    ],
)
def test_as_many_trials_run_at_once_as_fit(resources: TrialResources, capacity: dict[str, float], slots: int) -> None:
    assert resources.slots(capacity) == slots


@pytest.mark.parametrize(
    ("asked", "machine", "message"),
    [
        (Resources(gpus=1), LAPTOP, "resources.gpus: 1 asked for, and there is no GPU; this machine has 2 CPU cores"),
        (Resources(gpu_memory=8.0), LAPTOP, "resources.gpu_memory: 8 asked for, and there is no GPU"),
        (Resources(gpus=4), SERVER, "to have 4 GPUs; this machine has 32 CPU cores, 256 GB of memory, 2 x NVIDIA H100"),
        (Resources(gpus=2), SERVER, "a trial trains on one card, so at most 1"),
        (Resources(cpus=3), LAPTOP, "a trial is to have 3 CPU cores; this machine has 2 CPU cores"),
        (Resources(gpu_memory=100.0), SERVER, "to have 100 GB; this machine has 2 x NVIDIA H100 PCIe (80 GB)"),
    ],
)
def test_what_is_not_there_is_refused_with_what_there_is(asked: Resources, machine: Machine, message: str) -> None:
    with pytest.raises(DeviceError) as caught:
        trial_resources(asked, machine)
    assert message in str(caught.value)
