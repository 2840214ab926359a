"""A sweep or trial file, with overrides, as a checked record, or every problem of it at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from cifar_tune.config.document import Document, read
from cifar_tune.config.domains import Domain, Plain
from cifar_tune.config.idle import idle_findings
from cifar_tune.config.messages import FINDINGS, Finding, explain
from cifar_tune.config.objectives import objectives_findings
from cifar_tune.config.overrides import apply, of_trial
from cifar_tune.config.paths import Loc, dotted, with_default_names
from cifar_tune.config.population import population_findings
from cifar_tune.config.schedulers import scheduler_findings
from cifar_tune.config.space import Space
from cifar_tune.config.spellings import respell
from cifar_tune.config.sweep_config import SweepConfig, filled_in
from cifar_tune.errors import ConfigError, Problem
from cifar_tune.schema import ListOf, Strict
from cifar_tune.training.trial import TrialConfig


def load_sweep(path: Path, overrides: Sequence[str] = (), *, new: bool = False) -> SweepConfig:
    """Returns the sweep that a file describes, with `KEY=VALUE` overrides in it.

    new: it is about to begin, so that settings without effect are refused. Of a sweep that has begun they are let be.

    Raises:
        ConfigError: with every problem of the file and of the overrides, in file order.
    """
    document = read(path)
    apply(document, overrides)
    respell(document)
    tree = filled_in(document.tree)
    try:
        sweep = SweepConfig.model_validate(tree)
    except ValidationError as error:
        findings = explain(error, SweepConfig, tree)
        parts_are_sound = [(one["type"], one["loc"]) for one in error.errors(include_url=False)] == [(FINDINGS, ())]
        _refuse(document, findings if parts_are_sound else [*findings, *_between_parts(tree)])
    idle = [*idle_findings(document.tree)] if new else []
    if document.problems or idle:
        _refuse(document, idle)
    return sweep.with_header(document.header)


def load_trial(path: Path, overrides: Sequence[str] = (), *, new: bool = False) -> TrialConfig:
    """Returns the trial that a file describes: a trial file, or the `trial` of a sweep file, whose seed it takes.

    new: as in `load_sweep`.

    Raises:
        ConfigError: with every problem of the trial and of the overrides, in file order.
    """
    document = _trial_document(path, overrides)
    tree = filled_in(document.tree)["trial"]
    try:
        trial = TrialConfig.model_validate(tree)
    except ValidationError as error:
        _refuse(
            document,
            [Finding(("trial", *one.loc), one.message, one.at_key) for one in explain(error, TrialConfig, tree)],
        )
    idle = [*idle_findings(document.tree)] if new else []
    if document.problems or idle:
        _refuse(document, idle)
    return trial


def located(error: ConfigError, path: Path, overrides: Sequence[str] = ()) -> ConfigError:
    """Returns the error of a sweep that was read from a file, with places in the file where it has none yet."""
    document = read(path)
    apply(document, overrides)
    return _located(error, document)


def located_in_trial(error: ConfigError, path: Path, overrides: Sequence[str] = ()) -> ConfigError:
    """Returns the error of a trial that was read from a file, with places in the file where it has none yet."""
    return _located(error, _trial_document(path, overrides))


def _trial_document(path: Path, overrides: Sequence[str]) -> Document:
    document = read(path)
    if "trial" not in document.tree:
        document.wrap("trial")
    apply(document, of_trial(overrides))
    return document


def _located(error: ConfigError, document: Document) -> ConfigError:
    written = {dotted(loc): loc for loc in document.places}
    return _in_file_order([one if one.file else _placed(one, document, written) for one in error.problems], document)


def _placed(problem: Problem, document: Document, written: Mapping[str, Loc]) -> Problem:
    """Returns the problem at what stands at its path, or at the nearest thing around it."""
    path = problem.path
    while path not in written:
        path = path.rpartition(".")[0]
    place = document.problem(written[path], problem.message, at_key=False)
    told = problem.path.removeprefix(f"{document.unwritten}.") if document.unwritten else problem.path
    return dataclasses.replace(place, path=told)


def _refuse(document: Document, findings: Sequence[Finding]) -> NoReturn:
    problems = [*document.problems, *(document.problem(one.loc, one.message, one.at_key) for one in findings)]
    raise _in_file_order(problems, document)


def _in_file_order(problems: Sequence[Problem], document: Document) -> ConfigError:
    sources = [document.source, *document.overrides]
    ordered = sorted(problems, key=lambda one: (sources.index(one.file), one.line or 0, one.column or 0))
    return ConfigError([*dict.fromkeys(ordered)])


def _between_parts(tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Yields what the parts of a sweep that are sound by themselves say about the others."""
    trial, scheduler = tree.get("trial"), tree.get("scheduler")
    if not isinstance(trial, Mapping):
        return
    epochs = trial.get("epochs")
    if isinstance(scheduler, Mapping) and isinstance(epochs, int) and epochs >= 1:
        yield from scheduler_findings(scheduler, epochs)
    yield from objectives_findings(tree)
    yield from population_findings(tree)
    grid = _sound(tree.get("grid"), TypeAdapter(ListOf[Plain], config=Strict.model_config))
    search = _sound(tree.get("search"), TypeAdapter(Domain))
    yield from Space(with_default_names(trial, TrialConfig), grid, search).findings


def _sound(entries: Any, schema: TypeAdapter[Any]) -> dict[str, Any]:
    sound = {}
    for key, entry in entries.items() if isinstance(entries, Mapping) else ():
        try:
            sound[key] = schema.validate_python(entry)
        except ValidationError:
            continue
    return sound
