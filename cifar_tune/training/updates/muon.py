"""The update of Muon."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

QUINTIC = (3.4445, -4.7750, 2.0315)
"""Their iteration brings singular values in (0, 1] near 1 in the fewest steps. Source: Jordan et al. 2024."""

SMALLEST_NORM = 1e-7
"""Keeps a zero matrix zero. Source: Jordan et al. 2024."""


class MuonUpdate(torch.optim.Optimizer):
    """Moves weight matrices by orthogonal updates, and all other parameters by the optimizer `rest`.

    Both are one optimizer to the outside: one list of groups, one state. Groups with a key "orthogonal" are Muon's.
    """

    def __init__(self, groups: list[dict[str, Any]], rest: torch.optim.Optimizer) -> None:
        super().__init__(groups + rest.param_groups, {})
        self.state.update(rest.state)
        self._rest = rest

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None, "the loop computes gradients before it steps"
        for group in self.param_groups:
            if "orthogonal" in group:
                self._step(group)
        self._rest.state = self.state
        self._rest.param_groups = [group for group in self.param_groups if "orthogonal" not in group]
        self._rest.step()

    def _step(self, group: dict[str, Any]) -> None:
        same_shape: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for parameter in group["params"]:
            if parameter.grad is not None:
                matrix = self._average(parameter, parameter.grad, group).flatten(1)
                same_shape[tuple(matrix.shape)].append((parameter, matrix))
        lr = group["lr"]
        for (rows, columns), pairs in same_shape.items():
            updates = orthogonalised(torch.stack([matrix for _, matrix in pairs]), group["iterations"])
            scale = max(1.0, rows / columns) ** 0.5
            for (parameter, _), update in zip(pairs, updates, strict=True):
                parameter.mul_(1 - lr * group["weight_decay"]).add_(update.view(parameter.shape), alpha=-lr * scale)

    def _average(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        """Returns the average gradient with this one added; with Nesterov's momentum, looking one step ahead."""
        state = self.state[parameter]
        if not state:
            state["average"] = torch.zeros_like(parameter)
        average: Tensor = state["average"].lerp_(gradient, 1 - group["momentum"])
        return gradient.lerp(average, group["momentum"]) if group["nesterov"] else average


def orthogonalised(matrices: Tensor, iterations: int) -> Tensor:
    """Returns (B, R, C) matrices with the singular vectors of those given and singular values of about 0.7 to 1.2.

    In bfloat16 on CUDA, as published; in the given type elsewhere, where it is slow or differs between machines.
    """
    a, b, c = QUINTIC
    x = matrices.bfloat16() if matrices.is_cuda else matrices
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + SMALLEST_NORM)
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
