"""A sound sweep that uses every part of a sweep file, to be changed by each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cifar_tune.config.load import load_sweep
from cifar_tune.errors import ConfigError

SOUND = """\
# Question: does it load?
# Cost: nothing.

name: sound
seed: 3
trial:
  dataset:
    name: cifar10
    validation_fraction: 0.2
  model:
    name: mininet
    activation: mish
  augmentations:
    - name: flip
    - name: crop
      padding: 4
  loss:
    label_smoothing: 0.1
  optimizer:
    name: sgd
    lr: 0.1
    momentum: 0.9
  batch_size: 128
  accumulation: 2
  epochs: 30
grid:
  model.activation: [relu, mish]
  model.width:
    - 8
    - 16
search:
  optimizer.lr:
    float: [1e-3, 1.0]
    log: true
  batch_size:
    int: [64, 256]
    step: 64
  augmentations.crop.padding:
    int: [1, 8]
  schedule:
    choice:
      - name: onecycle
        rise:
          float: [0.1, 0.5]
      - name: cosine
  sam:
    choice:
      - null
      - rho: 0.05
objective:
  metric: validation_loss
sampler:
  name: tpe
  n_startup_trials: 5
scheduler:
  name: asha
  reduction_factor: 4
trials_per_study: 12
resources:
  gpus: 0.5
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes the sound sweep, with each (old, new) pair of texts exchanged."""

    def write(*changes: tuple[str, str], text: str = SOUND) -> Path:
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the sweep"
            text = text.replace(old, new)
        path = tmp_path / "sweep.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def problems(write: Callable[..., Path]) -> Callable[..., list[str]]:
    """Returns the lines of the error that the changed sweep gives, each without the folder of its file."""

    def problems(*changes: tuple[str, str], text: str = SOUND, overrides: tuple[str, ...] = ()) -> list[str]:
        path = write(*changes, text=text)
        with pytest.raises(ConfigError) as caught:
            load_sweep(path, overrides)
        return [line.removeprefix(f"{path.parent}/") for line in str(caught.value).splitlines()]

    return problems
