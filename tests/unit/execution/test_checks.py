"""What is refused before Ray starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.errors import ConfigError
from cifar_tune.execution.checks import check_trials

SWEEP = """
name: few
trial:
  dataset: {name: digits}
  model: {name: mininet, width: 4}
  optimizer: {name: sgd, lr: 0.1}
  batch_size: 16
  epochs: 2
search: {batch_size: {int: [4, 32]}}
resources: {processes: 4, gpus: 0}
"""


def test_a_batch_that_leaves_a_process_fewer_than_two_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "few.yaml").write_text(SWEEP)
    with pytest.raises(ConfigError) as caught:
        check_trials(load_sweep(tmp_path / "few.yaml"), tmp_path)
    assert str(caught.value) == (
        "search.batch_size: a micro-batch for 4 processes has at least 8 images, 2 for each BatchNorm"
    )
    check_trials(load_sweep(tmp_path / "few.yaml", ["search.batch_size={int: [8, 32]}"]), tmp_path)
