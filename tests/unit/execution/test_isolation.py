"""What a trial leaves behind in its process, the next does not find."""

from __future__ import annotations

import errno
import gc
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from cifar_tune.errors import CheckpointError, DatasetError, StorageError
from cifar_tune.execution.isolation import ProcessState, of_the_surroundings, spoils_the_process
from cifar_tune.execution.trial_process import ending_of


@pytest.fixture
def state() -> Iterator[ProcessState]:
    taken = ProcessState.taken()
    yield taken
    taken.restore()
    gc.unfreeze()


def test_every_switch_is_put_back(state: ProcessState) -> None:
    torch.set_num_threads(7)
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.set_anomaly_enabled(True)
    torch.set_float32_matmul_precision("medium")
    torch._C._set_deterministic_algorithms(True)
    torch.set_autocast_enabled("cpu", True)
    torch.set_autocast_dtype("cpu", torch.float16)
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    dirty = ProcessState.taken()
    state.restore()
    clean = ProcessState.taken()
    generators = {"torch_generator", "numpy_generator", "python_generator"}
    assert {key: value for key, value in vars(clean).items() if key not in generators} == {
        key: value for key, value in vars(state).items() if key not in generators
    }
    assert dirty.threads == 7
    assert dirty.deterministic


def test_every_global_generator_is_put_back(state: ProcessState) -> None:
    first = torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()
    state.restore()
    assert (torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()) == first


def test_what_was_held_in_cycles_is_collected(state: ProcessState) -> None:
    class Held:
        alive = 0

        def __init__(self) -> None:
            self.cycle = self
            Held.alive += 1

        def __del__(self) -> None:
            Held.alive -= 1

    Held()
    state.restore()
    assert Held.alive == 0


def test_only_a_failed_kernel_spoils_the_process() -> None:
    assert spoils_the_process(torch.AcceleratorError("CUDA error: illegal memory access"))
    assert not spoils_the_process(torch.OutOfMemoryError("out of memory"))
    assert not spoils_the_process(ValueError("no"))


def raised_from(cause: OSError) -> CheckpointError:
    error = CheckpointError("cannot be read")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (FileNotFoundError("data/x.png"), True),
        (ConnectionResetError("bucket"), True),
        (DatasetError("cifar10 is not there"), True),
        (StorageError("s3://b/x cannot be reached"), True),
        (raised_from(PermissionError("denied")), True),
        (raised_from(FileNotFoundError("model.safetensors")), False),
        (raised_from(CheckpointError("of another network")), False),
        (CheckpointError("of another model"), False),
        (ValueError("a size that does not fit"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
    ids=repr,
)
def test_what_the_surroundings_are_at_fault_for_is_no_failure_of_the_trial(error: Exception, expected: bool) -> None:
    assert of_the_surroundings(error) is expected
    assert ending_of(error).status == ("surroundings" if expected else "failed")
