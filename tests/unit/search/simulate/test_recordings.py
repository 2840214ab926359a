"""Recorded curves, read from tables of both forms."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cifar_tune.config.domains import ChoiceDomain
from cifar_tune.config.ranges import FloatDomain, IntDomain
from cifar_tune.errors import AnalysisError
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.simulate.recording_tables import read_recording
from cifar_tune.search.simulate.recordings import Recording, Run


def rows(run: int, values: list[float], *, status: str = "ok", most: int | None = None, **hp: object) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "run_id": run,
            **{f"hp_{name}": value for name, value in hp.items()},
            "max_epochs": most or len(values),
            "status": status,
            "epoch": range(1, len(values) + 1),
            "val_acc": values,
            "seconds": 2.0,
        }
    )


def table(tmp_path: Path, *runs: pd.DataFrame) -> Path:
    path = tmp_path / "curves.parquet"
    pd.concat(runs).to_parquet(path)
    return path


def test_a_foreign_table_gives_runs_with_costs_and_final_values(tmp_path: Path) -> None:
    path = table(tmp_path, rows(0, [0.1, 0.2], lr=0.1), rows(1, [0.1, 0.4], lr=0.2))
    recording = read_recording(path)
    assert recording.name == "curves"
    assert [run.final for run in recording.runs] == [0.2, 0.4]
    assert recording.epochs == 2
    assert recording.full_cost == 4.0


def test_a_diverged_run_ends_at_its_first_broken_value_and_has_no_final_one(tmp_path: Path) -> None:
    broken = rows(2, [0.1, math.nan, math.nan], status="diverged", lr=0.3)
    short = rows(3, [0.1], status="diverged", most=3, lr=0.4)
    path = table(tmp_path, rows(0, [0.1, 0.2, 0.3], lr=0.1), rows(1, [0.1, 0.4, 0.5], lr=0.2), broken, short)
    found = read_recording(path).runs[2:]
    assert [(run.values, run.epochs, run.diverged) for run in found] == [((0.1,), 3, True)] * 2
    assert [run.seconds for run in found] == [(2.0, 2.0)] * 2
    assert all(math.isnan(run.final) for run in found)


def test_the_epoch_before_training_is_left_out(tmp_path: Path) -> None:
    untrained = rows(0, [0.0, 0.5, 0.6], lr=0.1, most=2).assign(epoch=[0, 1, 2])
    assert read_recording(table(tmp_path, untrained, rows(1, [0.1, 0.4], lr=0.2))).runs[0].values == (0.5, 0.6)


def test_unknown_seconds_are_those_of_the_run_else_of_the_table_else_one(tmp_path: Path) -> None:
    partly = rows(0, [0.5, 0.6, 0.7], lr=0.1).assign(seconds=[4.0, math.nan, 6.0])
    never = rows(1, [0.1, 0.4], lr=0.2).assign(seconds=math.nan)
    found = read_recording(table(tmp_path, partly, never, rows(2, [0.1, 0.2], lr=0.3))).runs
    assert [run.seconds for run in found] == [(4.0, 5.0, 6.0), (3.0, 3.0), (2.0, 2.0)]
    found = read_recording(table(tmp_path, never, never.assign(run_id=2, hp_lr=0.3).drop(columns="seconds"))).runs
    assert [run.seconds for run in found] == [(1.0, 1.0)] * 2


def test_only_run_epoch_and_value_are_needed_and_a_run_without_status_diverged_if_it_ends_in_nan(
    tmp_path: Path,
) -> None:
    broken = rows(2, [0.1, math.nan, 0.2, math.nan], lr=0.3)
    runs = [rows(0, [0.1, 0.2, math.nan, 0.3], lr=0.1), rows(1, [0.1, 0.4], lr=0.2), broken]
    path = tmp_path / "curves.parquet"
    pd.concat(runs).drop(columns=["max_epochs", "status", "seconds"]).to_parquet(path)
    found = read_recording(path).runs
    assert [(run.diverged, run.epochs, len(run.values)) for run in found] == [
        (False, 4, 4),
        (False, 2, 2),
        (True, 4, 3),
    ]
    assert [run.final for run in found[:2]] == [0.3, 0.4]


def test_rows_in_any_order_and_epochs_without_a_row_are_put_in_their_places(tmp_path: Path) -> None:
    sparse = rows(0, [0.6, 0.2], lr=0.1, most=6).assign(epoch=[6, 2])
    run = read_recording(table(tmp_path, sparse, rows(1, [0.1, 0.4], lr=0.2))).runs[0]
    assert run.values == pytest.approx((math.nan, 0.2, math.nan, math.nan, math.nan, 0.6), nan_ok=True)
    assert (run.epochs, run.seconds) == (6, (2.0,) * 6)


def test_a_lower_is_better_metric_is_read_from_its_own_column(tmp_path: Path) -> None:
    runs = [rows(run, [0.1, 0.2], lr=run + 1.0).assign(val_loss=[2.0, 1.0 + run]) for run in range(2)]
    runs[0].loc[1, "val_acc"] = math.inf
    path = table(tmp_path, *runs)
    assert [run.final for run in read_recording(path, "validation_loss").runs] == [1.0, 2.0]
    assert [run.final for run in read_recording(path).runs] == [0.1, 0.2]


def test_options_of_several_kinds_missing_values_and_lists_make_a_space(tmp_path: Path) -> None:
    kinds = [{"opt": "sgd", "nesterov": True, "layers": [1, 2]}, {"opt": None, "nesterov": False, "layers": [3]}]
    runs = [rows(n, [0.1, 0.2], lr=[1e-4, 1e-3, 1e-2, 1e-1][n], **{}) for n in range(4)]
    runs = [
        one.assign(hp_opt=kinds[n % 2]["opt"], hp_nesterov=kinds[n % 2]["nesterov"], hp_width=[8, 16, 32, None][n])
        for n, one in enumerate(runs)
    ]
    for n, one in enumerate(runs):
        one["hp_layers"] = [kinds[n % 2]["layers"]] * 2
    recording = read_recording(table(tmp_path, *runs))
    assert list(recording.search) == ["lr", "nesterov", "width", "layers"]
    assert recording.search["nesterov"] == ChoiceDomain(choice=(False, True))
    free = np.ones(4, dtype=bool)
    wanted = {"lr": 1e-2, "nesterov": True, "width": 32.0, "layers": "[1 2]"}
    assert recording.nearest(wanted, free) == 2


def test_the_space_is_that_of_the_recorded_values(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    runs = [
        rows(
            number,
            [0.1, 0.2],
            lr=float(np.exp(generator.uniform(math.log(1e-4), 0))),
            dropout=float(generator.uniform(0, 0.5)),
            layers=int(generator.integers(1, 6)),
            optimizer=["adam", "sgd"][number % 2],
            batch_size=128,
        )
        for number in range(60)
    ]
    search = read_recording(table(tmp_path, *runs)).search
    assert list(search) == ["lr", "dropout", "layers", "optimizer"]
    lr, dropout, layers, optimizer = search.values()
    assert isinstance(lr, FloatDomain)
    assert isinstance(dropout, FloatDomain)
    assert isinstance(layers, IntDomain)
    assert (lr.log, dropout.log) == (True, False)
    assert (layers.low, layers.high) == (1, 5)
    assert isinstance(optimizer, ChoiceDomain)
    assert optimizer.choice == ("adam", "sgd")


def test_a_wide_range_of_whole_numbers_is_searched_as_a_continuous_one(tmp_path: Path) -> None:
    runs = [rows(n, [0.1, 0.2], width=width, depth=n) for n, width in enumerate([8, 100, 300, 500])]
    width, depth = read_recording(table(tmp_path, *runs)).search.values()
    assert isinstance(width, FloatDomain)
    assert (width.low, width.high) == (8.0, 500.0)
    assert isinstance(depth, IntDomain)


def recording_of(*configurations: dict[str, object]) -> Recording:
    runs = [Run(one, 1, (0.5,), (1.0,), False) for one in configurations]
    lr = FloatDomain.model_validate({"float": (0.01, 1.0), "log": True})
    momentum = FloatDomain.model_validate({"float": (0.0, 1.0)})
    return Recording("x", runs, {"lr": lr, "momentum": momentum, "optimizer": ChoiceDomain(choice=("a", "b"))})


def test_the_nearest_free_run_is_nearest_on_the_scale_of_each_range() -> None:
    recording = recording_of(
        {"lr": 0.01, "momentum": 0.5, "optimizer": "a"},
        {"lr": 0.1, "momentum": 0.5, "optimizer": "a"},
        {"lr": 1.0, "momentum": 0.5, "optimizer": "a"},
        {"lr": 0.1, "momentum": None, "optimizer": "b"},
    )
    free = np.ones(4, dtype=bool)
    wanted = {"lr": 0.2, "momentum": 0.5, "optimizer": "a"}
    assert recording.nearest(wanted, free) == 1
    free[1] = False
    assert recording.nearest(wanted, free) == 2
    assert recording.nearest({"lr": 1.0, "momentum": 0.0, "optimizer": "b"}, free) == 3


def test_a_results_folder_gives_the_trials_that_were_trained_to_the_end(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "x", sweep_name="x") as store:
        for number, status in enumerate(["completed", "completed", "stopped", "diverged", "failed"]):
            trial_id = f"t{number}"
            configuration = {"optimizer.lr": 0.1 * (number + 1), "epochs": 2, "seed": number}
            store.update_trial(trial_id, configuration=configuration, status=status)
            store.add_epoch(trial_id, 1, validation_accuracy=0.1 * number, epoch_seconds=3.0)
            if status == "completed":
                store.add_epoch(trial_id, 2, validation_accuracy=0.2, epoch_seconds=3.0)
    for path in (tmp_path / "x", tmp_path / "x" / "epochs.parquet"):
        recording = read_recording(path)
        assert [(run.values, run.seconds, run.diverged) for run in recording.runs] == [
            ((0.0, 0.2), (3.0, 3.0), False),
            ((0.1, 0.2), (3.0, 3.0), False),
            ((pytest.approx(0.3),), (3.0, 3.0), True),
        ]
        assert list(recording.search) == ["optimizer.lr"]


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([[0.1, 0.2]], "1 runs that were trained to the end; a replay needs 2"),
        ([[math.nan, math.nan], [0.1, 0.3]], "1 runs that were trained to the end; a replay needs 2"),
        ([[0.1, 0.2], [0.1, 0.3]], "all runs have the same configuration; there is nothing to search"),
    ],
)
def test_a_table_that_cannot_be_replayed_says_why(tmp_path: Path, runs: list[list[float]], message: str) -> None:
    path = table(tmp_path, *[rows(number, values, lr=0.1) for number, values in enumerate(runs)])
    with pytest.raises(AnalysisError, match=message):
        read_recording(path)


def test_no_table_and_a_table_of_other_columns_say_so(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="neither a results folder nor a table of recorded runs"):
        read_recording(tmp_path / "none.parquet")
    path = tmp_path / "other.parquet"
    pd.DataFrame({"run_id": [1], "epoch": [1]}).to_parquet(path)
    with pytest.raises(AnalysisError, match="lacks the columns val_acc; see"):
        read_recording(path)
    path.write_text("not parquet")
    with pytest.raises(AnalysisError, match="is not a parquet table"):
        read_recording(path)


def test_a_status_or_a_repeated_epoch_that_means_nothing_is_refused(tmp_path: Path) -> None:
    good = rows(0, [0.1, 0.2], lr=0.1)
    with pytest.raises(AnalysisError, match="status must be ok or diverged, got crashed"):
        read_recording(table(tmp_path, good, rows(1, [0.1], lr=0.2, status="crashed")))
    with pytest.raises(AnalysisError, match="run 1 has an epoch twice"):
        read_recording(table(tmp_path, good, rows(1, [0.1, 0.2], lr=0.2).assign(epoch=1)))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("epoch", ["1", "2"], "epoch must hold numbers, got '1'"),
        ("epoch", [1.0, 1.5], r"epoch must be a whole number from 0 \(before training\) to 100,000, got 1.5 in run 1"),
        ("epoch", [1.0, math.nan], "epoch must be a whole number from 0 .*, got nan in run 1"),
        ("epoch", [1, 10**9], "epoch must be a whole number from 0 .*, got 1e[+]09 in run 1"),
        ("epoch", [-1, 1], "epoch must be a whole number from 0 .*, got -1 in run 1"),
        ("val_acc", ["0.1", "best"], "val_acc must hold numbers, got '0.1'"),
        ("seconds", ["a", "b"], "seconds must hold numbers, got 'a'"),
        ("run_id", [1.0, math.nan], "run_id is missing in 1 of 4 rows"),
        ("hp_lr", [math.inf, math.inf], "hp_lr must be finite, or missing where it does not apply; got infinity"),
        ("hp_lr", [0.1, 0.2], "run 1 has 2 values of hp_lr; it may have one"),
    ],
)
def test_odd_content_is_named_with_its_column(tmp_path: Path, column: str, values: list[object], message: str) -> None:
    odd = rows(1, [0.1, 0.2], lr=0.2).astype({column: object}).assign(**{column: values})
    both = pd.concat([odd, rows(0, [0.1, 0.2], lr=0.1)], ignore_index=True)
    path = tmp_path / "odd.parquet"
    both.astype({column: str if isinstance(values[0], str) else float}).to_parquet(path)
    with pytest.raises(AnalysisError, match=message):
        read_recording(path)


def test_a_run_of_unknown_status_is_judged_by_its_last_value_and_one_of_unknown_length_by_the_longest(
    tmp_path: Path,
) -> None:
    unknown = rows(1, [0.3, math.nan], lr=0.2).assign(status=None, max_epochs=math.nan)
    read = read_recording(table(tmp_path, rows(0, [0.1, 0.2], lr=0.1), rows(2, [0.2, 0.3], lr=0.4), unknown))
    assert [run.diverged for run in read.runs] == [False, True, False]
    assert [run.epochs for run in read.runs] == [2, 2, 2]


def test_a_results_folder_that_lacks_its_columns_says_which(tmp_path: Path) -> None:
    pd.DataFrame({"trial_id": ["t1"]}).to_parquet(tmp_path / "trials.parquet")
    pd.DataFrame({"trial_id": ["t1"]}).to_parquet(tmp_path / "epochs.parquet")
    with pytest.raises(AnalysisError, match=r"trials.parquet: lacks the columns status, trial.epochs; see"):
        read_recording(tmp_path)
