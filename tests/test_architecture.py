"""Who may import whom, and what stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from cifar_tune import layout

PACKAGE = Path(__file__).parents[1] / "cifar_tune"

MAY_IMPORT = {
    "errors": set(),
    "layout": set(),
    "pareto": set(),
    "schema": {"errors"},
    "storage": {"errors", "layout"},
    "training": {"storage", "schema", "errors", "layout"},
    "config": {"training", "schema", "errors"},
    "results": {"storage", "errors", "layout"},
    "search": {"config", "training", "results", "storage", "pareto", "schema", "errors", "layout"},
    "execution": {"search", "config", "training", "results", "storage", "errors", "layout"},
    "plotting": {"errors"},
    "analysis": {"results", "plotting", "pareto", "errors", "layout"},
    "dashboard": {"analysis", "plotting", "results", "storage", "errors", "layout"},
    "tracking": {"plotting", "results", "errors", "layout"},
    "inspection": {"training", "plotting", "schema", "errors", "layout"},
}
"""By package: the packages below it. `cli` is above all of them."""

ONLY_IN = {"ray": "execution", "optuna": "search"}
WITHOUT_TORCH = {"search", "config", "results", "storage", "analysis", "plotting", "dashboard", "tracking"}


def package_of(path: Path) -> str:
    """The package of a file. A file that runs a command, `sweep.py` or `X/__main__.py`, is in none."""
    parts = path.relative_to(PACKAGE).parts
    return "" if parts[-1] == "__main__.py" or is_shim(path) else parts[0].removesuffix(".py")


def is_shim(path: Path) -> bool:
    return path.parent == PACKAGE and path.name != "__init__.py" and (PACKAGE / "cli" / path.name).exists()


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.module or "", node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_package_imports_only_the_packages_below_it(path: Path) -> None:
    package = package_of(path)
    for module, line in imports_of(path):
        where = f"{path.relative_to(PACKAGE.parent)}:{line}"
        top = module.split(".")[0]
        assert package == ONLY_IN.get(top, package), f"{where}: only {ONLY_IN[top]} imports {top}"
        if package in WITHOUT_TORCH:
            assert top not in ("torch", "torchvision"), f"{where}: {package} needs no {top}"
        if top == "cifar_tune" and package in MAY_IMPORT:
            other = module.split(".")[1] if "." in module else ""
            allowed = {"", "__version__", package} | MAY_IMPORT[package]
            assert other in allowed, f"{where}: {package} may not import {other}"


@pytest.mark.parametrize("path", [*filter(is_shim, SOURCES)], ids=lambda path: path.name)
def test_a_file_that_runs_a_command_holds_nothing_else(path: Path) -> None:
    command = f"cifar_tune.cli.{path.stem}"
    assert {module for module, _ in imports_of(path)} == {"sys", command, f"{command}.main"}
    assert len(path.read_text().splitlines()) < 10


def test_no_two_files_import_each_other() -> None:
    """Imports under `TYPE_CHECKING` and inside functions count: who reads one file must know the others."""
    names = (".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in SOURCES)
    modules = dict(zip((name.removesuffix(".__init__") for name in names), SOURCES, strict=True))
    graph = {module: {name for name, _ in imports_of(path)} & set(modules) for module, path in modules.items()}
    tuple(TopologicalSorter(graph).static_order())


def test_the_names_of_a_results_folders_files_are_written_once() -> None:
    constants = {name: value for name, value in vars(layout).items() if name.isupper() and isinstance(value, str)}
    names = {value for name, value in constants.items() if "." in value and name not in ("PAGE_NAME", "LOCK_NAME")}
    for path in SOURCES:
        if path.name != "layout.py":
            found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
            assert not names & {node.value for node in found if isinstance(node.value, str)}, path


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
    assert callers == {"execution/trial_process.py", "execution/test_split.py"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_fits_the_mind(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


COMMANDS = "cifar_tune.config.load, cifar_tune.tracking.event_files, " + ", ".join(
    f"cifar_tune.cli.{path.stem}"
    for path in sorted((PACKAGE / "cli").glob("[a-z]*.py"))
    if "def main(" in path.read_text()
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
        ("cifar_tune.dashboard.server, cifar_tune.dashboard.app", ("torch", "ray", "optuna", "plotly")),
        ("cifar_tune.search.search", ("torch", "ray", "scipy")),
        pytest.param("cifar_tune.training.epochs", ("ray", "optuna", "pandas", "torchvision"), marks=pytest.mark.slow),
    ],
)
def test_importing_a_module_leaves_heavy_libraries_alone(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import {module}, sys; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
