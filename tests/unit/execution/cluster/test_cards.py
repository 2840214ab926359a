"""Which cards a machine has, as its drivers tell."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cifar_tune.execution.cluster.cards import (
    Gpu,
    amd_cards,
    among,
    mps_daemon_runs,
    nvidia_cards,
    parse_gpus,
    visible_here,
)
from cifar_tune.execution.cluster.devices import Machine, card_details

TWO_CARDS = """index, uuid, name, memory.total [MiB], memory.free [MiB], driver_version, compute_cap
0, GPU-aaaa, NVIDIA H100 PCIe, 81559, 80994, 560.1, 9.0
1, GPU-bbbb, NVIDIA GeForce RTX 4060, 8188, 7001, 560.1, 8.9
"""
AN_OLD_DRIVER = """index, uuid, name, memory.total [MiB], memory.free [MiB], driver_version
0, GPU-cccc, Tesla K80, 11441, 11000, 470.1
"""


def names_of(cards: tuple[Gpu, ...]) -> list[str]:
    return [card.name for card in cards]


def test_every_card_that_nvidia_smi_lists_is_found_with_what_it_has() -> None:
    small = parse_gpus(TWO_CARDS, None)[1]
    assert small == Gpu(
        "NVIDIA GeForce RTX 4060", 8188 * 2**20, "560.1", free_bytes=7001 * 2**20, capability=(8, 9), kind="cuda"
    )
    assert small.bfloat16
    assert small.usable_bytes == 7001 * 2**20


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        ("", []),
        ("1", ["NVIDIA GeForce RTX 4060"]),
        ("1,0", ["NVIDIA GeForce RTX 4060", "NVIDIA H100 PCIe"]),
        ("GPU-bbbb", ["NVIDIA GeForce RTX 4060"]),
        ("0,7,1", ["NVIDIA H100 PCIe"]),
        ("-1", []),
    ],
)
def test_cards_are_visible_as_cuda_sees_them(visible: str, names: list[str]) -> None:
    assert names_of(parse_gpus(TWO_CARDS, visible)) == names


@pytest.mark.parametrize(
    "listed",
    ["", "NVIDIA-SMI has failed because it couldn't communicate with the driver.\n", "No devices were found\n"],
)
def test_a_table_that_is_none_lists_no_card(listed: str) -> None:
    assert parse_gpus(listed, None) == ()


def test_a_driver_that_knows_no_compute_capability_is_asked_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f'#!/bin/sh\ncase "$1" in *compute_cap*) exit 2;; esac\ncat <<END\n{AN_OLD_DRIVER}END\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (card,) = nvidia_cards(None)
    assert (card.name, card.capability, card.bfloat16) == ("Tesla K80", None, None)


def test_an_amd_card_is_found_by_the_kernels_files_and_another_makers_is_not(tmp_path: Path) -> None:
    for card, vendor in (("card0", "0x1002"), ("card1", "0x8086")):
        folder = tmp_path / card / "device"
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n")
        (folder / "product_name").write_text("AMD Instinct MI300X\n")
        (folder / "mem_info_vram_total").write_text("206141652992\n")
        (folder / "mem_info_vram_used").write_text("141652992\n")
    (card,) = amd_cards(tmp_path)
    assert (card.name, card.memory_bytes, card.usable_bytes) == ("AMD Instinct MI300X", 206141652992, 206 * 10**9)


@pytest.mark.parametrize(("visible", "names"), [(None, "abc"), ("2,0", "ca"), ("1,7,0", "b"), ("", ""), ("-1", "")])
def test_amd_cards_are_visible_as_rocm_sees_them(visible: str | None, names: str) -> None:
    assert "".join(card.name for card in among([Gpu(name, 0, "") for name in "abc"], visible)) == names


def test_a_variable_of_amds_comes_before_nvidias(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    assert visible_here() is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert visible_here() == "1"
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "")
    assert visible_here() == ""


def test_the_mps_daemon_runs_where_its_process_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    assert not mps_daemon_runs()
    (tmp_path / "nvidia-cuda-mps-control.pid").write_text(f"{os.getpid()}\n")
    assert mps_daemon_runs()


def test_a_machine_says_what_is_known_of_each_card() -> None:
    card = parse_gpus(TWO_CARDS, "1")[0]
    assert card_details(card) == (
        "NVIDIA GeForce RTX 4060 (9 GB), 7.3 GB free, compute capability 8.9, bfloat16, driver 560.1"
    )
    assert card_details(Gpu("GPU", 0, "")) == "GPU"
    machine = Machine(8, 32 * 10**9, (card,), free_disk_bytes=100 * 10**9, mps_daemon=True)
    assert machine.details()[1] == "100 GB of disk free, NVIDIA's MPS daemon shares the cards"
