"""Asynchronous successive halving against a brute-force reading of its definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_tune.config.schedulers import Asha, rungs
from cifar_tune.search.schedulers.asha import AshaStopping, bracket_shares, places


def test_rungs_are_the_grace_period_times_powers_of_the_factor_below_the_last_epoch() -> None:
    assert rungs(3, 3, 30) == (3, 9, 27)
    assert rungs(1, 2, 8) == (1, 2, 4)
    assert rungs(5, 3, 5) == ()


@pytest.mark.parametrize(("size", "allowed"), [(1, 1), (2, 1), (3, 1), (5, 1), (6, 2), (9, 3), (10, 3)])
def test_one_trial_in_eta_goes_on_and_always_the_best(size: int, allowed: int) -> None:
    assert places(size, 3) == allowed


def brute_force(history: list[tuple[str, int, float]], epochs: int, grace: int, factor: int, sign: int) -> list[str]:
    """Decisions by the definition: at each first report at or past a rung, count who was better there before."""
    levels = [grace * factor**k for k in range(20) if grace * factor**k < epochs]
    at_rung: dict[int, list[float]] = {level: [] for level in levels}
    last_rung: dict[str, int] = {}
    decisions = []
    for trial, epoch, value in history:
        reached = [level for level in levels if level <= epoch]
        new = bool(reached) and reached[-1] > last_rung.get(trial, 0) and epoch < epochs
        action = "continue"
        if new:
            last_rung[trial] = reached[-1]
            at_rung[reached[-1]].append(value)
            everyone = at_rung[reached[-1]]
            better = sum(sign * other > sign * value for other in everyone)
            action = "continue" if better < max(1, len(everyone) // factor) else "stop"
        decisions.append(action)
    return decisions


@given(
    values=st.lists(st.tuples(st.integers(0, 7), st.floats(-1, 1)), max_size=120),
    grace=st.integers(1, 4),
    factor=st.integers(2, 4),
    sign=st.sampled_from([1, -1]),
    gap=st.integers(1, 3),
)
def test_every_decision_equals_that_of_a_brute_force_oracle(
    values: list[tuple[int, float]], grace: int, factor: int, sign: int, gap: int
) -> None:
    study = AshaStopping(Asha(grace_epochs=grace, reduction_factor=factor), 20, sign, seed=0)
    epoch_of: dict[str, int] = {}
    history, decisions = [], []
    for trial, value in values:
        name = str(trial)
        epoch = epoch_of[name] = epoch_of.get(name, 0) + gap
        if epoch <= 20:
            history.append((name, epoch, value))
            decisions.append(study.report(name, epoch, value).action)
    assert decisions == brute_force(history, 20, grace, factor, sign)


def test_a_decision_says_where_against_how_many_and_by_what() -> None:
    study = AshaStopping(Asha(grace_epochs=1, reduction_factor=3), 9, 1, seed=0)
    study.report("a", 1, 0.5)
    decision = study.report("b", 1, 0.25)
    assert (decision.action, decision.rung, decision.rung_size, decision.rung_rank) == ("stop", 1, 2, 2)
    assert decision.rung_cutoff == 0.5
    assert decision.reason == "place 2 of 2 at epoch 1; the cutoff was 0.5000"


def test_the_last_epoch_is_never_a_reason_to_stop() -> None:
    study = AshaStopping(Asha(grace_epochs=1, reduction_factor=3), 3, -1, seed=0)
    for name, loss in (("a", 0.1), ("b", 0.9)):
        study.report(name, 1, 0.1)
        assert study.report(name, 3, loss).action == "continue"


def test_trials_are_shared_between_brackets_as_in_hyperband() -> None:
    """R / r = 27, eta = 3: 27, 12, 6 and 4 trials, rounded up; the shares are of 27, 12, 6 and 4."""
    assert bracket_shares(3, 3, 4) == pytest.approx([27 / 49, 12 / 49, 6 / 49, 4 / 49])
    assert bracket_shares(3, 3, 1) == [1.0]


def test_a_bracket_follows_from_seed_and_name_and_gets_its_share() -> None:
    def brackets(seed: int) -> list[int]:
        study = AshaStopping(Asha(grace_epochs=1, brackets=4), 27, 1, seed)
        return [study.bracket(f"t{number:04}") for number in range(2000)]

    assert brackets(7) == brackets(7)
    assert brackets(7) != brackets(8)
    counts = [brackets(7).count(s) / 2000 for s in range(4)]
    assert counts == pytest.approx(bracket_shares(3, 3, 4), abs=0.03)


def test_trials_are_compared_within_their_bracket_from_its_own_first_rung_on() -> None:
    study = AshaStopping(Asha(grace_epochs=1, brackets=2), 9, 1, seed=0)
    names = [f"t{number:04}" for number in range(1, 30)]
    first, second = ([name for name in names if study.bracket(name) == s] for s in (0, 1))
    for name in second:
        assert study.report(name, 1, 0.0).rung is None
    for place, name in enumerate(first, start=1):
        decision = study.report(name, 1, 1 / place)
        assert (decision.rung, decision.rung_size, decision.rung_rank, decision.bracket) == (1, place, place, 0)
    decision = study.report(second[0], 3, 0.1)
    assert (decision.action, decision.rung, decision.rung_size, decision.bracket) == ("continue", 3, 1, 1)
    assert study.report(second[1], 3, 0.05).reason == "place 2 of 2 at epoch 3 in bracket 1; the cutoff was 0.1000"
