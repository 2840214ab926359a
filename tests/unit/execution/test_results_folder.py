"""A sweep's results folder: made, continued, moved aside."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import DeviceError, ResultsError
from cifar_tune.execution.results_folder import Mode, as_begun, check_results, open_results, results_of
from cifar_tune.results.store import ResultsStore

SWEEP = """
name: small
trial:
  dataset: {name: digits}
  model: {name: mininet}
  optimizer: {name: sgd, lr: 0.1}
  epochs: 3
search:
  optimizer.lr: {float: [0.01, 1.0], log: true}
trials_per_study: 4
"""


@pytest.fixture
def sweep(tmp_path: Path) -> SweepConfig:
    path = tmp_path / "small.yaml"
    path.write_text(SWEEP)
    return load_sweep(path)


def changed(tmp_path: Path, *overrides: str) -> SweepConfig:
    return load_sweep(tmp_path / "small.yaml", overrides)


def make(folder: Path, sweep: SweepConfig, mode: Mode = "new") -> None:
    store, _ = open_results(folder, as_begun(folder, sweep, mode), mode)
    store.close()


def test_a_new_folder_holds_the_sweep_as_it_runs(tmp_path: Path, sweep: SweepConfig) -> None:
    make(tmp_path / "results", sweep)
    assert load_sweep(tmp_path / "results" / "sweep.yaml") == sweep


def test_a_folder_that_is_there_is_never_written_to_unasked(tmp_path: Path, sweep: SweepConfig) -> None:
    make(tmp_path / "results", sweep)
    with pytest.raises(ResultsError) as caught:
        check_results(tmp_path / "results", "new")
    for word in ("is there already", "--resume", "--extend", "--fresh", "--results"):
        assert word in str(caught.value)


def test_a_folder_with_other_files_is_no_place_for_results(tmp_path: Path, sweep: SweepConfig) -> None:
    with pytest.raises(ResultsError, match="is there already"):
        make(tmp_path, sweep)
    with pytest.raises(ResultsError, match="is a file; the results need a folder"):
        make(tmp_path / "small.yaml", sweep)


def test_an_empty_folder_is_as_good_as_none(tmp_path: Path, sweep: SweepConfig) -> None:
    (tmp_path / "results").mkdir()
    make(tmp_path / "results", sweep)


def test_fresh_moves_the_old_folder_aside_and_loses_nothing(tmp_path: Path, sweep: SweepConfig) -> None:
    folder = tmp_path / "results"
    make(folder, sweep)
    before = {path.name for path in folder.iterdir() if path.name != ".lock"}
    store, aside = open_results(folder, sweep, "fresh")
    store.close()
    assert aside is not None
    assert {path.name for path in aside.iterdir() if path.name != ".lock"} == before
    assert store.trial_ids() == []


def refuse(folder: Path, sweep: SweepConfig, mode: Mode, *, proposed: bool = False) -> list[str]:
    """Returns what was told."""
    told: list[str] = []
    with suppress(DeviceError), results_of(folder, sweep, mode, told.append) as store:
        if proposed:
            store.update_trial("t0001", status="running")
        raise DeviceError("no node has such a card")
    return told


def test_a_sweep_that_is_refused_before_its_first_trial_leaves_nothing(tmp_path: Path, sweep: SweepConfig) -> None:
    folder = tmp_path / "results"
    assert refuse(folder, sweep, "new") == []
    assert not folder.exists()
    folder.mkdir()
    assert refuse(folder, sweep, "new") == []
    assert [*folder.iterdir()] == []
    refuse(folder, sweep, "new", proposed=True)
    with ResultsStore.open(folder) as store:
        assert store.trial_ids() == ["t0001"]


@pytest.mark.parametrize("mode", ["fresh", "resume"])
def test_a_sweep_that_was_there_is_there_again_if_its_successor_is_refused(
    tmp_path: Path, sweep: SweepConfig, mode: Mode
) -> None:
    folder = tmp_path / "results"
    make(folder, sweep)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    told = refuse(folder, sweep, mode)
    if mode == "fresh":
        moved, back = told
        assert moved.startswith(f"moved the sweep that was there to {folder}.")
        assert back == f"moved it back to {folder}: no trial of the new sweep was begun"
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after.keys() == before.keys()
    assert after["sweep.yaml"] == before["sweep.yaml"]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["results"]
    make(folder, sweep, "resume")


def test_fresh_on_a_folder_that_is_not_there_just_starts(tmp_path: Path, sweep: SweepConfig) -> None:
    store, aside = open_results(tmp_path / "results", sweep, "fresh")
    store.close()
    assert aside is None


@pytest.mark.parametrize("mode", ["resume", "extend"])
def test_nothing_cannot_be_continued(tmp_path: Path, mode: Mode) -> None:
    with pytest.raises(ResultsError, match=f"there is no sweep to {mode}"):
        check_results(tmp_path / "results", mode)


def test_the_same_sweep_is_continued_elsewhere_too(tmp_path: Path, sweep: SweepConfig) -> None:
    make(tmp_path / "results", sweep)
    make(tmp_path / "results", sweep, "resume")
    make(tmp_path / "results", changed(tmp_path, "resources.cpus=2"), "resume")
    make(tmp_path / "results", changed(tmp_path, "stop.hours=2"), "resume")


def test_another_sweep_is_not_continued_and_every_difference_is_shown(tmp_path: Path, sweep: SweepConfig) -> None:
    make(tmp_path / "results", sweep)
    other = changed(tmp_path, "trial.epochs=5", "search.optimizer.lr={float: [0.01, 0.5], log: true}")
    with pytest.raises(ResultsError) as caught:
        make(tmp_path / "results", other, "resume")
    assert "trial.epochs: was 3, is 5" in str(caught.value)
    assert "search.optimizer.lr" in str(caught.value)
    make(tmp_path / "results", sweep, "resume")


def test_more_trials_are_added_by_extend_only(tmp_path: Path, sweep: SweepConfig) -> None:
    make(tmp_path / "results", sweep)
    more = changed(tmp_path, "trials_per_study=6")
    with pytest.raises(ResultsError, match="--extend adds trials"):
        make(tmp_path / "results", more, "resume")
    make(tmp_path / "results", more, "extend")
    assert load_sweep(tmp_path / "results" / "sweep.yaml").trials_per_study == 6


def test_extend_wants_something_to_add(tmp_path: Path, sweep: SweepConfig) -> None:
    make(tmp_path / "results", sweep)
    with pytest.raises(ResultsError, match="nothing to add: trials_per_study is 4 as before"):
        make(tmp_path / "results", sweep, "extend")
    with pytest.raises(ResultsError, match="trials_per_study: was 4, is 2"):
        make(tmp_path / "results", changed(tmp_path, "trials_per_study=2"), "extend")


def test_two_drivers_never_write_one_folder(tmp_path: Path, sweep: SweepConfig) -> None:
    store, _ = open_results(tmp_path / "results", sweep, "new")
    with pytest.raises(ResultsError, match="a sweep is writing here"):
        open_results(tmp_path / "results", sweep, "resume")
    with pytest.raises(ResultsError, match="a sweep is writing here"):
        open_results(tmp_path / "results", sweep, "fresh")
    store.close()


PHOTOS = SWEEP.replace("{name: digits}", "{name: folder, path: photos}")


@pytest.mark.parametrize("mode", ["resume", "extend"])
def test_a_sweep_of_version_0_1_keeps_the_draw_of_its_splits(tmp_path: Path, mode: Mode) -> None:
    file, folder = tmp_path / "small.yaml", tmp_path / "results"
    file.write_text(PHOTOS)
    make(folder, load_sweep(file))
    recorded = folder / "sweep.yaml"
    recorded.write_text("".join(line for line in recorded.read_text().splitlines(True) if "draw:" not in line))
    assert load_sweep(recorded).trial.dataset.draw == "position"  # type: ignore[union-attr]
    more = ["trials_per_study=8"] if mode == "extend" else []
    make(folder, load_sweep(file, more), mode)
    assert load_sweep(recorded).trial.dataset.draw == "position"  # type: ignore[union-attr]
    with pytest.raises(ResultsError, match=r"trial\.dataset\.draw: was 'position', is 'content'"):
        make(folder, load_sweep(file, [*more, "trial.dataset.draw=content"]), "resume")


def test_a_new_sweep_of_pictures_draws_by_content_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(PHOTOS)
    make(tmp_path / "results", load_sweep(tmp_path / "small.yaml"))
    assert "draw: content" in (tmp_path / "results" / "sweep.yaml").read_text()
    make(tmp_path / "results", load_sweep(tmp_path / "small.yaml"), "resume")
