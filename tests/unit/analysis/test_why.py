"""What became of a trial, told from the tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_tune.analysis.why import why
from cifar_tune.errors import AnalysisError
from cifar_tune.results import ResultsStore, load

MakeSweep = Callable[[str, Callable[[ResultsStore], None]], Path]
LADDER = (0.50, 0.40, 0.55, 0.30, 0.60, 0.52)
"""Values at the rung of epoch 2, in the order of arrival; with a factor of 3 the first, the third, and then the best
two go on."""


def told(folder: Path, trial_id: str, metric: str = "validation_accuracy") -> list[str]:
    trials, epochs, _ = load(folder)
    return why(trials, epochs, trial_id, metric).splitlines()


def arrive(store: ResultsStore, trial_id: str, value: float, **rung: object) -> None:
    store.add_epoch(trial_id, 1, validation_accuracy=value - 0.1, validation_loss=1.1 - value, decision="continue")
    store.add_epoch(trial_id, 2, validation_accuracy=value, validation_loss=1 - value, rung=2, **rung)


def halving(store: ResultsStore) -> None:
    """Each arrival is compared with those before it, as asynchronous halving does."""
    for place, value in enumerate(LADDER):
        size, best = place + 1, sorted(LADDER[: place + 1], reverse=True)
        rank, cutoff = best.index(value) + 1, best[max(1, size // 3) - 1]
        goes_on = value >= cutoff
        trial_id = f"t{size:04}"
        status, decision = ("completed", "continue") if goes_on else ("stopped", "stop")
        store.update_trial(trial_id, study="all", status=status, configuration={"epochs": 3})
        arrive(store, trial_id, value, decision=decision, rung_size=size, rung_rank=rank, rung_cutoff=cutoff)
        if goes_on:
            store.add_epoch(trial_id, 3, validation_accuracy=value + 0.1, decision="continue")
    store.update_trial("t9999", study="other", status="stopped")
    arrive(store, "t9999", 0.9, decision="continue", rung_size=1, rung_rank=1, rung_cutoff=0.9)


def test_a_stopped_trial_is_told_when_against_whom_and_by_how_much(make_sweep: MakeSweep) -> None:
    folder = make_sweep("s", halving)
    assert told(folder, "t0006") == [
        "t0006 was stopped after epoch 2 of 3: place 3 of the 6 trials that had come there, to the rung at epoch 2.",
        "Its validation accuracy was 52.00 %; 55.00 % was needed, 3.00 points short.",
        "Better there: t0005 60.00 %, t0003 55.00 % (the cutoff).",
    ]


def test_by_a_metric_that_epochs_do_not_hold_no_trials_are_compared_at_a_rung(make_sweep: MakeSweep) -> None:
    folder = make_sweep("s", halving)
    assert told(folder, "t0006", "train_seconds") == told(folder, "t0006")[:1]


def test_trials_that_came_to_the_rung_later_do_not_count_but_are_told(make_sweep: MakeSweep) -> None:
    folder = make_sweep("s", halving)
    assert told(folder, "t0002")[1:] == [
        "Its validation accuracy was 40.00 %; 50.00 % was needed, 10.00 points short.",
        "Better there: t0001 50.00 % (the cutoff).",
        "Of all 6 trials that came to this rung so far it is place 5.",
    ]


def test_a_trial_whose_place_another_took_is_told_when_and_by_whom(make_sweep: MakeSweep) -> None:
    reason = "place 2 of 2 at epoch 1; replaced by t0003, which goes on from a copy of t0001"

    def fill(store: ResultsStore) -> None:
        store.update_trial("t0001", status="running")
        arrive(store, "t0001", 0.5, decision="stop", rung_size=2, rung_rank=1)
        store.update_trial("t0002", status="stopped", status_reason=reason)
        arrive(store, "t0002", 0.25, decision="stop", rung_size=1, rung_rank=1)

    assert told(make_sweep("s", fill), "t0002")[-1] == f"When all had come: {reason}."


def test_a_lower_loss_is_the_better_one(make_sweep: MakeSweep) -> None:
    def fill(store: ResultsStore) -> None:
        store.update_trial("t0001", status="running")
        arrive(store, "t0001", 0.5, decision="continue", rung_size=1, rung_rank=1, rung_cutoff=0.5)
        store.update_trial("t0002", status="stopped")
        arrive(store, "t0002", 0.25, decision="stop", rung_size=2, rung_rank=2, rung_cutoff=0.5)

    found = told(make_sweep("s", fill), "t0002", "validation_loss")
    assert found[1:] == [
        "Its validation loss was 0.75; 0.5 was needed, 0.25 short.",
        "Better there: t0001 0.5 (the cutoff).",
    ]


def test_only_trials_of_the_same_bracket_are_named(make_sweep: MakeSweep) -> None:
    def fill(store: ResultsStore) -> None:
        for trial_id, value, bracket, rank in (("t0001", 0.9, 1, 1), ("t0002", 0.5, 0, 1), ("t0003", 0.4, 0, 2)):
            store.update_trial(trial_id, status="stopped")
            size = 1 if trial_id == "t0001" else rank
            decision = "stop" if trial_id == "t0003" else "continue"
            cutoff = max(value, 0.5)
            arrive(
                store, trial_id, value, decision=decision, rung_size=size, rung_rank=rank, rung_cutoff=cutoff,
                bracket=bracket,
            )  # fmt: skip

    first, _, third = told(make_sweep("s", fill), "t0003")
    assert first.endswith("to the rung at epoch 2 of bracket 0.")
    assert third == "Better there: t0002 50.00 % (the cutoff)."


def test_a_rank_that_does_not_follow_from_the_metric_names_nobody(make_sweep: MakeSweep) -> None:
    def fill(store: ResultsStore) -> None:
        for place, value in enumerate((0.1, 0.2), start=1):
            store.update_trial(f"t{place}", status="stopped")
            arrive(store, f"t{place}", value, decision="stop", rung_size=place, rung_rank=place, rung_cutoff=0.5)

    assert told(make_sweep("s", fill), "t2")[1:] == [
        "Its validation accuracy was 20.00 %; 50.00 % was needed, 30.00 points short."
    ]


def test_of_many_better_trials_the_best_and_the_one_at_the_cutoff_are_named(make_sweep: MakeSweep) -> None:
    def fill(store: ResultsStore) -> None:
        for place in range(1, 31):
            store.update_trial(f"t{place:02}", status="stopped")
            there = {"rung_size": place, "rung_rank": place, "rung_cutoff": 1 - max(1, place // 3) / 100}
            arrive(store, f"t{place:02}", 1 - place / 100, decision="stop", **there)

    best = ", ".join(f"t{place:02} {100 - place}.00 %" for place in range(1, 8))
    assert told(make_sweep("s", fill), "t30")[-1] == f"Better there: {best}, t10 90.00 % (the cutoff) and 21 more."


def test_a_place_that_is_not_recorded_is_said_in_words(make_sweep: MakeSweep) -> None:
    def fill(store: ResultsStore) -> None:
        for place in (1, 2):
            store.update_trial(f"t{place}", status="stopped")
            arrive(store, f"t{place}", place / 10, decision="continue", rung_cutoff=0.5)
            store.add_epoch(f"t{place}", 3, validation_accuracy=0.2, decision="stop", rung=3)

    assert told(make_sweep("s", fill), "t2") == [
        "t2 was stopped after epoch 3: the rung at epoch 3; its place there is not recorded.",
        "Its validation accuracy was 20.00 %; what was needed is not recorded.",
        "It passed the rung at epoch 2 (its place is not recorded).",
    ]


def test_a_completed_trial_is_told_its_place_and_the_rungs_it_passed(make_sweep: MakeSweep) -> None:
    assert told(make_sweep("s", halving), "t0003") == [
        "t0003 completed: it ended after epoch 3 of 3.",
        "Its validation accuracy was 65.00 %, place 2 of the 3 completed trials.",
        "It passed the rung at epoch 2 (place 1 of 3).",
    ]


def test_under_the_median_rule_the_best_is_held_against_the_averages_of_the_others(make_sweep: MakeSweep) -> None:
    """Epochs 1 and 2 of each are 0.1 apart: averages 0.45 and 0.55, their median 0.50; the third's best is 0.48."""

    def fill(store: ResultsStore) -> None:
        for size, (value, rank, cutoff) in enumerate(((0.5, 1, None), (0.6, 1, None), (0.48, 2, 0.5)), start=1):
            store.update_trial(f"t{size}", status="stopped" if cutoff else "running")
            decision = "stop" if cutoff else "continue"
            arrive(store, f"t{size}", value, decision=decision, rung_size=size, rung_rank=rank, rung_cutoff=cutoff)

    assert told(make_sweep("s", fill), "t3") == [
        "t3 was stopped after epoch 2: place 2 of the 3 trials that had come there, to the rung at epoch 2.",
        "Its best validation accuracy was 48.00 %; 50.00 % was needed, 2.00 points short.",
        "Better there, by its average so far: t2 55.00 %.",
    ]


