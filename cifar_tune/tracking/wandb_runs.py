"""Weights & Biases: a project for all sweeps, a run a trial, grouped by sweep."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_tune.errors import TrackingError
from cifar_tune.results.columns import DIVERGED, FAILED
from cifar_tune.tracking.tracker import TrackedTrial, missing

if TYPE_CHECKING:
    from wandb import Run

PROJECT = "cifar_tune"


class Wandb:
    """The runs of one sweep in a project; WANDB_MODE=offline writes them into the results folder alone."""

    def __init__(self, project: str | None, folder: Path) -> None:
        """project: else what WANDB_PROJECT names. folder: for the files that wandb writes.

        Raises:
            TrackingError: wandb is not installed.
        """
        try:
            import wandb  # noqa: F401
        except ImportError:
            raise missing("wandb", "pip install wandb") from None
        self._project = project or os.environ.get("WANDB_PROJECT") or PROJECT
        self._folder = folder
        offline = os.environ.get("WANDB_MODE") == "offline"
        self.place = f"project {self._project}, {'offline' if offline else 'online'}"
        self.shown_by = f"wandb sync {folder / 'wandb' / 'offline-run-*'}" if offline else ""

    def open_run(self, trial: TrackedTrial, name: str | None) -> WandbRun:
        import wandb

        with _told():
            run = wandb.init(
                project=self._project,
                id=name or _identifier(trial),
                name=trial.trial_id,
                group=trial.sweep,
                config=dict(trial.configuration),
                dir=self._folder,
                resume="allow",
                reinit="create_new",
                settings=wandb.Settings(silent=True, console="off"),
            )
        return WandbRun(run)


class WandbRun:
    """History by epoch as steps; the configuration as config, the outcome as summary."""

    def __init__(self, run: Run) -> None:
        self.name = str(run.id)
        self._run = run
        self._exit_code = 0

    def write_epoch(self, epoch: int, values: Mapping[str, float], at: datetime) -> None:
        with _told():
            self._run.log({**values, "epoch": epoch}, step=epoch)

    def write_outcome(self, trial: TrackedTrial) -> None:
        self._exit_code = int(trial.status in (FAILED, DIVERGED))
        with _told():
            self._run.summary.update({"status": trial.status, **trial.outcome})

    def close(self) -> None:
        with _told():
            self._run.finish(exit_code=self._exit_code)


def _identifier(trial: TrackedTrial) -> str:
    """The same for a trial whenever it is asked for, another for the same name of a sweep that was started over."""
    text = f"{trial.sweep}\0{trial.trial_id}\0{trial.started_at}"
    return f"{trial.trial_id}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@contextmanager
def _told() -> Iterator[None]:
    """Turns wandb's errors into ours."""
    import wandb

    try:
        yield
    except wandb.Error as error:
        raise TrackingError(
            f"Weights & Biases: {str(error).rstrip('.')}; WANDB_MODE=offline needs no account"
        ) from error
