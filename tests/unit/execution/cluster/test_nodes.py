"""What a node answers, without Ray between."""

from __future__ import annotations

from pathlib import Path

import pytest

from cifar_tune.errors import ResultsError
from cifar_tune.execution.cluster.cards import Gpu
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.cluster.nodes import (
    DRIVER_FILE,
    NodeProbeRequest,
    NodeProbeResult,
    _problems,
    answer,
    handed_out,
    versions,
)
from cifar_tune.execution.cluster.verification import _made
from cifar_tune.training.datasets.cifar import Cifar10
from cifar_tune.training.datasets.digits import Digits

H100 = Gpu("NVIDIA H100 PCIe", 80 * 10**9, "560.1", capability=(9, 0))
SERVER = Machine(cores=32, memory_bytes=256 * 10**9, gpus=(H100, H100))


def told(**changes: str) -> NodeProbeResult:
    return NodeProbeResult("server", SERVER, {**versions(), **changes}, ())


def test_a_node_that_has_everything_has_no_problem(tmp_path: Path) -> None:
    storage = tmp_path / ".ray"
    storage.mkdir()
    (storage / DRIVER_FILE).touch()
    question = NodeProbeRequest(root=tmp_path, datasets=(Digits(),), storage=storage)
    found = answer(question, "abc")
    assert found.problems == ()
    assert found.machine.cores >= 1
    assert _problems(found, question, "abc") == ()


def test_a_node_that_cannot_see_the_results_folder_says_so(tmp_path: Path) -> None:
    storage = tmp_path / "results" / ".ray"
    assert answer(NodeProbeRequest(storage=storage), "abc").problems == (
        f"cannot read and write the results folder {tmp_path / 'results'} (No such file or directory); "
        "all nodes must see one",
    )


def test_a_node_that_wrote_elsewhere_shares_no_storage(tmp_path: Path) -> None:
    """It answers that it could, and the driver sees nothing of it."""
    storage = tmp_path / "results" / ".ray"
    storage.mkdir(parents=True)
    (problem,) = _problems(told(), NodeProbeRequest(storage=storage), "abc")
    assert problem == f"has a results folder {tmp_path / 'results'} of its own; all nodes must see one"


def test_a_data_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    (problem,) = answer(NodeProbeRequest(root=tmp_path, datasets=(Digits(), Cifar10())), "abc").problems
    assert problem.startswith("data set cifar10: ")
    assert "cifar-10-batches-py" in problem


@pytest.mark.parametrize("name", ["Python", "Ray", "cifar_tune"])
def test_another_version_than_the_drivers_is_a_problem(name: str) -> None:
    (problem,) = _problems(told(**{name: "0.1"}), NodeProbeRequest(), "abc")
    assert problem == f"has {name} 0.1; the driver has {versions()[name]}"


def test_of_a_machine_counts_what_ray_hands_out() -> None:
    assert handed_out(SERVER, {"CPU": 8.0, "GPU": 1.0}) == Machine(8, 256 * 10**9, (H100,))
    assert handed_out(SERVER, {"CPU": 8.0}).gpus == ()


def test_a_card_that_ray_counts_and_no_driver_describes_is_of_unknown_memory() -> None:
    machine = handed_out(Machine(8, 10**9, ()), {"CPU": 8.0, "GPU": 1.0, "accelerator_type:A100": 1.0})
    assert machine.gpus == (Gpu("A100", 0, ""),)


def test_the_folder_in_which_nodes_are_asked_is_gone_afterwards_and_what_was_there_stays(tmp_path: Path) -> None:
    with _made(tmp_path / "results" / "sweep" / ".nodes") as folder:
        assert folder.is_dir()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "results").mkdir()
    with _made(tmp_path / "results" / "sweep" / ".nodes") as folder:
        (folder / "driver").touch()
        (tmp_path / "results" / "sweep" / "another.yaml").touch()
    assert [path.name for path in (tmp_path / "results" / "sweep").iterdir()] == ["another.yaml"]


def test_a_results_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = r"file/sweep: cannot be made a results folder: Not a directory"
    with pytest.raises(ResultsError, match=message), _made(tmp_path / "file" / "sweep" / ".nodes"):
        pass
