from __future__ import annotations

import json
import platform
from pathlib import Path

import psutil

from cifar_tune.dashboard.live import LiveSweep
from cifar_tune.dashboard.machine import machines, parse_gpus
from cifar_tune.results import ResultsStore


def test_the_cards_are_those_of_nvidia_smi_and_what_a_card_does_not_tell_is_none() -> None:
    listed = "0, NVIDIA H100 PCIe, 1024, 81559, 97\n1, NVIDIA GB10, [N/A], [N/A], 5\n"
    first, second = parse_gpus(listed)
    assert first == {
        "name": "0: NVIDIA H100 PCIe",
        "memory_used_bytes": 2**30,
        "memory_bytes": 81559 * 2**20,
        "busy_fraction": 0.97,
    }
    assert (second["memory_bytes"], second["busy_fraction"]) == (None, 0.05)
    assert parse_gpus("") == []


def test_memory_set_aside_is_that_of_running_trials_by_node_and_device(store: ResultsStore) -> None:
    for place, (status, node) in enumerate([("running", "a"), ("running", "a"), ("completed", "a"), ("running", "b")]):
        store.update_trial(f"t{place}", status=status, node=node, device_name="H100", gpu_memory_reserved_bytes=10**9)
        store.add_epoch(f"t{place}", 1, peak_memory_bytes=place)
    store.update_trial("t9", status="running")
    nodes = machines(LiveSweep(store.folder).snapshot())["nodes"]
    assert nodes == [
        {"node": "a", "device": "H100", "trials": 3, "running": 2, "reserved_bytes": 2 * 10**9, "peak_bytes": 2},
        {"node": "b", "device": "H100", "trials": 1, "running": 1, "reserved_bytes": 10**9, "peak_bytes": 3},
    ]


def test_this_machine_is_measured_only_where_the_sweep_is_run(folder: Path, store: ResultsStore) -> None:
    here = machines(LiveSweep(store.folder).snapshot())
    assert (here["host"], here["here"]) == (platform.node(), True)
    assert here["machine"]["memory_bytes"] == psutil.virtual_memory().total
    (folder / "environment.json").write_text(json.dumps({"host": "far-away", "packages": {"torch": "2.15"}}))
    far = machines(LiveSweep(folder).snapshot())
    assert (far["host"], far["machine"]) == ("far-away", None)
    assert far["environment"] == [["host", "far-away"], ["packages", "torch 2.15"]]
    for damaged in ("{", "[]"):
        (folder / "environment.json").write_text(damaged)
        assert machines(LiveSweep(folder).snapshot())["environment"] == []
