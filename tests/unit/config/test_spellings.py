"""Keys under other names."""

from __future__ import annotations

from pathlib import Path

import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.errors import ConfigError

SWEEP = """\
name: small
trial:
  dataset: {name: digits}
  model: {name: mininet}
  optimizer: {name: sgd, lr: 0.1}
  epochs: 2
search:
  optimizer:
    choice:
      - {name: sgd, lr: {float: [0.01, 0.1], PRIOR: {mean: 0.05, strength: 0.75}}}
      - {name: adamw, lr: 0.001}
    PRIOR: {option: sgd}
sampler: {name: tpe, STARTUP: 7}
"""


def written(tmp_path: Path, text: str, prior: str, startup: str) -> Path:
    file = tmp_path / "sweep.yaml"
    file.write_text(text.replace("PRIOR", prior).replace("STARTUP", startup))
    return file


def test_priors_are_a_prior_and_an_earlier_name_is_read_as_the_present_one(tmp_path: Path) -> None:
    others = load_sweep(written(tmp_path, SWEEP, "priors", "startup_trials"))
    assert others == load_sweep(written(tmp_path, SWEEP, "prior", "n_startup_trials"))
    assert "\n  n_startup_trials: 7\n" in others.to_yaml()


def test_what_is_wrong_under_another_name_is_found_at_its_line(tmp_path: Path) -> None:
    text = SWEEP.replace("0.75", "2").replace("STARTUP: 7", "STARTUP: 0")
    with pytest.raises(ConfigError) as error:
        load_sweep(written(tmp_path, text, "priors", "startup_trials"))
    first, second = str(error.value).splitlines()
    assert "sweep.yaml:10:77: search.optimizer.choice.0.lr.prior.strength: must be a number above 0" in first
    assert "sweep.yaml:13:38: sampler.n_startup_trials: must be a whole number of at least 1, got 0" in second


def test_a_key_under_both_names_is_refused(tmp_path: Path) -> None:
    text = SWEEP.replace("STARTUP: 7", "STARTUP: 7, n_startup_trials: 8")
    with pytest.raises(ConfigError, match="unknown key `startup_trials`; did you mean `n_startup_trials`"):
        load_sweep(written(tmp_path, text, "prior", "startup_trials"))


def test_a_searched_path_of_that_name_is_no_prior(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="priors: unknown key"):
        load_sweep(written(tmp_path, SWEEP, "prior", "n_startup_trials"), ["search.priors={float: [0.1, 1.0]}"])