def test_a_trial_that_is_paused_is_told_so_and_one_of_several_objectives_its_front(make_sweep: MakeSweep) -> None:
    def fill(store: ResultsStore) -> None:
        store.update_trial("t1", status="stopped", status_reason="place 1 of 1 at epoch 2; paused, goes on if it can")
        arrive(store, "t1", 0.5, decision="stop", rung_size=1, rung_rank=1, rung_cutoff=None)
        store.update_trial("t2", status="stopped")
        arrive(store, "t2", 0.5, decision="stop", rung_size=2, rung_rank=2, rung_front=2)

    folder = make_sweep("s", fill)
    assert told(folder, "t1")[1:] == [
        "Its validation accuracy was 50.00 %; nobody could go on before more had come.",
        "Of all 2 trials that came to this rung so far it is place 1.",
        "None of them has gone on so far.",
        "It paused there: it goes on, or would have, once it is among the best.",
    ]
    assert told(folder, "t2")[1:] == ["It was on front 2 of the objectives there; the first fronts go on."]


def test_where_trials_wait_it_is_told_who_went_on_in_the_end_and_by_how_much_they_were_better(
    make_sweep: MakeSweep,
) -> None:
    """Of four, two go on when all have come; the last of the others does for an audit."""

    def fill(store: ResultsStore) -> None:
        for place, value in enumerate((0.50, 0.40, 0.55, 0.30), start=1):
            rank = sorted((0.50, 0.40, 0.55, 0.30)[:place], reverse=True).index(value) + 1
            reason = f"place {rank} of {place} at epoch 2; paused, goes on if it can"
            gone = value != 0.40
            status = {"status": "completed" if gone else "stopped", "status_reason": None if gone else reason}
            store.update_trial(f"t{place}", study="all", audited=value == 0.30, **status)
            arrive(store, f"t{place}", value, decision="stop", rung_size=place, rung_rank=rank, rung_cutoff=None)
            if gone:
                store.add_epoch(f"t{place}", 3, validation_accuracy=0.6, decision="continue")

    folder = make_sweep("s", fill)
    assert told(folder, "t2")[3:] == [
        "Of all 4 trials that came to this rung so far it is place 3.",
        "2 of the 4 that came there went on, the last with 50.00 %: 10.00 points short.",
        "It paused there: it goes on, or would have, once it is among the best.",
    ]
    assert told(folder, "t2", "validation_loss")[4] == (
        "2 of the 4 that came there went on, the last with 0.5: 0.1 short."
    )
    assert "2 of the 4 that came there went on, the last with 50.00 %: 20.00 points short." in told(folder, "t4")


