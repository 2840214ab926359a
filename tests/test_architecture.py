"""The rooms' walls: who may import whom, and what stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "cifar_tune"

MAY_IMPORT = {
    "errors": set(),
    "schema": {"errors"},
    "dominance": set(),
    "buckets": {"errors"},
    "training": {"buckets", "schema", "errors"},
    "exits": {"buckets", "errors"},
    "config": {"training", "schema", "errors", "exits"},
    "results": {"buckets", "errors", "exits"},
    "figures": {"errors"},
    "tuning": {"config", "training", "results", "buckets", "dominance", "schema", "errors"},
    "analysis": {"results", "figures", "dominance", "errors"},
    "serving": {"analysis", "figures", "results", "buckets", "errors"},
    "tracking": {"figures", "results", "errors"},
    "inspection": {"training", "figures", "schema", "errors"},
}
ONLY_IN_TUNING = {"ray", "optuna"}
NEVER_BESIDE_TRAINING = {"torch", "torchvision"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.module or "", node.lineno


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_the_rooms_below_it(path: Path) -> None:
    room = room_of(path)
    for module, line in imports_of(path):
        where = f"{path.relative_to(PACKAGE.parent)}:{line}"
        top = module.split(".")[0]
        if top in ONLY_IN_TUNING:
            assert room == "tuning", f"{where}: only tuning imports {top}"
        if room in ("analysis", "figures", "results", "serving", "tracking"):
            assert top not in NEVER_BESIDE_TRAINING, f"{where}: {room} needs no {top}"
        if top == "cifar_tune" and room in MAY_IMPORT:
            other = module.split(".")[1] if "." in module else ""
            assert other in {"", room} | MAY_IMPORT[room], f"{where}: {room} may not import {other}"


def test_the_test_split_is_loaded_in_one_place_only_and_that_is_called_where_that_is_written_down() -> None:
    loads, callers = set(), set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "load":
                given = [*node.args, *(keyword.value for keyword in node.keywords)]
                constants = [one.value for one in given if isinstance(one, ast.Constant)]
                loads |= {path.relative_to(PACKAGE).as_posix()} if "test" in constants else set()
        if any(module == "cifar_tune.training.sealed" for module, _ in imports_of(path)):
            callers.add(path.relative_to(PACKAGE).as_posix())
    assert loads == {"training/sealed.py"}
    assert callers == {"tuning/workers/trial_process.py", "tuning/evaluating.py"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_fits_the_mind(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


COMMANDS = "cifar_tune.config.load, cifar_tune.tracking.event_files, " + ", ".join(
    f"cifar_tune.{path.stem}" for path in sorted(PACKAGE.glob("[a-z]*.py")) if "def main(" in path.read_text()
)
"""What all commands import before they know what they are to do."""


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        pytest.param(
            COMMANDS,
            ("torch", "ray", "optuna", "pandas", "matplotlib", "sklearn", "starlette", "uvicorn", "tensorboardX"),
            id="commands",
        ),
        ("cifar_tune.serving.server, cifar_tune.serving.app", ("torch", "ray", "optuna", "plotly")),
        ("cifar_tune.tuning.search.search", ("torch", "ray", "scipy")),
        pytest.param("cifar_tune.training.epochs", ("ray", "optuna", "pandas", "torchvision"), marks=pytest.mark.slow),
    ],
)
def test_importing_a_module_leaves_heavy_libraries_alone(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import {module}, sys; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
