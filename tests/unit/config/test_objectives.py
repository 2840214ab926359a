"""Several objectives in a sweep file: what they mean, and what cannot go by them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.config.objective import BETTER
from cifar_tune.errors import ConfigError

SWEEP = """\
name: a
trial:
  dataset: {name: digits}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.1}
  batch_size: 64
  epochs: 9
"""

ALLOWED = (
    "allowed: validation_accuracy or validation_loss, and beside it, in a list, num_parameters, flops_per_image, "
    "train_seconds, latency_seconds, peak_memory_bytes"
)

Problems = Callable[[str], list[str]]


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    return tmp_path / "a.yaml"


@pytest.fixture
def problems(sweep_file: Path) -> Problems:
    """The problems of the sweep above with these lines, each from its line number on."""

    def of(lines: str) -> list[str]:
        sweep_file.write_text(SWEEP + lines)
        with pytest.raises(ConfigError) as caught:
            load_sweep(sweep_file)
        return [str(one).removeprefix(f"{sweep_file}:") for one in caught.value.problems]

    return of


def test_the_mode_of_each_objective_follows_from_its_metric(sweep_file: Path) -> None:
    names = ", ".join(f"{{metric: {name}}}" for name in BETTER)
    sweep_file.write_text(f"{SWEEP}objective: [{names}]\n")
    sweep = load_sweep(sweep_file)
    assert {one.metric: one.mode for one in sweep.objectives} == BETTER


def test_one_objective_is_the_same_with_and_without_a_list(sweep_file: Path) -> None:
    sweep_file.write_text(f"{SWEEP}objective: {{metric: validation_loss}}\n")
    plain = load_sweep(sweep_file)
    sweep_file.write_text(f"{SWEEP}objective: [{{metric: validation_loss}}]\n")
    assert load_sweep(sweep_file) == plain
    assert [one.sign for one in plain.objectives] == [-1]


def test_a_sweep_with_several_objectives_reads_the_same_when_written_out(sweep_file: Path) -> None:
    sweep_file.write_text(f"{SWEEP}objective: [{{metric: validation_accuracy}}, {{metric: latency_seconds}}]\n")
    sweep = load_sweep(sweep_file)
    sweep_file.write_text(sweep.to_yaml())
    assert load_sweep(sweep_file) == sweep


def test_latency_as_an_objective_is_measured_by_every_trial(sweep_file: Path) -> None:
    sweep_file.write_text(f"{SWEEP}objective: [{{metric: validation_accuracy}}, {{metric: latency_seconds}}]\n")
    assert load_sweep(sweep_file).trial.evaluation.latency
    sweep_file.write_text(SWEEP)
    assert not load_sweep(sweep_file).trial.evaluation.latency


TWO = "objective: [{metric: validation_accuracy}, {metric: num_parameters}]\n"


def test_a_sampler_and_a_scheduler_that_know_one_number_are_refused_with_the_allowed_ones(problems: Problems) -> None:
    assert problems(TWO + "sampler: {name: cmaes}\nscheduler: {name: median}\n") == [
        "9:17: sampler.name: cmaes goes by one objective; with several, allowed are tpe, random, gp, qmc, nsga2",
        "10:19: scheduler.name: median goes by one objective; with several, allowed are asha, none",
    ]


def test_all_that_is_wrong_with_objectives_is_said_at_once(problems: Problems) -> None:
    lines = "sampler: {name: cmaes}\ntrials_per_study: 0\nscheduler: {name: asha, grace_epochs: 99}\n"
    assert problems(TWO + lines) == [
        "9:17: sampler.name: cmaes goes by one objective; with several, allowed are tpe, random, gp, qmc, nsga2",
        "10:19: trials_per_study: must be a whole number of at least 1, got 0",
        "11:39: scheduler.grace_epochs: must be at most trial.epochs, which is 9, got 99",
    ]


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (
            "{metric: num_parameters}",
            f"8:21: objective.metric: nothing that is learnt counts, got num_parameters; {ALLOWED}",
        ),
        (
            "[{metric: num_parameters}, {metric: train_seconds}]",
            f"8:12: objective: nothing that is learnt counts, got num_parameters, train_seconds; {ALLOWED}",
        ),
        (
            "[]",
            f"8:12: objective: nothing that is learnt counts, got an empty list; {ALLOWED}",
        ),
        (
            "[{metric: validation_loss}, {metric: validation_loss}]",
            "8:49: objective.1.metric: validation_loss is an objective already; name each once",
        ),
        (
            "[{metric: validation_loss}, {metric: num_parameters, mode: max}]",
            "8:71: objective.1.mode: num_parameters is better the lower it is; must be min, got max",
        ),
        (
            "{metric: accuracy}",
            f"8:21: objective.metric: unknown metric `accuracy`; did you mean `validation_accuracy`? {ALLOWED}",
        ),
        ("accuracy", "8:12: objective: must be a mapping (metric, mode) or a list, got the text 'accuracy'"),
        (
            "[{metric: validation_loss}, {metric: parameters}]",
            f"8:49: objective.1.metric: unknown metric `parameters`; did you mean `num_parameters`? {ALLOWED}",
        ),
    ],
)
def test_an_objective_that_cannot_be_is_named_with_what_is_allowed(
    problems: Problems, objective: str, message: str
) -> None:
    assert problems(f"objective: {objective}\n") == [message]


def test_latency_cannot_be_an_objective_and_not_be_measured(problems: Problems) -> None:
    lines = "  evaluation: {latency: false}\nobjective: [{metric: validation_loss}, {metric: latency_seconds}]\n"
    assert problems(lines) == [
        "8:25: trial.evaluation.latency: must be true, for latency_seconds is an objective, got false"
    ]


def test_an_audit_of_early_stopping_is_of_one_objective(sweep_file: Path, problems: Problems) -> None:
    sweep_file.write_text(SWEEP + TWO)
    assert load_sweep(sweep_file).scheduler.model_dump()["audit_fraction"] == 0
    assert problems(TWO + "scheduler: {name: asha, audit_fraction: 0.1}\n") == [
        "9:41: scheduler.audit_fraction: an audit is of one objective; with several, must be 0 or left out"
    ]
