"""The disk that a plan tells of is the disk that is written."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.execution.disk import disk_need
from cifar_tune.execution.remaining import remaining
from cifar_tune.execution.retention import Retention, kept_of
from cifar_tune.results.store import ResultsStore
from cifar_tune.training.epochs import open_trial

MARGIN = 0.03
"""Of the counted sizes: torch's and safetensors' own bytes, up to 3 % of a net of 60 kB and less of larger ones."""

SWEEP = """
name: small
trial:
  dataset: {name: digits}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.1}
  batch_size: 128
  epochs: 3
grid:
  model.width: [4, 8]
search:
  optimizer.lr: {float: [0.01, 1.0], log: true}
scheduler: {name: asha_promotion, grace_epochs: 2}
trials_per_study: 1
"""


def sweep_with(folder: Path, *overrides: str) -> SweepConfig:
    path = folder / "small.yaml"
    path.write_text(SWEEP)
    return load_sweep(path, overrides)


def written(folder: Path) -> int:
    """Bytes on disk; a file with two names counts once."""
    return sum({one.stat().st_ino: one.stat().st_size for one in folder.rglob("*") if one.is_file()}.values())


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("checkpoints.keep=best",),
        ("checkpoints.keep=all",),
        ("trial.schedule={name: constant}", "trial.optimizer={name: adamw, lr: 0.001}"),
        ("trial.ema={decay: 0.9}", "trial.schedule={name: constant}"),
    ],
)
def test_the_planned_disk_is_what_is_written(overrides: tuple[str, ...], tmp_path: Path) -> None:
    """Two completed trials, of unlike size. Both ends of the range are reached: by whether best and last are one."""
    sweep = sweep_with(tmp_path, *overrides)
    folder = tmp_path / "results"
    peak = 0
    same = []
    with ResultsStore.create(folder, sweep_name="small") as store:
        for number, cell in enumerate(sweep.cells(), start=1):
            trial_id = f"t000{number}"
            opened = open_trial(
                sweep.trial_with(cell), root=tmp_path, device="cpu", checkpoints=folder / "checkpoints" / trial_id
            )
            for metrics in opened.epochs():
                peak = max(peak, written(folder / "checkpoints"))
                store.update_trial(trial_id, status="running")
                store.add_epoch(trial_id, metrics.epoch)
            scores = [one.validation_accuracy or 0.0 for one in opened.state.history]
            same.append(scores.index(max(scores)) == len(scores) - 1)
            store.update_trial(trial_id, status="completed")

        rule = partial(kept_of, sweep=sweep, over=True)
        with Retention(store, rule) as retention:
            retention.tidy(rule)
    need = disk_need(sweep, tmp_path, completed=2, stopped=0, at_once=1)
    found = written(folder / "checkpoints")
    assert (1 - MARGIN) * need.least <= found <= (1 + MARGIN) * need.most
    if all(same) or not any(same) or need.least == need.most:
        expected = need.least if all(same) else need.most
        assert found == pytest.approx(expected, rel=MARGIN)
    assert peak <= (1 + MARGIN) * need.peak


def test_a_paused_trial_counts_with_what_it_needs_to_go_on(tmp_path: Path) -> None:
    sweep = sweep_with(tmp_path)
    stopped = disk_need(sweep, tmp_path, completed=0, stopped=10, at_once=2)
    completed = disk_need(sweep, tmp_path, completed=10, stopped=0, at_once=2)
    only_best = disk_need(sweep_with(tmp_path, "checkpoints.keep=best"), tmp_path, completed=0, stopped=10, at_once=2)
    assert stopped.least > completed.least >= only_best.least
    assert only_best.peak > only_best.most, "while the sweep runs, it may go on"


def store_with(folder: Path, rows: dict[str, tuple[str, int]], epochs: int) -> None:
    with ResultsStore.create(folder, sweep_name="small") as store:
        for trial_id, (status, trained) in rows.items():
            store.update_trial(trial_id, configuration={"epochs": epochs}, status="running")
            for epoch in range(1, trained + 1):
                store.add_epoch(trial_id, epoch)
            store.update_trial(trial_id, status=status)


def test_of_an_extended_sweep_only_what_is_new_counts(tmp_path: Path) -> None:
    rows = {"t0001": ("completed", 3), "t0002": ("stopped", 2), "t0003": ("diverged", 1)}
    store_with(tmp_path / "results", rows, 3)
    more = sweep_with(tmp_path, "trials_per_study=5", "trial.schedule={name: constant}")
    left = remaining(more, tmp_path / "results", restart=False)
    assert (left.new, left.there, left.going_on) == (2 * 5 - 3, 3, ())
    longer = sweep_with(tmp_path, "trials_per_study=5", "trial.epochs=9", "trial.schedule={name: constant}")
    left = remaining(longer, tmp_path / "results", restart=False)
    assert (left.new, left.going_on, left.from_the_first) == (7, (9,), 1), "it has no checkpoint to go on from"
    left = remaining(longer, tmp_path / "results", restart=True)
    assert (left.new, left.there, left.going_on) == (8, 3, ()), "one is trained anew"


def test_what_was_interrupted_is_left_to_train(tmp_path: Path) -> None:
    store_with(tmp_path / "results", {"t0001": ("completed", 3), "t0002": ("interrupted", 0)}, 3)
    left = remaining(sweep_with(tmp_path), tmp_path / "results", restart=False)
    assert (left.new, left.there, left.going_on, left.from_the_first) == (0, 2, (3,), 0)


def test_timing_ends_at_its_bound(tmp_path: Path) -> None:
    from cifar_tune.execution.placement.probe import TooSlow, probe

    trial = sweep_with(tmp_path, "grid={}").trial
    with pytest.raises(TooSlow, match="a step of 16 images takes longer than 0 s here"):
        probe(trial, trial.dataset.info(tmp_path), device="cpu", threads=1, bound_seconds=0.0)
    found = probe(trial, trial.dataset.info(tmp_path), device="cpu", threads=1)
    assert found.images_per_second > 0


@pytest.mark.parametrize(
    ("speed", "told"),
    [(12345.6, "12,346 images/s"), (10.0, "10 images/s"), (9.96, "10 images/s"), (0.123, "0.12 images/s")],
)
def test_a_slow_speed_is_not_told_as_zero(speed: float, told: str) -> None:
    from cifar_tune.training.metrics import images_text

    assert images_text(speed) == told
