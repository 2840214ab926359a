"""MLflow: an experiment a sweep, a run a trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from cifar_tune.errors import TrackingError
from cifar_tune.results.columns import COMPLETED, DIVERGED, FAILED, INTERRUPTED, RUNNING, STOPPED
from cifar_tune.tracking.tracker import FIGURES, TrackedTrial, missing

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

MLFLOW_STATUS = {
    RUNNING: "RUNNING",
    COMPLETED: "FINISHED",
    STOPPED: "KILLED",
    INTERRUPTED: "KILLED",
    DIVERGED: "FAILED",
    FAILED: "FAILED",
}
"""So that `status = 'FINISHED'` finds what ranks; the tag `status` has our word."""
LONGEST = 500
"""Characters of a parameter and of a tag that every server takes. Source: MLflow's REST API, limits before 2.8."""
MOST_AT_ONCE = 100
"""Parameters. Source: MLflow's REST API, `runs/log-batch`."""


class Mlflow:
    """The runs of one sweep at a tracking URI."""

    def __init__(self, uri: str | None, sweep: str) -> None:
        """uri: else what MLflow itself is set to (MLFLOW_TRACKING_URI).

        Raises:
            TrackingError: MLflow is not installed, or does not answer there.
        """
        try:
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise missing("mlflow", "pip install mlflow-skinny, or mlflow with its page") from None
        with _told():
            self._client = MlflowClient(uri)
            found = self._client.get_experiment_by_name(sweep)
            self._experiment = found.experiment_id if found else self._client.create_experiment(sweep)
        where = self._client.tracking_uri
        self.place = f"{where}, experiment {sweep}"
        self.shown_by = "" if where.startswith("http") else f"mlflow ui --backend-store-uri {where}"

    def open_run(self, trial: TrackedTrial, name: str | None) -> MlflowRun:
        with _told():
            if name is None:
                tags = {"sweep": trial.sweep, "trial_id": trial.trial_id}
                start = _milliseconds(trial.started_at) if trial.started_at else None
                run = self._client.create_run(self._experiment, start, tags, run_name=trial.trial_id)
                name = str(run.info.run_id)
                _write_parameters(self._client, name, trial.configuration)
            return MlflowRun(self._client, name)


class MlflowRun:
    """Metrics by epoch as steps; the configuration as parameters, the outcome as metrics and tags."""

    def __init__(self, client: MlflowClient, name: str) -> None:
        self.name = name
        self._client = client

    def write_epoch(self, epoch: int, values: Mapping[str, float], at: datetime) -> None:
        from mlflow.entities import Metric

        with _told():
            metrics = [Metric(name, value, _milliseconds(at), epoch) for name, value in values.items()]
            self._client.log_batch(self.name, metrics=metrics)

    def write_outcome(self, trial: TrackedTrial) -> None:
        from mlflow.entities import Metric, RunTag

        end = _milliseconds(trial.ended_at) if trial.ended_at else None
        figures = {name: value for name, value in trial.outcome.items() if isinstance(value, int | float)}
        words = {"status": trial.status} | {name: str(trial.outcome[name]) for name in trial.outcome.keys() - figures}
        reached = int(figures.get("epochs_trained", 0))
        metrics = [
            Metric(name, float(value), end or 0, reached) for name, value in figures.items() if name not in FIGURES
        ]
        with _told():
            self._client.log_batch(
                self.name, metrics=metrics, tags=[RunTag(name, text[:LONGEST]) for name, text in words.items()]
            )
            if trial.status == RUNNING:
                self._client.update_run(self.name, MLFLOW_STATUS[RUNNING])
            else:
                self._client.set_terminated(self.name, MLFLOW_STATUS[trial.status], end)

    def close(self) -> None:
        """Nothing is held."""


def _write_parameters(client: MlflowClient, name: str, configuration: Mapping[str, object]) -> None:
    from mlflow.entities import Param

    parameters = [Param(path, str(value)[:LONGEST]) for path, value in configuration.items()]
    for start in range(0, len(parameters), MOST_AT_ONCE):
        client.log_batch(name, params=parameters[start : start + MOST_AT_ONCE])


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@contextmanager
def _told() -> Iterator[None]:
    """Turns MLflow's errors into ours."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        raise TrackingError(f"MLflow: {str(error).strip()}") from error
