"""What every optimizer's schema offers."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from cifar_tune.schema import NonNegative, Positive, Strict
from cifar_tune.training.lazy import torch

if TYPE_CHECKING:
    from torch import nn


Group = dict[str, Any]
"""Parameters under "params", and the hyper-parameters that they share."""


class Optimizer(Strict):
    """An update rule by name and its options."""

    lr: Positive
    """Peak learning rate; the schedule scales it."""
    weight_decay: NonNegative = 0.0
    decay_norms_and_biases: bool = True
    """False leaves parameters of fewer than two dimensions without weight decay."""

    @abstractmethod
    def rule(self, groups: list[Group]) -> torch.optim.Optimizer:
        """Returns torch's optimizer over these groups, fused or foreach where torch has it."""

    def build(self, model: nn.Module, output_layers: tuple[str, ...] = ()) -> torch.optim.Optimizer:
        """Returns the optimizer over the model's trainable parameters; `apply_setting` then sets its every step.

        Args:
            model: The network.
            output_layers: What the names of its output layers' parameters begin with, see `Model.output_layers`.
        """
        return resumable(self.rule(self.groups(model, output_layers)))

    def groups(self, model: nn.Module, output_layers: tuple[str, ...]) -> list[Group]:
        """Returns the model's trainable parameters in groups; `initial_lr` is each group's peak learning rate."""
        return self.split([parameter for parameter in model.parameters() if parameter.requires_grad])

    def split(self, parameters: list[nn.Parameter]) -> list[Group]:
        """Returns the parameters as one group, or as two where norms and biases are spared weight decay."""
        spared = [p for p in parameters if p.ndim < 2 and not self.decay_norms_and_biases]
        decayed = [p for p in parameters if p.ndim >= 2 or self.decay_norms_and_biases]
        return [
            {"params": part, "lr": self.lr, "initial_lr": self.lr, "weight_decay": weight_decay}
            for part, weight_decay in ((decayed, self.weight_decay), (spared, 0.0))
            if part
        ]


def resumable(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Returns the optimizer, with `load_state_dict` made safe.

    Loaded are the running averages alone: hyper-parameters are those that this optimizer was built with. The averages
    take their parameters' memory layout, without which torch's fused kernels pair the wrong elements on a CPU.
    """
    optimizer.register_load_state_dict_pre_hook(_keep_hyper_parameters)
    optimizer.register_load_state_dict_post_hook(_match_layouts)
    return optimizer


def _keep_hyper_parameters(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
    if len(state["param_groups"]) != len(optimizer.param_groups):
        return state  # torch reports it
    pairs = zip(optimizer.param_groups, state["param_groups"], strict=True)
    return {**state, "param_groups": [{**own, "params": loaded["params"]} for own, loaded in pairs]}


def _match_layouts(optimizer: torch.optim.Optimizer) -> None:
    for parameter, averages in optimizer.state.items():
        for name, value in averages.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                averages[name] = torch.empty_like(parameter).copy_(value)
