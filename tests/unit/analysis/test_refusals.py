"""What a report says of proposals that were not trained."""

from __future__ import annotations

from pathlib import Path

from cifar_tune.analysis.refusals import refusals, refusals_text
from cifar_tune.analysis.sweep_file import SweepFile, read_sweep_file
from cifar_tune.results.store import ResultsStore


def test_refused_proposals_are_counted_by_study_with_the_last_reason(tmp_path: Path) -> None:
    with ResultsStore.create(tmp_path / "x", sweep_name="x") as store:
        for study, seed, refused in (
            ("a", 0, {}),
            ("a", None, {"refused": "num_parameters 9 is above max 5"}),
            ("b", 0, {}),
            ("a", None, {"refused": "num_parameters 8 is above max 5"}),
        ):
            store.note("proposed", study=study, answers={}, attributes=None, values={}, seed=seed, **refused)
        store.note("other", study="a")
    (tmp_path / "x" / "sweep.yaml").write_text("constraints: {num_parameters: {max: 5}}\n")
    table = refusals(tmp_path / "x", read_sweep_file(tmp_path / "x"))
    assert table.to_numpy().tolist() == [["a", 2, 1, "num_parameters 8 is above max 5"]]
    assert refusals_text(table) == (
        "2 of 3 proposals were refused before training, such as: num_parameters 8 is above max 5."
    )


def test_without_constraints_or_ledger_nothing_was_refused(tmp_path: Path) -> None:
    assert refusals(tmp_path, SweepFile()).empty
    assert refusals_text(refusals(tmp_path, SweepFile(constrained=True))) is None
