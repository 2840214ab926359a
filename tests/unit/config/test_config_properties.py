"""Properties of reading: whatever is written loads back, and whatever is broken is reported where it was broken."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_tune.config.document import parse
from cifar_tune.config.load import load_sweep
from cifar_tune.config.proposals import draw
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ConfigError
from cifar_tune.schema import LARGEST_SEED
from tests.unit.config.conftest import SOUND

POSITIVE = st.floats(1e-12, 1e12)
SHARE = st.floats(0, 0.999)


def component(name: str, **options: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"name": st.just(name)}, optional=options)


def required(
    name: str, lr: st.SearchStrategy[Any], **options: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"name": st.just(name), "lr": lr}, optional=options)


FLOAT_RANGE = st.builds(
    lambda ends, log: {"float": [*ends], "log": log},
    st.tuples(POSITIVE, POSITIVE).filter(lambda ends: ends[0] != ends[1]).map(sorted),
    st.booleans(),
)
INT_RANGE = st.builds(
    lambda low, steps, step: {"int": [low, low + steps * step], "step": step},
    st.integers(2, 100),
    st.integers(1, 5),
    st.integers(1, 64),
)
MODELS = component("resnet18", width=st.integers(1, 128)) | component("mininet", dropout=SHARE)
OPTIMIZERS = required("sgd", POSITIVE, momentum=SHARE, nesterov=st.just(False)) | required(
    "adamw", POSITIVE, beta1=SHARE
)
SEARCHED_OPTIMIZERS = st.lists(
    required("sgd", FLOAT_RANGE, nesterov=st.just(False)) | required("adamw", FLOAT_RANGE, beta1=SHARE),
    min_size=1,
    max_size=3,
    unique_by=str,
)
TRIALS = st.fixed_dictionaries(
    {
        "dataset": component("cifar10", train_size=st.none() | st.integers(100, 40_000)),
        "model": MODELS,
        "optimizer": OPTIMIZERS,
        "epochs": st.integers(1, 300),
    },
    optional={
        "augmentations": st.lists(
            component("flip", p=SHARE) | component("crop", padding=st.integers(1, 8)), max_size=3
        ),
        "ema": st.none() | st.fixed_dictionaries({"decay": SHARE}),
        "precision": st.sampled_from(["auto", "float32"]),
        "seed": st.integers(0, LARGEST_SEED),
    },
)
HEADERS = st.lists(st.from_regex(r"[A-Za-z0-9äöü:#%-]( ?[A-Za-z0-9äöü:#%-]){0,12}", fullmatch=True), max_size=3).map(
    "\n".join
)
SWEEPS = st.fixed_dictionaries(
    {"name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True), "trial": TRIALS},
    optional={
        "seed": st.integers(0, 2**40),
        "grid": st.fixed_dictionaries(
            {},
            optional={
                "ema.decay": st.lists(SHARE, min_size=2, max_size=4, unique=True),
                "sam": st.just([None, {"rho": 0.1}]),
            },
        ),
        "search": st.fixed_dictionaries(
            {},
            optional={
                "batch_size": INT_RANGE,
                "optimizer": SEARCHED_OPTIMIZERS.map(lambda options: {"choice": options}),
                "clip": st.builds(lambda norm: {"choice": [None, {"norm": norm}]}, FLOAT_RANGE),
            },
        ),
        "objective": st.fixed_dictionaries({"metric": st.sampled_from(["validation_accuracy", "validation_loss"])}),
        "sampler": component("tpe", n_startup_trials=st.integers(1, 99)) | component("random"),
        "trials_per_study": st.integers(1, 10_000),
        "resources": st.fixed_dictionaries({}, optional={"gpu_memory": st.just("auto") | POSITIVE}),
    },
)


def written(text: str, *overrides: str) -> SweepConfig:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sweep.yaml")
        path.write_text(text, encoding="utf-8")
        return load_sweep(path, overrides)


@settings(max_examples=30, deadline=None)
@given(SWEEPS, HEADERS)
def test_a_sweep_written_out_loads_to_an_equal_sweep(values: dict[str, Any], header: str) -> None:
    config = SweepConfig.model_validate(values).with_header(header)
    again = written(config.to_yaml())
    assert again == config
    assert again.cells() == config.cells()


@settings(max_examples=40, deadline=None)
@given(SWEEPS, st.data())
def test_every_proposal_makes_a_trial_whose_point_is_that_proposal(values: dict[str, Any], data: st.DataObject) -> None:
    config = SweepConfig.model_validate(values)

    def suggest(name: str, domain: Any) -> Any:
        if hasattr(domain, "options"):
            return data.draw(st.sampled_from([*domain.options]), name)
        between = st.floats if isinstance(domain.low, float) else st.integers
        drawn = data.draw(between(domain.low, domain.high), name)
        return drawn if domain.contains(drawn) else domain.high

    for cell in config.cells()[:3]:
        trial = config.trial_with({**cell, **draw(config.search, suggest)}, seed=1)
        assert isinstance(trial.seed, int)


LINES = SOUND.splitlines()
KEYED = [number for number, line in enumerate(LINES) if re.match(r"\s*(- )?[\w.]+:", line)]
VALUED = [number for number in KEYED if re.search(r": \S", LINES[number])]


def broken_at(number: int, line: str) -> str:
    text = "\n".join([*LINES[:number], line, *LINES[number + 1 :]]) + "\n"
    with pytest.raises(ConfigError) as caught:
        written(text)
    lines = {problem.line for problem in caught.value.problems}
    assert number + 1 in lines, f"{line!r} is on line {number + 1}, but reported was:\n{caught.value}"
    return str(caught.value)


@pytest.mark.parametrize("number", KEYED, ids=lambda number: LINES[number].strip())
def test_every_misspelt_key_is_reported_on_its_line(number: int) -> None:
    broken_at(number, re.sub(r"([\w.]+):", r"\1x:", LINES[number], count=1))


@pytest.mark.parametrize("number", VALUED, ids=lambda number: LINES[number].strip())
def test_every_key_written_twice_is_reported_on_the_second_line(number: int) -> None:
    key = LINES[number].replace("- ", "  ").split(":")[0]
    again = LINES[number + 1] if number + 1 < len(LINES) else ""
    assert "the key stands here twice" in broken_at(number + 1, f"{key}: 1\n{again}")


@pytest.mark.parametrize("replacement", ["{zzz: 1}", "", "-7.5"])
@pytest.mark.parametrize("number", VALUED, ids=lambda number: LINES[number].strip())
def test_every_value_of_another_type_is_reported_on_its_line(number: int, replacement: str) -> None:
    broken_at(number, re.sub(r": \S.*", f": {replacement}", LINES[number]))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_text_is_read_or_refused_but_never_crashes(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(SOUND)))
    end = data.draw(st.integers(start, min(len(SOUND), start + 40)))
    junk = data.draw(st.text(alphabet="abc:-[]{}&*!|>'\"#%@`,?~ \n\t09._<=", max_size=12) | st.text(max_size=4))
    text = SOUND[:start] + junk + SOUND[end:]
    with contextlib.suppress(ConfigError):
        written(text)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%,?~ \n\t0.<=", max_size=40))
def test_any_text_is_a_document_or_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        parse(text, "f.yaml")
