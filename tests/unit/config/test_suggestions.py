"""What a message proposes instead of what was written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from cifar_tune.cli.arguments import suggested_override
from cifar_tune.config.document import read
from cifar_tune.config.foreign_domains import as_domain
from cifar_tune.config.load import load_sweep
from cifar_tune.errors import ConfigError
from cifar_tune.schema import LARGEST_SEED


@pytest.mark.parametrize(
    ("written", "ours"),
    [
        ("{min: 0.01, max: 1.0}", {"float": [0.01, 1.0]}),
        ("{min: 1, max: 8}", {"int": [1, 8]}),
        ("{values: [0.1, 0.2]}", {"choice": [0.1, 0.2]}),
        ("{distribution: categorical, values: [a, b]}", {"choice": ["a", "b"]}),
        ("{distribution: log_uniform_values, min: 1e-4, max: 0.1}", {"float": [1e-4, 0.1], "log": True}),
        ("{distribution: log_uniform, min: 0, max: 1}", {"float": [1.0, 2.72], "log": True}),
        ("{distribution: q_uniform, min: 0.5, max: 1.0, q: 0.25}", {"float": [0.5, 1.0], "step": 0.25}),
        ("{distribution: int_uniform, min: 1, max: 8}", {"int": [1, 8]}),
        ("tune.loguniform(1e-4, 0.1)", {"float": [1e-4, 0.1], "log": True}),
        ("{loguniform: [1e-4, 0.1]}", {"float": [1e-4, 0.1], "log": True}),
        ("tune.randint(1, 9)", {"int": [1, 8]}),
        ("tune.qrandint(8, 64, 8)", {"int": [8, 64], "step": 8}),
        ("{grid_search: [1, 2]}", {"choice": [1, 2]}),
        ("tune.choice([32, 64])", {"choice": [32, 64]}),
        ("trial.suggest_float('lr', 1e-4, 0.1, log=True)", {"float": [1e-4, 0.1], "log": True}),
        ("{type: float, low: 0.1, high: 0.5, step: 0.1}", {"float": [0.1, 0.5], "step": 0.1}),
        ("IntDistribution(low=1, high=8)", {"int": [1, 8]}),
        ("{type: range, bounds: [0.1, 0.5], log_scale: true}", {"float": [0.1, 0.5], "log": True}),
        ("{_type: choice, _value: [1, 2]}", {"choice": [1, 2]}),
        ("interval(0.1, 0.5)", {"float": [0.1, 0.5]}),
        ("[0.1, 0.2]", {"choice": [0.1, 0.2]}),
    ],
)
def test_a_distribution_of_another_library_is_written_as_ours(written: str, ours: dict[str, Any]) -> None:
    yaml = YAML(typ="safe", pure=True)
    meant = as_domain(yaml.load(f'"{written}"' if written[0] not in "{[" else written))
    assert meant is not None
    assert yaml.load(meant) == ours


@pytest.mark.parametrize(
    "value", [{"distribution": "normal", "mu": 0, "sigma": 1}, {"values": [1]}, "sgd", {"min": 2, "max": 1}, 3, None]
)
def test_what_has_no_equivalent_is_not_suggested(value: Any) -> None:
    assert as_domain(value) is None


def test_a_range_of_another_library_is_suggested_where_it_stands(problems: Callable[..., list[str]]) -> None:
    lines = problems(("    float: [1e-3, 1.0]\n    log: true\n", "    min: 0.001\n    max: 1.0\n"))
    assert lines[0].endswith("; write {float: [0.001, 1.0]}")


@pytest.mark.parametrize(
    ("written", "end"),
    [
        ("0,1", "; did you mean 0.1?"),
        ("10%", "; did you mean 0.1?"),
        ("'0.1'", "; did you mean 0.1, without quotes?"),
        ("much", "got the text 'much'"),
        ("{min: 0.1, max: 1.0}", "; a searched value is written {float: [0.1, 1.0]}, under `search`"),
    ],
)
def test_a_number_that_is_written_otherwise_is_suggested(
    written: str, end: str, problems: Callable[..., list[str]]
) -> None:
    (line,) = problems(("    lr: 0.1", f"    lr: {written}"))
    assert line.endswith(end)


def test_a_name_is_told_in_words_what_it_may_be(problems: Callable[..., list[str]]) -> None:
    (line,) = problems(("name: sound", "name: my sweep!"))
    assert "letters, digits" in line
    assert "^" not in line


def test_a_seed_leaves_room_for_those_that_are_counted_up_from_it(write: Callable[..., Path]) -> None:
    assert load_sweep(write(("seed: 3\n", f"seed: {LARGEST_SEED}\n"))).trial.seed + 2**31 < 2**63
    with pytest.raises(ConfigError, match=f"seed: the number is too large; whole numbers go to {LARGEST_SEED}"):
        load_sweep(write(("seed: 3\n", f"seed: {2**63 - 1}\n")))


@pytest.mark.parametrize(
    ("options", "meant"),
    [
        (["--epochs", "3"], "--set trial.epochs=3"),
        (["--lr=0.1"], "--set trial.optimizer.lr=0.1"),
        (["--learning-rate", "0.1"], "--set trial.optimizer.lr=0.1"),
        (["--batch-size", "--plan"], "--set trial.batch_size=VALUE"),
        (["--trials-per-study", "4"], "--set trials_per_study=4"),
    ],
)
def test_an_option_that_is_a_key_of_the_file_is_suggested_as_an_override(options: list[str], meant: str) -> None:
    assert suggested_override(options) == f"; did you mean {meant}?"


def test_an_option_that_is_no_key_is_not() -> None:
    assert suggested_override(["--verbose"]) == ""


@pytest.mark.parametrize("name", ["quickstart.yaml", "quickstart", "quickstat.yaml"])
def test_an_example_that_is_named_without_its_folder_is_found(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "quickstart.yaml").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"did you mean sweeps/quickstart\.yaml\?"):
        read(Path(name))
