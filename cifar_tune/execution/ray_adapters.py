"""How Ray Tune sees a sweep: a searcher, a scheduler, a stopper and a callback, all of which ask the dispatcher."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import exceptions, tune
from ray.air.execution._internal import actor_manager
from ray.tune.execution import tune_controller
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from cifar_tune.execution.crash import describe_crash, node_was_full
from cifar_tune.execution.dispatcher import Dispatcher
from cifar_tune.execution.interruption import Interruption
from cifar_tune.execution.messages import MESSAGE
from cifar_tune.execution.trainable import TrialRunner

DEATHS = (
    exceptions.RayActorError,
    exceptions.OutOfMemoryError,
    exceptions.NodeDiedError,
    exceptions.WorkerCrashedError,
    exceptions.ActorUnschedulableError,
    exceptions.ActorPlacementGroupRemoved,
)
"""What a call answers whose worker is gone. Of these Tune expects the first alone, and any other ends the sweep: the
second, where Ray has ended a worker because the memory of its node was full."""


def expect_deaths() -> None:
    """Lets Tune take all deaths of workers as such."""
    for module in (actor_manager, tune_controller):
        vars(module)["RayActorError"] = DEATHS


class Guard:
    """Keeps the first exception of our own code. Tune would bury it, or end the sweep half-way without a word."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.error = self.error or error


class _Stateless:
    """Pickles as nothing: Tune saves the state of its parts, and ours is in the results folder."""

    def __reduce__(self) -> tuple[type[object], tuple[()]]:
        return object, ()


class SweepSearcher(_Stateless, Searcher):
    """Hands Tune the next assignment. Results reach the search through `SweepScheduler`, which Tune asks first."""

    def __init__(
        self, dispatcher: Dispatcher, guard: Guard, stopper: SweepStopper, refresh: Callable[[], None]
    ) -> None:
        super().__init__()
        self._refresh = refresh
        self._dispatcher = dispatcher
        self._guard = guard
        self._stopper = stopper

    def suggest(self, trial_id: str) -> Any:
        """Returns an assignment, None to be asked again, or FINISHED."""
        if self._stopper.stop_all():
            return Searcher.FINISHED
        with self._guard():
            assignment = self._dispatcher.assign(trial_id)
            if assignment == "wait":
                self._refresh()  # while no trial is out, Tune asks for one again and again, and calls nobody else
                return None
            if assignment != "exhausted":
                return {MESSAGE: assignment}
        return Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: the trial has ended in the search already."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: there is no state here."""


class SweepScheduler(_Stateless, FIFOScheduler):
    """Passes every result on and returns the search's decision."""

    def __init__(self, dispatcher: Dispatcher, guard: Guard) -> None:
        FIFOScheduler.__init__(self)  # type: ignore[no-untyped-call]
        self._dispatcher = dispatcher
        self._guard = guard

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        goes_on = False
        with self._guard():
            goes_on = self._dispatcher.receive(trial.trial_id, result[MESSAGE])
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """Nothing to choose: Tune runs pending trials in their order, without the search that `FIFOScheduler` makes.

        It is asked in every round, which makes it the place to take back trials that wait for a node that is gone: Ray
        would wait for ever.
        """
        with self._guard():
            stranded = self._dispatcher.stranded()
            for trial in [trial for trial in tune_controller.get_live_trials() if trial.trial_id in stranded]:
                if trial.status == Trial.PENDING:
                    self._dispatcher.withdraw(trial.trial_id)
                    tune_controller.stop_trial(trial)


class SweepStopper(_Stateless, tune.Stopper):
    """Stops everything when the user wants it or when our own code has failed."""

    def __init__(self, interruption: Interruption, guard: Guard) -> None:
        self._interruption = interruption
        self._guard = guard

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._interruption.now or self._guard.error is not None


class Silence(_Stateless, TrialProgressCallback):
    """Stands in for Tune's own callback of this kind, which prints lost trials as completed at every verbosity."""

    def on_trial_result(self, iteration: int, trials: list[Trial], trial: Trial, result: Any, **info: Any) -> None:
        """Nothing is printed."""

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Nothing is printed."""

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Nothing is printed."""


class SweepCallback(_Stateless, tune.Callback):
    """Tells the dispatcher what becomes of workers, gives the screen its turn, and ends workers when all is to stop."""

    def __init__(
        self, dispatcher: Dispatcher, guard: Guard, stopper: SweepStopper, refresh: Callable[[], None]
    ) -> None:
        self._dispatcher = dispatcher
        self._guard = guard
        self._stopper = stopper
        self._refresh = refresh

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        with self._guard():
            self._dispatcher.started(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        with self._guard():
            told = Path(trial.error_file).read_text(errors="replace")
            self._dispatcher.lost(trial.trial_id, describe_crash(told), node_was_full=node_was_full(told))

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """A worker cannot be asked to stop within an epoch, and its last whole epoch is on disk: end it."""
        if self._stopper.stop_all():
            for trial in trials:
                if trial.temporary_state.ray_actor is not None:
                    ray.kill(trial.temporary_state.ray_actor)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        with self._guard():
            self._refresh()


def fit(
    dispatcher: Dispatcher,
    interruption: Interruption,
    *,
    storage: Path,
    refresh: Callable[[], None],
    runner: type[TrialRunner] = TrialRunner,
) -> None:
    """Lets Ray Tune train what the dispatcher assigns until it has no more, or until the user interrupts.

    Raises:
        Exception: whatever our own code raised when Ray called it.
    """
    expect_deaths()
    guard = Guard()
    stopper = SweepStopper(interruption, guard)
    tune.Tuner(
        runner,
        tune_config=tune.TuneConfig(
            search_alg=SweepSearcher(dispatcher, guard, stopper, refresh),
            scheduler=SweepScheduler(dispatcher, guard),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=lambda trial: str(trial.config[MESSAGE]),
            trial_dirname_creator=lambda trial: str(trial.config[MESSAGE]),
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(storage),
            stop=stopper,
            callbacks=[SweepCallback(dispatcher, guard, stopper, refresh), Silence()],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=0),
            verbose=0,
        ),
    ).fit()
    if guard.error is not None:
        raise guard.error
