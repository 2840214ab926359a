"""The findings of a report: curves, rungs, cost, history, importance, and the page that holds them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cifar_tune.analysis.cost import cost
from cifar_tune.analysis.curves import curves_figure, learning_curves
from cifar_tune.analysis.history import history, history_figure
from cifar_tune.analysis.importance import importance, importance_figure
from cifar_tune.analysis.reports.overview import Choice
from cifar_tune.analysis.reports.sections import make_report
from cifar_tune.analysis.reports.text_table import text_table
from cifar_tune.analysis.reports.write_report import write_report
from cifar_tune.analysis.rungs import rung_survival
from cifar_tune.analysis.status_line import answer
from cifar_tune.analysis.sweep_file import SweepFile
from cifar_tune.errors import AnalysisError, ResultsError
from cifar_tune.results import Frames, ResultsStore, load

MakeSweep = Callable[[str, Callable[[ResultsStore], None]], Path]
START = datetime(2026, 1, 1, tzinfo=UTC)


def fill_asha(store: ResultsStore) -> None:
    """Twelve trials under rungs at epochs 1 and 3, a third going on each time; better ones have the higher number."""
    for place in range(12):
        trial_id = f"t{place:02d}"
        configuration = {"optimizer.lr": 10 ** (-3 + place / 4), "model.activation": ("relu", "mish")[place % 2]}
        store.update_trial(
            trial_id, status="running", started_at=START + timedelta(minutes=place), configuration=configuration
        )
        last = 9 if place >= 11 else 3 if place >= 8 else 1
        for epoch in range(1, last + 1):
            rung = {"rung": epoch, "rung_size": place + 1, "rung_rank": 1} if epoch in (1, 3) else {}
            decision = "stop" if epoch == last < 9 else "continue"
            values = {"validation_accuracy": 0.05 * place + 0.01 * epoch, "epoch_seconds": 10.0, "decision": decision}
            store.add_epoch(trial_id, epoch, **values, **rung)
        ended = {
            "ended_at": START + timedelta(minutes=place, seconds=10 * last),
            "gpu_seconds": 36.0,
            "device_name": "cpu",
        }
        store.update_trial(trial_id, status="completed" if last == 9 else "stopped", **ended)


@pytest.fixture
def asha(make_sweep: MakeSweep) -> Path:
    return make_sweep("asha", fill_asha)


def test_rung_survival_counts_who_arrived_and_who_went_on(asha: Path) -> None:
    table = rung_survival(*load(asha)[:2])
    assert table.to_dict("list") == {
        "rung": [1, 3], "arrived": [12, 4], "stopped": [8, 3], "went_on": [4, 1], "share": [4 / 12, 1 / 4],
    }  # fmt: skip
    trials, epochs, _ = load(asha)
    assert rung_survival(trials, epochs.head(0)).empty
    assert rung_survival(pd.DataFrame(trials), epochs.drop(columns="sweep")).equals(table)


def test_a_trial_that_paused_at_a_rung_and_went_on_counts_as_one_that_went_on(make_sweep: MakeSweep) -> None:
    def fill(store: ResultsStore) -> None:
        for trial_id, epochs in (("t1", 2), ("t2", 1)):
            store.update_trial(trial_id, status="stopped")
            for epoch in range(1, epochs + 1):
                store.add_epoch(trial_id, epoch, decision="stop" if epoch == 1 else "continue", rung=epoch % 2 or None)

    table = rung_survival(*load(make_sweep("s", fill))[:2])
    assert table.to_dict("records") == [{"rung": 1, "arrived": 2, "stopped": 1, "went_on": 1, "share": 0.5}]


def test_trials_that_were_not_compared_at_a_rung_are_counted_apart(make_sweep: MakeSweep) -> None:
    """Two brackets, the second with a later first rung; one trial of each after a restart with more epochs."""

    def fill(store: ResultsStore) -> None:
        for place, (restarts, bracket, last) in enumerate([(0, 0, 1), (0, 0, 3), (0, 1, 3), (1, 0, 1), (1, 1, 3)]):
            store.update_trial(f"t{place}", status="stopped", restarts=restarts)
            for epoch in range(1, last + 1):
                rung = {"rung": epoch, "bracket": bracket} if epoch == 3 or (epoch, bracket) == (1, 0) else {}
                store.add_epoch(f"t{place}", epoch, decision="stop" if epoch == last else "continue", **rung)

    folder = make_sweep("s", fill)
    table = rung_survival(*load(folder)[:2])
    assert table.drop(columns="share").to_numpy().tolist() == [
        [0, 0, 1, 2, 1, 1],
        [0, 0, 3, 1, 1, 0],
        [0, 1, 3, 1, 1, 0],
        [1, 0, 1, 1, 1, 0],
        [1, 1, 3, 1, 1, 0],
    ]
    assert text_table(table).heads == ("restarts", "bracket", "rung", "arrived", "stopped", "went on", "share")
    assert text_table(table).rows[0] == ("0", "0", "1", "2", "1", "1", "50 %")
    other = make_sweep("other", fill)
    both = rung_survival(*load([folder, other])[:2])
    assert both["sweep"].tolist() == ["other"] * 5 + ["s"] * 5
    assert both["arrived"].tolist() == table["arrived"].tolist() * 2


def test_cost_is_told_by_ending_and_device(asha: Path) -> None:
    table = cost(load(asha).trials).set_index("status")
    assert table.loc["completed", ["trials", "epochs", "train_seconds", "gpu_seconds"]].tolist() == [1, 9, 90.0, 36.0]
    assert table.loc["stopped", ["trials", "epochs", "train_seconds"]].tolist() == [11, 17, 170.0]
    assert table["share"].sum() == pytest.approx(1)
    assert cost(load(asha).trials.head(0)).empty


def test_history_follows_the_order_in_which_trials_ended(frames: Frames) -> None:
    trials = frames.trials.assign(
        started_at=pd.Timestamp(START),
        ended_at=[pd.Timestamp(START) + timedelta(hours=hours) for hours in (3, 1, 2, 4, 5, 6)],
        gpu_seconds=3600.0,
        validation_accuracy=[0.7, 0.6, 0.9, 0.9, 0.8, np.nan],
    )
    table = history(trials)
    assert table["trial_id"].tolist() == ["t001", "t000", "t004"]
    assert table["trials"].tolist() == [1, 3, 5]
    assert table["hours"].tolist() == [1.0, 3.0, 5.0]
    assert table["gpu_hours"].tolist() == [1.0, 3.0, 5.0]
    assert table["best"].tolist() == [0.6, 0.7, 0.8]
    assert (
        history(trials.assign(validation_loss=trials["validation_accuracy"]), "validation_loss")["best"].tolist()
        == [0.6] * 3
    )
    figure = history_figure(table)
    figure.canvas.draw()
    assert figure.axes[0].get_xlabel() == "hours since the start"
    assert "3 completed of 5 trials ended by then, 5 GPU-hours" in [text.get_text() for text in figure.axes[0].texts]


def test_learning_curves_tell_where_each_trial_ended_and_why(asha: Path) -> None:
    curves = learning_curves(*load(asha)[:2])
    ends = curves[curves["last"]].set_index("trial_id")
    assert ends.loc["t11", ["epoch", "status"]].tolist() == [9, "completed"]
    assert ends.loc["t08", ["epoch", "status"]].tolist() == [3, "stopped"]
    assert len(ends) == 12
    figure = curves_figure(*load(asha)[:2])
    figure.canvas.draw()
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["stopped", "t11: 64.0"]
    with pytest.raises(AnalysisError, match="did you mean `validation_accuracy`"):
        learning_curves(*load(asha)[:2], "accuracy")


def many_trials(effect: Callable[[pd.DataFrame], pd.Series], count: int = 60) -> pd.DataFrame:
    draw = np.random.default_rng(1)
    trials = pd.DataFrame({"trial_id": [str(place) for place in range(count)], "status": "completed"})
    trials["trial.lr"] = 10 ** draw.uniform(-3, 0, count)
    trials["trial.activation"] = draw.choice(["relu", "mish"], count)
    trials["trial.width"] = draw.choice([8, 16, 32], count)
    return trials.assign(validation_accuracy=effect(trials) + draw.normal(0, 0.005, count))


def test_the_parameter_that_decides_is_the_most_important_by_both_measures() -> None:
    trials = many_trials(
        lambda frame: -0.1 * (np.log10(frame["trial.lr"]) + 1.5) ** 2 + 0.03 * (frame["trial.activation"] == "mish")
    )
    found = importance(trials)
    assert found.caution is None
    assert found.table["parameter"].tolist()[:2] == ["lr", "activation"]
    assert found.table["main_effect"].idxmax() == 0
    assert found.explained > 0.7
    width = found.table.set_index("parameter").loc["width"]
    assert abs(width["permutation"]) < 0.1
    importance_figure(found).canvas.draw()


@pytest.mark.slow
def test_a_main_effect_is_the_parameters_share_of_the_variance() -> None:
    """Two independent effects with variances 4 : 1."""
    trials = many_trials(lambda frame: pd.Series(0.0, frame.index), 200)
    trials["trial.a"], trials["trial.b"] = np.tile([0, 0, 1, 1], 50), np.tile([0, 1, 0, 1], 50)
    trials["validation_accuracy"] = 0.2 * trials["trial.a"] + 0.1 * trials["trial.b"]
    table = importance(trials).table.set_index("parameter")
    assert table.loc["a", "main_effect"] == pytest.approx(0.8, abs=0.05)
    assert table.loc["b", "main_effect"] == pytest.approx(0.2, abs=0.05)


@pytest.mark.slow
def test_main_effects_of_a_range_and_a_choice_are_their_shares_of_the_variance() -> None:
    """Over three decades the rate's effect has variance (3 * 0.1)**2 / 12, three times that of a choice between two."""
    trials = many_trials(
        lambda frame: 0.1 * np.log10(frame["trial.lr"]) + 0.1 * (frame["trial.activation"] == "mish"), 150
    )
    effects = importance(trials).table.set_index("parameter")["main_effect"]
    assert effects.to_dict() == pytest.approx({"lr": 0.75, "activation": 0.25, "width": 0.0}, abs=0.1)