def test_a_trial_that_paused_and_went_on_is_told_so(make_sweep: MakeSweep) -> None:
    def fill(store: ResultsStore) -> None:
        store.update_trial("t1", status="completed")
        arrive(store, "t1", 0.5, decision="stop", rung_size=1, rung_rank=1, rung_cutoff=None)
        store.add_epoch("t1", 3, validation_accuracy=0.6, decision="continue")

    assert told(make_sweep("s", fill), "t1")[-1] == (
        "It passed the rung at epoch 2 (place 1 of 1, paused, went on later)."
    )


@pytest.mark.parametrize(
    ("values", "epochs", "expected"),
    [
        (
            {"status": "diverged", "status_reason": "training loss is not finite in epoch 2, at step 7"},
            1,
            "t diverged after epoch 1: training loss is not finite in epoch 2, at step 7.",
        ),
        (
            {"status": "failed", "status_reason": "no worker could finish it", "attempts": 3},
            0,
            "t failed before its first epoch was done (attempt 3): no worker could finish it.",
        ),
        ({"status": "failed", "error": "Trace\nValueError: no"}, 2, "t failed after epoch 2: ValueError: no."),
        ({"status": "interrupted", "status_reason": "Ctrl-C"}, 1, "t was interrupted after epoch 1: Ctrl-C. --resume"),
        (
            {"status": "stopped", "status_reason": "time is over"},
            1,
            "after epoch 1: time is over.",
        ),
        (
            {"status": "completed", "status_reason": "early stopping"},
            2,
            "it ended after epoch 2: early stopping.",
        ),
    ],
)
def test_other_ends_are_told_with_their_reason(
    make_sweep: MakeSweep, values: dict[str, object], epochs: int, expected: str
) -> None:
    def fill(store: ResultsStore) -> None:
        store.update_trial("t", **values)
        for epoch in range(1, epochs + 1):
            store.add_epoch("t", epoch, train_loss=1.0, decision="continue")

    assert expected in told(make_sweep("s", fill), "t")[0]


def test_a_running_trial_is_told_how_far_it_is(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "s", sweep_name="s") as store:
        store.update_trial("t", status="running")
        store.publish(force=True)
        assert told(tmp_path / "s", "t") == ["t is running its first epoch."]
        store.add_epoch("t", 1, train_loss=1.0)
        store.publish(force=True)
        assert told(tmp_path / "s", "t") == ["t is running: it stands after epoch 1."]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("t3", "no trial `t3`; did you mean `t0003`? there are t0001 to t9999"),
        ("6", "no trial `6`; did you mean `t0006`? there are t0001 to t9999"),
        ("T0001", "no trial `T0001`; did you mean `t0001`? there are"),
        ("nobody", "no trial `nobody`; there are t0001 to t9999"),
    ],
)
def test_an_unknown_trial_is_told_from_those_there_are(make_sweep: MakeSweep, name: str, message: str) -> None:
    with pytest.raises(AnalysisError) as caught:
        told(make_sweep("s", halving), name)
    assert str(caught.value).startswith(message)
