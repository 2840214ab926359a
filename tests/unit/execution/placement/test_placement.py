"""What a trial takes of each node."""

from __future__ import annotations

from typing import Any

import pytest

from cifar_tune.config.sweep_config import Resources
from cifar_tune.errors import DeviceError
from cifar_tune.execution.cluster.cards import GIGABYTE, Gpu
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.cluster.nodes import Node
from cifar_tune.execution.placement.allocation import WHOLE, ResourceShare
from cifar_tune.execution.placement.oom_fallback import MemoryFallback
from cifar_tune.execution.placement.placement import policy_of, request_of, slice_of
from cifar_tune.training.trial import TrialConfig

H100 = Gpu("NVIDIA H100 PCIe", 80 * GIGABYTE, "560.1", capability=(9, 0))
RTX4060 = Gpu("NVIDIA GeForce RTX 4060", 8 * GIGABYTE, "560.1", capability=(8, 9))
UNKNOWN = Gpu("GPU", 0, "")
LAPTOP = Machine(cores=2, memory_bytes=16 * GIGABYTE, gpus=())
DESKTOP = Machine(cores=8, memory_bytes=32 * GIGABYTE, gpus=(RTX4060,))
SERVER = Machine(cores=32, memory_bytes=256 * GIGABYTE, gpus=(H100, H100))
MIXED = Machine(cores=32, memory_bytes=256 * GIGABYTE, gpus=(H100, RTX4060))
MANY = 10_000

TRIAL = TrialConfig.model_validate(
    {
        "dataset": {"name": "digits"},
        "model": {"name": "mininet", "width": 4},
        "optimizer": {"name": "sgd", "lr": 0.1},
        "batch_size": 256,
        "epochs": 2,
    }
)


def nodes_of(*machines: Machine) -> tuple[Node, ...]:
    return tuple(Node(f"n{place}", f"host{place}", machine) for place, machine in enumerate(machines))


def piece(machine: Machine, need: float, trials: int = MANY, **asked: Any) -> ResourceShare | None:
    policy = policy_of(Resources(**asked), nodes_of(machine), trials)
    return slice_of(policy, machine, int(need * GIGABYTE))


def by_images(gigabytes: float) -> Any:
    """A trial needs so many gigabytes for each image of a micro-batch."""
    return lambda trial, _: int(trial.micro_batch_size * gigabytes * GIGABYTE)


def test_on_a_cpu_a_trial_gets_one_core() -> None:
    assert piece(LAPTOP, 0) == ResourceShare(0, WHOLE)
    assert piece(LAPTOP, 0, cpus=2) == ResourceShare(0, 2 * WHOLE)