@pytest.mark.slow
def test_noise_and_too_few_trials_are_called_by_their_name() -> None:
    noise = importance(many_trials(lambda frame: pd.Series(0.0, frame.index)))
    assert noise.caution is not None
    assert noise.caution.startswith("the parameters explain next to nothing of held-out trials (R² -")
    few = importance(many_trials(lambda frame: frame["trial.lr"], 10))
    assert few.caution == "too little data: 10 comparable trials, at least 20 are needed"
    assert few.table.empty


def test_importance_compares_at_the_last_epoch_that_enough_trials_reached() -> None:
    trials = many_trials(lambda frame: frame["trial.lr"], 40).assign(status="stopped")
    reached = [1] * 10 + [3] * 20 + [9] * 10
    rows = [
        (str(place), epoch, epoch * 0.1 + place) for place, last in enumerate(reached) for epoch in range(1, last + 1)
    ]
    epochs = pd.DataFrame(rows, columns=["trial_id", "epoch", "validation_accuracy"])
    found = importance(trials, epochs)
    assert (found.epoch, found.trials) == (3, 30)


def test_the_answer_names_the_best_trial_and_what_the_sentence_is_worth(frames: Frames) -> None:
    text = answer(frames.trials, "validation_accuracy", SweepFile())
    assert text.startswith(
        "The best completed trial, t004, reached validation accuracy 86.5 % after 9 epochs with activation=mish, lr="
    )
    assert "best of 3 completed trials on the validation split that chose it, so its value is optimistic" in text
    assert answer(frames.trials.iloc[[2]], "validation_accuracy", SweepFile()) == "No trial has completed yet."
    assert answer(frames.trials.head(0), "validation_accuracy", SweepFile()) == "No trial has been started yet."


