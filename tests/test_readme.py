"""README.md and the pages say what is so: their code runs, and the files that they link to are there."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib
import pytest

from cifar_tune.__main__ import COMMANDS
from cifar_tune.results import ResultsStore

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("**/*.md"))


def blocks(language: str, page: str) -> list[str]:
    """The fenced blocks of a page, as they stand."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def fill(store: ResultsStore, model: str) -> None:
    for place in range(3):
        configuration = {"model.name": model, "optimizer.lr": 0.1 / (place + 1)}
        store.update_trial(f"t{place}", status="completed", configuration=configuration)
        for epoch in (1, 2):
            values = {"rung": 1, "rung_size": 1, "rung_rank": 1, "rung_cutoff": 0.5} if epoch == 1 else {}
            store.add_epoch(f"t{place}", epoch, validation_accuracy=0.5 + place / 10, epoch_seconds=1.0, **values)


@pytest.fixture
def beside_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with the results of two sweeps whose columns differ."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    with ResultsStore.create(tmp_path / "results" / "quickstart", sweep_name="quickstart") as store:
        fill(store, "mininet")
    with ResultsStore.create(tmp_path / "results" / "other", sweep_name="other") as store:
        fill(store, "resnet18")
        store.update_trial("t0", configuration={"ema.decay": 0.9})
    journal = tmp_path / "results" / "quickstart" / "optuna.journal"
    optuna.create_study(storage=JournalStorage(JournalFileBackend(str(journal))), study_name="all")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("beside_results")
def test_the_code_about_the_table_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    code = blocks("python", "docs/tables.md")
    assert [block.split()[1] for block in code] == ["pandas", "polars", "duckdb", "optuna"]
    names: dict[str, object] = {}
    with matplotlib.rc_context({"backend": "agg"}):
        for block in code:
            exec(block, names)
    shown = capsys.readouterr().out
    assert shown.count("quickstart") + shown.count("other") == 5
    assert "['all']" in shown


@pytest.mark.usefixtures("beside_results")
def test_polars_counts_the_trials_of_both_sweeps() -> None:
    *_, line = next(block for block in blocks("python", "docs/tables.md") if "polars" in block).strip().splitlines()
    import polars as pl

    table = eval(line, {"pl": pl})
    assert sorted(table.rows()) == [("other", "completed", 3, 6.0), ("quickstart", "completed", 3, 6.0)]


def test_the_quickstart_file_is_shown_whole() -> None:
    for_editors, *lines = (ROOT / "sweeps" / "quickstart.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    assert for_editors.startswith("# yaml-language-server")
    assert blocks("yaml", "README.md") == ["".join(lines)]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *PAGES])
def test_every_file_that_a_page_links_to_is_there(page: str) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#\s]+)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_the_readme_links_to_every_guide() -> None:
    assert [str(guide) for guide in (ROOT / "docs").glob("*.md") if f"](docs/{guide.name})" not in README] == []


def test_every_command_begins_a_row_of_the_table() -> None:
    table = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `(?!python)(\w+)", table, re.MULTILINE)) == sorted(COMMANDS)


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150
