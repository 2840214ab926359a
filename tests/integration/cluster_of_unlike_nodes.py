"""A Ray cluster on this machine with unlike cards: declared to Ray, described by each node's own `nvidia-smi`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MEBIBYTES: Mapping[str, int] = {"NVIDIA H100 PCIe": 81559, "NVIDIA GeForce RTX 4060": 8188}
CAPABILITY: Mapping[str, str] = {"NVIDIA H100 PCIe": "9.0", "NVIDIA GeForce RTX 4060": "8.9"}

Cards = Sequence[str]


def install_nvidia_smi(folder: Path, cards: Cards) -> None:
    """Writes a program that answers as NVIDIA's does on a machine with these cards, all of their memory free."""
    folder.mkdir(parents=True)
    rows = [
        f"{index}, GPU-{folder.name}-{index}, {card}, {MEBIBYTES[card]}, {MEBIBYTES[card]}, 560.1, {CAPABILITY[card]}"
        for index, card in enumerate(cards)
    ]
    header = "index, uuid, name, memory.total [MiB], memory.free [MiB], driver_version, compute_cap"
    program = folder / "nvidia-smi"
    program.write_text("\n".join(["#!/bin/sh", "cat <<END", header, *rows, "END", ""]))
    program.chmod(0o755)


@contextmanager
def cluster_of(nodes: Sequence[tuple[int, Cards]], folder: Path) -> Iterator[str]:
    """Starts a node for each (cores, cards) and yields the address."""
    with running_cluster(nodes, folder) as cluster:
        yield str(cluster.address)


@contextmanager
def running_cluster(nodes: Sequence[tuple[int, Cards]], folder: Path) -> Iterator[Any]:
    """Starts a node for each (cores, cards) and yields Ray's object for the cluster."""
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        for number, (cores, cards) in enumerate(nodes):
            programs = folder / f"node{number}"
            install_nvidia_smi(programs, cards)
            path = f"{programs}{os.pathsep}{os.environ['PATH']}"
            cluster.add_node(num_cpus=cores, num_gpus=len(cards), env_vars={"PATH": path}, include_dashboard=False)
        yield cluster
    finally:
        cluster.shutdown()
