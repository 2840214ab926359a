"""`python -m cifar_tune.report`, as a user runs it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_tune.cli.report import main
from cifar_tune.results import ResultsStore
from tests.e2e.conftest import Chromium

Ended = subprocess.CompletedProcess[str]
Report = Callable[..., Ended]


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Report:
    """The command in this process, which has imported already what it needs."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str | Path) -> Ended:
        capsys.readouterr()
        try:
            status = main([*map(str, arguments)])
        except SystemExit as exit_:
            status = int(str(exit_.code))
        return subprocess.CompletedProcess(arguments, status, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "s"
    with ResultsStore.create(folder, sweep_name="s") as store:
        for place in range(4):
            configuration = {"optimizer.lr": 0.1 * (place % 2 + 1), "model.activation": "relu" if place < 2 else "mish"}
            store.update_trial(f"t{place}", status="completed", configuration=configuration)
            for epoch in (1, 2):
                store.add_epoch(f"t{place}", epoch, validation_accuracy=(place + epoch) / 10, epoch_seconds=1.0)
    return folder


def test_findings_come_to_the_terminal_and_into_the_report_folder(sweep: Path, report: Report) -> None:
    done = report(sweep)
    assert (done.returncode, done.stderr) == (0, "")
    assert "s: 4 trials: 4 completed" in done.stdout
    assert "Best validation accuracy (%) at epoch 2" in done.stdout
    assert f"Written: {sweep / 'report' / 'index.html'}" in done.stdout
    drawn = sweep / "report" / "heatmap_validation_accuracy-optimizer.lr-model.activation-epoch_2.png"
    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert f"<title>{sweep.name}</title>" in (sweep / "report" / "index.html").read_text()
    assert (sweep / "report" / "report.md").read_text().startswith("# s\n")


def test_the_options_choose_what_is_shown(sweep: Path, report: Report) -> None:
    done = report(sweep, "--x", "optimizer.lr", "--metric", "best_validation_accuracy", "--at-epoch", "1", "--top", "1")
    assert done.returncode == 0
    assert "\nBest validation accuracy (%) at epoch 1\n" in done.stdout
    assert (sweep / "report" / "heatmap_best_validation_accuracy-optimizer.lr-epoch_1.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--x", "lrr"], "no parameter `lrr`; did you mean `optimizer.lr`?"),
        (["--metric", "accuracy"], "`accuracy` is not a metric; did you mean `validation_accuracy`?"),
        (["--at-epoch", "7"], "no trial can be compared at epoch 7; trials reached epochs 1 to 2"),
        (["--top", "0"], "must be a whole number of at least 1, got '0'"),
        (["--aggregate", "max"], "invalid choice: 'max'"),
    ],
)
def test_a_wrong_option_is_told_with_status_2_and_no_traceback(
    sweep: Path, report: Report, arguments: list[str], message: str
) -> None:
    done = report(sweep, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_why_says_what_became_of_one_trial(sweep: Path, report: Report) -> None:
    done = report(sweep, "--why", "t3")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "t3 completed: it ended after epoch 2.\n"
        "Its validation accuracy was 50.00 %, place 1 of the 4 completed trials.\n"
    )
    unknown = report(sweep, "--why", "t03")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr == "no trial `t03`; did you mean `t3`? there are t0 to t3\n"


def test_a_folder_that_is_no_sweep_is_told_with_status_2(tmp_path: Path, sweep: Path, report: Report) -> None:
    for folder, message in ((tmp_path, "is not a results folder"), (tmp_path / "x", "there is no such folder")):
        done = report(folder)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr
    assert "it holds the sweeps s: name one of them" in report(sweep.parent).stderr


def test_a_damaged_table_is_rebuilt_and_said(tmp_path: Path, report: Report) -> None:
    with ResultsStore.create(tmp_path / "s", sweep_name="s") as store:
        store.update_trial("t0", status="completed")
        store.add_epoch("t0", 1, validation_accuracy=0.5)
    os.truncate(tmp_path / "s" / "epochs.parquet", 100)
    done = report(tmp_path / "s")
    assert done.returncode == 0
    assert "epochs.parquet is damaged or cut short; rebuilt from ledger.jsonl" in done.stdout


def test_a_sweep_that_ended_without_a_usable_trial_gives_status_1(tmp_path: Path, report: Report) -> None:
    with ResultsStore.create(tmp_path / "s", sweep_name="s") as store:
        store.update_trial("t0", status="failed", error="ValueError: no")
    done = report(tmp_path / "s")
    assert done.returncode == 1
    assert "1 failed, t0: ValueError: no" in done.stdout


def test_an_empty_sweep_and_one_under_way_give_status_0(tmp_path: Path, report: Report) -> None:
    with ResultsStore.create(tmp_path / "s", sweep_name="s") as store:
        assert report(tmp_path / "s").returncode == 0
        store.update_trial("t0", status="running")
        store.publish(force=True)
        done = report(tmp_path / "s")
        assert done.returncode == 0
        assert f"The sweep is running (process {os.getpid()}" in done.stdout


def test_help_names_the_options(report: Report) -> None:
    done = report("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--at-epoch N" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True)])
def test_a_point_under_the_pointer_says_which_trial_it_is(
    sweep: Path, report: Report, chromium: Chromium, width: int, dark: bool
) -> None:
    page = Path(report(sweep).stdout.split("Written: ")[1].split("\n")[0])
    chromium.open(page.absolute().as_uri(), width=width, height=800, dark=dark)
    assert chromium.evaluate("document.documentElement.scrollWidth") == width
    found = {}
    for name in ("Heat map", "Learning curves"):
        place = chromium.evaluate(f"""(() => {{
            const titles = [...document.querySelectorAll("h2")];
            const figure = titles.find((one) => one.textContent === "{name}").parentElement.querySelector("figure");
            const spot = JSON.parse(figure.dataset.spots).spots[0];
            figure.scrollIntoView({{ block: "center" }});
            const box = figure.querySelector("img").getBoundingClientRect();
            return [box.left + spot[0] * box.width + 3, box.top + spot[1] * box.height + 3];
        }})()""")
        chromium.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")
        chromium.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
        found[name] = chromium.wait_for('document.querySelector(".tip:not([hidden])")?.textContent')
    assert found["Heat map"] == "optimizer.lr 0.1, model.activation mish\n40.0 n=1\nt2"
    assert found["Learning curves"] == "t0\ncompleted, epoch 2: validation accuracy 20.0 %\nlr=0.1, activation=relu"
    assert chromium.complaints == []
