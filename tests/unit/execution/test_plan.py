"""What `--plan` promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_tune.config.load import load_sweep
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.execution.expected_epochs import halvings, planned_epochs, replacements, stopping_epochs
from cifar_tune.execution.plan import plan

SWEEP = """
name: small
trial:
  dataset: {name: digits}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.1}
  epochs: 30
grid:
  model.activation: [relu, mish]
search:
  optimizer.lr: {float: [0.01, 1.0], log: true}
scheduler: {name: asha, grace_epochs: 3, reduction_factor: 3}
trials_per_study: 27
"""
LAPTOP = Machine(cores=2, memory_bytes=16 * 10**9, gpus=())


def sweep_with(tmp_path: Path, *overrides: str) -> SweepConfig:
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP)
    return load_sweep(path, overrides)


def test_of_a_baseline_that_diverges_at_once_the_plan_says_so(tmp_path: Path) -> None:
    sweep = sweep_with(tmp_path, "trial.optimizer={name: adam, lr: 1e9}", "search={}")
    told = plan(sweep, root=tmp_path, folder=tmp_path / "results", machine=LAPTOP)
    assert "time        not known: the baseline DIVERGES, on random images even: training loss is not finite" in told


def test_rungs_grow_by_the_reduction_factor_and_end_before_the_last_epoch(tmp_path: Path) -> None:
    assert stopping_epochs(sweep_with(tmp_path)) == (3, 9, 27)
    assert stopping_epochs(sweep_with(tmp_path, "trial.epochs=27")) == (3, 9)
    assert stopping_epochs(sweep_with(tmp_path, "scheduler={name: none}")) == ()


def test_likely_epochs_are_those_of_synchronous_halving(tmp_path: Path) -> None:
    """27 trials a study: 27 train 3 epochs, 9 of them 6 more, 3 of those 18 more, 1 the last 3."""
    halving = 27 * 3 + 9 * 6 + 3 * 18 + 1 * 3
    epochs = planned_epochs(sweep_with(tmp_path))
    assert (epochs.least, epochs.likely, epochs.most) == (54 * 3, 2 * halving, 54 * 30)


def test_each_bracket_is_given_the_same_number_of_epochs(tmp_path: Path) -> None:
    sweep = sweep_with(tmp_path, "scheduler.brackets=4", "trial.epochs=81")
    parts = halvings(sweep)
    assert [part.rungs for part in parts] == [(3, 9, 27), (9, 27), (27,), ()]
    budgets = [part.share * part.epochs(81) for part in parts]
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert max(budgets) < 1.4 * min(budgets)
    assert stopping_epochs(sweep) == (3, 9, 27)


def test_a_population_trains_every_epoch_of_every_trial(tmp_path: Path) -> None:
    sweep = sweep_with(
        tmp_path, "scheduler={name: pbt, interval_epochs: 10}", "search={optimizer.lr: {float: [0.1, 1.0]}}"
    )
    assert stopping_epochs(sweep) == (10, 20)
    epochs = planned_epochs(sweep)
    assert epochs.least == epochs.likely == epochs.most == 54 * 30


@pytest.mark.parametrize(
    ("interval", "quantile", "children"),
    [(10, 0.25, 2 * 7), (10, 0.5, 2 * 13), (29, 0.01, 1), (30 // 4, 0.25, 4 * 7)],
)
def test_the_disk_of_a_population_holds_the_copies_too(
    tmp_path: Path, interval: int, quantile: float, children: int
) -> None:
    """27 members in each of two cells; of those, a quarter are 7 and at most 13 give way at every comparison."""
    scheduler = f"scheduler={{name: pbt, interval_epochs: {interval}, quantile: {quantile}}}"
    assert replacements(sweep_with(tmp_path, scheduler)) == 2 * children
    assert replacements(sweep_with(tmp_path)) == 0


def test_hyperband_is_planned_by_the_brackets_that_its_trials_fill(tmp_path: Path) -> None:
    """R = 30 from 3 epochs: 9 trials with rungs at 3 and 10, 5 at 10, 3 without, and of 27 trials a second round."""
    sweep = sweep_with(tmp_path, "scheduler={name: hyperband, grace_epochs: 3}")
    assert [(round(27 * part.share), part.rungs) for part in halvings(sweep)] == [
        (9, (3, 10)), (5, (10,)), (3, ()), (9, (3, 10)), (1, (10,)),
    ]  # fmt: skip
    assert stopping_epochs(sweep) == (3, 10)


@pytest.mark.parametrize("name", ["asha_promotion", "median"])
def test_other_schedulers_are_planned_too(tmp_path: Path, name: str) -> None:
    epochs = planned_epochs(sweep_with(tmp_path, f"scheduler={{name: {name}, grace_epochs: 3}}"))
    assert epochs.least == 54 * 3
    assert epochs.least < epochs.likely < epochs.most


def test_without_a_scheduler_the_number_of_epochs_is_known(tmp_path: Path) -> None:
    epochs = planned_epochs(sweep_with(tmp_path, "scheduler={name: none}"))
    assert epochs.least == epochs.likely == epochs.most == 54 * 30


def test_a_plan_names_studies_trials_rungs_time_disk_and_devices(tmp_path: Path) -> None:
    sweep = sweep_with(tmp_path)
    text = plan(sweep, root=tmp_path, folder=tmp_path / "r", machine=LAPTOP)
    for part in (
        "small: 54 trials",
        "2: model.activation (2)",
        "27 in each study by tpe, 2 at once",
        "optimizer.lr",
        "after 3, 9, 27 of 30 epochs (asha)",
        "162 to 1,620, likely about 384",
        "images/s of the baseline alone",
        f"free at {tmp_path}",
        "of 16.0 GB in this machine",
        "2 CPU cores, 16 GB of memory, no GPU",
        "1 CPU core, 1 thread, no GPU",
        "there and whole",
    ):
        assert part in text


def test_a_plan_says_what_share_of_random_proposals_the_constraints_refuse(tmp_path: Path) -> None:
    sweep = sweep_with(tmp_path, "constraints={num_parameters: {max: 1_000_000}}")
    text = plan(sweep, root=tmp_path, folder=tmp_path / "r", machine=LAPTOP)
    assert "num_parameters at most 1,000,000; about 0% of random proposals are refused" in text


def test_a_plan_says_which_stem_was_chosen_and_only_where_one_was(tmp_path: Path) -> None:
    network = ("trial.model={name: resnet18, width: 1}", "grid={}")
    told = plan(sweep_with(tmp_path, *network), root=tmp_path, folder=tmp_path / "results", machine=LAPTOP)
    assert "stem        3x3 convolution with stride 1; chosen for 8 px, as `model.stem` is not given" in told
    given = sweep_with(tmp_path, *network, "trial.model.stem={kernel: 5, padding: 2}")
    assert "as `model.stem` is not given" not in plan(given, root=tmp_path, folder=tmp_path / "results", machine=LAPTOP)


def test_a_plan_names_several_objectives(tmp_path: Path) -> None:
    sweep = sweep_with(tmp_path, "objective=[{metric: validation_accuracy}, {metric: num_parameters}]")
    told = plan(sweep, root=tmp_path, folder=tmp_path, machine=LAPTOP)
    assert "objectives  validation_accuracy, num_parameters: the Pareto front" in told


def test_a_plan_says_what_does_not_fit_and_what_is_not_there(tmp_path: Path) -> None:
    sweep = sweep_with(tmp_path, "trial.dataset={name: cifar10}")
    tiny = Machine(cores=2, memory_bytes=10**8, gpus=())
    text = plan(sweep, root=tmp_path, folder=tmp_path / "r", machine=tiny)
    assert "of 100 MB in this machine; DOES NOT FIT" in text
    assert "NOT READY: " in text
    assert "cifar-10-batches-py" in text


def test_a_network_that_no_memory_here_holds_is_not_tried(tmp_path: Path) -> None:
    sweep = sweep_with(tmp_path, "trial.model.width=100_000")
    text = plan(sweep, root=tmp_path, folder=tmp_path / "r", machine=LAPTOP)
    assert "of 16.0 GB in this machine; DOES NOT FIT: weights and gradients alone; no speed" in text


def test_the_plan_names_broken_pictures_of_both_splits_and_what_was_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CIFAR_TUNE_CACHE", raising=False)
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(20):
            noise = np.random.default_rng([number, len(name), ord(name[0])]).integers(0, 255, (9, 9, 3))
            Image.fromarray(noise.astype(np.uint8)).save(tmp_path / "pets" / name / f"{number}.png")
    (tmp_path / "pets" / "cat" / "a.heic").write_bytes(b"x")
    sweep = sweep_with(tmp_path, "trial.dataset={name: folder, path: pets, resolution: 8}", "grid={}")
    told = plan(sweep, root=tmp_path, folder=tmp_path / "results", machine=LAPTOP)
    assert "there and whole" in told
    assert "1 .heic" in told
    broken = [str(tmp_path / "pets" / name / f"{number}.png") for name in ("cat", "dog") for number in range(8)]
    for path in broken:
        Path(path).write_bytes(f"rotten {path}".encode())
    told = plan(sweep, root=tmp_path, folder=tmp_path / "results", machine=LAPTOP)
    assert "NOT READY" in told
    assert all(path in told for path in broken)
