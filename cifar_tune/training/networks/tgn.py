"""The Taxonomic Gated Network. N batch, S superclasses, M classes in the largest of them, K classes, D features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_tune.training.networks.resnet import Trunk

if TYPE_CHECKING:
    from cifar_tune.training.models.stem import Stem

RESNET18_BLOCKS = (2, 2, 2, 2)


class Experts(nn.Module):
    """One two-layer net per superclass, all computed in two products: (N, D) -> (N, S, M) logits.

    Superclasses with fewer than M classes have their logits padded with -inf.
    """

    padding: Tensor

    def __init__(self, features: int, sizes: Sequence[int], dropout: float) -> None:
        super().__init__()
        experts, largest = len(sizes), max(sizes)
        self.hidden = nn.Linear(features, experts * features)
        self.dropout = nn.Dropout(dropout)
        self.weight = nn.Parameter(torch.empty(experts, features, largest))
        self.bias = nn.Parameter(torch.empty(experts * largest))
        bound = features**-0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)
        self.equal_sizes = min(sizes) == largest
        padding = [[member >= size for member in range(largest)] for size in sizes]
        self.register_buffer("padding", torch.tensor(padding), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        experts, inputs, largest = self.weight.shape
        hidden = self.dropout(F.relu(self.hidden(features), inplace=True))
        by_expert = hidden.view(-1, experts, inputs).transpose(0, 1)
        logits = torch.baddbmm(self.bias.view(experts, 1, largest), by_expert, self.weight).transpose(0, 1)
        return logits if self.equal_sizes else logits.masked_fill(self.padding, -torch.inf)


class TaxonomicGatedNetwork(nn.Module):
    """(N, channels, H, W) -> (N, K) log-probabilities: log p(class) = log p(superclass) + log p(class | superclass)."""

    places: Tensor

    def __init__(self, members: Sequence[Sequence[int]], width: int, stem: Stem, dropout: float, channels: int) -> None:
        super().__init__()
        self.trunk = Trunk(RESNET18_BLOCKS, width, stem, channels)
        features = self.trunk.features
        sizes = [len(classes) for classes in members]
        self.gate = nn.Sequential(
            nn.Linear(features, features // 2), nn.ReLU(inplace=True), nn.Linear(features // 2, len(sizes))
        )
        self.experts = Experts(features, sizes, dropout)
        place_of = {
            fine: coarse * max(sizes) + member
            for coarse, classes in enumerate(members)
            for member, fine in enumerate(classes)
        }
        places = torch.tensor([place_of[fine] for fine in sorted(place_of)])
        self.register_buffer("places", places, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        features = self.trunk(images)
        superclass = self.gate(features).float().log_softmax(1)
        within = self.experts(features).float().log_softmax(2)
        joint: Tensor = superclass.unsqueeze(2) + within
        return joint.flatten(1).index_select(1, self.places)
