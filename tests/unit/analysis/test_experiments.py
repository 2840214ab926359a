"""What repeated configurations, schedules and stems are worth, told by their tables and figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cifar_tune.analysis.configurations import configurations
from cifar_tune.analysis.feature_maps import map_sizes, stems
from cifar_tune.analysis.lr_figure import lr_figure, schedule_trials
from cifar_tune.analysis.reports.experiment_sections import grid_section
from cifar_tune.analysis.reports.sections import make_report
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.plotting.theme import LIGHT
from cifar_tune.results import Frames, ResultsStore, load
from cifar_tune.training.datasets import AnyDataset
from cifar_tune.training.datasets.cifar import Cifar10
from cifar_tune.training.models.resnet import ResNet18
from cifar_tune.training.models.stem import Stem

MakeSweep = Callable[[str, Callable[[ResultsStore], None]], Path]
STEMS = [
    Stem(),
    Stem(padding=0),
    Stem(stride=2),
    Stem(stride=3, padding=2),
    Stem(kernel=5, stride=4),
    Stem(kernel=7, stride=2, padding=3, maxpool=True),
]
METRIC = "validation_accuracy"


def fill_schedules(store: ResultsStore) -> None:
    """Two schedules at two rates with three seeds; one cycle is better, and 0.1 is."""
    for name in ("onecycle", "constant"):
        for lr in (0.1, 1.0):
            for seed in range(3):
                trial_id = f"{name}-{lr:g}-{seed}"
                configuration = {"schedule.name": name, "optimizer.lr": lr, "seed": seed, "model.name": "resnet18"}
                configuration |= {f"model.stem.{key}": value for key, value in Stem().model_dump().items()}
                configuration |= {"dataset.resolution": 32, "model.stem.stride": 1 if lr == 0.1 else 2}
                store.update_trial(trial_id, status="completed", configuration=configuration, flops_per_image=1000)
                reached = 0.5 + 0.1 * seed + (0.05 if name == "onecycle" else 0) - (0.2 if lr == 1 else 0)
                for epoch in (1, 2, 3):
                    values = {METRIC: reached * epoch / 3, "train_accuracy": reached * epoch / 3 + 0.1}
                    store.add_epoch(trial_id, epoch, lr=lr / epoch, **values)


@pytest.fixture
def schedules(make_sweep: MakeSweep) -> Path:
    return make_sweep("schedules", fill_schedules)


@pytest.fixture
def frames(schedules: Path) -> Frames:
    return load(schedules)


def test_a_configuration_has_the_mean_of_its_seeds_its_interval_and_its_gap(frames: Frames) -> None:
    """Of 0.55, 0.65, 0.75 the standard deviation is 0.1, and Student's t for two degrees of freedom is 4.303."""
    table = configurations(frames.trials)
    assert table["n"].tolist() == [3, 3, 3, 3]
    best = table.iloc[0]
    reach = 4.3027 * 10 / math.sqrt(3)
    assert best[METRIC] == pytest.approx(0.65)
    assert best["interval"] == f"{65 - reach:.1f} to {65 + reach:.1f}"
    assert best["generalization_gap"] == pytest.approx(0.1)
    assert best["trial.schedule.name"] == "onecycle"
    assert table[METRIC].is_monotonic_decreasing


def test_a_single_seed_has_no_interval(frames: Frames) -> None:
    table = configurations(frames.trials.head(1))
    assert table[["n", "interval"]].to_numpy().tolist() == [[1, ""]]
    assert configurations(frames.trials.head(0)).empty


def test_each_schedule_is_shown_by_the_first_seed_of_its_best_configuration(frames: Frames) -> None:
    assert schedule_trials(frames.trials, METRIC) == {
        "schedule=onecycle": "onecycle-0.1-0",
        "schedule=constant": "constant-0.1-0",
    }