def test_gigabytes_become_a_share_of_a_card_and_the_same_share_of_the_nodes_cores() -> None:
    assert piece(SERVER, 8) == ResourceShare(WHOLE // 10, 32 * WHOLE // 2 // 10)
    assert piece(DESKTOP, 8) == ResourceShare(WHOLE, 8 * WHOLE)
    assert piece(DESKTOP, 8.1) is None


def test_shares_by_memory_are_twentieths_rounded_up() -> None:
    assert piece(SERVER, 4.1, cpus=1) == ResourceShare(WHOLE // 10, WHOLE)
    assert piece(SERVER, 0.1, cpus=1) == ResourceShare(WHOLE // 20, WHOLE)


def test_no_more_trials_share_a_card_than_cores_feed() -> None:
    assert piece(DESKTOP, 0.1) == ResourceShare(WHOLE // 8, WHOLE)


def test_no_more_trials_share_a_card_than_there_are_trials_for_it() -> None:
    assert piece(SERVER, 4, trials=2) == ResourceShare(WHOLE, 16 * WHOLE)
    assert piece(SERVER, 4, trials=6) == ResourceShare(WHOLE // 3, 32 * 3333 // 2)


def test_where_cards_of_a_node_differ_the_smallest_counts() -> None:
    assert piece(MIXED, 4) == ResourceShare(WHOLE // 2, 8 * WHOLE)


def test_what_others_hold_of_a_card_is_not_shared_out() -> None:
    taken = Machine(8, 32 * GIGABYTE, (Gpu("H100", 80 * GIGABYTE, "", free_bytes=10 * GIGABYTE),))
    assert piece(taken, 5, cpus=1) == ResourceShare(WHOLE // 2, WHOLE)


def test_a_card_of_unknown_memory_is_not_shared() -> None:
    assert piece(Machine(8, GIGABYTE, (UNKNOWN,)), 5) == ResourceShare(WHOLE, 8 * WHOLE)


def test_a_user_may_say_the_share_the_memory_or_the_number_of_trials() -> None:
    assert piece(SERVER, 70, gpus=0.25) == ResourceShare(WHOLE // 4, 4 * WHOLE)
    assert piece(SERVER, 5, gpus=1) == ResourceShare(WHOLE, 16 * WHOLE)
    assert piece(SERVER, 5, gpu_memory=40.0) == ResourceShare(WHOLE // 2, 8 * WHOLE)
    assert piece(SERVER, 70, trials_per_gpu=4) == ResourceShare(WHOLE // 4, 4 * WHOLE)
    assert piece(SERVER, 5, gpus=0) == ResourceShare(0, WHOLE)


def test_a_trial_of_several_processes_has_a_whole_card_for_each_or_a_core() -> None:
    assert piece(SERVER, 5, gpus=2) == ResourceShare(WHOLE, 32 * WHOLE, 2)
    assert piece(SERVER, 5, processes=2, cpus=8) == ResourceShare(WHOLE, 8 * WHOLE, 2)
    assert piece(SERVER, 5, processes=4, gpus=0) == ResourceShare(0, 4 * WHOLE)
    assert piece(LAPTOP, 0, processes=2) == ResourceShare(0, 2 * WHOLE)


def test_nodes_of_too_few_cards_take_no_trial_of_several() -> None:
    nodes = nodes_of(DESKTOP, SERVER)
    request = request_of(policy_of(Resources(gpus=2), nodes, MANY), nodes, TRIAL, by_images(1.0))
    assert request.wants == {"n1": ResourceShare(WHOLE, 32 * WHOLE, 2)}
    assert request.trial == TRIAL


def test_trials_go_to_cards_of_a_name_only() -> None:
    policy = policy_of(Resources(card="H100"), nodes_of(SERVER, DESKTOP), MANY)
    assert slice_of(policy, SERVER, GIGABYTE) is not None
    assert slice_of(policy, DESKTOP, GIGABYTE) is None


def test_where_a_node_has_cards_nodes_without_take_no_trials() -> None:
    nodes = nodes_of(LAPTOP, DESKTOP)
    request = request_of(policy_of(Resources(), nodes, MANY), nodes, TRIAL, by_images(0.01))
    assert list(request.wants) == ["n1"]


def test_unlike_nodes_get_unlike_shares() -> None:
    nodes = nodes_of(DESKTOP, SERVER)
    request = request_of(policy_of(Resources(cpus=1), nodes, MANY), nodes, TRIAL, by_images(4 / 256))
    assert {name: found.card for name, found in request.wants.items()} == {"n0": WHOLE // 2, "n1": WHOLE // 20}
    assert request.trial == TRIAL


def test_micro_batches_are_cut_only_where_no_card_holds_them_and_are_then_the_same_everywhere() -> None:
    both = nodes_of(DESKTOP, SERVER)
    whole = request_of(policy_of(Resources(), both, MANY), both, TRIAL, by_images(40 / 256))
    assert (whole.trial.micro_batch_size, list(whole.wants)) == (256, ["n1"])
    small = nodes_of(DESKTOP, DESKTOP)
    parts = request_of(policy_of(Resources(), small, MANY), small, TRIAL, by_images(40 / 256))
    assert (parts.trial.micro_batch_size, parts.trial.batch_size, list(parts.wants)) == (32, 256, ["n0", "n1"])


def test_what_is_foretold_to_fit_nowhere_tries_alone_on_the_largest_card() -> None:
    nodes = nodes_of(DESKTOP, SERVER)
    request = request_of(policy_of(Resources(), nodes, MANY), nodes, TRIAL, by_images(100))
    assert request.wants == {"n1": ResourceShare(WHOLE, 16 * WHOLE)}
    assert request.trial.micro_batch_size == 16


def test_relief_cuts_takes_the_whole_card_and_leaves_small_cards_out() -> None:
    nodes = nodes_of(DESKTOP, SERVER)
    policy = policy_of(Resources(), nodes, MANY)
    assert request_of(policy, nodes, TRIAL, by_images(0.001), MemoryFallback(parts=2)).trial.micro_batch_size == 128
    alone = request_of(policy, nodes, TRIAL, by_images(0.001), MemoryFallback(alone=True))
    assert {found.card for found in alone.wants.values()} == {WHOLE}
    above = request_of(policy, nodes, TRIAL, by_images(0.001), MemoryFallback(alone=True, above_bytes=8 * GIGABYTE))
    assert list(above.wants) == ["n1"]


@pytest.mark.parametrize(
    ("asked", "machine", "message"),
    [
        (
            {"gpus": 1},
            LAPTOP,
            "resources.gpus: 1 asked for, and there is no GPU; there is 2 CPU cores, 16 GB",
        ),
        ({"gpu_memory": 8.0}, LAPTOP, "resources.gpu_memory: 8 asked for, and there is no GPU"),
        ({"trials_per_gpu": 8}, LAPTOP, "resources.trials_per_gpu: 8 asked for, and there is no GPU"),
        ({"card": "H100"}, LAPTOP, "resources.card: H100 asked for, and there is no GPU"),
        (
            {"gpus": 4},
            SERVER,
            "to have 4 GPUs of one node; there is 32 CPU cores, 256 GB of memory, 2 x NVIDIA H100 PCIe (80 GB)",
        ),
        ({"processes": 3}, SERVER, "resources.processes: a trial is to have 3 GPUs of one node; there is 32 CPU cores"),
        ({"processes": 3}, LAPTOP, "resources: no node has 3 CPU cores for a trial; there is 2 CPU cores"),
        ({"cpus": 3}, LAPTOP, "resources: no node has 3 CPU cores for a trial; there is 2 CPU cores"),
        ({"cpus": 64}, SERVER, "resources: no node has 64 CPU cores beside a card for a trial"),
        (
            {"gpu_memory": 100.0},
            SERVER,
            "to have 100 GB; there is 2 x NVIDIA H100 PCIe (80 GB), of which at most 80.0 GB are free",
        ),
        ({"card": "A100"}, SERVER, "resources.card: A100 is on no node; there is 2 x NVIDIA H100 PCIe (80 GB)"),
        ({"card": "H100"}, MIXED, "resources.card: H100 is beside others, among which Ray does not choose"),
    ],
)
def test_what_is_not_there_is_refused_with_what_there_is(asked: dict[str, Any], machine: Machine, message: str) -> None:
    with pytest.raises(DeviceError) as caught:
        policy_of(Resources(**asked), nodes_of(machine), MANY)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"gpus": 0.5, "trials_per_gpu": 2}, "gpus: 0.5 and trials_per_gpu: 2 each set a trial's share of a card"),
        ({"gpu_memory": 8.0, "trials_per_gpu": 2}, "gpu_memory: 8 and trials_per_gpu: 2 each set"),
        ({"gpus": 0.5, "gpu_memory": 8.0}, "gpus: 0.5 and gpu_memory: 8 each set"),
        ({"gpus": 1.5}, "gpus: 1.5; a trial has a share of one card, or whole cards"),
        ({"gpus": 2, "processes": 4}, "gpus: 2 and processes: 4; each process has a card of its own"),
        ({"gpus": 2, "processes": 1}, "gpus: 2 and processes: 1; each process has a card of its own"),
        ({"gpus": 0.5, "processes": 2}, "gpus: 0.5 and processes: 2; each process has a card of its own"),
        ({"processes": 2, "gpu_memory": 8.0}, "gpu_memory shares a card, and each of 2 processes has a whole one"),
    ],
)
def test_a_share_is_said_once(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Resources(**asked)
