"""One trial at a time, in a worker process that Ray Tune keeps for the next (docs/decisions/0003-class-trainable.md).

The driver imports this file to name the class, so torch is imported only where a worker needs it.
"""

from __future__ import annotations

import platform
import traceback
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from cifar_tune.training.datasets import DatasetInfo
from cifar_tune.training.metrics import EpochMetrics
from cifar_tune.training.models import AnyModel
from cifar_tune.training.trial import TrialConfig
from cifar_tune.tuning.messages import MESSAGE, Assignment, Ending, EpochReport, Message

if TYPE_CHECKING:
    from cifar_tune.tuning.isolation import ProcessState


class TrialRunner(tune.Trainable):
    """Trains the trial that it is assigned, one epoch a step. Nothing of it runs outside a call of Ray's."""

    _assignment: Assignment
    _epochs: Iterator[EpochMetrics]
    _facts_sent: bool
    _clean: ProcessState | None = None

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        return tune.PlacementGroupFactory([config[MESSAGE].resources.as_ray()])

    def setup(self, config: dict[str, Any]) -> None:
        self._begin(config[MESSAGE])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._end()
        self._begin(new_config[MESSAGE])
        return True

    def cleanup(self) -> None:
        self._end()

    def step(self) -> dict[str, Any]:
        return {MESSAGE: self._next_message()}

    def epochs(self, assignment: Assignment) -> Iterator[EpochMetrics]:
        """Returns the trial's epochs: those recorded with its newest whole checkpoint first, then new ones."""
        import torch

        from cifar_tune.training.epochs import trial_epochs
        from cifar_tune.tuning.isolation import ProcessState

        if self._clean is None:
            torch.set_num_threads(assignment.resources.threads)
            self._clean = ProcessState.taken()
        return iter(
            trial_epochs(
                TrialConfig.model_validate_json(assignment.trial_json),
                root=Path(assignment.root),
                device=assignment.device,
                checkpoints=Path(assignment.checkpoints),
            )
        )

    def facts(self, assignment: Assignment) -> dict[str, Any]:
        """Returns what the table says of the trial and of the place where it trains."""
        trial = TrialConfig.model_validate_json(assignment.trial_json)
        info = trial.dataset.info(Path(assignment.root))
        parameters, flops = _costs(trial.model, info)
        return {
            "num_parameters": parameters,
            "flops_per_image": float(flops),
            "node": platform.node(),
            "micro_batch_size": trial.micro_batch_size,
            "precision": _precision(trial, info, assignment.device),
            **_device_facts(assignment),
        }

    def _begin(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._facts_sent = False
        self._epochs = self.epochs(assignment)

    def _end(self) -> None:
        """Drops the trial's generator, and with it model and optimizer, and restores the process."""
        self._epochs = iter(())
        if self._clean is not None:
            self._clean.restore()

    def _next_message(self) -> Message:
        """Trains one epoch."""
        try:
            facts = {} if self._facts_sent else self.facts(self._assignment)
            metrics = next(self._epochs)
        except StopIteration:
            return Ending("completed", reason="early stopping")
        except Exception as error:
            return _ending_of(error)
        self._facts_sent = True
        return EpochReport(metrics, facts)


def _ending_of(error: Exception) -> Ending:
    """Returns how an error of the trial ends it. Raises it again if it leaves the process of no use to the next trial."""
    from cifar_tune.training.loop import Diverged
    from cifar_tune.tuning.isolation import spoils_the_process

    if isinstance(error, Diverged):
        return Ending("diverged", reason=str(error))
    if spoils_the_process(error):
        raise error
    trace = "".join(traceback.format_exception(error))
    return Ending("failed", reason=f"{type(error).__name__}: {error}", error=trace)


@lru_cache(maxsize=1024)
def _costs(model: AnyModel, info: DatasetInfo) -> tuple[int, int]:
    from cifar_tune.training.flops import count_flops, count_parameters

    return count_parameters(model, info), count_flops(model, info)


def _precision(trial: TrialConfig, info: DatasetInfo, device: str) -> str:
    """What the trial's precision means on this device, in the words of `precision`."""
    from cifar_tune.training.device import find_device
    from cifar_tune.training.precision import arithmetic_of

    arithmetic = arithmetic_of(trial.precision, find_device(device), info)
    if arithmetic.autocast is not None:
        return str(arithmetic.autocast).removeprefix("torch.")
    return "tf32" if arithmetic.tf32 else "float32"


def _device_facts(assignment: Assignment) -> dict[str, Any]:
    import torch

    if assignment.device != "cuda":
        return {"device_name": assignment.device, "gpu_memory_reserved_bytes": 0}
    card = torch.cuda.get_device_properties(0)
    share = min(assignment.resources.gpus, 1.0)
    return {"device_name": card.name, "gpu_memory_reserved_bytes": int(card.total_memory * share)}
