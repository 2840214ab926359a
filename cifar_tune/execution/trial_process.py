"""One trial at a time in one process, which all of it is, or one of several. Neither torch nor Ray is imported here."""

from __future__ import annotations

import platform
import traceback
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cifar_tune.errors import CheckpointError
from cifar_tune.execution.messages import Assignment, Ending, EpochReport, Message, Scored, Trained
from cifar_tune.execution.placement.resource_request import tensor_bytes
from cifar_tune.storage.address import place
from cifar_tune.training.datasets import DatasetInfo
from cifar_tune.training.models import AnyModel
from cifar_tune.training.trial import TrialConfig

if TYPE_CHECKING:
    from cifar_tune.execution.isolation import ProcessState
    from cifar_tune.training.epochs import OpenTrial
    from cifar_tune.training.process_group import ProcessGroup


class TrialProcess:
    """Trains the trial that it is assigned, one epoch a message."""

    _reports: Iterator[Message] = iter(())
    _clean: ProcessState | None = None
    _ranks: ProcessGroup | None = None

    def begin(self, assignment: Assignment) -> None:
        """Makes this trial the one that messages are of."""
        self._reports = self.reports(assignment)

    def drop(self) -> None:
        """Drops the trial's generator, and with it model and optimizer, and restores the process."""
        self._reports = iter(())
        if self._clean is not None:
            self._clean.restore()

    def prepare_process(self, assignment: Assignment) -> ProcessState | None:
        """Imports what all trials need; returns what the process is to be like before each of them."""
        import torch

        import cifar_tune.training.epochs  # noqa: F401
        from cifar_tune.execution.isolation import ProcessState

        torch.set_num_threads(assignment.resources.threads)
        _limit_memory(assignment)
        return ProcessState.taken()

    def reports(self, assignment: Assignment) -> Iterator[Message]:
        """Yields the trial's epochs: those recorded with its newest whole checkpoint first, then new ones.

        A trial that is to be confirmed is then scored on the test split, when it is asked for another step.
        """
        import torch

        from cifar_tune.training.epochs import open_trial
        from cifar_tune.training.process_group import SINGLE_PROCESS

        torch.set_num_threads(assignment.resources.threads)  # a trial that goes on may have had fewer than the last one
        trial = open_trial(
            TrialConfig.model_validate_json(assignment.trial_json),
            root=Path(assignment.root),
            device=assignment.device,
            checkpoints=place(assignment.checkpoints),
            ranks=self._ranks or SINGLE_PROCESS,
        )
        if trial.state.epoch < assignment.begins_after:
            raise CheckpointError(
                f"{assignment.trial_id} begins from a copy of another trial after epoch {assignment.begins_after}, and "
                f"{assignment.checkpoints} holds no whole checkpoint of it"
            )
        facts = facts_of(trial, assignment)
        for metrics in chain(list(trial.state.history), trial.epochs()):
            yield EpochReport(metrics, facts)
            facts = {}
        if assignment.opens_test:
            from cifar_tune.training.sealed import score_on_test_split

            yield Trained()
            score = score_on_test_split(trial, Path(assignment.root))
            yield Scored(score.accuracy, score.loss, score.images)

    def _next_message(self) -> Message:
        """Trains one epoch."""
        try:
            return next(self._reports)
        except StopIteration:
            return Ending("completed", reason="early stopping")
        except Exception as error:
            return ending_of(error)


def _limit_memory(assignment: Assignment) -> None:
    """Lets the process's tensors fill its share of a card that others share, so that it never takes a neighbour's."""
    import torch

    resources = assignment.resources
    if assignment.device == "cuda" and resources.memory_bytes and resources.gpus < 1:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, tensor_bytes(resources.memory_bytes) / total))


def facts_of(trial: OpenTrial, assignment: Assignment) -> dict[str, Any]:
    """Returns what the table says of the trial and of the place where it trains."""
    parameters = list(trial.state.model.parameters())
    return {
        "num_parameters": sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        "num_parameters_total": sum(parameter.numel() for parameter in parameters),
        "validation_images": len(trial.data.validation) or None,
        "flops_per_image": _flops(trial.trial.model, trial.data.info),
        "precision": trial.state.arithmetic.name,
        "micro_batch_size": trial.images_at_once,
        "batch_norm_images": trial.batch_norm_images,
        "recompute": trial.trial.recompute,
        "processes": trial.ranks.size,
        "node": platform.node(),
        **trial.state.environments[-1].processor_columns(),
        **_device_facts(assignment),
    }


@lru_cache(maxsize=1024)
def _flops(model: AnyModel, info: DatasetInfo) -> float:
    from cifar_tune.training.flops import count_flops

    return float(count_flops(model, info))


def _device_facts(assignment: Assignment) -> dict[str, Any]:
    import torch

    resources = assignment.resources
    if not assignment.device.startswith("cuda"):
        return {"device_name": assignment.device, "gpu_memory_reserved_bytes": resources.reserved_bytes}
    card = torch.cuda.get_device_properties(assignment.device)
    reserved = resources.reserved_bytes or int(card.total_memory * resources.gpus)
    return {"device_name": card.name, "gpu_memory_reserved_bytes": reserved}


def ending_of(error: Exception) -> Ending:
    """Returns how an error of the trial ends it. Raises it again if no later trial could use this process."""
    from cifar_tune.execution.isolation import of_the_surroundings, ran_out_of_memory, spoils_the_process
    from cifar_tune.training.loop import Diverged

    if isinstance(error, Diverged):
        return Ending("diverged", reason=str(error))
    if spoils_the_process(error):
        raise error
    trace = "".join(traceback.format_exception(error))
    if ran_out_of_memory(error):
        return Ending("out_of_memory", error=trace)
    status: Literal["surroundings", "failed"] = "surroundings" if of_the_surroundings(error) else "failed"
    return Ending(status, reason=f"{type(error).__name__}: {error}", error=trace)
