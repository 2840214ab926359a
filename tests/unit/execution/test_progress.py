"""What the user sees while a sweep runs."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cifar_tune.config.load import load_sweep
from cifar_tune.execution.placement.attempt import Attempt
from cifar_tune.execution.progress import Running, Screen, View, duration, line_of, screen_of
from cifar_tune.execution.watch import STARTING, TIMING, Watch, no_guard
from cifar_tune.search.proposal import Proposal
from cifar_tune.search.sweep_progress import BestTrial, SearchProgress

REPOSITORY = Path(__file__).parents[3]

BEST = BestTrial("t0003", 0.95678, 7, {"optimizer.lr": 0.123456, "model": "mininet"})
COUNTS = {"running": 2, "completed": 3, "stopped": 4, "failed": 1, "diverged": 0}
RUNNING = (Running("t0009", 2, 9, 0.5), Running("t0010", 0, 9, None))
VIEW = View("quickstart", SearchProgress(20, COUNTS, 1234, BEST), "validation_accuracy", RUNNING, 75.0, 61.0)
NOTHING_YET = SearchProgress(20, {"running": 0}, 0, None)


def test_a_line_says_how_far_the_sweep_is_and_what_was_best() -> None:
    assert line_of(VIEW) == (
        "8/20 trials, 1,234 epochs; 2 running, 3 completed, 4 stopped, 1 failed; best validation_accuracy 0.9568 in "
        "epoch 7 of t0003 (optimizer.lr=0.1235, model=mininet), about 1:01 left"
    )


def test_before_the_first_epoch_a_line_promises_nothing() -> None:
    view = View("x", NOTHING_YET, "validation_loss", (), 0.0, None)
    assert line_of(view) == "0/20 trials, 0 epochs; 0 running"


def test_line_and_screen_say_what_is_waited_for() -> None:
    view = replace(VIEW, waiting="t0001 waits for 2 CPU cores; there is no node")
    assert "; t0001 waits for 2 CPU cores; there is no node" in line_of(view)
    out = io.StringIO()
    Console(file=out, width=100).print(screen_of(view))
    assert "t0001 waits for 2 CPU cores; there is no node" in out.getvalue()


def test_without_a_terminal_lines_come_at_intervals_and_only_if_something_changed() -> None:
    out = io.StringIO()
    with Screen(Console(file=out, force_terminal=False)) as screen:
        assert screen.due
        screen.show(VIEW)
        assert not screen.due
        screen.show(VIEW)
    assert out.getvalue().count("8/20 trials") == 1
    assert out.getvalue().startswith("[1:15] ")
    assert "\x1b" not in out.getvalue()


def test_of_a_sweep_in_which_nothing_changes_a_line_is_heard_each_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """As while the first epoch of a large network trains."""
    now = 0.0
    monkeypatch.setattr("cifar_tune.execution.progress.time.monotonic", lambda: now)
    out = io.StringIO()
    with Screen(Console(file=out, force_terminal=False)) as screen:
        for now in range(601):
            if screen.due:
                screen.show(replace(VIEW, seconds=now))
    assert out.getvalue().count("8/20 trials") == 1 + 600 // 60


class Began:
    """A search of which so many epochs have been reported."""

    exhausted = False

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def progress(self) -> SearchProgress:
        return SearchProgress(20, {"running": 0}, self.epochs, None)


def test_before_the_first_epoch_it_is_said_what_is_done() -> None:
    sweep = load_sweep(REPOSITORY / "sweeps" / "quickstart.yaml")
    search: Any = Began(7)
    watch = Watch(Screen(Console(file=io.StringIO())), sweep, search, no_guard)
    attempt = Attempt(Proposal("t0001", "all", sweep.trial, baseline=True), at_work=True)
    assert watch.view([]).waiting == STARTING
    assert watch.view([attempt]).waiting == TIMING
    watch.tell("t0001 waits for 2 CPU cores")
    assert watch.view([]).waiting == "t0001 waits for 2 CPU cores"
    watch.tell(None)
    search.epochs = 8
    assert watch.view([attempt]).waiting is None


def test_on_a_terminal_one_screen_is_updated_in_place_and_gone_at_the_end() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, height=30)
    with Screen(console) as screen:
        screen.show(VIEW)
        screen.show(VIEW)
    text = out.getvalue()
    assert text.count("8 of 20 trials") >= 2
    lines = text.rsplit("8 of 20 trials", 1)[-1].count("\n")
    assert text.endswith("\x1b[1A\x1b[2K" * lines)
    for shown in ("quickstart", "t0009", "2/9", "0.5000", "best", "1:01 left", "Ctrl-C"):
        assert shown in text


def test_a_screen_shows_at_most_a_dozen_running_trials() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, height=60)
    running = tuple(Running(f"t{n:04}", 0, 9, None) for n in range(40))
    view = View("x", NOTHING_YET, "validation_loss", running, 1.0, None)
    with Screen(console) as screen:
        screen.show(view)
    assert "and 28 more" in out.getvalue()
    assert "t0012" not in out.getvalue()


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (725, "12:05"), (11525, "3:12:05")])
def test_times_read_as_on_a_clock(seconds: float, text: str) -> None:
    assert duration(seconds) == text
