"""What is kept of the experiments' small versions in results/examples: small, whole, nobody's machine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cifar_tune.analysis.ranking import status_counts
from cifar_tune.results import load

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path for path in (ROOT / "results" / "examples").iterdir() if path.is_dir())
MOST_BYTES, MOST_BYTES_IN_ALL = 300_000, 3_000_000


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_small_whole_and_names_no_machine(folder: Path) -> None:
    assert sum(path.stat().st_size for path in files(folder)) < MOST_BYTES
    frames = load(folder)
    assert set(status_counts(frames.trials)) <= {"completed", "stopped"}
    assert frames.trials["node"].isna().all()
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    assert "host" not in environment
    assert environment["command"].startswith(f"python -m cifar_tune.sweep sweeps/{folder.name}.yaml")


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_every_figure_of_an_examples_report_is_there_and_no_other(folder: Path) -> None:
    if (report := folder / "report" / "report.md").exists():
        shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", report.read_text(encoding="utf-8"))
        assert sorted(shown) == sorted(path.name for path in report.parent.glob("*.png"))


def test_all_examples_together_are_small() -> None:
    assert sum(path.stat().st_size for folder in EXAMPLES for path in files(folder)) < MOST_BYTES_IN_ALL


def test_the_experiments_that_were_run_small_say_what_was_found() -> None:
    found = {path.stem for path in (ROOT / "sweeps").glob("*.yaml") if "# Finding" in path.read_text(encoding="utf-8")}
    assert found == {folder.name for folder in EXAMPLES if (folder / "report").exists()}
