"""results/README.md says what the columns are."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from cifar_tune.results.columns import CONFIRMATION_COLUMNS, EPOCH_COLUMNS, TRIAL_COLUMNS

README = Path(__file__).parents[3] / "results" / "README.md"


def test_the_readme_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("cifar_tune.results", run_name="__main__")
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert README.read_text(encoding="utf-8") == printed, "run python -m cifar_tune.results > results/README.md"


def test_the_readme_names_every_column() -> None:
    text = README.read_text(encoding="utf-8")
    for column in (*TRIAL_COLUMNS, *EPOCH_COLUMNS, *CONFIRMATION_COLUMNS):
        assert f"| `{column.name}` | {column.kind} | {column.unit} | {column.meaning}" in text
