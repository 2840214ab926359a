"""A sweep that stands still for want of a place."""

from __future__ import annotations

import pytest

from cifar_tune.errors import ClusterError
from cifar_tune.execution.wait_limit import Waiting

WANTED = "t0001 waits for 2 CPU cores; there is no node"


def test_nothing_is_told_while_a_trial_is_at_work_or_was_a_moment_ago() -> None:
    waiting = Waiting(1.0, now=100.0)
    assert waiting.tick(159.0, at_work=False, what=lambda: WANTED) is None
    assert waiting.tick(500.0, at_work=True, what=lambda: WANTED) is None
    assert waiting.tick(559.0, at_work=False, what=lambda: WANTED) is None


def test_then_it_is_told_what_for_and_looked_again_now_and_then() -> None:
    waiting, looked = Waiting(1.0, now=0.0), iter("abc")
    told = [waiting.tick(now, at_work=False, what=lambda: next(looked)) for now in (60.0, 64.0, 65.0, 69.9, 70.0)]
    assert told == ["a", "a", "b", "b", "c"]
    assert waiting.tick(71.0, at_work=True, what=lambda: "") is None


def test_a_limit_below_a_minute_holds_too() -> None:
    waiting = Waiting(0.01, now=0.0)
    assert waiting.tick(35.0, at_work=False, what=lambda: WANTED) is None
    with pytest.raises(ClusterError, match=WANTED):
        waiting.tick(36.0, at_work=False, what=lambda: WANTED)


def test_nodes_that_join_in_time_find_the_sweep_there_and_later_ones_do_not() -> None:
    waiting = Waiting(0.5, now=0.0)
    assert waiting.tick(1799.0, at_work=False, what=lambda: WANTED) == WANTED
    with pytest.raises(ClusterError) as raised:
        waiting.tick(1800.0, at_work=False, what=lambda: WANTED)
    assert str(raised.value) == (
        "resources.wait_hours: for 0.5 h no trial was at work; t0001 waits for 2 CPU cores; there is no node. "
        "Every epoch that was reported is saved, and --resume goes on from there"
    )