def test_slices_are_shown_where_there_are_enough_completed_trials(make_sweep: MakeSweep) -> None:
    def fill(store: ResultsStore) -> None:
        for place in range(5):
            configuration = {"optimizer.lr": 0.1 * (place + 1), "batch_size": 32 * (place % 2 + 1)}
            store.update_trial(f"t{place}", status="completed", configuration=configuration)
            store.add_epoch(f"t{place}", 1, validation_accuracy=0.5, epoch_seconds=1.0)

    folder = make_sweep("s", fill)
    trials, *others = load(folder)
    assert "One parameter at a time" in [section.title for section in make_report(folder, trials, *others).sections]
    fewer = make_report(folder, trials.head(4), *others)
    assert "One parameter at a time" not in [section.title for section in fewer.sections]


def test_a_report_has_a_section_for_each_finding(asha: Path) -> None:
    (asha / "environment.json").write_text(
        json.dumps({"command": "python -m x", "packages": {"torch": "2.15"}, "gpus": []})
    )
    report = make_report(asha, *load(asha))
    assert [section.title for section in report.sections] == [
        "Best trials", "Heat map", "The same at epoch 1, where the scheduler first decided", "Learning curves",
        "Early stopping, audited", "Importance of the parameters", "Cost", "How it was made",
    ]  # fmt: skip
    made = report.sections[-1].table
    assert made is not None
    assert made.rows == (("command", "python -m x"), ("packages", "torch 2.15"))
    assert report.sections[5].text == ("Too little data: 12 comparable trials, at least 20 are needed.",)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_a_report_does_without_an_environment(asha: Path, content: str | None) -> None:
    if content is not None:
        (asha / "environment.json").write_text(content)
    assert make_report(asha, *load(asha)).sections[-1].title == "Cost"


def test_empty_and_failed_sweeps_have_a_report(make_sweep: MakeSweep) -> None:
    def fail(store: ResultsStore) -> None:
        store.update_trial("t0", status="failed", error="ValueError: <b>no</b>", configuration={"x": 1})

    empty, failed = make_sweep("empty", ResultsStore.publish), make_sweep("failed", fail)
    assert make_report(empty, *load(empty)).sections == ()
    assert make_report(empty, *load(empty)).status_line == "No trial has been started yet."
    titles = [section.title for section in make_report(failed, *load(failed)).sections]
    assert titles == ["Importance of the parameters", "Failed and diverged trials", "Cost"]
    page = write_report(failed, *load(failed))[0].read_text()
    assert "ValueError: &lt;b&gt;no&lt;/b&gt;" in page


