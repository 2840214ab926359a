"""How many bytes of a card a trial needs: predicted from its model, corrected by what trials took."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cifar_tune.execution.cluster.cards import Gpu
from cifar_tune.execution.placement.memory_record import Conditions, MemoryRecord
from cifar_tune.execution.placement.speed_record import Load, SpeedRecord
from cifar_tune.training.memory import MemoryNeed, memory_need
from cifar_tune.training.precision_rule import PrecisionName, precision_on_cuda
from cifar_tune.training.trial import TrialConfig

CONTEXT_BYTES = 700 * 10**6
"""Of a process on its card, beside its tensors: context, kernels, cuBLAS and cuDNN workspaces.

Source: 0.3 to 1 GB, NAIRR's guide to GPU estimation; not measured here."""

FRAGMENTATION = 1.1
"""What torch's allocator reserves beside what tensors take. Not measured here: there was no card."""

RESIDENT_PART = 3
"""A data set stays on the card where it takes at most a quarter of the trial's share (`training.data.RESIDENT_SHARE`):
a third of what the trial needs without it."""


def device_bytes(need: MemoryNeed, ratio: float = 1.0) -> int:
    """Returns what a trial takes of a card in all. ratio: of measured to predicted tensors."""
    tensors = need.tensors * ratio
    dataset = need.dataset if need.dataset * RESIDENT_PART <= tensors else 0
    return int((tensors + dataset) * FRAGMENTATION) + CONTEXT_BYTES


def tensor_bytes(granted: int) -> int:
    """Returns what the tensors of a trial may take of a share of so many bytes."""
    return max(0, granted - CONTEXT_BYTES)


def precision_on(trial: TrialConfig, card: Gpu) -> PrecisionName:
    """Returns what the trial will compute in; float32, which needs the most, where the card is not known."""
    if trial.precision != "auto":
        return trial.precision
    return "float32" if card.capability is None else precision_on_cuda(card.capability)


@dataclass
class Needs:
    """What trials need, by card, and how many of a kind are worth a card. root: of the data."""

    root: Path
    record: MemoryRecord
    speeds: SpeedRecord = field(default_factory=SpeedRecord)

    def on(self, trial: TrialConfig, card: Gpu) -> int:
        """Returns the bytes that the trial takes of such a card."""
        return device_bytes(self._predicted(trial, card), self.record.ratio(self._conditions(trial, card)))

    def most(self, trial: TrialConfig, card: Gpu) -> int | None:
        """Returns how many trials like this one such a card should hold at most; None where nothing tells."""
        return self.speeds.most(self._load(trial, card))

    def trained(self, trial: TrialConfig, card: Gpu, trials: int, images_per_second: float) -> None:
        """Takes in how fast it trained while so many shared the card."""
        self.speeds.learn(self._load(trial, card), trials, images_per_second)

    def _load(self, trial: TrialConfig, card: Gpu) -> Load:
        return Load(self._conditions(trial, card), trial.micro_batch_size)

    def measured(self, trial: TrialConfig, card: Gpu, peak_bytes: int) -> None:
        """Takes in what the trial's tensors took at their peak."""
        self.record.learn(self._conditions(trial, card), self._ratio(trial, card, peak_bytes))

    def exceeded(self, trial: TrialConfig, card: Gpu, granted: int) -> None:
        """Takes in that the trial ran out of a share of so many bytes."""
        self.record.suspect(self._conditions(trial, card), self._ratio(trial, card, tensor_bytes(granted)))

    def _ratio(self, trial: TrialConfig, card: Gpu, taken: int) -> float:
        """The data set, where it will have lain there too, is no part of the prediction."""
        predicted = self._predicted(trial, card)
        resident = predicted.dataset if predicted.dataset * RESIDENT_PART <= predicted.tensors else 0
        return max(0.0, (taken - resident) / predicted.tensors)

    def _predicted(self, trial: TrialConfig, card: Gpu) -> MemoryNeed:
        return memory_need(trial, trial.dataset.info(self.root), precision_on(trial, card))

    def _conditions(self, trial: TrialConfig, card: Gpu) -> Conditions:
        model = trial.model.model_dump_json(by_alias=True)
        return Conditions(card.name, precision_on(trial, card), model, trial.dataset.info(self.root).resolution)
