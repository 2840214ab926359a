"""The JSON schema by which editors check a sweep file."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cifar_tune.config.document import parse, read
from cifar_tune.config.json_schema import sweep_schema

COMMITTED = Path("docs/sweep.schema.json")


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = sweep_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_committed_schema_is_current(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["cifar_tune.config"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("cifar_tune.config", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == COMMITTED.read_text(encoding="utf-8"), (
        "run: python -m cifar_tune.config > docs/sweep.schema.json"
    )


@pytest.mark.parametrize("path", sorted(Path("sweeps").glob("*.yaml")), ids=lambda path: path.name)
def test_every_sweep_of_the_project_satisfies_it_and_names_it(validator: Draft202012Validator, path: Path) -> None:
    validator.validate(read(path).tree)
    first = path.read_text(encoding="utf-8").splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == COMMITTED.resolve()


def test_the_fullest_sweep_satisfies_it_and_so_does_its_resolved_form(
    validator: Draft202012Validator, write: Any
) -> None:
    from cifar_tune.config.load import load_sweep

    path = write()
    validator.validate(read(path).tree)
    validator.validate(parse(load_sweep(path).to_yaml(), "resolved").tree)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    momentum: 0.9", "    momentun: 0.9"),
        ("    name: mininet", "    name: mininett"),
        ("    name: sgd\n", ""),
        ("    lr: 0.1", "    lr: 0"),
        ("    float: [1e-3, 1.0]", "    flaot: [1e-3, 1.0]"),
        ("          float: [0.1, 0.5]", "          float: [0.1]"),
        ("  gpus: 0.5", "  gpus: none"),
        ("[relu, mish]", "relu"),
    ],
)
def test_it_refuses_what_the_reader_refuses(validator: Draft202012Validator, write: Any, old: str, new: str) -> None:
    assert not validator.is_valid(read(write((old, new))).tree)


def test_it_completes_paths_and_describes_them() -> None:
    schema = json.loads(json.dumps(sweep_schema()))
    for block in ("grid", "search"):
        offered = schema["properties"][block]["properties"]
        assert {"optimizer.lr", "model.stem.kernel", "ema.decay", "schedule.rise", "model"} <= offered.keys()
    assert "Effective" in schema["properties"]["search"]["properties"]["batch_size"]["description"]
