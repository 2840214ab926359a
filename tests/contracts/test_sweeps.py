"""The experiments in `sweeps/`: each loads and plans, says what it asks, costs and expects, and every command works."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from cifar_tune.analysis.reports.sections import make_report
from cifar_tune.cli.sweep import DONE, main
from cifar_tune.config.load import load_sweep
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.execution.checks import check_trials
from cifar_tune.execution.expected_epochs import planned_epochs, planned_trials
from cifar_tune.results import load
from cifar_tune.training.datasets.food101 import Food101

SWEEPS = Path(__file__).parents[2] / "sweeps"
FILES = sorted(SWEEPS.glob("*.yaml"))
MADE_SMALL = {"quickstart", "cifar10_cpu"}
"""Need no small version."""
EXPERIMENTS = [file for file in FILES if file.stem not in MADE_SMALL]
KEYS = ["Question", "Cost", "Expect"]
TRAIN_IMAGES = {"cifar10": 50_000, "cifar100": 50_000, "food101": 75_750}
MOST_OF_THEM = 6_060
"""Images that a small version may take: 60 of each dish."""

SHORT = ("trial.epochs=1", "trial.dataset.train_size=1212", "trials_per_study=1", "scheduler={name: none}")
TINY = {
    "food101_accuracy_parameters": (*SHORT, "trials_per_study=4"),
    "schedules_compared": (*SHORT, "trial.epochs=2"),
    "ternary_against_float": SHORT,
    "tgn_sam_ema": (*SHORT, "trial.schedule.warmup_epochs=0"),
}
"""What makes a small version one short trial a study, of which the cells differ in all that is compared."""

BEFORE_LANDING = ("ternary_against_float",)
"""The shortest of them; the others are for `make nightly`."""

every_file = pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
every_experiment = pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda path: path.stem)


def header(file: Path) -> str:
    return file.read_text(encoding="utf-8").split("\n\n")[0] + "\n"


def overrides_in(text: str) -> list[str]:
    words = shlex.split(" ".join(line.removeprefix("#").strip() for line in text.splitlines()))
    return [value for option, value in pairwise(words) if option == "--set"]


def small_version(file: Path) -> list[str]:
    """The `KEY=VALUE` of the small version, as the header writes them."""
    found = re.search(r"^# Small version, 2 CPU cores.*:\n((?:#   .*\n)+)", header(file), re.MULTILINE)
    assert found is not None, f"{file.name} names no small version"
    return overrides_in(found[1])


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root that knows the classes of Food-101 and has no image of any set."""
    root = tmp_path_factory.mktemp("data")
    folder = root / Food101.folder
    (folder / "images").mkdir(parents=True)
    (folder / "meta").mkdir()
    images = {f"dish_{dish:03}": [f"dish_{dish:03}/{image}" for image in range(60)] for dish in range(101)}
    (folder / "meta" / "train.json").write_text(json.dumps(images))
    return root


@cache
def read(file: Path, *overrides: str) -> SweepConfig:
    return load_sweep(file, overrides)


@every_file
def test_an_experiment_says_what_it_asks_what_it_costs_and_what_to_expect(file: Path) -> None:
    text = header(file)
    assert re.findall(r"^# (Question|Cost|Expect)\b", text, re.MULTILINE) == KEYS
    assert f"python -m cifar_tune.sweep sweeps/{file.name}" in text


@every_file
def test_an_experiment_can_be_run_as_it_stands(file: Path, listed: Path) -> None:
    sweep = read(file)
    check_trials(sweep, listed)
    assert sweep.name == file.stem


@every_experiment
def test_the_cost_in_the_header_is_that_of_the_plan(file: Path) -> None:
    sweep = read(file)
    found = re.search(
        r"^# Cost: .*?([\d,]+) trials, (?:likely )?([\d,]+) passes over ([\d,]+) images", header(file), re.M
    )
    assert found is not None
    trials, passes, images = (int(number.replace(",", "")) for number in found.groups())
    assert (trials, passes) == (planned_trials(sweep), planned_epochs(sweep).likely)
    assert images == round(TRAIN_IMAGES[sweep.trial.dataset.name] * (1 - sweep.trial.dataset.validation_fraction))


@every_experiment
def test_the_small_version_asks_the_same_of_less(file: Path, listed: Path) -> None:
    whole, small = read(file), read(file, *small_version(file))
    check_trials(small, listed)
    assert {*small.grid} <= {*whole.grid}
    assert small.objectives == whole.objectives
    assert planned_epochs(small).most < planned_epochs(whole).most
    assert small.trial.dataset.train_size is not None
    assert small.trial.dataset.train_size <= MOST_OF_THEM


@every_file
def test_the_variants_in_the_header_can_be_run(file: Path, listed: Path) -> None:
    for variant in re.findall(r"^#   \.\.\. (.*)$", header(file), re.MULTILINE):
        varied = read(file, *overrides_in(re.split(r"\s{3,}", variant)[0]))
        check_trials(varied, listed)
        assert varied != read(file)


@pytest.mark.realdata
@pytest.mark.slow
@every_file
def test_an_experiment_plans(file: Path, real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(file), "--plan", "--data", str(real_data)]) == DONE
    told = capsys.readouterr().out
    assert f"{file.stem}: {planned_trials(read(file))} trials" in told
    assert "there and whole" in told


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in BEFORE_LANDING else pytest.mark.nightly) for name in TINY],
)
def test_a_very_small_version_runs_on_real_images(name: str, real_data: Path, tmp_path: Path) -> None:
    file = SWEEPS / f"{name}.yaml"
    overrides = [word for value in (*small_version(file), *TINY[name]) for word in ("--set", value)]
    command = [sys.executable, "-m", "cifar_tune.sweep", str(file), *overrides, "--data", str(real_data)]
    subprocess.run([*command, "--results", "results"], cwd=tmp_path, check=True, capture_output=True)
    frames = load(tmp_path / "results")
    assert set(frames.trials["status"]) <= {"completed", "stopped"}
    assert len(frames.trials) == planned_trials(load_sweep(file, [*small_version(file), *TINY[name]]))
    assert make_report(tmp_path / "results", *frames).sections


def test_the_page_lists_every_experiment_once() -> None:
    text = (SWEEPS.parent / "docs" / "experiments.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\|[^|]*\| `(\w+)` \|", text, re.MULTILINE)) == [file.stem for file in EXPERIMENTS]
