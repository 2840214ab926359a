"""Priors as they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from cifar_tune.config.domains import ChoiceDomain
from cifar_tune.config.load import load_sweep
from cifar_tune.config.ranges import FloatDomain
from cifar_tune.errors import ConfigError

SWEEP = """\
name: small
trial:
  dataset: {name: digits}
  model: {name: resnet18, width: 8}
  optimizer: {name: sgd, lr: 0.1}
  epochs: 2
search:
  PATH: DOMAIN
"""


def written(tmp_path: Path, path: str, domain: str) -> Path:
    file = tmp_path / "sweep.yaml"
    file.write_text(SWEEP.replace("PATH", path).replace("DOMAIN", domain))
    return file


@pytest.mark.parametrize(
    ("path", "domain", "message"),
    [
        (
            "optimizer.lr",
            "{float: [1e-3, 1.0], log: true, prior: {mean: 2.0}}",
            "sweep.yaml:8:17: search.optimizer.lr: the prior's mean 2 lies outside the range; allowed: 0.001 to 1",
        ),
        (
            "batch_size",
            "{int: [32, 128], step: 32, prior: {mean: 16}}",
            "search.batch_size: the prior's mean 16 lies outside the range; allowed: 32 to 128",
        ),
        (
            "optimizer.lr",
            "{float: [1e-3, 1.0], prior: {mean: 0.1, strength: 0}}",
            "search.optimizer.lr.prior.strength: must be a number above 0 and at most 1, got 0",
        ),
        (
            "optimizer.lr",
            "{float: [1e-3, 1.0], prior: {strength: 0.1}}",
            "search.optimizer.lr.prior.mean: missing; must be a number",
        ),
        (
            "batch_size",
            "{choice: [32, 64], prior: {option: 128}}",
            "search.batch_size: the prior names 128, which is not an option; allowed: 32, 64",
        ),
        (
            "batch_size",
            "{choice: [32, 64], prior: {mean: 64}}",
            "search.batch_size.prior.mean: unknown key `mean`",
        ),
    ],
)
def test_a_prior_that_cannot_be_is_named_with_its_line(tmp_path: Path, path: str, domain: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_sweep(written(tmp_path, path, domain))
    assert message in str(error.value)


def test_a_prior_survives_being_written_out(tmp_path: Path) -> None:
    file = written(tmp_path, "optimizer.lr", "{float: [1e-3, 1.0], log: true, prior: {mean: 0.1, strength: 0.75}}")
    sweep = load_sweep(file)
    file.write_text(sweep.to_yaml())
    again = load_sweep(file).search["optimizer.lr"]
    assert again == sweep.search["optimizer.lr"]
    assert isinstance(again, FloatDomain)
    assert again.prior is not None
    assert (again.prior.mean, again.prior.strength) == (0.1, 0.75)


def test_a_component_is_preferred_by_its_name_and_carries_priors_of_its_own(tmp_path: Path) -> None:
    domain = (
        "{choice: [{name: sgd, lr: 0.1}, {name: adamw, lr: {float: [1e-4, 1e-2], log: true, prior: {mean: 1e-3}}}],"
        " prior: {option: adamw}}"
    )
    chosen = load_sweep(written(tmp_path, "optimizer", domain)).search["optimizer"]
    assert isinstance(chosen, ChoiceDomain)
    assert chosen.preferred == "adamw"
    (lr,) = chosen.options["adamw"].domains.values()
    assert lr.prior is not None
