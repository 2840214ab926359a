"""Which parameters a sweep varied, in which order; how names are found and written."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cifar_tune.analysis.naming import parameter, short_number, title, written
from cifar_tune.analysis.parameters import default_axes, varied_parameters
from cifar_tune.analysis.sweep_file import SweepFile, read_sweep_file
from cifar_tune.errors import AnalysisError
from cifar_tune.results import Frames


def test_the_sweep_file_tells_the_question_the_axes_and_the_objective(sweep: Path) -> None:
    assert read_sweep_file(sweep) == SweepFile(
        header=("Question: which activation and which learning rate?", "", "Cost: none."),
        grid=("model.activation",),
        search=("optimizer.lr",),
        metric="validation_accuracy",
    )


@pytest.mark.parametrize("text", [None, "", "just words", "a: [", "- list\n", "grid:\nsearch:\nobjective: []\n"])
def test_a_folder_without_a_usable_sweep_file_tells_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "sweep.yaml").write_text(text)
    assert read_sweep_file(tmp_path) == SweepFile()


def test_the_first_of_several_objectives_is_the_metric(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("objective: [{metric: validation_loss}, {metric: num_parameters}]\n")
    assert read_sweep_file(tmp_path).metric == "validation_loss"


def test_grid_axes_come_first_and_constants_not_at_all(frames: Frames, sweep: Path) -> None:
    given = read_sweep_file(sweep)
    assert varied_parameters(frames.trials, given) == ["trial.model.activation", "trial.optimizer.lr"]
    assert default_axes(frames.trials, given) == ("trial.optimizer.lr", "trial.model.activation")
    other = SweepFile(grid=("optimizer.lr",), search=("model.activation",))
    assert default_axes(frames.trials, other) == ("trial.model.activation", "trial.optimizer.lr")


def test_without_a_sweep_file_all_that_differs_counts(frames: Frames) -> None:
    assert varied_parameters(frames.trials) == ["trial.model.activation", "trial.optimizer.lr"]


def test_one_parameter_gives_one_axis_and_none_gives_none(frames: Frames) -> None:
    relu = frames.trials[frames.trials["trial.model.activation"] == "relu"]
    assert default_axes(relu) == ("trial.optimizer.lr", None)
    assert default_axes(relu.head(1)) == (None, None)
    assert default_axes(frames.trials.head(0)) == (None, None)


def test_fields_that_follow_from_a_components_name_are_left_out() -> None:
    trials = pd.DataFrame(
        {
            "trial.model.name": ["resnet18", "resnet18", "mininet", "mininet"],
            "trial.model.width": [8, 8, 16, 16],
            "trial.model.squeeze_factor": [None, None, 8, 8],
            "trial.model.stem.kernel": [3, 3, None, None],
            "trial.model.dropout": [None, None, 0.1, 0.2],
            "trial.ema.decay": [None, 0.9, None, 0.9],
            "trial.seed": [1, 2, 3, 4],
        }
    )
    sweep = SweepFile(grid=("model",), search=("ema",))
    assert varied_parameters(trials, sweep) == ["trial.model.name", "trial.model.dropout", "trial.ema.decay"]


def test_two_options_of_the_same_name_are_told_apart_by_their_fields() -> None:
    trials = pd.DataFrame({"trial.model.name": ["mininet"] * 4, "trial.model.width": [8, 16, 8, 16]})
    assert varied_parameters(trials, SweepFile(grid=("model",))) == ["trial.model.width"]


def test_an_item_of_a_list_is_found_in_the_column_of_the_list() -> None:
    trials = pd.DataFrame(
        {"trial.optimizer.lr": [1, 2], "trial.augmentations": ["flip, crop", "flip, crop(padding=2)"]}
    )
    sweep = SweepFile(grid=("augmentations.crop.padding",), search=("optimizer.lr",))
    assert varied_parameters(trials, sweep) == ["trial.augmentations", "trial.optimizer.lr"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (0.00012345, "1.23e-4"),
        (0.0032, "0.0032"),
        (1.0, "1"),
        (3e-7, "3e-7"),
        (123456, "1.23e5"),
        (64, "64"),
        (True, "True"),
        ("a", "a"),
    ],
)
def test_numbers_are_written_short(value: object, text: str) -> None:
    assert short_number(value) == text


def test_fractions_are_written_in_percent() -> None:
    assert written("validation_accuracy", 0.9724) == "97.2"
    assert written("generalization_gap", -0.012) == "-1.2"
    assert written("train_seconds", 12.345) == "12.3"
    assert written("validation_loss", float("nan")) == "–"
    assert title("best_validation_accuracy") == "best validation accuracy (%)"
    assert title("peak_memory_bytes") == "peak memory (GB)"
    assert title("train_seconds") == "train seconds"
    assert written("peak_memory_bytes", 1.25e9) == "1.25"
    assert written("train_seconds", 7364.2) == "7,364"
    assert title("something_else") == "something else"


@pytest.mark.parametrize(
    ("name", "meant"), [("learning_rate", "optimizer.lr"), ("wd", "optimizer.weight_decay"), ("epoch", "epochs")]
)
def test_a_parameter_under_another_name_is_suggested(name: str, meant: str) -> None:
    columns = ["trial.epochs", "trial.optimizer.name", "trial.optimizer.lr", "trial.optimizer.weight_decay"]
    with pytest.raises(AnalysisError, match=f"did you mean `{meant}`"):
        parameter(pd.DataFrame(columns=columns), name)
