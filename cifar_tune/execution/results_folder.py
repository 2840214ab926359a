"""The results folder of a sweep: made, continued, or moved aside for a new one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from cifar_tune.config.load import load_sweep
from cifar_tune.config.sweep_config import SweepConfig
from cifar_tune.errors import ConfigError, ResultsError
from cifar_tune.layout import DRIVER_NAME, LOCK_NAME, SWEEP_NAME
from cifar_tune.results.columns import FAILED, INTERRUPTED
from cifar_tune.results.lock import DriverLock
from cifar_tune.results.reading import near_folder
from cifar_tune.results.store import ResultsStore
from cifar_tune.search.extending import (
    may_change,
    reason_against,
    record_epochs,
    record_new_keys,
    with_recorded_draw,
    with_recorded_grace,
)
from cifar_tune.search.restarts import begin_anew, unfinished
from cifar_tune.storage.address import Address
from cifar_tune.storage.atomic_write import replace_text
from cifar_tune.storage.folders import move, named, named_place, place_of

Mode = Literal["new", "resume", "extend", "restart", "fresh"]
"""restart: an extension with more epochs, for which completed trials are trained anew."""


CONTINUING = ("resume", "extend", "restart")
"""Modes that need a sweep that is there."""

NEVER_COMPARED = ("resources", "stop", "checkpoints")
"""Where a sweep runs does not change what it asks, nor does when it ends or what it keeps: it may be continued
elsewhere, longer, and with less left on disk."""


def open_results(folder: Path, sweep: SweepConfig, mode: Mode) -> tuple[ResultsStore, Path | Address | None]:
    """Returns the folder's store, and where an older sweep was moved to.

    Raises:
        ResultsError: the folder is there and `mode` does not say what to do with it, or it is not there and should be;
            its sweep is another one; another driver is at work in it.
    """
    aside = _move_aside(folder) if mode == "fresh" else None
    if mode in ("new", "fresh"):
        store = _create(folder, sweep)
    else:
        store = ResultsStore.open(folder)
        try:
            check_same(folder, sweep, mode)
            if mode != "resume":
                record_new_keys(store, sweep)
            if mode == "restart":
                _restart(store, sweep)
            else:
                record_epochs(store, sweep.trial.epochs)
        except Exception:
            store.close()
            raise
    replace_text(folder / SWEEP_NAME, sweep.to_yaml())
    return store, aside


@contextmanager
def results_of(folder: Path, sweep: SweepConfig, mode: Mode, tell: Callable[[str], object]) -> Iterator[ResultsStore]:
    """Yields the store of `open_results`, and closes it. tell: is told where an older sweep was moved to.

    Where a new sweep is refused before it has proposed a trial, nothing of it is left, and an older one is moved back.
    """
    empty = folder.is_dir() and not _holds_files(folder)
    if mode == "fresh" and isinstance(place := named_place(folder), Address) and _holds_files(folder):
        tell(f"{place}: moving what is there aside; in a bucket every object is copied, which may take minutes")
    store, aside = open_results(folder, sweep, mode)
    try:
        with store:
            if aside is not None:
                tell(f"moved the sweep that was there to {aside}")
            yield store
    except Exception:
        if mode in ("new", "fresh") and not store.trial_ids():
            shutil.rmtree(folder)
            if aside is not None:
                move(aside, named_place(folder))
                tell(f"moved it back to {named(folder)}: no trial of the new sweep was begun")
            elif empty:
                folder.mkdir()
        raise


def retry_failed(store: ResultsStore) -> list[str]:
    """Makes the trials that failed by themselves unfinished ones; returns them."""
    failed = [trial_id for trial_id in store.trial_ids() if store.trial(trial_id)["status"] == FAILED]
    for trial_id in failed:
        store.update_trial(trial_id, status=INTERRUPTED, status_reason="to be tried again", error=None, ended_at=None)
    return failed


def check_results(folder: Path, mode: Mode) -> None:
    """Returns if the folder is there where it should be, and not where it should not. Changes nothing.

    Raises:
        ResultsError: it is or is not.
    """
    if mode == "new" and _holds_files(folder):
        raise ResultsError(
            f"{place_of(folder)}: is there already; --resume finishes an interrupted sweep, --extend adds trials to a "
            "finished one, --fresh moves it aside and starts over, --results DIR writes elsewhere"
        )
    if mode in CONTINUING and not _holds_files(folder):
        option = "resume" if mode == "resume" else "extend"
        near = None if folder.exists() else near_folder(folder)
        meant = f"; did you mean {near}?" if near else ""
        raise ResultsError(f"{place_of(folder)}: there is no sweep to {option}; without --{option} it starts{meant}")


def as_begun(folder: Path, sweep: SweepConfig, mode: Mode) -> SweepConfig:
    """Returns the sweep that a folder is continued with: grace period and draw of the splits are the recorded ones.

    That is where none is written in the file.
    """
    if mode not in CONTINUING or (before := _recorded(folder)) is None:
        return sweep
    sweep = with_recorded_draw(sweep, before)
    return sweep if mode == "restart" else with_recorded_grace(sweep, before, extended=mode == "extend")


def _holds_files(folder: Path) -> bool:
    if folder.exists() and not folder.is_dir():
        raise ResultsError(f"{folder}: is a file; the results need a folder")
    return folder.is_dir() and any(entry.name != LOCK_NAME for entry in folder.iterdir())


def _create(folder: Path, sweep: SweepConfig) -> ResultsStore:
    check_results(folder, "new")
    return ResultsStore.create(folder, sweep_name=sweep.name)


def _move_aside(folder: Path) -> Path | Address | None:
    """Renames the folder, or moves what it stands for, so that `--fresh` loses nothing."""
    if not _holds_files(folder):
        return None
    lock = DriverLock(folder)
    lock.acquire()
    place = named_place(folder)
    aside = place.with_name(f"{place.name}.{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}")
    try:
        (folder / DRIVER_NAME).unlink()
        move(place, aside)
    finally:
        lock.release()
    return aside


def _restart(store: ResultsStore, sweep: SweepConfig) -> None:
    """Raises ResultsError where trials are still to be finished as they were begun, or none is to be trained anew."""
    before = _recorded(store.folder)
    if left := unfinished(store):
        raise ResultsError(
            f"{store.folder}: {len(left)} of its trials have not ended ({', '.join(left)}); finish them first: --resume"
            " with the file as it was"
        )
    if before is None:
        raise ResultsError(f"{store.folder}: has no {SWEEP_NAME}, so its sweep was never begun; --resume begins it")
    if not begin_anew(store, before.trial.epochs, sweep.trial.epochs):
        raise ResultsError(f"{store.folder}: none of its trials has completed, so there is none to train anew")


def _recorded(folder: Path) -> SweepConfig | None:
    """The sweep of the folder; None if the driver died between making the folder and writing the file.

    Raises:
        ResultsError: it cannot be read.
    """
    path = folder / SWEEP_NAME
    if not path.exists():
        return None
    try:
        return load_sweep(path)
    except ConfigError as error:
        raise ResultsError(f"{path}: the sweep that was run cannot be read: {error}") from error


def check_same(folder: Path, sweep: SweepConfig, mode: Mode) -> None:
    """Raises ResultsError where the sweep differs from the one in the folder more than `mode` allows."""
    before = _recorded(folder)
    if before is None:
        return
    old, new = (one.model_dump(mode="json", by_alias=True) for one in (before, sweep))
    changed = dict(_differences(old, new))
    restart = mode == "restart"
    if restart:
        changed.setdefault("trial.epochs", (before.trial.epochs, sweep.trial.epochs))
    if mode != "resume" and changed:
        changed = {path: pair for path, pair in changed.items() if not may_change(path, before, sweep, restart=restart)}
    elif mode == "extend":
        raise ResultsError(
            f"{folder}: nothing to add: trials_per_study is {before.trials_per_study} as before; raise it in the file "
            f"or with --set trials_per_study={2 * before.trials_per_study}; trial.epochs and ranges may change, too"
        )
    if changed:
        told = {key: "" if mode == "resume" else reason_against(key, before, sweep, restart=restart) for key in changed}
        lines = [f"  {key}: was {was!r}, is {now!r}{told[key]}" for key, (was, now) in changed.items()]
        hint = "--extend adds trials; " if set(changed) == {"trials_per_study"} and mode == "resume" else ""
        raise ResultsError(
            f"{folder}: holds another sweep than the file describes:\n"
            + "\n".join(lines)
            + f"\n{hint}undo the change, or give the new sweep another `name`, --results DIR or --fresh"
        )


def _differences(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yields every dotted path at which two plain trees differ, with both values; None where there is none."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in {**before, **after}:
            if not path and key in NEVER_COMPARED:
                continue
            yield from _differences(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
    elif before != after:
        yield path, (before, after)
