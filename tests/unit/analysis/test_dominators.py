"""Which trials dominated one at a rung, told from the tables and held against every pair of points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from cifar_tune.analysis.why import why
from cifar_tune.config.schedulers import Asha
from cifar_tune.results import ResultsStore, load
from cifar_tune.search.schedulers.pareto import ParetoAsha

MakeSweep = Callable[[str, Callable[[ResultsStore], None]], Path]
PARAMETERS = ("validation_accuracy", "num_parameters")


def told(folder: Path, trial_id: str, objectives: Sequence[str] = PARAMETERS) -> list[str]:
    trials, epochs, _ = load(folder)
    return why(trials, epochs, trial_id, "validation_accuracy", objectives).splitlines()


def halving(points: Sequence[tuple[float, int]]) -> Callable[[ResultsStore], None]:
    """Trials of an accuracy and a size that come to the rung at epoch 2 one after the other."""

    def fill(store: ResultsStore) -> None:
        scheduler = ParetoAsha(Asha(grace_epochs=2, reduction_factor=3), 9, signs=(1, -1), seed=0)
        for number, (accuracy, size) in enumerate(points, start=1):
            name = f"t{number}"
            decision = scheduler.report(name, 2, accuracy, size)
            status = "stopped" if decision.action == "stop" else "running"
            store.update_trial(name, study="all", status=status, num_parameters=size)
            store.add_epoch(name, 1, validation_accuracy=0.99, epoch_seconds=10.0 + number, latency_seconds=0.001)
            store.add_epoch(
                name, 2, validation_accuracy=accuracy, epoch_seconds=10.0, latency_seconds=0.002 * number,
                peak_memory_bytes=10**9 * number, decision=decision.action, rung=2, rung_size=decision.rung_size,
                rung_rank=decision.rung_rank, rung_front=decision.rung_front,
            )  # fmt: skip

    return fill


LADDER = ((0.50, 2000), (0.60, 3000), (0.70, 4000), (0.55, 1000), (0.40, 5000), (0.65, 3500), (0.90, 900))


def test_the_trials_that_dominate_a_stopped_one_are_named_best_first_and_the_others_counted(
    make_sweep: MakeSweep,
) -> None:
    """Of those before the fifth, all four dominate it; without them the first would be on a front of its own."""
    assert told(make_sweep("s", halving(LADDER)), "t5")[1:] == [
        "It was on front 3 of the objectives there; the first fronts go on.",
        "Its values: validation accuracy 40.00 %, num parameters 5,000.",
        "4 trials there, better in something and worse in nothing, dominated it: "
        "t3 (70.00 %, 4,000), t4 (55.00 %, 1,000), t2 (60.00 %, 3,000) and 1 more.",
        "2 trials that came to this rung later would have dominated it.",
    ]


def test_on_the_first_front_none_dominates_and_the_less_crowded_go_on(make_sweep: MakeSweep) -> None:
    assert told(make_sweep("s", halving(LADDER[:6])), "t6")[1:] == [
        "It was on front 1 of the objectives there; of one front the less crowded trials go on.",
        "Its values: validation accuracy 65.00 %, num parameters 3,500.",
    ]


def test_every_stopped_trial_is_told_as_many_as_dominate_it_of_those_before(make_sweep: MakeSweep) -> None:
    draw = np.random.default_rng(0)
    points = [(round(float(draw.random()), 1), int(draw.integers(1, 9)) * 1000) for _ in range(30)]
    trials, epochs, _ = load(make_sweep("s", halving(points)))
    stopped = [int(name[1:]) - 1 for name in trials.loc[trials["status"] == "stopped", "trial_id"]]
    assert len(stopped) > 15
    for place in stopped:
        accuracy, size = points[place]
        dominators = [
            number
            for number, (other, less) in enumerate(points[:place], start=1)
            if other >= accuracy and less <= size and (other, less) != (accuracy, size)
        ]
        lines = why(trials, epochs, f"t{place + 1}", "validation_accuracy", PARAMETERS).splitlines()
        sentences = "\n".join(line for line in lines if "dominated it:" in line)
        named = [number for number in range(1, 31) if f"t{number} (" in sentences]
        assert {*named} <= {*dominators}
        rest = int(sentences.split(" and ")[-1].split()[0]) if " more." in sentences else 0
        assert len(named) + rest == len(dominators)


@pytest.mark.parametrize(
    ("objective", "values"),
    [
        ("train_seconds", "train seconds 25"),
        ("latency_seconds", "latency seconds 0.001"),
        ("peak_memory_bytes", "peak memory 5 GB"),
    ],
)
def test_what_a_trial_has_cost_is_told_as_it_stood_at_the_rung(
    make_sweep: MakeSweep, objective: str, values: str
) -> None:
    points = [(0.9, 1000), (0.8, 2000), (0.7, 3000), (0.6, 4000), (0.5, 5000)]
    sentences = told(make_sweep("s", halving(points)), "t5", ("validation_accuracy", objective))
    assert sentences[1] == "It was on front 5 of the objectives there; the first fronts go on."
    assert sentences[2] == f"Its values: validation accuracy 50.00 %, {values}."
    assert sentences[3].startswith("4 trials there, better in something and worse in nothing, dominated it: t1 (90")


def test_where_the_front_does_not_follow_from_the_tables_nobody_is_named(make_sweep: MakeSweep) -> None:
    folder = make_sweep("s", halving(LADDER))
    for objectives in (("validation_accuracy",), ("validation_accuracy", "rewards"), ()):
        assert len(told(folder, "t5", objectives)) == 2
