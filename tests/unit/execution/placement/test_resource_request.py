"""Predicted memory, and what trials teach about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cifar_tune.execution.cluster.cards import Gpu
from cifar_tune.execution.placement.memory_record import Conditions, MemoryRecord, user_record
from cifar_tune.execution.placement.resource_request import (
    CONTEXT_BYTES,
    FRAGMENTATION,
    Needs,
    device_bytes,
    precision_on,
    tensor_bytes,
)
from cifar_tune.training.memory import MemoryNeed, memory_need
from cifar_tune.training.trial import TrialConfig

MB = 10**6
H100 = Gpu("H100", 80 * 10**9, "", capability=(9, 0))
HERE = Conditions("H100", "bfloat16", "{}", 32)


def trial(**changes: object) -> TrialConfig:
    values = {
        "dataset": {"name": "digits"},
        "model": {"name": "resnet18", "width": 8},
        "optimizer": {"name": "sgd", "lr": 0.1},
        "batch_size": 64,
        "epochs": 2,
    }
    return TrialConfig.model_validate({**values, **changes})


def test_a_trial_takes_its_tensors_fragments_and_a_context() -> None:
    need = MemoryNeed(fixed=100 * MB, micro_batch=800 * MB, batch=100 * MB, dataset=10**12)
    assert device_bytes(need) == int(1000 * MB * FRAGMENTATION) + CONTEXT_BYTES
    assert device_bytes(need, ratio=2.0) == int(2000 * MB * FRAGMENTATION) + CONTEXT_BYTES
    assert tensor_bytes(device_bytes(need)) == int(1000 * MB * FRAGMENTATION)


@pytest.mark.parametrize(("dataset", "counted"), [(300 * MB, 300 * MB), (400 * MB, 0)])
def test_a_data_set_counts_where_it_takes_at_most_a_quarter_of_the_share(dataset: int, counted: int) -> None:
    """By `RESIDENT_SHARE` it would stay in the host's memory otherwise."""
    need = MemoryNeed(fixed=1000 * MB, micro_batch=0, batch=0, dataset=dataset)
    assert device_bytes(need) == int((1000 * MB + counted) * FRAGMENTATION) + CONTEXT_BYTES


@pytest.mark.parametrize(
    ("capability", "precision"),
    [((9, 0), "bfloat16"), ((7, 5), "float16"), ((6, 1), "float32"), (None, "float32")],
)
def test_precision_is_known_from_the_card(capability: tuple[int, int] | None, precision: str) -> None:
    assert precision_on(trial(), Gpu("card", 0, "", capability=capability)) == precision
    assert precision_on(trial(precision="tf32"), Gpu("card", 0, "", capability=capability)) == "tf32"


def test_a_measured_trial_corrects_those_of_other_batches_on_the_same_card(tmp_path: Path) -> None:
    needs = Needs(tmp_path, MemoryRecord())
    info = trial().dataset.info(tmp_path)
    predicted = memory_need(trial(), info, "bfloat16")
    needs.measured(trial(), H100, 2 * predicted.tensors + predicted.dataset)
    other = trial(batch_size=128)
    expected = device_bytes(memory_need(other, info, "bfloat16"), 2.0)
    assert needs.on(other, H100) == pytest.approx(expected, rel=0.01)
    assert needs.on(other, Gpu("A100", 80 * 10**9, "", capability=(8, 0))) < expected


def test_a_trial_that_ran_out_needs_more_next_time_and_only_this_sweep_remembers(tmp_path: Path) -> None:
    path = tmp_path / "memory.jsonl"
    needs = Needs(tmp_path, MemoryRecord(path))
    before = needs.on(trial(), H100)
    needs.exceeded(trial(), H100, before)
    assert needs.on(trial(), H100) > before
    assert not path.exists()


def test_the_largest_ratio_is_kept_between_sweeps(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "memory.jsonl"
    record = MemoryRecord.read(path)
    for ratio in (0.8, 1.3, 1.2):
        record.learn(HERE, ratio)
    assert MemoryRecord.read(path).ratio(HERE) == 1.3
    assert len(path.read_text().splitlines()) == 2
    assert MemoryRecord.read(path).ratio(Conditions("A100", "bfloat16", "{}", 32)) == 1.0


def test_a_line_that_another_sweep_is_writing_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "memory.jsonl"
    MemoryRecord(path).learn(HERE, 1.3)
    with path.open("a") as file:
        file.write('{"conditions": {"device": "H1')
    assert MemoryRecord.read(path).ratio(HERE) == 1.3


def test_a_cache_that_cannot_be_written_to_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    record = MemoryRecord.read(tmp_path / "file" / "memory.jsonl")
    record.learn(HERE, 1.3)
    assert record.ratio(HERE) == 1.3


def test_the_record_lies_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_record() == tmp_path / "cifar_tune" / "memory.jsonl"