class Reader(HTMLParser):
    """Open tags and the addresses that a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "source", "br"):
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "srcset", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_no_network_and_closes_what_it_opens(asha: Path) -> None:
    files = write_report(asha, *load(asha))
    assert [file.name for file in files] == [
        "index.html", "report.md",
        "heatmap_validation_accuracy-optimizer.lr-model.activation-epoch_9.png",
        "heatmap_validation_accuracy-optimizer.lr-model.activation-epoch_1.png",
        "curves_validation_accuracy.png",
    ]  # fmt: skip
    text = files[0].read_text()
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    links = [address for address in reader.addresses if not address.startswith("data:image/png;base64,")]
    assert links == ["../trials.parquet", "../epochs.parquet"]
    assert all((files[0].parent / link).exists() for link in links)
    assert "http" not in text
    assert text.count("<img ") == 3
    assert 'media="screen and (prefers-color-scheme: dark)"' in text


def test_the_markdown_shows_tables_and_figures(asha: Path) -> None:
    files = write_report(asha, *load(asha), Choice(x="model.activation", at_epoch=1))
    text = files[1].read_text()
    assert text.startswith("# asha\n\nThe best completed trial, t11,")
    assert "|  | trial | accuracy | epochs | seconds | lr | activation |\n| ---: | --- | ---: |" in text
    assert (
        "![Best validation accuracy (%) by model.activation](heatmap_validation_accuracy-model.activation-epoch_1.png)"
        in text
    )
    assert "| 1 | t11 | 64.00 % | 9 | 90.0 | 0.562 | mish |" in text


def test_a_folder_that_cannot_be_written_to_is_named(asha: Path) -> None:
    (asha / "report").write_text("")
    with pytest.raises(ResultsError, match="could not be written"):
        write_report(asha, *load(asha))


def test_cells_of_a_table_are_written_as_people_read_them() -> None:
    frame = pd.DataFrame(
        {
            "rank": [1, 2], "trial_id": ["a", "b|c"],
            "validation_accuracy": [0.5, np.nan], "train_seconds": [1234.5, 9.87],
            "peak_memory_bytes": [2e9, 1e9], "share": [0.5, 0.25], "trial.optimizer.name": ["sgd", "adamw"],
            "trial.optimizer.lr": [0.1, 1e-5], "trial.a.width": [8, 16], "trial.b.width": [1, 2],
        }
    )  # fmt: skip
    table = text_table(frame)
    assert table.heads == (
        "", "trial", "accuracy", "seconds", "peak memory (GB)", "share", "optimizer", "lr", "a.width", "b.width",
    )  # fmt: skip
    assert table.rows[0] == ("1", "a", "50.00 %", "1,234", "2", "50 %", "sgd", "0.1", "8", "1")
    assert table.rows[1] == ("2", "b|c", "–", "9.9", "1", "25 %", "adamw", "1e-5", "16", "2")
    assert table.marked == (True, False)
    assert table.left == (False, True, *[False] * 8)


def test_a_report_ablates_single_changes_and_compares_with_another_sweep(make_sweep: MakeSweep) -> None:
    def fill(store: ResultsStore) -> None:
        for place, change in enumerate([{}, {"batch_size": 128}, {"optimizer.lr": 0.2}]):
            configuration = {"optimizer.lr": 0.1, "batch_size": 64, **change}
            store.update_trial(f"t{place}", status="completed", configuration=configuration, baseline=not change)
            store.add_epoch(f"t{place}", 1, validation_accuracy=0.5 + place / 10, epoch_seconds=1.0)

    folder, other = make_sweep("one", fill), make_sweep("two", fill)
    files = write_report(folder, *load(folder), other=load(other))
    assert {"ablation_validation_accuracy.png", "comparison_validation_accuracy.png"} <= {file.name for file in files}
    text = (folder / "report" / "report.md").read_text()
    assert "## Changes of the baseline" in text
    assert "| t2 | optimizer.lr=0.2 | 1 | 70.0 | +20.0 |" in text
    assert "## Compared with two" in text


def test_the_page_describes_each_trial_that_a_figure_shows(asha: Path) -> None:
    page = write_report(asha, *load(asha))[0].read_text()
    data = page.split('<script type="application/json" id="descriptions">')[1].split("</script>")[0]
    told = json.loads(data)
    assert set(told) == {f"t{place:02d}" for place in range(12)}
    assert told["t11"] == "completed, epoch 9: validation accuracy 64.0 %\nlr=0.562, activation=mish"
    assert page.count("data-spots=") >= 3
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