def test_under_one_schedule_each_rate_of_the_grid_is_shown(frames: Frames) -> None:
    one = frames.trials[frames.trials["trial.schedule.name"] == "constant"]
    assert schedule_trials(one, METRIC, SweepFile(grid=("optimizer.lr",))) == {
        "lr=0.1": "constant-0.1-0",
        "lr=1": "constant-1-0",
    }
    assert schedule_trials(one, METRIC, SweepFile(search=("optimizer.lr",))) == {}


def test_the_figure_puts_the_rate_beside_the_metric(frames: Frames) -> None:
    rates, reached = lr_figure(frames.trials, frames.epochs).axes
    assert [list(line.get_ydata()) for line in rates.lines] == [pytest.approx([0.1, 0.05, 0.1 / 3])] * 2
    assert [line.get_ydata()[-1] for line in reached.lines] == pytest.approx([0.55, 0.5])
    assert rates.get_yscale() == "log"


@pytest.mark.parametrize("stem", STEMS, ids=str)
def test_map_sizes_are_those_of_the_network(stem: Stem) -> None:
    import torch

    seen: list[int] = []
    dataset: AnyDataset = Cifar10()
    with torch.device("meta"):
        network = ResNet18(width=4, stem=stem).build(dataset.info(Path())).eval()
        for number in (1, 2, 3, 4):
            network.get_submodule(f"layer{number}").register_forward_hook(
                lambda *given: seen.append(given[2].shape[-1])
            )
        network(torch.empty(1, 3, 32, 32))
    assert map_sizes(32, stem.kernel, stem.stride, stem.padding, stem.maxpool) == tuple(seen)


def test_stems_are_told_with_their_maps_and_the_mean_accuracy(frames: Frames) -> None:
    table = stems(frames.trials)
    assert table["stem"].tolist() == ["3x3, stride 1, padding 1", "3x3, stride 2, padding 1"]
    assert table["feature_maps"].tolist() == ["32, 16, 8, 4", "16, 8, 4, 2"]
    assert table["n"].tolist() == [6, 6]
    assert table[METRIC].tolist() == pytest.approx([0.625, 0.425])
    assert stems(pd.DataFrame({"status": ["completed"]})).empty


def test_a_grid_of_three_axes_is_drawn_over_the_one_of_fewest_values(frames: Frames) -> None:
    clips = ["clip.norm", "clip.value", "neither"]
    trials = frames.trials.assign(
        **{f"trial.{name}": [0.1 if clips[place % 3] == name else None for place in range(12)] for name in clips[:2]}
    )
    paths = ("schedule", "clip", "model.stem")
    section = grid_section(trials, METRIC, SweepFile(grid=paths))
    assert section is not None
    assert section.draw is not None
    assert section.alternative == "validation accuracy (%) by clip and schedule and model.stem"
    titles = [axes.get_title("left") for axes in section.draw(LIGHT).axes]
    assert titles[:2] == ["model.stem: stride=1", "model.stem: stride=2"]
    labels = [label.get_text() for label in section.draw(LIGHT).axes[0].get_xticklabels()]
    assert labels == ["norm=0.1", "not set", "value=0.1"]
    assert grid_section(trials, METRIC, SweepFile(grid=paths[:2])) is None


def test_a_report_has_what_the_sweep_gives_rise_to(schedules: Path, frames: Frames, make_sweep: MakeSweep) -> None:
    titles = {section.title for section in make_report(schedules, *frames).sections}
    assert {"Configurations by seeds, and their generalization gap", "Feature maps", "Learning rate"} <= titles

    def fill(store: ResultsStore) -> None:
        store.update_trial("t1", status="completed", configuration={"optimizer.lr": 0.1, "seed": 0})
        store.add_epoch("t1", 1, validation_accuracy=0.5)

    plain = make_sweep("plain", fill)
    assert (
        not titles
        & {section.title for section in make_report(plain, *load(plain)).sections}
        & {
            "Configurations by seeds, and their generalization gap",
            "Feature maps",
            "Learning rate",
        }
    )
