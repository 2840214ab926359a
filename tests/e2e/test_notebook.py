"""docs/analysis.ipynb runs as it is committed, on the example sweep that is committed with it."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from cifar_tune.analysis.why import why
from cifar_tune.results import load

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "analysis.ipynb"
EXAMPLE = ROOT / "results" / "examples" / "cifar10_cpu"
MOST_BYTES = 200_000


def test_the_notebook_is_committed_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


def test_the_example_is_small_and_names_no_machine() -> None:
    files = sorted(EXAMPLE.iterdir())
    assert [file.name for file in files] == ["environment.json", "epochs.parquet", "sweep.yaml", "trials.parquet"]
    assert sum(file.stat().st_size for file in files) < MOST_BYTES
    assert load(EXAMPLE).trials["node"].isna().all()
    assert "host" not in json.loads((EXAMPLE / "environment.json").read_text(encoding="utf-8"))


def test_why_says_the_same_of_tables_as_pandas_reads_them() -> None:
    trials, epochs = (pd.read_parquet(EXAMPLE / f"{name}.parquet") for name in ("trials", "epochs"))
    loaded = load(EXAMPLE)
    told = why(trials, epochs, "t0008")
    assert told == why(loaded.trials, loaded.epochs, "t0008")
    assert "place 2 of the 2 trials that had come there, to the rung at epoch 3" in told


@pytest.mark.slow
def test_every_cell_of_the_notebook_runs() -> None:
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    shown = {
        cell.source.splitlines()[-1]: [kind for output in cell.outputs for kind in output.get("data", {})]
        for cell in notebook.cells
        if cell.cell_type == "code"
    }
    drawn = [line for line, kinds in shown.items() if "_figure(" in line]
    assert len(drawn) == 6
    assert [line for line in drawn if "image/png" not in shown[line]] == []
    assert "text/html" in shown["ablation(trials)"]
