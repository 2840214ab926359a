"""Where a network looks. N images, C channels, H x W a layer's map, S superclasses, M classes in the largest.

Grad-CAM: the maps of a layer, each weighted by the mean of its gradient, where their sum speaks for the class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cifar_tune.inspection.layers import captured
from cifar_tune.training.datasets import DatasetInfo
from cifar_tune.training.networks.tgn import TaxonomicGatedNetwork
from cifar_tune.training.taxonomy import superclasses


@dataclass(frozen=True)
class ExpertView:
    """One expert on one image. probability: the gate's, of its superclass. within: its own, of its likeliest class.

    gate_map, expert_map: (H, W), what speaks for the superclass at the gate, and for that class at the expert.
    """

    superclass: str
    probability: float
    likeliest: str
    within: float
    gate_map: NDArray[np.float32]
    expert_map: NDArray[np.float32]


def grad_cam(model: nn.Module, layer: str, images: Tensor, score: Callable[[Tensor], Tensor]) -> NDArray[np.float32]:
    """Returns (N, H, W) maps of what speaks for the score, none of it negative.

    images: (N, C, H, W), normalised. score: (N, K) logits -> (N,) what is to be explained, such as a class's logit.
    Source: Selvaraju et al. 2017 (arXiv:1610.02391, eq. 1 and 2).

    Raises:
        InspectionError: there is no such layer.
    """
    with captured(model, [layer]) as found:
        total = score(model(images)).sum()
    return _explained(found[layer], total)


def expert_views(
    model: TaxonomicGatedNetwork, layer: str, image: Tensor, info: DatasetInfo, most: int
) -> list[ExpertView]:
    """Returns what the likeliest experts see in one image, the one that the gate trusts most first.

    image: (1, C, H, W), normalised.
    """
    members = superclasses(info, "the Taxonomic Gated Network")
    names = info.coarse_names or tuple(str(place) for place in range(len(members)))
    with captured(model, [layer, "gate", "experts"]) as found:
        model(image)
    maps, gate, experts = found[layer], found["gate"][0], found["experts"][0]
    probabilities = gate.detach().softmax(0)
    views = []
    for superclass in probabilities.argsort(descending=True)[:most].tolist():
        member = int(experts[superclass].argmax())
        views.append(
            ExpertView(
                superclass=names[superclass],
                probability=float(probabilities[superclass]),
                likeliest=info.class_names[members[superclass][member]],
                within=float(experts[superclass].detach().softmax(0)[member]),
                gate_map=_explained(maps, gate[superclass])[0],
                expert_map=_explained(maps, experts[superclass, member])[0],
            )
        )
    return views


def _explained(maps: Tensor, total: Tensor) -> NDArray[np.float32]:
    [gradient] = torch.autograd.grad(total, maps, retain_graph=True)
    weights = gradient.mean((2, 3), keepdim=True)
    found: NDArray[np.float32] = (weights * maps).sum(1).relu().detach().float().cpu().numpy()
    return found
